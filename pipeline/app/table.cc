#include "pipeline/app/table.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>

#include "pipeline/app/session.h"
#include "pipeline/app/text.h"
#include "pipeline/journal_text.h"

namespace tollbook {
namespace {

constexpr std::string_view kGap = "  ";
constexpr size_t kNarrowest = 8;
constexpr size_t kStreamBufferBytes = 1 << 20;

using Cells = std::vector<std::string>;

size_t Total(const std::vector<size_t>& widths) {
  return std::accumulate(widths.begin(), widths.end(), kGap.size() * (widths.size() - 1));
}

// Too many numbers for the terminal: it wraps, rather than that digits are hidden.
void Shrink(const std::vector<Column>& columns, size_t width, std::vector<size_t>* widths) {
  for (size_t total = Total(*widths); total > width; --total) {
    size_t* widest = nullptr;
    for (size_t i = 0; i < widths->size(); ++i) {
      size_t& at = (*widths)[i];
      if (!columns[i].right && columns[i].narrow != Narrow::kKeep && at > kNarrowest &&
          (widest == nullptr || at > *widest))
        widest = &at;
    }
    if (widest == nullptr) return;
    --*widest;
  }
}

std::string Narrowed(const Column& column, const std::string& cell, size_t width) {
  if (column.right) return cell;
  return column.narrow == Narrow::kTail ? TailOf(cell, width) : Truncated(cell, width);
}

void AppendLine(const std::vector<Column>& columns, const std::vector<size_t>& widths, const Cells& cells,
                std::string* out) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i != 0) line.append(kGap);
    const std::string cell = Narrowed(columns[i], cells[i], widths[i]);
    const size_t blanks = widths[i] - std::min(widths[i], DisplayWidth(cell));
    if (columns[i].right) line.append(blanks, ' ');
    line.append(cell);
    if (!columns[i].right) line.append(blanks, ' ');
  }
  // Blanks at the end would wrap a line that just fits.
  line.erase(line.find_last_not_of(' ') + 1);
  out->append(line).push_back('\n');
}

// A row, and below it what its wrapped cells go on with.
void AppendRow(const std::vector<Column>& columns, const std::vector<size_t>& widths, Cells cells, std::string* out) {
  for (bool more = true; more;) {
    more = false;
    Cells rest(cells.size());
    for (size_t i = 0; i < cells.size(); ++i) {
      if (columns[i].narrow != Narrow::kWrap) continue;
      const size_t end = WrapAt(cells[i], widths[i]);
      rest[i] = cells[i].substr(std::min(cells[i].find_first_not_of(' ', end), cells[i].size()));
      cells[i].resize(end);
      more = more || !rest[i].empty();
    }
    AppendLine(columns, widths, cells, out);
    cells = std::move(rest);
  }
}

void AppendCsvHeader(const std::vector<Column>& columns, std::string* out) {
  for (size_t i = 0; i < columns.size(); ++i) {
    if (i != 0) out->push_back(',');
    AppendCsvCell(columns[i].name, out);
  }
  out->push_back('\n');
}

void AppendCsvRow(const Cells& cells, std::string* out) {
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i != 0) out->push_back(',');
    AppendCsvCell(PlainUtf8(cells[i]), out);
  }
  out->push_back('\n');
}

// Bytes that are not UTF-8 become U+FFFD; JSON cannot carry them.
std::string JsonText(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// An array is "[", its rows, and JsonEnd.
void AppendJsonRow(const std::vector<Column>& columns, const Cells& cells, bool first, std::string* out) {
  out->append(first ? "\n  {" : ",\n  {");
  for (size_t i = 0; i < cells.size(); ++i) {
    out->append(i == 0 ? "\n    " : ",\n    ").append(JsonText(columns[i].name)).append(": ");
    out->append(JsonText(cells[i]));
  }
  out->append("\n  }");
}

std::string_view JsonEnd(bool empty) {
  return empty ? "]" : "\n]";
}

absl::Status CannotWriteOutput() {
  return MakeError(absl::StatusCode::kUnavailable, "cannot write",
                   std::string("standard output: ") + std::strerror(errno),
                   "check where the output goes and the space there");
}

// A terminal is refused: the bytes are not for people.
ParquetWriter ParquetOutput(const std::vector<Column>& columns) {
  std::vector<ParquetColumn> typed;
  for (const Column& column : columns) typed.push_back({column.name, column.type});
  return ParquetWriter(std::move(typed), ParquetPages::kZstd, [](std::string_view bytes) {
    if (isatty(STDOUT_FILENO) == 0) return WriteOutput(bytes);
    return MakeError(absl::StatusCode::kInvalidArgument, "Parquet is not for a terminal", "--format parquet",
                     "send it to a file: > FILE.parquet");
  });
}

absl::Status AddParquetRow(const Cells& cells, ParquetWriter* writer) {
  Cells plain;
  for (const std::string& cell : cells) plain.push_back(PlainUtf8(cell));
  return writer->Add(plain);
}

std::string Indented(std::string_view text, size_t blanks) {
  std::string indented;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin) + 1;
    indented.append(blanks, ' ').append(text.substr(begin, end - begin));
    begin = end;
  }
  return indented;
}

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  TOLLBOOK_ASSERT(!columns_.empty());
}

void Table::Add(std::vector<std::string> cells) {
  TOLLBOOK_ASSERT(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::ToText(size_t indent) const {
  std::vector<Cells> lines(1);
  for (const Column& column : columns_) {
    lines[0].push_back(Printable(column.name));
    std::replace(lines[0].back().begin(), lines[0].back().end(), '_', ' ');
  }
  for (const Cells& row : rows_) {
    lines.emplace_back();
    for (const std::string& cell : row) lines.back().push_back(Printable(cell));
  }
  std::vector<size_t> widths(columns_.size());
  for (const Cells& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], DisplayWidth(line[i]));
  }
  if (const size_t terminal = TerminalWidth(STDOUT_FILENO); terminal != 0)
    Shrink(columns_, terminal > indent ? terminal - indent : 1, &widths);

  std::string out;
  AppendLine(columns_, widths, lines[0], &out);
  for (size_t i = 0; i < Total(widths); ++i) out.append("─");
  out.push_back('\n');
  for (size_t i = 1; i < lines.size(); ++i) AppendRow(columns_, widths, lines[i], &out);
  return indent == 0 ? out : Indented(out, indent);
}

std::string Table::ToCsv() const {
  std::string out;
  AppendCsvHeader(columns_, &out);
  for (const Cells& row : rows_) AppendCsvRow(row, &out);
  return out;
}

std::string Table::ToJson() const {
  std::string out = "[";
  for (const Cells& row : rows_) AppendJsonRow(columns_, row, &row == &rows_.front(), &out);
  return out.append(JsonEnd(rows_.empty()));
}

absl::Status Table::WriteParquet() const {
  ParquetWriter writer = ParquetOutput(columns_);
  for (const Cells& row : rows_) TOLLBOOK_RETURN_IF_ERROR(AddParquetRow(row, &writer));
  return writer.Finish();
}

RowStream::RowStream(std::vector<Column> columns, std::string_view format)
    : columns_(std::move(columns)), json_(format == "json") {
  if (format == "parquet") {
    parquet_.emplace(ParquetOutput(columns_));
  } else if (json_) {
    buffer_ = "[";
  } else {
    AppendCsvHeader(columns_, &buffer_);
  }
}

absl::Status RowStream::Add(const std::vector<std::string>& cells) {
  TOLLBOOK_ASSERT(cells.size() == columns_.size());
  if (parquet_) return AddParquetRow(cells, &*parquet_);
  if (json_) {
    AppendJsonRow(columns_, cells, rows_ == 0, &buffer_);
  } else {
    AppendCsvRow(cells, &buffer_);
  }
  ++rows_;
  if (buffer_.size() < kStreamBufferBytes) return absl::OkStatus();
  const absl::Status written = WriteOutput(buffer_);
  buffer_.clear();
  return written;
}

absl::Status RowStream::Finish() {
  if (parquet_) return parquet_->Finish();
  if (json_) buffer_.append(JsonEnd(rows_ == 0)).push_back('\n');
  return WriteOutput(buffer_);
}

absl::Status WriteOutput(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EPIPE) {
      return absl::OkStatus();
    } else if (errno != EINTR) {
      return CannotWriteOutput();
    }
  }
  return absl::OkStatus();
}

int Print(std::string_view text) {
  const absl::Status written = WriteOutput(text);
  return written.ok() ? kDone : Fail(written);
}

int EndPrinted() {
  const bool failed_before = std::ferror(stdout) != 0;
  const bool flushed = std::fflush(stdout) == 0;
  if ((flushed && !failed_before) || errno == EPIPE) return kDone;
  return Fail(CannotWriteOutput());
}

int PrintTable(const Table& table, std::string_view format) {
  if (format == "csv") return Print(table.ToCsv());
  if (format == "json") return Print(table.ToJson() + "\n");
  if (format == "parquet") {
    const absl::Status written = table.WriteParquet();
    return written.ok() ? kDone : Fail(written);
  }
  return Print(table.ToText());
}

}  // namespace tollbook
