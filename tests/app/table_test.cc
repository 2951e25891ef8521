// What people see and what programs read: widths, escapes, quotes.
#include "pipeline/app/table.h"

#include "gtest/gtest.h"
#include "pipeline/app/text.h"

namespace tollbook {
namespace {

TEST(Text, CountsColumnsAsATerminalDoes) {
  struct Case {
    const char* text;
    size_t columns;
  };
  for (const Case& c : {Case{"abc", 3}, Case{"Zürich", 6}, Case{"東京", 4}, Case{"e\u0301", 1}, Case{"", 0}}) {
    SCOPED_TRACE(c.text);
    EXPECT_EQ(DisplayWidth(c.text), c.columns);
  }
}

TEST(Text, ShowsWhatMustNotReachATerminal) {
  EXPECT_EQ(Printable("a\x1b[2Jb"), "a\\x1b[2Jb");
  EXPECT_EQ(Printable("two\nlines\t"), "two\\nlines\\t");
  EXPECT_EQ(Printable("caf\xe9"), "caf\\xe9");              // Latin-1
  EXPECT_EQ(Printable("\xc0\xaf"), "\\xc0\\xaf");           // overlong
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // half of a surrogate pair
  EXPECT_EQ(Printable("a\u202e"
                      "b"),
            "a\\xe2\\x80\\xae"
            "b");  // would turn the text round
  EXPECT_EQ(Printable("Zürich 東京"), "Zürich 東京");
}

TEST(Text, CutsByColumnsAndSaysSo) {
  EXPECT_EQ(Truncated("receivable", 10), "receivable");
  EXPECT_EQ(Truncated("receivable", 5), "rece…");
  EXPECT_EQ(Truncated("東京都", 4), "東…");
  EXPECT_EQ(TailOf("data/usage.ndjson", 17), "data/usage.ndjson");
  EXPECT_EQ(TailOf("data/usage.ndjson", 13), "…usage.ndjson");
  EXPECT_EQ(TailOf("東京都", 4), "…都");
  EXPECT_EQ(TailOf("東京都", 1), "…");
}

TEST(Text, WrapsAtBlanksAndBreaksWordsThatAreTooLong) {
  struct Case {
    const char* text;
    size_t width;
    const char* first_line;
  };
  for (const Case& c :
       {Case{"add a meter", 20, "add a meter"}, Case{"add a meter", 11, "add a meter"},
        Case{"add a meter", 10, "add a"}, Case{"add a meter", 5, "add a"}, Case{"add a meter", 4, "add"},
        Case{"add  a meter", 4, "add"}, Case{"subscriptions.csv", 8, "subscrip"}, Case{"日本語", 4, "日本"},
        Case{"日本語", 1, "日"}, Case{"", 3, ""}}) {
    SCOPED_TRACE(std::string(c.text) + " in " + std::to_string(c.width));
    const std::string text = c.text;
    EXPECT_EQ(text.substr(0, WrapAt(text, c.width)), c.first_line);
  }
}

TEST(Text, GroupsTheWholePartOnly) {
  EXPECT_EQ(Grouped("1137397.75475198"), "1,137,397.75475198");
  EXPECT_EQ(Grouped("-1000"), "-1,000");
  EXPECT_EQ(Grouped("999"), "999");
  EXPECT_EQ(Grouped("n/a"), "n/a");
}

TEST(Text, GivesSizesAndTimesWithThreeDigits) {
  EXPECT_EQ(BytesText(999), "999 B");
  EXPECT_EQ(BytesText(1'000), "1.00 kB");
  EXPECT_EQ(BytesText(2'385'491'127), "2.39 GB");
  EXPECT_EQ(DurationText(0.84), "0.8 s");
  EXPECT_EQ(DurationText(59.7), "1:00");
  EXPECT_EQ(DurationText(3'765), "1:02:45");
}

TEST(Table, AlignsNumbersToTheRightUnderALine) {
  Table table({{"account"}, {"amount_due", true}});
  table.Add({"Zürich", "1.50"});
  table.Add({"東京", "1234567"});
  EXPECT_EQ(table.ToText(),
            "account  amount due\n"
            "───────────────────\n"
            "Zürich         1.50\n"
            "東京        1234567\n");
}

TEST(Table, QuotesCsvWhereNeededAndChangesNothingElse) {
  Table table({{"memo"}, {"amount_due", true}});
  table.Add({"a, \"b\"", "1"});
  table.Add({"two\nlines", " 2"});
  EXPECT_EQ(table.ToCsv(), "memo,amount_due\n\"a, \"\"b\"\"\",1\n\"two\nlines\", 2\n");
}

TEST(Table, WritesCsvThatIsText) {
  Table table({{"payload"}});
  table.Add({"caf\xe9 \x1b[2J Zürich"});
  table.Add({std::string("a\0b", 3)});
  EXPECT_EQ(table.ToCsv(), "payload\ncaf\uFFFD \uFFFD[2J Zürich\na\uFFFDb\n");
}

TEST(Table, WritesEveryJsonCellAsText) {
  Table table({{"memo"}, {"amount_due", true}});
  table.Add({"caf\xe9", "0.10"});
  EXPECT_EQ(table.ToJson(), "[\n  {\n    \"memo\": \"caf\uFFFD\",\n    \"amount_due\": \"0.10\"\n  }\n]");
  EXPECT_EQ(Table({{"memo"}}).ToJson(), "[]");
}

}  // namespace
}  // namespace tollbook
