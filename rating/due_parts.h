// DueParts: what a line comes to, by the days on which it came due, for what goes by parts of it: the minimum and
// maximum of a plan, and discounts, which go by the plan's billing periods and by the versions of the subscription.
//
// A line may fall on a later day (a fee is given back, a price falls): what is credited then comes off what came due
// last before it, be it in an earlier period. So no part is below zero, unless all of the line is: then the first one,
// until as much came due again. The line of a bound is of the period that it bounds, whatever day it changes on.
#ifndef TOLLBOOK_RATING_DUE_PARTS_H_
#define TOLLBOOK_RATING_DUE_PARTS_H_

#include <vector>

#include "rating/rate.h"

namespace tollbook {

// What a day of the line adds to what came due on the same day or an earlier one, in minor units.
struct DuePart {
  Day due, day;
  Int128 minor = 0;
};

// Appends the parts of a line, ascending by `day`: for each of its days one at least that is due on it, be it 0. False:
// what a day changes does not fit.
[[nodiscard]] bool AppendDueParts(const RatedCharge& line, std::vector<DuePart>* parts);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_DUE_PARTS_H_
