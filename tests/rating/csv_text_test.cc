#include "rating/csv_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace tollbook {
namespace {

using ::testing::ElementsAreArray;

// Rows as `line:field|field`, an error as `line!error`.
std::vector<std::string> RowsOf(std::string_view text) {
  std::vector<std::string> rows;
  CsvReader reader(text);
  for (CsvRow row; reader.Next(&row);) {
    std::string shown = std::to_string(row.line);
    if (row.error != CsvError::kNone) {
      rows.push_back(shown + "!" + std::to_string(static_cast<int>(row.error)));
      continue;
    }
    for (size_t i = 0; i < row.fields.size(); ++i) {
      shown.append(i == 0 ? ":" : "|").append(row.fields[i]);
    }
    rows.push_back(shown);
  }
  return rows;
}

TEST(CsvTextTest, ReadsRows) {
  const struct {
    std::string text;
    std::vector<std::string> rows;
  } kCases[] = {
      {"", {}},
      {"\n\r\n", {}},
      {"a,b\nc,d\n", {"1:a|b", "2:c|d"}},
      {"a,b\r\nc,d", {"1:a|b", "2:c|d"}},
      {"\xEF\xBB\xBF"
       "a\n",
       {"1:a"}},
      {"a,,\n,\n", {"1:a||", "2:|"}},
      {"a\n\nb\n", {"1:a", "3:b"}},
      {"\"a,b\",c\n", {"1:a,b|c"}},
      {"\"say \"\"hi\"\"\",\"\"\n", {"1:say \"hi\"|"}},
      {"\"\"\"\"\n", {"1:\""}},
      {"\"two\nlines\",x\nnext\n", {"1:two\nlines|x", "3:next"}},
      {"\"end\"", {"1:end"}},
      {"a\rb\n", {"1:a\rb"}},
      {"a,\"open\nb\n", {"1!1"}},
      {"\"a\"b,c\nd\n", {"1!2", "2:d"}},
      {"a\"b,c\nd\n", {"1!3", "2:d"}},
  };
  for (const auto& [text, rows] : kCases) {
    EXPECT_THAT(RowsOf(text), ElementsAreArray(rows)) << text;
  }
}

TEST(CsvTextTest, KeepsSeveralUnescapedFieldsOfARow) {
  EXPECT_THAT(RowsOf("\"\"\"1\",\"\"\"2\",\"\"\"3\"\n"), ElementsAreArray({"1:\"1|\"2|\"3"}));
}

TEST(CsvTextTest, ReadsHalfAMillionRowsInTimeThatGrowsWithThem) {
  std::string text;
  for (int i = 0; i < 500'000; ++i) {
    text += "subscription-" + std::to_string(i) + ",account,starter,acme-us,USD,2025-01-01,\n";
  }
  const auto start = std::chrono::steady_clock::now();
  CsvReader reader(text);
  size_t rows = 0;
  for (CsvRow row; reader.Next(&row);) {
    rows += row.fields.size() == 7 ? 1 : 0;
  }
  EXPECT_EQ(rows, 500'000u);
  // About 0.1 s; the bound only finds an accident such as quadratic time.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

}  // namespace
}  // namespace tollbook
