// RateSteps: what the files of SubjectRater (rate.cc, rate_*.cc) share.
#ifndef TOLLBOOK_RATING_RATE_STEPS_H_
#define TOLLBOOK_RATING_RATE_STEPS_H_

#include <algorithm>

#include "rating/error.h"
#include "rating/rate.h"

namespace tollbook {

// OutOfRange, with the subscription, charge and period.
[[nodiscard]] absl::Status TotalOutOfRange(const RatedCharge& rated);
[[nodiscard]] absl::Status WorthOutOfRange(const RatedCharge& rated, Quantity quantity);

inline bool IsLastDay(const RatedCharge& rated, Day day) {
  return day.number == rated.period.end.number - 1;
}

// Up to which day that is due which is due by the calendar alone. None: nothing of it.
inline std::optional<Day> TimedThrough(const RateWindow& window) {
  return window.through ? window.through : window.carried_through;
}

// What of its minimum is due: the share by days, or all of it.
inline DayShare MinimumShareOf(const RatedCharge& rated) {
  return rated.charge->minimum ? rated.bound_share() : DayShare{};
}

// What a plan's bound adds to so much, in minor units: at least zero of a minimum, at most zero of a maximum. False: it
// does not fit.
[[nodiscard]] bool PriceBound(const RatedCharge& rated, Int128 bounded, Currency currency, Worth* worth);

// The version that is valid on the day, or the last one before it; the first where there is none.
[[nodiscard]] const Subscription& VersionOn(const Catalog::SubscriptionRange& subscriptions, std::string_view id,
                                            Day day);

// What was appended later may have moved what the charges' spans point to; their sizes stand.
void PointToDays(RatedSubject* rated);

// Equal values mostly lie in one place, and then need not be looked at.
inline bool SameValues(DimensionValues a, DimensionValues b) {
  return (a.data() == b.data() && a.size() == b.size()) || std::ranges::equal(a, b);
}

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_RATE_STEPS_H_
