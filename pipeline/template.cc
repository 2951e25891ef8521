#include "pipeline/template.h"

#include <charconv>

namespace tollbook {
namespace {

constexpr int kWidthMax = 20;  // of a 64-bit number

// Takes the mark and the whole number behind it off the front. True as well when the mark is not there.
bool TakeNumber(char mark, std::string_view* rest, uint64_t* number) {
  if (!rest->starts_with(mark)) return true;
  const char* const end = rest->data() + rest->size();
  const auto [stop, error] = std::from_chars(rest->data() + 1, end, *number);
  *rest = {stop, static_cast<size_t>(end - stop)};
  return error == std::errc();
}

bool IsRow(std::string_view name) {
  return name.starts_with("row") &&
         (name.size() == 3 || std::string_view("-%:").find(name[3]) != std::string_view::npos);
}

std::string ParseRow(std::string_view name, TemplatePart* part) {
  part->kind = TemplatePart::Kind::kRow;
  std::string_view rest = name.substr(3);
  uint64_t width = 0;
  const bool has_modulo = rest.find('%') != std::string_view::npos;
  const bool read = TakeNumber('-', &rest, &part->subtract) && TakeNumber('%', &rest, &part->modulo) &&
                    TakeNumber(':', &rest, &width) && rest.empty();
  if (!read) return "write {row}, {row-1}, {row%100}, {row:03} or {row-1%100:03}";
  if (part->subtract > 1) return "rows start at 1, so no more than 1 can be taken off";
  if (has_modulo && part->modulo == 0) return "a rest by 0 does not exist";
  if (width > kWidthMax) return "at most 20 digits";
  part->width = static_cast<int>(width);
  return {};
}

std::string ParseName(std::string_view name, TemplatePart* part) {
  if (name.empty()) return "there is no name between { and }";
  if (IsRow(name)) return ParseRow(name, part);
  part->kind = name == "file" ? TemplatePart::Kind::kFile : TemplatePart::Kind::kColumn;
  if (part->kind == TemplatePart::Kind::kColumn) part->text = name;
  return {};
}

void AppendText(std::string_view text, std::vector<TemplatePart>* parts) {
  if (parts->empty() || parts->back().kind != TemplatePart::Kind::kText) parts->emplace_back();
  parts->back().text.append(text);
}

}  // namespace

ParsedTemplate ParseTemplate(std::string_view text) {
  ParsedTemplate parsed;
  while (!text.empty() && parsed.error.empty()) {
    const size_t brace = std::min(text.find_first_of("{}"), text.size());
    if (brace > 0) AppendText(text.substr(0, brace), &parsed.parts);
    text.remove_prefix(brace);
    if (text.empty()) break;
    if (text.starts_with("{{") || text.starts_with("}}")) {
      AppendText(text.substr(0, 1), &parsed.parts);
      text.remove_prefix(2);
      continue;
    }
    const size_t end = text.find_first_of("{}", 1);
    if (text[0] == '}' || end == std::string_view::npos || text[end] == '{') {
      parsed.error = "a brace stands alone; write {{ or }} for a brace itself";
      break;
    }
    TemplatePart part;
    parsed.error = ParseName(text.substr(1, end - 1), &part);
    parsed.parts.push_back(std::move(part));
    text.remove_prefix(end + 1);
  }
  return parsed;
}

}  // namespace tollbook
