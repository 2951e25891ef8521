// RateSteps: what the two halves of SubjectRater (rate.cc, rate_carried.cc) share.
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

// Equal values mostly lie in one place, and then need not be looked at.
inline bool SameValues(DimensionValues a, DimensionValues b) {
  return (a.data() == b.data() && a.size() == b.size()) || std::ranges::equal(a, b);
}

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_RATE_STEPS_H_
