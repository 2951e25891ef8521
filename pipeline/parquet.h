// Parquet: rows of a table as a Parquet file, for warehouses.
//
// Cells   Come as the text that the CSV of the table has, and are stored exactly: a decimal is DECIMAL, never a double.
// Bytes   The same rows are the same file. Compressed they are so for one version of zstd only, so what must be the
//         same for ever (a batch that is delivered) goes uncompressed.
// Memory  One row group: 100,000 rows, or 16 MiB of cells, whichever comes first.
// Errors  OutOfRange: a cell that its type does not hold. What went to the sink before is no file: it has no footer.
// Source  The Parquet format, version 1: PLAIN values, data pages of version 1, one page a column and row group; the
//         metadata in Thrift's compact protocol. Hand-made, since no library for it is packaged, and these parts are
//         few.
#ifndef TOLLBOOK_PIPELINE_PARQUET_H_
#define TOLLBOOK_PIPELINE_PARQUET_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "rating/error.h"

namespace tollbook {

// Of all but kText an empty cell is null.
enum class ParquetType : uint8_t {
  kText,      // STRING, UTF-8; an empty cell is an empty text
  kDate,      // DATE, of YYYY-MM-DD
  kWhole,     // INT64
  kMoney,     // DECIMAL(38, 4): no currency has more than four minor digits
  kQuantity,  // DECIMAL(38, 18): quantities and rates
};

struct ParquetColumn {
  std::string name;
  ParquetType type = ParquetType::kText;
};

enum class ParquetPages : uint8_t { kUncompressed, kZstd };

class ParquetWriter {
 public:
  using Sink = std::function<absl::Status(std::string_view)>;  // appends to the file

  ParquetWriter(std::vector<ParquetColumn> columns, ParquetPages pages, Sink sink);

  absl::Status Add(const std::vector<std::string>& cells);  // as many as there are columns
  absl::Status Finish();                                    // once; a file without rows is one, too

 private:
  // The cells of one column in the row group that is being filled.
  struct Cells {
    std::string values;   // PLAIN; nulls have none
    std::string present;  // a byte each, 1 or 0; empty for a column without nulls
  };
  struct Chunk {  // a column of a row group, in the file
    int64_t at = 0;
    int64_t bytes = 0;  // with the page's header
    int64_t bytes_uncompressed = 0;
  };
  struct RowGroup {
    int64_t rows = 0;
    std::vector<Chunk> chunks;
  };

  absl::Status Write(std::string_view bytes);
  absl::Status WriteRowGroup();
  absl::StatusOr<Chunk> WriteColumn(const Cells& cells);
  std::string Footer() const;

  const std::vector<ParquetColumn> columns_;
  const ParquetPages pages_;
  const Sink sink_;
  int64_t written_ = 0;
  int64_t rows_ = 0;  // since the last row group
  size_t bytes_ = 0;  // of their cells
  std::vector<Cells> cells_;
  std::vector<RowGroup> groups_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_PARQUET_H_
