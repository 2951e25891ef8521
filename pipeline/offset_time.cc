#include "pipeline/offset_time.h"

#include <cstdint>
#include <optional>

#include "rating/decimal.h"

namespace tollbook {
namespace {

constexpr Int128 kNanosPerSecond = 1'000'000'000;
constexpr int kOffsetScale = 18;                                                // seconds are parsed to attoseconds ...
constexpr Int128 kAttosPerNano = kNanosPerSecond;                               // ... and cut off at the nanosecond
constexpr Int128 kEndOfTimeNanos = Int128{106'651} * 86'400 * kNanosPerSecond;  // 2262-01-01, as ParseInstant

// Whole seconds of at most nine digits: nearly all. Nothing else here; a leading zero is no number.
std::optional<int64_t> ShortSeconds(std::string_view text) {
  if (text.empty() || text.size() > 9 || (text[0] == '0' && text.size() > 1)) return std::nullopt;
  int64_t seconds = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    seconds = seconds * 10 + (c - '0');
  }
  return seconds;
}

ParsedInstant InRange(Int128 nanos) {
  if (nanos < 0 || nanos >= kEndOfTimeNanos) return {TimeError::kOutOfRange, {}};
  return {TimeError::kNone, {static_cast<int64_t>(nanos)}};
}

}  // namespace

ParsedInstant InstantAtOffset(std::string_view seconds, Instant base) {
  // Two divisions of 128 bits are most of what an offset costs.
  if (const std::optional<int64_t> whole = ShortSeconds(seconds)) {
    return InRange(Int128{base.nanos} + *whole * static_cast<int64_t>(kNanosPerSecond));
  }
  const ParsedDecimal parsed = ParseDecimal(seconds, kOffsetScale);
  if (parsed.error == DecimalError::kTooLarge) return {TimeError::kOutOfRange, {}};
  if (parsed.error != DecimalError::kNone) return {TimeError::kNotATime, {}};
  Int128 nanos = parsed.value / kAttosPerNano;
  if (parsed.value % kAttosPerNano < 0) --nanos;
  return InRange(nanos + base.nanos);
}

}  // namespace tollbook
