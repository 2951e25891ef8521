#include "pipeline/compared_days.h"

#include <algorithm>

namespace tollbook {

std::span<const DayWorth> DaysWithin(const RatedCharge& rated) {
  const auto behind = std::ranges::lower_bound(rated.days, rated.period.end, {}, &DayWorth::usage_date);
  return {rated.days.begin(), behind};
}

bool DueOn(const RatedCharge& rated, bool by_period, Day usage_date) {
  if (by_period && usage_date < rated.period.end) return usage_date.number == rated.period.end.number - 1;
  return std::any_of(rated.days.begin(), rated.days.end(),
                     [&](const DayWorth& day) { return day.usage_date == usage_date; });
}

ComparedDays CompareDays(const RatedCharge& rated, bool by_period, Day usage_date) {
  ComparedDays compared;
  for (const DayWorth& day : rated.days) {
    if (usage_date < day.usage_date) break;
    compared.before = compared.last;
    compared.last = &day;
  }
  if (by_period && usage_date < rated.period.end) compared.before = nullptr;
  if (!DueOn(rated, by_period, usage_date)) compared.before = compared.last;
  return compared;
}

}  // namespace tollbook
