#include "rating/dimension_text.h"

#include <algorithm>

namespace tollbook {
namespace {

void AppendEscaped(std::string_view part, std::string* text) {
  for (const char c : part) {
    if (c == ',' || c == '=' || c == '\\') text->push_back('\\');
    text->push_back(c);
  }
}

std::string Unescaped(std::string_view part) {
  std::string text;
  for (size_t at = 0; at < part.size(); ++at) {
    if (part[at] == '\\' && at + 1 < part.size()) ++at;
    text.push_back(part[at]);
  }
  return text;
}

// Where the first such sign without a backslash before it is; the text's size: nowhere.
size_t PlaceOf(char sign, std::string_view text) {
  size_t at = 0;
  while (at < text.size() && text[at] != sign) at += text[at] == '\\' ? 2 : 1;
  return std::min(at, text.size());
}

}  // namespace

std::string DimensionText(const std::map<std::string, std::string>& dimensions) {
  std::string text;
  for (const auto& [name, value] : dimensions) {
    if (!text.empty()) text.push_back(',');
    AppendEscaped(name, &text);
    text.push_back('=');
    AppendEscaped(value, &text);
  }
  return text;
}

std::vector<std::pair<std::string, std::string>> ParseDimensions(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> dimensions;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, PlaceOf(',', text));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    const size_t sign = PlaceOf('=', one);
    if (sign < one.size()) dimensions.emplace_back(Unescaped(one.substr(0, sign)), Unescaped(one.substr(sign + 1)));
  }
  return dimensions;
}

}  // namespace tollbook
