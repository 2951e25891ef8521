// Which delivery goes when: by real threads, which hold each other up where the rules say that they may not.
#include "pipeline/emit/dispatch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using Outcome = DispatchOutcome;

// A run of it: what went, in the order in which it began, as target * 100 + delivery.
class DispatchTest : public testing::Test {
 protected:
  using Answer = std::function<absl::StatusOr<Outcome>(const DispatchTurn&)>;

  absl::Status Run(const std::vector<DispatchTarget>& targets, const Answer& answer) {
    DispatchOptions options;
    options.failures_max = 3;
    options.may_go = [this](size_t target, size_t delivery) { return may_go_(target, delivery); };
    options.run = [&](const DispatchTurn& turn) {
      {
        const std::lock_guard lock(mutex_);
        went_.push_back(turn.target * 100 + turn.delivery);
      }
      absl::StatusOr<Outcome> outcome = answer(turn);
      const std::lock_guard lock(mutex_);
      over_.push_back(turn.target * 100 + turn.delivery);
      changed_.notify_all();
      return outcome;
    };
    return Dispatch(targets, options);
  }
  // Until so many are over; false: that did not come.
  bool WaitFor(size_t over) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return over_.size() >= over; });
  }

  std::function<DispatchWord(size_t, size_t)> may_go_ = [](size_t, size_t) { return DispatchWord::kGo; };
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<size_t> went_, over_;
};

absl::StatusOr<Outcome> Well(const DispatchTurn&) {
  return Outcome::kWell;
}

TEST_F(DispatchTest, NothingIsNothing) {
  EXPECT_TRUE(Run({}, Well).ok());
  EXPECT_TRUE(Run({{}, {}}, Well).ok());
  EXPECT_THAT(went_, IsEmpty());
}

TEST_F(DispatchTest, OneConnectionTakesThemInOrder) {
  ASSERT_TRUE(Run({{{0, 1, 0, 2}}}, Well).ok());
  EXPECT_THAT(went_, ElementsAre(0, 1, 2, 3));
}

TEST_F(DispatchTest, OfAPlaceOneAtATimeAndInOrder) {
  std::mt19937 chance(std::random_device{}());
  std::vector<DispatchTarget> targets(3);
  for (DispatchTarget& target : targets) {
    for (int i = 0; i < 90; ++i) target.places.push_back(chance() % 7);
    target.connections = 1 + chance() % 5;
  }
  std::mutex mutex;
  std::map<std::pair<size_t, size_t>, int> at_place, on_connection;
  std::map<std::pair<size_t, size_t>, size_t> newest;
  const auto answer = [&](const DispatchTurn& turn) -> absl::StatusOr<Outcome> {
    const std::pair place(turn.target, targets[turn.target].places[turn.delivery]);
    const std::pair connection(turn.target, turn.connection);
    {
      const std::lock_guard lock(mutex);
      EXPECT_EQ(++at_place[place], 1);
      EXPECT_EQ(++on_connection[connection], 1);
      EXPECT_LT(turn.connection, targets[turn.target].connections);
      const auto before = newest.find(place);
      if (before != newest.end()) {
        EXPECT_LT(before->second, turn.delivery);
      }
      newest[place] = turn.delivery;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(turn.delivery % 3 * 100));
    const std::lock_guard lock(mutex);
    --at_place[place];
    --on_connection[connection];
    return Outcome::kWell;
  };
  ASSERT_TRUE(Run(targets, answer).ok());
  EXPECT_EQ(went_.size(), 270u);
  EXPECT_EQ(std::set<size_t>(went_.begin(), went_.end()).size(), 270u);
}

// The first delivery of each kind of blocker ends only when all that it may not hold up is over.
TEST_F(DispatchTest, ASlowTargetHoldsUpNoOther) {
  const auto answer = [&](const DispatchTurn& turn) -> absl::StatusOr<Outcome> {
    EXPECT_TRUE(turn.target == 1 || WaitFor(20));
    return Outcome::kWell;
  };
  ASSERT_TRUE(Run({{{0}}, {std::vector<size_t>(20, 0)}}, answer).ok());
}

TEST_F(DispatchTest, APoisonDeliveryHoldsUpNoOtherPlace) {
  const auto answer = [&](const DispatchTurn& turn) -> absl::StatusOr<Outcome> {
    if (turn.delivery != 0) return Outcome::kWell;
    EXPECT_TRUE(WaitFor(3));
    return Outcome::kFailed;
  };
  ASSERT_TRUE(Run({{{0, 1, 0, 2, 1}, 2}}, answer).ok());
  EXPECT_THAT(over_, ElementsAre(1, 3, 4, 0, 2)) << "only what is of its place waits behind it";
}

TEST_F(DispatchTest, BehindAFailureOneTries) {
  int under_way = 0, most = 0;
  std::mutex mutex;
  const auto answer = [&](const DispatchTurn& turn) -> absl::StatusOr<Outcome> {
    {
      const std::lock_guard lock(mutex);
      ++under_way;
      if (turn.delivery <= 1) most = std::max(most, under_way);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const std::lock_guard lock(mutex);
    --under_way;
    return turn.delivery < 1 ? Outcome::kFailed : Outcome::kWell;
  };
  DispatchTarget target{{0, 1, 2, 3, 4, 5}, 4, 1};
  ASSERT_TRUE(Run({target}, answer).ok());
  EXPECT_EQ(went_.size(), 6u);
  EXPECT_EQ(went_[0], 0u);
  EXPECT_EQ(went_[1], 1u);
  EXPECT_EQ(most, 1) << "the others go when the second went well";
}

TEST_F(DispatchTest, ThreeFailuresInARowEndATargetsTurn) {
  const auto answer = [](const DispatchTurn& turn) -> absl::StatusOr<Outcome> {
    return turn.target == 0 && turn.delivery != 1 ? Outcome::kFailed : Outcome::kWell;
  };
  ASSERT_TRUE(Run({{{0, 1, 2, 3, 4, 5, 6}}, {{0, 0}}}, answer).ok());
  EXPECT_THAT(went_, UnorderedElementsAre(0, 1, 2, 3, 4, 100, 101));
}

TEST_F(DispatchTest, OneThatIsTheTargetsOwnEndsItsTurnAlone) {
  const auto answer = [](const DispatchTurn& turn) -> absl::StatusOr<Outcome> {
    return turn.target == 0 ? Outcome::kEnds : Outcome::kWell;
  };
  ASSERT_TRUE(Run({{{0, 1, 2}}, {{0, 0}}}, answer).ok());
  EXPECT_THAT(went_, UnorderedElementsAre(0, 100, 101));
}

TEST_F(DispatchTest, WhatMayNotGoIsPassedOver) {
  may_go_ = [](size_t target, size_t delivery) {
    if (target == 1) return delivery == 1 ? DispatchWord::kEnd : DispatchWord::kGo;
    return delivery == 1 ? DispatchWord::kSkip : DispatchWord::kGo;
  };
  ASSERT_TRUE(Run({{{0, 0, 0}}, {{0, 0, 0}}}, Well).ok());
  EXPECT_THAT(went_, UnorderedElementsAre(0, 2, 100));
}

// One delivery each, so that who begins when depends on nothing but the turns: which priorities begin, and that the
// last of the low ones goes while half of the high ones still wait.
TEST_F(DispatchTest, APriorityHasItsTurnsAndStarvesNoLowerOne) {
  std::vector<DispatchTarget> targets;
  std::string of_all;
  for (const auto& [priority, many] : {std::pair(Priority::kLow, 2), {Priority::kNormal, 3}, {Priority::kHigh, 40}}) {
    for (int i = 0; i < many; ++i) {
      DispatchTarget& target = targets.emplace_back();
      target.places = {0};
      target.priority = priority;
      of_all += "HNL"[static_cast<size_t>(priority)];
    }
  }
  std::string begun;  // asked one at a time, in the order in which they begin
  may_go_ = [&](size_t target, size_t) {
    begun += of_all[target];
    return DispatchWord::kGo;
  };
  ASSERT_TRUE(Run(targets, Well).ok());
  EXPECT_EQ(begun,
            "HHHN"
            "HHHL"
            "HHHN"
            "HHHL"
            "HHHN" +
                std::string(25, 'H'));
}

TEST_F(DispatchTest, WhatMayNotGoOfAPriorityLeavesItsTurnToTheNext) {
  may_go_ = [](size_t target, size_t) { return target == 0 ? DispatchWord::kSkip : DispatchWord::kGo; };
  ASSERT_TRUE(Run({{{0, 0}, 1, 0, Priority::kHigh}, {{0}, 1, 0, Priority::kLow}}, Well).ok());
  EXPECT_THAT(went_, ElementsAre(100));
}

TEST_F(DispatchTest, AFailedStatusEndsAllAndIsGivenBack) {
  const auto answer = [](const DispatchTurn& turn) -> absl::StatusOr<Outcome> {
    if (turn.delivery == 1) return absl::UnavailableError("the disk is full");
    return Outcome::kWell;
  };
  EXPECT_EQ(Run({{{0, 0, 0, 0}}}, answer).message(), "the disk is full");
  EXPECT_THAT(went_, ElementsAre(0, 1));
}

}  // namespace
}  // namespace tollbook
