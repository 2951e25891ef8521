// Decimal: numbers from their text to whole numbers of a stated scale, and back.
//
// Nothing here passes through binary floating point: "0.1" at scale 18 is exactly 10^17.
#ifndef TOLLBOOK_RATING_DECIMAL_H_
#define TOLLBOOK_RATING_DECIMAL_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace tollbook {

using Int128 = __int128;
using Uint128 = unsigned __int128;

enum class DecimalError : uint8_t {
  kNone,
  kNotANumber,  // not the JSON number grammar: -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
  kTooLarge,    // the value at this scale does not fit 127 bits
  kTooPrecise,  // a non-zero digit stands below 10^-scale; never dropped silently
};

struct ParsedDecimal {
  DecimalError error = DecimalError::kNone;
  Int128 value = 0;  // in units of 10^-scale; 0 when there is an error
};

// Exact. "1e3", "1.50" and "1.5" are accepted where the JSON grammar accepts them; "+1", "01", ".5",
// "NaN" and surrounding blanks are not. An exponent is applied digit by digit and bounded, so "1e999999999" costs
// nothing. `scale` is 0..18.
[[nodiscard]] ParsedDecimal ParseDecimal(std::string_view text, int scale);

// The shortest plain decimal: no exponent, no trailing zeros after the point, "-" only when not zero. Scale 0..36.
[[nodiscard]] std::string FormatDecimal(Int128 value, int scale);

// The same with exactly `scale` digits after the point: minor units of money (150, 2 -> "1.50"; 150, 0 -> "150").
[[nodiscard]] std::string FormatFixed(Int128 value, int scale);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_DECIMAL_H_
