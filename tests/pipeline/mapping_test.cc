// sources.yaml: what it says, and what is wrong with it, by line.
#include "pipeline/mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "pipeline/template.h"

namespace tollbook {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kGood = R"(sources:
  - glob: "tokens_6h.csv"
    format: csv
    delimiter: ";"
    events:
      - id: "{file}:{row}"
        source: "servegen/{file}"
        type: "{meter}"
        subject: "{model}/{client}"
        time: {base: "2025-01-25T00:00:00Z", offset_seconds: t_start_s}
        data:
          model: "{model}"
          quantity: {product: [tokens_per_request, requests]}
          tokens: {number: "{tokens}"}
  - glob: "*.ndjson"
    format: cloudevents
)";

TEST(ParseMappings, AWholeFile) {
  const ParsedMappings parsed = ParseMappings(kGood);
  ASSERT_THAT(parsed.errors, IsEmpty());
  ASSERT_EQ(parsed.mappings.size(), 2u);
  const SourceMapping& csv = parsed.mappings[0];
  EXPECT_EQ(csv.glob, "tokens_6h.csv");
  EXPECT_EQ(csv.format, InputFormat::kCsv);
  EXPECT_EQ(csv.delimiter, ';');
  EXPECT_EQ(csv.line, 2);
  ASSERT_EQ(csv.events.size(), 1u);
  const EventMapping& event = csv.events[0];
  EXPECT_EQ(event.subject.text, "{model}/{client}");
  EXPECT_EQ(event.time.kind, FieldRule::Kind::kTimeOffset);
  EXPECT_EQ(ToString(event.time.base), "2025-01-25T00:00:00Z");
  EXPECT_THAT(event.time.columns, ElementsAre("t_start_s"));
  ASSERT_EQ(event.data.size(), 3u);
  EXPECT_EQ(event.data[0].first, "model");
  EXPECT_FALSE(event.data[0].second.is_number);
  EXPECT_THAT(event.data[1].second.columns, ElementsAre("tokens_per_request", "requests"));
  EXPECT_TRUE(event.data[1].second.is_number);
  EXPECT_EQ(event.data[2].second.text, "{tokens}");
  EXPECT_TRUE(event.data[2].second.is_number);
  EXPECT_TRUE(NeedsRows(csv));
  EXPECT_EQ(parsed.mappings[1].format, InputFormat::kCloudEvents);
  EXPECT_FALSE(NeedsRows(parsed.mappings[1]));
}

TEST(ParseMappings, TheFeedsWeShipAreFine) {
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(TOLLBOOK_SOURCE_DIR "/data")) {
    if (entry.path().filename() != "sources.yaml") continue;
    std::ifstream in(entry.path());
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const ParsedMappings parsed = ParseMappings(text);
    EXPECT_FALSE(parsed.mappings.empty()) << entry.path() << (parsed.errors.empty() ? "" : ToString(parsed.errors[0]));
    ++files;
  }
  EXPECT_GT(files, 0);
}

TEST(ParseMappings, NoTextIsNoMapping) {
  EXPECT_THAT(ParseMappings("").errors, IsEmpty());
  EXPECT_THAT(ParseMappings("").mappings, IsEmpty());
}

TEST(ParseMappings, EachMistakeIsToldWithItsLine) {
  struct Case {
    const char* name;
    const char *from, *to;
    int line;
    const char* what;
  };
  const Case cases[] = {
      {"unknown key", "format: cloudevents", "format: cloudevents\n    formt: x", 17, "formt"},
      {"unknown format", "format: csv", "format: cvs", 3, "cvs"},
      {"no format", "    format: cloudevents\n", "", 15, "format"},
      {"no glob", "glob: \"*.ndjson\"\n    format: cloudevents", "format: cloudevents", 15, "glob"},
      {"delimiter of two characters", "\";\"", "\";;\"", 4, "delimiter"},
      {"no id", "id: \"{file}:{row}\"\n        source", "source", 6, "id"},
      {"lone brace", "{file}:{row}", "{file:{row}", 6, "cannot be read"},
      {"bad row", "{row}", "{row%}", 6, "cannot be read"},
      {"rest by zero", "{row}", "{row%0}", 6, "cannot be read"},
      {"row too far back", "{row}", "{row-2}", 6, "cannot be read"},
      {"constant id", "{file}:{row}", "{file}", 6, "the same in every row"},
      {"bad base", "2025-01-25T00:00:00Z", "2025-01-25", 10, "base"},
      {"no offset column", ", offset_seconds: t_start_s", "", 10, "offset_seconds"},
      {"another zone", "        data:", "        time_zone: Europe/Berlin\n        data:", 11, "Europe/Berlin"},
      {"empty product", "[tokens_per_request, requests]", "[]", 13, "product"},
      {"data is a text",
       "data:\n          model: \"{model}\"\n          quantity: {product: [tokens_per_request, requests]}\n"
       "          tokens: {number: \"{tokens}\"}",
       "data: all", 11, "data"},
      {"a property of another shape", "{number: \"{tokens}\"}", "{sum: a}", 14, "sum"},
      {"a property that is a list", "{number: \"{tokens}\"}", "[a]", 14, "tokens"},
      {"an original of nothing", "        data:", "        original: {subject: \"{was}\"}\n        data:", 11,
       "no corrects"},
      {"an original with an id",
       "        data:", "        corrects: \"{of}\"\n        original: {id: \"{of}\"}\n        data:", 12, "id"},
      {"a voided nobody", "        data:", "        voids: \"{of\"\n        data:", 11, "cannot be read"},
      {"events for CloudEvents", "format: cloudevents", "format: cloudevents\n    events: []", 17, "events"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    std::string text(kGood);
    const size_t at = text.find(c.from);
    ASSERT_NE(at, std::string::npos);
    text.replace(at, std::string_view(c.from).size(), c.to);
    const ParsedMappings parsed = ParseMappings(text);
    EXPECT_THAT(parsed.mappings, IsEmpty());
    bool told = false;
    std::string all;
    for (const CatalogError& error : parsed.errors) {
      all += ToString(error) + "\n";
      told |= error.file == "sources.yaml" && error.line == c.line && error.what.find(c.what) != std::string::npos;
    }
    EXPECT_TRUE(told) << all;
  }
}

TEST(ParseMappings, TwoEventsOfARowNeedTwoIds) {
  std::string text(kGood);
  const size_t begin = text.find("      - id"), end = text.find("  - glob: \"*.nd");
  text.insert(end, text.substr(begin, end - begin));
  const ParsedMappings parsed = ParseMappings(text);
  ASSERT_EQ(parsed.errors.size(), 1u);
  EXPECT_THAT(parsed.errors[0].what, HasSubstr("same id"));
}

TEST(ParseMappings, SeveralMistakesInOneGo) {
  EXPECT_GE(ParseMappings("sources:\n  - glob: a\n    format: x\n  - format: y\n").errors.size(), 3u);
}

TEST(ParseTemplate, Parts) {
  const ParsedTemplate parsed = ParseTemplate("a{{{x y}}}:{file}/{row-1%100:03}{rows}");
  EXPECT_EQ(parsed.error, "");
  using Kind = TemplatePart::Kind;
  EXPECT_THAT(parsed.parts,
              ElementsAre(TemplatePart{Kind::kText, "a{", 0, 0, 0}, TemplatePart{Kind::kColumn, "x y", 0, 0, 0},
                          TemplatePart{Kind::kText, "}:", 0, 0, 0}, TemplatePart{Kind::kFile, "", 0, 0, 0},
                          TemplatePart{Kind::kText, "/", 0, 0, 0}, TemplatePart{Kind::kRow, "", 1, 100, 3},
                          TemplatePart{Kind::kColumn, "rows", 0, 0, 0}));
}

TEST(ParseTemplate, Mistakes) {
  for (const char* text : {"{", "}", "a{b", "a}b", "{}", "{a{b}}", "{row-}", "{row:x}", "{row%3%4}", "{row:21}",
                           "{row%99999999999999999999}"}) {
    EXPECT_NE(ParseTemplate(text).error, "") << text;
  }
}

TEST(MappingFor, ByNameOrPathWithAndWithoutPacking) {
  struct Case {
    const char *glob, *path;
    bool matches;
  };
  const Case cases[] = {
      {"tokens_6h.csv", "/data/tokens_6h.csv", true},
      {"tokens_6h.csv", "tokens_6h.csv.zst", true},
      {"tokens_6h.csv", "x/tokens_6h.csv.gz", true},
      {"*.csv.gz", "x/a.csv.gz", true},
      {"*.csv.gz", "x/a.csv", false},
      {"tokens_*.csv", "x/tokens_1.csv", true},
      {"tokens_*.csv", "x/requests.csv", false},
      {"eu/*.csv", "/data/eu/a.csv.zst", true},
      {"eu/*.csv", "/data/us/a.csv", false},
      {"eu/*.csv", "eu/a.csv", true},
      {"eu/*.csv", "/data/neu/a.csv", false},
      {"/data/eu/a.csv", "/data/eu/a.csv", true},
  };
  for (const Case& c : cases) {
    std::vector<SourceMapping> mappings(1);
    mappings[0].glob = c.glob;
    EXPECT_EQ(MappingFor(mappings, c.path) != nullptr, c.matches) << c.glob << " " << c.path;
  }
  std::vector<SourceMapping> two(2);
  two[0].glob = "a*";
  two[1].glob = "*";
  EXPECT_EQ(MappingFor(two, "abc"), &two[0]) << "the first that matches";
}

}  // namespace
}  // namespace tollbook
