// Table: rows under named columns, for people (aligned), for spreadsheets (CSV), for programs (JSON) and for
// warehouses (Parquet).
#ifndef TOLLBOOK_PIPELINE_APP_TABLE_H_
#define TOLLBOOK_PIPELINE_APP_TABLE_H_

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/parquet.h"
#include "rating/error.h"

namespace tollbook {

// What becomes of a column when the table is wider than the terminal.
enum class Narrow : uint8_t {
  kCut,   // its cells end in "…"
  kTail,  // they begin with "…": of a path its end tells more
  kWrap,  // sentences: they go on in the next line
  kKeep,  // what is typed again, such as an id: it stays whole, and the terminal wraps
};

struct Column {
  std::string name;    // the CSV header and JSON key; people see it with blanks for underscores
  bool right = false;  // numbers; they are never cut
  Narrow narrow = Narrow::kCut;
  ParquetType type = ParquetType::kText;  // of its cells in Parquet
};

class Table {
 public:
  explicit Table(std::vector<Column> columns);
  void Add(std::vector<std::string> cells);  // as many as there are columns
  size_t rows() const { return rows_.size(); }

  // Aligned by display width (UTF-8), header underlined; cells with control characters are escaped. Wider than the
  // terminal: the widest column that may be narrower is made so. Each line begins with so many blanks.
  std::string ToText(size_t indent = 0) const;
  // RFC 4180: quoted where needed; first line is the header.
  std::string ToCsv() const;
  // An array of objects; every cell is text.
  std::string ToJson() const;
  // A Parquet file, to standard output.
  absl::Status WriteParquet() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// The same rows as Table::ToCsv, ToJson and WriteParquet, sent to standard output as they come: any number of them
// takes the memory of one buffer.
class RowStream {
 public:
  RowStream(std::vector<Column> columns, std::string_view format);  // "csv", "json" or "parquet"
  absl::Status Add(const std::vector<std::string>& cells);          // as many as there are columns
  absl::Status Finish();

 private:
  std::vector<Column> columns_;
  bool json_;
  std::optional<ParquetWriter> parquet_;
  uint64_t rows_ = 0;
  std::string buffer_;
};

// Writes all of it to standard output. A closed pipe is no error: who reads has seen enough.
absl::Status WriteOutput(std::string_view text);

// The same; a failure is an error message and exit code 1.
int Print(std::string_view text);

// Ends what was written with printf: it fails only when its buffer goes out, which may be as late as here.
int EndPrinted();

// Prints the table as "csv", "json", "parquet", or, when `format` is empty, for people.
int PrintTable(const Table& table, std::string_view format);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_TABLE_H_
