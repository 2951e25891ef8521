// A pass over the outbox: what is sent when, to targets that answer as a table says, by a clock that is moved by hand.
#include "pipeline/emit/deliver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ledger/clocked_book.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Event = DeliveryEvent;
using Problem = DeliveryProblem;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kStart = 20'089 * 86'400 * kSecond;  // 2025-01-01T00:00:00Z

// A target that answers what it is told to, and remembers what it was sent.
class ScriptedEmitter final : public Emitter {
 public:
  using Script = std::function<Attempt(const std::string& batch)>;
  ScriptedEmitter(std::vector<std::string>* sent, const Script* script, const Script* finish, bool can_be_asked)
      : sent_(*sent), script_(*script), finish_(*finish), can_be_asked_(can_be_asked) {}

  PlannedDelivery Make(const JournalBatch& batch) const override { return {"", batch.id, batch.posting_key, "body"}; }
  std::string Show(const Parcel& parcel) const override { return parcel.body; }
  bool AsksFirst() const override { return false; }
  bool CanBeAsked() const override { return can_be_asked_; }
  Attempt Ask(const Parcel&) override {
    if (can_be_asked_) return Succeeded(Event::kNotThere, "", "");
    return RefusedHere(Problem::kAmbiguous, "it may have arrived");
  }
  Attempt Send(const Parcel& parcel) override {
    sent_.push_back(parcel.batch);
    return script_(parcel.batch);
  }
  Attempt Finish(const Parcel& parcel) override {
    sent_.push_back("?" + parcel.batch);
    return finish_(parcel.batch);
  }

 private:
  std::vector<std::string>& sent_;
  const Script& script_;
  const Script& finish_;
  const bool can_be_asked_;
};

Attempt Confirmed() {
  return Succeeded(Event::kConfirmed, "", "D1");
}
Attempt Unclear() {
  return Failed(Event::kUnclear, Problem::kAmbiguous, "no answer came");
}
Attempt Down(int64_t wait_seconds) {
  Attempt attempt = Failed(Event::kNotApplied, Problem::kAvailability, "it is down");
  attempt.wait_nanos = wait_seconds * kSecond;
  attempt.pause_target = true;
  return attempt;
}

class DeliverTest : public ClockedBookTest {
 protected:
  DeliverTest() {
    now_ = kStart;
    target_.name = "erp";
    target_.kind = TargetKind::kWebhook;
    target_.quiet_seconds = 0;
  }

  // One seal with a batch of each of these names, "us-1": of that entity.
  void Seal(const std::vector<std::string>& ids) {
    SealCommit seal;
    seal.record.number = book_->next_seal();
    for (const std::string& id : ids) {
      JournalBatch batch;
      batch.id = id;
      batch.seal = seal.record.number;
      batch.entity = id.substr(0, id.find('-'));
      batch.accounting_period = "2025-01";
      batch.currency = *Currency::FromCode("USD");
      batch.posting_key = "tb-" + id;
      batch.lines = {{1, {batch.entity, batch.currency, "2025-01", {20'089}, "api", "1200", "4000", ""}, 120, 1}};
      seal.batches.push_back(batch);
    }
    ASSERT_TRUE(book_->CommitSeal(seal).ok());
  }

  // One pass; what was sent in it, and "?us-1" where it was asked how far that is.
  std::vector<std::string> Pass() {
    sent_.clear();
    std::vector<EmitterOf> targets(1);
    targets[0].target = target_;
    targets[0].emitter = std::make_unique<ScriptedEmitter>(&sent_, &script_, &finish_, can_be_asked_);
    targets[0].pace = pace_;
    DeliverOptions options;
    options.now_nanos = [this] { return now_; };
    options.until_nanos = until_;
    options.chance = [] { return uint64_t{2'000'000'000}; };  // the longest first wait: two seconds
    absl::StatusOr<DeliverReport> report = Deliver(*book_, targets, options);
    EXPECT_TRUE(report.ok()) << report.status();
    if (report.ok()) report_ = *std::move(report);
    return sent_;
  }
  uint64_t Count(DeliveryState state) const { return report_.targets[0].by_state[static_cast<size_t>(state)]; }
  Delivery Of(const std::string& batch) {
    const absl::StatusOr<std::optional<Delivery>> found = OutboxOf(*book_).Find("erp", batch);
    return found.ok() && found->has_value() ? **found : Delivery();
  }
  void ByPerson(const std::string& batch, Event event) {
    Delivery delivery = Of(batch);
    DeliveryStep step;
    step.event = event;
    ASSERT_TRUE(OutboxOf(*book_).Step(step, &delivery).ok());
  }
  void After(int64_t seconds) { now_ += seconds * kSecond; }
  int64_t DueInSeconds() const { return (report_.next_due_nanos - now_) / kSecond; }

  int64_t until_ = 0;
  Target target_;
  bool can_be_asked_ = true;
  ScriptedEmitter::Script script_ = [](const std::string&) { return Confirmed(); };
  ScriptedEmitter::Script finish_ = [](const std::string&) { return Confirmed(); };
  std::vector<std::string> sent_;
  std::shared_ptr<RequestPace> pace_;
  DeliverReport report_;
};

TEST_F(DeliverTest, ABatchThatNobodyTakesHoldsUpNone) {
  Seal({"us-1", "us-2", "us-3"});
  script_ = [](const std::string& batch) { return batch == "us-1" ? Unclear() : Confirmed(); };
  EXPECT_THAT(Pass(), ElementsAre("us-1", "us-2", "us-3"));
  After(1);
  EXPECT_THAT(Pass(), IsEmpty()) << "it waits";
  Seal({"us-4"});
  After(1);
  EXPECT_THAT(Pass(), ElementsAre("us-4", "us-1")) << "what failed less goes first";
}

// Whatever is planned meanwhile, and whether the process is another.
TEST_F(DeliverTest, WhatATargetAsksForIsKept) {
  Seal({"us-1", "us-2"});
  script_ = [](const std::string&) { return Down(60); };
  EXPECT_THAT(Pass(), ElementsAre("us-1"));
  EXPECT_EQ(DueInSeconds(), 60);
  for (int i = 0; i < 5; ++i) {
    After(10);
    Seal({"us-3-" + std::to_string(i)});
    Open();
    EXPECT_THAT(Pass(), IsEmpty());
    EXPECT_EQ(DueInSeconds(), 50 - 10 * i);
  }
  After(10);
  EXPECT_EQ(Pass().size(), 1u) << "one tries";
}

// A table in time: an outage in which nothing is said about when to come again.
TEST_F(DeliverTest, FiveFailuresInARowAreTheTargets) {
  Seal({"us-1", "us-2", "us-3", "us-4", "us-5", "us-6", "us-7", "us-8"});
  bool is_down = true;
  script_ = [&](const std::string&) { return is_down ? Unclear() : Confirmed(); };
  EXPECT_EQ(Pass().size(), 5u);
  EXPECT_THAT(Pass(), IsEmpty());
  After(1);
  Open();
  EXPECT_THAT(Pass(), IsEmpty()) << "kept over a restart";
  After(1);
  EXPECT_THAT(Pass(), ElementsAre("us-6")) << "half open: one tries, and fails";
  After(2);
  is_down = false;
  EXPECT_EQ(Pass().size(), 8u) << "the next one does not, and the others follow";
  EXPECT_EQ(report_.waiting, 0u);
}

// Four that failed and one that did not are batches that nobody takes.
TEST_F(DeliverTest, FourFailuresInARowAreNot) {
  Seal({"us-1", "us-2", "us-3", "us-4", "us-5", "us-6", "us-7", "us-8", "us-9"});
  script_ = [](const std::string& batch) { return batch == "us-5" ? Confirmed() : Unclear(); };
  EXPECT_EQ(Pass().size(), 9u);
}

// Each that may have arrived is a person's work: an outage makes five of them, and one more at each turn.
TEST_F(DeliverTest, ATargetThatCannotBeAskedIsLeftAloneSooner) {
  can_be_asked_ = false;
  target_.retry_cap_seconds = 900;
  Seal({"us-1", "us-2", "us-3", "us-4", "us-5", "us-6", "us-7", "us-8"});
  bool is_down = true;
  script_ = [&](const std::string&) { return is_down ? Unclear() : Confirmed(); };
  for (int pass = 0; pass < 50; ++pass) {
    Pass();
    After(2);
  }
  const auto count = [&](DeliveryState state) { return report_.targets[0].by_state[static_cast<size_t>(state)]; };
  EXPECT_EQ(count(DeliveryState::kParked), 5u);
  EXPECT_EQ(count(DeliveryState::kPending), 3u);
  is_down = false;
  After(900);
  Pass();
  EXPECT_EQ(count(DeliveryState::kConfirmed), 3u);
}

TEST_F(DeliverTest, GoesWhenTheWindowOfItsEntityIsOpen) {
  PostingWindow nights;
  nights.entities = {"us"};
  nights.when.from_minute = 22 * 60;
  target_.windows = {nights};
  Seal({"us-1", "eu-1"});
  EXPECT_THAT(Pass(), ElementsAre("eu-1"));
  EXPECT_EQ(DueInSeconds(), 22 * 3'600);
  After(22 * 3'600 - 1);
  EXPECT_THAT(Pass(), IsEmpty());
  After(1);
  EXPECT_THAT(Pass(), ElementsAre("us-1"));
}

TEST_F(DeliverTest, APassWhoseTimeIsOverBeginsOneAndLeavesTheOthersToTheNext) {
  Seal({"us-1", "us-2", "us-3"});
  until_ = now_;  // it is over before the first
  EXPECT_THAT(Pass(), ElementsAre("us-1"));
  EXPECT_TRUE(report_.cut_short);
  EXPECT_THAT(Pass(), ElementsAre("us-2"));
  EXPECT_THAT(Pass(), ElementsAre("us-3"));
  EXPECT_FALSE(report_.cut_short) << "nothing that is due is left";
  EXPECT_THAT(Pass(), IsEmpty());
  EXPECT_FALSE(report_.cut_short);
}

TEST_F(DeliverTest, ADaysRequestsHoldOverARestart) {
  const auto start = [&] {
    Open();
    pace_ = std::make_shared<RequestPace>(
        RequestLimits{0, 3}, [this] { return now_; }, [](int64_t) {});
  };
  script_ = [&](const std::string&) { return pace_->Take().may_send ? Confirmed() : Down(0); };
  Seal({"us-1", "us-2", "us-3", "us-4", "us-5"});
  start();
  EXPECT_THAT(Pass(), ElementsAre("us-1", "us-2", "us-3"));
  EXPECT_EQ(DueInSeconds(), 86'400);
  start();
  After(3'600);
  EXPECT_THAT(Pass(), IsEmpty());
  After(23 * 3'600);
  EXPECT_THAT(Pass(), ElementsAre("us-4", "us-5"));
}

TEST_F(DeliverTest, NothingGoesToATargetThatIsPaused) {
  Seal({"us-1"});
  Decision decision{DecisionKind::kTarget, "erp", "Ann", "their maintenance", "", std::string(kPaused)};
  ASSERT_TRUE(CommitDecisions(*book_, {&decision, 1}).ok());
  EXPECT_THAT(Pass(), IsEmpty());
  EXPECT_EQ(report_.targets[0].paused, (Pause{"Ann", "their maintenance", now_}));
  EXPECT_EQ(report_.waiting, 0u) << "it does not go on by itself";
  decision.after = kDelivering;
  ASSERT_TRUE(CommitDecisions(*book_, {&decision, 1}).ok());
  EXPECT_THAT(Pass(), ElementsAre("us-1"));
}

Attempt StillRuns() {
  return Failed(Event::kStillRuns, Problem::kAmbiguous, "it is not done yet");
}

// Jobs that take their time are no failures of the target: all go out, and each is asked for at growing distances.
TEST_F(DeliverTest, JobsThatRunHoldUpNone) {
  Seal({"us-1", "us-2", "us-3", "us-4", "us-5", "us-6", "us-7"});
  script_ = [](const std::string& batch) { return Runs("job of " + batch); };
  finish_ = [](const std::string&) { return StillRuns(); };
  EXPECT_EQ(Pass().size(), 7u) << "sent, and none is asked for at once";
  EXPECT_EQ(DueInSeconds(), 2);
  After(2);
  Seal({"us-8"});
  EXPECT_THAT(Pass(), ElementsAre("?us-1", "?us-2", "?us-3", "?us-4", "?us-5", "?us-6", "?us-7", "us-8"))
      << "what was taken goes before what is new";
  EXPECT_EQ(Count(DeliveryState::kAccepted), 8u);
  After(2);
  EXPECT_THAT(Pass(), ElementsAre("?us-8")) << "the others are asked for after four seconds";
  After(4);
  finish_ = [](const std::string&) { return Confirmed(); };
  EXPECT_EQ(Pass().size(), 8u);
  EXPECT_EQ(Count(DeliveryState::kConfirmed), 8u);
}

// Accepted, over, and nowhere to be seen: that is told to a person, once it cannot be a matter of time.
TEST_F(DeliverTest, WhatIsOverAndNeverShownIsParked) {
  target_.quiet_seconds = 10;
  Seal({"us-1"});
  script_ = [](const std::string&) { return Runs("job"); };
  finish_ = [](const std::string&) { return Failed(Event::kNotShown, Problem::kAmbiguous, "job is over"); };
  Pass();
  for (int second = 0; second < 11; ++second) {
    After(1);
    Pass();
    EXPECT_EQ(Of("us-1").state, DeliveryState::kAccepted) << second;
  }
  After(20);
  Pass();
  EXPECT_EQ(Of("us-1").state, DeliveryState::kParked);
  EXPECT_EQ(Of("us-1").problem, Problem::kAmbiguous);
  EXPECT_EQ(Of("us-1").last_error, "job is over");
  // A person looked: it is sent anew.
  ByPerson("us-1", Event::kSayNotPosted);
  finish_ = [](const std::string&) { return Confirmed(); };
  EXPECT_THAT(Pass(), ElementsAre("us-1"));
  After(2);
  Pass();
  EXPECT_EQ(Of("us-1").state, DeliveryState::kConfirmed);
}

// `regions`, `entities` and `from` hold for what was planned before they were written.
TEST_F(DeliverTest, WhatIsNoLongerForATargetIsNotSentToIt) {
  Seal({"us-1", "us-2", "eu-1"});
  bool is_down = true;
  script_ = [&](const std::string&) { return is_down ? Down(1) : Confirmed(); };
  Pass();
  is_down = false;
  target_.entities = {"eu"};
  After(2);
  EXPECT_THAT(Pass(), ElementsAre("eu-1"));
  EXPECT_EQ(Of("us-1").state, DeliveryState::kParked);
  EXPECT_EQ(Of("us-1").problem, Problem::kConfiguration);
  ByPerson("us-1", Event::kRetry);
  EXPECT_THAT(Pass(), IsEmpty());
  EXPECT_EQ(Of("us-1").state, DeliveryState::kParked) << "nor after a retry";
  target_.entities = {};
  target_.from = "2025-02";
  ByPerson("us-1", Event::kRetry);
  EXPECT_THAT(Pass(), IsEmpty());
  target_.from = "";
  ByPerson("us-1", Event::kRetry);
  EXPECT_THAT(Pass(), ElementsAre("us-1"));
}

// A hold is the target's own; what a person decides of some delivery is no attempt at it.
TEST_F(DeliverTest, ADecisionEndsNoHold) {
  Seal({"us-1", "us-2", "us-3"});
  script_ = [](const std::string& batch) {
    return batch == "us-1" ? Failed(Event::kRefused, Problem::kValidation, "no") : Down(600);
  };
  EXPECT_THAT(Pass(), ElementsAre("us-1", "us-2"));
  After(1);
  ByPerson("us-1", Event::kSaySuperseded);
  EXPECT_THAT(Pass(), IsEmpty());
  EXPECT_EQ(DueInSeconds(), 599);
}

TEST_F(DeliverTest, ADecisionMakesNoMoreWorkInAnOutage) {
  can_be_asked_ = false;
  target_.retry_cap_seconds = 900;
  Seal({"us-1", "us-2", "us-3", "us-4", "us-5", "us-6", "us-7", "us-8", "us-9"});
  script_ = [](const std::string&) { return Unclear(); };
  Pass();
  EXPECT_EQ(Count(DeliveryState::kParked), 5u);
  ByPerson("us-1", Event::kSaySuperseded);
  After(1);
  EXPECT_THAT(Pass(), IsEmpty());
}

// What we keep back ourselves says nothing of the target.
TEST_F(DeliverTest, WhatWeKeepBackIsNoSuccess) {
  Seal({"us-1", "us-2", "us-3", "us-4"});
  script_ = [](const std::string&) { return Unclear(); };
  EXPECT_EQ(Pass().size(), 4u);
  target_.from = "2026-01";  // the four are refused here
  After(2);
  Pass();
  EXPECT_EQ(Count(DeliveryState::kParked), 4u);
  target_.from = "";
  Seal({"us-5", "us-6"});
  EXPECT_THAT(Pass(), ElementsAre("us-5")) << "the fifth in a row";
}

// A question about one delivery that fails is not the target's failure, in that pass and in the next.
TEST_F(DeliverTest, APoisonQuestionHoldsUpNone) {
  target_.retry_first_seconds = target_.retry_cap_seconds = 900;
  Seal({"us-1"});
  script_ = [](const std::string& batch) {
    return batch == "us-1" ? Failed(Event::kNotApplied, Problem::kAvailability, "500") : Confirmed();
  };
  EXPECT_THAT(Pass(), ElementsAre("us-1"));
  Seal({"us-2", "us-3"});
  EXPECT_THAT(Pass(), ElementsAre("us-2", "us-3"));
}

// Five that nobody takes: what is new is tried at once, and shows that the target is well.
TEST_F(DeliverTest, FivePoisonBatchesHoldUpNone) {
  Seal({"us-1", "us-2", "us-3", "us-4", "us-5"});
  bool is_down = false;
  script_ = [&](const std::string& batch) { return batch <= "us-5" || is_down ? Unclear() : Confirmed(); };
  EXPECT_EQ(Pass().size(), 5u);
  After(1);
  Seal({"us-6", "us-7"});
  EXPECT_THAT(Pass(), ElementsAre("us-6", "us-7"));
  is_down = true;
  After(2);
  EXPECT_EQ(Pass().size(), 5u);
  After(1);
  Seal({"us-8", "us-9"});
  EXPECT_THAT(Pass(), ElementsAre("us-8")) << "it fails";
  EXPECT_THAT(Pass(), IsEmpty()) << "and the other waits";
}

TEST_F(DeliverTest, AClockThatWasPutBackHoldsNobodyForLong) {
  After(30 * 86'400);
  Seal({"us-1"});
  script_ = [](const std::string&) { return Down(60); };
  Pass();
  After(-30 * 86'400);
  Pass();
  EXPECT_LE(DueInSeconds(), 7 * 86'400);
}

}  // namespace
}  // namespace tollbook
