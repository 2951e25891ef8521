#include "ledger/high_water.h"

#include <gtest/gtest.h>

#include "tests/ledger/scratch_directory.h"

namespace tollbook {
namespace {

constexpr size_t kSlotBytes = 4096;

Hash256 HashFor(uint64_t sequence) {
  Hash256 hash{};
  if (sequence != 0) hash.fill(static_cast<uint8_t>(sequence));
  return hash;
}

CommitRecord CommitAt(uint64_t sequence) {
  CommitRecord record;
  record.sequence = sequence;
  record.hash = HashFor(sequence);
  record.previous = sequence == 0 ? Hash256{} : HashFor(sequence - 1);
  return record;
}

class HighWaterTest : public testing::Test {
 protected:
  std::string file() const { return directory_.path() + "/HIGHWATER"; }
  void RaiseTo(uint64_t last) {
    ASSERT_TRUE(HighWater::Create(directory_.path()).ok());
    absl::StatusOr<HighWater> high_water = HighWater::Open(directory_.path());
    ASSERT_TRUE(high_water.ok());
    for (uint64_t sequence = 1; sequence <= last; ++sequence) {
      ASSERT_TRUE(high_water->Raise({sequence, HashFor(sequence)}).ok());
    }
  }
  void DamageSlotOf(uint64_t sequence) {
    std::string bytes = ReadFile(file());
    bytes[sequence % 2 * kSlotBytes + 20] ^= 1;
    WriteFile(file(), bytes);
  }
  ScratchDirectory directory_;
};

TEST_F(HighWaterTest, IsWhatWasRaisedLast) {
  for (uint64_t last = 0; last < 4; ++last) {
    RaiseTo(last);
    const absl::StatusOr<HighWater> high_water = HighWater::Open(directory_.path());
    ASSERT_TRUE(high_water.ok());
    EXPECT_EQ(high_water->mark().sequence, last);
    EXPECT_EQ(high_water->mark().hash, HashFor(last));
  }
}

struct Admission {
  const char* store;
  uint64_t sequence;
  bool whole, torn;  // admitted when both slots are whole; when the newer one is torn
};
// Seven commits were acknowledged. A torn newest slot is of commit 7, so what can be read says 6.
constexpr Admission kAdmissions[] = {
    {"lost two commits", 5, false, false},
    {"lost the last commit", 6, false, false},
    {"has them all", 7, true, true},
    {"one ahead: killed before the mark was raised", 8, true, false},
    {"two ahead: the mark was rolled back", 9, false, false},
};

TEST_F(HighWaterTest, AdmitsAStoreThatHasAllThatWasAcknowledged) {
  for (const Admission& row : kAdmissions) {
    SCOPED_TRACE(row.store);
    RaiseTo(7);
    EXPECT_EQ(HighWater::Open(directory_.path())->Admits(CommitAt(row.sequence)), row.whole);
    DamageSlotOf(7);
    EXPECT_EQ(HighWater::Open(directory_.path())->Admits(CommitAt(row.sequence)), row.torn);
  }
}

TEST_F(HighWaterTest, AdmitsNoOtherCommitOfTheSameNumber) {
  RaiseTo(7);
  CommitRecord other = CommitAt(7);
  other.hash = HashFor(1);
  EXPECT_FALSE(HighWater::Open(directory_.path())->Admits(other));
  other = CommitAt(8);
  other.previous = HashFor(1);
  EXPECT_FALSE(HighWater::Open(directory_.path())->Admits(other));
}

TEST_F(HighWaterTest, ATornSlotIsWrittenAgain) {
  RaiseTo(7);
  DamageSlotOf(7);
  ASSERT_TRUE(HighWater::Open(directory_.path())->Raise({7, HashFor(7)}).ok());
  EXPECT_TRUE(HighWater::Open(directory_.path())->Admits(CommitAt(8)));
}

TEST_F(HighWaterTest, WithoutAnySlotTheBookIsDamaged) {
  EXPECT_TRUE(absl::IsDataLoss(HighWater::Open(directory_.path()).status())) << "no file";
  RaiseTo(7);
  DamageSlotOf(7);
  DamageSlotOf(6);
  EXPECT_TRUE(absl::IsDataLoss(HighWater::Open(directory_.path()).status())) << "both slots";
  WriteFile(file(), "");
  EXPECT_TRUE(absl::IsDataLoss(HighWater::Open(directory_.path()).status())) << "an empty file";
}

}  // namespace
}  // namespace tollbook
