// How many requests leave, by a clock that is moved by hand.
#include "pipeline/emit/request_pace.h"

#include <gtest/gtest.h>

#include <vector>

namespace tollbook {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kDay = 86'400 * kSecond;

class CountingClient final : public HttpClient {
 public:
  explicit CountingClient(int* sent) : sent_(*sent) {}
  HttpAnswer Do(const HttpRequest&) override {
    ++sent_;
    HttpAnswer answer;
    answer.came = HttpAnswer::Came::kAnswer;
    answer.status = 200;
    return answer;
  }
  HttpAnswer Post(const std::vector<std::string>&, std::string_view) override { return Do({}); }

 private:
  int& sent_;
};

class RequestPaceTest : public testing::Test {
 protected:
  // A process that starts, and finds what is stored.
  std::unique_ptr<HttpClient> Start(const RequestLimits& limits) {
    pace_ = std::make_shared<RequestPace>(
        limits, [this] { return now_; },
        [this](int64_t nanos) {
          now_ += nanos;
          slept_ += nanos;
        });
    Begin();
    return Paced(std::make_unique<CountingClient>(&sent_), pace_);
  }
  void Begin() {
    pace_->Begin(stored_, [this](const RequestsOfDay& requests) {
      if (disk_is_full_) return absl::ResourceExhaustedError("no space");
      stored_ = requests;
      EXPECT_GE(stored_.count, static_cast<uint64_t>(sent_)) << "counted before it is sent";
      return absl::OkStatus();
    });
  }
  int64_t now_ = 20'089 * kDay;
  int64_t slept_ = 0;
  int sent_ = 0;
  bool disk_is_full_ = false;
  RequestsOfDay stored_;
  std::shared_ptr<RequestPace> pace_;
};

TEST_F(RequestPaceTest, SpacesRequestsEvenlyFromTheFirstOn) {
  const auto client = Start({4, 0});
  for (int i = 1; i <= 8; ++i) {
    client->Do({});
    EXPECT_EQ(slept_, i * kSecond / 4);
  }
  now_ += 10 * kSecond;  // idle time is not saved up
  const int64_t before = slept_;
  client->Do({});
  client->Do({});
  EXPECT_EQ(slept_ - before, kSecond / 4);
  now_ -= 3'600 * kSecond;  // the clock is put back
  client->Do({});
  EXPECT_EQ(slept_ - before, kSecond / 2);
}

TEST_F(RequestPaceTest, ADayHasSoManyAndTheNextAsMany) {
  const auto client = Start({0, 3});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client->Do({}).came, HttpAnswer::Came::kAnswer);
  now_ += 6 * 3'600 * kSecond;
  EXPECT_EQ(pace_->UsedUpUntil(), 20'090 * kDay);
  const HttpAnswer refused = client->Do({});
  EXPECT_EQ(refused.came, HttpAnswer::Came::kNotSent);
  EXPECT_TRUE(refused.over_pace);
  EXPECT_EQ(refused.retry_after_nanos, 18 * 3'600 * kSecond);
  EXPECT_EQ(sent_, 3);
  now_ = pace_->UsedUpUntil();
  EXPECT_EQ(pace_->UsedUpUntil(), 0);
  sent_ = 0;  // of the new day
  for (int i = 0; i < 5; ++i) client->Do({});
  EXPECT_EQ(sent_, 3);
  EXPECT_EQ(stored_, (RequestsOfDay{{20'090}, 3}));
}

// Killed whenever: what was sent on a day is never more than it may be, and no crash wastes more than was counted
// ahead.
TEST_F(RequestPaceTest, HoldsThroughCrashes) {
  for (int crash = 0; sent_ < 900 && crash < 200; ++crash) {
    const auto client = Start({0, 1'000});
    for (int i = 0; i < 7 + crash % 5; ++i) client->Do({});
    EXPECT_LE(stored_.count - static_cast<uint64_t>(sent_), 10u * static_cast<uint64_t>(crash + 1));
  }
  const auto client = Start({0, 1'000});
  for (int i = 0; i < 2'000; ++i) client->Do({});
  EXPECT_LE(sent_, 1'000);
  EXPECT_EQ(stored_.count, 1'000u);
}

TEST_F(RequestPaceTest, ANewPassOfTheProcessGoesOnWithWhatItCounted) {
  const auto client = Start({0, 1'000});
  for (int i = 0; i < 4; ++i) client->Do({});
  pace_->End();
  Begin();
  for (int i = 0; i < 6; ++i) client->Do({});
  EXPECT_EQ(stored_.count, 10u) << "the ten that were counted at once";
}

// What was sent was sent, whatever the clock says later; and a day that was wrong is over with the next one.
TEST_F(RequestPaceTest, AClockThatIsPutBackGivesNoSecondDay) {
  now_ += 30 * kDay;
  auto client = Start({0, 3});
  for (int i = 0; i < 3; ++i) client->Do({});
  now_ -= 30 * kDay;
  for (int i = 0; i < 3; ++i) client->Do({});
  client = Start({0, 3});
  for (int i = 0; i < 3; ++i) client->Do({});
  EXPECT_EQ(sent_, 3);
  sent_ = 0;
  now_ += kDay;
  client = Start({0, 3});
  for (int i = 0; i < 3; ++i) client->Do({});
  EXPECT_EQ(sent_, 3);
}

TEST_F(RequestPaceTest, WhatCannotBeCountedIsNotSent) {
  const auto client = Start({0, 1'000});
  disk_is_full_ = true;
  EXPECT_EQ(client->Do({}).came, HttpAnswer::Came::kNotSent);
  disk_is_full_ = false;
  EXPECT_EQ(client->Do({}).came, HttpAnswer::Came::kAnswer);
  EXPECT_EQ(sent_, 1);
}

TEST(Paced, WithoutLimitsIsTheClientItself) {
  int sent = 0;
  auto client = std::make_unique<CountingClient>(&sent);
  const HttpClient* const plain = client.get();
  EXPECT_EQ(Paced(std::move(client), nullptr).get(), plain);
}

}  // namespace
}  // namespace tollbook
