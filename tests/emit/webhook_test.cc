// What a webhook's answer is taken for, and how long it is told again: until its receiver forgets.
#include "pipeline/emit/webhook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tollbook {
namespace {

using testing::HasSubstr;
using Event = DeliveryEvent;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kHour = 3'600 * kSecond;
constexpr int64_t kStart = 1'735'732'800 * kSecond;

// Answers what it is told to.
class Scripted final : public HttpClient {
 public:
  Scripted(const HttpAnswer* answer, int* sent) : answer_(*answer), sent_(*sent) {}
  HttpAnswer Do(const HttpRequest&) override {
    ++sent_;
    return answer_;
  }
  HttpAnswer Post(const std::vector<std::string>&, std::string_view) override {
    ++sent_;
    return answer_;
  }

 private:
  const HttpAnswer& answer_;
  int& sent_;
};

class WebhookTest : public testing::Test {
 protected:
  WebhookTest() {
    target_.kind = TargetKind::kWebhook;
    target_.http.timeout_seconds = 60;
    target_.deduplicates = true;
    Answer(200, "taken tb-1");
  }
  void Answer(long status, const std::string& body) {
    answer_ = {};
    answer_.came = HttpAnswer::Came::kAnswer;
    answer_.status = status;
    answer_.content_type = "text/plain";
    answer_.body = body;
  }
  void NoAnswer() {
    answer_ = {};
    answer_.came = HttpAnswer::Came::kUnclear;
  }

  std::unique_ptr<Emitter> MakeEmitter() {
    EmitterContext context;
    context.now_nanos = [this] { return now_; };
    return MakeWebhookEmitter(target_, context, Secret("s"), std::make_unique<Scripted>(&answer_, &sent_));
  }
  Attempt Send() { return Keep(MakeEmitter()->Send(parcel_)); }
  Attempt Ask() { return Keep(MakeEmitter()->Ask(parcel_)); }
  // As the outbox does.
  Attempt Keep(Attempt attempt) {
    if (!attempt.step.job.empty()) parcel_.job = attempt.step.job;
    if (attempt.step.event == Event::kUnclear) parcel_.unclear_for_nanos = 0;
    if (attempt.step.event == Event::kNotApplied) parcel_.unclear_for_nanos.reset();
    parcel_.since_nanos = now_;
    return attempt;
  }

  Target target_;
  HttpAnswer answer_;
  int sent_ = 0;
  int64_t now_ = kStart;
  Parcel parcel_{"b1", "tb-1", "{}", ""};
};

TEST_F(WebhookTest, AnAnswerIsBelievedByItsStatusUnlessItMustNameTheKey) {
  struct Case {
    const char* name;
    bool names_key;
    long status;
    const char* body;
    Event event;
  };
  const Case cases[] = {
      {"any", false, 200, "{\"error\":\"queue full\"}", Event::kConfirmed},
      {"empty", false, 204, "", Event::kConfirmed},
      {"named", true, 200, "{\"id\":\"tb-1\"}", Event::kConfirmed},
      {"a proxy's", true, 200, "OK", Event::kUnclear},
      {"nothing said", true, 204, "", Event::kUnclear},
      {"another's", true, 200, "{\"id\":\"tb-2\"}", Event::kUnclear},
      {"a refusal is one either way", true, 422, "no tb-1", Event::kRefused},
      {"so is a failure", true, 500, "tb-1", Event::kUnclear},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    target_.answer_names_key = c.names_key;
    Answer(c.status, c.body);
    EXPECT_EQ(Send().step.event, c.event);
  }
}

TEST_F(WebhookTest, WithoutAWindowItIsToldAgainForEver) {
  NoAnswer();
  EXPECT_EQ(Send().step.event, Event::kUnclear);
  now_ += 1'000 * kHour;
  EXPECT_EQ(Ask().step.event, Event::kMayRepeat);
  EXPECT_EQ(Send().step.event, Event::kUnclear);
  EXPECT_EQ(sent_, 2);
}

TEST_F(WebhookTest, ItIsToldAgainUntilTheReceiverForgetsWhatCameFirst) {
  target_.deduplicates_for_seconds = 24 * 3'600;
  NoAnswer();
  EXPECT_EQ(Send().step.event, Event::kUnclear);
  for (int hour = 1; hour <= 23; ++hour) {
    now_ += kHour;
    EXPECT_EQ(Ask().step.event, Event::kMayRepeat);
    EXPECT_EQ(Send().step.event, Event::kUnclear);
  }
  EXPECT_EQ(sent_, 24);
  now_ = kStart + 24 * kHour - 60 * kSecond;  // another request would end when it has forgotten
  const Attempt parked = Ask();
  EXPECT_EQ(parked.step.event, Event::kRefused);
  EXPECT_EQ(parked.step.problem, DeliveryProblem::kAmbiguous);
  EXPECT_THAT(parked.step.error, HasSubstr("the receiver no longer knows its webhook-id"));
  EXPECT_EQ(Ask().step.event, Event::kRefused) << "however often somebody retries it";
}

// A wait that outlasts the window, behind an end that nobody knows.
TEST_F(WebhookTest, WhatMayBeThereIsNotSentOnceItIsForgotten) {
  target_.deduplicates_for_seconds = 24 * 3'600;
  NoAnswer();
  Send();
  now_ += 23 * kHour;
  EXPECT_EQ(Ask().step.event, Event::kMayRepeat);
  Answer(429, "later");
  EXPECT_EQ(Send().step.event, Event::kUnclear) << "the first one may be there still";
  EXPECT_EQ(Ask().step.event, Event::kMayRepeat);
  now_ += 2 * kHour;
  EXPECT_EQ(Send().step.event, Event::kUnclear);
  EXPECT_EQ(sent_, 2) << "nothing is sent any more";
  EXPECT_EQ(Ask().step.event, Event::kRefused);
}

TEST_F(WebhookTest, WhatWasSurelyNotTakenGoesHoweverLate) {
  target_.deduplicates_for_seconds = 24 * 3'600;
  Answer(429, "later");
  EXPECT_EQ(Send().step.event, Event::kNotApplied);
  now_ += 100 * kHour;
  Answer(200, "taken");
  EXPECT_EQ(Send().step.event, Event::kConfirmed);
}

// The process was killed while it sent: when that was is all that is known.
TEST_F(WebhookTest, AfterACrashTheWindowBeginsWithTheSend) {
  target_.deduplicates_for_seconds = 24 * 3'600;
  parcel_.since_nanos = kStart;
  parcel_.unclear_for_nanos = 0;
  now_ = kStart + 23 * kHour;
  EXPECT_EQ(Ask().step.event, Event::kMayRepeat);
  now_ += 2 * kHour;
  EXPECT_EQ(Ask().step.event, Event::kRefused);
}

}  // namespace
}  // namespace tollbook
