#include "rating/wide.h"

#include <algorithm>

#include "rating/decimal_digits.h"
#include "rating/error.h"

namespace tollbook {
namespace {

using Limbs = std::array<uint64_t, 4>;

constexpr uint64_t kSignBit = uint64_t{1} << 63;

Limbs Complement(const Limbs& limbs) {
  Limbs result;
  bool carry = true;
  for (size_t i = 0; i < 4; ++i) {
    result[i] = ~limbs[i] + (carry ? 1 : 0);
    carry = carry && result[i] == 0;
  }
  return result;
}

// As an unsigned number; of -2^255 too.
Limbs Magnitude(const Wide& value) {
  return value.negative() ? Complement(value.limbs()) : value.limbs();
}

Wide Signed(const Limbs& magnitude, bool negative) {
  return Wide::FromLimbs(negative ? Complement(magnitude) : magnitude);
}

// Divides in place and gives the remainder.
uint64_t DivideShort(Limbs* limbs, uint64_t divisor) {
  uint64_t remainder = 0;
  for (size_t i = 4; i-- > 0;) {
    uint64_t& limb = (*limbs)[i];
    if ((remainder | limb) == 0) continue;  // most amounts are short, and a 128-bit division is not
    const Uint128 part = (static_cast<Uint128>(remainder) << 64) | limb;
    limb = static_cast<uint64_t>(part / divisor);
    remainder = static_cast<uint64_t>(part) - limb * divisor;  // below the divisor, so 64 bits of it are all of it
  }
  return remainder;
}

// Multiplies in place; false when more than 256 bits would be needed.
bool MultiplyShort(Limbs* limbs, uint64_t factor) {
  Uint128 carry = 0;
  for (uint64_t& limb : *limbs) {
    carry += static_cast<Uint128>(limb) * factor;
    limb = static_cast<uint64_t>(carry);
    carry >>= 64;
  }
  return carry == 0;
}

bool IsZero(const Limbs& limbs) {
  return (limbs[0] | limbs[1] | limbs[2] | limbs[3]) == 0;
}

}  // namespace

Wide Wide::FromInt128(Int128 value) {
  const uint64_t sign = value < 0 ? ~uint64_t{0} : 0;
  const Uint128 bits = static_cast<Uint128>(value);
  return FromLimbs({static_cast<uint64_t>(bits), static_cast<uint64_t>(bits >> 64), sign, sign});
}

bool Wide::Subtract(const Wide& a, const Wide& b, Wide* difference) {
  return Add(a, b.Negated(), difference);
}

bool Wide::Multiply(const Wide& a, uint64_t b, Wide* product) {
  Limbs magnitude = Magnitude(a);
  if (!MultiplyShort(&magnitude, b) || (magnitude[3] & kSignBit) != 0) return false;
  *product = Signed(magnitude, a.negative());
  return true;
}

Wide Wide::Negated() const {
  TOLLBOOK_ASSERT((limbs_ != Limbs{0, 0, 0, kSignBit}));
  return FromLimbs(Complement(limbs_));
}

void Wide::DivideByPowerOfTen(int digits, Wide* quotient, Wide* remainder) const {
  TOLLBOOK_ASSERT(digits >= 0 && digits <= 76);
  // By at most 10^19 at a time: 64-bit divisors. Each truncates, so together they truncate once.
  const Limbs value = Magnitude(*this);
  Limbs quotient_magnitude = value;
  for (int left = digits; left > 0; left -= 19) DivideShort(&quotient_magnitude, kPowersOfTen[std::min(left, 19)]);

  Limbs taken = quotient_magnitude;
  for (int left = digits; left > 0; left -= 19) {
    TOLLBOOK_ASSERT(MultiplyShort(&taken, kPowersOfTen[std::min(left, 19)]));
  }
  Limbs rest = value;
  uint64_t borrow = 0;
  for (size_t i = 0; i < 4; ++i) {
    const Uint128 part = static_cast<Uint128>(value[i]) - taken[i] - borrow;
    rest[i] = static_cast<uint64_t>(part);
    borrow = (part >> 64) != 0 ? 1 : 0;
  }
  const bool below_zero = negative();
  *quotient = Signed(quotient_magnitude, below_zero);
  *remainder = Signed(rest, below_zero);
}

bool Wide::FitsInt128() const {
  const uint64_t sign = (limbs_[1] & kSignBit) != 0 ? ~uint64_t{0} : 0;
  return limbs_[2] == sign && limbs_[3] == sign;
}

Int128 Wide::ToInt128() const {
  TOLLBOOK_ASSERT(FitsInt128());
  return static_cast<Int128>((static_cast<Uint128>(limbs_[1]) << 64) | limbs_[0]);
}

std::string Wide::ToDecimal(int scale) const {
  std::string reversed;
  for (Limbs rest = Magnitude(*this); !IsZero(rest);) {
    uint64_t chunk = DivideShort(&rest, kPowersOfTen[19]);
    for (int i = 0; i < 19; ++i, chunk /= 10) reversed += static_cast<char>('0' + chunk % 10);
  }
  std::reverse(reversed.begin(), reversed.end());
  return PlacePoint(negative(), reversed, scale, TrailingZeros::kDrop);
}

std::strong_ordering operator<=>(const Wide& a, const Wide& b) {
  if (a.negative() != b.negative()) {
    return a.negative() ? std::strong_ordering::less : std::strong_ordering::greater;
  }
  for (size_t i = 4; i-- > 0;) {
    if (a.limbs_[i] != b.limbs_[i]) return a.limbs_[i] <=> b.limbs_[i];
  }
  return std::strong_ordering::equal;
}

}  // namespace tollbook
