#include "ledger/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ledger/backup_list.h"
#include "ledger/book_cut.h"
#include "tests/ledger/damage.h"
#include "tests/ledger/scratch_directory.h"

namespace tollbook {
namespace {

namespace fs = std::filesystem;

BackupList SomeList() {
  BackupList list;
  list.book = "demo book";
  list.seed = "00ff";
  list.store = "s-1";
  list.sequence = 3;
  list.hash[0] = 0xab;
  list.made_at_nanos = -5;
  list.pieces = {{Sha256("a"), 0, 1, true, "store/000012.sst"}, {Sha256("b"), 4 << 20, 1, false, "seen/1.log"}};
  return list;
}

TEST(BackupList, ComesBack) {
  const absl::StatusOr<BackupList> list = DecodeBackupList(Encode(SomeList()), "1.backup");
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(Encode(*list), Encode(SomeList()));
  EXPECT_EQ(list->book, "demo book");
  EXPECT_EQ(list->pieces.at(1).offset, uint64_t{4} << 20);
}

TEST(BackupList, DamageIsRefused) {
  TryDamage(Encode(SomeList()), [](std::string_view bytes) { return DecodeBackupList(bytes, "1.backup").ok(); });
}

TEST(BackupList, NamesNothingOutsideOfTheBook) {
  for (const char* file : {"/etc/passwd", "../other", "seen/../../other", ""}) {
    BackupList list = SomeList();
    list.pieces[0].file = file;
    EXPECT_TRUE(absl::IsDataLoss(DecodeBackupList(Encode(list), "1.backup").status())) << file;
  }
}

// Commits go on while the files of a cut are copied; the copy is the book as it was when it was cut.
TEST(BookCut, CommitsGoOnBesideIt) {
  const ScratchDirectory scratch;
  BookOptions options;
  options.directory = scratch.path() + "/book";
  options.create = true;
  options.identity = {kFormatVersion, "demo", "UTC", {1, 2}};
  const absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(options);
  ASSERT_TRUE(book.ok()) << book.status();
  std::vector<SeenShard> shards(kSeenShards);
  // A thousand events of shard 7; with `spill` all that it has in memory goes into a run, and the log is given back.
  const auto commit = [&](uint32_t n, bool spill) {
    std::vector<SeenEntry> entries;
    for (uint32_t i = 0; i < 1000; ++i) entries.push_back({7u << 24 | n, i, n, i, n});
    EpochCommit epoch;
    epoch.delta = {1000, 1000, 0, 0, 0, 0};
    epoch.totals = {{5, std::string(5000, static_cast<char>('a' + n))}};
    for (const SeenEntry& entry : entries) (void)shards[7].mutable_hot()->Insert(entry);
    if (spill)
      epoch.spills = {{7, &shards[7]}};
    else
      epoch.seen = {{7, entries}};
    ASSERT_TRUE((*book)->CommitEpoch(epoch).ok());
    if (!spill) shards[7].MarkCommitted();
  };
  commit(1, false);
  commit(2, false);
  {
    const absl::StatusOr<std::unique_ptr<BookCut>> cut = TakeCut(**book);
    ASSERT_TRUE(cut.ok()) << cut.status();
    for (uint32_t n = 3; n < 8; ++n) commit(n, n % 2 == 0);
    for (const CutFile& file : (*cut)->files) {
      const std::string target = scratch.path() + "/copy/" + file.name;
      fs::create_directories(fs::path(target).parent_path());
      const std::string bytes =
          file.contents.empty() ? ReadFile(options.directory + "/" + file.name).substr(0, file.bytes) : file.contents;
      EXPECT_EQ(bytes.size(), file.bytes) << file.name;
      WriteFile(target, bytes);
    }
  }
  commit(8, true);
  for (const Book::Check& check : (*book)->CheckStore()) EXPECT_TRUE(check.holds) << check.name << ": " << check.detail;
  options.directory = scratch.path() + "/copy";
  options.create = false;
  const absl::StatusOr<std::unique_ptr<Book>> copy = Book::Open(options);
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ((*copy)->last_sequence(), 2u);
  for (const Book::Check& check : (*copy)->CheckStore()) EXPECT_TRUE(check.holds) << check.name << ": " << check.detail;
}

}  // namespace
}  // namespace tollbook
