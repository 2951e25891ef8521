// Arrivals: the events of a book's lines by who they are, in the order in which the book took them in; and whether what
// the book says of each is what dedup says of that order (law 2).
//
// An event is the same as another by a hash, so the hashes' shards can be looked at one by one, after all is read: what
// came first stays, what came later is a duplicate or a conflict. And what stays must be what the book remembers, with
// its content: who forges a source, and what the book says of the file, cannot forge that.
//
// Until then events lie on disk, 40 bytes each; those of a small book stay in memory.
//
// Forgotten   A key that a cut-off took (ledger/cut_off.h) is not missed, nor is what was accepted under it afterwards.
#ifndef TOLLBOOK_PIPELINE_ARRIVALS_H_
#define TOLLBOOK_PIPELINE_ARRIVALS_H_

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/book.h"
#include "ledger/cut_off.h"
#include "ledger/exception.h"
#include "ledger/seen_entry.h"
#include "rating/calendar.h"
#include "rating/error.h"

namespace tollbook {

// What the book says of an identity.
enum class ArrivalRole : uint8_t {
  kAccepted,  // it is new, and remembered from now on
  kKnown,     // it was there: why an event was not accepted
  // Of corrections, which are judged when all that their commit accepts is known
  kKnownThen,  // likewise
  kRestated,   // it was there, with this content: a correction that was applied says so
};

struct Arrival {
  SeenEntry entry;
  uint32_t sequence = 0;  // of the commit that says it
  uint64_t place = 0;     // in the order of reading; for whoever added it to tell where that is
  Day date;               // of the usage
  uint16_t part = 0;      // which event of its line
  ArrivalRole role = ArrivalRole::kAccepted;
  Reason reason = Reason::kNone;  // where it was there
};
static_assert(sizeof(Arrival) == 40);

// One that the book says otherwise of than it is.
struct WrongArrival {
  Arrival arrival;
  std::string_view anew, stored;  // "duplicate", "accepted"
};

struct ArrivalsFound {
  std::vector<WrongArrival> wrong;  // by place
  uint64_t accepted_too_often = 0;  // of them
  uint64_t lost = 0;                // of them, were to be accepted
  uint64_t unknown = 0;             // remembered, and nothing that was read is that event
};

class Arrivals {
 public:
  // `directory`: for what memory need not hold; empty, and so left to whoever made it.
  explicit Arrivals(std::string directory) : directory_(std::move(directory)) {}

  // In any order. Different shards from different threads. Unavailable: the disk.
  [[nodiscard]] absl::Status Add(int shard, std::span<const Arrival> arrivals);
  [[nodiscard]] absl::Status Add(const Arrival& arrival) { return Add(SeenShardOf(arrival.entry), {&arrival, 1}); }

  // `is_all`: every source of the book was read. If not, what came first may be in another one.
  [[nodiscard]] absl::StatusOr<ArrivalsFound> Judge(const Book& book, const std::vector<CutOff>& cut_offs, bool is_all,
                                                    int threads) const;

 private:
  std::string PathOf(int shard) const { return directory_ + "/arrivals-" + std::to_string(shard); }
  absl::Status Flush(int shard);
  absl::StatusOr<std::vector<Arrival>> Load(int shard) const;

  std::string directory_;
  std::array<std::vector<Arrival>, kSeenShards> waiting_;
  std::array<uint64_t, kSeenShards> on_disk_{};
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_ARRIVALS_H_
