#include "rating/conversion.h"

#include "rating/decimal_digits.h"
#include "rating/rounded_quotient.h"

namespace tollbook {
namespace {

std::string_view InWords(Rounding rounding) {
  switch (rounding) {
    case Rounding::kHalfUp:
      return "half up";
    case Rounding::kHalfEven:
      return "half to even";
    case Rounding::kUp:
      return "up";
    case Rounding::kDown:
      return "down";
  }
  return "";
}

Int128 TenTo(int exponent) {
  return exponent <= 18 ? static_cast<Int128>(kPowersOfTen[exponent])
                        : static_cast<Int128>(kPowersOfTen[18]) * static_cast<Int128>(kPowersOfTen[exponent - 18]);
}

}  // namespace

bool Convert(const Conversion& conversion, Quantity quantity, Quantity* converted) {
  const int places = conversion.rounding ? conversion.places : kQuantityScale;
  const Rounding rounding = conversion.rounding.value_or(Rounding::kHalfEven);
  Int128 of_last_place = 0;
  // In units of the last place: a product has twice the scale, a quotient none.
  const bool fits = conversion.by == Conversion::By::kMultiply
                        ? RoundedQuotient(Wide::Product(quantity.attos, conversion.factor.attos),
                                          TenTo(2 * kQuantityScale - places), rounding, &of_last_place)
                        : RoundedQuotient(Wide::Product(quantity.attos, TenTo(places)), conversion.factor.attos,
                                          rounding, &of_last_place);
  return fits && !__builtin_mul_overflow(of_last_place, TenTo(kQuantityScale - places), &converted->attos);
}

std::string ToString(const Conversion& conversion) {
  std::string text = conversion.by == Conversion::By::kMultiply ? "x " : "/ ";
  text += ToString(conversion.factor);
  if (!conversion.rounding) return text;
  text.append(", rounded ")
      .append(InWords(*conversion.rounding))
      .append(" to ")
      .append(std::to_string(conversion.places));
  return text + (conversion.places == 1 ? " place" : " places");
}

}  // namespace tollbook
