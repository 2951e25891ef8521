// SubjectWorth: what each subject of the book used, what that is worth by a catalog, and what is booked for it. The
// common ground of seal, charges, verify, explain and simulate.
#ifndef TOLLBOOK_PIPELINE_SUBJECT_WORTH_H_
#define TOLLBOOK_PIPELINE_SUBJECT_WORTH_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ledger/book.h"
#include "ledger/difference_run.h"
#include "rating/catalog.h"
#include "rating/rate.h"

namespace tollbook {

class BookedPlaces;

// What a seal booked, or the sum of what all seals booked, for one key.
struct BookedAmount {
  BookedKey key;
  Int128 minor = 0;
};

// What of a deferred charge becomes revenue day by day, for which `due` has amounts of its own.
struct RecognisedCharge {
  BookedKey key;                    // without a usage date
  const RatedCharge* of = nullptr;  // null: what an obligation of a contract has of its price (allocation.h)
};

// The same amounts as those of a rated charge, in the books of who delivers what another entity sells; in `due` too.
struct DeliveredCharge {
  BookedKey key;  // without a usage date
  const RatedCharge* of = nullptr;
};

// Views live until the visitor returns; places until its shard is done.
struct SubjectWorth {
  std::string_view subject;
  std::span<const SubjectTotal> totals;  // merged; by (meter, dimension values, bucket)
  const RatedSubject& rated;
  std::span<const BookedKey> keys;  // where each rated charge is booked; without a usage date
  // What should be booked, by key: for each rated charge one amount per usage date, or one at the period's last day, as
  // the posting rule says. Amounts of zero are left out, and so are dates after `through`.
  std::span<const BookedAmount> due;
  std::span<const BookedAmount> booked;  // by key, each once, none zero
  // OutOfRange: a total or a worth of this subject cannot be held; `rated` and `due` are then empty. One subject's
  // mistake must not keep the others from being sealed.
  absl::Status status;
  std::span<const RecognisedCharge> recognised;
  bool has_unmapped = false;  // some of `due` is at a place without accounts
  std::span<const DeliveredCharge> delivered = {};
  const BookedPlaces* places = nullptr;  // all that `due` and `booked` are at
};

// A batch, by the seal that made it.
struct SealedBatch {
  uint64_t sequence = 0;  // the seal's commit
  uint32_t index = 0;     // into its batches
};

// Of the differences of the same seal. Those whose line came to zero are in no batch.
inline bool IsOf(const SealedBatch& batch, LineRef line) {
  return line.line != 0 && line.batch == batch.index;
}

struct WorthWindow {
  // Usage dates after it are not due. None: all usage is; what carries over goes on up to the furthest day that a seal
  // of the book named, and to its last usage; what is due by the calendar alone (fees) up to that day.
  std::optional<Day> through = std::nullopt;
  uint64_t through_sequence = UINT64_MAX;                       // the book as it was after this commit
  std::optional<std::string_view> only_subject = std::nullopt;  // one subject instead of all
  std::optional<SealedBatch> without = std::nullopt;            // what is booked, less this batch
};

// Calls `visit` for each subject that has totals or booked amounts, or a subscription that may owe something without
// usage: shards in parallel (at most `threads`, 0: all cores), the subjects of a shard one after the other, those
// without totals last and by name. The first error ends it. Where the catalog grants something to accounts, their
// subjects are read and rated once more before, to settle that (account_settlement.h).
[[nodiscard]] absl::Status VisitSubjects(const Book& book, const Catalog& catalog, const WorthWindow& window,
                                         int threads,
                                         const std::function<absl::Status(int shard, const SubjectWorth&)>& visit);

// The same by two catalogs, which count alike every meter that the book has usage of (FixedMeters): each shard's totals
// are read once. `booked` is the same in both.
using VisitTwoWorths = std::function<absl::Status(int shard, const SubjectWorth& first, const SubjectWorth& second)>;
[[nodiscard]] absl::Status VisitSubjects(const Book& book, const Catalog& first, const Catalog& second,
                                         const WorthWindow& window, int threads, const VisitTwoWorths& visit);

// Takes those out whose charge and billing period no posting rule takes, and what is booked for the same ones, which
// stays as it is until a rule does: so a charge waits as a whole. `waiting`, which may be null, gets them.
void TakeUnmapped(std::vector<BookedAmount>* differences, std::vector<BookedAmount>* waiting);

// due - booked, by key; booked dates after `through` are left as they are. Appends to `differences`.
void LessBooked(std::span<const BookedAmount> due, std::span<const BookedAmount> booked, std::optional<Day> through,
                std::vector<BookedAmount>* differences);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_SUBJECT_WORTH_H_
