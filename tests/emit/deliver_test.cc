// A pass over the outbox: what is sent when, to targets that answer as a table says, by a clock that is moved by hand.
#include "pipeline/emit/deliver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "ledger/backup.h"
#include "ledger/store.h"
#include "pipeline/restore_hold.h"
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
  // `ask`: what it is asked before it is sent anything; null: it is not.
  ScriptedEmitter(std::vector<std::string>* sent, const Script* script, const Script* finish, bool can_be_asked,
                  const Script* ask = nullptr)
      : sent_(*sent), script_(*script), finish_(*finish), can_be_asked_(can_be_asked), ask_(ask) {}
  std::string codes;     // of an ERP: what it puts in
  bool repeats = false;  // it drops what it has seen, and cannot be asked

  PlannedDelivery Make(const JournalBatch& batch) const override { return {"", batch.id, batch.posting_key, "body"}; }
  absl::StatusOr<std::string> Wire(const Parcel& parcel) const override { return parcel.body + codes; }
  std::string Show(const Parcel& parcel) const override { return parcel.body; }
  bool AsksFirst() const override { return ask_ != nullptr; }
  bool CanBeAsked() const override { return can_be_asked_; }
  Attempt Ask(const Parcel& parcel) override {
    if (ask_ != nullptr) return (*ask_)(parcel.batch);
    if (repeats) return Succeeded(Event::kMayRepeat, "", "");
    if (can_be_asked_) return Succeeded(Event::kNotThere, "", "");
    return RefusedHere(Problem::kAmbiguous, "it may have arrived");
  }
  Attempt Send(const Parcel& parcel) override {
    sent_.push_back(parcel.batch + codes + (parcel.is_other ? " (other)" : ""));
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
  const Script* const ask_;
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

  // Into a book of another name, which is then open; what was done since the backup is not known there.
  void Restore(const std::string& name) {
    book_.reset();
    RestoreOptions options;
    options.backups = directory_.path() + "/backups";
    options.directory = directory_.path() + "/" + name;
    options.now_nanos = now_;
    const absl::StatusOr<BackupReport> restored = tollbook::Restore(options);
    ASSERT_TRUE(restored.ok()) << restored.status();
    name_ = name;
    Open();
  }
  void BackUp() {
    const absl::StatusOr<BackupReport> backup = tollbook::BackUp(*book_, directory_.path() + "/backups", now_);
    ASSERT_TRUE(backup.ok()) << backup.status();
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

  // The row of a delivery as nothing that tollbook does would leave it; nothing: it is gone.
  void Alter(const std::string& batch, const std::function<void(Delivery*)>& change) {
    Delivery delivery = Of(batch);
    const std::string key = "delivery/erp/" + batch;
    book_.reset();
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory_.path() + "/" + name_, StoreAccess::kWhole);
    ASSERT_TRUE(store.ok()) << store.status();
    std::unique_ptr<StoreWrite> write = (*store)->NewWrite(0);
    if (change) {
      change(&delivery);
      write->Put(Family::kDefault, key, Encode(delivery));
    } else {
      write->Delete(Family::kDefault, key);
    }
    ASSERT_TRUE((*store)->Write(std::move(write)).ok());
    store->reset();
    Open();
  }
  // The whole pass is refused, nothing is sent, and `verify` has it, too.
  void ExpectDamaged(const std::string& which) {
    sent_.clear();
    std::vector<EmitterOf> targets(1);
    targets[0].target = target_;
    targets[0].emitter = std::make_unique<ScriptedEmitter>(&sent_, &script_, &finish_, can_be_asked_);
    DeliverOptions options;
    options.now_nanos = [this] { return now_; };
    options.chance = [] { return uint64_t{0}; };
    const absl::Status refused = Deliver(*book_, targets, options).status();
    EXPECT_TRUE(absl::IsDataLoss(refused)) << refused;
    EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("erp " + which));
    EXPECT_TRUE(absl::IsDataLoss(ShowDue(*book_, targets, Instant{now_}).status()));
    EXPECT_TRUE(absl::IsDataLoss(RecordDeliveries(*book_))) << "the chain would believe it";
    EXPECT_THAT(sent_, IsEmpty());
    bool is_told = false;
    for (const Book::Check& check : book_->CheckStore()) {
      if (check.holds) continue;
      EXPECT_EQ(check.name, "deliveries");
      is_told = check.detail.find("erp " + which) != std::string::npos;
    }
    EXPECT_TRUE(is_told);
  }

  // One pass; what was sent in it, and "?us-1" where it was asked how far that is.
  std::vector<std::string> Pass() {
    sent_.clear();
    std::vector<EmitterOf> targets(1);
    targets[0].target = target_;
    auto emitter = std::make_unique<ScriptedEmitter>(&sent_, &script_, &finish_, can_be_asked_, ask_ ? &ask_ : nullptr);
    emitter->codes = codes_;
    emitter->repeats = repeats_;
    targets[0].emitter = std::move(emitter);
    targets[0].pace = pace_;
    DeliverOptions options;
    options.now_nanos = [this] { return now_; };
    options.catalog_directory = catalog_directory_;
    options.until_nanos = until_;
    options.reconcile = reconcile_;
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
  std::string catalog_directory_;
  std::optional<ReconcileOptions> reconcile_;
  Target target_;
  bool can_be_asked_ = true;
  std::string codes_;
  bool repeats_ = false;
  ScriptedEmitter::Script script_ = [](const std::string&) { return Confirmed(); };
  ScriptedEmitter::Script finish_ = [](const std::string&) { return Confirmed(); };
  ScriptedEmitter::Script ask_;  // before it is sent anything; none: it is not asked
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

// What fails goes behind what failed less, whatever its priority.
TEST_F(DeliverTest, AnEntitysPriorityIsTheOrderOfItsBatches) {
  target_.entity_priorities = {{"eu", Priority::kHigh}, {"uk", Priority::kLow}};
  Seal({"uk-1", "us-1"});
  Seal({"eu-1", "eu-2", "uk-2", "us-2"});
  script_ = [](const std::string& batch) { return batch == "eu-1" ? Unclear() : Confirmed(); };
  EXPECT_THAT(Pass(), ElementsAre("eu-1", "eu-2", "us-1", "us-2", "uk-1", "uk-2"));
  Seal({"uk-3"});
  After(2);
  EXPECT_THAT(Pass(), ElementsAre("uk-3", "eu-1"));
}

// However much of the higher there is, and however often the process is another: a pass of one delivery each.
TEST_F(DeliverTest, ALowPriorityHasItsTurnInTheShortestPasses) {
  target_.entity_priorities = {{"eu", Priority::kHigh}, {"uk", Priority::kLow}};
  Seal({"uk-1", "us-1"});
  std::vector<std::string> went;
  for (int i = 0; i < 12; ++i) {
    Seal({"eu-" + std::to_string(10 + i), "eu-" + std::to_string(50 + i)});  // two come for each one that goes
    Open();
    until_ = now_;
    for (const std::string& one : Pass()) went.push_back(one);
  }
  EXPECT_THAT(went, ElementsAre("eu-10", "eu-50", "eu-11", "us-1", "eu-51", "eu-12", "eu-52", "uk-1", "eu-13", "eu-53",
                                "eu-14", "eu-54"));
}

TEST_F(DeliverTest, ADryRunShowsThemInTheOrderInWhichTheyGo) {
  target_.entity_priorities = {{"eu", Priority::kHigh}};
  Seal({"us-1", "us-2"});
  until_ = now_;
  EXPECT_THAT(Pass(), ElementsAre("us-1"));
  Seal({"aa-1", "eu-1"});
  std::vector<EmitterOf> targets(1);
  targets[0].target = target_;
  targets[0].emitter = std::make_unique<ScriptedEmitter>(&sent_, &script_, &finish_, can_be_asked_);
  const absl::StatusOr<std::string> shown = ShowDue(*book_, targets, Instant{now_});
  ASSERT_TRUE(shown.ok()) << shown.status();
  std::vector<std::string> order;
  const std::string_view kHead = "# target erp, batch ";
  for (size_t at = shown->find(kHead); at != std::string::npos; at = shown->find(kHead, at)) {
    at += kHead.size();
    order.push_back(shown->substr(at, shown->find('\n', at) - at));
  }
  until_ = 0;
  EXPECT_THAT(order, ElementsAre("eu-1", "us-2", "aa-1"));
  EXPECT_EQ(Pass(), order);
}

// The law: the same key with another body is refused before the target sees it.
TEST_F(DeliverTest, AnotherBodyUnderAKeyIsNotSentToWhoCannotBeAsked) {
  Seal({"us-1"});
  codes_ = " 4000";
  script_ = [](const std::string&) { return Down(0); };
  EXPECT_THAT(Pass(), ElementsAre("us-1 4000"));
  After(2);
  Open();
  codes_ = " 4999";
  EXPECT_THAT(Pass(), IsEmpty());
  EXPECT_EQ(Of("us-1").state, DeliveryState::kParked);
  EXPECT_EQ(Of("us-1").problem, Problem::kDifferent);
  codes_ = " 4000";
  script_ = [](const std::string&) { return Confirmed(); };
  ByPerson("us-1", Event::kRetry);
  EXPECT_THAT(Pass(), ElementsAre("us-1 4000")) << "the same body may go again";
}

// A target that can be asked has the last word, and is told that it is another one.
TEST_F(DeliverTest, AnotherBodyUnderAKeyGoesOnlyWhereTheTargetHasNone) {
  target_.http.url = "https://erp.example";
  Seal({"us-1"});
  ask_ = [](const std::string&) { return Succeeded(Event::kNotThere, "", ""); };
  codes_ = " 4000";
  script_ = [](const std::string&) { return Unclear(); };
  EXPECT_THAT(Pass(), ElementsAre("us-1 4000"));
  codes_ = " 4999";
  ask_ = [](const std::string&) { return Failed(Event::kCannotAsk, Problem::kAvailability, "it is down"); };
  After(2);
  EXPECT_THAT(Pass(), IsEmpty()) << "nobody knows what it has";
  ask_ = [](const std::string&) { return Failed(Event::kDifferent, Problem::kDifferent, "it says something else"); };
  After(4);
  EXPECT_THAT(Pass(), IsEmpty());
  EXPECT_EQ(Of("us-1").state, DeliveryState::kParked);
  ask_ = [](const std::string&) { return Succeeded(Event::kNotThere, "", ""); };
  script_ = [](const std::string&) { return Confirmed(); };
  ByPerson("us-1", Event::kRetry);
  EXPECT_THAT(Pass(), ElementsAre("us-1 4999 (other)"));
  EXPECT_EQ(Of("us-1").sent_hash, HashOfBody("body 4999"));
}

// What may be at one place is neither looked for nor sent at another, of which a look-up there says nothing.
TEST_F(DeliverTest, WhatMayBeElsewhereIsNotSentAgain) {
  target_.kind = TargetKind::kSap;
  target_.http.url = "https://erp.example/";
  target_.companies = {{"us", "1010"}};
  struct Case {
    const char* name;
    ScriptedEmitter::Script script;
    std::function<void(Target&)> change;
    bool is_elsewhere;
  };
  const ScriptedEmitter::Script unclear = [](const std::string&) { return Unclear(); };
  const ScriptedEmitter::Script accepted = [](const std::string&) { return Succeeded(Event::kAccepted, "J", ""); };
  const ScriptedEmitter::Script down = [](const std::string&) { return Down(0); };
  const ScriptedEmitter::Script refused = [](const std::string&) {
    return Failed(Event::kRefused, Problem::kValidation, "no");
  };
  const auto company = [](Target& target) { target.companies["us"] = "1020"; };
  const auto url = [](Target& target) { target.http.url = "https://other.example"; };
  const Case cases[] = {
      {"unclear, another company", unclear, company, true},
      {"unclear, no company", unclear, [](Target& target) { target.companies.clear(); }, true},
      {"unclear, another system", unclear, url, true},
      {"unclear, the same in other words", unclear, [](Target& target) { target.http.url = "https://erp.example"; },
       false},
      {"unclear, another entity's company", unclear, [](Target& target) { target.companies["eu"] = "9"; }, false},
      {"accepted, another system", accepted, url, true},
      {"surely not there, another system", down, url, false},
      {"refused, another company", refused, company, false},
  };
  ask_ = [](const std::string&) { return Succeeded(Event::kNotThere, "", ""); };
  finish_ = [](const std::string&) { return Failed(Event::kStillRuns, Problem::kAmbiguous, "it runs"); };
  const Target first = target_;
  int number = 0;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const std::string batch = "us-" + std::to_string(++number);
    target_ = first;
    Seal({batch});
    script_ = c.script;
    EXPECT_THAT(Pass(), testing::Contains(batch));
    c.change(target_);
    script_ = [](const std::string&) { return Confirmed(); };
    if (Of(batch).state == DeliveryState::kParked) ByPerson(batch, Event::kRetry);
    After(4000);
    Open();
    const std::vector<std::string> sent = Pass();
    const Delivery delivery = Of(batch);
    if (!c.is_elsewhere) {
      EXPECT_EQ(delivery.state, DeliveryState::kConfirmed) << delivery.last_error;
      continue;
    }
    EXPECT_THAT(sent, IsEmpty()) << "neither asked nor sent";
    EXPECT_EQ(delivery.state, DeliveryState::kParked);
    EXPECT_EQ(delivery.problem, Problem::kConfiguration);
    EXPECT_THAT(delivery.last_error,
                testing::StartsWith("it was sent to company 1010 at https://erp.example and may be "
                                    "there, and targets.yaml has "));
    ByPerson(batch, Event::kRetry);
    EXPECT_THAT(Pass(), IsEmpty()) << "a retry changes nothing of that";
    EXPECT_EQ(Of(batch).state, DeliveryState::kParked);
    ByPerson(batch, Event::kSayNotPosted);
    EXPECT_THAT(Pass(), ElementsAre(batch)) << "somebody looked";
  }
}

// An earlier version forgot where, of what was accepted and never shown. Where it is looked for need not be the same.
TEST_F(DeliverTest, WhatMayBeWhereNobodyKnowsIsNotSentInOtherCodes) {
  target_.kind = TargetKind::kSap;
  target_.http.url = "https://erp.example/";
  target_.companies = {{"us", "1010"}};
  ask_ = [](const std::string&) { return Succeeded(Event::kNotThere, "", ""); };
  script_ = [](const std::string&) { return Unclear(); };
  codes_ = " 1010";
  Seal({"us-1"});
  EXPECT_THAT(Pass(), ElementsAre("us-1 1010"));
  Alter("us-1", [](Delivery* delivery) {
    delivery->state = DeliveryState::kParked;
    delivery->problem = Problem::kAmbiguous;
    delivery->may_be_there = false;
    delivery->sent_to.clear();
  });
  script_ = [](const std::string&) { return Confirmed(); };
  target_.companies = {{"us", "1020"}};
  codes_ = " 1020";
  for (int i = 0; i < 2; ++i) {
    ByPerson("us-1", Event::kRetry);
    EXPECT_THAT(Pass(), IsEmpty());
    EXPECT_EQ(Of("us-1").state, DeliveryState::kParked);
    EXPECT_EQ(Of("us-1").problem, Problem::kConfiguration);
    EXPECT_TRUE(Of("us-1").may_be_there);
  }
  target_.companies = {{"us", "1010"}};
  codes_ = " 1010";
  ByPerson("us-1", Event::kRetry);
  EXPECT_THAT(Pass(), ElementsAre("us-1 1010")) << "the target of then has the last word";
}

// Its goal is away for a while, and it is no other directory for that.
TEST_F(DeliverTest, ADirectoryBehindALinkThatLeadsNowhereIsWaitedFor) {
  namespace fs = std::filesystem;
  const fs::path root = fs::canonical(directory_.path());
  const fs::path goal = root / "mounted/out";
  fs::create_directories(goal);
  fs::create_directories(root / "catalog");
  fs::create_directory_symlink(root / "mounted", root / "catalog/link");
  target_.kind = TargetKind::kFiles;
  target_.directory = "link/out";
  catalog_directory_ = root / "catalog";
  int asked = 0;
  ask_ = [&](const std::string&) { return ++asked, Succeeded(Event::kNotThere, "", ""); };
  script_ = [](const std::string&) { return Unclear(); };
  Seal({"us-1"});
  EXPECT_THAT(Pass(), ElementsAre("us-1"));
  fs::rename(root / "mounted", root / "away");
  asked = 0;
  script_ = [](const std::string&) { return Confirmed(); };
  for (int i = 0; i < 2; ++i) {
    After(4000);
    EXPECT_THAT(Pass(), IsEmpty());
    EXPECT_EQ(Of("us-1").state, DeliveryState::kUncertain);
    EXPECT_EQ(Of("us-1").problem, Problem::kAvailability);
    EXPECT_EQ(Of("us-1").last_error, (root / "catalog/link").string() + " is a link to what cannot be reached");
    EXPECT_EQ(Of("us-1").sent_to, goal);
    EXPECT_TRUE(Of("us-1").may_be_there);
  }
  Seal({"us-2"});
  After(4000);
  EXPECT_THAT(Pass(), IsEmpty());
  EXPECT_EQ(asked, 0) << "what is not seen there may be";
  fs::rename(root / "away", root / "mounted");
  After(4000);
  EXPECT_THAT(Pass(), testing::UnorderedElementsAre("us-1", "us-2"));
  EXPECT_EQ(Count(DeliveryState::kConfirmed), 2u);

  fs::rename(root / "mounted", root / "away");
  reconcile_ = ReconcileOptions{now_, false};
  After(4000);
  Pass();
  EXPECT_EQ(Count(DeliveryState::kConfirmed), 2u) << "nobody says that they are gone";
  EXPECT_EQ(report_.targets[0].not_reconciled, "") << "it goes on by itself";
  EXPECT_EQ(report_.waiting, 2u);
}

// Books of earlier versions have the directory as targets.yaml had it.
TEST_F(DeliverTest, ADirectoryIsOnePlaceHoweverItIsWritten) {
  namespace fs = std::filesystem;
  const fs::path root = fs::canonical(directory_.path());
  const std::string catalog = root / "catalog", moved = root / "moved", out = root / "catalog/out";
  fs::create_directories(out);
  fs::create_directories(moved + "/out");
  fs::create_directory_symlink(out, catalog + "/link");
  target_.kind = TargetKind::kFiles;
  struct Case {
    const char* name;
    std::string stored;  // empty: as it is stored now
    std::string directory, catalog;
    bool is_elsewhere;
  };
  const Case cases[] = {
      {"as it was", "", "out", catalog, false},
      {"from the root", "", out, catalog, false},
      {"with steps", "", "../catalog/./out/", catalog, false},
      {"by a link", "", "link", catalog, false},
      {"from the root, of a catalog that was moved", "", out, moved, false},
      {"another", "", "other", catalog, true},
      {"the same word in a catalog that was moved", "", "out", moved, true},
      {"as it was, stored earlier", "out", "out", catalog, false},
      {"from the root, stored earlier", "out", out, catalog, false},
      {"as it was, stored earlier with steps", "./out/", "out", catalog, false},
      {"as it was, stored earlier from the root", out + "/", "out", catalog, false},
      {"another, stored earlier", "out", "other", catalog, true},
  };
  ask_ = [](const std::string&) { return Succeeded(Event::kNotThere, "", ""); };
  int number = 0;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const std::string batch = "us-" + std::to_string(++number);
    target_.directory = "out";
    catalog_directory_ = catalog;
    Seal({batch});
    script_ = [](const std::string&) { return Unclear(); };
    Pass();
    EXPECT_EQ(Of(batch).sent_to, out);
    if (!c.stored.empty()) Alter(batch, [&](Delivery* delivery) { delivery->sent_to = c.stored; });
    target_.directory = c.directory;
    catalog_directory_ = c.catalog;
    script_ = [](const std::string&) { return Confirmed(); };
    After(4000);
    Pass();
    EXPECT_EQ(Of(batch).state, c.is_elsewhere ? DeliveryState::kParked : DeliveryState::kConfirmed);
    EXPECT_EQ(Of(batch).problem, c.is_elsewhere ? Problem::kConfiguration : Problem::kNone) << Of(batch).last_error;
  }
}

// What was sent and may be there stays so, whatever comes of sending it again, but for the target's word on it.
TEST_F(DeliverTest, WhatMayBeThereIsNotForgottenForALaterSend) {
  repeats_ = true;
  target_.http.url = "https://hook.example";
  Attempt denied = Failed(Event::kRefused, Problem::kAuthentication, "forbidden");
  denied.is_denied = true;
  struct Case {
    const char* name;
    Attempt first, later;
    bool may_be_there;
  };
  const Attempt different = Failed(Event::kRefused, Problem::kDifferent, "another's");
  const Case cases[] = {
      {"unclear, down", Unclear(), Down(0), true},
      {"unclear, denied", Unclear(), denied, true},
      {"unclear, refused by us", Unclear(), RefusedHere(Problem::kValidation, "too old"), true},
      {"unclear, refused", Unclear(), Failed(Event::kRefused, Problem::kValidation, "no"), false},
      {"different, down", different, Down(0), true},
      {"down, down", Down(0), Down(0), false},
      {"denied, denied", denied, denied, false},
  };
  int number = 0;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const std::string batch = "us-" + std::to_string(++number);
    Seal({batch});
    script_ = [&](const std::string&) { return c.first; };
    Pass();
    for (int i = 0; i < 2; ++i) {
      if (Of(batch).state == DeliveryState::kParked) ByPerson(batch, Event::kRetry);
      script_ = [&](const std::string&) { return c.later; };
      After(4000);
      Open();
      EXPECT_THAT(Pass(), ElementsAre(batch));
      EXPECT_EQ(Of(batch).may_be_there, c.may_be_there);
    }
    EXPECT_EQ(Of(batch).sent_to.empty(), !c.may_be_there);
    script_ = [](const std::string&) { return Confirmed(); };
    if (Of(batch).state == DeliveryState::kParked) ByPerson(batch, Event::kRetry);
    After(4000);
    Pass();
    EXPECT_EQ(Of(batch).state, DeliveryState::kConfirmed);
    EXPECT_FALSE(Of(batch).may_be_there);
  }
}

// A draft of ours, or rows that wait for an import, may be left where what was accepted is refused in the end: only who
// knows that there is none says so.
TEST_F(DeliverTest, WhatIsRefusedAfterItWasAcceptedIsWhereItWasUnlessTheTargetSaysSo) {
  ask_ = [](const std::string&) { return Succeeded(Event::kNotThere, "", ""); };
  int number = 0;
  for (const bool is_nowhere : {false, true}) {
    SCOPED_TRACE(is_nowhere);
    const std::string batch = "us-" + std::to_string(++number);
    target_.http.url = "https://first.example";
    Seal({batch});
    script_ = [](const std::string&) { return Succeeded(Event::kAccepted, "J", ""); };
    finish_ = [&](const std::string&) {
      Attempt refused = Failed(Event::kRefused, Problem::kMapping, "line 2 has no account");
      refused.step.is_nowhere = is_nowhere;
      return refused;
    };
    Pass();
    ASSERT_EQ(Of(batch).state, DeliveryState::kParked);
    target_.http.url = "https://second.example";
    ByPerson(batch, Event::kRetry);
    script_ = [](const std::string&) { return Confirmed(); };
    Pass();
    EXPECT_EQ(Of(batch).state, is_nowhere ? DeliveryState::kConfirmed : DeliveryState::kParked);
    EXPECT_EQ(Of(batch).problem, is_nowhere ? Problem::kNone : Problem::kConfiguration);
  }
}

// Some of it is told where it was sent: the rest does not go elsewhere, though it is surely not there.
TEST_F(DeliverTest, AReportToldInPartStaysWhereItIs) {
  repeats_ = true;
  const char* kFirst = "https://first.example";
  Seal({"us-1"});
  Pass();
  int number = 0;
  for (const bool is_refused : {false, true}) {
    for (const char* told : {"told 1-3", "told none"}) {
      SCOPED_TRACE(told);
      const std::string report = UsageReportName(1, static_cast<uint32_t>(++number));
      target_.http.url = kFirst;
      const PlannedDelivery planned{"erp", report, "tb-" + report, "body"};
      ASSERT_TRUE(OutboxOf(*book_).Plan({&planned, 1}).ok());
      script_ = [&](const std::string&) {
        Attempt some = is_refused ? Failed(Event::kRefused, Problem::kValidation, "no") : Down(0);
        some.step.job = told;
        return some;
      };
      EXPECT_THAT(Pass(), ElementsAre(report));
      target_.http.url = "https://second.example";
      script_ = [](const std::string&) { return Confirmed(); };
      if (is_refused) ByPerson(report, Event::kRetry);
      After(4000);
      Open();
      if (told == std::string("told none")) {
        EXPECT_THAT(Pass(), ElementsAre(report));
        continue;
      }
      EXPECT_THAT(Pass(), IsEmpty());
      EXPECT_EQ(Of(report).problem, Problem::kConfiguration);
      EXPECT_THAT(Of(report).last_error, testing::StartsWith("it was sent to https://first.example"));
      target_.http.url = kFirst;
      ByPerson(report, Event::kRetry);
      EXPECT_THAT(Pass(), ElementsAre(report));
    }
  }
}

// What lets a caller in may stand in a webhook's path: its place is told apart by it, and it is not told.
TEST_F(DeliverTest, TheSecretOfAUrlIsNotInItsPlace) {
  target_.http.url = "https://hook.example:8443/in/canary-1";
  Seal({"us-1"});
  script_ = [](const std::string&) { return Unclear(); };
  Pass();
  target_.http.url = "https://hook.example:8443/in/canary-2";
  After(2);
  EXPECT_THAT(Pass(), IsEmpty());
  EXPECT_EQ(Of("us-1").state, DeliveryState::kParked);
  EXPECT_THAT(Of("us-1").last_error,
              testing::StartsWith("it was sent to https://hook.example:8443 (its path, hashed: "));
  EXPECT_THAT(Of("us-1").last_error, testing::Not(testing::HasSubstr("canary")));
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

// Refused for who asks: each is parked, and the others go, until that is so of five in a row.
TEST_F(DeliverTest, WhatIsDeniedIsParkedAndFiveInARowAreTheTargets) {
  const auto denied = [] {
    Attempt attempt = Failed(Event::kRefused, Problem::kAuthentication, "HTTP 403");
    attempt.is_denied = true;
    return attempt;
  };
  Seal({"us-1", "us-2", "us-3"});
  bool is_all = false;
  script_ = [&](const std::string& batch) { return is_all || batch == "us-1" ? denied() : Confirmed(); };
  EXPECT_THAT(Pass(), ElementsAre("us-1", "us-2", "us-3"));
  EXPECT_EQ(Of("us-1").state, DeliveryState::kParked);
  EXPECT_EQ(report_.waiting, 0u);
  is_all = true;
  Seal({"us-4", "us-5", "us-6", "us-7", "us-8", "us-9"});
  EXPECT_EQ(Pass().size(), 5u);
  EXPECT_EQ(Of("us-9").state, DeliveryState::kPending);
  EXPECT_EQ(DueInSeconds(), target_.retry_cap_seconds) << "each more of them is a person's work";
  After(target_.retry_cap_seconds);
  EXPECT_THAT(Pass(), ElementsAre("us-9"));
  is_all = false;
  After(target_.retry_cap_seconds);
  Seal({"us-10", "us-11"});
  EXPECT_THAT(Pass(), ElementsAre("us-10", "us-11")) << "one went well";
}

// What it asks for holds where nobody knows what it did, too.
TEST_F(DeliverTest, WhatATargetAsksForIsKeptWhenTheEndIsUnclear) {
  Seal({"us-1", "us-2"});
  script_ = [](const std::string&) {
    Attempt attempt = Unclear();
    attempt.wait_nanos = 60 * kSecond;
    attempt.pause_target = true;
    return attempt;
  };
  EXPECT_THAT(Pass(), ElementsAre("us-1"));
  EXPECT_EQ(DueInSeconds(), 60);
  After(59);
  Open();
  EXPECT_THAT(Pass(), IsEmpty());
  After(1);
  EXPECT_EQ(Pass().size(), 1u);
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

void Decide(Book& book, std::string_view after) {
  const Decision decision{DecisionKind::kTarget, "erp", "Ann", "looked there", "", std::string(after)};
  ASSERT_TRUE(CommitDecisions(book, {&decision, 1}).ok());
}

// By one who saw that it is held for these.
void Resume(Book& book, std::string_view before) {
  const Decision decision{DecisionKind::kTarget, "erp", "Ann", "done", std::string(before), std::string(kDelivering)};
  ASSERT_TRUE(CommitDecisions(book, {&decision, 1}).ok());
}

// Nobody can be asked what the book sent after its backup: a person looks there.
TEST_F(DeliverTest, ARestoredBookSendsNothingToWhoCannotBeAskedUntilSomebodySaysSo) {
  Seal({"us-1"});
  BackUp();
  EXPECT_THAT(Pass(), ElementsAre("us-1"));
  Restore("restored");
  Seal({"us-2"});
  EXPECT_THAT(Pass(), IsEmpty());
  EXPECT_EQ(Count(DeliveryState::kPending), 2u) << "planned, for a person to say what is there";
  EXPECT_EQ(report_.waiting, 0u) << "it does not go on by itself";
  ASSERT_TRUE(report_.targets[0].paused);
  EXPECT_TRUE(report_.targets[0].paused->by_restore);
  EXPECT_EQ(report_.targets[0].paused->by, "the restore of backup 1");
  ByPerson("us-1", Event::kSayPosted);
  Open();
  EXPECT_THAT(Pass(), IsEmpty()) << "kept over a restart";
  Decide(*book_, kDelivering);
  EXPECT_THAT(Pass(), ElementsAre("us-2"));

  BackUp();
  Restore("again");
  Seal({"us-3"});
  EXPECT_THAT(Pass(), IsEmpty()) << "what was said of the first restore is not said of the second";
}

// A resume of before the backup, and a pause of then.
TEST_F(DeliverTest, ARestoreHoldsWhoWasResumedOrPausedBefore) {
  Seal({"us-1"});
  Decide(*book_, kPaused);
  Decide(*book_, kDelivering);
  Decide(*book_, kPaused);
  BackUp();
  Restore("restored");
  EXPECT_THAT(Pass(), IsEmpty());
  ASSERT_TRUE(report_.targets[0].paused);
  EXPECT_THAT(
      ToString(*report_.targets[0].paused),
      testing::HasSubstr("by Ann since 2025-01-01T00:00:00Z: looked there; and by the restore of backup 1 since"));
  Resume(*book_, "paused");  // where targets.yaml was another one, the hold was not seen
  EXPECT_THAT(Pass(), IsEmpty());
  EXPECT_EQ(report_.targets[0].paused->by, "the restore of backup 1");
  Resume(*book_, "held since a restore");
  EXPECT_THAT(Pass(), ElementsAre("us-1"));
}

// One that saw both ends both.
TEST_F(DeliverTest, AResumeEndsARestoresHoldAndAPauseOfBefore) {
  Seal({"us-1"});
  Decide(*book_, kPaused);
  BackUp();
  Restore("restored");
  Resume(*book_, "paused; held since a restore");
  EXPECT_THAT(Pass(), ElementsAre("us-1"));
}

// Who pauses it since, and resumes that, where the hold was not seen (by another targets.yaml), says nothing of it.
TEST_F(DeliverTest, WhoResumesWhatWasPausedSinceARestoreDoesNotEndItsHold) {
  Seal({"us-1"});
  BackUp();
  Restore("restored");
  EXPECT_THAT(Pass(), IsEmpty());
  EXPECT_EQ(report_.targets[0].paused->by, "the restore of backup 1");
  Decide(*book_, kPaused);
  EXPECT_THAT(Pass(), IsEmpty());
  EXPECT_EQ(report_.targets[0].paused->by, "Ann");
  Resume(*book_, "paused");
  EXPECT_THAT(Pass(), IsEmpty());
  EXPECT_EQ(report_.targets[0].paused->by, "the restore of backup 1");
  Decide(*book_, kPaused);
  Resume(*book_, "paused; held since a restore");
  EXPECT_THAT(Pass(), ElementsAre("us-1"));
}

// Who is asked first goes on by itself, once nothing of the time before can be under way.
TEST_F(DeliverTest, ARestoredBookAsksWhenNothingCanBeUnderWay) {
  target_.kind = TargetKind::kTryton;
  target_.quiet_seconds = 60;
  Seal({"us-1"});
  BackUp();
  After(10);
  Restore("restored");
  After(10);
  EXPECT_THAT(Pass(), IsEmpty());
  EXPECT_EQ(DueInSeconds(), 50);
  After(49);
  EXPECT_THAT(Pass(), IsEmpty());
  After(1);
  EXPECT_THAT(Pass(), ElementsAre("us-1"));
}

// What a later seal books, a lost one of another number may have posted, under a key that nobody asks for: what is
// found is done, and what is not is for a person.
TEST_F(DeliverTest, ARestoredBookSendsNothingOfItsLaterSealsUntilSomebodySaysSo) {
  target_.kind = TargetKind::kTryton;
  std::string there = "us-2";
  ask_ = [&](const std::string& batch) { return batch == there ? Confirmed() : Succeeded(Event::kNotThere, "", ""); };
  Seal({"us-1"});
  BackUp();
  Restore("restored");
  Seal({"us-2", "us-3"});
  EXPECT_THAT(Pass(), ElementsAre("us-1")) << "the backup had it: its key is asked for";
  EXPECT_EQ(Count(DeliveryState::kConfirmed), 2u) << "one was found";
  EXPECT_EQ(Of("us-3").state, DeliveryState::kPending);
  EXPECT_EQ(report_.waiting, 0u) << "it does not go on by itself";
  ASSERT_TRUE(report_.targets[0].paused);
  EXPECT_TRUE(report_.targets[0].paused->by_restore);
  there = "us-3";
  EXPECT_THAT(Pass(), IsEmpty());
  EXPECT_EQ(Of("us-3").state, DeliveryState::kConfirmed) << "it came to be seen";
  Seal({"us-4"});
  EXPECT_THAT(Pass(), IsEmpty());
  Decide(*book_, kDelivering);
  EXPECT_THAT(Pass(), ElementsAre("us-4"));
  EXPECT_FALSE(report_.targets[0].paused);
}

// Of usage that is looked for while it is sent, likewise; accounts are told as they stand.
TEST_F(DeliverTest, ARestoreHoldsAllButAccountsInWholeOrInPart) {
  const auto restored = std::optional(Restored{kStart, 3});
  Pause by_restore;
  by_restore.by_restore = true;
  const auto is_held = [&](TargetKind kind, uint64_t seal, const Pause& pause) {
    Target target;
    target.kind = kind;
    return IsHeld(target, &pause, restored, seal);
  };
  EXPECT_TRUE(is_held(TargetKind::kWebhook, 2, by_restore));
  EXPECT_FALSE(is_held(TargetKind::kSap, 2, by_restore));
  EXPECT_TRUE(is_held(TargetKind::kSap, 3, by_restore));
  EXPECT_TRUE(is_held(TargetKind::kSap, 2, Pause{"Ann", "their month-end", kStart}));
  EXPECT_FALSE(IsHeld(target_, nullptr, restored, 3));
  Seal({"us-1"});
  BackUp();
  Restore("restored");
  std::vector<Target> targets(3);
  targets[0].name = "hook", targets[0].kind = TargetKind::kWebhook;
  targets[1].name = "erp", targets[1].kind = TargetKind::kSap;
  targets[2].name = "crm", targets[2].kind = TargetKind::kSalesforce;
  const auto held = *HeldTargets(*book_, std::vector<const Target*>{&targets[0], &targets[1], &targets[2]});
  EXPECT_EQ(held.size(), 2u);
  EXPECT_TRUE(held.contains("hook") && held.contains("erp"));
}

TEST(RestoreHold, KnowsWhoCanBeAskedByKey) {
  const auto is_looked_up = [](TargetKind kind, const char* key_field = "", uint32_t resend_after_seconds = 0) {
    Target target;
    target.kind = kind;
    target.key_field = key_field;
    target.resend_after_seconds = resend_after_seconds;
    return IsLookedUp(target);
  };
  for (const TargetKind kind : {TargetKind::kFiles, TargetKind::kWebhook, TargetKind::kStripe, TargetKind::kChargebee,
                                TargetKind::kMaxio, TargetKind::kZuora, TargetKind::kOracle}) {
    EXPECT_FALSE(is_looked_up(kind)) << Word(kind);
  }
  for (const TargetKind kind : {TargetKind::kTryton, TargetKind::kNetsuite, TargetKind::kDynamics, TargetKind::kSap,
                                TargetKind::kSalesforce, TargetKind::kGainsight, TargetKind::kTotango}) {
    EXPECT_TRUE(is_looked_up(kind)) << Word(kind);
  }
  EXPECT_TRUE(is_looked_up(TargetKind::kZuora, "Key__c"));
  EXPECT_TRUE(is_looked_up(TargetKind::kOracle, "", 3'600));
}

// The batch that a lost life of the book posted under the same name is never taken for another one.
TEST(WebhookKey, IsOfWhatItSaysSinceARestore) {
  EmitterContext context;
  context.with_secrets = false;
  Target target;
  target.kind = TargetKind::kWebhook;
  target.http.url = "https://hook.example";
  const std::unique_ptr<Emitter> emitter = *MakeEmitter(target, context);
  JournalBatch batch;
  batch.id = "us-2";
  batch.posting_key = "tb-us-2";
  batch.currency = *Currency::FromCode("USD");
  batch.lines = {{1, {"us", batch.currency, "2025-01", {20'089}, "api", "1200", "4000", ""}, 200, 1}};
  const PlannedDelivery plain = emitter->Make(batch), two = emitter->MakeSinceRestore(batch);
  const PlannedDelivery same = emitter->MakeSinceRestore(batch);
  batch.lines[0].minor = 800;
  const PlannedDelivery eight = emitter->MakeSinceRestore(batch);
  EXPECT_EQ(plain.key, "tb-us-2");
  EXPECT_NE(two.key, plain.key);
  EXPECT_NE(two.key, eight.key);
  EXPECT_EQ(two.key, same.key) << "what is said again is the same fact";
  EXPECT_EQ(two.body, same.body);
  EXPECT_THAT(two.body, testing::HasSubstr("\"id\":\"" + two.key + "\""));
  EXPECT_THAT(two.body, testing::HasSubstr("\"posting_key\":\"tb-us-2\"")) << "it is the journal's still";
}

// The outbox lies beside the chain of commits, which knows what ended.
TEST_F(DeliverTest, WhatTheChainHasAsEndedIsNotSentAgain) {
  Seal({"us-1", "us-2"});
  EXPECT_THAT(Pass(), ElementsAre("us-1", "us-2"));
  for (const DeliveryState state : {DeliveryState::kPending, DeliveryState::kRetryWait, DeliveryState::kUncertain,
                                    DeliveryState::kAccepted, DeliveryState::kSuperseded}) {
    SCOPED_TRACE(Word(state));
    const Delivery before = Of("us-2");
    Alter("us-2", [&](Delivery* delivery) { delivery->state = state; });
    ExpectDamaged("us-2");
    Alter("us-2", [&](Delivery* delivery) { *delivery = before; });
    EXPECT_THAT(Pass(), IsEmpty());
  }
  const Delivery before = Of("us-2");
  Alter("us-2", nullptr);
  ExpectDamaged("us-2");

  // A person says what is so.
  Alter("us-2", [&](Delivery* delivery) {
    *delivery = before;
    delivery->state = DeliveryState::kPending;
  });
  ByPerson("us-2", Event::kSayPosted);
  EXPECT_THAT(Pass(), IsEmpty());
  EXPECT_EQ(Count(DeliveryState::kConfirmed), 2u);
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
  target_.http.url = "https://erp.example";
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
  EXPECT_TRUE(Of("us-1").may_be_there);
  EXPECT_FALSE(Of("us-1").sent_to.empty()) << "it is asked for nowhere else";
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

// What a target confirmed is asked for again: the target is a table of what it has by then.
class ReconcileTest : public DeliverTest {
 protected:
  ReconcileTest() {
    ask_ = [this](const std::string& batch) {
      asked_.push_back(batch);
      const auto now = has_.find(batch);
      return now == has_.end() ? Succeeded(Event::kNotThere, "", "") : now->second;
    };
    script_ = [this](const std::string& batch) {
      has_[batch] = Succeeded(Event::kConfirmed, "", "D-" + batch);
      return has_[batch];
    };
  }
  // As a command of its own would; what was asked about.
  std::vector<std::string> Reconcile(bool again = false) {
    reconcile_ = ReconcileOptions{now_, again};
    return GoOn();
  }
  // The same command's next turn.
  std::vector<std::string> GoOn() {
    asked_.clear();
    EXPECT_THAT(Pass(), IsEmpty()) << "nothing is sent";
    return asked_;
  }
  void Deliver(const std::vector<std::string>& ids) {
    Seal(ids);
    reconcile_.reset();
    Pass();
    ASSERT_EQ(Count(State::kConfirmed), ids.size());
  }
  std::vector<Decision> Told() {
    std::vector<Decision> told;
    const absl::StatusOr<std::vector<DecisionCommit>> commits = Decisions(*book_);
    EXPECT_TRUE(commits.ok()) << commits.status();
    for (const DecisionCommit& commit : commits.ok() ? *commits : std::vector<DecisionCommit>()) {
      for (const Decision& decision : commit.decisions) told.push_back(decision);
    }
    return told;
  }
  using State = DeliveryState;
  static Attempt CannotAsk(bool of_target = false) {
    Attempt attempt = Failed(Event::kCannotAsk, Problem::kAvailability, "no answer");
    attempt.pause_target = of_target;
    return attempt;
  }

  std::map<std::string, Attempt> has_;
  std::vector<std::string> asked_;
};

TEST_F(ReconcileTest, WhatIsFoundAndEqualIsReconciledOnceAndTold) {
  Deliver({"us-1", "us-2"});
  EXPECT_THAT(Reconcile(), ElementsAre("us-1", "us-2"));
  EXPECT_EQ(Count(State::kReconciled), 2u);
  EXPECT_EQ(report_.targets[0].reconciled, 2u);
  EXPECT_EQ(report_.waiting, 0u);
  const std::vector<Decision> told = Told();
  ASSERT_EQ(told.size(), 4u);
  EXPECT_EQ(told[2].which, "erp us-1");
  EXPECT_EQ(told[2].before, "confirmed");
  EXPECT_EQ(told[2].after, "reconciled");
  EXPECT_EQ(told[2].why, "as D-us-1");
  After(60);
  EXPECT_THAT(Reconcile(), IsEmpty()) << "of what is reconciled nothing more is asked";
  EXPECT_EQ(Told().size(), 4u);
  for (const Book::Check& check : book_->CheckStore()) EXPECT_TRUE(check.holds) << check.name << check.detail;
}

TEST_F(ReconcileTest, AgainIsEachOnceMoreOfTheSameCommand) {
  Deliver({"us-1", "us-2"});
  Reconcile();
  After(60);
  EXPECT_THAT(Reconcile(true), ElementsAre("us-1", "us-2"));
  EXPECT_THAT(GoOn(), IsEmpty());
  EXPECT_EQ(Told().size(), 4u) << "that they still are is no news";
  has_.erase("us-2");
  After(60);
  Reconcile(true);
  EXPECT_EQ(Of("us-2").state, State::kParked) << "it was taken away since";
  EXPECT_EQ(Of("us-1").state, State::kReconciled);
}

TEST_F(ReconcileTest, WhatSaysSomethingElseOrIsGoneIsParkedForAPerson) {
  Deliver({"us-1", "us-2", "us-3", "us-4"});
  has_["us-1"] = Failed(Event::kDifferent, Problem::kDifferent, "it says 7.00");
  has_.erase("us-2");
  has_["us-3"] = Succeeded(Event::kAccepted, "J", "");  // a draft
  Reconcile();
  EXPECT_EQ(Count(State::kParked), 3u);
  EXPECT_EQ(Of("us-4").state, State::kReconciled) << "it is not held up";
  for (const char* batch : {"us-1", "us-2", "us-3"}) {
    SCOPED_TRACE(batch);
    EXPECT_EQ(RemedyOf(Of(batch).state, Of(batch).problem).owner, "finance");
  }
  EXPECT_EQ(Of("us-1").last_error, "it says 7.00");
  EXPECT_THAT(Of("us-2").last_error, testing::StartsWith("it was confirmed as D-us-2, and is not there any more"));
  EXPECT_THAT(Of("us-3").last_error, testing::HasSubstr("now is a draft there"));
  const std::vector<Decision> told = Told();
  const Decision& draft = told.at(told.size() - 2);
  EXPECT_EQ(draft.which, "erp us-3");
  EXPECT_EQ(draft.after, "parked");
  EXPECT_THAT(draft.why, testing::HasSubstr("now is a draft there")) << "and not what it was confirmed as";
  EXPECT_THAT(GoOn(), IsEmpty()) << "only a person goes on with them";

  // Whoever sends what is gone again says so.
  ByPerson("us-2", Event::kRetry);
  reconcile_.reset();
  EXPECT_THAT(Pass(), ElementsAre("us-2"));
  EXPECT_EQ(Of("us-2").state, State::kConfirmed);
}

TEST_F(ReconcileTest, WhatCannotBeAskedStaysAndSaysSo) {
  Deliver({"us-1", "us-2"});
  has_["us-1"] = CannotAsk();
  has_["us-2"] = Failed(Event::kRefused, Problem::kMapping, "no company of that name");
  EXPECT_THAT(Reconcile(), ElementsAre("us-1", "us-2"));
  EXPECT_EQ(Count(State::kConfirmed), 2u);
  EXPECT_EQ(report_.targets[0].not_reconciled, "1: no company of that name");
  EXPECT_EQ(report_.waiting, 1u) << "the one without an answer";
  EXPECT_EQ(DueInSeconds(), 2);
  EXPECT_THAT(GoOn(), IsEmpty());
  After(2);
  has_["us-1"] = Confirmed();
  EXPECT_THAT(GoOn(), ElementsAre("us-1")) << "the other is not asked for by the same command";
  has_["us-2"] = Confirmed();
  After(1);
  EXPECT_THAT(Reconcile(), ElementsAre("us-2"));
  EXPECT_EQ(Count(State::kReconciled), 2u);
  EXPECT_EQ(report_.targets[0].not_reconciled, "");
}

TEST_F(ReconcileTest, ATargetWithoutALookUpSaysSo) {
  Deliver({"us-1"});
  ask_ = nullptr;
  EXPECT_THAT(Reconcile(), IsEmpty());
  EXPECT_EQ(report_.targets[0].not_reconciled, "1: the target cannot be asked what it has of a delivery");
  EXPECT_EQ(Of("us-1").state, State::kConfirmed);
  EXPECT_EQ(report_.waiting, 0u);
}

TEST_F(ReconcileTest, WithOtherCodesThanThenNothingIsCompared) {
  Deliver({"us-1"});
  codes_ = "+";
  EXPECT_THAT(Reconcile(), IsEmpty());
  EXPECT_THAT(report_.targets[0].not_reconciled, testing::HasSubstr("other codes"));
  EXPECT_EQ(Of("us-1").state, State::kConfirmed);
}

TEST_F(ReconcileTest, WhatWasSentElsewhereIsNotCompared) {
  target_.http.url = "https://erp.example";
  Deliver({"us-1"});
  target_.http.url = "https://other.example";
  has_.erase("us-1");
  EXPECT_THAT(Reconcile(), IsEmpty()) << "that the other one has nothing of it says nothing";
  EXPECT_EQ(
      report_.targets[0].not_reconciled,
      "1: it was sent to https://erp.example, and targets.yaml has https://other.example now, so it is not compared");
  EXPECT_EQ(Of("us-1").state, State::kConfirmed);
}

TEST_F(ReconcileTest, KeepsToQuietTimePausesWindowsAndLimits) {
  target_.quiet_seconds = 30;
  Deliver({"us-1"});
  EXPECT_THAT(Reconcile(), IsEmpty()) << "a look-up may lag";
  EXPECT_EQ(report_.waiting, 1u);
  EXPECT_EQ(DueInSeconds(), 30);
  After(30);
  PostingWindow an_hour;
  an_hour.when.from_minute = 60;  // 01:00
  an_hour.when.to_minute = 120;
  target_.windows = {an_hour};
  EXPECT_THAT(GoOn(), IsEmpty());
  EXPECT_EQ(DueInSeconds(), 3600 - 30);
  After(3600 - 30);
  const Decision pause{DecisionKind::kTarget, "erp", "Ann", "month-end", "delivering", std::string(kPaused)};
  ASSERT_TRUE(CommitDecisions(*book_, {&pause, 1}).ok());
  EXPECT_THAT(GoOn(), IsEmpty());
  EXPECT_EQ(report_.waiting, 0u) << "it waits for a person";
  const Decision resume{DecisionKind::kTarget, "erp", "Ann", "done", std::string(kPaused), "delivering"};
  ASSERT_TRUE(CommitDecisions(*book_, {&resume, 1}).ok());
  EXPECT_THAT(GoOn(), ElementsAre("us-1"));
}

TEST_F(ReconcileTest, ATargetThatIsDownIsAskedOnce) {
  Deliver({"us-1", "us-2", "us-3"});
  for (auto& [batch, now] : has_) now = CannotAsk(true);
  EXPECT_THAT(Reconcile(), ElementsAre("us-1"));
  EXPECT_THAT(GoOn(), IsEmpty());
  EXPECT_EQ(report_.waiting, 3u);
  After(2);
  for (auto& [batch, now] : has_) now = Confirmed();
  EXPECT_THAT(GoOn(), ElementsAre("us-2", "us-3", "us-1"));
  EXPECT_EQ(Count(State::kReconciled), 3u);
}

// Each is a step of its own, synced: what is reconciled by then stays so.
TEST_F(ReconcileTest, GoesOnInTheMiddleAfterARestart) {
  Deliver({"us-1", "us-2", "us-3"});
  until_ = now_;  // over at once, and yet each turn asks about one
  EXPECT_THAT(Reconcile(), ElementsAre("us-1"));
  EXPECT_TRUE(report_.cut_short);
  book_.reset();
  Open();
  After(1);
  until_ = 0;
  EXPECT_THAT(Reconcile(), ElementsAre("us-2", "us-3"));
  EXPECT_EQ(Count(State::kReconciled), 3u);
}

}  // namespace
}  // namespace tollbook
