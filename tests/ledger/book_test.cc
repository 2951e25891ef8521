#include "ledger/book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>

#include "ledger/bytes.h"
#include "ledger/high_water.h"
#include "ledger/store.h"
#include "tests/ledger/scratch_directory.h"

namespace tollbook {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

BookOptions Options(const std::string& directory) {
  BookOptions options;
  options.directory = directory;
  options.create = true;
  options.identity = {kFormatVersion, "demo", "UTC", {1, 2}};
  options.holder = "pid 1 (the first)";
  return options;
}

absl::StatusOr<std::unique_ptr<Book>> Reopen(const std::string& directory) {
  BookOptions options;
  options.directory = directory;
  return Book::Open(options);
}

// Epoch n accepts n events in shards 0 and n, large enough for the store to keep them in files of their own.
struct Epoch {
  explicit Epoch(uint32_t n) {
    for (uint32_t i = 0; i < 100 * n; ++i) entries.push_back({n << 24, i, n, i, n});
    first.assign(50, {0, n, n, n, n});
    commit.delta = {n, n, 0, 0, 0, 0};
    commit.covered = {{1, 100 * (n - 1), 100 * n, n, n + 1}};
    commit.seen = {{static_cast<int>(n), entries}, {0, first}};
    commit.totals = {{5, "totals of " + std::to_string(n) + std::string(600, 't')}, {2, "more"}};
    commit.exceptions = {{true, "held by " + std::to_string(n)}, {false, "rejected by " + std::to_string(n)}};
    SourceRecord source;
    source.id = 1;
    source.offset = 100 * n;
    commit.sources = {source};
  }
  std::vector<SeenEntry> entries, first;
  EpochCommit commit;
};

absl::Status CommitEpochs(Book* book, uint32_t first, uint32_t last) {
  for (uint32_t n = first; n <= last; ++n) TOLLBOOK_RETURN_IF_ERROR(book->CommitEpoch(Epoch(n).commit));
  return absl::OkStatus();
}

SealCommit SealOf(uint64_t number, std::string_view entity) {
  SealCommit seal;
  seal.record.number = number;
  seal.record.catalog_digest = "digest";
  seal.record.differences = 1;
  seal.catalog_files = {{"book.yaml", "name: demo\n"}};
  const LineKey key{std::string(entity), *Currency::FromCode("USD"), "2025-01", {20'113}, "api", "1200", "4000", ""};
  seal.batches = Summarise({{key, {1234, 1}}}, "demo", number).batches;
  seal.differences = {{9, "differences of seal " + std::to_string(number)}};
  return seal;
}

bool Sound(const Book& book) {
  const std::vector<Book::Check> checks = book.CheckStore();
  return std::all_of(checks.begin(), checks.end(), [](const Book::Check& check) { return check.holds; });
}

std::vector<std::string> HeldIn(const Book& book) {
  std::vector<std::string> held;
  EXPECT_TRUE(book.ForEachExceptions([&](const StoredExceptions& chunk) {
                    if (chunk.held) held.push_back(chunk.bytes);
                    return absl::OkStatus();
                  })
                  .ok());
  return held;
}

class BookTest : public testing::Test {
 protected:
  std::unique_ptr<Book> Make() {
    absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(Options(path()));
    EXPECT_TRUE(book.ok()) << book.status();
    return book.ok() ? *std::move(book) : nullptr;
  }
  const std::string& path() const { return directory_.path(); }
  ScratchDirectory directory_;
};

TEST_F(BookTest, KeepsWhatItIs) {
  EXPECT_EQ(Make()->last_sequence(), 0u);
  const absl::StatusOr<std::unique_ptr<Book>> book = Reopen(path());
  ASSERT_TRUE(book.ok()) << book.status();
  EXPECT_EQ((*book)->identity().name, "demo");
  EXPECT_EQ((*book)->identity().zone, "UTC");
  EXPECT_EQ((*book)->identity().seed, (std::array<uint64_t, 2>{1, 2}));
  EXPECT_TRUE(Sound(**book));
}

uint64_t LogBytesIn(const std::string& directory) {
  uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(directory + "/store")) {
    if (entry.path().extension() == ".log") bytes += entry.file_size();
  }
  return bytes;
}

// What stands in RocksDB's log is not packed, and would stay there until the next command.
TEST_F(BookTest, ClosesWithLittleInItsLog) {
  std::unique_ptr<Book> book = Make();
  Epoch epoch(1);
  epoch.commit.totals[0].bytes.assign(6 << 20, 't');
  ASSERT_TRUE(book->CommitEpoch(epoch.commit).ok());
  EXPECT_GT(LogBytesIn(path()), 6u << 20);
  book.reset();
  EXPECT_EQ(LogBytesIn(path()), 0u);
  const absl::StatusOr<std::unique_ptr<Book>> again = Reopen(path());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->Totals(5)->at(0).bytes, epoch.commit.totals[0].bytes);
  EXPECT_TRUE(Sound(**again));
}

size_t LogsIn(const std::string& directory) {
  size_t logs = 0;
  for (const auto& entry : fs::directory_iterator(directory + "/store")) logs += entry.path().extension() == ".log";
  return logs;
}

// A book that is looked at every minute is no heap of empty files, and damage is not laid at their door.
TEST_F(BookTest, LookingAtItLeavesNoLogs) {
  ASSERT_TRUE(CommitEpochs(Make().get(), 1, 2).ok());
  ASSERT_TRUE(Reopen(path()).ok());
  const size_t logs = LogsIn(path());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Reopen(path()).ok());
  EXPECT_LE(LogsIn(path()), logs);
  EXPECT_LE(logs, 1u);
  const absl::StatusOr<std::unique_ptr<Book>> book = Reopen(path());
  ASSERT_TRUE(book.ok()) << book.status();
  EXPECT_EQ((*book)->last_sequence(), 2u);
  EXPECT_TRUE(Sound(**book));
}

// The store has customers and amounts in it, and RocksDB's files are for everybody to read.
TEST_F(BookTest, NobodyElseGetsIntoItsStore) {
  const auto may = [&] { return fs::status(path() + "/store").permissions(); };
  (void)Make();
  EXPECT_EQ(may() & fs::perms::others_all, fs::perms::none);
  EXPECT_NE(may() & fs::perms::owner_write, fs::perms::none);
  // Of an earlier program.
  fs::permissions(path() + "/store", fs::perms::group_all | fs::perms::others_read | fs::perms::others_exec,
                  fs::perm_options::add);
  ASSERT_TRUE(Reopen(path()).ok());
  EXPECT_EQ(may() & fs::perms::others_all, fs::perms::none);
  EXPECT_EQ(may() & fs::perms::group_all, fs::perms::group_all) << "whom its owner lets in, it lets in";
}

TEST_F(BookTest, KeepsEpochs) {
  ASSERT_TRUE(CommitEpochs(Make().get(), 1, 3).ok());
  const absl::StatusOr<std::unique_ptr<Book>> book = Reopen(path());
  ASSERT_TRUE(book.ok()) << book.status();
  EXPECT_EQ((*book)->last_sequence(), 3u);
  EXPECT_EQ((*book)->counts(), (LineCounts{6, 6, 0, 0, 0, 0}));
  const std::vector<CommitRecord> commits = *(*book)->Commits();
  ASSERT_EQ(commits.size(), 3u);
  EXPECT_EQ(commits[2].previous, commits[1].hash);
  EXPECT_EQ(commits[2].covered.at(0).end_offset, 300u);
  EXPECT_EQ((*book)->Sources()->at(0).offset, 300u);
  EXPECT_EQ((*book)->Totals(5)->size(), 3u);
  EXPECT_EQ((*book)->Totals(5, 2)->size(), 2u) << "as commit 2 left them";
  EXPECT_EQ((*book)->Totals(2)->at(0).bytes, "more");
  EXPECT_TRUE((*book)->Totals(3)->empty());
  SeenSet seen;
  ASSERT_TRUE((*book)->LoadSeen(2, &seen).ok());
  EXPECT_EQ(seen.size(), 200u);
  EXPECT_TRUE(seen.uncommitted().empty());
  EXPECT_EQ(seen.Insert(Epoch(2).entries[7]), Seen::kDuplicate);
  EXPECT_TRUE(Sound(**book));
}

TEST_F(BookTest, KeepsSeals) {
  {
    const std::unique_ptr<Book> book = Make();
    ASSERT_TRUE(CommitEpochs(book.get(), 1, 1).ok());
    EXPECT_EQ(book->next_seal(), 1u);
    ASSERT_TRUE(book->CommitSeal(SealOf(1, "acme")).ok());
    ASSERT_TRUE(book->CommitSeal(SealOf(2, "acme-AAA")).ok());
    ASSERT_TRUE(book->CommitSeal(SealOf(3, "acme")).ok());
  }
  const absl::StatusOr<std::unique_ptr<Book>> book = Reopen(path());
  ASSERT_TRUE(book.ok()) << book.status();
  EXPECT_EQ((*book)->next_seal(), 4u);
  const std::vector<SealRecord> seals = *(*book)->Seals();
  ASSERT_EQ(seals.size(), 3u);
  EXPECT_EQ(seals[0].sequence, 2u);
  EXPECT_EQ(seals[0].batches, std::vector<std::string>{"acme-USD-2025-01-0001"});
  std::vector<std::string> ids;
  const std::vector<JournalBatch> batches = *(*book)->Batches();
  for (const JournalBatch& batch : batches) ids.push_back(batch.id);
  EXPECT_EQ(ids,
            (std::vector<std::string>{"acme-USD-2025-01-0001", "acme-USD-2025-01-0003", "acme-AAA-USD-2025-01-0002"}));
  EXPECT_EQ((*book)->Differences(9)->size(), 3u);
  EXPECT_EQ((*book)->Differences(9, 2)->size(), 1u) << "as seal 1 left them";
  EXPECT_EQ((*book)->CatalogFiles("digest")->at("book.yaml"), "name: demo\n");
  EXPECT_TRUE(absl::IsDataLoss((*book)->CatalogFiles("other").status()));
  EXPECT_TRUE(Sound(**book));
}

PeriodChange ChangeOf(std::string_view entity, PeriodState before, PeriodState after) {
  return {0,
          std::string(entity),
          {"2025-01", {20'089}, {20'119}},
          before,
          after,
          "Ann",
          "the month is done",
          {{"held", 2}}};
}

// Each is one commit of the chain; the last one of a period says where the next begins.
TEST_F(BookTest, KeepsWhatWasDecidedAboutPeriods) {
  {
    const std::unique_ptr<Book> book = Make();
    ASSERT_TRUE(book->CommitPeriodChange(ChangeOf("acme", PeriodState::kOpen, PeriodState::kClosed)).ok());
    ASSERT_TRUE(CommitEpochs(book.get(), 1, 1).ok());
    ASSERT_TRUE(book->CommitPeriodChange(ChangeOf("other", PeriodState::kFuture, PeriodState::kOpen)).ok());
    const PeriodChange reopen = ChangeOf("acme", PeriodState::kClosed, PeriodState::kOpen);
    PeriodChange of_other_days = reopen;
    of_other_days.period.last.number += 1;
    EXPECT_TRUE(absl::IsFailedPrecondition(book->CommitPeriodChange(of_other_days)));
    EXPECT_TRUE(absl::IsFailedPrecondition(
        book->CommitPeriodChange(ChangeOf("acme", PeriodState::kOpen, PeriodState::kSoftClosed))));
    ASSERT_TRUE(book->CommitPeriodChange(reopen).ok());
    EXPECT_EQ(book->last_sequence(), 4u);
  }
  const absl::StatusOr<std::unique_ptr<Book>> book = Reopen(path());
  ASSERT_TRUE(book.ok()) << book.status();
  const std::vector<PeriodChange> changes = *(*book)->PeriodChanges();
  ASSERT_EQ(changes.size(), 3u);
  EXPECT_EQ(changes[0].sequence, 1u);
  EXPECT_EQ(changes[0].waived, (std::vector<PeriodWaiver>{{"held", 2}}));
  EXPECT_EQ(changes[1].entity, "other");
  EXPECT_EQ(changes[2].before, PeriodState::kClosed);
  EXPECT_EQ((*book)->PeriodChanges(3)->size(), 2u) << "as the book was after its third commit";
  EXPECT_TRUE(Sound(**book));
}

TEST_F(BookTest, ARetryRetiresWhatWasHeld) {
  const std::unique_ptr<Book> book = Make();
  ASSERT_TRUE(CommitEpochs(book.get(), 1, 2).ok());
  EXPECT_EQ(HeldIn(*book), (std::vector<std::string>{"held by 1", "held by 2"}));
  Epoch retry(3);
  retry.commit.retires_held = true;
  ASSERT_TRUE(book->CommitEpoch(retry.commit).ok());
  EXPECT_EQ(HeldIn(*book), std::vector<std::string>{"held by 3"});
  EXPECT_TRUE(Sound(*book));
}

TEST_F(BookTest, KeepsCorrectionsApartFromWhatElseIsHeld) {
  {
    const std::unique_ptr<Book> book = Make();
    const auto commit = [&](uint32_t n, bool retires, std::string held, std::string applied) {
      Epoch epoch(n);
      epoch.commit.retires_corrections = retires;
      epoch.commit.exceptions.push_back({true, std::move(held), true});
      epoch.commit.corrections = std::move(applied);
      EXPECT_TRUE(book->CommitEpoch(epoch.commit).ok());
    };
    commit(1, false, "waits since 1", "");
    commit(2, false, "waits since 2", "");
    commit(3, true, "waits still", "applied by 3");
    Epoch retry(4);
    retry.commit.retires_held = true;
    EXPECT_TRUE(book->CommitEpoch(retry.commit).ok());
    commit(5, true, "at last", "applied by 5");
  }
  const absl::StatusOr<std::unique_ptr<Book>> book = Reopen(path());
  ASSERT_TRUE(book.ok()) << book.status();
  std::vector<std::string> waiting, applied;
  const auto into = [](std::vector<std::string>* all) {
    return [all](const StoredExceptions& chunk) {
      all->push_back(std::to_string(chunk.sequence) + ": " + chunk.bytes);
      return absl::OkStatus();
    };
  };
  ASSERT_TRUE((*book)->ForEachHeldCorrections(into(&waiting)).ok());
  ASSERT_TRUE((*book)->ForEachCorrections(into(&applied)).ok());
  EXPECT_EQ(waiting, std::vector<std::string>{"5: at last"});
  EXPECT_EQ(applied, (std::vector<std::string>{"3: applied by 3", "5: applied by 5"}));
  EXPECT_EQ(HeldIn(**book), (std::vector<std::string>{"held by 4", "held by 5", "at last"}));
  EXPECT_TRUE(Sound(**book));
}

TEST_F(BookTest, AMeterStaysAsItWasFirstCounted) {
  const std::unique_ptr<Book> book = Make();
  Epoch epoch(1);
  Meter tokens;
  tokens.name = "tokens";
  epoch.commit.new_meters = {tokens};
  ASSERT_TRUE(book->CommitEpoch(epoch.commit).ok());
  ASSERT_TRUE(book->CommitEpoch(epoch.commit).ok()) << "the same again";
  EXPECT_EQ(*book->Meters(), std::vector<Meter>{tokens});
  epoch.commit.new_meters[0].aggregation = Aggregation::kMax;
  EXPECT_TRUE(absl::IsFailedPrecondition(book->CommitEpoch(epoch.commit)));
  EXPECT_EQ(book->last_sequence(), 2u);
  EXPECT_TRUE(Sound(*book));
}

TEST_F(BookTest, RefusesAnotherNameOrZone) {
  (void)Make();
  BookOptions options = Options(path());
  options.identity.name = "other";
  EXPECT_THAT(std::string(Std(Book::Open(options).status().message())), HasSubstr("the name of a book cannot change"));
  options = Options(path());
  options.identity.zone = "Europe/Berlin";
  const absl::Status zone = Book::Open(options).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(zone));
  EXPECT_THAT(std::string(Std(zone.message())), HasSubstr("has UTC, the catalog says Europe/Berlin"));
}

TEST_F(BookTest, RefusesADirectoryOfOtherThings) {
  WriteFile(path() + "/letter.txt", "dear");
  EXPECT_TRUE(absl::IsFailedPrecondition(Book::Open(Options(path())).status()));
  EXPECT_EQ(std::distance(fs::directory_iterator(path()), fs::directory_iterator()), 1) << "nothing is added";
}

TEST_F(BookTest, WithoutCreateThereMustBeABook) {
  EXPECT_TRUE(absl::IsNotFound(Reopen(path()).status()));
  EXPECT_TRUE(absl::IsNotFound(Reopen(path() + "/no-such").status()));
  EXPECT_FALSE(fs::exists(path() + "/no-such"));
}

TEST_F(BookTest, ASecondOpenIsToldWhoHasIt) {
  const std::unique_ptr<Book> first = Make();
  const absl::Status second = Reopen(path()).status();
  EXPECT_TRUE(absl::IsAborted(second));
  EXPECT_THAT(std::string(Std(second.message())), HasSubstr("pid 1 (the first)"));
}

TEST_F(BookTest, RefusesAnOlderFormat) {
  (void)Make();
  for (uint32_t version = 1; version < kFormatVersionOldest; ++version) {
    WriteFile(path() + "/FORMAT", "tollbook book, format " + std::to_string(version) + "\n");
    const absl::Status older = Reopen(path()).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(older));
    EXPECT_THAT(std::string(Std(older.message())), HasSubstr("has format " + std::to_string(version)));
  }
}

std::string FormatIn(const std::string& directory) {
  std::string line;
  std::ifstream file(directory + "/FORMAT");
  std::getline(file, line);
  return line;
}

// What a program commits, one of the earlier format would call damaged: by the number it knows that it is too old.
TEST_F(BookTest, ABookOfAnEarlierFormatIsOfThisOneFromItsFirstCommitOn) {
  ASSERT_TRUE(CommitEpochs(Make().get(), 1, 1).ok());
  const std::string earlier = "tollbook book, format " + std::to_string(kFormatVersionOldest);
  WriteFile(path() + "/FORMAT", earlier + "\n");
  for (const uint32_t commit : {2u, 3u}) {
    const absl::StatusOr<std::unique_ptr<Book>> book = Reopen(path());
    ASSERT_TRUE(book.ok()) << book.status();
    if (commit == 2) {
      EXPECT_EQ(FormatIn(path()), earlier) << "nothing was committed yet";
    }
    ASSERT_TRUE(CommitEpochs(book->get(), commit, commit).ok());
    EXPECT_EQ(FormatIn(path()), "tollbook book, format " + std::to_string(kFormatVersion));
    EXPECT_TRUE(Sound(**book));
  }
}

TEST_F(BookTest, RefusesANewerFormat) {
  (void)Make();
  const std::string version = std::to_string(kFormatVersion + 1);
  WriteFile(path() + "/FORMAT", "tollbook book, format " + version + "\n");
  const absl::Status newer = Reopen(path()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(newer));
  EXPECT_THAT(std::string(Std(newer.message())), HasSubstr("has format " + version));
  for (const char* damaged : {"", "tollbook book, format \n", "tollbook book, format x\n", "letter\n"}) {
    WriteFile(path() + "/FORMAT", damaged);
    EXPECT_TRUE(absl::IsDataLoss(Reopen(path()).status())) << damaged;
  }
}

// What a crash can leave while a book is made, step by step.
TEST_F(BookTest, AnUnfinishedMakingIsCompleted) {
  const std::vector<std::vector<std::string>> left = {
      {"BOOKLOCK"}, {"BOOKLOCK", "HIGHWATER"}, {"BOOKLOCK", "HIGHWATER", "store"}};
  (void)Make();
  for (const std::vector<std::string>& names : left) {
    SCOPED_TRACE(names.back());
    const ScratchDirectory unfinished;
    for (const std::string& name : names) {
      fs::copy(path() + "/" + name, unfinished.path() + "/" + name, fs::copy_options::recursive);
    }
    WriteFile(unfinished.path() + "/FORMAT.new", "tollb");
    EXPECT_TRUE(absl::IsNotFound(Reopen(unfinished.path()).status()));
    const absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(Options(unfinished.path()));
    ASSERT_TRUE(book.ok()) << book.status();
    EXPECT_TRUE(CommitEpochs(book->get(), 1, 1).ok());
  }
}

TEST(BookDeathTest, WhatIsAcknowledgedSurvivesKill) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // the child is the test program run anew, up to here
  const ScratchDirectory own;
  if (getenv("TOLLBOOK_TEST_BOOK") == nullptr) setenv("TOLLBOOK_TEST_BOOK", own.path().c_str(), 1);
  const std::string path = getenv("TOLLBOOK_TEST_BOOK");
  EXPECT_EXIT(
      {
        const absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(Options(path));
        if (book.ok() && CommitEpochs(book->get(), 1, 7).ok()) raise(SIGKILL);
      },
      testing::KilledBySignal(SIGKILL), "");
  unsetenv("TOLLBOOK_TEST_BOOK");
  const absl::StatusOr<std::unique_ptr<Book>> book = Reopen(path);
  ASSERT_TRUE(book.ok()) << book.status();
  EXPECT_EQ((*book)->last_sequence(), 7u);
  EXPECT_TRUE(Sound(**book));
}

// Damage. Each case starts from a copy of a book of five commits, and what was acknowledged must be all there, or the
// book be refused or found out: never silently less.
class BookDamage : public BookTest {
 protected:
  static constexpr uint64_t kCommits = 5;

  void SetUp() override {
    (void)Make();
    ASSERT_TRUE(CommitEpochs(Make().get(), 1, kCommits).ok());
  }
  // So that all is in table and blob files, and nothing in the log.
  void Flush() { ASSERT_TRUE(Reopen(path()).ok()); }

  // The newest file with this extension.
  static std::string FileOf(const std::string& book, std::string_view extension) {
    std::string newest;
    for (const fs::directory_entry& entry : fs::directory_iterator(book + "/store")) {
      const bool matches =
          entry.path().extension() == extension || entry.path().filename().string().starts_with(extension);
      if (matches && fs::file_size(entry) > 0) newest = std::max(newest, entry.path().string());
    }
    return newest;
  }

  enum class Found { kByOpen, kByCheck, kHarmless, kMissed };
  template <typename Damage>
  Found After(const Damage& damage) {
    const ScratchDirectory copy;
    fs::copy(path(), copy.path(), fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    damage(copy.path());
    const absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(Options(copy.path()));
    if (!book.ok()) {
      status_ = book.status();
      return Found::kByOpen;
    }
    if (!Sound(**book)) return Found::kByCheck;
    return (*book)->last_sequence() >= kCommits ? Found::kHarmless : Found::kMissed;
  }
  absl::Status status_;
};

TEST_F(BookDamage, ACopyIsWhole) {
  EXPECT_EQ(After([](const std::string&) {}), Found::kHarmless);
}

TEST_F(BookDamage, LostFilesAreFoundByOpen) {
  for (const char* name : {"FORMAT", "HIGHWATER", "store", "store/CURRENT"}) {
    EXPECT_EQ(After([&](const std::string& book) { fs::remove_all(book + "/" + name); }), Found::kByOpen) << name;
    EXPECT_TRUE(absl::IsDataLoss(status_)) << name << ": " << status_;
  }
  EXPECT_EQ(After([](const std::string& book) { fs::remove(FileOf(book, ".log")); }), Found::kByOpen) << "the log";
  EXPECT_EQ(After([](const std::string& book) {
              fs::remove(book + "/FORMAT");
              fs::remove(book + "/HIGHWATER");
            }),
            Found::kByOpen);
  Flush();
  EXPECT_EQ(After([](const std::string& book) { fs::remove(FileOf(book, ".sst")); }), Found::kByOpen);
  EXPECT_NE(After([](const std::string& book) { fs::remove(FileOf(book, ".blob")); }), Found::kHarmless);
}

TEST_F(BookDamage, ALogCutAnywhereIsFoundByOpen) {
  const size_t size = fs::file_size(FileOf(path(), ".log"));
  for (size_t cut = 0; cut < size; cut += std::max<size_t>(size / 25, 1)) {
    EXPECT_EQ(After([&](const std::string& book) { fs::resize_file(FileOf(book, ".log"), cut); }), Found::kByOpen)
        << cut << " of " << size;
  }
  EXPECT_EQ(After([&](const std::string& book) { fs::resize_file(FileOf(book, ".log"), size - 1); }), Found::kByOpen);
}

TEST_F(BookDamage, AFlippedByteOfTheLogIsFoundByOpenAndNothingIsChanged) {
  const std::string log = ReadFile(FileOf(path(), ".log"));
  for (size_t at = 0; at < log.size(); at += std::max<size_t>(log.size() / 25, 1)) {
    EXPECT_EQ(After([&](const std::string& book) {
                const std::string file = FileOf(book, ".log");
                std::string bytes = log;
                bytes[at] ^= 0x10;
                WriteFile(file, bytes);
                EXPECT_FALSE(Reopen(book).ok());
                EXPECT_EQ(ReadFile(file), bytes);
              }),
              Found::kByOpen)
        << at << " of " << log.size();
  }
}

TEST_F(BookDamage, ABlockOfZerosInTheLogIsFoundByOpen) {
  const std::string log = ReadFile(FileOf(path(), ".log"));
  for (size_t at = 0; at + 4096 <= log.size(); at += 4096) {
    EXPECT_EQ(After([&](const std::string& book) {
                std::string bytes = log;
                bytes.replace(at, 4096, 4096, '\0');
                WriteFile(FileOf(book, ".log"), bytes);
              }),
              Found::kByOpen)
        << at;
  }
}

TEST_F(BookDamage, ATailThatWasNeverAcknowledgedIsCut) {
  const std::string high_water = ReadFile(path() + "/HIGHWATER");
  const size_t acknowledged = fs::file_size(FileOf(path(), ".log"));
  const std::string log = ReadFile(FileOf(path(), ".log"));
  const auto with_tail = [&](const std::string& tail) {
    return After([&](const std::string& book) { WriteFile(FileOf(book, ".log"), log + tail); });
  };
  ASSERT_GT(acknowledged, 0u);
  EXPECT_EQ(with_tail(log.substr(0, 3)), Found::kHarmless) << "part of a header";
  EXPECT_EQ(with_tail(log.substr(0, 100)), Found::kHarmless) << "part of a record";
  EXPECT_EQ(with_tail(std::string(5000, '\0')), Found::kHarmless) << "zeros";
  EXPECT_EQ(with_tail(std::string(5000, '\x5a')), Found::kHarmless) << "what stood on the disk before";
}

TEST_F(BookDamage, ACompleteTailThatIsDamagedAndWasNeverAcknowledgedIsCut) {
  const std::string log_name = FileOf(path(), ".log").substr(path().size());
  const std::string acknowledged = ReadFile(path() + log_name);
  {
    const ScratchDirectory longer;  // the same commits and one more, in one log
    const absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(Options(longer.path()));
    ASSERT_TRUE(book.ok() && CommitEpochs(book->get(), 1, kCommits + 1).ok());
    const std::string six = ReadFile(FileOf(longer.path(), ".log"));
    ASSERT_GT(six.size(), acknowledged.size());
    ASSERT_EQ(six.substr(0, acknowledged.size()), acknowledged);
    std::string damaged = six;
    damaged[six.size() - 100] ^= 1;
    EXPECT_EQ(After([&](const std::string& copy) { WriteFile(copy + log_name, damaged); }), Found::kHarmless);
    damaged[acknowledged.size() - 100] ^= 1;
    EXPECT_EQ(After([&](const std::string& copy) { WriteFile(copy + log_name, damaged); }), Found::kByOpen);
  }
}

TEST_F(BookDamage, AMarkThatDoesNotFitTheStoreIsFoundByOpen) {
  const auto with_mark = [&](uint64_t sequence, uint64_t of) {
    return After([&](const std::string& book) {
      const std::vector<CommitRecord> commits = *(*Reopen(path()))->Commits();
      ASSERT_TRUE(HighWater::Create(book).ok());
      const HighWaterMark mark{sequence, of == 0 ? Hash256{} : commits.at(of - 1).hash};
      ASSERT_TRUE(HighWater::Open(book)->Raise(mark).ok());
    });
  };
  EXPECT_EQ(with_mark(5, 5), Found::kHarmless);
  EXPECT_EQ(with_mark(4, 4), Found::kHarmless) << "killed before the mark was raised";
  EXPECT_EQ(with_mark(3, 3), Found::kByOpen) << "rolled back";
  EXPECT_EQ(with_mark(0, 0), Found::kByOpen) << "rolled back to the start";
  EXPECT_EQ(with_mark(6, 5), Found::kByOpen) << "ahead of the store";
  EXPECT_EQ(with_mark(5, 4), Found::kByOpen) << "of another book";
}

TEST_F(BookDamage, TheStoreOfAnotherBookIsFoundByOpen) {
  const ScratchDirectory other;
  {
    const absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(Options(other.path()));
    ASSERT_TRUE(book.ok());
    for (uint32_t n = 1; n <= kCommits; ++n) ASSERT_TRUE((*book)->CommitEpoch(Epoch(n + 1).commit).ok());
  }
  EXPECT_EQ(After([&](const std::string& book) {
              fs::remove_all(book + "/store");
              fs::copy(other.path() + "/store", book + "/store", fs::copy_options::recursive);
            }),
            Found::kByOpen);
}

TEST_F(BookDamage, FlippedBytesOfTheStoresFilesAreFound) {
  Flush();
  for (const char* kind : {".sst", ".blob", "MANIFEST"}) {
    const std::string bytes = ReadFile(FileOf(path(), kind));
    ASSERT_FALSE(bytes.empty()) << kind;
    for (int i = 0; i < 12; ++i) {
      const size_t at = bytes.size() * i / 12;
      const Found found = After([&](const std::string& book) {
        std::string damaged = bytes;
        damaged[at] ^= 0x10;
        WriteFile(FileOf(book, kind), damaged);
      });
      EXPECT_NE(found, Found::kMissed) << kind << " at " << at;
    }
  }
}

// What is damaged is named, and no log that has nothing to do with it.
TEST_F(BookDamage, TheFilesThatFindTheOthersAreNamed) {
  for (const std::string name : {"CURRENT", "MANIFEST"}) {
    EXPECT_EQ(After([&](const std::string& book) {
                const std::string file = FileOf(book, name);
                std::string bytes = ReadFile(file);
                bytes[name == "CURRENT" ? bytes.size() - 1 : bytes.size() / 2] ^= 0x10;
                WriteFile(file, bytes);
              }),
              Found::kByOpen);
    EXPECT_THAT(std::string(Std(status_.message())), HasSubstr(name));
    EXPECT_THAT(std::string(Std(status_.message())), Not(HasSubstr(".log")));
  }
}

std::string Be64(uint64_t number) {
  ByteWriter bytes;
  bytes.Fixed64(number);
  return bytes.Take();
}

struct Altered {
  const char* name;
  Family family;
  std::string key, value;
};

// Values that RocksDB holds for good and that are not what a commit wrote.
TEST_F(BookDamage, AValueThatNoCommitWroteIsFoundByCheck) {
  {
    const absl::StatusOr<std::unique_ptr<Book>> book = Reopen(path());
    ASSERT_TRUE(book.ok());
    ASSERT_TRUE((*book)->CommitSeal(SealOf(1, "acme")).ok());
  }
  const std::vector<Altered> rows = {
      {"seen keys of commit 2", Family::kSeen, "\2" + Be64(2), std::string(20, 'x')},
      {"totals of commit 2", Family::kTotals, "\5" + Be64(2), "other"},
      {"totals that commit 2 did not have", Family::kTotals, "\7" + Be64(2), "other"},
      {"exceptions of commit 2", Family::kExceptions, Be64(2) + std::string("\0\0\0\1\0", 5), "other"},
      {"a meter that commit 2 did not bring", Family::kDefault, "meter/", Encode(MeterRecord{2, Meter()})},
      {"what is held", Family::kDefault, "held_floor", Be64(4)},
      {"differences of the seal", Family::kJournal, "difference/\x9" + Be64(6), "other"},
      {"the catalog of the seal", Family::kJournal, "catalog/digest", Encode(std::map<std::string, std::string>())},
      {"the batch of the seal", Family::kJournal, "batch/acme-USD-2025-01-0001", Encode(SealOf(1, "b").batches[0])},
  };
  for (const Altered& row : rows) {
    EXPECT_EQ(After([&](const std::string& book) {
                absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(book, StoreAccess::kWhole);
                ASSERT_TRUE(store.ok());
                std::unique_ptr<StoreWrite> write = (*store)->NewWrite(0);
                write->Put(row.family, row.key, row.value);
                ASSERT_TRUE((*store)->Write(std::move(write)).ok());
              }),
              Found::kByCheck)
        << row.name;
  }
}

TEST_F(BookDamage, ABrokenLinkIsFoundByOpen) {
  CommitRecord third = (*(*Reopen(path()))->Commits())[2];
  ++third.committed_at_nanos;
  EXPECT_EQ(After([&](const std::string& book) {
              absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(book, StoreAccess::kWhole);
              ASSERT_TRUE(store.ok());
              std::unique_ptr<StoreWrite> write = (*store)->NewWrite(0);
              write->Put(Family::kDefault, "commit/" + Be64(3), Encode(third));
              ASSERT_TRUE((*store)->Write(std::move(write)).ok());
            }),
            Found::kByOpen);
}

// Full disks.
TEST_F(BookTest, AFileThatMayNotGrowIsAClearErrorAndNothingIsLost) {
  Epoch large(2);
  large.commit.totals[0].bytes.assign(4 << 20, 'x');
  {
    const std::unique_ptr<Book> book = Make();
    ASSERT_TRUE(CommitEpochs(book.get(), 1, 1).ok());
    signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlimit limit{1 << 20, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const absl::Status full = book->CommitEpoch(large.commit);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_TRUE(absl::IsUnavailable(full)) << full;
    EXPECT_THAT(std::string(Std(full.message())), HasSubstr("run the same command again"));
    EXPECT_TRUE(absl::IsFailedPrecondition(book->CommitEpoch(large.commit))) << "to be opened again first";
  }
  const absl::StatusOr<std::unique_ptr<Book>> book = Reopen(path());
  ASSERT_TRUE(book.ok()) << book.status();
  EXPECT_EQ((*book)->last_sequence(), 1u);
  EXPECT_TRUE((*book)->CommitEpoch(large.commit).ok());
  EXPECT_TRUE(Sound(**book));
}

TEST_F(BookTest, AFullDiskIsAClearErrorAndNothingIsLost) {
  if (mount("tmpfs", path().c_str(), "tmpfs", 0, "size=24m") != 0) GTEST_SKIP() << "may not mount a small disk here";
  const std::string book_path = path() + "/book";
  const std::string filler = path() + "/filler";
  Epoch large(2);
  large.commit.totals[0].bytes.assign(4 << 20, 'x');
  {
    const absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(Options(book_path));
    ASSERT_TRUE(book.ok()) << book.status();
    EXPECT_TRUE(CommitEpochs(book->get(), 1, 1).ok());
    std::ofstream(filler) << std::string(24 << 20, 'x') << std::flush;
    const absl::Status full = (*book)->CommitEpoch(large.commit);
    EXPECT_TRUE(absl::IsUnavailable(full)) << full;
    EXPECT_THAT(std::string(Std(full.message())), HasSubstr("the disk is full"));
  }
  fs::remove(filler);
  {
    const absl::StatusOr<std::unique_ptr<Book>> book = Reopen(book_path);
    EXPECT_TRUE(book.ok()) << book.status();
    if (book.ok()) {
      EXPECT_EQ((*book)->last_sequence(), 1u);
      EXPECT_TRUE((*book)->CommitEpoch(large.commit).ok());
      EXPECT_TRUE(Sound(**book));
    }
  }
  EXPECT_EQ(umount(path().c_str()), 0);
}

}  // namespace
}  // namespace tollbook
