// LayoutValues: the times and quantities of nearly all telemetry, from their text eight characters at a time.
//
// Each knows a part of what ParseInstant and ParseDecimal know, the plain ways, and says so when it does not know. From
// bench/tricks.cc: `times` 116 instructions an event, 336 plainly; `quantities` 47 instructions a number, 118 plainly.
#ifndef TOLLBOOK_PIPELINE_LAYOUT_VALUES_H_
#define TOLLBOOK_PIPELINE_LAYOUT_VALUES_H_

#include <cstdint>
#include <cstring>
#include <string_view>

#include "rating/calendar.h"
#include "rating/decimal.h"
#include "rating/decimal_digits.h"
#include "rating/quantity.h"

namespace tollbook {

inline uint64_t Load8(const char* at) {
  uint64_t bytes;
  std::memcpy(&bytes, at, sizeof bytes);
  return bytes;
}

// The number that eight digits spell, the first of them in the lowest byte; bytes are 0 to 9. Neighbours are put
// together by pairs: 8 digits, 4 of two digits, 2 of four, 1 of eight.
inline uint64_t EightDigits(uint64_t digits) {
  const uint64_t pairs = digits * 10 + (digits >> 8);
  constexpr uint64_t kMask = 0x000000FF000000FF;
  return ((pairs & kMask) * 0x000F424000000064 + ((pairs >> 16) & kMask) * 0x0000271000000001) >> 32;
}

// `count` digits at `at`, 1 to 16; eight bytes from `at` may be read.
inline uint64_t DigitsAt(const char* at, uint32_t count) {
  constexpr uint64_t kZeros = 0x3030303030303030;
  if (count > 8) {
    const uint64_t high = DigitsAt(at, count - 8);
    return high * 100'000'000 + EightDigits(Load8(at + count - 8) - kZeros);
  }
  // Missing digits become leading zeros; what was borrowed across bytes behind the digits is shifted out with them.
  return EightDigits((Load8(at) - kZeros) << (64 - 8 * count));
}

// A number of the JSON grammar without exponent: `whole` digits, and `bytes` characters behind the sign. False: longer
// than this reads; ParseDecimal does.
inline bool ReadQuantity(const char* digits, uint32_t bytes, uint32_t whole, bool negative, Quantity* quantity) {
  constexpr uint32_t kWholeMax = 15, kFractionMax = 16;
  if (whole > kWholeMax || bytes - whole > kFractionMax + 1) return false;
  Int128 attos = static_cast<Int128>(DigitsAt(digits, whole)) * static_cast<int64_t>(kOneUnit);
  if (bytes != whole) {
    const uint32_t fraction = bytes - whole - 1;
    attos += static_cast<int64_t>(DigitsAt(digits + whole + 1, fraction) * kPowersOfTen[kQuantityScale - fraction]);
  }
  quantity->attos = negative ? -attos : attos;
  return true;
}

// Reads RFC 3339 times. Remembers the last date: in telemetry the next one is nearly always the same.
class InstantReader {
 public:
  // The same as ParseInstant(text, assume_utc).
  ParsedInstant Parse(std::string_view text, bool assume_utc = false) {
    ParsedInstant parsed;
    if (text.size() >= kSecondsEnd + 1 && ReadOnDate(text, &parsed.instant)) return parsed;
    parsed = ParseInstant(text, assume_utc);
    if (parsed.error == TimeError::kNone) Remember(text);
    return parsed;
  }

 private:
  static constexpr size_t kDateEnd = 11;     // "2025-01-25T"
  static constexpr size_t kSecondsEnd = 19;  // "2025-01-25T01:02:03"
  static constexpr uint32_t kFractionMax = 8;

  static uint64_t NotDigits(uint64_t digits, uint64_t limits) {
    return (digits | (digits + limits)) & 0x8080808080808080;
  }

  // A time on the date at hand, in Z, with up to eight digits behind the second's point. `text` has no more than its
  // size readable: nothing here reads behind it.
  bool ReadOnDate(std::string_view text, Instant* instant) const {
    const char* const at = text.data();
    if (Load8(at) != date_low_ || Load8(at + kDateEnd - 8) != date_high_) return false;
    // "01:02:03": a digit's byte is at most 9 when less '0', a colon's 0 when less ':'. The sums carry into the eighth
    // bit otherwise.
    const uint64_t digits = Load8(at + kDateEnd) ^ 0x30303A30303A3030;
    if (NotDigits(digits, 0x76767F76767F7676) != 0) return false;
    const uint64_t pairs = digits * 10 + (digits >> 8);
    const uint64_t hour = pairs & 0xFF, minute = pairs >> 24 & 0xFF, second = pairs >> 48 & 0xFF;
    if (hour > 23 || minute > 59 || second > 59) return false;
    int64_t nanos = midnight_ + static_cast<int64_t>(hour * 3'600 + minute * 60 + second) * 1'000'000'000;
    if (text.size() > kSecondsEnd + 1) {
      const auto fraction = static_cast<uint32_t>(text.size() - kSecondsEnd - 2);
      if (fraction == 0 || fraction > kFractionMax || at[kSecondsEnd] != '.') return false;
      // The eight bytes that end with the fraction; those in front of it become leading zeros.
      const uint32_t in_front = 64 - 8 * fraction;
      const uint64_t kept = (Load8(at + text.size() - 9) ^ 0x3030303030303030) >> in_front << in_front;
      if (NotDigits(kept, 0x7676767676767676) != 0) return false;
      nanos += static_cast<int64_t>(EightDigits(kept) * kPowersOfTen[9 - fraction]);
    }
    instant->nanos = nanos;
    return text.back() == 'Z';
  }

  // Only what ParseInstant took, so the date exists and all of its day is in range.
  void Remember(std::string_view text) {
    if (Load8(text.data()) == date_low_ && Load8(text.data() + kDateEnd - 8) == date_high_) return;
    constexpr int64_t kNanosPerDay = int64_t{86'400} * 1'000'000'000;
    char start[] = "0000-00-00T00:00:00Z";
    std::memcpy(start, text.data(), kDateEnd);
    const ParsedInstant midnight = ParseInstant({start, sizeof start - 1});
    if (midnight.error != TimeError::kNone || midnight.instant.nanos % kNanosPerDay != 0) return;
    midnight_ = midnight.instant.nanos;
    date_low_ = Load8(start);
    date_high_ = Load8(start + kDateEnd - 8);
  }

  uint64_t date_low_ = 0, date_high_ = 0;  // its first eight and its last eight bytes; 0 is no text
  int64_t midnight_ = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_LAYOUT_VALUES_H_
