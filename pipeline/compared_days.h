// ComparedDays: the days of a charge that a journal line is the difference of.
#ifndef TOLLBOOK_PIPELINE_COMPARED_DAYS_H_
#define TOLLBOOK_PIPELINE_COMPARED_DAYS_H_

#include <span>

#include "rating/rate.h"

namespace tollbook {

// Those of the line's days that lie in its billing period; a line by period is dated at its last day. Behind it there
// are only those of a bound (what it bounds was credited later), and each of them is a line by day.
[[nodiscard]] std::span<const DayWorth> DaysWithin(const RatedCharge& rated);

// Is anything due for the charge on the usage date? If not, the line only books back what was booked there before the
// summary policy or the charge's filter changed.
[[nodiscard]] bool DueOn(const RatedCharge& rated, bool by_period, Day usage_date);

// The running state at the usage date, and at what it is compared with: nothing, where the line covers the period; the
// day before, where it covers the day; itself, where nothing is due. Null: there is none.
struct ComparedDays {
  const DayWorth* last = nullptr;
  const DayWorth* before = nullptr;
};
[[nodiscard]] ComparedDays CompareDays(const RatedCharge& rated, bool by_period, Day usage_date);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_COMPARED_DAYS_H_
