#include "ledger/seen_filter.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace tollbook {
namespace {

SeenEntry OfShard(int shard, std::mt19937_64* random) {
  const uint64_t high = (*random)();
  const uint32_t shard_bits = static_cast<uint32_t>(shard) << (32 - kSeenShardBits);
  return {shard_bits | (static_cast<uint32_t>(high) >> kSeenShardBits), static_cast<uint32_t>(high >> 32),
          static_cast<uint32_t>((*random)())};
}

TEST(SeenFilter, HasAllThatWasAddedAndFewOthers) {
  constexpr int kEntries = 200'000;
  constexpr int kStrangers = 1'000'000;
  std::mt19937_64 random(1);
  SeenFilter filter(kEntries);
  std::vector<SeenEntry> added;
  for (int i = 0; i < kEntries; ++i) added.push_back(OfShard(7, &random));
  for (const SeenEntry& entry : added) filter.Add(entry);
  for (const SeenEntry& entry : added) ASSERT_TRUE(filter.MayHave(entry));
  int passed = 0;
  for (int i = 0; i < kStrangers; ++i) passed += filter.MayHave(OfShard(7, &random));
  EXPECT_LT(passed, kStrangers / 500) << "0.2 % each, so that five runs pass less than 1 %";
  RecordProperty("passed_per_million", passed);
  EXPECT_LE(filter.size(), 2 * kEntries + 64);
}

TEST(SeenFilter, ComesBackFromItsBytes) {
  std::mt19937_64 random(2);
  SeenFilter filter(1000);
  std::vector<SeenEntry> added;
  for (int i = 0; i < 1000; ++i) added.push_back(OfShard(255, &random));
  for (const SeenEntry& entry : added) filter.Add(entry);
  SeenFilter back(1000);
  ASSERT_EQ(back.size(), SeenFilter::BytesFor(1000));
  std::memcpy(back.data(), filter.bytes().data(), back.size());
  for (const SeenEntry& entry : added) EXPECT_TRUE(back.MayHave(entry));
}

TEST(SeenFilter, OfNothingHasNothing) {
  std::mt19937_64 random(3);
  EXPECT_FALSE(SeenFilter(0).MayHave(OfShard(0, &random)));
}

}  // namespace
}  // namespace tollbook
