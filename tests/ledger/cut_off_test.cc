// Forgetting dedup keys: what is refused by its date need not be remembered, and whatever else is asked is answered as
// if nothing had been forgotten.
#include "ledger/cut_off.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>

#include "ledger/anchor.h"
#include "ledger/bytes.h"
#include "ledger/decision.h"
#include "ledger/store.h"
#include "tests/ledger/damage.h"
#include "tests/ledger/scratch_directory.h"
#include "tests/ledger/seen_book.h"

namespace tollbook {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

using Item = SeenBook::Item;

// The event with this number: its identity, and the day of its usage, a thousand events a day and some of them late.
Item Event(uint64_t number, uint64_t content = 0) {
  std::mt19937_64 random(number);
  const uint64_t high = random();
  const SeenEntry entry = {static_cast<uint32_t>(high >> 32), static_cast<uint32_t>(high),
                           static_cast<uint32_t>(random()), static_cast<uint32_t>(content), 7};
  const auto late = random() % 20 == 0 ? static_cast<int32_t>(random() % 4) : 0;
  return {entry, {static_cast<int32_t>(number / 1000) - late}};
}

// A book that forgets, and a map that does not. Both refuse what is dated before the cut-off.
class ForgettingBook : public SeenBook {
 public:
  explicit ForgettingBook(std::string directory, uint64_t memory_bytes = 1 << 30, int span_days = 5)
      : SeenBook(directory), directory_(std::move(directory)), budget_(memory_bytes), span_days_(span_days) {
    Open();
  }

  void Open() {
    SeenBook::Open(budget_, span_days_);
    cut_off_ = *CutOffOf(book());
  }

  void Absorb(const std::vector<Item>& events) {
    EpochCommit epoch;
    epoch.seen_span_days = span_days_;
    std::vector<Item> asked;
    for (const Item& event : events) {
      if (event.date < cut_off_) {
        ++epoch.delta.lines;
        ++epoch.delta.rejected;
      } else {
        asked.push_back(event);
      }
    }
    SeenBook::Absorb(asked, budget_, std::move(epoch));
  }
  void Absorb(uint64_t first, uint64_t end) {
    std::vector<Item> events;
    for (uint64_t number = first; number < end; ++number) events.push_back(Event(number));
    Absorb(events);
  }

  absl::StatusOr<ForgetReport> TryForgetting(Day before) {
    OpenBook();
    return ForgetKeys(book(), {before, "Ann", "three years are over", ""});
  }
  ForgetReport Forget(Day before) {
    const absl::StatusOr<ForgetReport> report = TryForgetting(before);
    EXPECT_TRUE(report.ok()) << report.status();
    Open();
    return report.value_or(ForgetReport());
  }

  void ExpectSound() const {
    for (const Book::Check& check : book().CheckStore()) EXPECT_TRUE(check.holds) << check.name << ": " << check.detail;
    uint64_t forgotten = 0, kept = 0;
    const absl::StatusOr<std::vector<CutOff>> cut_offs = CutOffs(book());
    ASSERT_TRUE(cut_offs.ok()) << cut_offs.status();
    for (const CutOff& cut_off : *cut_offs) forgotten += cut_off.forgotten.entries;
    for (const auto& [date, of_date] : KeptKeys(book())) kept += of_date.entries;
    EXPECT_EQ(kept + forgotten, events());
    EXPECT_EQ(book().counts().accepted, events());
  }

  uint64_t Kept() const {
    uint64_t keys = 0;
    for (const auto& [date, of_date] : KeptKeys(book())) keys += of_date.entries;
    return keys;
  }
  // What the disk has given to the seen files.
  uint64_t DiskBytes() const {
    uint64_t bytes = 0;
    for (const auto& entry : fs::directory_iterator(directory_ + "/seen")) {
      struct stat facts = {};
      EXPECT_EQ(stat(entry.path().c_str(), &facts), 0);
      bytes += static_cast<uint64_t>(facts.st_blocks) * 512;
    }
    return bytes;
  }
  Day cut_off() const { return cut_off_; }

 private:
  const std::string directory_;
  const SeenBudget budget_;
  const int span_days_;
  Day cut_off_ = kNoUsage;
};

// The same in all ways that keys lie: in the log, in runs, in both, and through any order of absorbing, forgetting,
// opening and absorbing again what came before.
class CutOffTest : public testing::TestWithParam<uint64_t> {};

TEST_P(CutOffTest, NothingIsCountedTwiceInAnyOrder) {
  const ScratchDirectory scratch;
  std::mt19937_64 random(GetParam());
  ForgettingBook book(scratch.path() + "/book", GetParam());
  uint64_t next = 0;
  size_t forgettings = 0;
  for (int round = 0; round < 60 && !testing::Test::HasFatalFailure(); ++round) {
    std::vector<Item> events;
    for (uint64_t i = 1 + random() % 4000; i > 0; --i) {
      const bool again = next > 0 && random() % 3 == 0;
      events.push_back(again ? Event(random() % next, random() % 8 == 0) : Event(next++));
    }
    book.Absorb(events);
    if (random() % 6 == 0) book.Open();
    if (random() % 5 != 0) continue;
    const Day today{static_cast<int32_t>(next / 1000)};
    forgettings += book.Forget({today.number - static_cast<int32_t>(random() % 40)}).keys > 0;
  }
  book.ExpectSound();
  book.Open();
  book.ExpectSound();
  EXPECT_GT(forgettings, 1u);
  book.Forget({static_cast<int32_t>(next / 1000) + 1});
  EXPECT_EQ(book.Kept(), 0u) << "in the end all is old";
  book.Absorb(0, next);
  EXPECT_EQ(book.Kept(), 0u) << "and all is refused";
  book.ExpectSound();
}
INSTANTIATE_TEST_SUITE_P(Memory, CutOffTest, testing::Values(uint64_t{1} << 30, 400'000, 100'000));

TEST(CutOff, ABookIsNotToldToForgetUnlessSomebodySaysSo) {
  const ScratchDirectory scratch;
  ForgettingBook book(scratch.path() + "/book");
  book.Absorb(0, 5000);
  EXPECT_EQ(book.cut_off(), kNoUsage);
  EXPECT_TRUE(CutOffs(book.book())->empty());
}

TEST(CutOff, TheDayAndWhatWentAreOneCommitBySomebody) {
  const ScratchDirectory scratch;
  ForgettingBook book(scratch.path() + "/book");
  for (uint64_t day = 0; day < 20; ++day) book.Absorb(day * 1000, day * 1000 + 1000);
  const uint64_t commits = book.book().last_sequence();
  const Anchor anchor = *AnchorOf(book.book());
  const ForgetReport report = book.Forget({10});
  EXPECT_EQ(report.keys, 10'000u);
  EXPECT_EQ(report.before, Day{10});
  EXPECT_EQ(book.book().last_sequence(), commits + 1);
  const absl::StatusOr<std::vector<DecisionCommit>> decisions = Decisions(book.book());
  ASSERT_TRUE(decisions.ok() && decisions->size() == 1) << decisions.status();
  EXPECT_EQ(decisions->front().sequence, commits + 1);
  EXPECT_THAT(decisions->front().decisions,
              ElementsAre(Decision{DecisionKind::kPurge, "dedup keys", "Ann", "three years are over",
                                   "10000 keys, " + std::to_string(report.bytes) + " bytes",
                                   "forgotten, and usage before 1970-01-11 is refused"}));
  EXPECT_EQ(*AnchorOf(book.book(), anchor.sequence), anchor) << "what was anchored before can be checked as ever";
  book.ExpectSound();

  EXPECT_EQ(book.Forget({10}).keys, 0u);
  EXPECT_EQ(book.Forget({3}).before, Day{10}) << "it never becomes an earlier day";
  EXPECT_EQ(book.book().last_sequence(), commits + 1) << "nothing to do is no commit";
}

TEST(CutOff, TheDiskHasTheSpaceBack) {
  for (const uint64_t memory : {uint64_t{1} << 30, uint64_t{400'000}}) {
    const ScratchDirectory scratch;
    ForgettingBook book(scratch.path() + "/book", memory);
    for (uint64_t day = 0; day < 60; ++day) book.Absorb(day * 1000, day * 1000 + 1000);
    const uint64_t before = book.DiskBytes();
    const ForgetReport report = book.Forget({40});
    EXPECT_GT(report.keys, 25'000u) << "what lies with a later key stays, and a shard spills after a dozen days";
    EXPECT_LT(static_cast<double>(book.DiskBytes()),
              static_cast<double>(before) - 0.9 * static_cast<double>(report.bytes));
    book.ExpectSound();
  }
}

TEST(CutOff, RunsOfAnotherSpanAreNotMergedAndStayFew) {
  const ScratchDirectory scratch;
  ForgettingBook book(scratch.path() + "/book", 100'000);
  for (uint64_t day = 0; day < 100; ++day) book.Absorb(day * 1000, day * 1000 + 1000);
  EXPECT_LE(book.runs_max(), 20u + 4u) << "one for each span of five days that is over, and those of this one";
  EXPECT_GT(book.Forget({50}).keys, 40'000u);
  EXPECT_LE(book.runs_max(), 12u + 4u);
  book.ExpectSound();
}

// As a book of before the dates has it, and one whose shards were filled by somebody who gives none.
TEST(CutOff, KeysWithoutADateAreNeverForgotten) {
  const ScratchDirectory scratch;
  ForgettingBook book(scratch.path() + "/book");
  EpochCommit epoch;
  std::vector<SeenEntry> entries = {Event(1).entry};
  const int shard = SeenShardOf(entries[0]);
  epoch.delta.lines = epoch.delta.accepted = 1;
  epoch.seen.push_back({shard, entries});
  ASSERT_TRUE(book.book().CommitEpoch(epoch).ok());
  EXPECT_EQ(book.Forget({100'000}).keys, 0u);
  SeenShard spilled;
  ASSERT_TRUE(book.book().LoadSeen(shard, &spilled).ok());
  EpochCommit spill;
  spill.spills.emplace_back(shard, &spilled);
  ASSERT_TRUE(book.book().CommitEpoch(spill).ok());
  EXPECT_EQ(spilled.runs().at(0)->record().latest, kLatestUnknown);
  EXPECT_EQ(book.Forget({100'000}).keys, 0u);
  EXPECT_EQ(book.cut_off(), kNoUsage) << "so nothing is refused either";
  for (const Book::Check& check : book.book().CheckStore()) EXPECT_TRUE(check.holds) << check.detail;
}

// Once all of the log is in a run, and once none.
TEST(CutOff, DamageIsNotForgotten) {
  for (const uint64_t memory : {uint64_t{1} << 30, uint64_t{1}}) {
    const ScratchDirectory scratch;
    ForgettingBook book(scratch.path() + "/book", memory);
    book.Absorb(0, 5000);
    book.Close();
    const std::string file = scratch.path() + "/book/seen/1." + (memory == 1 ? "run" : "log");
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(100);
    bytes.put('x');
    bytes.close();
    const absl::Status status = book.TryForgetting({100}).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(Std(status.message())), HasSubstr(file));
    EXPECT_TRUE(CutOffs(book.book())->empty());
    EXPECT_EQ(book.Kept(), 5000u);
  }
}

// A crash before the commit leaves the book as it was. One after it, and before the space is given back, leaves files
// that nothing refers to.
TEST(CutOff, ACrashOnEitherSideOfTheCommitLosesNothing) {
  for (const uint64_t memory : {uint64_t{1} << 30, uint64_t{100'000}}) {
    const ScratchDirectory scratch;
    const std::string directory = scratch.path() + "/book", seen = scratch.path() + "/seen";
    ForgettingBook book(directory, memory);
    for (uint64_t day = 0; day < 20; ++day) book.Absorb(day * 1000, day * 1000 + 1000);
    book.Close();
    fs::copy(directory + "/seen", seen, fs::copy_options::recursive);
    ASSERT_GT(book.Forget({30}).keys, 0u);
    const uint64_t given_back = book.DiskBytes();
    book.Close();
    fs::remove_all(directory + "/seen");
    fs::copy(seen, directory + "/seen", fs::copy_options::recursive);
    book.Open();
    ASSERT_GT(book.DiskBytes(), given_back);
    book.ExpectSound();
    EXPECT_EQ(book.Kept(), 0u);
    EXPECT_EQ(book.Forget({30}).keys, 0u);
    EXPECT_LE(book.DiskBytes(), given_back) << "though there was nothing to forget any more";
    book.Absorb(0, 20'000);
    book.Absorb(30'000, 33'000);
    book.ExpectSound();
  }
}

// Who takes the record out, or says that more was forgotten or of another day, is found out.
TEST(CutOff, TheRecordIsInTheChain) {
  const ScratchDirectory scratch;
  const std::string directory = scratch.path() + "/book";
  ForgettingBook book(directory);
  book.Absorb(0, 5000);
  book.Absorb(9000, 9100);
  ASSERT_EQ(book.Forget({6}).keys, 5000u);
  const CutOff right = CutOffs(book.book())->front();
  CutOff later = right, more = right;
  later.before = {7};
  more.forgotten.entries += 1;
  for (const std::optional<CutOff>& instead :
       {std::optional(right), std::optional(later), std::optional(more), std::optional<CutOff>()}) {
    book.Close();
    {
      const absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory, StoreAccess::kWhole);
      ASSERT_TRUE(store.ok()) << store.status();
      std::unique_ptr<StoreWrite> write = (*store)->NewWrite(0);
      ByteWriter key;
      key.Raw("cut_off/");
      key.Fixed64(right.sequence);
      if (instead) {
        write->Put(Family::kDefault, key.bytes(), Encode(*instead));
      } else {
        write->Delete(Family::kDefault, key.bytes());
      }
      ASSERT_TRUE((*store)->Write(std::move(write)).ok());
    }
    book.OpenBook();
    const std::vector<Book::Check> checks = book.book().CheckStore();
    const bool all_hold = std::ranges::all_of(checks, &Book::Check::holds);
    EXPECT_EQ(all_hold, instead == right);
  }
}

// Only what waits for an event may wait for a forgotten one.
TEST(CutOff, WhatNamesAnEventThatMayBeForgottenIsToldSo) {
  for (int i = 0; i < kReasons; ++i) {
    const auto reason = static_cast<Reason>(i);
    EXPECT_EQ(RemedyOf(reason, kNoUsage), RemedyOf(reason));
    EXPECT_EQ(RemedyOf(reason, Day{20'120}) != RemedyOf(reason), reason == Reason::kUnknownOriginal);
  }
  EXPECT_THAT(RemedyOf(Reason::kUnknownOriginal, Day{20'120}), HasSubstr("dated before 2025-02-01 is forgotten"));
}

TEST(CutOff, TheRecordIsReadAsItWasWritten) {
  const CutOff cut_off{7, {20'089}, {3, static_cast<Uint128>(1) << 100 | 9}};
  const std::string bytes = Encode(cut_off);
  EXPECT_EQ(*DecodeCutOff(bytes), cut_off);
  TryDamage(bytes, [](std::string_view stored) { return DecodeCutOff(stored).ok(); });
}

}  // namespace
}  // namespace tollbook
