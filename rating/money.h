// Money: what is booked, what it is exactly worth, and the one place where the two part.
//
//   Price   10^-18 of the major unit per unit of usage. Token prices go down to $0.15 per million.
//   Worth   exact: quantity * price, so 36 decimals; 256 bits wide. Never rounded.
//   Money   whole minor units of a currency (cents, yen, fils): what a posting carries.
//
// Rounding  RoundToMinor makes what is booked of what is worth, and nothing else does: once per charge and billing
//           period, on the running worth. line + residue == exact, so nothing is lost unseen.
// Errors    Mixed currencies are a bug (assertion); beyond the range is OutOfRange.
// Source    Currencies and their minor units: ISO 4217.
#ifndef TOLLBOOK_RATING_MONEY_H_
#define TOLLBOOK_RATING_MONEY_H_

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rating/decimal.h"
#include "rating/error.h"
#include "rating/wide.h"

namespace tollbook {

// An ISO 4217 currency, by its three letters. Only listed currencies can be made.
class Currency {
 public:
  static std::optional<Currency> FromCode(std::string_view code);
  std::string_view code() const { return {code_, 3}; }
  int minor_digits() const { return minor_digits_; }  // 2 for USD, 0 for JPY, 3 for BHD
  friend bool operator==(const Currency&, const Currency&) = default;
  friend auto operator<=>(const Currency& a, const Currency& b) { return a.code() <=> b.code(); }

 private:
  char code_[3] = {'X', 'X', 'X'};
  uint8_t minor_digits_ = 2;
};

inline constexpr int kPriceScale = 18;
inline constexpr int kWorthScale = 36;  // kQuantityScale + kPriceScale

struct Price {
  Int128 attos = 0;  // 10^-18 of the major unit
  friend constexpr bool operator==(Price, Price) = default;
};

struct Worth {
  Wide amount;  // 10^-36 of the major unit
  friend bool operator==(const Worth&, const Worth&) = default;
};

std::string ToString(Price price);
std::string ToString(const Worth& worth);  // shortest plain decimal

struct Money {
  Currency currency;
  Int128 minor = 0;
  friend bool operator==(const Money&, const Money&) = default;
};

std::string ToString(const Money& money);  // "12.30", with the currency's digits and without its code

[[nodiscard]] absl::StatusOr<Money> Add(const Money& a, const Money& b);
[[nodiscard]] absl::StatusOr<Money> Subtract(const Money& a, const Money& b);

enum class Rounding : uint8_t {
  kHalfUp,    // ties away from zero; the default
  kHalfEven,  // ties to the even neighbour
  kUp,        // away from zero
  kDown,      // toward zero
};

struct Rounded {
  Money line;
  Worth residue;  // exact - line
};

// No amount of a charge and period is larger than this many minor units; RoundToMinor answers OutOfRange beyond it. So
// sums of up to 10^8 amounts, and their differences, stay within 127 bits without a check at each addition.
inline constexpr Int128 kMinorMax = static_cast<Int128>(1'000'000'000'000'000) * 1'000'000'000'000'000;  // 10^30

[[nodiscard]] absl::StatusOr<Rounded> RoundToMinor(const Worth& exact, Currency currency, Rounding rounding);
// The same for millions of days, without words: false where that one answers OutOfRange.
[[nodiscard]] bool RoundToMinor(const Worth& exact, Currency currency, Rounding rounding, Rounded* rounded);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_MONEY_H_
