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

// Calls `visit(const BlockLine&)` for each line that is not blank; returns the number of lines, blank ones included.
// Lines that the reader cut out as too long stand behind all of these.
template <typename Visit>
uint64_t ForEachLine(const Block& block, Visit&& visit) {
  BlockLine line;
  line.row = block.first_row;
  while (line.offset < block.bytes) {
    const char* start = block.data + line.offset;
    const size_t left = block.bytes - line.offset;
    const auto* newline = static_cast<const char*>(std::memchr(start, '\n', left));
    const size_t bytes = newline == nullptr ? left : static_cast<size_t>(newline - start);
    line.text = {start, bytes};
    if (!line.text.empty() && line.text.back() == '\r') line.text.remove_suffix(1);
    const bool blank =
        line.text.empty() || (line.text[0] <= ' ' && line.text.find_first_not_of(" \t\r") == std::string_view::npos);
    if (!blank) visit(static_cast<const BlockLine&>(line));
    ++line.number;
    if (line.row != 0) ++line.row;
    line.offset += bytes + 1;
  }
  return line.number;
}

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_LINES_H_
