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

// splitmix64: as even as the hashes that entries come from.
uint64_t Mixed(uint64_t number) {
  number += 0x9E3779B97F4A7C15;
  number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9;
  number = (number ^ number >> 27) * 0x94D049BB133111EB;
  return number ^ number >> 31;
}

// Keys that differ in all bits, those of `key_low` that are tags included: from 24 in a small set to 8 in a large one.
SeenEntry Random(std::mt19937_64& random, uint64_t keys) {
  const uint64_t key = random() % keys;
  const uint64_t high = Mixed(key);
  return {static_cast<uint32_t>(high >> 32), static_cast<uint32_t>(high), static_cast<uint32_t>(Mixed(~key)),
          static_cast<uint32_t>(random() % 2), 0};
}

using FirstContents = std::map<std::array<uint32_t, 3>, uint32_t>;

// What a set that remembers `first` answers.
Seen Expected(const SeenEntry& entry, FirstContents* first) {
  const auto [it, fresh] = first->try_emplace({entry.key_high, entry.key_middle, entry.key_low}, entry.content_high);
  return fresh ? Seen::kFresh : it->second == entry.content_high ? Seen::kDuplicate : Seen::kConflict;
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

// More than 2^20 keys, so that the index doubles thirteen times on the way.
TEST(SeenSet, AgreesWithAMapOverAMillionKeys) {
  SeenSet seen;
  FirstContents first;
  std::mt19937_64 random(3);
  for (int i = 0; i < 2'000'000; ++i) {
    const SeenEntry entry = Random(random, 1'600'000);
    ASSERT_EQ(seen.Insert(entry), Expected(entry, &first)) << i;
  }
  EXPECT_EQ(seen.size(), first.size());
  EXPECT_GT(seen.size(), size_t{1} << 20);
}

// After each doubling every entry is found by the tag that it has now, and a neighbour that differs in one bit of its
// tag alone, or below it, is another key.
TEST(SeenSet, TagsAreThoseOfTheIndexAsItIs) {
  SeenSet seen;
  FirstContents first;
  std::mt19937_64 random(5);
  std::vector<SeenEntry> inserted;
  for (size_t size = 100; size < (size_t{1} << 18); size *= 2) {
    while (inserted.size() < size) {
      inserted.push_back(Random(random, uint64_t{1} << 40));
      ASSERT_EQ(seen.Insert(inserted.back()), Expected(inserted.back(), &first));
    }
    for (SeenEntry entry : inserted) ASSERT_EQ(seen.Insert(entry), Expected(entry, &first)) << size;
    for (int i = 0; i < 1000; ++i) {
      SeenEntry neighbour = inserted[random() % inserted.size()];
      neighbour.key_low ^= uint32_t{1} << random() % 32;
      ASSERT_EQ(seen.Insert(neighbour), Expected(neighbour, &first)) << size;
    }
  }
}

// Made large at once, as an opened book does, and grown from there.
TEST(SeenSet, AgreesWithAMapAfterReserve) {
  SeenSet seen;
  seen.Reserve(50'000);
  FirstContents first;
  std::mt19937_64 random(6);
  for (int i = 0; i < 300'000; ++i) {
    const SeenEntry entry = Random(random, 200'000);
    ASSERT_EQ(seen.Insert(entry), Expected(entry, &first)) << i;
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
