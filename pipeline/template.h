// Template: text with {column}, {file} and {row} in it, as sources.yaml has it. "{{" and "}}" are braces.
//
// {row} is 1 for a file's first data line. {row-1%100:03} takes one off, takes the rest by 100 and pads to three
// digits with zeros; each of the three may be left out.
#ifndef TOLLBOOK_PIPELINE_TEMPLATE_H_
#define TOLLBOOK_PIPELINE_TEMPLATE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tollbook {

struct TemplatePart {
  enum class Kind : uint8_t { kText, kColumn, kFile, kRow };
  Kind kind = Kind::kText;
  std::string text;  // kText: the text; kColumn: the column's name
  // kRow
  uint64_t subtract = 0;
  uint64_t modulo = 0;  // 0: none
  int width = 0;
  friend bool operator==(const TemplatePart&, const TemplatePart&) = default;
};

struct ParsedTemplate {
  std::vector<TemplatePart> parts;
  std::string error;  // empty: fine; else what is wrong with it
};
[[nodiscard]] ParsedTemplate ParseTemplate(std::string_view text);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_TEMPLATE_H_
