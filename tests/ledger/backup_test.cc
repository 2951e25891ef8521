#include "ledger/backup.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <functional>

#include "ledger/anchor.h"
#include "ledger/backup_list.h"
#include "ledger/book_cut.h"
#include "ledger/bytes.h"
#include "ledger/decision.h"
#include "ledger/store.h"
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

// A book of three commits, and a backup of it.
class RestoreTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::unique_ptr<Book> book = Open(book_);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(book->CommitEpoch({}).ok());
    ASSERT_TRUE(BackUp(*book, backups_, 5).ok());
  }

  static std::unique_ptr<Book> Open(const std::string& directory) {
    BookOptions options;
    options.directory = directory;
    options.create = true;
    options.identity = {kFormatVersion, "demo", "UTC", {1, 2}};
    absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(options);
    EXPECT_TRUE(book.ok()) << book.status();
    return *std::move(book);
  }

  absl::Status Restored(const std::string& directory) const {
    RestoreOptions options;
    options.backups = backups_;
    options.directory = directory;
    options.holder = "a test";
    options.now_nanos = 77;
    options.by = "ann";
    return Restore(options).status();
  }

  static std::string WhatIsWrong(const Book& book) {
    std::string wrong;
    for (const Book::Check& check : book.CheckStore()) {
      if (!check.holds) wrong += check.name + ": " + check.detail + "\n";
    }
    return wrong;
  }

  const ScratchDirectory scratch_;
  const std::string book_ = scratch_.path() + "/book", backups_ = scratch_.path() + "/backups";
  const std::string target_ = scratch_.path() + "/restored", unfinished_ = target_ + ".restoring";
};

TEST_F(RestoreTest, RemovesWhatAnInterruptedOneLeftAndNothingElseOfThatName) {
  fs::create_directories(unfinished_ + "/store");
  WriteFile(unfinished_ + "/store/letter", "dear");
  const absl::Status refused = Restored(target_);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(Std(refused.message())),
              testing::AllOf(testing::HasSubstr(unfinished_), testing::HasSubstr("no RESTORING in it"),
                             testing::HasSubstr("remove it if a restore by an earlier version was interrupted")));
  EXPECT_EQ(ReadFile(unfinished_ + "/store/letter"), "dear");
  EXPECT_FALSE(fs::exists(target_));

  WriteFile(unfinished_ + "/RESTORING", "");
  EXPECT_TRUE(Restored(target_).ok());
  EXPECT_FALSE(fs::exists(unfinished_));
  EXPECT_FALSE(fs::exists(target_ + "/RESTORING"));
  EXPECT_FALSE(fs::exists(target_ + "/store/letter"));
  EXPECT_EQ(WhatIsWrong(*Open(target_)), "");
}

// A book may be called so.
TEST_F(RestoreTest, ABookOfThatNameIsLeftAlone) {
  ASSERT_TRUE(Restored(unfinished_).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Restored(target_)));
  EXPECT_EQ(WhatIsWrong(*Open(unfinished_)), "");
  fs::remove_all(unfinished_);
  fs::rename(backups_, unfinished_);
  fs::create_symlink(unfinished_, backups_);
  EXPECT_TRUE(absl::IsFailedPrecondition(Restored(target_)));
  EXPECT_TRUE(Restored(scratch_.path() + "/elsewhere").ok()) << "the backups are what they were";
}

TEST_F(RestoreTest, OneAtATimeMakesABook) {
  fs::create_directories(unfinished_);
  WriteFile(unfinished_ + "/HIGHWATER", "of the other");
  const int other = open((unfinished_ + "/RESTORING").c_str(), O_RDWR | O_CREAT, 0640);
  ASSERT_EQ(flock(other, LOCK_EX), 0);
  const absl::Status refused = Restored(target_);
  EXPECT_TRUE(absl::IsAborted(refused)) << refused;
  EXPECT_EQ(ReadFile(unfinished_ + "/HIGHWATER"), "of the other");
  close(other);
  EXPECT_TRUE(Restored(target_).ok());
}

TEST_F(RestoreTest, LeavesNothingWhenItFails) {
  const std::string object = fs::directory_iterator(backups_ + "/objects")->path().string();
  const std::string bytes = ReadFile(object);
  WriteFile(object, bytes + "x");
  EXPECT_TRUE(absl::IsDataLoss(Restored(target_)));
  EXPECT_FALSE(fs::exists(unfinished_));
  EXPECT_FALSE(fs::exists(target_));
}

TEST_F(RestoreTest, ABookAndItsBackupsDoNotLieInEachOther) {
  const std::unique_ptr<Book> book = Open(book_);
  fs::create_symlink(book_, scratch_.path() + "/link");
  for (const std::string& directory :
       {book_, book_ + "/", book_ + "/backups", book_ + "/store", scratch_.path() + "/link/deep/backups",
        scratch_.path() + "/none/../book/backups"}) {
    const absl::Status refused = BackUp(*book, directory, 5).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << directory << ": " << refused;
  }
  EXPECT_FALSE(fs::exists(book_ + "/objects"));
  EXPECT_FALSE(fs::exists(book_ + "/backups"));
  EXPECT_TRUE(BackUp(*book, book_ + "-backups", 5).ok()) << "only the beginning of the name is the same";
  for (const std::string& directory : {backups_ + "/book", backups_ + "/objects/book/"}) {
    const absl::Status refused = Restored(directory);
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << directory << ": " << refused;
  }
}

// Without it nothing would hold the targets, so it is not to be lost unnoticed.
TEST_F(RestoreTest, ItsMarkIsACommitOfTheChain) {
  ASSERT_TRUE(Restored(target_).ok());
  const auto changed = [&](const std::function<void(StoreWrite&, const std::string& key)>& change) {
    const ScratchDirectory copy;
    fs::copy(target_, copy.path(), fs::copy_options::recursive);
    {
      const absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(copy.path(), StoreAccess::kWhole);
      EXPECT_TRUE(store.ok()) << store.status();
      ByteWriter key;
      key.Raw("restored/");
      key.Fixed64(4);
      std::unique_ptr<StoreWrite> write = (*store)->NewWrite(0);
      change(*write, key.Take());
      EXPECT_TRUE((*store)->Write(std::move(write)).ok());
    }
    const std::unique_ptr<Book> book = Open(copy.path());
    EXPECT_FALSE(AnchorOf(*book).ok());
    return WhatIsWrong(*book);
  };
  const std::unique_ptr<Book> book = Open(target_);
  const absl::StatusOr<std::vector<RestoreMark>> marks = RestoreMarks(*book);
  ASSERT_TRUE(marks.ok()) << marks.status();
  ASSERT_EQ(marks->size(), 1u);
  EXPECT_EQ(marks->front().sequence, 3u);
  EXPECT_EQ(marks->front().by, "ann");
  EXPECT_EQ(book->last_sequence(), 4u);
  EXPECT_EQ(book->Commits()->back().committed_at_nanos, 77);
  EXPECT_EQ(WhatIsWrong(*book), "");
  EXPECT_NE(changed([](StoreWrite& write, const std::string& key) { write.Delete(Family::kDefault, key); }), "");
  EXPECT_NE(changed([](StoreWrite& write, const std::string& key) {
              write.Put(Family::kDefault, key, Encode(RestoreMark{3, 1, 77, "bob"}));
            }),
            "");
}

// The commit that it names was made before it: that of an earlier program stands beside the chain.
TEST_F(RestoreTest, TheMarkOfAnEarlierProgramIsRead) {
  {
    const std::unique_ptr<Book> book = Open(book_);
    const Decision decision{DecisionKind::kTarget, "erp", "Ann", "their month-end", "delivering", "paused"};
    ASSERT_TRUE(CommitDecisions(*book, {&decision, 1}).ok());
  }
  {
    const absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(book_, StoreAccess::kWhole);
    ASSERT_TRUE(store.ok()) << store.status();
    ByteWriter key;
    key.Raw("restored/");
    key.Fixed64(4);
    std::unique_ptr<StoreWrite> write = (*store)->NewWrite(0);
    write->Put(Family::kDefault, key.Take(), Encode(RestoreMark{4, 1, 77, "ann"}));
    ASSERT_TRUE((*store)->Write(std::move(write)).ok());
  }
  std::unique_ptr<Book> book = Open(book_);
  EXPECT_EQ(WhatIsWrong(*book), "");
  ASSERT_TRUE(BackUp(*book, backups_, 6).ok());
  book.reset();
  ASSERT_TRUE(Restored(target_).ok());
  book = Open(target_);
  EXPECT_EQ(WhatIsWrong(*book), "");
  const std::vector<RestoreMark> marks = *RestoreMarks(*book);
  std::vector<uint64_t> backups;
  for (const RestoreMark& mark : marks) backups.push_back(mark.backup);
  EXPECT_THAT(backups, testing::ElementsAre(1, 2));
}

}  // namespace
}  // namespace tollbook
