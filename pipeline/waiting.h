// WaitingAmount: what usage is worth more, or less, than is booked, and no seal books: as the accounting periods stand,
// or because no posting rule says where.
#ifndef TOLLBOOK_PIPELINE_WAITING_H_
#define TOLLBOOK_PIPELINE_WAITING_H_

#include <functional>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "ledger/book.h"
#include "pipeline/posting_periods.h"
#include "pipeline/subject_worth.h"

namespace tollbook {

// What waits of one legal entity, accounting period and currency, for one reason.
struct WaitingAmount {
  std::string entity;
  AccountingPeriod period;
  PeriodState state = PeriodState::kClosed;
  Currency currency;
  LineSum sum;            // of the differences; those that only move deferred amounts to revenue add nothing (WorthAt)
  bool unmapped = false;  // no posting rule takes them; `period` is then where one would post them
};

// "acme-us 2025-01 is closed: 2 differences, 0.20 USD", "acme-us 2025-01 has no posting rule for 2 differences, …"
std::string ToString(const WaitingAmount& waits);

// "2 differences, 0.20 USD"
std::string ToString(const LineSum& sum, Currency currency);

// Parts what can be posted from what waits. Not thread-safe; the entities' names are borrowed from the differences.
class WaitingSums {
 public:
  explicit WaitingSums(const PostingPeriods& periods) : periods_(&periods) {}

  // Keeps of a subject's `differences` those that can be posted, and adds up the others. OutOfRange: their sum cannot
  // be held.
  absl::Status TakeWaiting(std::vector<BookedAmount>* differences);
  absl::Status Add(const WaitingSums& other);  // of other subjects
  std::vector<WaitingAmount> All() const;      // by (entity, period, currency), those of its state first

 private:
  using Place = std::tuple<std::string, Day, std::string, bool>;  // entity, the period's first day, currency, unmapped
  absl::Status Take(const BookedAmount& difference, const PostingPlace& place, bool unmapped);
  const PostingPlace& PlaceOf(const BookedKey& key);
  absl::Status AddTo(const Place& place, const WaitingAmount& waiting);

  const PostingPeriods* periods_;
  std::map<std::pair<std::string_view, Day>, PostingPlace> places_;  // a subject's usage dates are few
  std::map<Place, WaitingAmount> sums_;
};

// What a seal of the catalog would leave waiting now. `each`, when there is one, sees every difference that does, of
// one subject at a time and in no order of subjects.
using VisitWaiting = std::function<void(std::string_view subject, const BookedAmount& difference,
                                        const PostingPlace& place, bool unmapped)>;
[[nodiscard]] absl::StatusOr<std::vector<WaitingAmount>> WaitingDifferences(const Book& book, const Catalog& catalog,
                                                                            const WorthWindow& window, int threads,
                                                                            const VisitWaiting& each = nullptr);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_WAITING_H_
