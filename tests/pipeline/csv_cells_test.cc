// A row's cells by the fast way and by its plain twin.
#include "pipeline/csv_cells.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "pipeline/decode.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

using ::testing::ElementsAre;

std::string Padded(std::string_view line, char behind = '\0') {
  return std::string(line) + std::string(kLinePadding, behind);
}

struct Split {
  Reason reason;
  std::vector<std::string> cells;
  friend bool operator==(const Split&, const Split&) = default;
};

using Splitter = Reason (*)(std::string_view, char, Arena&, std::vector<std::string_view>*);

Split By(Splitter split, std::string_view line, char delimiter, char behind = '\0') {
  const std::string padded = Padded(line, behind);
  Arena arena;
  std::vector<std::string_view> cells;
  Split result{split({padded.data(), line.size()}, delimiter, arena, &cells), {}};
  if (result.reason == Reason::kNone) result.cells.assign(cells.begin(), cells.end());
  return result;
}

TEST(SplitRow, GivesTheCells) {
  EXPECT_THAT(By(SplitRow, "a,bc,,d", ',').cells, ElementsAre("a", "bc", "", "d"));
  EXPECT_THAT(By(SplitRow, "a;b,c\r", ';').cells, ElementsAre("a", "b,c"));
  EXPECT_THAT(By(SplitRow, "a,", ',').cells, ElementsAre("a", ""));
  EXPECT_THAT(By(SplitRow, "\"a,b\",\"say \"\"x\"\"\"", ',').cells, ElementsAre("a,b", "say \"x\""));
  EXPECT_EQ(By(SplitRow, "\"a,b", ',').reason, Reason::kCsvQuote);
  EXPECT_EQ(By(SplitRow, "\"a\"b,c", ',').reason, Reason::kCsvQuote);
  EXPECT_EQ(By(SplitRow, "a,\xff", ',').reason, Reason::kInvalidUtf8);
}

TEST(SplitRow, LooksAtNothingBehindTheLine) {
  for (size_t bytes = 0; bytes <= 100; ++bytes) {
    const std::string line(bytes, 'x');
    for (const char behind : {',', '"', '\xff'}) {
      EXPECT_THAT(By(SplitRow, line, ',', behind).cells, ElementsAre(line)) << bytes;
    }
  }
}

TEST(SplitRow, AgreesWithItsPlainTwin) {
  std::mt19937_64 random(TestSeed());
  const std::string_view alphabet = "aab0,,,;\"\r \xc3\xa9\xff\t";
  for (int i = 0; i < 200'000; ++i) {
    // Few lines have anything odd in them, so that the fast way is gone to its end as well.
    const size_t letters = i % 4 == 0 ? alphabet.size() : 8;
    std::string line(random() % 80, '\0');
    for (char& c : line) c = alphabet[random() % letters];
    const char delimiter = i % 3 == 0 ? ';' : ',';
    ASSERT_EQ(By(SplitRow, line, delimiter), By(SplitRowPlainly, line, delimiter)) << testing::PrintToString(line);
  }
}

}  // namespace
}  // namespace tollbook
