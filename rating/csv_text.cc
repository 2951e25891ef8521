#include "rating/csv_text.h"

#include <algorithm>
#include <bit>

#include "rating/csv_scan.h"

namespace tollbook {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// May the character end a field, or be wrong in it? All others are passed over without a second look.
constexpr bool EndsPlainText(char c) {
  return c == ',' || c == '"' || c == '\n' || c == '\r';
}

size_t LowestBit(uint64_t bits) {
  return static_cast<size_t>(std::countr_zero(bits));
}

}  // namespace

size_t CountLines(std::string_view text) {
  size_t lines = 0;
  size_t at = 0;
  for (; at + CsvBits::kBytes <= text.size(); at += CsvBits::kBytes) {
    lines += static_cast<size_t>(std::popcount(ScanCsv(text.data() + at, ',').line_ends));
  }
  return lines + static_cast<size_t>(std::count(text.begin() + static_cast<std::ptrdiff_t>(at), text.end(), '\n'));
}

CsvReader::CsvReader(std::string_view text, Way way) : text_(text), way_(way) {
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
  row->clean = way_ == Way::kFast && ReadPlainRow(row);
  if (row->clean) {
    return true;
  }
  row->fields.clear();
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

// Nearly every row: no quotes, no control characters but those of its end, and bytes behind it. It is cut 64 bytes at a
// time. False: any other, of which nothing was read.
bool CsvReader::ReadPlainRow(CsvRow* row) {
  size_t start = position_;
  for (size_t at = position_; at + CsvBits::kBytes <= text_.size(); at += CsvBits::kBytes) {
    const CsvBits bits = ScanCsv(text_.data() + at, ',');
    const uint64_t in_row = bits.line_ends ^ (bits.line_ends - 1);  // its LF included; all 64 when the row goes on
    const uint64_t odd = bits.odd & in_row;
    const uint64_t line_end = bits.line_ends & in_row;
    const bool crlf = line_end != 0 && odd << 1 == line_end && text_[at + LowestBit(odd)] == '\r';
    if (odd != 0 && !crlf) {
      return false;
    }
    for (uint64_t left = bits.delimiters & in_row; left != 0; left &= left - 1) {
      const size_t comma = at + LowestBit(left);
      row->fields.push_back(text_.substr(start, comma - start));
      start = comma + 1;
    }
    if (bits.line_ends != 0) {
      const size_t end = at + LowestBit(bits.line_ends);
      row->fields.push_back(text_.substr(start, end - start - (crlf ? 1 : 0)));
      position_ = end + 1;
      ++line_;
      return true;
    }
  }
  return false;
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
