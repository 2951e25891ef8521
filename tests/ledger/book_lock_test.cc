// One process has a book open, and one watches it; who comes second is told so, and what has happened meanwhile shows.
#include "ledger/book_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <thread>

#include "tests/ledger/scratch_directory.h"

namespace tollbook {
namespace {

using testing::HasSubstr;

TEST(BookLock, ASecondOneIsToldWhoTheFirstIs) {
  const ScratchDirectory directory;
  {
    const absl::StatusOr<BookLock> first = BookLock::Take(directory.path(), "process 7 (tollbook seal)");
    ASSERT_TRUE(first.ok()) << first.status();
    const absl::Status second = BookLock::Take(directory.path(), "another").status();
    EXPECT_TRUE(absl::IsAborted(second));
    EXPECT_THAT(std::string(Std(second.message())), HasSubstr("process 7 (tollbook seal)"));
    EXPECT_EQ(HolderOf(directory.path()), "process 7 (tollbook seal)");
  }
  EXPECT_TRUE(BookLock::Take(directory.path(), "another").ok()) << "it is free when the first is over";
}

TEST(BookLock, ShowsWhenSomebodyHasTakenItMeanwhile) {
  const ScratchDirectory directory;
  EXPECT_EQ(HolderOf(directory.path()), "");
  EXPECT_EQ(LastTaken(directory.path()), 0);
  ASSERT_TRUE(BookLock::Take(directory.path(), "first").ok());
  const int64_t first = LastTaken(directory.path());
  EXPECT_NE(first, 0);
  EXPECT_EQ(LastTaken(directory.path()), first);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the clock of a file system has ticks
  ASSERT_TRUE(BookLock::Take(directory.path(), "second").ok());
  EXPECT_NE(LastTaken(directory.path()), first);
}

TEST(WatchLock, IsOnesAtATimeAndNotTheBooks) {
  const ScratchDirectory directory;
  EXPECT_FALSE(WatchLock::IsTaken(directory.path()));
  {
    const absl::StatusOr<WatchLock> watch = WatchLock::Take(directory.path());
    ASSERT_TRUE(watch.ok()) << watch.status();
    EXPECT_TRUE(WatchLock::IsTaken(directory.path()));
    EXPECT_TRUE(WatchLock::IsTaken(directory.path())) << "looking does not take it";
    EXPECT_TRUE(absl::IsAborted(WatchLock::Take(directory.path()).status()));
    EXPECT_TRUE(BookLock::Take(directory.path(), "somebody").ok());
  }
  EXPECT_FALSE(WatchLock::IsTaken(directory.path()));
  EXPECT_FALSE(WatchLock::Take(directory.path() + "/nowhere").ok());
}

}  // namespace
}  // namespace tollbook
