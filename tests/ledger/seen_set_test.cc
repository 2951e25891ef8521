#include "ledger/seen_set.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>

namespace tollbook {
namespace {

SeenEntry Entry(uint32_t key, uint32_t content) {
  return {key, key + 1, key + 2, content, content};
}

std::string_view Bytes(const std::vector<SeenEntry>& entries) {
  return {reinterpret_cast<const char*>(entries.data()), entries.size() * sizeof(SeenEntry)};
}

SeenEntry Random(std::mt19937_64& random, uint32_t keys) {
  // Tags often agree while keys differ.
  const auto key = static_cast<uint32_t>(random() % keys);
  return {key * 0x85EBCA6Bu, key, key % 97, static_cast<uint32_t>(random() % 2), 0};
}

TEST(SeenSet, TellsFreshDuplicateAndConflictApart) {
  SeenSet seen;
  EXPECT_EQ(seen.Insert(Entry(7, 1)), Seen::kFresh);
  EXPECT_EQ(seen.Insert(Entry(7, 1)), Seen::kDuplicate);
  EXPECT_EQ(seen.Insert(Entry(7, 2)), Seen::kConflict);
  EXPECT_EQ(seen.Insert(Entry(7, 2)), Seen::kConflict) << "the first stays";
  EXPECT_EQ(seen.Insert(Entry(7, 1)), Seen::kDuplicate);
  EXPECT_EQ(seen.size(), 1u);
}

TEST(SeenSet, EveryPartOfTheKeyAndTheContentCounts) {
  const std::array<uint32_t SeenEntry::*, 5> parts = {&SeenEntry::key_high, &SeenEntry::key_middle, &SeenEntry::key_low,
                                                      &SeenEntry::content_high, &SeenEntry::content_low};
  for (size_t part = 0; part < parts.size(); ++part) {
    SeenSet seen;
    SeenEntry entry = Entry(7, 1);
    EXPECT_EQ(seen.Insert(entry), Seen::kFresh);
    entry.*parts[part] += 1;
    EXPECT_EQ(seen.Insert(entry), part < 3 ? Seen::kFresh : Seen::kConflict) << part;
  }
}

TEST(SeenSet, AgreesWithAMapOverAMillionKeys) {
  SeenSet seen;
  std::map<std::array<uint32_t, 3>, uint32_t> first;
  std::mt19937_64 random(3);
  for (int i = 0; i < 1'000'000; ++i) {
    const SeenEntry entry = Random(random, 600'000);
    const auto [it, fresh] = first.try_emplace({entry.key_high, entry.key_middle, entry.key_low}, entry.content_high);
    const Seen expected = fresh ? Seen::kFresh : it->second == entry.content_high ? Seen::kDuplicate : Seen::kConflict;
    ASSERT_EQ(seen.Insert(entry), expected) << i;
  }
  EXPECT_EQ(seen.size(), first.size());
}

TEST(SeenSet, UncommittedAreTheFreshOnesSinceTheLastCommitInOrder) {
  SeenSet seen;
  (void)seen.Insert(Entry(1, 1));
  seen.MarkCommitted();
  EXPECT_TRUE(seen.uncommitted().empty());
  (void)seen.Insert(Entry(3, 1));
  (void)seen.Insert(Entry(1, 1));
  (void)seen.Insert(Entry(2, 1));
  const std::vector<SeenEntry> expected = {Entry(3, 1), Entry(2, 1)};
  EXPECT_EQ(std::vector<SeenEntry>(seen.uncommitted().begin(), seen.uncommitted().end()), expected);
}

TEST(SeenSet, KnowsWhatItLoaded) {
  const std::vector<SeenEntry> first = {Entry(1, 1), Entry(2, 1)};
  const std::vector<SeenEntry> second = {Entry(3, 1)};
  SeenSet seen;
  ASSERT_TRUE(seen.Load(Bytes(first)));
  const std::string shifted = "x" + std::string(Bytes(second));  // at an odd address
  ASSERT_TRUE(seen.Load(std::string_view(shifted).substr(1)));
  EXPECT_TRUE(seen.uncommitted().empty());
  EXPECT_EQ(seen.Insert(Entry(3, 1)), Seen::kDuplicate);
  EXPECT_EQ(seen.Insert(Entry(1, 2)), Seen::kConflict);
  EXPECT_EQ(seen.Insert(Entry(4, 1)), Seen::kFresh);
  EXPECT_FALSE(seen.Load(Bytes(first).substr(1))) << "not a whole number of entries";
}

TEST(SeenSet, ReserveSizesItOnce) {
  SeenSet seen;
  seen.Reserve(100'000);
  const size_t bytes = seen.bytes_in_memory();
  std::mt19937_64 random(4);
  for (int i = 0; i < 100'000; ++i) (void)seen.Insert({static_cast<uint32_t>(random()), static_cast<uint32_t>(i)});
  EXPECT_EQ(seen.bytes_in_memory(), bytes);
}

TEST(SeenSet, ShardsByTheTopBitsOfTheKey) {
  EXPECT_EQ(SeenShardOf({0x00ffffff}), 0);
  EXPECT_EQ(SeenShardOf({0xff000000}), 255);
}

}  // namespace
}  // namespace tollbook
