#include "rating/rounded_quotient.h"

#include <bit>

#include "rating/error.h"

namespace tollbook {
namespace {

using Limbs = std::array<uint64_t, 4>;

struct Division {
  Uint128 quotient = 0;
  Uint128 remainder = 0;
  bool fits = true;  // into 127 bits
};

// Bit by bit: a divisor may have 127, and this runs once for a quantity, not for an event.
Division DivideLong(const Limbs& magnitude, Uint128 divisor) {
  Division division;
  int bits = 256;
  while (bits > 0 && (magnitude[static_cast<size_t>(bits - 1) / 64] >> ((bits - 1) % 64) & 1) == 0) --bits;
  for (int bit = bits - 1; bit >= 0; --bit) {
    const uint64_t next = magnitude[static_cast<size_t>(bit) / 64] >> (bit % 64) & 1;
    division.remainder = division.remainder << 1 | next;  // below twice the divisor, which has 127 bits
    const bool one = division.remainder >= divisor;
    if (one) division.remainder -= divisor;
    if (division.quotient >> 126 != 0) division.fits = false;
    division.quotient = division.quotient << 1 | (one ? 1 : 0);
  }
  return division;
}

Division Divide(const Limbs& magnitude, Uint128 divisor) {
  if (magnitude[2] != 0 || magnitude[3] != 0 || magnitude[1] >> 63 != 0) return DivideLong(magnitude, divisor);
  const Uint128 value = static_cast<Uint128>(magnitude[1]) << 64 | magnitude[0];
  return {value / divisor, value % divisor, true};
}

bool IsOneMore(Rounding rounding, Uint128 rest, Uint128 divisor, bool is_odd) {
  switch (rounding) {
    case Rounding::kHalfUp:
      return rest >= divisor - rest;
    case Rounding::kHalfEven:
      return rest > divisor - rest || (rest == divisor - rest && is_odd);
    case Rounding::kUp:
      return rest != 0;
    case Rounding::kDown:
      return false;
  }
  TOLLBOOK_ASSERT(!"a rounding of the list");
  return false;
}

}  // namespace

bool RoundedQuotient(const Wide& numerator, Int128 denominator, Rounding rounding, Int128* quotient) {
  TOLLBOOK_ASSERT(denominator > 0);
  const bool negative = numerator.negative();
  const auto divisor = static_cast<Uint128>(denominator);
  Division division = Divide((negative ? numerator.Negated() : numerator).limbs(), divisor);
  if (!division.fits) return false;
  if (IsOneMore(rounding, division.remainder, divisor, (division.quotient & 1) != 0)) ++division.quotient;
  if (division.quotient >> 127 != 0) return false;
  const auto magnitude = static_cast<Int128>(division.quotient);
  *quotient = negative ? -magnitude : magnitude;
  return true;
}

bool RoundedQuotient(const Wide& numerator, uint64_t denominator, Rounding rounding, Wide* quotient) {
  TOLLBOOK_ASSERT(denominator > 0);
  Limbs limbs = (numerator.negative() ? numerator.Negated() : numerator).limbs();
  Uint128 rest = 0;
  for (size_t i = limbs.size(); i-- > 0;) {
    const Uint128 value = rest << 64 | limbs[i];
    limbs[i] = static_cast<uint64_t>(value / denominator);  // the rest is below the denominator: it fits
    rest = value % denominator;
  }
  Wide magnitude = Wide::FromLimbs(limbs);
  const bool is_odd = (limbs[0] & 1) != 0;
  if (IsOneMore(rounding, rest, denominator, is_odd) && !Wide::Add(magnitude, Wide::FromInt128(1), &magnitude)) {
    return false;
  }
  *quotient = numerator.negative() ? magnitude.Negated() : magnitude;
  return true;
}

}  // namespace tollbook
