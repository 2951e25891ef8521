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

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_WIDE_H_
