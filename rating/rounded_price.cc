#include "rating/rounded_price.h"

namespace tollbook {
namespace {

constexpr uint64_t kPriceFrom = uint64_t{1} << 62;  // so many bits a price is given, where it has them
constexpr Int128 kBaseMax = Int128{1} << 62;        // in minor units

// The next binary place of rest / unit.
uint64_t NextPlace(Int128 unit, Int128* rest) {
  *rest <<= 1;  // a unit is at most 10^36
  const bool one = *rest >= unit;
  if (one) *rest -= unit;
  return one ? 1 : 0;
}

Uint128 TowardsOf(Rounding rounding, int places) {
  switch (rounding) {
    case Rounding::kHalfUp:
    case Rounding::kHalfEven:
      return Uint128{1} << (places - 1);
    case Rounding::kUp:
      return Uint128{1} << places;
    case Rounding::kDown:
      return 0;
  }
  return 0;
}

}  // namespace

RoundedPrice::RoundedPrice(const Charge& charge, Currency currency, Rounding rounding)
    : prices_(charge), currency_(currency), rounding_(rounding), towards_(TowardsOf(rounding, kPlaces)) {
  for (const PreparedCharge::Step& step : prices_.steps()) steps_.push_back(StepOf(step, currency.minor_digits()));
  Int128 minor = 0;
  if (!steps_.empty() && Exactly({}, &minor)) of_nothing_ = minor;
}

RoundedPrice::Step RoundedPrice::StepOf(const PreparedCharge::Step& exact, int minor_digits) {
  Step step;
  step.up_to = exact.up_to;
  step.from = exact.from;
  Int128 unit = 1;  // the worth's units in one minor unit
  for (int digit = minor_digits; digit < kWorthScale; ++digit) unit *= 10;

  if (exact.price < 0 || exact.base.negative()) return step;
  Wide whole, left_over;
  exact.base.DivideByPowerOfTen(kWorthScale - minor_digits, &whole, &left_over);
  if (whole >= Wide::FromInt128(kBaseMax)) return step;
  step.base = static_cast<Uint128>(whole.ToInt128());
  Int128 rest = left_over.ToInt128();
  for (int place = 0; place < kPlaces; ++place) step.base = step.base << 1 | NextPlace(unit, &rest);

  if (exact.price / unit >= static_cast<Int128>(kPriceFrom)) return step;
  step.price = static_cast<uint64_t>(exact.price / unit);
  rest = exact.price % unit;
  int places = 0;
  for (; places < kPlaces + 127 && step.price < kPriceFrom; ++places) {
    step.price = step.price << 1 | NextPlace(unit, &rest);
  }
  step.shift = std::max(0, places - kPlaces);
  return step;
}

bool RoundedPrice::Exactly(Quantity quantity, Int128* minor) const {
  Worth worth;
  Rounded rounded;
  if (!prices_.Price(quantity, &worth) || !RoundToMinor(worth, currency_, rounding_, &rounded)) return false;
  *minor = rounded.line.minor;
  return true;
}

}  // namespace tollbook
