#include "rating/csv_text.h"

#include <algorithm>

namespace tollbook {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// May the character end a field, or be wrong in it? All others are passed over without a second look.
constexpr bool EndsPlainText(char c) {
  return c == ',' || c == '"' || c == '\n' || c == '\r';
}

}  // namespace

CsvReader::CsvReader(std::string_view text) : text_(text) {
  if (text_.starts_with(kByteOrderMark)) {
    position_ = kByteOrderMark.size();
  }
}

bool CsvReader::Next(CsvRow* row) {
  SkipEmptyLines();
  row->error = CsvError::kNone;
  row->fields.clear();
  unescaped_.clear();
  if (position_ == text_.size()) {
    return false;
  }
  row->line = line_;
  for (;;) {
    row->error = ReadField(row);
    if (row->error != CsvError::kNone) {
      SkipLine();
      return true;
    }
    if (AtLineEnd()) {
      SkipLineEnd();
      return true;
    }
    ++position_;  // the comma
  }
}

CsvError CsvReader::ReadField(CsvRow* row) {
  if (position_ < text_.size() && text_[position_] == '"') {
    return ReadQuoted(row);
  }
  const size_t start = position_;
  for (;; ++position_) {
    while (position_ < text_.size() && !EndsPlainText(text_[position_])) {
      ++position_;
    }
    if (position_ < text_.size() && text_[position_] == '"') {
      return CsvError::kInsideField;
    }
    if (AtLineEnd() || text_[position_] == ',') {
      break;
    }
  }
  row->fields.push_back(text_.substr(start, position_ - start));
  return CsvError::kNone;
}

CsvError CsvReader::ReadQuoted(CsvRow* row) {
  const size_t start = position_ + 1;
  bool doubled = false;
  for (size_t from = start;;) {
    const size_t quote = text_.find('"', from);
    if (quote == std::string_view::npos) {
      position_ = text_.size();
      return CsvError::kOpenQuote;
    }
    position_ = quote + 1;
    if (position_ == text_.size() || text_[position_] != '"') {
      break;
    }
    doubled = true;
    from = quote + 2;
  }
  const std::string_view inside = text_.substr(start, position_ - 1 - start);
  line_ += static_cast<int>(std::count(inside.begin(), inside.end(), '\n'));
  row->fields.push_back(doubled ? Unescape(inside) : inside);
  const bool ended = position_ == text_.size() || text_[position_] == ',' || AtLineEnd();
  return ended ? CsvError::kNone : CsvError::kAfterQuote;
}

std::string_view CsvReader::Unescape(std::string_view quoted) {
  std::string& text = unescaped_.emplace_back();
  for (size_t i = 0; i < quoted.size(); ++i) {
    text += quoted[i];
    i += quoted[i] == '"' ? 1 : 0;
  }
  return text;
}

void CsvReader::SkipEmptyLines() {
  while (position_ < text_.size() && AtLineEnd()) {
    SkipLineEnd();
  }
}

// A lone CR is a byte like any other: only CRLF ends a line.
bool CsvReader::AtLineEnd() const {
  return position_ == text_.size() || text_[position_] == '\n' ||
         (text_[position_] == '\r' && (position_ + 1 == text_.size() || text_[position_ + 1] == '\n'));
}

void CsvReader::SkipLineEnd() {
  if (position_ < text_.size() && text_[position_] == '\r') {
    ++position_;
  }
  if (position_ < text_.size()) {
    ++position_;
    ++line_;
  }
}

void CsvReader::SkipLine() {
  position_ = std::min(text_.find('\n', position_), text_.size());
  SkipLineEnd();
}

}  // namespace tollbook
