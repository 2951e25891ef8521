// Table: rows under named columns, for people (aligned), for spreadsheets (CSV) and for programs (JSON).
#ifndef TOLLBOOK_PIPELINE_APP_TABLE_H_
#define TOLLBOOK_PIPELINE_APP_TABLE_H_

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace tollbook {

struct Column {
  std::string name;    // the CSV header and JSON key; people see it with blanks for underscores
  bool right = false;  // numbers
  bool wrap = false;   // sentences: too long for the terminal, they go on in the next line and are not cut
};

class Table {
 public:
  explicit Table(std::vector<Column> columns);
  void Add(std::vector<std::string> cells);  // as many as there are columns
  size_t rows() const { return rows_.size(); }

  // Aligned by display width (UTF-8), header underlined; cells with control characters are escaped. Wider than the
  // terminal: the widest left-aligned column is made narrower; its cells are cut with "…", or wrapped.
  std::string ToText() const;
  // RFC 4180: quoted where needed; first line is the header.
  std::string ToCsv() const;
  // An array of objects; every cell is text.
  std::string ToJson() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Writes all of it to standard output. A closed pipe ends the program quietly, any other failure is an error message
// and exit code 1.
int Print(std::string_view text);

// Prints the table as "csv", "json", or, when `format` is empty, for people.
int PrintTable(const Table& table, std::string_view format);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_TABLE_H_
