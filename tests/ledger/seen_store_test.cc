// Dedup beyond memory, through a real book: with a budget so small that every few epochs shards spill and runs are
// merged, it answers what a map answers, whenever the book is closed and opened again.
#include "ledger/seen_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <random>

#include "tests/ledger/scratch_directory.h"
#include "tests/ledger/seen_book.h"

namespace tollbook {
namespace {

namespace fs = std::filesystem;

// With a budget of its own.
class Twin : public SeenBook {
 public:
  Twin(const std::string& directory, uint64_t memory_bytes, uint64_t log_commits_max = 4096)
      : SeenBook(directory), log_commits_max_(log_commits_max) {
    Open(memory_bytes);
  }

  void Open(uint64_t memory_bytes) {
    budget_.emplace(memory_bytes, log_commits_max_);
    Open();
  }
  void Open() { SeenBook::Open(*budget_); }

  void Absorb(const std::vector<SeenEntry>& events) {
    std::vector<Item> items;
    for (const SeenEntry& event : events) items.push_back({event});
    SeenBook::Absorb(items, *budget_);
  }

  void ExpectSound() const {
    for (const Book::Check& check : book().CheckStore()) EXPECT_TRUE(check.holds) << check.name << ": " << check.detail;
    uint64_t entries = 0;
    for (int shard = 0; shard < kSeenShards; ++shard) {
      SeenSet all;
      ASSERT_TRUE(book().LoadSeen(shard, &all).ok());
      entries += all.size();
    }
    EXPECT_EQ(entries, events());
  }

 private:
  const uint64_t log_commits_max_;
  std::optional<SeenBudget> budget_;
};

SeenEntry Hashed(uint64_t event, uint64_t content) {
  std::mt19937_64 random(event);
  const uint64_t high = random();
  return {static_cast<uint32_t>(high >> 32), static_cast<uint32_t>(high), static_cast<uint32_t>(random()),
          static_cast<uint32_t>(content), 7};
}

// Half are new, the others come again from any time, one in eight of those with other content.
std::vector<SeenEntry> Events(uint64_t* next, size_t count, std::mt19937_64* random) {
  std::vector<SeenEntry> events;
  for (size_t i = 0; i < count; ++i) {
    const bool again = *next > 0 && (*random)() % 2 == 0;
    const uint64_t event = again ? (*random)() % *next : (*next)++;
    events.push_back(Hashed(event, again && (*random)() % 8 == 0));
  }
  return events;
}

TEST(SeenStore, AnswersAsAMapDoesWhateverSpillsMergesAndReopens) {
  const ScratchDirectory scratch;
  std::mt19937_64 random(5);
  Twin twin(scratch.path(), 300'000);
  uint64_t next = 0;
  for (int epoch = 0; epoch < 70 && !testing::Test::HasFatalFailure(); ++epoch) {
    twin.Absorb(Events(&next, 1 + random() % 12'000, &random));
    if (random() % 10 == 0) twin.Open();
  }
  twin.ExpectSound();
  twin.Open();
  twin.ExpectSound();
  EXPECT_GT(twin.spills(), 2000u);
  EXPECT_GT(twin.events(), 150'000u);
  EXPECT_LE(twin.runs_max(), 12u);
}

// A book written with much memory and opened with little: shards go to disk while others are not loaded yet.
TEST(SeenStore, OpensWithinLessMemoryThanItWasWrittenWith) {
  const ScratchDirectory scratch;
  std::mt19937_64 random(12);
  Twin twin(scratch.path(), 1 << 30);
  uint64_t next = 0;
  for (int epoch = 0; epoch < 20; ++epoch) twin.Absorb(Events(&next, 12'000, &random));
  ASSERT_EQ(twin.spills(), 0u);
  ASSERT_GT(twin.hot(), 100'000u);
  const uint64_t commits = twin.book().last_sequence();
  twin.Open();
  EXPECT_EQ(twin.book().last_sequence(), commits) << "it fits: nothing is spilled";

  twin.Open(1'000'000);
  const uint64_t shard_max = twin.events() / kSeenShards * 2;
  EXPECT_GT(twin.hot_while_opening(), 0u);
  EXPECT_LE(twin.hot_while_opening(), 1'000'000 / SeenBudget::kBytesPerHotEntry + shard_max);
  const uint64_t spilling = twin.book().last_sequence() - commits;
  EXPECT_GE(spilling, 5u) << "a fifth of them fits at a time";
  EXPECT_LE(spilling, 20u) << "but not a commit for each shard";
  twin.ExpectSound();
  for (int epoch = 0; epoch < 5; ++epoch) twin.Absorb(Events(&next, 12'000, &random));
  twin.Open(1);
  EXPECT_EQ(twin.hot(), 0u) << "all of it is in runs";
  for (int epoch = 0; epoch < 2; ++epoch) twin.Absorb(Events(&next, 2'000, &random));
  twin.Open(1 << 30);
  for (int epoch = 0; epoch < 5; ++epoch) twin.Absorb(Events(&next, 12'000, &random));
  twin.ExpectSound();
}

// Identities that are no hashes: all in one shard, next to each other, and with the same middle.
TEST(SeenStore, IdentitiesOfAnyShape) {
  const ScratchDirectory scratch;
  std::mt19937_64 random(6);
  Twin twin(scratch.path(), 40'000);
  for (int epoch = 0; epoch < 40 && !testing::Test::HasFatalFailure(); ++epoch) {
    std::vector<SeenEntry> events;
    for (int i = 0; i < 1500; ++i) {
      const auto number = static_cast<uint32_t>(random() % 30'000);
      events.push_back({0x05000000u | (number % 3 == 0 ? 0x00ffffffu : 0), 9, number, number % 50 == 0, 0});
    }
    twin.Absorb(events);
    if (epoch % 7 == 0) twin.Open();
  }
  twin.ExpectSound();
  EXPECT_GT(twin.spills(), 10u);
}

TEST(SeenStore, WhatIsReplacedGivesItsSpaceBack) {
  const ScratchDirectory scratch;
  std::mt19937_64 random(7);
  Twin twin(scratch.path(), 400'000);
  uint64_t next = 0;
  for (int epoch = 0; epoch < 40; ++epoch) {
    std::vector<SeenEntry> events;
    for (int i = 0; i < 20'000; ++i) events.push_back(Hashed(next++, 0));
    twin.Absorb(events);
  }
  uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(scratch.path() + "/seen")) {
    struct stat facts = {};
    ASSERT_EQ(stat(entry.path().c_str(), &facts), 0);
    bytes += static_cast<uint64_t>(facts.st_blocks) * 512;
  }
  // 18 bytes in pages, 2 of filter, up to a block a run of waste, and what the log has of the last epochs.
  EXPECT_LT(static_cast<double>(bytes) / static_cast<double>(twin.events()), 24.0);
}

TEST(SeenStore, TheLogIsAboutAsLargeAsWhatMemoryHolds) {
  const ScratchDirectory scratch;
  Twin twin(scratch.path(), 200'000 * SeenBudget::kBytesPerHotEntry * 4 / 3);
  uint64_t next = 0;
  for (int epoch = 0; epoch < 12; ++epoch) {
    std::vector<SeenEntry> events;
    for (int i = 0; i < 100'000; ++i) events.push_back(Hashed(next++, 0));
    twin.Absorb(events);
  }
  struct stat facts = {};
  ASSERT_EQ(stat((scratch.path() + "/seen/1.log").c_str(), &facts), 0);
  const auto log_bytes = static_cast<double>(facts.st_blocks * 512);
  EXPECT_LT(log_bytes, 1.4 * static_cast<double>(twin.hot() * sizeof(SeenEntry)));
}

TEST(SeenStore, ManySmallCommitsDoNotPileUpInTheLog) {
  const ScratchDirectory scratch;
  std::mt19937_64 random(11);
  Twin twin(scratch.path(), 1 << 30, 20);
  uint64_t next = 0;
  for (int epoch = 0; epoch < 320 && !testing::Test::HasFatalFailure(); ++epoch) {
    twin.Absorb(Events(&next, 5, &random));
    if (epoch % 100 == 99) twin.Open();
  }
  twin.ExpectSound();
  EXPECT_GE(twin.spills(), 2u * kSeenShards);
  uint64_t oldest = UINT64_MAX;
  for (const SeenShard& shard : twin.shards()) oldest = std::min(oldest, shard.spilled_through());
  EXPECT_GT(oldest, 100u) << "commits before it are not in the log";
}

// Its entries would be in the log and in a run.
TEST(SeenStoreDeathTest, AShardIsNotBothSpilledAndLogged) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const ScratchDirectory scratch;
  BookOptions options;
  options.directory = scratch.path();
  options.create = true;
  options.identity = {kFormatVersion, "demo", "UTC", {1, 2}};
  const absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(options);
  ASSERT_TRUE(book.ok()) << book.status();
  SeenShard shard;
  ASSERT_EQ(shard.Insert({7u << 24, 1, 2, 3, 4}), Seen::kFresh);
  EpochCommit epoch;
  epoch.delta.lines = epoch.delta.accepted = 1;
  epoch.seen.emplace_back(7, shard.hot().uncommitted());
  epoch.spills.emplace_back(7, &shard);
  EXPECT_DEATH((void)(*book)->CommitEpoch(epoch), "spilled");
}

TEST(SeenStore, RunsToMergeKeepsRunsFew) {
  EXPECT_EQ(RunsToMerge({}, 10), 0u);
  const std::vector<uint64_t> three = {10, 10, 10};
  EXPECT_EQ(RunsToMerge(three, 10), 3u) << "four of a size are one";
  EXPECT_EQ(RunsToMerge(std::span(three).first(2), 10), 0u);
  const std::vector<uint64_t> levels = {160, 40, 40, 40, 10, 10, 10};
  EXPECT_EQ(RunsToMerge(levels, 10), 6u) << "and four of those";
  EXPECT_EQ(RunsToMerge(levels, 9), 6u);
  std::vector<uint64_t> sizes;
  uint64_t written = 0;
  std::mt19937_64 random(1);
  size_t most = 0;
  uint64_t all = 0;
  for (int spill = 0; spill < 1000; ++spill) {
    uint64_t size = 80 + random() % 40;
    all += size;
    for (size_t merged = RunsToMerge(sizes, size); merged > 0; --merged) {
      size += sizes.back();
      sizes.pop_back();
    }
    sizes.push_back(size);
    written += size;
    most = std::max(most, sizes.size());
  }
  EXPECT_LE(most, 16u) << "3 log4(1000) + 1";
  EXPECT_LE(written, 6 * all) << "log4(1000) + 1";
}

TEST(SeenStore, SortsByIdentity) {
  std::mt19937_64 random(8);
  for (const size_t count : {0u, 1u, 5u, 1000u, 300'000u}) {
    for (const bool hashed : {true, false}) {
      std::vector<SeenEntry> entries;
      for (size_t i = 0; i < count; ++i) {
        entries.push_back(hashed ? Hashed(i, 0) : SeenEntry{7u << 24, 5, static_cast<uint32_t>(random())});
        if (hashed) entries.back().key_high = entries.back().key_high >> 8 | 3u << 24;
      }
      const auto by_key = [](const SeenEntry& a, const SeenEntry& b) { return KeyOf(a) < KeyOf(b); };
      const std::vector<SeenEntry> sorted = SortedByKey(entries);
      EXPECT_TRUE(std::is_sorted(sorted.begin(), sorted.end(), by_key));
      EXPECT_EQ(SumOf(sorted), SumOf(entries));
    }
  }
}

TEST(SeenSum, DoesNotDependOnOrderAndShowsWhatChanged) {
  const std::vector<SeenEntry> entries = {Hashed(1, 1), Hashed(2, 2), Hashed(3, 3)};
  std::vector<SeenEntry> other = {entries[2], entries[0], entries[1]};
  EXPECT_EQ(SumOf(other), SumOf(entries));
  std::swap(other[0].content_high, other[1].content_high);
  EXPECT_NE(SumOf(other), SumOf(entries)) << "contents that changed places";
  EXPECT_NE(SumOf(std::span(entries).first(2)), SumOf(entries));
}

// Damage of the files of a book that has spilled: every flipped byte that lives is found by opening or by the check.
class SeenDamage : public testing::Test {
 protected:
  void SetUp() override {
    {
      std::mt19937_64 random(9);
      Twin twin(scratch_.path(), 200'000);
      uint64_t next = 0;
      for (int epoch = 0; epoch < 12; ++epoch) twin.Absorb(Events(&next, 5000, &random));
      twin.ExpectSound();
      ASSERT_GT(twin.spills(), 0u);
      ASSERT_GT(twin.hot(), 0u);
    }
    if (testing::Test::HasFatalFailure()) return;
    // One more epoch, of which nothing is spilled: all of its part of the log lives.
    Twin more(scratch_.path(), 1 << 30);
    log_dead_bytes_ = fs::file_size(scratch_.path() + "/seen/1.log");
    std::vector<SeenEntry> events;
    for (uint64_t event = 0; event < 3000; ++event) events.push_back(Hashed(1'000'000 + event, 1));
    more.Absorb(events);
  }
  // Also when it is opened for absorbing.
  template <typename Damage>
  bool Found(const Damage& damage) {
    const ScratchDirectory copy;
    fs::copy(scratch_.path(), copy.path(), fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    damage(copy.path() + "/seen");
    BookOptions options;
    options.directory = copy.path();
    const absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(options);
    if (!book.ok()) return absl::IsDataLoss(book.status());
    bool sound = true;
    for (const Book::Check& check : (*book)->CheckStore()) sound = sound && check.holds;
    return !sound;
  }
  const ScratchDirectory scratch_;
  size_t log_dead_bytes_ = 0;  // before them parts of epochs may lie that are in runs by now
};

TEST_F(SeenDamage, ACopyIsWhole) {
  EXPECT_FALSE(Found([](const std::string&) {}));
}

TEST_F(SeenDamage, AFlippedByteIsFound) {
  int alive = 0;
  for (const char* name : {"/1.log", "/1.run"}) {
    const std::string bytes = ReadFile(scratch_.path() + "/seen" + name);
    std::mt19937_64 random(10);
    for (int tries = 0, flipped = 0; tries < 100'000 && flipped < 20; ++tries) {
      const size_t at = random() % bytes.size();
      if (name == std::string("/1.log") && at < log_dead_bytes_) continue;
      if (bytes[at] == 0) continue;  // may lie in a hole or behind a stretch, where nothing lives
      ++flipped;
      ++alive;
      EXPECT_TRUE(Found([&](const std::string& seen) {
        std::string damaged = bytes;
        damaged[at] ^= 0x10;
        WriteFile(seen + name, damaged);
      })) << name
          << " at " << at;
    }
  }
  EXPECT_EQ(alive, 40);
}

TEST_F(SeenDamage, LostAndCutFilesAreFound) {
  for (const char* name : {"/1.log", "/1.run"}) {
    EXPECT_TRUE(Found([&](const std::string& seen) { fs::remove(seen + name); })) << name;
    EXPECT_TRUE(Found([&](const std::string& seen) { fs::resize_file(seen + name, 4096); })) << name;
  }
  EXPECT_TRUE(Found([](const std::string& seen) { fs::remove_all(seen); }));
}

TEST_F(SeenDamage, RecordsThatNoCommitWroteAreFound) {
  const auto with = [&](const auto& change) {
    return Found([&](const std::string& seen) {
      const absl::StatusOr<std::unique_ptr<Store>> store =
          Store::Open(fs::path(seen).parent_path(), StoreAccess::kWhole);
      ASSERT_TRUE(store.ok());
      std::vector<std::pair<std::string, std::string>> all;
      ASSERT_TRUE((*store)
                      ->Scan(Family::kSeen, "",
                             [&](std::string_view key, std::string_view value) {
                               all.emplace_back(key, value);
                               return absl::OkStatus();
                             })
                      .ok());
      std::unique_ptr<StoreWrite> write = (*store)->NewWrite(0);
      change(all, write.get());
      ASSERT_TRUE((*store)->Write(std::move(write)).ok());
    });
  };
  using Keys = std::vector<std::pair<std::string, std::string>>;
  for (const std::string prefix : {"log/", "run/", "floors"}) {
    const auto first = [&](const Keys& all) {
      return std::find_if(all.begin(), all.end(), [&](const auto& key) { return key.first.starts_with(prefix); });
    };
    EXPECT_TRUE(with([&](const Keys& all, StoreWrite* write) { write->Delete(Family::kSeen, first(all)->first); }))
        << prefix << " is lost";
    EXPECT_TRUE(with([&](const Keys& all, StoreWrite* write) { write->Put(Family::kSeen, first(all)->first, "x"); }))
        << prefix << " is no record";
  }
  EXPECT_TRUE(with([&](const Keys&, StoreWrite* write) { write->Put(Family::kSeen, "other", "x"); }));
}

}  // namespace
}  // namespace tollbook
