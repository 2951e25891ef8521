// RoundedQuotient: a quotient of whole numbers, rounded once: of units and packages; of a worth at its last decimal, half
// to even, where it is shared by days or taken by a factor; of minor units, by the book's rounding, where what is booked
// is divided on (a discount of booked lines, a fee recognised by day, a tax that is estimated). What is booked of a
// worth is RoundToMinor's.
#ifndef TOLLBOOK_RATING_ROUNDED_QUOTIENT_H_
#define TOLLBOOK_RATING_ROUNDED_QUOTIENT_H_

#include "rating/money.h"
#include "rating/wide.h"

namespace tollbook {

// numerator / denominator, its magnitude rounded: so that -n gives what n gives, below zero. The denominator is above
// zero. False when the quotient does not fit 127 bits.
[[nodiscard]] bool RoundedQuotient(const Wide& numerator, Int128 denominator, Rounding rounding, Int128* quotient);

// The same of a wide quotient, by what days and shares are divided by. False when it has no room for the last digit.
[[nodiscard]] bool RoundedQuotient(const Wide& numerator, uint64_t denominator, Rounding rounding, Wide* quotient);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_ROUNDED_QUOTIENT_H_
