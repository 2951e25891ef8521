#include "rating/csv_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>

#include "rating/csv_scan.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

using ::testing::ElementsAreArray;

bool IsControl(unsigned char c) {
  return c < 0x20 || c == 0x7F;
}

// Rows as `line:field|field`, an error as `line!error`.
std::vector<std::string> RowsOf(std::string_view text, CsvReader::Way way = CsvReader::Way::kFast) {
  std::vector<std::string> rows;
  CsvReader reader(text, way);
  for (CsvRow row; reader.Next(&row);) {
    std::string shown = std::to_string(row.line);
    for (const std::string_view field : row.fields) {
      EXPECT_TRUE(!row.clean || std::none_of(field.begin(), field.end(), IsControl)) << shown;
    }
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

TEST(CsvTextTest, ReadsTheSameByBytes) {
  std::mt19937_64 random(TestSeed());
  const std::string_view kBytes = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,,,,,,\n\n\r\"\t\x7F\xC3\xA9";
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    // Some alphabets have no rare bytes, so that rows of all lengths are clean.
    const size_t kinds = random() % 2 == 0 ? kBytes.size() : kBytes.find('\r');
    for (size_t bytes = random() % 300; bytes > 0; --bytes) text += kBytes[random() % kinds];
    if (random() % 4 == 0) {
      for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.replace(at, 1, "\r\n");
    }
    ASSERT_EQ(RowsOf(text), RowsOf(text, CsvReader::Way::kByBytes)) << text;
  }
}

TEST(CsvTextTest, CountsLines) {
  for (const size_t bytes : {0, 1, 63, 64, 65, 300}) {
    std::string text(bytes, 'x');
    for (size_t i = 0; i < bytes; i += 7) text[i] = '\n';
    EXPECT_EQ(CountLines(text), (bytes + 6) / 7);
  }
}

TEST(CsvTextTest, ScansAsItsPlainTwin) {
  std::mt19937_64 random(TestSeed());
  for (int i = 0; i < 20'000; ++i) {
    char text[CsvBits::kBytes];
    for (char& c : text) c = static_cast<char>(i % 2 == 0 ? random() : ",\n\r\"x\x1F\t\x7F"[random() % 8]);
    const char delimiter = ",;\t"[i % 3];
    const CsvBits fast = ScanCsv(text, delimiter), slow = plain::ScanCsv(text, delimiter);
    ASSERT_EQ(fast.delimiters, slow.delimiters);
    ASSERT_EQ(fast.line_ends, slow.line_ends);
    ASSERT_EQ(fast.odd, slow.odd);
    ASSERT_EQ(fast.not_ascii, slow.not_ascii);
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
