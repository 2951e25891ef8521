#include "rating/money.h"

#include <array>
#include <string>

#include "rating/error.h"
#include "rating/quantity.h"
#include "rating/reciprocal.h"

namespace tollbook {
namespace {

// ISO 4217, active codes that have a minor unit, by its digits. Metals, bond market units and test codes have none, so
// nothing can be booked in them. BGN left the list in 2026; usage of 2025 may still be billed in it.
struct CurrencyList {
  uint8_t minor_digits;
  std::string_view codes;  // three letters and a blank each
};
constexpr CurrencyList kCurrencies[] = {
    {2,
     "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF "
     "CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ "
     "GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD "
     "MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON "
     "RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS "
     "UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG"},
    {0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"},
    {3, "BHD IQD JOD KWD LYD OMR TND"},
    {4, "CLF UYW"},
};

bool IsCodeShaped(std::string_view code) {
  if (code.size() != 3) return false;
  for (const char c : code) {
    if (c < 'A' || c > 'Z') return false;
  }
  return true;
}

// The worth's units in one minor unit, by the currency's minor digits.
constexpr Int128 kMinorUnit[] = {kOneUnit * kOneUnit, kOneUnit*(kOneUnit / 10), kOneUnit*(kOneUnit / 100),
                                 kOneUnit*(kOneUnit / 1'000), kOneUnit*(kOneUnit / 10'000)};

constexpr Reciprocal kReciprocals[] = {Reciprocal(kMinorUnit[0]), Reciprocal(kMinorUnit[1]), Reciprocal(kMinorUnit[2]),
                                       Reciprocal(kMinorUnit[3]), Reciprocal(kMinorUnit[4])};

// The minor units in a magnitude, and what is left over. False when there are more than can be booked.
bool DivideByMinorUnit(const Wide& magnitude, int minor_digits, Int128* whole, Int128* left_over) {
  const std::array<uint64_t, 4>& limbs = magnitude.limbs();
  uint64_t quotient = 0;
  Uint128 remainder = 0;
  const Uint128 low = static_cast<Uint128>(limbs[1]) << 64 | limbs[0];
  if (limbs[3] == 0 && kReciprocals[minor_digits].Divide(limbs[2], low, &quotient, &remainder)) {
    *whole = quotient;
    *left_over = static_cast<Int128>(remainder);
    return true;
  }
  Wide wide_whole, wide_left_over;
  magnitude.DivideByPowerOfTen(kWorthScale - minor_digits, &wide_whole, &wide_left_over);
  if (wide_whole > Wide::FromInt128(kMinorMax)) return false;
  *whole = wide_whole.ToInt128();
  // At most 10^36 of the worth's units make one minor unit, so what is left over fits 128 bits.
  *left_over = wide_left_over.ToInt128();
  return true;
}

// Is the amount to move one minor unit away from zero? `magnitude` is what truncation left, in units of which `unit`
// make one minor unit.
bool RoundsAway(Rounding rounding, Int128 magnitude, Int128 unit, bool odd) {
  switch (rounding) {
    case Rounding::kHalfUp:
      return magnitude >= unit - magnitude;
    case Rounding::kHalfEven:
      return magnitude > unit - magnitude || (magnitude == unit - magnitude && odd);
    case Rounding::kUp:
      return magnitude != 0;
    case Rounding::kDown:
      return false;
  }
  TOLLBOOK_ASSERT(!"a rounding of the list");
  return false;
}

absl::Status AmountOutOfRange(std::string_view which) {
  return MakeError(absl::StatusCode::kOutOfRange, "an amount is too large to be booked", which,
                   "check the prices and quantities behind it");
}

}  // namespace

std::optional<Currency> Currency::FromCode(std::string_view code) {
  if (!IsCodeShaped(code)) return std::nullopt;
  for (const CurrencyList& list : kCurrencies) {
    for (size_t at = 0; at < list.codes.size(); at += 4) {
      if (list.codes.substr(at, 3) != code) continue;
      Currency currency;
      code.copy(currency.code_, 3);
      currency.minor_digits_ = list.minor_digits;
      return currency;
    }
  }
  return std::nullopt;
}

std::string ToString(Price price) {
  return FormatDecimal(price.attos, kPriceScale);
}

std::string ToString(const Worth& worth) {
  return worth.amount.ToDecimal(kWorthScale);
}

std::string ToString(const Money& money) {
  return FormatFixed(money.minor, money.currency.minor_digits());
}

absl::StatusOr<Money> Add(const Money& a, const Money& b) {
  TOLLBOOK_ASSERT(a.currency == b.currency);
  Money sum = a;
  if (__builtin_add_overflow(a.minor, b.minor, &sum.minor)) {
    return AmountOutOfRange(ToString(a) + " plus " + ToString(b));
  }
  return sum;
}

absl::StatusOr<Money> Subtract(const Money& a, const Money& b) {
  TOLLBOOK_ASSERT(a.currency == b.currency);
  Money difference = a;
  if (__builtin_sub_overflow(a.minor, b.minor, &difference.minor)) {
    return AmountOutOfRange(ToString(a) + " less " + ToString(b));
  }
  return difference;
}

absl::StatusOr<Rounded> RoundToMinor(const Worth& exact, Currency currency, Rounding rounding) {
  Rounded rounded;
  if (RoundToMinor(exact, currency, rounding, &rounded)) return rounded;
  return AmountOutOfRange(ToString(exact) + " " + std::string(currency.code()));
}

bool RoundToMinor(const Worth& exact, Currency currency, Rounding rounding, Rounded* rounded) {
  const bool negative = exact.amount.negative();
  const Wide magnitude = negative ? exact.amount.Negated() : exact.amount;
  Int128 whole = 0;
  Int128 left_over = 0;
  if (!DivideByMinorUnit(magnitude, currency.minor_digits(), &whole, &left_over)) return false;

  const Int128 unit = kMinorUnit[currency.minor_digits()];
  const Int128 step = RoundsAway(rounding, left_over, unit, (whole & 1) != 0) ? 1 : 0;
  const Int128 minor = whole + step;
  if (minor > kMinorMax) return false;
  const Int128 residue = left_over - step * unit;
  rounded->line = {currency, negative ? -minor : minor};
  rounded->residue.amount = Wide::FromInt128(negative ? -residue : residue);
  return true;
}

}  // namespace tollbook
