// The dimensions of a journal line as text, and back.
#include "rating/dimension_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::Pair;

struct Case {
  const char* name;
  std::map<std::string, std::string> dimensions;
  const char* text;
};
const Case kCases[] = {
    {"none", {}, ""},
    {"one", {{"region", "eu"}}, "region=eu"},
    {"several, by name", {{"region", "eu"}, {"cost_center", "100"}}, "cost_center=100,region=eu"},
    {"an empty value", {{"a", ""}, {"b", ""}}, "a=,b="},
    {"a comma in a value", {{"region", "eu,west"}, {"team", "x"}}, "region=eu\\,west,team=x"},
    {"what looks like another dimension", {{"note", "x,region=us"}}, "note=x\\,region\\=us"},
    {"signs in a name", {{"a=b,c", "1"}}, "a\\=b\\,c=1"},
    {"a backslash", {{"path", "C:\\"}, {"team", "x"}}, "path=C:\\\\,team=x"},
    {"a backslash before a comma", {{"path", "\\,"}}, "path=\\\\\\,"},
    {"any other character", {{"stadt", "K\xc3\xb6ln; a b"}}, "stadt=K\xc3\xb6ln; a b"},
};

TEST(DimensionText, SaysWhichDimensionsItHas) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(DimensionText(c.dimensions), c.text);
    const std::vector<std::pair<std::string, std::string>> parsed = ParseDimensions(c.text);
    EXPECT_EQ((std::map<std::string, std::string>{parsed.begin(), parsed.end()}), c.dimensions);
    EXPECT_EQ(parsed.size(), c.dimensions.size());
  }
}

// Stored before there were backslashes.
TEST(DimensionText, OldTextsAreReadAsFarAsTheyGo) {
  EXPECT_THAT(ParseDimensions("note=a=b,region=eu"), ElementsAre(Pair("note", "a=b"), Pair("region", "eu")));
  EXPECT_THAT(ParseDimensions("region=eu,west,team=x"), ElementsAre(Pair("region", "eu"), Pair("team", "x")));
  EXPECT_THAT(ParseDimensions("path=C:\\"), ElementsAre(Pair("path", "C:\\")));
}

}  // namespace
}  // namespace tollbook
