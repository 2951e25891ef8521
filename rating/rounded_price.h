// RoundedPrice: what a running total rounds to by one charge, mostly without its exact worth.
//
// A seal asks this for every day of every charge, and needs none of the worth's 36 decimals. So each step of the charge
// has its price and base once more, in minor units with 64 binary places, cut off. One product of 128 by 64 bits then
// tells an amount that is less than `slack` of the last of these places too small; unless rounding turns within that
// slack, the rounded amount is certain, at a fifth of the exact way's time (`Rate` and
// `RateExactly` of bench/parts.cc).
// What is not certain (ties, negative totals, amounts beyond 2^62) goes the exact way, PreparedCharge and RoundToMinor,
// which is the plain twin.
#ifndef TOLLBOOK_RATING_ROUNDED_PRICE_H_
#define TOLLBOOK_RATING_ROUNDED_PRICE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "rating/money.h"
#include "rating/plan.h"
#include "rating/prepared_charge.h"
#include "rating/quantity.h"

namespace tollbook {

class RoundedPrice {
 public:
  RoundedPrice(const Charge& charge, Currency currency, Rounding rounding);  // borrowed

  // The minor units of RoundToMinor(PriceQuantity(charge, quantity)); false where either is OutOfRange.
  [[nodiscard]] bool Of(Quantity quantity, Int128* minor) const {
    return Certainly(quantity, minor) || Exactly(quantity, minor);
  }
  // The two ways of Of. The short one says false where it is not certain; both agree wherever it answers.
  [[nodiscard]] bool Certainly(Quantity quantity, Int128* minor) const {
    Int128 billable = 0;
    if (!prices_.Billable(quantity, &billable)) return false;
    if (billable > 0) return IsCertain(billable, minor);
    if (billable == 0 && of_nothing_) return *minor = *of_nothing_, true;
    return false;
  }
  [[nodiscard]] bool Exactly(Quantity quantity, Int128* minor) const;

 private:
  // A step of the charge. A quantity is in attos, so `price` is one atto's price times 2^(kPlaces + shift).
  static constexpr int kPlaces = 64;
  struct Step {
    Int128 up_to = 0;
    Int128 from = 0;
    uint64_t price = 0;  // below 2^63
    int shift = 0;       // 1 to 127; 0: this step's amounts are not told
    Uint128 base = 0;    // below 2^126
  };
  static Step StepOf(const PreparedCharge::Step& exact, int minor_digits);
  [[nodiscard]] bool IsCertain(Int128 billable, Int128* minor) const;

  PreparedCharge prices_;
  Currency currency_;
  Rounding rounding_;
  Uint128 towards_ = 0;  // added before cutting off, it makes the rounding asked for
  std::vector<Step> steps_;
  std::optional<Int128> of_nothing_;
};

inline bool RoundedPrice::IsCertain(Int128 billable, Int128* minor) const {
  const Step* step = steps_.data();
  while (billable > step->up_to) ++step;
  if (step->shift == 0) return false;
  const Uint128 above = static_cast<Uint128>(billable - step->from);
  const Uint128 low = static_cast<Uint128>(static_cast<uint64_t>(above)) * step->price;
  const Uint128 high = (above >> 64) * step->price + (low >> 64);  // below 2^127: the price is below 2^63
  Uint128 amount = 0;
  if (step->shift >= 64) {
    amount = high >> (step->shift - 64);
  } else {
    if (high >> (64 + step->shift) != 0) return false;
    amount = high << (64 - step->shift) | static_cast<uint64_t>(low) >> step->shift;
  }
  if (amount >> 126 != 0) return false;
  amount += step->base + towards_;
  // The exact amount is at least this and less than `slack` more: the price was cut off by less than 1, and that times
  // `above`; the product and the base by less than 1 each.
  const Uint128 slack = (above >> step->shift) + 3;
  const auto places = static_cast<uint64_t>(amount);
  *minor = static_cast<Int128>(amount >> kPlaces);
  return places != 0 && slack <= ~places;
}

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_ROUNDED_PRICE_H_
