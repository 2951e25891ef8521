// DecimalDigits: the digits of a magnitude, and where the point goes. What FormatDecimal and Wide::ToDecimal share.
#ifndef TOLLBOOK_RATING_DECIMAL_DIGITS_H_
#define TOLLBOOK_RATING_DECIMAL_DIGITS_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace tollbook {

// 10^exponent, 0..19: the powers that fit 64 bits.
inline constexpr uint64_t kPowersOfTen[] = {
    1ull,
    10ull,
    100ull,
    1'000ull,
    10'000ull,
    100'000ull,
    1'000'000ull,
    10'000'000ull,
    100'000'000ull,
    1'000'000'000ull,
    10'000'000'000ull,
    100'000'000'000ull,
    1'000'000'000'000ull,
    10'000'000'000'000ull,
    100'000'000'000'000ull,
    1'000'000'000'000'000ull,
    10'000'000'000'000'000ull,
    100'000'000'000'000'000ull,
    1'000'000'000'000'000'000ull,
    10'000'000'000'000'000'000ull,
};

enum class TrailingZeros : uint8_t { kDrop, kKeep };

// `digits` are those of a magnitude times 10^scale; leading zeros are allowed, none at all is zero. Gives the plain
// decimal: one digit at least before the point, "-" only when a digit is not zero.
std::string PlacePoint(bool negative, std::string_view digits, int scale, TrailingZeros trailing_zeros);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_DECIMAL_DIGITS_H_
