#include "rating/catalog_csv.h"

#include <algorithm>
#include <string>

namespace tollbook {
namespace {

std::string_view WordsOf(CsvError error) {
  switch (error) {
    case CsvError::kNone:
      return "";
    case CsvError::kOpenQuote:
      return "a quote is opened and never closed";
    case CsvError::kAfterQuote:
      return "a closing quote is followed by neither a comma nor the end of the row";
    case CsvError::kInsideField:
      return "a quote stands within a field";
  }
  return "";
}

}  // namespace

bool CheckCsvBytes(std::string_view text, FileErrors& errors) {
  const size_t bad = FirstBadByte(text);
  if (bad < text.size()) {
    errors.Add(LineAt(text, bad), "a byte here is not UTF-8 text", "save the file as UTF-8");
  }
  return bad == text.size();
}

bool CheckCsvRow(const CsvRow& row, FileErrors& errors) {
  if (row.error == CsvError::kNone) return true;
  errors.Add(row.line, std::string(WordsOf(row.error)),
             "put the whole field in quotes, and double each quote that it holds");
  return false;
}

bool CsvColumns::ReadHeader(const CsvRow& row) {
  bool good = true;
  for (size_t i = 0; i < row.fields.size(); ++i) good = ReadName(row.fields[i], i) && good;
  for (size_t column = 0; column < required_; ++column) {
    if (places_[column] != kAbsent) continue;
    errors_.Add(row.line, Join({"the header has no column ", Quoted(names_[column])}), "add it, in any place");
    good = false;
  }
  width_ = row.fields.size();
  return good;
}

bool CsvColumns::ReadName(std::string_view name, size_t place) {
  const auto column = std::ranges::find(names_, name);
  if (column == names_.end()) {
    errors_.Add(1, Join({"the header has an unknown column ", Quoted(name)}), DidYouMean(name, names_));
    return false;
  }
  size_t& known = places_[static_cast<size_t>(column - names_.begin())];
  if (known != kAbsent) {
    errors_.Add(1, Join({"the header has column ", Quoted(name), " twice"}), "keep one of the two");
    return false;
  }
  known = place;
  return true;
}

bool CsvColumns::CheckWidth(const CsvRow& row) {
  if (row.fields.size() == width_) return true;
  errors_.Add(row.line,
              "the row has " + std::to_string(row.fields.size()) + " fields, the header " + std::to_string(width_),
              "write one field for each column, empty ones included");
  return false;
}

}  // namespace tollbook
