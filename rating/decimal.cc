#include "rating/decimal.h"

#include <algorithm>
#include <limits>

#include "rating/decimal_digits.h"
#include "rating/error.h"

namespace tollbook {
namespace {

// 2^127 has 39 digits: a longer number cannot fit.
constexpr int64_t kMaxDigits = 39;
// Far above any exponent that could matter and far below what an int64 sum of it and a text's length could reach.
constexpr int64_t kExponentBound = 1'000'000'000'000'000;
// Any 19 digits fit 64 bits.
constexpr int kFastDigits = 19;

bool IsDigit(char c) {
  return static_cast<unsigned char>(c - '0') < 10;
}

// The parts of a number, by the JSON grammar.
struct NumberText {
  bool negative = false;
  std::string_view whole;
  std::string_view fraction;
  int64_t exponent = 0;
};

std::string_view TakeDigits(std::string_view* rest) {
  size_t length = 0;
  while (length < rest->size() && IsDigit((*rest)[length])) ++length;
  const std::string_view digits = rest->substr(0, length);
  rest->remove_prefix(length);
  return digits;
}

bool TakeExponent(std::string_view* rest, int64_t* exponent) {
  rest->remove_prefix(1);  // the 'e'
  bool negative = false;
  if (!rest->empty() && (rest->front() == '+' || rest->front() == '-')) {
    negative = rest->front() == '-';
    rest->remove_prefix(1);
  }
  const std::string_view digits = TakeDigits(rest);
  if (digits.empty()) return false;
  int64_t value = 0;
  for (const char c : digits) value = std::min(value * 10 + (c - '0'), kExponentBound);
  *exponent = negative ? -value : value;
  return true;
}

bool SplitNumber(std::string_view text, NumberText* parts) {
  if (!text.empty() && text.front() == '-') {
    parts->negative = true;
    text.remove_prefix(1);
  }
  parts->whole = TakeDigits(&text);
  if (parts->whole.empty() || (parts->whole.size() > 1 && parts->whole.front() == '0')) return false;
  if (!text.empty() && text.front() == '.') {
    text.remove_prefix(1);
    parts->fraction = TakeDigits(&text);
    if (parts->fraction.empty()) return false;
  }
  if (!text.empty() && (text.front() == 'e' || text.front() == 'E') && !TakeExponent(&text, &parts->exponent)) {
    return false;
  }
  return text.empty();
}

// Whole and fraction as one row of digits, read by position so that nothing is copied.
class DigitRow {
 public:
  explicit DigitRow(const NumberText& parts) : whole_(parts.whole), fraction_(parts.fraction) {}
  int64_t size() const { return static_cast<int64_t>(whole_.size() + fraction_.size()); }
  int operator[](int64_t i) const {
    const size_t at = static_cast<size_t>(i);
    return (at < whole_.size() ? whole_[at] : fraction_[at - whole_.size()]) - '0';
  }

 private:
  std::string_view whole_;
  std::string_view fraction_;
};

// Any number of the grammar, however long.
ParsedDecimal ParseAnyDecimal(std::string_view text, int scale) {
  NumberText parts;
  if (!SplitNumber(text, &parts)) return {DecimalError::kNotANumber, 0};

  const DigitRow digits(parts);
  int64_t first = 0;
  int64_t last = digits.size();
  while (first < last && digits[first] == 0) ++first;
  while (last > first && digits[last - 1] == 0) --last;
  if (first == last) return {};

  // The value is digits[first, last) * 10^power, in units of 10^-scale.
  const int64_t power = parts.exponent - static_cast<int64_t>(parts.fraction.size()) + (digits.size() - last) + scale;
  if (last - first + power > kMaxDigits) return {DecimalError::kTooLarge, 0};
  if (power < 0) return {DecimalError::kTooPrecise, 0};

  Int128 value = 0;
  for (int64_t i = first; i < last + power; ++i) {
    const int digit = i < last ? digits[i] : 0;
    if (__builtin_mul_overflow(value, Int128{10}, &value) || __builtin_add_overflow(value, Int128{digit}, &value)) {
      return {DecimalError::kTooLarge, 0};
    }
  }
  return {DecimalError::kNone, parts.negative ? -value : value};
}

// Up to 39 digits, without leading zeros; none for zero.
std::string_view MagnitudeDigits(Int128 value, char (&buffer)[40]) {
  Uint128 magnitude = value < 0 ? -static_cast<Uint128>(value) : static_cast<Uint128>(value);
  char* const end = buffer + sizeof(buffer);
  char* begin = end;
  while (magnitude > std::numeric_limits<uint64_t>::max()) {
    uint64_t low = static_cast<uint64_t>(magnitude % kPowersOfTen[19]);
    magnitude /= kPowersOfTen[19];
    for (int i = 0; i < 19; ++i, low /= 10) *--begin = static_cast<char>('0' + low % 10);
  }
  for (uint64_t high = static_cast<uint64_t>(magnitude); high != 0; high /= 10) {
    *--begin = static_cast<char>('0' + high % 10);
  }
  return {begin, static_cast<size_t>(end - begin)};
}

}  // namespace

ParsedDecimal ParseDecimal(std::string_view text, int scale) {
  TOLLBOOK_ASSERT(scale >= 0 && scale <= 18);
  // Nearly every quantity is a short whole number or a short decimal: its digits fit 64 bits, and one multiplication
  // brings them to the scale. All else, errors included, is left to ParseAnyDecimal.
  const char* p = text.data();
  const char* const end = p + text.size();
  const bool negative = p != end && *p == '-';
  if (negative) ++p;
  const char* const whole = p;
  uint64_t digits = 0;
  for (; p != end && IsDigit(*p); ++p) digits = digits * 10 + static_cast<uint64_t>(*p - '0');
  const int64_t whole_digits = p - whole;
  int64_t fraction_digits = 0;
  if (p != end && *p == '.') {
    const char* const fraction = ++p;
    for (; p != end && IsDigit(*p); ++p) digits = digits * 10 + static_cast<uint64_t>(*p - '0');
    fraction_digits = p - fraction;
    if (fraction_digits == 0) return {DecimalError::kNotANumber, 0};
  }
  const bool short_number = p == end && whole_digits > 0 && whole_digits + fraction_digits <= kFastDigits &&
                            fraction_digits <= scale && (whole_digits == 1 || *whole != '0');
  if (!short_number) return ParseAnyDecimal(text, scale);

  // Below 10^19 * 10^18, so below 2^127.
  const Int128 value = static_cast<Int128>(digits) * kPowersOfTen[scale - fraction_digits];
  return {DecimalError::kNone, negative ? -value : value};
}

std::string PlacePoint(bool negative, std::string_view digits, int scale, TrailingZeros trailing_zeros) {
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  const size_t places = static_cast<size_t>(scale);
  const size_t whole = digits.size() > places ? digits.size() - places : 0;
  const size_t leading_zeros = places - (digits.size() - whole);  // between the point and the first digit

  std::string text;
  text.reserve(digits.size() + leading_zeros + 3);
  if (negative && !digits.empty()) text += '-';
  text.append(whole == 0 ? std::string_view("0") : digits.substr(0, whole));
  if (trailing_zeros == TrailingZeros::kDrop) {
    digits = digits.substr(0, std::max(digits.find_last_not_of('0') + 1, whole));
    if (digits.size() == whole) return text;
  }
  if (places > 0) text.append(".").append(leading_zeros, '0').append(digits.substr(whole));
  return text;
}

std::string FormatDecimal(Int128 value, int scale) {
  char buffer[40];
  return PlacePoint(value < 0, MagnitudeDigits(value, buffer), scale, TrailingZeros::kDrop);
}

std::string FormatFixed(Int128 value, int scale) {
  char buffer[40];
  return PlacePoint(value < 0, MagnitudeDigits(value, buffer), scale, TrailingZeros::kKeep);
}

}  // namespace tollbook
