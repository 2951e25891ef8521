// CsvRows are a short cut: whatever the input, a block of CSV decoded with them is the block decoded without.
#include "pipeline/csv_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/pipeline/block_twins.h"

namespace tollbook {
namespace {

using ::testing::ElementsAre;

// --- Cutting ---------------------------------------------------------------------------------------------------------

// The cells; none: a more patient reader must look.
std::vector<std::string> Cut(std::string_view text, char delimiter, size_t columns, CutRow* cut) {
  static Random random(TestSeed());
  const Block block = BlockOf(text, random);
  std::vector<Slot> slots(columns);
  *cut = CutPlainRow(block.data, block.data + block.bytes, delimiter, slots);
  std::vector<std::string> cells;
  for (const Slot& slot : slots) {
    if (cut->bytes != 0) cells.emplace_back(slot.text());
  }
  return cells;
}

TEST(CutPlainRow, GivesTheCells) {
  CutRow cut;
  EXPECT_THAT(Cut("a,bc,,d\nnext\n", ',', 4, &cut), ElementsAre("a", "bc", "", "d"));
  EXPECT_EQ(cut.bytes, 8u);
  EXPECT_EQ(cut.text_bytes, 7u);
  EXPECT_THAT(Cut("a;b,c\r\n", ';', 2, &cut), ElementsAre("a", "b,c"));
  EXPECT_EQ(cut.bytes, 7u);
  EXPECT_EQ(cut.text_bytes, 5u);
  EXPECT_THAT(Cut("a\tb\n", '\t', 2, &cut), ElementsAre("a", "b"));
  EXPECT_THAT(Cut("\xC3\xA9,b\n", ',', 2, &cut), ElementsAre("\xC3\xA9", "b"));
}

TEST(CutPlainRow, LeavesTheRestToOthers) {
  CutRow cut;
  for (const char* row : {"a,b", "a\n", "a,b,c\n", "\"a\",b\n", "a,b\"\n", "a,b\r\r\n", "a\r,b\n", "a\t,b\n", " ,b\n",
                          "\n", "a,\xFF\n", "a,\xC3\n", ""}) {
    (void)Cut(row, ',', 2, &cut);
    EXPECT_EQ(cut.bytes, 0u) << row;
  }
}

TEST(CutPlainRow, AgreesWithThePlainTwin) {
  Random random(TestSeed());
  const std::string_view alphabet = "aaaaaaaab,,,;0\"\r \xc3\xa9\xff\t";
  size_t cuts = 0;
  for (int i = 0; i < 100'000; ++i) {
    const size_t letters = i % 4 == 0 ? alphabet.size() : 12;
    std::string line(random() % 150, '\0');
    for (char& c : line) c = alphabet[random() % letters];
    const char delimiter = i % 3 == 0 ? ';' : ',';
    Arena arena;
    std::vector<std::string_view> expected;
    const Reason reason = SplitRowPlainly(line, delimiter, arena, &expected);
    const size_t columns = reason == Reason::kNone ? expected.size() : 3;
    CutRow cut;
    const std::vector<std::string> cells = Cut(line + (i % 5 == 0 ? "\r\n" : "\n"), delimiter, columns, &cut);
    if (cut.bytes == 0) continue;
    ++cuts;
    ASSERT_EQ(reason, Reason::kNone) << testing::PrintToString(line);
    ASSERT_TRUE(std::equal(cells.begin(), cells.end(), expected.begin(), expected.end()))
        << testing::PrintToString(line);
    ASSERT_EQ(cut.text_bytes, line.ends_with('\r') ? line.size() - 1 : line.size());
  }
  EXPECT_GT(cuts, 50'000u);
}

// --- Blocks ----------------------------------------------------------------------------------------------------------

Catalog FuzzCatalog() {
  Catalog catalog;
  catalog.meters = {
      {"a.calls", "call", Aggregation::kCount, "", {"region"}, "unit", Granularity::kDay, false},
      {"b.tokens", "llm", Aggregation::kSum, "tokens", {"model", "region"}, "unit", Granularity::kHour, false},
      {"b.top", "llm", Aggregation::kMax, "quoted", {"number"}, "unit", Granularity::kDay, true},
      {"c.product",
       "made",
       Aggregation::kSum,
       "product",
       {"tokens", "constant", "none"},
       "unit",
       Granularity::kDay,
       true},
  };
  catalog.BuildIndex();
  return catalog;
}

// One event of a row whose fields are cells; two, with fields that are put together, products and a constant type;
// times from an offset, alone and beside others, near both ends of time.
constexpr const char* kMappings[] = {R"(sources:
  - glob: "t.csv"
    format: csv
    events:
      - id: "{id}"
        source: "{source}"
        type: "{type}"
        subject: "{subject}"
        time: "{time}"
        data: {region: "{region}", model: "{model}", tokens: {number: "{tokens}"}, quoted: "{number}", number: {number: "{number}"}}
)",
                                     R"(sources:
  - glob: "t.csv"
    format: csv
    events:
      - id: "{file}:{row}:{id}"
        source: "trace/{source}"
        type: made
        subject: "{subject}/{region}"
        time: "{time}"
        time_zone: UTC
        data: {tokens: {number: "{tokens}"}, product: {product: [tokens, number]}, constant: "y{{e}}s"}
      - id: "{id}"
        source: constant
        type: "{type}"
        subject: constant
        time: "{time}"
        data: {region: "{region}", model: "{model}", tokens: {number: "{tokens}"}, quoted: "{number}"}
)",
                                     R"(sources:
  - glob: "t.csv"
    format: csv
    events:
      - id: "{id}"
        source: "{source}"
        type: call
        subject: "{subject}"
        time: {base: "2025-01-25T00:00:00Z", offset_seconds: tokens}
        data: {region: "{region}"}
)",
                                     R"(sources:
  - glob: "t.csv"
    format: csv
    events:
      - id: "{file}:{row}"
        source: "{source}"
        type: "{type}"
        subject: "{subject}"
        time: {base: "1970-01-01T00:00:05.25Z", offset_seconds: number}
        data: {region: "{region}", model: "{model}", tokens: {product: [tokens, number]}, quoted: "{number}", number: {number: "{number}"}}
      - id: "{id}"
        source: "{source}"
        type: call
        subject: "{subject}"
        time: "{time}"
        data: {region: "{region}"}
      - id: "{id}"
        source: constant
        type: call
        subject: "{region}/{subject}"
        time: {base: "2261-12-31T23:55:00Z", offset_seconds: tokens}
        data: {region: "{model}"}
)"};
constexpr std::string_view kHeader = "id,source,type,subject,time,region,model,tokens,number,unused";

std::unique_ptr<Decoder> DecoderOf(const char* mapping) {
  ParsedMappings parsed = ParseMappings(mapping);
  EXPECT_TRUE(parsed.errors.empty()) << ToString(parsed.errors[0]);
  return *MakeCsvDecoder(parsed.mappings[0], kHeader, "t.csv");
}

class CsvRowsFuzz : public BlockTwins, public ::testing::WithParamInterface<int> {
 protected:
  CsvRowsFuzz() : BlockTwins(FuzzCatalog(), [] { return DecoderOf(kMappings[GetParam()]); }) {
    with_.decoder->Rows()->pace() = TryPace(0);  // odd rows are what is wanted here
  }

  std::string Cell(std::initializer_list<const char*> usual, int odd) {
    static const std::vector<std::string> kOdd = {"",
                                                  " ",
                                                  "\"\"",
                                                  "\"a,b\"",
                                                  "\"say \"\"x\"\"\"",
                                                  "5\" disk",
                                                  "\xC3\xA9",
                                                  "\xFF",
                                                  "a\rb",
                                                  "\t",
                                                  "1e3",
                                                  "-",
                                                  "01",
                                                  "1.",
                                                  "-0",
                                                  "0",
                                                  "-5.25",
                                                  "-5.2500000001",
                                                  "-1e-9",
                                                  "1.0000000009",
                                                  "299.999999999",
                                                  "86400",
                                                  "0086400",
                                                  "999999999",
                                                  "1000000000.5",
                                                  "99999999999999",
                                                  "1e400",
                                                  "0.0000000000000000001",
                                                  "12345678901234567890123456789012345",
                                                  "true",
                                                  "\"7\"",
                                                  "\"open",
                                                  "2025-01-25 01:02:03",
                                                  "2025-01-25T25:00:00Z",
                                                  std::string(1025, 'x'),
                                                  std::string("\0", 1)};
    if (odd > 0 && random_() % 100 < static_cast<unsigned>(odd)) return Pick(kOdd, random_);
    return Pick(std::vector<const char*>(usual), random_);
  }

  std::string Line(int odd) {
    std::string line = Cell({"e"}, odd) + std::to_string(random_() % 1000);
    line += "," + Cell({"gateway/1", "gateway/22"}, odd);
    line += "," + Cell({"call", "llm", "llm", "made"}, odd);
    line += "," + Cell({"sub-1", "sub-22", "a customer with a long name as some have"}, odd);
    line += "," + Cell({"2025-01-25T01:02:03Z", "2025-01-25T01:02:03.25Z", "2025-02-01T00:00:00+01:00"}, odd);
    line += "," + Cell({"eu", "us-east", ""}, odd);
    line += "," + Cell({"small", "a-model-with-a-name-of-more-than-32-bytes", ""}, odd);
    line += "," + Cell({"1", "12.5", "0.000000000000000001", "300"}, odd);
    line += "," + Cell({"7", "-7.25", "1.0", "1"}, odd);
    line += odd > 0 && OneIn(50, random_) ? "" : ",x";
    if (odd > 0 && OneIn(50, random_)) line += ",more";
    return line + (odd > 0 && OneIn(8, random_) ? "\r\n" : "\n");
  }
};

TEST_P(CsvRowsFuzz, RowsOfEveryKind) {
  for (const int odd : {0, 1, 5, 30}) {
    uint64_t matched = with_.blocks.matched(), events = events_;
    for (int round = 0; round < Rounds(30); ++round) {
      std::string text;
      for (int line = 0; line < 200; ++line)
        text += odd > 0 && OneIn(60, random_)
                    ? Pick(std::vector<std::string>{"\n", "  \n", "\r\n", ",,,,,,,,,\n"}, random_)
                    : Line(odd);
      if (OneIn(2, random_)) text.pop_back();
      ASSERT_NO_FATAL_FAILURE(Check(text));
    }
    matched = with_.blocks.matched() - matched;
    events = events_ - events;
    // Else this test tests nothing.
    if (odd == 0 && GetParam() == 0) {
      EXPECT_GT(matched, events * 6 / 10);  // "made" is no meter's type there
    } else if (odd == 0 && GetParam() == 1) {
      EXPECT_GT(matched, events * 6 / 10);  // the same type, and a product in sixteen is too precise
    } else if (odd == 0 && GetParam() == 2) {
      EXPECT_GT(matched, events * 98 / 100);  // but those without a line end
    } else if (odd == 0) {
      EXPECT_GT(matched, events / 8);  // a quarter of its types are unknown, and as many of both offsets out of range
    }
  }
  EXPECT_EQ(without_.blocks.matched(), 0u);
}

TEST_P(CsvRowsFuzz, DamagedRows) {
  for (int round = 0; round < Rounds(60); ++round) {
    std::string text;
    for (int line = 0; line < 200; ++line) {
      std::string row = Line(0);
      if (OneIn(2, random_))
        row[random_() % row.size()] = static_cast<char>(OneIn(2, random_) ? random_() : Pick(kHeader, random_));
      if (OneIn(9, random_)) row.erase(random_() % row.size(), 1);
      text += row;
    }
    ASSERT_NO_FATAL_FAILURE(Check(text));
  }
}

// Cut at each of its bytes, with the traps of BlockOf behind the cut.
TEST_P(CsvRowsFuzz, CutsOfARow) {
  for (int i = 0; i < 10; ++i) {
    const std::string row = Line(0);
    for (size_t cut = 1; cut <= row.size(); ++cut) ASSERT_NO_FATAL_FAILURE(CheckBlock(row + row + row.substr(0, cut)));
  }
}

INSTANTIATE_TEST_SUITE_P(Mappings, CsvRowsFuzz, ::testing::Values(0, 1, 2, 3));

// --- Pace ------------------------------------------------------------------------------------------------------------

TEST(TryPace, LittleIsTriedWhereNothingMatches) {
  TryPace pace(TryPace::kStretch / 2);
  int tried = 0;
  for (int line = 0; line < 1'000'000; ++line) {
    if (!pace.TriesNext()) continue;
    ++tried;
    pace.OnTried(tried % 3 == 0);
  }
  EXPECT_LT(tried, 5'000);
  int until_tried = 0;
  for (; !pace.TriesNext(); ++until_tried) {
  }
  EXPECT_LE(until_tried, 64 << 10);
  for (int line = 0; line < 1'000; ++line) {
    EXPECT_TRUE(pace.TriesNext());
    pace.OnTried(line % 3 != 0);
  }
}

TEST(TryPace, NeverRestsWhereNothingNeedsToMatch) {
  TryPace pace(0);
  for (int line = 0; line < 1'000; ++line) {
    ASSERT_TRUE(pace.TriesNext());
    pace.OnTried(false);
  }
}

// Rows that never match, and why: an exponent, quotes, and a second event whose value is missing.
struct Unmatched {
  int mapping;
  const char* row;
};

class CsvRowsPace : public BlockTwins, public ::testing::WithParamInterface<Unmatched> {
 protected:
  CsvRowsPace() : BlockTwins(FuzzCatalog(), [] { return DecoderOf(kMappings[GetParam().mapping]); }) {}

  void CheckRows(std::string_view row, int times) {
    std::string text;
    for (int i = 0; i < times; ++i) text += row;
    CheckBlock(text);
  }
};

TEST_P(CsvRowsPace, RowsThatNeverMatchAreSoonNotTried) {
  constexpr const char* kPlain = "e1,gateway,llm,sub-1,2025-01-25T01:02:03Z,eu,small,12.5,7,x\n";
  const TryPace& pace = with_.decoder->Rows()->pace();
  EXPECT_FALSE(pace.rests());
  ASSERT_NO_FATAL_FAILURE(CheckRows(GetParam().row, 200));
  EXPECT_TRUE(pace.rests());
  ASSERT_NO_FATAL_FAILURE(CheckRows(kPlain, 1'000));
  EXPECT_EQ(with_.blocks.matched(), 0u) << "not even tried";
  // After its first rest.
  ASSERT_NO_FATAL_FAILURE(CheckRows(kPlain, 4'000));
  EXPECT_GT(with_.blocks.matched(), 2'500u);
  EXPECT_FALSE(pace.rests());
}

INSTANTIATE_TEST_SUITE_P(Rows, CsvRowsPace,
                         ::testing::Values(Unmatched{0, "e1,gateway,llm,sub-1,2025-01-25T01:02:03Z,eu,small,1e3,7,x\n"},
                                           Unmatched{
                                               0, "e1,gateway,llm,sub-1,2025-01-25T01:02:03Z,eu,small,12.5,7,\"x\"\n"},
                                           Unmatched{1, "e1,gateway,llm,sub-1,2025-01-25T01:02:03Z,eu,small,,7,x\n"}));

}  // namespace
}  // namespace tollbook
