// The usage log in the book: what an acknowledged epoch has read is there, byte for byte, or somebody is told.
#include "ledger/usage_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "ledger/anchor.h"
#include "ledger/decision.h"
#include "tests/ledger/clocked_book.h"
#include "tests/ledger/damage.h"

namespace tollbook {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// What packing makes is none of the book's business: here it is text.
PackedUsage Packed(uint32_t source, uint64_t first, const std::string& text) {
  return {source, first, first + 10 * text.size(), text};
}

class UsageLogTest : public ClockedBookTest {
 protected:
  std::string file(int number) const { return path() + "/usage/" + std::to_string(number) + ".zst"; }

  void Commit(int64_t hour, const std::vector<PackedUsage>& usage) {
    now_ = hour * kHour;
    const absl::Status committed = CommitEpoch(*book_, EpochCommit(), usage);
    ASSERT_TRUE(committed.ok()) << committed;
  }
  UsagePurgeReport Purge(int64_t before_hour) {
    const absl::StatusOr<UsagePurgeReport> report =
        PurgeUsage(*book_, {before_hour * kHour, {20'421}, "Ann", "a year is over"});
    EXPECT_TRUE(report.ok()) << report.status();
    return report.value_or(UsagePurgeReport());
  }

  // "1: source 7, 0 to 50: alpha", in the order of the book; of one that was purged by which commit.
  std::vector<std::string> Logged() const {
    std::vector<std::string> logged;
    const absl::StatusOr<std::vector<UsageSegment>> segments = UsageSegments(*book_);
    EXPECT_TRUE(segments.ok()) << segments.status();
    for (const UsageSegment& segment : *segments) {
      std::string text = std::to_string(segment.sequence) + ": source " + std::to_string(segment.source) + ", " +
                         std::to_string(segment.first_offset) + " to " + std::to_string(segment.end_offset) + ": ";
      if (segment.purged_by != 0) {
        text += "purged by " + std::to_string(segment.purged_by);
      } else {
        const absl::StatusOr<std::string> bytes = ReadUsage(*book_, segment);
        text += bytes.ok() ? *bytes : std::string(Std(bytes.status().message()));
      }
      logged.push_back(text);
    }
    return logged;
  }
  std::vector<std::string> Checks(bool holds) const {
    std::vector<std::string> details;
    for (const Book::Check& check : book_->CheckStore()) {
      if (check.holds == holds && (!holds || check.name == "usage log")) details.push_back(check.detail);
    }
    return details;
  }
};

TEST_F(UsageLogTest, GivesBackWhatEachEpochBrought) {
  Commit(1, {Packed(7, 0, "alpha"), Packed(8, 3, "beta")});
  Commit(2, {});
  Commit(3, {Packed(7, 50, "gamma")});
  const std::vector<std::string> all = {"1: source 7, 0 to 50: alpha", "1: source 8, 3 to 43: beta",
                                        "3: source 7, 50 to 100: gamma"};
  EXPECT_EQ(Logged(), all);
  EXPECT_EQ(ReadFile(file(1)), "alphabetagamma");
  EXPECT_THAT(Checks(true), ElementsAre("3 segments, 14 bytes, each with its hash"));
  Open();
  EXPECT_EQ(Logged(), all);
  EXPECT_THAT(Checks(false), IsEmpty());
  Commit(4, {Packed(9, 0, "delta")});
  EXPECT_EQ(ReadFile(file(1)), "alphabetagammadelta") << "after an opening it goes on in the same file";
}

TEST_F(UsageLogTest, ABookWithoutOneHasNoDirectoryAndNoCheck) {
  Commit(1, {});
  EXPECT_FALSE(fs::exists(path() + "/usage"));
  EXPECT_THAT(Checks(true), IsEmpty());
}

TEST_F(UsageLogTest, CutsOffWhatNoCommitRefersTo) {
  Commit(1, {Packed(1, 0, "alpha")});
  book_.reset();
  std::ofstream(file(1), std::ios::app) << "an epoch that power loss took";
  std::ofstream(file(2)) << "and its next file";
  std::ofstream(path() + "/usage/notes.txt") << "not ours";
  Open();
  EXPECT_THAT(Checks(false), IsEmpty());
  Commit(2, {Packed(1, 50, "beta")});
  EXPECT_EQ(ReadFile(file(1)), "alphabeta");
  EXPECT_FALSE(fs::exists(file(2)));
  EXPECT_TRUE(fs::exists(path() + "/usage/notes.txt"));
}

struct Damage {
  const char* name;
  std::function<void(const std::string& file)> done;
  const char* said;
};
const Damage kDamages[] = {
    {"flipped", [](const std::string& file) { std::fstream(file, std::ios::in | std::ios::out).seekp(6) << "X"; },
     "usage/1.zst: the segment at byte 5 is not what was written"},
    {"cut", [](const std::string& file) { fs::resize_file(file, 8); }, "usage/1.zst is too short"},
    {"empty", [](const std::string& file) { fs::resize_file(file, 0); }, "usage/1.zst is too short"},
    {"gone", [](const std::string& file) { fs::remove(file); }, "usage/1.zst is missing"},
};

TEST_F(UsageLogTest, DamageIsNamedAndStopsNothingElse) {
  Commit(1, {Packed(1, 0, "alpha"), Packed(1, 50, "beta")});
  book_.reset();
  fs::copy(path(), directory_.path() + "/sound", fs::copy_options::recursive);
  for (const Damage& damage : kDamages) {
    SCOPED_TRACE(damage.name);
    book_.reset();
    fs::remove_all(path());
    fs::copy(directory_.path() + "/sound", path(), fs::copy_options::recursive);
    damage.done(file(1));
    Open();
    EXPECT_THAT(Checks(false), ElementsAre(HasSubstr(damage.said)));
    EXPECT_THAT(Logged().back(), HasSubstr(damage.said));
    // What comes next is whole, whatever became of what was before.
    Commit(2, {Packed(2, 0, "gamma")});
    EXPECT_EQ(Logged().back(), "2: source 2, 0 to 50: gamma");
    EXPECT_THAT(Checks(false), ElementsAre(HasSubstr(damage.said)));
  }
}

TEST_F(UsageLogTest, TheChainVouchesForTheList) {
  Commit(1, {Packed(1, 0, "alpha")});
  const absl::StatusOr<Anchor> one = AnchorOf(*book_);
  ASSERT_TRUE(one.ok());
  book_.reset();
  fs::remove_all(path());
  Open();
  Commit(1, {Packed(1, 0, "alphb")});
  const absl::StatusOr<Anchor> other = AnchorOf(*book_);
  ASSERT_TRUE(other.ok());
  EXPECT_NE(one->hash, other->hash);
}

TEST_F(UsageLogTest, APurgeTakesTheBytesAndKeepsTheirProof) {
  Commit(1, {Packed(1, 0, "alpha")});
  Commit(2, {Packed(1, 50, "beta"), Packed(2, 0, "gamma")});
  Commit(3, {Packed(2, 50, "delta")});
  UsagePurgeReport report = Purge(3);
  EXPECT_EQ(report.epochs, 2u);
  EXPECT_EQ(report.segments, 3u);
  EXPECT_EQ(report.bytes, 14u);
  const std::vector<std::string> left = {"1: source 1, 0 to 50: purged by 4", "2: source 1, 50 to 90: purged by 4",
                                         "2: source 2, 0 to 50: purged by 4", "3: source 2, 50 to 100: delta"};
  EXPECT_EQ(Logged(), left);
  EXPECT_EQ(ReadFile(file(1)), std::string(14, '\0') + "delta");
  EXPECT_THAT(Checks(true), ElementsAre("1 segment, 5 bytes, each with its hash; 3 segments purged"));
  const absl::StatusOr<std::vector<DecisionCommit>> decisions = Decisions(*book_);
  ASSERT_TRUE(decisions.ok() && decisions->size() == 1);
  const Decision& decision = decisions->front().decisions.front();
  EXPECT_EQ(
      decision.which + " of " + decision.before + " " + decision.after + " by " + decision.by + ": " + decision.why,
      "usage log of 3 segments, 14 bytes, of 2 epochs purged by Ann: a year is over");
  // Again: nothing to do.
  report = Purge(3);
  EXPECT_EQ(report.segments, 0u);
  EXPECT_EQ(book_->last_sequence(), 4u);
  Open();
  EXPECT_EQ(Logged(), left);
  EXPECT_THAT(Checks(false), IsEmpty());
  // With all of it gone so is the file, and its number is not given out again.
  EXPECT_EQ(Purge(9).segments, 1u);
  EXPECT_FALSE(fs::exists(file(1)));
  EXPECT_THAT(Checks(false), IsEmpty());
  Commit(9, {Packed(3, 0, "epsilon")});
  EXPECT_EQ(ReadFile(file(2)), "epsilon");
  EXPECT_THAT(Checks(false), IsEmpty());
}

TEST_F(UsageLogTest, APurgeThatWasKilledIsFinishedByTheNext) {
  Commit(1, {Packed(1, 0, "alpha")});
  book_.reset();
  const std::string before = ReadFile(file(1));
  Open();
  EXPECT_EQ(Purge(2).segments, 1u);
  book_.reset();
  std::ofstream(file(1)) << before;  // it had not come so far
  Open();
  EXPECT_THAT(Checks(false), IsEmpty());
  EXPECT_EQ(Purge(2).segments, 0u);
  EXPECT_FALSE(fs::exists(file(1)));
}

TEST(UsageLogRecords, StandDamage) {
  UsageSegment segment;
  segment.source = 300;
  segment.first_offset = 5;
  segment.end_offset = 70'000;
  segment.place = {3, 1 << 20, 9'000, {1, 2, 3}};
  const std::vector<UsageSegment> segments = {segment, segment};
  TryDamage(Encode(segments), [&](std::string_view bytes) {
    const absl::StatusOr<std::vector<UsageSegment>> decoded = DecodeUsageSegments(bytes);
    if (!decoded.ok()) return false;
    EXPECT_EQ(Encode(*decoded), bytes);
    return true;
  });
  const uint64_t epochs[] = {1, 2, 500};
  TryDamage(EncodePurgedUsage(epochs), [](std::string_view bytes) {
    const absl::StatusOr<std::vector<uint64_t>> decoded = DecodePurgedUsage(bytes);
    return decoded.ok();
  });
}

// FORMAT.md's example.
TEST(UsageLogRecords, HaveTheseBytes) {
  UsageSegment segment;
  segment.source = 1;
  segment.end_offset = 300;
  segment.place = {2, 0, 7, {}};
  EXPECT_EQ(ToHex(Encode(std::span(&segment, 1))), "010100ac02020007" + std::string(64, '0'));
}

TEST(UsageFilesTest, BeginsAnotherFileWhenOneIsFull) {
  const ScratchDirectory directory;
  UsageFiles files(directory.path(), /*file_bytes=*/8);
  files.Open({}, 0);
  std::vector<SegmentPlace> places;
  for (const char* bytes : {"alpha", "beta", "gamma"}) {
    const absl::StatusOr<SegmentPlace> place = files.Append(bytes);
    ASSERT_TRUE(place.ok()) << place.status();
    places.push_back(*place);
  }
  ASSERT_TRUE(files.Sync().ok());
  EXPECT_EQ(files.Extents(), (std::map<std::string, uint64_t>{{"usage/1.zst", 9}, {"usage/2.zst", 5}}));
  EXPECT_EQ(*files.Read(places[1]), "beta");
  EXPECT_EQ(*files.Read(places[2]), "gamma");
  // What lives in the last one alone.
  ASSERT_TRUE(files.Reclaim(std::span(places).subspan(2)).ok());
  EXPECT_FALSE(fs::exists(directory.path() + "/usage/1.zst"));
  EXPECT_EQ(*files.Read(places[2]), "gamma");
}

}  // namespace
}  // namespace tollbook
