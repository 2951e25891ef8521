// Conversion: metered units to priced ones: bytes to GB, cents to EUR.
#ifndef TOLLBOOK_RATING_CONVERSION_H_
#define TOLLBOOK_RATING_CONVERSION_H_

#include <string>

#include "rating/plan.h"

namespace tollbook {

// Rounded once, from the exact product or quotient, its magnitude: -n gives what n gives, below zero.
// Without a rounding the result has 18 decimals, as every quantity, and here is the one place where what lies below is
// rounded: half to even. A division by 3 is accepted so, and one by 1000 of any usual quantity is exact.
// False when the result does not fit a quantity.
[[nodiscard]] bool Convert(const Conversion& conversion, Quantity quantity, Quantity* converted);

std::string ToString(const Conversion& conversion);  // "/ 1000, rounded up to 0 places"

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CONVERSION_H_
