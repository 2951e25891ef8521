// CsvText: rows of a CSV file that a system exported, with their lines.
//
// RFC 4180: fields in quotes may hold commas, doubled quotes and line ends; rows end with LF or CRLF; the last one may
// have none. A byte order mark is skipped. Empty lines are skipped.
#ifndef TOLLBOOK_RATING_CSV_TEXT_H_
#define TOLLBOOK_RATING_CSV_TEXT_H_

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace tollbook {

enum class CsvError : uint8_t {
  kNone,
  kOpenQuote,    // the file ends within quotes
  kAfterQuote,   // something other than a comma or line end follows a closing quote
  kInsideField,  // a quote within a field that does not start with one
};

struct CsvRow {
  CsvError error = CsvError::kNone;      // the fields are then those in front of the error
  bool clean = false;                    // surely without a control character in any field
  int line = 0;                          // 1-based, of the row's first byte
  std::vector<std::string_view> fields;  // valid until the next row is read
};

// How many line feeds there are: no fewer rows.
size_t CountLines(std::string_view text);

class CsvReader {
 public:
  // `text` is borrowed. kByBytes looks at each byte of all rows: the twin for tests, with the same answer.
  enum class Way : uint8_t { kFast, kByBytes };
  explicit CsvReader(std::string_view text, Way way = Way::kFast);

  // False at the end. After a row with an error the reader goes on at the next line, but after kOpenQuote it is at the
  // end.
  bool Next(CsvRow* row);

 private:
  bool ReadPlainRow(CsvRow* row);
  std::string_view Unescape(std::string_view quoted);
  CsvError ReadField(CsvRow* row);
  CsvError ReadQuoted(CsvRow* row);
  void SkipEmptyLines();
  bool AtLineEnd() const;
  void SkipLineEnd();
  void SkipLine();

  std::string_view text_;
  const Way way_;
  size_t position_ = 0;
  int line_ = 1;
  std::deque<std::string> unescaped_;  // fields of the current row that had doubled quotes
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CSV_TEXT_H_
