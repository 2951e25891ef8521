#include "pipeline/subject_lines.h"

#include <algorithm>
#include <cstring>

#include "pipeline/decode.h"
#include "pipeline/lines.h"

namespace tollbook {
namespace {

constexpr std::string_view kQuotedName = "\"subject\"";

std::string_view WithoutBlanks(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  return first == std::string_view::npos ? std::string_view() : text.substr(first);
}

// Behind the next `"subject"`; empty: there is none.
std::string_view BehindName(std::string_view text) {
  const void* const found = ::memmem(text.data(), text.size(), kQuotedName.data(), kQuotedName.size());
  if (found == nullptr) return {};
  return text.substr(static_cast<size_t>(static_cast<const char*>(found) - text.data()) + kQuotedName.size());
}

}  // namespace

bool SubjectLines::MayHold(std::string_view line) const {
  if (all_) return true;
  if (std::memchr(line.data(), '\\', line.size()) != nullptr) return true;
  // Wherever it stands: in the event itself, in what it carries, or as a value of its own.
  for (std::string_view rest = BehindName(line); !rest.empty(); rest = BehindName(rest)) {
    std::string_view value = WithoutBlanks(rest);
    if (!value.starts_with(':')) continue;
    value = WithoutBlanks(value.substr(1));
    if (!value.starts_with('"')) return true;  // the decoder knows what that is
    value.remove_prefix(1);
    if (subjects_.contains(value.substr(0, value.find('"')))) return true;
  }
  return false;
}

std::vector<uint32_t> SubjectLines::Keep(Block* block) const {
  std::vector<uint32_t> kept;
  size_t end = 0;  // of what is kept
  BlockLine line;
  while (line.offset < block->bytes) {
    const size_t bytes = std::min(FindLineEnd(*block, &line), block->bytes - line.offset);
    if (MayHold(line.text)) {
      std::memmove(block->data + end, block->data + line.offset, bytes);
      end += bytes;
      kept.push_back(static_cast<uint32_t>(line.number));
    }
    GoToNextLine(bytes, &line);
  }
  block->bytes = end;
  std::memset(block->data + end, 0, kLinePadding);
  return kept;
}

}  // namespace tollbook
