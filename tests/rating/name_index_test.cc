#include "rating/name_index.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "tests/rating/seed.h"

namespace tollbook {
namespace {

TEST(NameIndex, IsEmptyUntilItIsReset) {
  const NameIndex index;
  EXPECT_EQ(index.Find("acme", [](uint32_t) { return std::string_view(); }), NameIndex::kNone);
}

TEST(NameIndex, FindsWhatWasAddedAtOnce) {
  for (const size_t names : {0, 1, 2, 15, 16, 17, 100, 10'000}) {
    std::vector<uint32_t> rows;
    for (uint32_t i = 0; i < names; ++i) rows.push_back(2 * i + 1);
    std::vector<std::string> table;
    for (size_t i = 0; i < 2 * names + 1; ++i) table.push_back("sub-" + std::to_string(i));
    const auto name_of = [&](uint32_t row) -> std::string_view { return table[row]; };
    NameIndex index;
    index.Reset(names);
    index.AddDistinct(rows, name_of);
    for (uint32_t i = 0; i < table.size(); ++i) {
      EXPECT_EQ(index.Find(table[i], name_of), i % 2 == 1 ? i : NameIndex::kNone) << table[i];
    }
  }
}

TEST(NameIndex, FindsWhatAMapFinds) {
  std::mt19937_64 random(TestSeed());
  for (const size_t names : {0, 1, 2, 3, 100, 10'000}) {
    std::vector<std::string> rows;
    for (size_t i = 0; i < names; ++i) rows.push_back("sub-" + std::to_string(random() % (names + 1)));
    const auto name_of = [&](uint32_t row) -> std::string_view { return rows[row]; };
    NameIndex index;
    index.Reset(names);
    std::map<std::string, uint32_t> expected;
    for (uint32_t row = 0; row < rows.size(); ++row) {
      EXPECT_EQ(index.FindOrAdd(rows[row], row, name_of), expected.try_emplace(rows[row], row).first->second);
    }
    for (size_t i = 0; i <= 2 * names; ++i) {
      const std::string name = "sub-" + std::to_string(i);
      const auto found = expected.find(name);
      EXPECT_EQ(index.Find(name, name_of), found == expected.end() ? NameIndex::kNone : found->second) << name;
    }
    index.Reset(1);
    EXPECT_EQ(index.Find("sub-0", name_of), NameIndex::kNone);
  }
}

}  // namespace
}  // namespace tollbook
