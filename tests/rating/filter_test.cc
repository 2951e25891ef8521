#include "rating/filter.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/rating/seed.h"

namespace tollbook {
namespace {

AcceptedValues Any(std::initializer_list<const char*> values) {
  return AcceptedValues(std::vector<std::string>(values.begin(), values.end()));
}

bool Takes(const Filter& filter, std::string_view model, std::string_view region) {
  Meter meter;
  meter.dimensions = {"model", "region"};
  return Matches(filter, meter, std::vector<std::string_view>{model, region});
}

TEST(Filter, TakesListedValuesAndAStarTakesAllButTheAbsentOne) {
  EXPECT_TRUE(Takes({}, "", ""));
  EXPECT_TRUE(Takes({{"region", "eu"}}, "m", "eu"));
  EXPECT_FALSE(Takes({{"region", "eu"}}, "m", ""));
  EXPECT_TRUE(Takes({{"region", Any({"eu", "us"})}}, "m", "us"));
  EXPECT_FALSE(Takes({{"region", Any({"eu", "us"})}}, "m", "ap"));
  EXPECT_TRUE(Takes({{"region", AcceptedValues::Any()}}, "m", "ap"));
  EXPECT_FALSE(Takes({{"region", AcceptedValues::Any()}}, "m", ""));
  EXPECT_FALSE(Takes({{"zone", AcceptedValues::Any()}}, "m", "eu")) << "a dimension that the meter has not";
}

TEST(Filter, IsMoreSpecificByDimensionsThenStarsThenValues) {
  const std::vector<Filter> ordered = {{{"model", "m"}, {"region", "eu"}},
                                       {{"model", Any({"m", "n"})}, {"region", "eu"}},
                                       {{"model", AcceptedValues::Any()}, {"region", "eu"}},
                                       {{"model", AcceptedValues::Any()}, {"region", AcceptedValues::Any()}},
                                       {{"region", "eu"}},
                                       {{"region", Any({"eu", "us"})}},
                                       {{"region", AcceptedValues::Any()}},
                                       {}};
  for (size_t a = 0; a < ordered.size(); ++a) {
    for (size_t b = 0; b < ordered.size(); ++b) EXPECT_EQ(IsMoreSpecific(ordered[a], ordered[b]), a < b) << a << b;
  }
}

Filter RandomFilter(std::mt19937_64& random) {
  Filter filter;
  for (const char* dimension : {"model", "region"}) {
    const uint64_t kind = random() % 4;
    if (kind == 0) continue;
    if (kind == 1) {
      filter[dimension] = AcceptedValues::Any();
      continue;
    }
    AcceptedValues accepted;
    for (const char* value : {"", "a", "b", "c"}) {
      if (random() % 2 == 0) accepted.listed.push_back(value);
    }
    if (!accepted.listed.empty()) filter[dimension] = accepted;
  }
  return filter;
}

// Against all values that there are, and one that no filter lists.
TEST(Filter, TellsRivalsAndWhoSettlesThem) {
  std::mt19937_64 random(TestSeed());
  const char* const values[] = {"", "a", "b", "c", "other"};
  int rivals = 0, settled = 0;
  for (int round = 0; round < 20'000; ++round) {
    const Filter a = RandomFilter(random), b = RandomFilter(random), third = RandomFilter(random);
    bool both = false, all_of_both = true;
    for (const char* model : values) {
      for (const char* region : values) {
        if (!Takes(a, model, region) || !Takes(b, model, region)) continue;
        both = true;
        all_of_both = all_of_both && Takes(third, model, region);
      }
    }
    const bool equal = !IsMoreSpecific(a, b) && !IsMoreSpecific(b, a);
    ASSERT_EQ(HaveEqualRight(a, b), equal && both) << ToString(a) << " and " << ToString(b);
    if (!equal || !both) continue;
    ++rivals;
    // It need not find all that settle, but what it finds must.
    if (!Settles(third, a, b)) continue;
    ++settled;
    ASSERT_TRUE(all_of_both && IsMoreSpecific(third, a))
        << ToString(third) << " of " << ToString(a) << ", " << ToString(b);
  }
  EXPECT_GT(rivals, 100);
  EXPECT_GT(settled, 10);
}

TEST(Filter, IsOneText) {
  EXPECT_EQ(ToString(Filter{}), "");
  EXPECT_EQ(ToString(Filter{{"region", Any({"eu", "us"})}, {"model", AcceptedValues::Any()}}), "model=*;region=eu|us");
}

}  // namespace
}  // namespace tollbook
