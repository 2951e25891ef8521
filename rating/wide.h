// Wide: a signed 256-bit whole number, for the exact worth of usage.
//
// Why 256 bits: a quantity has 18 decimals and a price has 18, so their product has 36, and no
// digit may be lost before the one place that rounds. |quantity| < 2^127 and |price| < 2^127, so a
// product is below 2^254 and always fits; sums are checked.
// Errors: Add and Subtract answer with false when the result would not fit; there is no wrap.
#ifndef TOLLBOOK_RATING_WIDE_H_
#define TOLLBOOK_RATING_WIDE_H_

#include <array>
#include <compare>
#include <cstdint>
#include <string>

#include "rating/decimal.h"

namespace tollbook {

class Wide {
 public:
  constexpr Wide() = default;
  static Wide FromInt128(Int128 value);
  static Wide Product(Int128 a, Int128 b);  // exact, always fits

  [[nodiscard]] static bool Add(const Wide& a, const Wide& b, Wide* sum);
  [[nodiscard]] static bool Subtract(const Wide& a, const Wide& b, Wide* difference);
  [[nodiscard]] static bool Multiply(const Wide& a, uint64_t b, Wide* product);
  Wide Negated() const;  // of any value that Add or Product gave
  bool negative() const { return (limbs_[3] >> 63) != 0; }
  bool zero() const { return (limbs_[0] | limbs_[1] | limbs_[2] | limbs_[3]) == 0; }

  // Quotient toward zero by 10^digits (0..76), with the remainder, which has the sign of the value:
  // quotient * 10^digits + remainder == value.
  void DivideByPowerOfTen(int digits, Wide* quotient, Wide* remainder) const;

  bool FitsInt128() const;
  Int128 ToInt128() const;  // asserts FitsInt128()

  // The shortest plain decimal of value * 10^-scale, as FormatDecimal.
  std::string ToDecimal(int scale) const;

  // Little-endian two's complement limbs: the stored form.
  const std::array<uint64_t, 4>& limbs() const { return limbs_; }
  static Wide FromLimbs(const std::array<uint64_t, 4>& limbs);

  friend bool operator==(const Wide&, const Wide&) = default;
  friend std::strong_ordering operator<=>(const Wide& a, const Wide& b);

 private:
  std::array<uint64_t, 4> limbs_{};
};

// Here because they run several times for each day of each charge: called, they cost twice as much.

inline Wide Wide::FromLimbs(const std::array<uint64_t, 4>& limbs) {
  Wide result;
  result.limbs_ = limbs;
  return result;
}

inline Wide Wide::Product(Int128 a, Int128 b) {
  const Uint128 x = a < 0 ? -static_cast<Uint128>(a) : static_cast<Uint128>(a);
  const Uint128 y = b < 0 ? -static_cast<Uint128>(b) : static_cast<Uint128>(b);
  const uint64_t x0 = static_cast<uint64_t>(x), x1 = static_cast<uint64_t>(x >> 64);
  const uint64_t y0 = static_cast<uint64_t>(y), y1 = static_cast<uint64_t>(y >> 64);

  const Uint128 low = static_cast<Uint128>(x0) * y0;
  const Uint128 cross = static_cast<Uint128>(x0) * y1;
  const Uint128 other = static_cast<Uint128>(x1) * y0;
  const Uint128 high = static_cast<Uint128>(x1) * y1;
  // Each term below 2^64: three of them cannot overflow 128 bits.
  const Uint128 middle = (low >> 64) + static_cast<uint64_t>(cross) + static_cast<uint64_t>(other);
  const Uint128 top = high + (cross >> 64) + (other >> 64) + (middle >> 64);

  const Wide magnitude = FromLimbs({static_cast<uint64_t>(low), static_cast<uint64_t>(middle),
                                    static_cast<uint64_t>(top), static_cast<uint64_t>(top >> 64)});
  return (a < 0) != (b < 0) ? magnitude.Negated() : magnitude;
}

inline bool Wide::Add(const Wide& a, const Wide& b, Wide* sum) {
  Wide result;
  Uint128 carry = 0;
  for (size_t i = 0; i < 4; ++i) {
    carry += static_cast<Uint128>(a.limbs_[i]) + b.limbs_[i];
    result.limbs_[i] = static_cast<uint64_t>(carry);
    carry >>= 64;
  }
  if (a.negative() == b.negative() && result.negative() != a.negative()) return false;
  // -2^255 has no counterpart: kept out, so that every sum can be negated.
  if (result.limbs_ == std::array<uint64_t, 4>{0, 0, 0, uint64_t{1} << 63}) return false;
  *sum = result;
  return true;
}

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_WIDE_H_
