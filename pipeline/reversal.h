// Reversal: a batch of the journal is taken back by reference, line by line.
//
// A batch never changes. So a seal books its lines the other way round, in a batch of its own that names it, and beside
// that what the usage is worth less what is booked without it: by the posting rules of now. The law that the booked
// amounts are the worth holds before and after.
#ifndef TOLLBOOK_PIPELINE_REVERSAL_H_
#define TOLLBOOK_PIPELINE_REVERSAL_H_

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/book.h"
#include "pipeline/posting_periods.h"
#include "pipeline/subject_worth.h"

namespace tollbook {

struct ReversalOrder {
  std::string batch;  // its id
  std::string by;
  std::string why;
};

// What a seal needs of the batch that it reverses. Borrows the periods.
class Reversal {
 public:
  // InvalidArgument: nobody is named, or no reason is given. NotFound: no such batch. FailedPrecondition: it is a
  // reversal itself, is reversed already or is not approved, or the periods take none of its lines.
  static absl::StatusOr<Reversal> Make(const Book& book, const PostingPeriods& periods, const ReversalOrder& order);

  const ReversalOrder& order() const { return order_; }
  const SealedBatch& batch() const { return sealed_; }

  // Where a line of that usage date is taken back: on the day on which it was posted, where its accounting period is
  // still open; else as the period says of late usage.
  PostingPlace PlaceOf(Day usage_date) const;

  // What the batch booked for one subject, the other way round.
  struct OfSubject {
    std::string subject;
    std::vector<BookedAmount> amounts;
  };
  // Those of one shard; their names live as long as this does.
  absl::StatusOr<std::vector<OfSubject>> AmountsIn(const Book& book, int shard);

 private:
  Reversal(const PostingPeriods& periods, ReversalOrder order) : periods_(&periods), order_(std::move(order)) {}
  absl::Status CheckBatch(const std::vector<SealRecord>& seals, const std::vector<JournalBatch>& batches,
                          const Book& book);
  absl::Status FindPlaces(const JournalBatch& batch);
  absl::Status Take(std::string_view subject, const Difference& difference, OfSubject* into);

  const PostingPeriods* periods_;
  ReversalOrder order_;
  SealedBatch sealed_;
  std::map<Day, PostingPlace> places_;  // by the usage dates of the batch's lines
  std::deque<StoredRun> runs_;          // that the names of the amounts point into
  std::set<BookedPlace> booked_places_;
};

// The batch that a seal took back; none: it took none. DataLoss: no seal before it made that batch.
[[nodiscard]] absl::StatusOr<std::optional<SealedBatch>> ReversedBatch(const Book& book, const SealRecord& seal);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_REVERSAL_H_
