#include "rating/time_rate.h"

#include "rating/decimal_digits.h"
#include "rating/quantity.h"
#include "rating/rounded_quotient.h"

namespace tollbook {

bool PriceOfIncrement(const TimeRate& rate, const TimeStep& step, IncrementPrice* price) {
  const Wide of_all = Wide::Product(step.price.attos, step.increment_nanos);
  *price = {};
  if (rate.increment_rounding) {
    const auto unit = static_cast<Int128>(kPowersOfTen[kPriceScale - rate.increment_places]);
    Int128 units = 0;  // 10^18 nanoseconds at most times 10^18 fit
    return RoundedQuotient(of_all, step.per_nanos * unit, *rate.increment_rounding, &units) &&
           !__builtin_mul_overflow(units, unit, &price->price.attos);
  }
  if (!RoundedQuotient(of_all, step.per_nanos, Rounding::kDown, &price->price.attos)) return false;
  Wide rest;
  if (!Wide::Subtract(of_all, Wide::Product(price->price.attos, step.per_nanos), &rest)) return false;
  price->rest = static_cast<int64_t>(rest.ToInt128());  // below per
  return true;
}

bool WorthOfIncrements(const TimeRate& rate, const TimeStep& step, uint64_t increments, Worth* worth) {
  IncrementPrice price;
  if (!PriceOfIncrement(rate, step, &price)) return false;
  const Int128 count = static_cast<Int128>(increments) * kOneUnit;  // below 2^124
  worth->amount = Wide::Product(count, price.price.attos);
  if (price.rest == 0) return true;
  Int128 of_rest = 0;  // less than one atto each
  return RoundedQuotient(Wide::Product(count, price.rest), step.per_nanos, Rounding::kHalfEven, &of_rest) &&
         Wide::Add(worth->amount, Wide::FromInt128(of_rest), &worth->amount);
}

}  // namespace tollbook
