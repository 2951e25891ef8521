#include "pipeline/parquet.h"

#include <zstd.h>

#include <limits>

#include "rating/calendar.h"
#include "rating/decimal.h"

namespace tollbook {
namespace {

constexpr std::string_view kMagic = "PAR1";
constexpr int64_t kRowsMax = 100'000;
constexpr size_t kBytesMax = 16 << 20;
constexpr int kZstdLevel = 3;
constexpr int kPrecision = 38;
constexpr int kDecimalBytes = 16;

// The numbers that the format gives its words.
enum Physical { kInt32 = 1, kInt64 = 2, kByteArray = 6, kFixedLenByteArray = 7 };
enum Converted { kUtf8 = 0, kDecimal = 5, kDateDays = 6 };
enum Logical { kString = 1, kDecimalType = 5, kDateType = 6 };
enum Repetition { kRequired = 0, kOptional = 1 };
enum Encoding { kPlain = 0, kRle = 3 };
enum Codec { kCodecNone = 0, kCodecZstd = 6 };

bool HasNulls(ParquetType type) {
  return type != ParquetType::kText;
}

int ScaleOf(ParquetType type) {
  return type == ParquetType::kQuantity ? 18 : type == ParquetType::kMoney ? 4 : 0;
}

Physical PhysicalOf(ParquetType type) {
  switch (type) {
    case ParquetType::kText:
      return kByteArray;
    case ParquetType::kDate:
      return kInt32;
    case ParquetType::kWhole:
      return kInt64;
    case ParquetType::kMoney:
    case ParquetType::kQuantity:
      break;
  }
  return kFixedLenByteArray;
}

void AppendLittle(uint64_t value, int bytes, std::string* out) {
  for (int i = 0; i < bytes; ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

void AppendVarint(uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}

// Thrift's compact protocol: fields in the order of their ids.
class Thrift {
 public:
  enum Type { kI32 = 5, kI64 = 6, kBinary = 8, kList = 9, kStruct = 12 };

  void I32(int id, int32_t value) {
    Field(id, kI32);
    Element(value);
  }
  void I64(int id, int64_t value) {
    Field(id, kI64);
    Element(value);
  }
  void Text(int id, std::string_view text) {
    Field(id, kBinary);
    Element(text);
  }
  void Begin(int id) {
    Field(id, kStruct);
    Begin();
  }
  void List(int id, Type of, size_t size) {
    Field(id, kList);
    constexpr size_t kLong = 15;  // from here on the size stands behind
    out_.push_back(static_cast<char>((size < kLong ? size : kLong) << 4 | of));
    if (size >= kLong) AppendVarint(size, &out_);
  }
  // An element of a list. An integer's sign goes last, so that small ones are short.
  void Element(int64_t value) {
    AppendVarint(static_cast<uint64_t>(value) << 1 ^ (value < 0 ? ~uint64_t{0} : 0), &out_);
  }
  void Element(std::string_view text) {
    AppendVarint(text.size(), &out_);
    out_.append(text);
  }
  void Begin() {
    open_.push_back(last_);
    last_ = 0;
  }
  void End() {
    out_.push_back('\0');
    last_ = open_.back();
    open_.pop_back();
  }

  // Of the outermost struct, which is begun and not ended.
  std::string Whole() && {
    out_.push_back('\0');
    return std::move(out_);
  }

 private:
  void Field(int id, Type type) {
    out_.push_back(static_cast<char>((id - last_) << 4 | type));
    last_ = id;
  }
  int last_ = 0;           // the id before, of the struct that is open
  std::vector<int> open_;  // of those around it
  std::string out_;
};

void AppendSchema(const ParquetColumn& column, Thrift* thrift) {
  const ParquetType type = column.type;
  thrift->Begin();
  thrift->I32(1, PhysicalOf(type));
  if (PhysicalOf(type) == kFixedLenByteArray) thrift->I32(2, kDecimalBytes);
  thrift->I32(3, HasNulls(type) ? kOptional : kRequired);
  thrift->Text(4, column.name);
  if (type == ParquetType::kText) {
    thrift->I32(6, kUtf8);
    thrift->Begin(10);
    thrift->Begin(kString);
    thrift->End();
    thrift->End();
  } else if (type == ParquetType::kDate) {
    thrift->I32(6, kDateDays);
    thrift->Begin(10);
    thrift->Begin(kDateType);
    thrift->End();
    thrift->End();
  } else if (type != ParquetType::kWhole) {
    thrift->I32(6, kDecimal);
    thrift->I32(7, ScaleOf(type));
    thrift->I32(8, kPrecision);
    thrift->Begin(10);
    thrift->Begin(kDecimalType);
    thrift->I32(1, ScaleOf(type));
    thrift->I32(2, kPrecision);
    thrift->End();
    thrift->End();
  }
  thrift->End();
}

// False: the type does not hold it.
bool AppendValue(const std::string& cell, ParquetType type, std::string* out) {
  if (type == ParquetType::kText) {
    if (cell.size() > std::numeric_limits<int32_t>::max()) return false;
    AppendLittle(cell.size(), 4, out);
    out->append(cell);
    return true;
  }
  if (type == ParquetType::kDate) {
    const std::optional<Day> day = ParseDay(cell);
    if (day) AppendLittle(static_cast<uint32_t>(day->number), 4, out);
    return day.has_value();
  }
  const ParsedDecimal number = ParseDecimal(cell, ScaleOf(type));
  if (number.error != DecimalError::kNone) return false;
  if (type == ParquetType::kWhole) {
    const auto whole = static_cast<int64_t>(number.value);
    if (whole != number.value) return false;
    AppendLittle(static_cast<uint64_t>(whole), 8, out);
    return true;
  }
  constexpr Int128 kBeyond = static_cast<Int128>(10'000'000'000'000'000'000u) * 10'000'000'000'000'000'000u;
  if (number.value >= kBeyond || number.value <= -kBeyond) return false;
  for (int i = kDecimalBytes - 1; i >= 0; --i) out->push_back(static_cast<char>(number.value >> (8 * i)));
  return true;
}

// The definition levels of a page, 0 or 1 each, as runs of equal ones; before them how many bytes they take.
std::string LevelsOf(std::string_view present) {
  std::string runs;
  for (size_t begin = 0; begin < present.size();) {
    const size_t next = present.find_first_not_of(present[begin], begin);
    const size_t end = next == std::string_view::npos ? present.size() : next;
    AppendVarint((end - begin) << 1, &runs);
    runs.push_back(present[begin]);
    begin = end;
  }
  std::string levels;
  AppendLittle(runs.size(), 4, &levels);
  return levels + runs;
}

std::string PageHeader(size_t bytes_uncompressed, size_t bytes, int64_t rows) {
  Thrift thrift;
  thrift.I32(1, 0);  // a data page
  thrift.I32(2, static_cast<int32_t>(bytes_uncompressed));
  thrift.I32(3, static_cast<int32_t>(bytes));
  thrift.Begin(5);
  thrift.I32(1, static_cast<int32_t>(rows));
  thrift.I32(2, kPlain);
  thrift.I32(3, kRle);  // of definition levels
  thrift.I32(4, kRle);  // of repetition levels, which there are none of
  thrift.End();
  return std::move(thrift).Whole();
}

absl::StatusOr<std::string> Compressed(std::string_view bytes) {
  std::string compressed(ZSTD_compressBound(bytes.size()), '\0');
  const size_t size = ZSTD_compress(compressed.data(), compressed.size(), bytes.data(), bytes.size(), kZstdLevel);
  if (ZSTD_isError(size) != 0) {
    return MakeError(absl::StatusCode::kResourceExhausted, "cannot compress", ZSTD_getErrorName(size),
                     "make memory free, or use another --format");
  }
  compressed.resize(size);
  return compressed;
}

}  // namespace

ParquetWriter::ParquetWriter(std::vector<ParquetColumn> columns, ParquetPages pages, Sink sink)
    : columns_(std::move(columns)), pages_(pages), sink_(std::move(sink)), cells_(columns_.size()) {}

absl::Status ParquetWriter::Add(const std::vector<std::string>& cells) {
  TOLLBOOK_ASSERT(cells.size() == columns_.size());
  for (size_t i = 0; i < cells.size(); ++i) {
    const ParquetType type = columns_[i].type;
    const bool is_null = HasNulls(type) && cells[i].empty();
    const size_t before = cells_[i].values.size();
    if (!is_null && !AppendValue(cells[i], type, &cells_[i].values)) {
      return MakeError(absl::StatusCode::kOutOfRange, "cannot be written as Parquet",
                       columns_[i].name + " " + cells[i].substr(0, 100), "use csv or json, which hold any number");
    }
    if (HasNulls(type)) cells_[i].present.push_back(is_null ? '\0' : '\1');
    bytes_ += cells_[i].values.size() - before;
  }
  ++rows_;
  return rows_ == kRowsMax || bytes_ >= kBytesMax ? WriteRowGroup() : absl::OkStatus();
}

absl::Status ParquetWriter::Finish() {
  if (rows_ > 0) TOLLBOOK_RETURN_IF_ERROR(WriteRowGroup());
  if (written_ == 0) TOLLBOOK_RETURN_IF_ERROR(Write(kMagic));
  std::string footer = Footer();
  AppendLittle(footer.size(), 4, &footer);
  return Write(footer.append(kMagic));
}

absl::Status ParquetWriter::Write(std::string_view bytes) {
  written_ += static_cast<int64_t>(bytes.size());
  return sink_(bytes);
}

absl::Status ParquetWriter::WriteRowGroup() {
  if (written_ == 0) TOLLBOOK_RETURN_IF_ERROR(Write(kMagic));
  RowGroup group{rows_, {}};
  for (Cells& cells : cells_) {
    const absl::StatusOr<Chunk> chunk = WriteColumn(cells);
    if (!chunk.ok()) return chunk.status();
    group.chunks.push_back(*chunk);
    cells.values.clear();
    cells.present.clear();
  }
  groups_.push_back(std::move(group));
  rows_ = 0;
  bytes_ = 0;
  return absl::OkStatus();
}

absl::StatusOr<ParquetWriter::Chunk> ParquetWriter::WriteColumn(const Cells& cells) {
  // A page's size is a signed 32-bit number. Only cells of gigabytes come near it.
  std::string page = (cells.present.empty() ? "" : LevelsOf(cells.present)) + cells.values;
  const size_t bytes_uncompressed = page.size();
  if (bytes_uncompressed > std::numeric_limits<int32_t>::max() / 2) {
    return MakeError(absl::StatusCode::kOutOfRange, "cannot be written as Parquet", "a cell of more than a gigabyte",
                     "use csv or json");
  }
  if (pages_ == ParquetPages::kZstd) {
    absl::StatusOr<std::string> compressed = Compressed(page);
    if (!compressed.ok()) return compressed.status();
    page = *std::move(compressed);
  }
  const std::string header = PageHeader(bytes_uncompressed, page.size(), rows_);
  const auto header_bytes = static_cast<int64_t>(header.size());
  const Chunk chunk{written_, header_bytes + static_cast<int64_t>(page.size()),
                    header_bytes + static_cast<int64_t>(bytes_uncompressed)};
  TOLLBOOK_RETURN_IF_ERROR(Write(header));
  TOLLBOOK_RETURN_IF_ERROR(Write(page));
  return chunk;
}

std::string ParquetWriter::Footer() const {
  int64_t rows = 0;
  for (const RowGroup& group : groups_) rows += group.rows;
  Thrift thrift;
  thrift.I32(1, 1);  // the format's version
  thrift.List(2, Thrift::kStruct, columns_.size() + 1);
  thrift.Begin();
  thrift.Text(4, "tollbook");
  thrift.I32(5, static_cast<int32_t>(columns_.size()));
  thrift.End();
  for (const ParquetColumn& column : columns_) AppendSchema(column, &thrift);
  thrift.I64(3, rows);
  thrift.List(4, Thrift::kStruct, groups_.size());
  for (const RowGroup& group : groups_) {
    int64_t bytes_uncompressed = 0;
    thrift.Begin();
    thrift.List(1, Thrift::kStruct, group.chunks.size());
    for (size_t i = 0; i < group.chunks.size(); ++i) {
      const Chunk& chunk = group.chunks[i];
      bytes_uncompressed += chunk.bytes_uncompressed;
      thrift.Begin();
      thrift.I64(2, chunk.at);
      thrift.Begin(3);
      thrift.I32(1, PhysicalOf(columns_[i].type));
      thrift.List(2, Thrift::kI32, 2);
      thrift.Element(kPlain);
      thrift.Element(kRle);
      thrift.List(3, Thrift::kBinary, 1);
      thrift.Element(std::string_view(columns_[i].name));
      thrift.I32(4, pages_ == ParquetPages::kZstd ? kCodecZstd : kCodecNone);
      thrift.I64(5, group.rows);
      thrift.I64(6, chunk.bytes_uncompressed);
      thrift.I64(7, chunk.bytes);
      thrift.I64(9, chunk.at);
      thrift.End();
      thrift.End();
    }
    thrift.I64(2, bytes_uncompressed);
    thrift.I64(3, group.rows);
    thrift.End();
  }
  thrift.Text(6, "tollbook");  // who made it: without a version, which would change the bytes
  return std::move(thrift).Whole();
}

}  // namespace tollbook
