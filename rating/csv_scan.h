// CsvScan: where the bytes that mean something stand in 64 bytes of CSV; a bit a byte.
//
// One form for AVX2 and a plain twin, which says what is meant, is what other processors run, and is what the tests
// compare the first one to: 4.5 ns, and 96 plainly. The delimiter is an ASCII character other than a quote, CR, LF and
// DEL.
#ifndef TOLLBOOK_RATING_CSV_SCAN_H_
#define TOLLBOOK_RATING_CSV_SCAN_H_

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include <cstdint>

namespace tollbook {

struct CsvBits {
  static constexpr unsigned kBytes = 64;  // are read from where it begins, whatever the text's end

  uint64_t delimiters = 0;
  uint64_t line_ends = 0;  // LF
  uint64_t odd = 0;        // a quote, or a control character that is neither LF nor the delimiter
  uint64_t not_ascii = 0;  // part of a character above 127
};

namespace plain {

inline CsvBits ScanCsv(const char* at, char delimiter) {
  CsvBits bits;
  for (unsigned i = 0; i < CsvBits::kBytes; ++i) {
    const auto byte = static_cast<unsigned char>(at[i]);
    const uint64_t bit = uint64_t{1} << i;
    if (at[i] == delimiter) bits.delimiters |= bit;
    if (byte == '\n') bits.line_ends |= bit;
    const bool control = byte == 0x7F || (byte < 0x20 && byte != '\n');
    if (byte == '"' || (control && at[i] != delimiter)) bits.odd |= bit;
    if (byte > 0x7F) bits.not_ascii |= bit;
  }
  return bits;
}

}  // namespace plain

#ifdef __AVX2__

inline CsvBits ScanCsv(const char* at, char delimiter) {
  CsvBits bits;
  for (unsigned half = 0; half < CsvBits::kBytes; half += 32) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + half));
    const auto are = [&](char c) { return _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(c)); };
    const auto bits_of = [&](__m256i which) {
      return uint64_t{static_cast<uint32_t>(_mm256_movemask_epi8(which))} << half;
    };
    const __m256i line_ends = are('\n');
    const __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1F)), bytes);
    const __m256i delimiters = are(delimiter);
    const __m256i meant = _mm256_or_si256(line_ends, delimiters);
    const __m256i odd = _mm256_or_si256(are('"'), _mm256_or_si256(are(0x7F), control));
    bits.delimiters |= bits_of(delimiters);
    bits.line_ends |= bits_of(line_ends);
    bits.odd |= bits_of(_mm256_andnot_si256(meant, odd));
    bits.not_ascii |= bits_of(bytes);
  }
  return bits;
}

#else

using plain::ScanCsv;

#endif

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CSV_SCAN_H_
