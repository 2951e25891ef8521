// Layouts: what is learnt from a line, what matches, and the parts against their plain twins.
#include "pipeline/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <deque>
#include <random>
#include <string>

#include "pipeline/block_work.h"
#include "pipeline/escape_run.h"
#include "pipeline/layout_scan.h"
#include "pipeline/layout_values.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

// A line of the general decoder's liking, decoded, with the memory that it needs.
class Example {
 public:
  explicit Example(std::string line) : bytes_(std::move(line)) {
    const size_t size = bytes_.size();
    bytes_.append(kLinePadding, '\0');
    MakeJsonDecoder()->Decode(std::string_view(bytes_).substr(0, size - 1), 0, arena_, decoded_);
    EXPECT_EQ(decoded_.at(0).reason, Reason::kNone) << bytes_;
    line_ = std::string_view(bytes_).substr(0, size);
  }
  std::optional<LineShape> Shape() const { return ShapeOf(line_, decoded_.at(0).event); }

 private:
  std::string bytes_;
  std::string_view line_;
  Arena arena_;
  std::vector<DecodedEvent> decoded_;
};

std::string Line(const std::string& data, const std::string& type = "t") {
  return R"({"specversion":"1.0","id":"e1","source":"s","type":")" + type +
         R"(","subject":"u","time":"2025-01-25T01:02:03Z","data":)" + data + "}\n";
}

int Match(LayoutTree& tree, const std::string& line, Slots* slots, size_t* behind = nullptr) {
  static std::deque<std::string> lines;  // what slots point to
  const std::string& padded = lines.emplace_back(line + std::string(kLinePadding, '\0'));
  const char* end = nullptr;
  static Arena arena;
  const int layout = tree.Match(padded.data(), padded.data() + line.size(), arena, slots, &end);
  if (layout >= 0 && behind != nullptr) *behind = static_cast<size_t>(end - padded.data());
  return layout;
}
bool Matches(LayoutTree& tree, const std::string& line) {
  Slots slots;
  return Match(tree, line, &slots) >= 0;
}

TEST(LineShape, LiteralsAndSlotsTakeTurns) {
  const Example line(Line(R"({"n":-1.50,"s":"x","b":true,"z":null,"l":[7,{"k":""}]})"));
  const std::optional<LineShape> shape = line.Shape();
  ASSERT_TRUE(shape);
  EXPECT_THAT(shape->slots, testing::ElementsAre("e1", "s", "u", "2025-01-25T01:02:03Z", "-1.50", "x", "7", ""));
  EXPECT_THAT(shape->literals,
              testing::ElementsAre(R"({"specversion":"1.0","id":")", R"(","source":")", R"(","type":"t","subject":")",
                                   R"(","time":")", R"(","data":{"n":)", R"(,"s":")", R"(","b":true,"z":null,"l":[)",
                                   R"(,{"k":")", "\"}]}}\n"));
  EXPECT_EQ(shape->id, 0);
  EXPECT_EQ(shape->source, 1);
  EXPECT_EQ(shape->subject, 2);
  EXPECT_EQ(shape->time, 3);
  EXPECT_THAT(shape->of_property, testing::ElementsAre(4, 5, -1, -1, -1)) << "n, s, b, z and l; not what is in l";
}

TEST(LineShape, SomeLinesTeachNothing) {
  EXPECT_FALSE(Example(Line(R"({"s":1},"\u0078":1)")).Shape()) << "an escape in a field's name";
  EXPECT_TRUE(Example(Line(R"({"\u0078":1})")).Shape()) << "an escape in a name of data is as literal as any";
  std::string many = "{";
  for (size_t i = 0; i < kSlotsMax; ++i) many += "\"" + std::to_string(i) + "\":1,";
  EXPECT_FALSE(Example(Line(many + "\"z\":1}")).Shape()) << "too many values";
  const std::string name(400, 'n');
  EXPECT_FALSE(Example(Line("{\"" + name + "\":{\"a\":1,\"b\":2,\"c\":3}}")).Shape())
      << "long paths, which a shorter line might not be allowed";
}

TEST(LayoutTree, MatchesTheLikeAndGivesTheirSlots) {
  LayoutTree tree;
  ASSERT_TRUE(tree.Add(*Example(Line(R"({"n":1,"s":"x"})")).Shape()));
  Slots slots;
  size_t behind = 0;
  const std::string text = "na\xC3\xAFve and longer than thirty-two bytes";
  const std::string other = Line("{\"n\":-12.5,\"s\":\"" + text + "\"}");
  ASSERT_EQ(Match(tree, other + other, &slots, &behind), 0);
  EXPECT_EQ(behind, other.size());
  EXPECT_EQ(slots[4].bytes, 5u);
  EXPECT_EQ(slots[4].whole, 2u);
  EXPECT_EQ(slots[5].bytes, text.size());
}

TEST(LayoutTree, UnescapesWhatHasEscapes) {
  LayoutTree tree;
  ASSERT_TRUE(tree.Add(*Example(Line(R"({"s":"\"quoted\"","n":1})")).Shape()));
  Slots slots;
  ASSERT_EQ(Match(tree, Line(R"({"s":"\\","n":17})"), &slots), 0);
  EXPECT_EQ(slots[4].text(), "\\");
  EXPECT_EQ(slots[5].text(), "17");
  const std::string text = R"(na\u00efve \ud83d\ude00 and \"longer\" than thirty-two bytes\\)";
  ASSERT_EQ(Match(tree, Line("{\"s\":\"" + text + "\",\"n\":1}"), &slots), 0);
  EXPECT_EQ(slots[4].text(), "na\xC3\xAFve \xF0\x9F\x98\x80 and \"longer\" than thirty-two bytes\\");
  for (const char* bad : {R"(\x)", R"(\u12)", R"(\ud800)", "\\\n", R"(\)", "\\n\x01", "\\n\xff"})
    EXPECT_FALSE(Matches(tree, Line("{\"s\":\"" + std::string(bad) + "\",\"n\":1}"))) << bad;
}

TEST(LayoutTree, LeavesLongEscapedStringsToTheGeneralDecoder) {
  LayoutTree tree;
  ASSERT_TRUE(tree.Add(*Example(Line(R"({"s":"x"})")).Shape()));
  Slots slots;
  int taken = 0;
  for (size_t bytes = 4040; bytes < 4200; ++bytes) {
    for (const std::string& text : {std::string(bytes, 'x') + "\\n", "\\n" + std::string(bytes, 'x')}) {
      if (Match(tree, Line("{\"s\":\"" + text + "\"}"), &slots) != 0) continue;
      EXPECT_EQ(slots[4].bytes, bytes + 1);
      ++taken;
    }
  }
  EXPECT_GT(taken, 0);
  EXPECT_LT(taken, 2 * 160);
}

TEST(LayoutTree, GivesUpOnWhatIsNotTheSame) {
  LayoutTree tree;
  ASSERT_TRUE(tree.Add(*Example(Line(R"({"n":1,"s":"x"})")).Shape()));
  const char* const cases[] = {R"({"n":1,"s":"x","t":1})", R"({"n":01,"s":"x"})",
                               R"({"n":1.,"s":"x"})",      R"({"n":.1,"s":"x"})",
                               R"({"n":1e2,"s":"x"})",     R"({"n":"1","s":"x"})",
                               R"({"n":1.2.3,"s":"x"})",   R"({"n":-,"s":"x"})",
                               R"({"n":--1,"s":"x"})",     R"({"n":1 ,"s":"x"})",
                               R"({"n":,"s":"x"})",        R"({"n":1,"s":x"})",
                               "{\"n\":1,\"s\":\"\x01\"}", "{\"n\":1,\"s\":\"\xff\"}",
                               "{\"n\":1,\"s\":\"\n\"}",   R"({"n":12345678901234567890123456789012,"s":"x"})"};
  for (const char* data : cases) EXPECT_FALSE(Matches(tree, Line(data))) << data;
  EXPECT_TRUE(Matches(tree, Line(R"({"n":1,"s":""})")));
  std::string crlf = Line(R"({"n":1,"s":"x"})");
  crlf.insert(crlf.size() - 1, "\r");
  EXPECT_FALSE(Matches(tree, crlf));
  EXPECT_FALSE(Matches(tree, Line(R"({"n":1,"s":"x"})", "t2")));
}

// A number may stand where another layout goes on with other text: all of these begin alike.
TEST(LayoutTree, TellsLayoutsApartWhereverTheyPart) {
  const char* const data[] = {R"({"a":1})",          R"({"a":"1"})",     R"({"a":1,"b":2})",  R"({"a":1,"b":"2"})",
                              R"({"a":true})",       R"({"a":null})",    R"({"a":{"b":1}})",  R"({"a":[1]})",
                              R"({"a":[1,2]})",      R"({"a":["1",2]})", R"({"a":1,"bb":2})", R"({"a":{}})",
                              R"({"a":1,"c":true})", R"({"a":[]})",      R"({"aa":1})",       R"({})"};
  LayoutTree tree;
  for (const char* d : data) ASSERT_TRUE(tree.Add(*Example(Line(d)).Shape())) << d;
  EXPECT_EQ(tree.size(), std::size(data));
  for (size_t i = 0; i < std::size(data); ++i) {
    Slots slots;
    EXPECT_EQ(Match(tree, Line(data[i]), &slots), static_cast<int>(i)) << data[i];
    EXPECT_FALSE(tree.Add(*Example(Line(data[i])).Shape())) << "known";
  }
}

TEST(LayoutTree, HasBounds) {
  LayoutTree tree;
  uint32_t added = 0;
  for (int i = 0; i < 2000; ++i) {
    added += tree.Add(*Example(Line("{}", "some-long-beginning-" + std::to_string(i))).Shape());
  }
  EXPECT_EQ(added, tree.size());
  EXPECT_LE(tree.size(), LayoutTree::kLayoutsMax);
  EXPECT_GT(tree.size(), 8u);
  LayoutTree wide;
  for (int i = 0; i < 2000 && !wide.full(); ++i) wide.Add(*Example(Line("{}", std::to_string(i * 7919) + "t")).Shape());
  EXPECT_TRUE(wide.full());
  EXPECT_TRUE(Matches(wide, Line("{}", "0t")));
  wide.Clear();
  EXPECT_FALSE(Matches(wide, Line("{}", "0t")));
  EXPECT_TRUE(wide.Add(*Example(Line("{}", "0t")).Shape()));
  EXPECT_TRUE(Matches(wide, Line("{}", "0t")));
}

// The lengths that a layout guesses change nothing but the time it takes.
TEST(LayoutTree, AnyLengthMatches) {
  LayoutTree tree;
  ASSERT_TRUE(tree.Add(*Example(Line(R"({"s":"x"})")).Shape()));
  for (int round = 0; round < 3; ++round) {
    for (size_t bytes = 0; bytes < 200; ++bytes) {
      Slots slots;
      ASSERT_EQ(Match(tree, Line("{\"s\":\"" + std::string(bytes, 'x') + "\"}"), &slots), 0);
      ASSERT_EQ(slots[4].bytes, bytes);
    }
    tree.ForgiveGuesses();
  }
}

TEST(LayoutPace, LittleIsTriedWhereLinesHaveNothingInCommon) {
  LayoutPace pace;
  int tried = 0, lessons = 0;
  for (int line = 0; line < 1'000'000; ++line) {
    if (pace.TriesNext()) {
      ++tried;
      pace.OnTried(false);
    }
    if (pace.MayLearn()) {
      ++lessons;
      pace.OnLesson(line % 2 == 0);
    }
  }
  EXPECT_LT(tried, 5'000);
  EXPECT_LT(lessons, 500);
  for (int line = 0; line < 100'000; ++line) {
    if (pace.TriesNext()) pace.OnTried(true);
  }
  EXPECT_TRUE(pace.TriesNext()) << "and all again when layouts match";
}

// --- Against the plain twins -----------------------------------------------------------------------------------------

TEST(LayoutScan, IsItsPlainTwin) {
  std::mt19937_64 random(TestSeed());
  constexpr std::string_view kBytes = "0123456789.09.-\"\\\x1f\x20\x7f\x80\xff\n,}e";
  for (int i = 0; i < 200'000; ++i) {
    char a[kScanAhead + 1], b[kScanAhead + 1];
    const size_t few = 1 + random() % kBytes.size();
    for (char& c : a) c = kBytes[random() % few];
    std::copy(std::begin(a), std::end(a), b);
    if (random() % 2 == 0) b[random() % kScanAhead] ^= 1;
    const uint64_t mask = ~uint64_t{0} >> random() % 64;
    ASSERT_EQ(SameBytes(a, b, mask), plain::SameBytes(a, b, mask));
    const auto bytes = static_cast<uint32_t>(random() % 33);
    ASSERT_EQ(SameStart(a, b, bytes), plain::SameStart(a, b, bytes));
    const StringBits fast = ReadString(a), slow = plain::ReadString(a);
    ASSERT_EQ(fast.stops, slow.stops);
    ASSERT_EQ(fast.not_ascii, slow.not_ascii);
    NumberShape number, twin;
    ASSERT_EQ(ReadNumber(a, &number), plain::ReadNumber(a, &twin)) << std::string_view(a, 33);
    ASSERT_EQ(number.bytes, twin.bytes);
    ASSERT_EQ(number.whole, twin.whole);
  }
}

// Runs of escapes, now and then with a byte that makes one of them another.
TEST(EscapeRun, IsItsPlainTwin) {
  std::mt19937_64 random(TestSeed());
  constexpr std::string_view kHex = "0123456789abcdefABCDEF";
  constexpr std::string_view kOthers = "\\uU01789afgAFG/:@`\"n\x00\x7f\x80\xd0";
  uint64_t escapes = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text;
    while (text.size() < kScanAhead) {
      text += "\\u00";
      text += kHex[random() % (random() % 4 == 0 ? kHex.size() : 8)];
      text += kHex[random() % kHex.size()];
    }
    for (uint64_t changes = random() % 3; changes > 0; --changes)
      text[random() % kScanAhead] = kOthers[random() % kOthers.size()];
    char fast[kEscapeRoom] = {}, slow[kEscapeRoom] = {};
    const uint32_t count = plain::UnescapeRun(text.data(), slow);
    ASSERT_EQ(UnescapeRun(text.data(), fast), count) << text.substr(0, 32);
    ASSERT_EQ(std::string_view(fast, count), std::string_view(slow, count)) << text.substr(0, 32);
    escapes += count;
  }
  EXPECT_GT(escapes, 200'000u);
}

TEST(LayoutScan, ANumberIsOneOfTheGrammar) {
  struct Case {
    const char* text;
    bool good;
    uint32_t bytes, whole;
  };
  const Case cases[] = {{"0,", true, 1, 1},      {"10}", true, 2, 2},    {"0.5,", true, 3, 1},   {"01,", false, 2, 2},
                        {"00.1,", false, 4, 2},  {"1.,", false, 2, 1},   {".5,", false, 2, 0},   {",", false, 0, 0},
                        {"1.2.3,", false, 5, 1}, {"1..2,", false, 4, 1}, {"12.25e3", true, 5, 2}};
  for (const Case& c : cases) {
    const std::string padded = c.text + std::string(kScanAhead, ' ');
    NumberShape shape;
    EXPECT_EQ(ReadNumber(padded.data(), &shape), c.good) << c.text;
    EXPECT_EQ(shape.bytes, c.bytes) << c.text;
    EXPECT_EQ(shape.whole, c.whole) << c.text;
  }
}

TEST(LayoutValues, AQuantityIsParseDecimals) {
  std::mt19937_64 random(TestSeed());
  int read = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::string text;
    const size_t whole = 1 + random() % 17, fraction = random() % 20;
    for (size_t d = 0; d < whole; ++d) text += static_cast<char>('0' + random() % (i % 3 == 0 ? 2 : 10));
    if (text[0] == '0') text.erase(1);
    const auto kept = static_cast<uint32_t>(text.size());
    if (fraction > 0) text += '.';
    for (size_t d = 0; d < fraction; ++d) text += static_cast<char>('0' + random() % (i % 5 == 0 ? 1 : 10));
    const bool negative = random() % 4 == 0;
    const std::string line = "xxxxxxxx" + text + ",\"anything\":1";
    Quantity quantity;
    if (!ReadQuantity(line.data() + 8, static_cast<uint32_t>(text.size()), kept, negative, &quantity)) continue;
    ++read;
    const ParsedDecimal twin = ParseDecimal((negative ? "-" : "") + text, kQuantityScale);
    ASSERT_EQ(twin.error, DecimalError::kNone) << text;
    ASSERT_EQ(quantity.attos, twin.value) << text;
  }
  EXPECT_GT(read, 150'000);
}

void ExpectSameInstant(InstantReader& reader, const std::string& text) {
  const ParsedInstant is = reader.Parse(text), twin = ParseInstant(text);
  ASSERT_EQ(is.error, twin.error) << text;
  ASSERT_EQ(is.instant, twin.instant) << text;
}

TEST(LayoutValues, ATimeIsParseInstants) {
  std::mt19937_64 random(TestSeed());
  InstantReader reader;
  constexpr std::string_view kBytes = "0123456789:.-+TtZz \x80/;";
  std::string text;
  for (int i = 0; i < 500'000; ++i) {
    char made[40];
    std::snprintf(made, sizeof made, "2025-01-%02dT%02d:%02d:%02d", 28 + static_cast<int>(random() / 64 % 5),
                  static_cast<int>(random() % 25), static_cast<int>(random() % 61), static_cast<int>(random() % 62));
    text = made;
    if (random() % 4 != 0) {
      text += '.';
      for (size_t d = random() % 11; d > 0; --d) text += static_cast<char>('0' + random() % 10);
    }
    text += "ZZZZZZZz+"[random() % 9];
    for (int changes = static_cast<int>(random() % 6) - 3; changes > 0; --changes)
      text[random() % text.size()] = kBytes[random() % kBytes.size()];
    ASSERT_NO_FATAL_FAILURE(ExpectSameInstant(reader, text));
  }
  for (const char* odd : {"", "Z", "2025-01-25T", "2025-01-25T01:02:03", "1969-12-31T23:30:00-01:00",
                          "1969-12-31T00:00:00Z", "2262-01-01T00:30:00+01:00", "2262-01-01T00:30:00Z",
                          "2025-01-31T23:59:60Z", "2025-01-31 10:00:00Z", "2025-01-31 10:00:01.5Z"}) {
    ASSERT_NO_FATAL_FAILURE(ExpectSameInstant(reader, odd));
  }
}

// Every byte in every place of a time: what is not a digit is seen.
TEST(LayoutValues, EveryByteInEveryPlaceOfATime) {
  const std::string good = "2025-01-25T11:22:13.123Z";
  for (size_t at = 0; at < good.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      InstantReader reader;
      ASSERT_NO_FATAL_FAILURE(ExpectSameInstant(reader, good));
      std::string text = good;
      text[at] = static_cast<char>(byte);
      ASSERT_NO_FATAL_FAILURE(ExpectSameInstant(reader, text));
    }
  }
}

}  // namespace
}  // namespace tollbook
