// Reciprocal: dividing up to 192 bits by a large power of ten with multiplications.
//
// Rounding divides each day's worth by 10^32 to 10^36, which is wider than the processor's division: digit by digit
// that is a dozen library calls. With the divisor's reciprocal, made when the program is built, it is five
// multiplications and two corrections: algorithm 4 of Möller and Granlund, "Improved division by invariant
// integers" (IEEE Transactions on Computers, 2011). The plain twin is Wide::DivideByPowerOfTen, which also takes every
// larger value.
#ifndef TOLLBOOK_RATING_RECIPROCAL_H_
#define TOLLBOOK_RATING_RECIPROCAL_H_

#include <bit>
#include <cstdint>

#include "rating/decimal.h"

namespace tollbook {

// A divisor between 2^64 and 2^127.
class Reciprocal {
 public:
  constexpr explicit Reciprocal(Uint128 divisor)
      : shift_(std::countl_zero(static_cast<uint64_t>(divisor >> 64))), divisor_(divisor << shift_) {
    // 2^192 - 1 by the shifted divisor, bit by bit; the quotient has 65 bits, of which the highest is known.
    Uint128 rest = 0;
    for (int bit = 191; bit >= 0; --bit) {
      const bool carry = (rest >> 127) != 0;
      rest = rest << 1 | 1;
      const bool fits = carry || rest >= divisor_;
      if (fits) rest -= divisor_;
      inverse_ = inverse_ << 1 | (fits ? 1 : 0);
    }
  }

  // Of high * 2^128 + low. False when the quotient does not fit 64 bits.
  bool Divide(uint64_t high, Uint128 low, uint64_t* quotient, Uint128* remainder) const {
    const Uint128 top = static_cast<Uint128>(high) << shift_ | low >> (128 - shift_);  // shift_ is at least 1
    const Uint128 upper = top << 64 | static_cast<uint64_t>(low << shift_ >> 64);
    if ((top >> 64) != 0 || upper >= divisor_) return false;
    const uint64_t lowest = static_cast<uint64_t>(low) << shift_;
    const uint64_t divisor_high = static_cast<uint64_t>(divisor_ >> 64);
    const uint64_t divisor_low = static_cast<uint64_t>(divisor_);

    const Uint128 estimate = static_cast<Uint128>(inverse_) * static_cast<uint64_t>(upper >> 64) + upper;
    uint64_t digit = static_cast<uint64_t>(estimate >> 64);
    const uint64_t rest_high = static_cast<uint64_t>(upper) - digit * divisor_high;
    Uint128 rest =
        (static_cast<Uint128>(rest_high) << 64 | lowest) - static_cast<Uint128>(divisor_low) * digit - divisor_;
    ++digit;
    if (static_cast<uint64_t>(rest >> 64) >= static_cast<uint64_t>(estimate)) {
      --digit;
      rest += divisor_;
    }
    if (rest >= divisor_) {
      ++digit;
      rest -= divisor_;
    }
    *quotient = digit;
    *remainder = rest >> shift_;
    return true;
  }

 private:
  int shift_;
  Uint128 divisor_;       // its highest bit set
  uint64_t inverse_ = 0;  // less 2^64
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_RECIPROCAL_H_
