// Lines: the lines of a block, one after the other.
#ifndef TOLLBOOK_PIPELINE_LINES_H_
#define TOLLBOOK_PIPELINE_LINES_H_

#include <cstdint>
#include <cstring>
#include <string_view>

#include "pipeline/input.h"

namespace tollbook {

struct BlockLine {
  std::string_view text;  // without its line end (LF or CRLF)
  uint64_t number = 0;    // line ends of the block before it
  uint64_t row = 0;       // where the reader counts rows; else 0
  size_t offset = 0;      // in Block::data
};

inline bool IsBlankLine(std::string_view text) {
  return text.empty() || (text[0] <= ' ' && text.find_first_not_of(" \t\r") == std::string_view::npos);
}

// Finds the end of the line at `line->offset`, and with it the text; the bytes to the next line's offset.
inline size_t FindLineEnd(const Block& block, BlockLine* line) {
  const char* start = block.data + line->offset;
  const size_t left = block.bytes - line->offset;
  const auto* newline = static_cast<const char*>(std::memchr(start, '\n', left));
  const size_t bytes = newline == nullptr ? left : static_cast<size_t>(newline - start);
  line->text = {start, bytes};
  if (!line->text.empty() && line->text.back() == '\r') line->text.remove_suffix(1);
  return bytes + 1;
}

inline void GoToNextLine(size_t bytes, BlockLine* line) {
  ++line->number;
  if (line->row != 0) ++line->row;
  line->offset += bytes;
}

// Calls `visit(const BlockLine&)` for each line that is not blank; returns the number of lines, blank ones included.
// Lines that the reader cut out as too long stand behind all of these.
template <typename Visit>
uint64_t ForEachLine(const Block& block, Visit&& visit) {
  BlockLine line;
  line.row = block.first_row;
  while (line.offset < block.bytes) {
    const size_t bytes = FindLineEnd(block, &line);
    if (!IsBlankLine(line.text)) visit(static_cast<const BlockLine&>(line));
    GoToNextLine(bytes, &line);
  }
  return line.number;
}

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_LINES_H_
