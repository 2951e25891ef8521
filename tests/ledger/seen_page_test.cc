#include "ledger/seen_page.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/ledger/damage.h"

namespace tollbook {
namespace {

std::vector<SeenEntry> Sorted(size_t count, uint64_t seed, int key_bits) {
  std::mt19937_64 random(seed);
  const Uint128 mask = (static_cast<Uint128>(1) << key_bits) - 1;
  std::vector<SeenEntry> entries;
  while (entries.size() < count) {
    const Uint128 key = (static_cast<Uint128>(random()) << 64 | random()) & mask;
    entries.push_back(MakeSeenEntry(key, random()));
    std::sort(entries.begin(), entries.end(), [](auto& a, auto& b) { return KeyOf(a) < KeyOf(b); });
    entries.erase(std::unique(entries.begin(), entries.end(), [](auto& a, auto& b) { return KeyOf(a) == KeyOf(b); }),
                  entries.end());
  }
  return entries;
}

std::string PageOf(std::span<const SeenEntry> entries) {
  std::string page;
  AppendSeenPage(entries, &page);
  return page;
}

// Of every density: identities next to each other, hashes of a shard, and the ends of the range.
TEST(SeenPage, EntriesComeBackAndAreFound) {
  for (const size_t count : {1u, 2u, 3u, 100u, 239u, 240u}) {
    for (const int key_bits : {8, 9, 20, 63, 64, 65, 88, 95, 96}) {
      if (key_bits < 10 && count > 100) continue;
      const std::vector<SeenEntry> entries = Sorted(count, count, key_bits);
      const std::string page = "before" + PageOf(entries);
      std::vector<SeenEntry> back;
      ASSERT_TRUE(DecodeSeenPage(std::string_view(page).substr(6), &back)) << count << " of " << key_bits;
      EXPECT_EQ(back, entries);
      for (const SeenEntry& entry : entries) {
        const SeenPageAnswer answer = FindInSeenPage(std::string_view(page).substr(6), entry);
        EXPECT_TRUE(answer.sound);
        EXPECT_EQ(answer.content, ContentOf(entry));
        const SeenEntry next = MakeSeenEntry(KeyOf(entry) + 1, 0);
        const bool there =
            std::any_of(entries.begin(), entries.end(), [&](auto& e) { return KeyOf(e) == KeyOf(next); });
        EXPECT_EQ(FindInSeenPage(std::string_view(page).substr(6), next).content.has_value(), there);
      }
    }
  }
}

TEST(SeenPage, TheEndsOfTheRange) {
  const Uint128 last = (static_cast<Uint128>(1) << kSeenKeyBits) - 1;
  const std::vector<SeenEntry> entries = {MakeSeenEntry(0, 0), MakeSeenEntry(last, UINT64_MAX)};
  std::vector<SeenEntry> back;
  ASSERT_TRUE(DecodeSeenPage(PageOf(entries), &back));
  EXPECT_EQ(back, entries);
}

// The arithmetic of the header: 88 bits less log2(n), 3 for the largest difference, 8 bytes of content.
TEST(SeenPage, TakesTheBytesThatItShould) {
  std::mt19937_64 random(2);
  constexpr double kSpread = 4.0e6;  // entries in the shard
  std::vector<SeenEntry> entries;
  Uint128 key = 0;
  std::exponential_distribution<double> gap(1.0);
  for (size_t i = 0; i < kSeenPageEntries; ++i) {
    key += static_cast<Uint128>(gap(random) * static_cast<double>(static_cast<Uint128>(1) << 88) / kSpread) + 1;
    entries.push_back(MakeSeenEntry(key, random()));
  }
  const double bytes = static_cast<double>(PageOf(entries).size()) / kSeenPageEntries;
  EXPECT_GT(bytes, 16.0);
  EXPECT_LT(bytes, 17.0);
}

TEST(SeenPage, DamageIsRefused) {
  const std::string page = PageOf(Sorted(20, 1, 96));
  TryDamage(page, [&](std::string_view bytes) {
    std::vector<SeenEntry> entries;
    const bool decoded = DecodeSeenPage(bytes, &entries);
    const bool found = FindInSeenPage(bytes, MakeSeenEntry(static_cast<Uint128>(1) << 95, 0)).sound;
    EXPECT_EQ(decoded, found);
    EXPECT_TRUE(!decoded || bytes == page) << "the checksum misses nothing";
    return decoded;
  });
}

}  // namespace
}  // namespace tollbook
