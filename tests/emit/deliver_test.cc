// A pass over the outbox: what is sent when, to targets that answer as a table says, by a clock that is moved by hand.
#include "pipeline/emit/deliver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ledger/scratch_directory.h"

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
  ScriptedEmitter(std::vector<std::string>* sent, const Script* script, bool can_be_asked)
      : sent_(*sent), script_(*script), can_be_asked_(can_be_asked) {}

  PlannedDelivery Make(const JournalBatch& batch) const override { return {"", batch.id, batch.posting_key, "body"}; }
  std::string Show(const Parcel& parcel) const override { return parcel.body; }
  bool AsksFirst() const override { return false; }
  bool CanBeAsked() const override { return can_be_asked_; }
  Attempt Ask(const Parcel&) override {
    if (can_be_asked_) return Succeeded(Event::kNotThere, "", "");
    return Failed(Event::kRefused, Problem::kAmbiguous, "it may have arrived");
  }
  Attempt Send(const Parcel& parcel) override {
    sent_.push_back(parcel.batch);
    return script_(parcel.batch);
  }
  Attempt Finish(const Parcel& parcel) override { return Ask(parcel); }

 private:
  std::vector<std::string>& sent_;
  const Script& script_;
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

class DeliverTest : public testing::Test {
 protected:
  DeliverTest() {
    target_.name = "erp";
    target_.kind = TargetKind::kWebhook;
    target_.quiet_seconds = 0;
    Open();
  }

  void Open() {
    book_.reset();
    BookOptions options;
    options.directory = directory_.path() + "/book";
    options.create = true;
    options.identity = {kFormatVersion, "demo", "UTC", {1, 2}};
    options.now_nanos = [this] { return now_; };
    absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(options);
    ASSERT_TRUE(book.ok()) << book.status();
    book_ = *std::move(book);
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

  // One pass; what was sent in it.
  std::vector<std::string> Pass() {
    sent_.clear();
    std::vector<EmitterOf> targets(1);
    targets[0].target = target_;
    targets[0].emitter = std::make_unique<ScriptedEmitter>(&sent_, &script_, can_be_asked_);
    targets[0].pace = pace_;
    DeliverOptions options;
    options.now_nanos = [this] { return now_; };
    options.chance = [] { return uint64_t{2'000'000'000}; };  // the longest first wait: two seconds
    absl::StatusOr<DeliverReport> report = Deliver(*book_, targets, options);
    EXPECT_TRUE(report.ok()) << report.status();
    if (report.ok()) report_ = *std::move(report);
    return sent_;
  }
  void After(int64_t seconds) { now_ += seconds * kSecond; }
  int64_t DueInSeconds() const { return (report_.next_due_nanos - now_) / kSecond; }

  ScratchDirectory directory_;
  int64_t now_ = kStart;
  std::unique_ptr<Book> book_;
  Target target_;
  bool can_be_asked_ = true;
  ScriptedEmitter::Script script_ = [](const std::string&) { return Confirmed(); };
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
  EXPECT_EQ(report_.targets[0].paused, (Pause{"Ann", "their maintenance"}));
  EXPECT_EQ(report_.waiting, 0u) << "it does not go on by itself";
  decision.after = kDelivering;
  ASSERT_TRUE(CommitDecisions(*book_, {&decision, 1}).ok());
  EXPECT_THAT(Pass(), ElementsAre("us-1"));
}

}  // namespace
}  // namespace tollbook
