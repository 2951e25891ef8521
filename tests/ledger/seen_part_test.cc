#include "ledger/seen_part.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace tollbook {
namespace {

constexpr int kShard = 0xA7;

// `groups`: of how many groups their second bytes are.
std::vector<SeenEntry> EntriesOf(size_t count, int groups, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<SeenEntry> entries;
  for (size_t i = 0; i < count; ++i) {
    const auto group = static_cast<uint32_t>(random() % groups);
    const auto high = static_cast<uint32_t>(kShard << 24 | group << 16 | (random() & 0xFFFF));
    entries.push_back({high, static_cast<uint32_t>(random()), static_cast<uint32_t>(random()),
                       static_cast<uint32_t>(random()), static_cast<uint32_t>(random())});
  }
  return entries;
}

std::string Packed(std::span<const SeenEntry> entries) {
  std::string out;
  AppendSeenPart(entries, &out);
  return out;
}

std::vector<SeenEntry> ByGroup(std::vector<SeenEntry> entries) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const SeenEntry& a, const SeenEntry& b) { return a.key_high >> 16 < b.key_high >> 16; });
  return entries;
}

TEST(SeenPart, EntriesComeBack) {
  for (const int groups : {1, 2, 200, 256}) {
    for (const size_t count : {0u, 1u, 2u, 255u, 256u, 257u, 2000u, 70'000u}) {
      const std::vector<SeenEntry> entries = EntriesOf(count, groups, count + groups);
      std::vector<SeenEntry> back;
      ASSERT_TRUE(DecodeSeenPart(kShard, count, Packed(entries), &back)) << count << " in " << groups;
      EXPECT_EQ(back, count < kSeenPartPackedFrom ? entries : ByGroup(entries)) << count << " in " << groups;
    }
  }
}

TEST(SeenPart, StandsBehindWhatIsThere) {
  std::string out = "before";
  const std::vector<SeenEntry> entries = EntriesOf(300, 256, 1);
  AppendSeenPart(entries, &out);
  EXPECT_EQ(out, "before" + Packed(entries));
}

TEST(SeenPart, TakesEighteenBytesAnEntry) {
  EXPECT_EQ(Packed(EntriesOf(255, 256, 1)).size(), 255 * 20u) << "as they are";
  EXPECT_EQ(Packed(EntriesOf(256, 256, 2)).size(), 256 * 18u + 256);
  EXPECT_EQ(Packed(EntriesOf(2000, 256, 3)).size(), 2000 * 18u + 256);
  EXPECT_EQ(Packed(EntriesOf(2000, 1, 3)).size(), 2000 * 18u + 257) << "all in one group";
}

// The example of FORMAT.md.
TEST(SeenPart, Bytes) {
  std::vector<SeenEntry> entries(255, SeenEntry{0x05020000, 0, 0, 0, 0});
  entries.push_back({0x0501AABB, 0x11223344, 0x55667788, 0x99AABBCC, 0xDDEEFF00});
  const std::string stored = Packed(entries);
  const std::string head = std::string("\x00\x01\xff\x01", 4) + std::string(253, '\0');
  ASSERT_EQ(stored.substr(0, head.size()), head);
  EXPECT_EQ(stored.substr(head.size(), 18), std::string("\xbb\xaa\x44\x33\x22\x11\x88\x77\x66\x55\xcc\xbb\xaa\x99"
                                                        "\x00\xff\xee\xdd",
                                                        18));
  EXPECT_EQ(stored.substr(head.size() + 18), std::string(255 * 18, '\0'));
}

TEST(SeenPart, WhatIsNotSoManyEntriesIsRefused) {
  std::vector<SeenEntry> back;
  for (const size_t count : {3u, 300u}) {
    const std::string stored = Packed(EntriesOf(count, 256, 9));
    ASSERT_TRUE(DecodeSeenPart(kShard, count, stored, &back));
    EXPECT_FALSE(DecodeSeenPart(kShard, count + 1, stored, &back));
    EXPECT_FALSE(DecodeSeenPart(kShard, count - 1, stored, &back));
    EXPECT_FALSE(DecodeSeenPart(kShard, count, stored + '\0', &back));
    for (const size_t kept : {size_t{0}, size_t{1}, stored.size() / 2, stored.size() - 1}) {
      EXPECT_FALSE(DecodeSeenPart(kShard, count, std::string_view(stored).substr(0, kept), &back)) << kept;
    }
  }
  std::string stored = Packed(EntriesOf(300, 256, 9));
  ++stored[0];  // one group says that it has one entry more
  EXPECT_FALSE(DecodeSeenPart(kShard, 300, stored, &back));
}

}  // namespace
}  // namespace tollbook
