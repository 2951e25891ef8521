// CsvCells: a line of CSV to its cells.
#ifndef TOLLBOOK_PIPELINE_CSV_CELLS_H_
#define TOLLBOOK_PIPELINE_CSV_CELLS_H_

#include <string_view>
#include <vector>

#include "ledger/exception.h"
#include "pipeline/arena.h"

namespace tollbook {

// Behind each cell that SplitRow gives so many bytes may be read, so that short cells can be copied in one go.
inline constexpr size_t kCellPadding = 32;

// RFC 4180, but a record is one line. Blanks belong to the cell. kNone, kInvalidUtf8 or kCsvQuote.
// The line is followed by kLinePadding readable bytes.
Reason SplitRow(std::string_view line, char delimiter, Arena& arena, std::vector<std::string_view>* cells);

// The same, a byte after the other: for lines with quotes, lines without padding, and as the twin of SplitRow in tests.
Reason SplitRowPlainly(std::string_view line, char delimiter, Arena& arena, std::vector<std::string_view>* cells);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CSV_CELLS_H_
