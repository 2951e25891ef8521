// ScaledValue: an exact quantity as a whole number of the coarsest unit, of a few, that it is a multiple of. Metered
// values have few decimals, so most take two or three bytes so, and as attos ten.
//
// A division of 128 bits costs some 20 ns and one would be needed for each unit tried. Whether a number is a multiple
// of 10^k, and the quotient, takes one multiplication (T. Granlund and P. Montgomery, "Division by invariant integers
// using multiplication", 1994, section 9): 2 ns. The plain twin is `/` and `%`, in the test.
#ifndef TOLLBOOK_LEDGER_SCALED_VALUE_H_
#define TOLLBOOK_LEDGER_SCALED_VALUE_H_

#include <array>
#include <cstdint>

#include "rating/quantity.h"

namespace tollbook {

// The units, in attos, as powers of ten, coarsest first. Their places in the list are stored: FORMAT.md.
inline constexpr std::array<int, 5> kValueScales = {18, 15, 12, 9, 0};

struct ScaledValue {
  uint32_t scale = 0;   // index into kValueScales
  Int128 mantissa = 0;  // value = mantissa * 10^kValueScales[scale] attos
};

namespace scaled_value_internal {

constexpr Uint128 Power(Uint128 base, int exponent) {
  Uint128 power = 1;
  for (; exponent > 0; --exponent) power *= base;
  return power;
}

// x * InverseOf(x) == 1 modulo 2^128, for an odd x. Each step of Newton's method doubles the right bits, from 3.
constexpr Uint128 InverseOf(Uint128 odd) {
  Uint128 inverse = odd;
  for (int right_bits = 3; right_bits < 128; right_bits *= 2) inverse *= 2 - odd * inverse;
  return inverse;
}

// A number is a multiple of 10^k when its last k bits are 0 and the rest is a multiple of 5^k; exactly the multiples of
// an odd number have a product with its inverse that is small enough to be their quotient.
template <int kPower>
bool DivideExactly(Uint128 number, Uint128* quotient) {
  constexpr Uint128 kFives = Power(5, kPower);
  constexpr Uint128 kInverse = InverseOf(kFives);
  constexpr Uint128 kQuotientMax = ~static_cast<Uint128>(0) / kFives;
  if ((static_cast<uint64_t>(number) & ((uint64_t{1} << kPower) - 1)) != 0) return false;
  *quotient = (number >> kPower) * kInverse;
  return *quotient <= kQuotientMax;
}

}  // namespace scaled_value_internal

inline ScaledValue ScaleValue(Quantity value) {
  using scaled_value_internal::DivideExactly;
  const bool negative = value.attos < 0;
  const Uint128 magnitude = negative ? -static_cast<Uint128>(value.attos) : static_cast<Uint128>(value.attos);
  Uint128 quotient = 0;
  uint32_t scale = 0;
  if (DivideExactly<18>(magnitude, &quotient)) {
    scale = 0;
  } else if (DivideExactly<15>(magnitude, &quotient)) {
    scale = 1;
  } else if (DivideExactly<12>(magnitude, &quotient)) {
    scale = 2;
  } else if (DivideExactly<9>(magnitude, &quotient)) {
    scale = 3;
  } else {
    scale = 4;
    quotient = magnitude;
  }
  return {scale, static_cast<Int128>(negative ? -quotient : quotient)};
}

// False when the value does not fit a Quantity.
inline bool UnscaleValue(const ScaledValue& scaled, Quantity* value) {
  static constexpr std::array<int64_t, 5> kUnits = {1'000'000'000'000'000'000, 1'000'000'000'000'000, 1'000'000'000'000,
                                                    1'000'000'000, 1};
  const auto narrow = static_cast<int64_t>(scaled.mantissa);
  if (narrow == scaled.mantissa) {
    value->attos = static_cast<Int128>(narrow) * kUnits[scaled.scale];  // 2^63 * 10^18 fits
    return true;
  }
  return !__builtin_mul_overflow(scaled.mantissa, static_cast<Int128>(kUnits[scaled.scale]), &value->attos);
}

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_SCALED_VALUE_H_
