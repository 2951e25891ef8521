// EscapeRun: text of which every character is escaped, as \u00XX, five characters at a time.
//
// Some producers escape all but letters, or everything. One by one such an escape is compared, looked up twice in a
// table and stored; five of them fit into one load of 32 bytes (bench/tricks.cc: `escapes` 786 instructions an event,
// 1453 plainly). The plain twin says what is meant, is what other processors run, and is what tests compare to.
#ifndef TOLLBOOK_PIPELINE_ESCAPE_RUN_H_
#define TOLLBOOK_PIPELINE_ESCAPE_RUN_H_

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "pipeline/json_text.h"
#include "pipeline/layout_scan.h"

namespace tollbook {

inline constexpr uint32_t kEscapeBytes = 6;  // \u0041
inline constexpr uint32_t kEscapesMax = 5;   // of a run
inline constexpr uint32_t kEscapeRoom = 8;   // bytes that may be written, whatever the run's length

namespace plain {

// How many of the first five escapes at `at` are \u00XX of an ASCII character; puts these characters at `out`.
inline uint32_t UnescapeRun(const char* at, char* out) {
  uint32_t count = 0;
  for (; count < kEscapesMax; ++count, at += kEscapeBytes) {
    const int high = kHexDigits.value[static_cast<uint8_t>(at[4])];
    const int low = kHexDigits.value[static_cast<uint8_t>(at[5])];
    if (std::memcmp(at, "\\u00", 4) != 0 || high < 0 || high > 7 || low < 0) break;
    out[count] = static_cast<char>(high * 16 + low);
  }
  return count;
}

}  // namespace plain

#ifdef __AVX2__

// The same; kScanAhead bytes from `at` may be read.
inline uint32_t UnescapeRun(const char* at, char* out) {
  const __m256i bytes = Load32(at);
  // Bytes 0 to 3 of each six are the front, 4 and 5 the digits; 30 and 31 are of no escape.
  const __m256i front = _mm256_setr_epi8('\\', 'u', '0', '0', 0, 0, '\\', 'u', '0', '0', 0, 0, '\\', 'u', '0', '0', 0,
                                         0, '\\', 'u', '0', '0', 0, 0, '\\', 'u', '0', '0', 0, 0, 0, 0);
  constexpr uint32_t kFronts = 0b001111'001111'001111'001111'001111;
  constexpr uint32_t kHighs = 0b010000'010000'010000'010000'010000;
  constexpr uint32_t kLows = kHighs << 1;
  const auto at_most = [](__m256i value, char limit) {
    return _mm256_cmpeq_epi8(_mm256_min_epu8(value, _mm256_set1_epi8(limit)), value);
  };
  const __m256i digits = _mm256_sub_epi8(bytes, _mm256_set1_epi8('0'));
  const __m256i letters = _mm256_sub_epi8(_mm256_or_si256(bytes, _mm256_set1_epi8(0x20)), _mm256_set1_epi8('a'));
  const __m256i is_digit = at_most(digits, 9);
  const __m256i is_letter = at_most(letters, 5);
  const uint32_t good = (BitsOf(_mm256_cmpeq_epi8(bytes, front)) & kFronts) | (BitsOf(at_most(digits, 7)) & kHighs) |
                        (BitsOf(_mm256_or_si256(is_digit, is_letter)) & kLows);
  constexpr uint32_t kBehind = 1u << (kEscapeBytes * kEscapesMax);
  const auto good_bytes = static_cast<uint32_t>(std::countr_zero((~good & (kBehind - 1)) | kBehind));

  const __m256i values = _mm256_blendv_epi8(_mm256_add_epi8(letters, _mm256_set1_epi8(10)), digits, is_digit);
  // Pairs of bytes to words, of which every third is a character: words 2 and 5 of the low half, 0, 3 and 6 of the
  // high one.
  const __m256i words = _mm256_maddubs_epi16(values, _mm256_set1_epi16(0x0110));
  constexpr char kNone = -1;
  const __m256i packed = _mm256_shuffle_epi8(
      words, _mm256_setr_epi8(4, 10, kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone,
                              kNone, kNone, kNone, kNone, 0, 6, 12, kNone, kNone, kNone, kNone, kNone, kNone, kNone,
                              kNone, kNone, kNone, kNone));
  const __m128i together = _mm_or_si128(_mm256_castsi256_si128(packed), _mm256_extracti128_si256(packed, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out), together);
  return good_bytes / kEscapeBytes;
}

#else

using plain::UnescapeRun;

#endif

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_ESCAPE_RUN_H_
