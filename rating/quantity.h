// Quantity: how much of a meter was used, exactly.
//
// Scale   One atto is 10^-18 of the meter's unit: cloud invoices carry fifteen decimals, wei has eighteen.
//         The range is then +-1.7 * 10^20 units.
// Errors  Add answers with false when the sum would not fit; it never wraps.
#ifndef TOLLBOOK_RATING_QUANTITY_H_
#define TOLLBOOK_RATING_QUANTITY_H_

#include <compare>
#include <string>

#include "rating/decimal.h"

namespace tollbook {

inline constexpr int kQuantityScale = 18;
inline constexpr Int128 kOneUnit = 1'000'000'000'000'000'000;  // attos in one unit

struct Quantity {
  Int128 attos = 0;

  static constexpr Quantity Units(int64_t units) { return {static_cast<Int128>(units) * kOneUnit}; }

  friend constexpr bool operator==(Quantity, Quantity) = default;
  friend constexpr auto operator<=>(Quantity a, Quantity b) { return a.attos <=> b.attos; }
};

[[nodiscard]] inline bool Add(Quantity a, Quantity b, Quantity* sum) {
  return !__builtin_add_overflow(a.attos, b.attos, &sum->attos);
}

std::string ToString(Quantity quantity);  // shortest plain decimal

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_QUANTITY_H_
