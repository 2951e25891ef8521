// Layouts are a short cut: whatever the input, a block decoded with them is the block decoded without.
//
// TOLLBOOK_SEED=<number> repeats a run; TOLLBOOK_LONG=1 runs a hundred times as long.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "pipeline/generate.h"
#include "rating/catalog_text.h"
#include "tests/pipeline/block_twins.h"
#include "tests/pipeline/line_maker.h"

namespace tollbook {
namespace {

// Meters with all that a plan of a layout knows: none, one or many a type, dimensions of each number, values at any
// depth.
Catalog FuzzCatalog() {
  Catalog catalog;
  const auto meter = [&](const char* name, const char* type, Aggregation aggregation, const char* value,
                         std::vector<std::string> dimensions, Granularity granularity = Granularity::kDay,
                         bool allow_negative = false) {
    catalog.meters.push_back(
        {name, type, aggregation, value, std::move(dimensions), "unit", granularity, allow_negative});
  };
  meter("a.calls", "api.call", Aggregation::kCount, "", {"region"});
  meter("b.tokens", "llm", Aggregation::kSum, "tokens", {"model", "region"});
  meter("b.top", "llm", Aggregation::kMax, "usage.seconds", {}, Granularity::kHour);
  meter("c.change", "level", Aggregation::kLatest, "usage.seconds", {"x", "y", "region"}, Granularity::kDay, true);
  meter("d.mails", "mail", Aggregation::kSum, "tokens", {});
  meter("e.deep", "deep.\xC3\xA9", Aggregation::kSum, "a.b.c", {"a.d"}, Granularity::kQuarterHour);
  catalog.BuildIndex();
  return catalog;
}

class LayoutFuzz : public BlockTwins {
 protected:
  LayoutFuzz() : BlockTwins(FuzzCatalog(), MakeJsonDecoder) {}
};

TEST_F(LayoutFuzz, MadeUpLinesOfEveryKind) {
  for (const int odd : {0, 1, 5, 20}) {
    uint64_t matched = with_.blocks.matched(), events = events_;
    for (int round = 0; round < Rounds(40); ++round) {
      LineMaker maker(random_);
      std::string text;
      for (int line = 0; line < 200; ++line) text += maker.Line(odd) + maker.LineEnd();
      if (OneIn(2, random_)) text.pop_back();
      ASSERT_NO_FATAL_FAILURE(Check(text));
    }
    matched = with_.blocks.matched() - matched;
    events = events_ - events;
    // Else this test tests nothing.
    if (odd == 0) {
      EXPECT_GT(matched, events * 9 / 10);
    } else if (odd == 1) {
      EXPECT_GT(matched, events / 4);
    }
  }
  EXPECT_EQ(without_.blocks.matched(), 0u);
}

TEST_F(LayoutFuzz, DamagedLinesAmongGoodOnes) {
  for (int round = 0; round < Rounds(60); ++round) {
    LineMaker maker(random_);
    std::vector<std::string> good;
    for (int line = 0; line < 20; ++line) good.push_back(maker.Line(OneIn(3, random_) ? 5 : 0) + "\n");
    std::string text;
    for (int line = 0; line < 400; ++line) {
      const std::string& base = Pick(good, random_);
      text += OneIn(2, random_) ? Damaged(base, random_) : base;
    }
    ASSERT_NO_FATAL_FAILURE(Check(text));
  }
  // Layouts took part, whatever lines the dice made: of some rounds' lines no layout is made at all.
  EXPECT_GT(with_.blocks.matched(), events_ / 32);
}

// Cut at each of its bytes, with the traps of BlockOf behind the cut.
TEST_F(LayoutFuzz, CutsOfALine) {
  LineMaker maker(random_);
  std::vector<std::string> lines;
  for (int i = 0; i < 20; ++i) lines.push_back(maker.Line(0) + "\n");
  for (const std::string& line : lines) ASSERT_NO_FATAL_FAILURE(CheckBlock(line));
  for (const std::string& line : lines) {
    for (size_t cut = 1; cut <= line.size(); ++cut) {
      ASSERT_NO_FATAL_FAILURE(CheckBlock(line + line + line.substr(0, cut)));
    }
  }
  EXPECT_GT(with_.blocks.matched(), events_ / 2);
}

TEST_F(LayoutFuzz, EscapedLinesOfEveryKind) {
  for (const unsigned in_a_hundred : {100u, 2u, 20u, 60u}) {
    for (const int odd : {0, 2, 10}) {
      const uint64_t matched = with_.blocks.matched(), events = events_;
      for (int round = 0; round < Rounds(10); ++round) {
        LineMaker maker(random_);
        std::string text;
        for (int line = 0; line < 200; ++line) {
          std::string escaped = WithEscapes(maker.Line(odd), in_a_hundred, odd > 2 && OneIn(9, random_), random_);
          if (odd > 0 && OneIn(10, random_)) escaped = Damaged(escaped, random_);
          text += escaped + maker.LineEnd();
        }
        if (OneIn(2, random_)) text.pop_back();
        ASSERT_NO_FATAL_FAILURE(Check(text));
      }
      // Where types are spelled in one way, layouts are found; the first lines of all, so that no rest is on.
      if (odd == 0 && in_a_hundred == 100) {
        EXPECT_GT(with_.blocks.matched() - matched, (events_ - events) * 9 / 10);
      }
    }
  }
}

// Each piece at each of a line's bytes, in a block that knows the line's layout; and the line cut there, so that what
// is readable behind it would complete the escape.
TEST_F(LayoutFuzz, AnEscapeInEveryPosition) {
  static constexpr const char* kPieces[] = {"\\u0041",     "\\u004a\\u006B\\u0031\\u002d\\u0000\\u007f",
                                            "\\u0080",     "\\u00e9\\u0041",
                                            "\\n",         "\\\"",
                                            "\\u0022",     "\\ud83d\\ude00",
                                            "\\ud83d",     "\\u00",
                                            "\\u00g1",     "\\U0041",
                                            "\\",          "\\\\",
                                            "\\u0041\x01", "\\u0041\xC3\xA9",
                                            "\\u0041\xC3", "\\x41"};
  LineMaker maker(random_);
  const std::string plain = maker.Line(0) + "\n";
  for (const std::string& line : {plain, WithEscapes(plain, 100, false, random_)}) {
    for (size_t at = 0; at < line.size(); ++at) {
      std::string text = line + line;
      for (const char* piece : kPieces) text += line.substr(0, at) + piece + line.substr(at) + line;
      ASSERT_NO_FATAL_FAILURE(CheckBlock(text));
      ASSERT_NO_FATAL_FAILURE(CheckBlock(line + line.substr(0, at) + Pick(kPieces, random_)));
    }
  }
  EXPECT_GT(with_.blocks.matched(), events_ / 2);
}

// 1.0 and 1 are one dimension value, "1.0" is another: a series that is found by a line's text must know which it was.
TEST_F(LayoutFuzz, ADimensionsTextIsNotItsKind) {
  std::string text;
  for (const char* region : {"1.0", "\"1.0\"", "1", "\"1\"", "true", "\"true\"", "null", "\"null\"", "\"\""}) {
    text += R"({"id":"i","source":"s","type":"api.call","subject":"u","time":"2025-01-25T01:02:03Z","data":{"region":)";
    text += std::string(region) + "}}\n";
  }
  for (int round = 0; round < 4; ++round) ASSERT_NO_FATAL_FAILURE(CheckBlock(text));
  EXPECT_GE(with_.blocks.matched(), 27u);
}

TEST_F(LayoutFuzz, GeneratedTelemetry) {
  GenerateOptions options;
  options.events = static_cast<uint64_t>(Rounds(5'000));
  options.subscriptions = 200;
  options.seed = TestSeed() % 1000;
  ParsedCatalog parsed = ParseCatalog(*GenerateCatalog(options));
  ASSERT_TRUE(parsed.catalog);
  Side with(*parsed.catalog, identity_, DecoderChoice::kAuto, MakeJsonDecoder());
  Side without(*parsed.catalog, identity_, DecoderChoice::kSimdjson, MakeJsonDecoder());
  std::string text;
  ASSERT_TRUE(GenerateEvents(options, [&](std::string_view lines) {
                text += lines;
                return absl::OkStatus();
              }).ok());
  BlockWork a, b;
  with.Decode(BlockOf(text, random_), &a);
  without.Decode(BlockOf(text, random_), &b);
  EXPECT_EQ(a.verdicts, b.verdicts);
  EXPECT_EQ(a.held, b.held);
  for (int shard = 0; shard < kSeenShards; ++shard) {
    EXPECT_TRUE(SameItems(a.identities.of(shard), b.identities.of(shard), [](const Identity& x, const Identity& y) {
      return x.entry == y.entry && x.event == y.event;
    }));
  }
  ASSERT_EQ(a.measurements.size(), b.measurements.size());
  for (size_t i = 0; i < a.measurements.size(); ++i)
    ASSERT_EQ(Describe(a.measurements[i], with.series), Describe(b.measurements[i], without.series));
  EXPECT_GT(with.blocks.matched(), a.verdicts.size() * 95 / 100);
}

}  // namespace
}  // namespace tollbook
