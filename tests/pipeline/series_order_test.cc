#include "pipeline/series_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "pipeline/hash_order.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

using Values = std::vector<std::string>;

std::string RandomValue(std::mt19937_64& random) {
  static const std::string beginnings[] = {"", "r", std::string(7, 'x'), std::string(8, 'x'), std::string(30, 'x')};
  std::string value = beginnings[random() % 5];
  for (uint64_t more = random() % 12; more > 0; --more) value += std::string("\0a\xff", 3)[random() % 3];
  return value;
}

// The plain twin is std::set's order of (meter, values).
TEST(SeriesOrder, IsThatOfComparingTuples) {
  std::mt19937_64 random(TestSeed());
  for (const size_t count : {0, 1, 2, 100, 5000}) {
    std::set<std::pair<uint32_t, Values>> twin;
    for (size_t i = 0; i < count; ++i) {
      const auto meter = static_cast<uint32_t>(random() % 4);
      Values values;
      for (uint32_t k = 0; k < meter; ++k) values.push_back(RandomValue(random));
      twin.emplace(meter, values);
    }
    std::vector<std::vector<std::string_view>> views;
    for (const auto& [meter, values] : twin) views.emplace_back(values.begin(), values.end());
    std::vector<OrderedSeries> series;
    for (const auto& [meter, values] : twin) {
      const auto id = static_cast<uint32_t>(series.size());
      series.push_back({meter, views[id], id});
    }
    std::shuffle(series.begin(), series.end(), random);
    SortSeries(&series);
    ASSERT_EQ(series.size(), twin.size());
    for (uint32_t i = 0; i < series.size(); ++i) EXPECT_EQ(series[i].id, i);
  }
}

TEST(HashOrder, IsThatOfSortingHoweverTheHashesAreSpread) {
  struct Record {
    uint64_t hash;
    uint32_t number;
  };
  const auto less = [](const Record& a, const Record& b) {
    return std::tie(a.hash, a.number) < std::tie(b.hash, b.number);
  };
  std::mt19937_64 random(TestSeed());
  HashOrder<Record> order;
  for (const size_t count : {0, 1, 2, 3, 1000, 200'000}) {
    for (const int spread : {0, 1, 30, 58, 63}) {  // bits that all share, at the top or at the bottom
      for (const bool top : {false, true}) {
        std::vector<Record> records;
        for (uint32_t i = 0; i < count; ++i) {
          const uint64_t hash = top ? random() >> spread | 0x5u : random() << spread;
          records.push_back({hash, static_cast<uint32_t>(count - i)});
        }
        std::vector<Record> twin = records;
        std::sort(twin.begin(), twin.end(), less);
        order.Sort(
            &records, [](const Record& record) { return record.hash; }, less);
        ASSERT_TRUE(std::equal(records.begin(), records.end(), twin.begin(), twin.end(),
                               [](const auto& a, const auto& b) { return a.hash == b.hash && a.number == b.number; }));
      }
    }
  }
}

}  // namespace
}  // namespace tollbook
