// MinorUnit: how much one minor unit of a currency (a cent, a yen, a fils) is at the scale of prices.
//
// How many digits a currency has is said by Currency alone (money.h, by ISO 4217), and this is the way back from whole
// minor units to exact amounts. The other way drops digits and is RoundToMinor.
#ifndef TOLLBOOK_RATING_MINOR_UNIT_H_
#define TOLLBOOK_RATING_MINOR_UNIT_H_

#include "rating/error.h"
#include "rating/money.h"
#include "rating/quantity.h"

namespace tollbook {

// One minor unit in 10^-18 of the major one, exact: at least 10^14.
inline Int128 MinorUnitAttos(Currency currency) {
  Int128 attos = 1;
  for (int digits = currency.minor_digits(); digits < kPriceScale; ++digits) attos *= 10;
  return attos;
}

// The same amount as a worth, exact. Any `minor` fits: its 2^127 times 10^36 is below 2^247.
inline Worth ExactWorth(const Money& amount) {
  Worth worth;
  TOLLBOOK_ASSERT(
      Wide::Multiply(Wide::Product(amount.minor, MinorUnitAttos(amount.currency)), kOneUnit, &worth.amount));
  return worth;
}

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_MINOR_UNIT_H_
