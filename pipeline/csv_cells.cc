#include "pipeline/csv_cells.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include <bit>
#include <cstdint>

#include "simdjson.h"

namespace tollbook {
namespace {

bool IsUtf8(std::string_view line) {
  return simdjson::validate_utf8(line.data(), line.size());
}

// Takes the text of a quoted cell: `rest` is behind its opening quote, and is left at the delimiter or empty. Doubled
// quotes become one in the arena; without them the cell is a view into the line.
bool TakeQuotedCell(std::string_view* rest, Arena& arena, std::string_view* cell) {
  const char* const begin = rest->data();
  size_t doubled = 0;
  size_t at = 0;
  for (;;) {
    at = rest->find('"', at);
    if (at == std::string_view::npos) return false;
    if (at + 1 >= rest->size() || (*rest)[at + 1] != '"') break;
    ++doubled;
    at += 2;
  }
  *cell = {begin, at};
  rest->remove_prefix(at + 1);
  if (doubled == 0) return true;
  char* const text = arena.Allocate(at - doubled + kCellPadding);
  char* out = text;
  for (size_t i = 0; i < at; ++i) {
    *out++ = begin[i];
    if (begin[i] == '"') ++i;
  }
  *cell = {text, at - doubled};
  return true;
}

Reason SplitQuoted(std::string_view line, char delimiter, Arena& arena, std::vector<std::string_view>* cells) {
  cells->clear();
  for (;;) {
    std::string_view cell;
    if (line.starts_with('"')) {
      line.remove_prefix(1);
      if (!TakeQuotedCell(&line, arena, &cell)) return Reason::kCsvQuote;
      if (!line.empty() && line[0] != delimiter) return Reason::kCsvQuote;
    } else {
      cell = line.substr(0, line.find(delimiter));
      line.remove_prefix(cell.size());
    }
    cells->push_back(cell);
    if (line.empty()) return Reason::kNone;
    line.remove_prefix(1);
  }
}

std::string_view WithoutCarriageReturn(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

Reason SplitRowPlainly(std::string_view line, char delimiter, Arena& arena, std::vector<std::string_view>* cells) {
  if (!IsUtf8(line)) return Reason::kInvalidUtf8;
  return SplitQuoted(WithoutCarriageReturn(line), delimiter, arena, cells);
}

#ifdef __AVX2__
// Delimiters, quotes and bytes beyond ASCII are looked for in one pass, 32 bytes at a time: a call of memchr for each
// cell and one of the UTF-8 check for the line cost more than all the rest of a short row. What is not plain ASCII
// without quotes goes the careful way, the twin. bench/tricks.cc: `rows` 225 instructions an event, 466 by the twin.
Reason SplitRow(std::string_view line, char delimiter, Arena& arena, std::vector<std::string_view>* cells) {
  const std::string_view text = WithoutCarriageReturn(line);
  cells->clear();
  const __m256i delimiters = _mm256_set1_epi8(delimiter);
  const __m256i quotes = _mm256_set1_epi8('"');
  const char* const begin = text.data();
  size_t cell = 0;
  for (size_t at = 0; at < text.size(); at += 32) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(begin + at));
    const size_t left = text.size() - at;
    const uint32_t inside = left >= 32 ? ~uint32_t{0} : (uint32_t{1} << left) - 1;
    const __m256i odd =
        _mm256_or_si256(bytes, _mm256_cmpeq_epi8(bytes, quotes));  // the sign bit: beyond ASCII, or a quote
    if ((static_cast<uint32_t>(_mm256_movemask_epi8(odd)) & inside) != 0) {
      return SplitRowPlainly(line, delimiter, arena, cells);
    }
    auto found = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, delimiters))) & inside;
    for (; found != 0; found &= found - 1) {
      const size_t end = at + static_cast<size_t>(std::countr_zero(found));
      cells->emplace_back(begin + cell, end - cell);
      cell = end + 1;
    }
  }
  cells->emplace_back(begin + cell, text.size() - cell);
  return Reason::kNone;
}
#else
Reason SplitRow(std::string_view line, char delimiter, Arena& arena, std::vector<std::string_view>* cells) {
  return SplitRowPlainly(line, delimiter, arena, cells);
}
#endif

}  // namespace tollbook
