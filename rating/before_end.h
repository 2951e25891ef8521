// BeforeEnd: what a rated day is worth as long as its period goes on, and so without what is due only when it ends: a
// minimum, the true-up of a commitment. On all days but the period's last it is PriceToDate (rate.h).
#ifndef TOLLBOOK_RATING_BEFORE_END_H_
#define TOLLBOOK_RATING_BEFORE_END_H_

#include <vector>

#include "rating/rate.h"

namespace tollbook {

// Of usage, not of a fee, a bound or a grant. `steps` may be null; it is cleared first.
[[nodiscard]] absl::StatusOr<Worth> PriceBeforeEnd(const RatedCharge& rated, const DayWorth& day,
                                                   std::vector<PriceStep>* steps);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_BEFORE_END_H_
