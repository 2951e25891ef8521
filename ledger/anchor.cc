#include "ledger/anchor.h"

#include <charconv>

namespace tollbook {
namespace {

// A case is what a mail or a spreadsheet may have changed.
int DigitOf(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

std::string ToString(const Anchor& anchor) {
  return std::to_string(anchor.sequence) + ":" + ToHex(anchor.hash);
}

std::optional<Anchor> ParseAnchor(std::string_view text) {
  Anchor anchor;
  const char* const end = text.data() + text.size();
  const auto [colon, error] = std::from_chars(text.data(), end, anchor.sequence);
  if (error != std::errc() || end - colon != 1 + 2 * static_cast<std::ptrdiff_t>(anchor.hash.size()) || *colon != ':')
    return std::nullopt;
  for (size_t i = 0; i < anchor.hash.size(); ++i) {
    const int high = DigitOf(colon[1 + 2 * i]), low = DigitOf(colon[2 + 2 * i]);
    if (high < 0 || low < 0) return std::nullopt;
    anchor.hash[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return anchor;
}

}  // namespace tollbook
