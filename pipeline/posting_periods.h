// PostingPeriods: in which accounting period a difference is posted, and on which day.
//
// Usage belongs to the period of its usage date, and is posted there while that is open. When it is closed, the entity
// says whether late usage goes to the first open period behind it, on that period's first day, is accrued there until
// the open period behind that one, or waits. What belongs to a period that is soft-closed waits too, unless a seal
// adjusts; so does what belongs to a future one.
#ifndef TOLLBOOK_PIPELINE_POSTING_PERIODS_H_
#define TOLLBOOK_PIPELINE_POSTING_PERIODS_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/book.h"
#include "ledger/period_change.h"
#include "rating/catalog.h"

namespace tollbook {

struct PostingPlace {
  bool waits = false;       // not to be booked; the period and its state say why
  AccountingPeriod period;  // where it is posted; where it belongs when it waits
  PeriodState state = PeriodState::kOpen;
  Day posting_date;
  std::optional<Day> usage_date;  // where the posting date is another day
  // Of late usage that is accrued here: where that is reversed, and the usage booked, on the period's first day.
  std::optional<AccountingPeriod> booked_in = {};
};

// Borrows the catalog. All of it is const and may be used by several threads.
class PostingPeriods {
 public:
  // `adjusts`: books into soft-closed periods. FailedPrecondition: an entity's calendar has other days for a period
  // whose state was changed than it had then.
  static absl::StatusOr<PostingPeriods> Make(const Catalog& catalog, const std::vector<PeriodChange>& changes,
                                             bool adjusts = false);
  // By the changes that the book has, up to a commit.
  static absl::StatusOr<PostingPeriods> Make(const Book& book, const Catalog& catalog,
                                             uint64_t through_sequence = UINT64_MAX, bool adjusts = false);

  // Every difference is posted on its usage date.
  bool all_open() const { return all_open_; }
  // Some entity accrues late usage.
  bool has_accruals() const { return has_accruals_; }
  PostingPlace PlaceOf(std::string_view entity, Day usage_date) const;
  PeriodState StateOf(std::string_view entity, const AccountingPeriod& period) const;
  // The period of the entity that the day lies in.
  AccountingPeriod PeriodOf(std::string_view entity, Day day) const;
  // Of that name; none: the entity's calendar has no such period.
  std::optional<AccountingPeriod> Find(std::string_view entity, std::string_view name) const;

 private:
  // A period that somebody has changed, as the last change left it.
  struct Changed {
    AccountingPeriod period;
    PeriodState state = PeriodState::kOpen;
  };
  struct OfEntity {
    const Entity* entity = nullptr;  // null: the catalog has it no more
    std::map<Day, Changed> changed;  // by their first days
  };
  explicit PostingPeriods(bool adjusts) : adjusts_(adjusts) {}
  const OfEntity& Of(std::string_view entity) const;
  static AccountingPeriod PeriodIn(const OfEntity& of, Day day);
  static PeriodState StateIn(const OfEntity& of, const AccountingPeriod& period);
  // The first open period behind this one; none: those behind all that were changed are not open either.
  static std::optional<AccountingPeriod> OpenPeriodBehind(const OfEntity& of, const AccountingPeriod& period);

  std::map<std::string, OfEntity, std::less<>> entities_;
  bool adjusts_ = false;
  bool all_open_ = true;
  bool has_accruals_ = false;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_POSTING_PERIODS_H_
