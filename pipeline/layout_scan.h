// LayoutScan: what matching a layout does to bytes: compare a literal, find the end of a string, measure a number.
//
// Each has a form for AVX2 and a byte by byte twin, which says what is meant, is what other processors run, and is what
// tests compare the first one to (bench/tricks.cc: `literals` 141 instructions an event, 3319 plainly; `strings` 107
// instructions an event, 261 plainly; `numbers` 29 instructions an event, 69 plainly).
// All of them may read kScanAhead bytes from where they begin, whatever the text's end.
#ifndef TOLLBOOK_PIPELINE_LAYOUT_SCAN_H_
#define TOLLBOOK_PIPELINE_LAYOUT_SCAN_H_

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include <bit>
#include <cstdint>
#include <cstring>

namespace tollbook {

inline constexpr uint32_t kScanAhead = 64;

// Up to this many bytes of a literal are compared at a time; a literal's own text is padded to a multiple of it.
inline constexpr uint32_t kLiteralStep = 64;

// What stands in 32 bytes of a string: a bit a byte.
struct StringBits {
  uint32_t stops = 0;      // a quote, a backslash or a control character
  uint32_t not_ascii = 0;  // part of a character above 127
};

// A plain number: digits, with or without a point, less than 32 characters.
struct NumberShape {
  uint32_t bytes = 0;
  uint32_t whole = 0;  // digits before the point
};

// By the JSON grammar, as far as there is neither sign nor exponent.
inline bool IsPlainNumber(char first, uint32_t bytes, uint32_t points, uint32_t whole) {
  const bool one_point_between_digits = (points & (points - 1)) == 0 && (points == 0 || whole + 1 < bytes);
  return whole != 0 && one_point_between_digits && (first != '0' || whole == 1);
}

namespace plain {

inline bool SameBytes(const char* at, const char* literal, uint64_t mask) {
  for (uint32_t i = 0; i < kLiteralStep; ++i) {
    if ((mask >> i & 1) != 0 && at[i] != literal[i]) return false;
  }
  return true;
}

// Of up to 32 bytes.
inline bool SameStart(const char* a, const char* b, uint32_t bytes) {
  return std::memcmp(a, b, bytes) == 0;
}

inline StringBits ReadString(const char* at) {
  StringBits bits;
  for (uint32_t i = 0; i < 32; ++i) {
    const auto byte = static_cast<unsigned char>(at[i]);
    bits.stops |= static_cast<uint32_t>(byte == '"' || byte == '\\' || byte < 0x20) << i;
    bits.not_ascii |= static_cast<uint32_t>(byte >> 7) << i;
  }
  return bits;
}

inline bool ReadNumber(const char* at, NumberShape* shape) {
  uint32_t points = 0;
  uint32_t i = 0;
  for (; i < 32; ++i) {
    if (at[i] == '.') {
      points |= 1u << i;
    } else if (static_cast<unsigned char>(at[i] - '0') > 9) {
      break;
    }
  }
  if (i == 32) return false;
  shape->bytes = i;
  shape->whole = points == 0 ? i : static_cast<uint32_t>(std::countr_zero(points));
  return IsPlainNumber(*at, i, points, shape->whole);
}

}  // namespace plain

#ifdef __AVX2__

inline __m256i Load32(const char* at) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
}
inline uint32_t BitsOf(__m256i bytes) {
  return static_cast<uint32_t>(_mm256_movemask_epi8(bytes));
}

// Are the bytes that `mask` has a bit for the same? One straight line for nearly every literal.
inline bool SameBytes(const char* at, const char* literal, uint64_t mask) {
  const uint64_t low = BitsOf(_mm256_cmpeq_epi8(Load32(at), Load32(literal)));
  const uint64_t high = BitsOf(_mm256_cmpeq_epi8(Load32(at + 32), Load32(literal + 32)));
  return ((low | high << 32) & mask) == mask;
}

inline bool SameStart(const char* a, const char* b, uint32_t bytes) {
  const uint64_t differ = ~uint64_t{BitsOf(_mm256_cmpeq_epi8(Load32(a), Load32(b)))};
  return (differ & ((uint64_t{1} << bytes) - 1)) == 0;
}

inline StringBits ReadString(const char* at) {
  const __m256i bytes = Load32(at);
  const __m256i quote = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('"'));
  const __m256i backslash = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\\'));
  const __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1f)), bytes);
  return {BitsOf(_mm256_or_si256(_mm256_or_si256(quote, backslash), control)), BitsOf(bytes)};
}

// False: not a number of the grammar, or one that a more patient reader must look at.
inline bool ReadNumber(const char* at, NumberShape* shape) {
  const __m256i bytes = Load32(at);
  const __m256i values = _mm256_sub_epi8(bytes, _mm256_set1_epi8('0'));
  const uint32_t digits = BitsOf(_mm256_cmpeq_epi8(_mm256_min_epu8(values, _mm256_set1_epi8(9)), values));
  uint32_t points = BitsOf(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('.')));
  const uint32_t others = ~(digits | points);
  if (others == 0) return false;
  shape->bytes = static_cast<uint32_t>(std::countr_zero(others));
  points &= (1u << shape->bytes) - 1;
  shape->whole = points == 0 ? shape->bytes : static_cast<uint32_t>(std::countr_zero(points));
  return IsPlainNumber(*at, shape->bytes, points, shape->whole);
}

#else

using plain::ReadNumber;
using plain::ReadString;
using plain::SameBytes;
using plain::SameStart;

#endif

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_LAYOUT_SCAN_H_
