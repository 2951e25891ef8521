// Parquet: what a cell of each type may be, and that one which its type does not hold is refused rather than changed.
// That others read the files, tests/e2e/parquet_test.py shows.
#include "pipeline/parquet.h"

#include "gtest/gtest.h"

namespace tollbook {
namespace {

absl::StatusOr<std::string> FileOf(ParquetType type, const std::vector<std::string>& cells) {
  std::string file;
  ParquetWriter writer({{"cell", type}}, ParquetPages::kUncompressed, [&](std::string_view bytes) {
    file.append(bytes);
    return absl::OkStatus();
  });
  for (const std::string& cell : cells) TOLLBOOK_RETURN_IF_ERROR(writer.Add({cell}));
  TOLLBOOK_RETURN_IF_ERROR(writer.Finish());
  return file;
}

TEST(Parquet, RefusesWhatATypeDoesNotHold) {
  struct Case {
    ParquetType type;
    std::string cell;
    bool held;
  };
  const std::string nines(34, '9');
  const Case cases[] = {
      {ParquetType::kText, "", true},
      {ParquetType::kDate, "2024-02-29", true},
      {ParquetType::kDate, "2025-02-29", false},
      {ParquetType::kDate, "", true},  // null
      {ParquetType::kWhole, "-9223372036854775808", true},
      {ParquetType::kWhole, "9223372036854775808", false},
      {ParquetType::kWhole, "1.5", false},
      {ParquetType::kMoney, nines + ".9999", true},
      {ParquetType::kMoney, "-" + nines + ".9999", true},
      {ParquetType::kMoney, "1" + std::string(34, '0'), false},
      {ParquetType::kMoney, "0.00001", false},  // never rounded
      {ParquetType::kQuantity, "99999999999999999999.999999999999999999", true},
      {ParquetType::kQuantity, "100000000000000000000", false},
      {ParquetType::kQuantity, "many", false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.cell);
    const absl::StatusOr<std::string> file = FileOf(c.type, {c.cell});
    EXPECT_EQ(file.ok(), c.held) << file.status();
    if (!c.held) {
      EXPECT_TRUE(absl::IsOutOfRange(file.status()));
      EXPECT_EQ(file.status().message().find("cannot be written as Parquet: cell " + c.cell), 0u);
    }
  }
}

// The page of -1.5 at four decimals: its levels (four bytes, one run of one), then -15000 in 16 bytes, the highest
// first.
TEST(Parquet, StoresADecimalAsItsWholeNumber) {
  const absl::StatusOr<std::string> file = FileOf(ParquetType::kMoney, {"-1.5"});
  ASSERT_TRUE(file.ok());
  const std::string page = std::string("\x02\0\0\0\x02\x01", 6) + std::string(14, '\xff') + "\xc5\x68";
  EXPECT_NE(file->find(page), std::string::npos);
}

TEST(Parquet, IsTheSameFileForTheSameRows) {
  const std::vector<std::string> cells = {"a", "", "b"};
  EXPECT_EQ(*FileOf(ParquetType::kText, cells), *FileOf(ParquetType::kText, cells));
}

TEST(Parquet, StopsWhenTheSinkFails) {
  ParquetWriter writer({{"cell"}}, ParquetPages::kZstd,
                       [](std::string_view) { return absl::UnavailableError("full"); });
  ASSERT_TRUE(writer.Add({"a"}).ok());
  EXPECT_TRUE(absl::IsUnavailable(writer.Finish()));
}

}  // namespace
}  // namespace tollbook
