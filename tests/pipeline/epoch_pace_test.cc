// When an epoch ends.
#include "pipeline/epoch_pace.h"

#include <gtest/gtest.h>

#include <thread>

namespace tollbook {
namespace {

using std::chrono::milliseconds;

Block BlockOf(size_t bytes, std::chrono::nanoseconds waited = {}) {
  Block block;
  block.bytes = bytes;
  block.waited = waited;
  return block;
}

TEST(EpochPace, EndsByBytesOrEvents) {
  EpochPace pace({.epoch_bytes = 100, .epoch_events = 10});
  EXPECT_FALSE(pace.EpochIsDue(0, false)) << "nothing has begun";
  pace.OnBlock(BlockOf(99));
  EXPECT_FALSE(pace.EpochIsDue(9, false));
  EXPECT_TRUE(pace.EpochIsDue(10, true));
  pace.OnBlock(BlockOf(1));
  EXPECT_TRUE(pace.EpochIsDue(0, true));
  EXPECT_EQ(pace.bytes(), 100u);
  pace.BeginEpoch();
  EXPECT_FALSE(pace.EpochIsDue(0, false));
}

TEST(EpochPace, RoundsEndByBytesOrBlocks) {
  EpochPace pace({.round_bytes = 100, .round_blocks = 3});
  pace.BeginRound();
  pace.OnBlock(BlockOf(10));
  pace.OnBlock(BlockOf(10));
  EXPECT_FALSE(pace.RoundIsDue(false));
  pace.OnBlock(BlockOf(10));
  EXPECT_TRUE(pace.RoundIsDue(false));
  pace.BeginRound();
  EXPECT_FALSE(pace.RoundIsDue(false));
  pace.OnBlock(BlockOf(100));
  EXPECT_TRUE(pace.RoundIsDue(false));
}

TEST(EpochPace, RoundsGoOnWhileTheCommitBeforeIsWritten) {
  EpochPace pace({.round_bytes = 100});
  pace.BeginRound();
  pace.OnBlock(BlockOf(399));
  EXPECT_FALSE(pace.RoundIsDue(true));
  EXPECT_TRUE(pace.RoundIsDue(false));
  pace.OnBlock(BlockOf(1));
  EXPECT_TRUE(pace.RoundIsDue(true)) << "four times as long, and no longer";
}

TEST(EpochPace, ASlowInputIsCommittedSoonAndAtOnceWhenNothingComes) {
  EpochPace pace({.epoch_time = std::chrono::hours(1), .slow_epoch_time = milliseconds(20)});
  pace.OnBlock(BlockOf(0, std::chrono::hours(1)));
  EXPECT_FALSE(pace.EpochIsDue(0, false)) << "there is nothing to commit";
  pace.OnBlock(BlockOf(10, std::chrono::hours(1)));
  EXPECT_FALSE(pace.EpochIsDue(1, false));
  pace.OnBlock(BlockOf(0));
  EXPECT_TRUE(pace.EpochIsDue(1, false));
  EXPECT_FALSE(pace.EpochIsDue(1, true)) << "the commit before is still being written";
  pace.OnBlock(BlockOf(10));
  std::this_thread::sleep_for(milliseconds(21));
  EXPECT_TRUE(pace.EpochIsDue(2, false));
}

TEST(EpochPace, AFastStreamThatWeWaitForHasLongerEpochs) {
  EpochPace pace({.epoch_time = std::chrono::hours(1), .slow_epoch_time = milliseconds(10), .slow_epoch_events = 1000});
  pace.OnBlock(BlockOf(10, std::chrono::hours(1)));
  std::this_thread::sleep_for(milliseconds(11));
  EXPECT_TRUE(pace.EpochIsDue(1999, false));
  EXPECT_FALSE(pace.EpochIsDue(1'000'000, false));
  pace.OnBlock(BlockOf(0));
  EXPECT_TRUE(pace.EpochIsDue(1'000'000, false)) << "nothing comes any more";
  pace.OnBlock(BlockOf(10));
  std::this_thread::sleep_for(milliseconds(70));
  EXPECT_TRUE(pace.EpochIsDue(1'000'000, false)) << "eight times as long, and no longer";
}

TEST(EpochPace, AnInputThatKeepsUsBusyIsNotCutByTime) {
  EpochPace pace({.epoch_time = std::chrono::hours(1), .slow_epoch_time = milliseconds(5)});
  pace.OnBlock(BlockOf(10, milliseconds(1)));
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_FALSE(pace.EpochIsDue(1, false));
}

TEST(EpochPace, AnyEpochEndsByTime) {
  EpochPace pace({.epoch_time = milliseconds(5)});
  pace.OnBlock(BlockOf(10));
  std::this_thread::sleep_for(milliseconds(6));
  EXPECT_TRUE(pace.EpochIsDue(1, true));
}

}  // namespace
}  // namespace tollbook
