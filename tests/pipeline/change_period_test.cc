// What scenarios cannot say of accounting periods: who and why, the lists, the audit log, and what a broken book shows.
#include "pipeline/change_period.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "ledger/bytes.h"
#include "ledger/outbox.h"
#include "ledger/store.h"
#include "pipeline/audit.h"
#include "pipeline/posting_periods.h"
#include "pipeline/seal.h"
#include "pipeline/verify.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/small_book.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Event = DeliveryEvent;
using Problem = DeliveryProblem;

CatalogTexts Texts(const std::string& policy) {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", "", policy}};
  CatalogTexts::Meter meter;
  meter.name = "api.calls";
  meter.aggregation = "sum";
  meter.value = "value";
  texts.meters = {meter};
  texts.plans = {{"starter", "USD"}};
  CatalogTexts::Charge charge;
  charge.plan = "starter";
  charge.name = "calls";
  charge.meter = "api.calls";
  charge.product = "api";
  charge.model = "per_unit";
  charge.price = "1";
  texts.charges = {charge};
  texts.postings = {{"", "", "1200", "4000"}};
  texts.subscriptions = {{"s1", "starter", "acme-us", "USD", "2025-01-01", "", "", ""}};
  return texts;
}

class ChangePeriodTest : public testing::Test {
 protected:
  explicit ChangePeriodTest(const std::string& policy = "late_usage: refuse") : catalog_(*Parse(Texts(policy))) {}

  void Use(const std::string& id, const std::string& value, const std::string& time) {
    const std::string line =
        ToJson({.id = id, .type = "api.calls", .subject = "s1", .time = time, .value = value, .labels = {}}) + "\n";
    ASSERT_TRUE(Absorb(*book_, catalog_, Inputs({book_.Write(id + ".ndjson", line)}), {}).ok());
  }
  SealReport Sealed() { return *Seal(*book_, catalog_, {1, std::nullopt}); }
  absl::StatusOr<PeriodChange> Change(PeriodAction action, std::vector<std::string> waive = {}) {
    return ChangePeriod(*book_, catalog_, {action, "acme-us", "2025-01", "Ann", "the month is done", waive}, 1);
  }
  // Sealed, and closed.
  void CloseJanuary() {
    Use("k1", "4", "2025-01-20T00:00:00Z");
    ASSERT_EQ(Sealed().batches.size(), 1u);
    ASSERT_TRUE(Change(PeriodAction::kClose).ok());
  }

  SmallBook book_;
  const Catalog catalog_;
};

TEST_F(ChangePeriodTest, NobodyAndNothingAreNoNameAndNoReason) {
  PeriodOrder order{PeriodAction::kClose, "acme-us", "2025-01", "", "the month is done", {}};
  EXPECT_THAT(std::string(Std(ChangePeriod(*book_, catalog_, order, 1).status().message())),
              HasSubstr("nobody is named: --by"));
  order.by = "Ann";
  order.why = "";
  EXPECT_THAT(std::string(Std(ChangePeriod(*book_, catalog_, order, 1).status().message())),
              HasSubstr("no reason is given: --why"));
  EXPECT_EQ(book_->last_sequence(), 0u) << "nothing was written";
}

TEST_F(ChangePeriodTest, ARefusalWritesNothingAndTellsTheCommandThatMendsIt) {
  Use("k1", "4", "2025-01-20T00:00:00Z");
  const uint64_t before = book_->last_sequence();
  const absl::Status refused = Change(PeriodAction::kClose).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_EQ(std::string(Std(refused.message())),
            "acme-us 2025-01 cannot be closed: unsealed: 1 difference, 4.00 USD: seal them with `tollbook seal "
            "--through 2025-01-31`");
  EXPECT_EQ(book_->last_sequence(), before);
}

TEST_F(ChangePeriodTest, TheListShowsStateChangeAndWhatWaits) {
  CloseJanuary();
  Use("k2", "2", "2025-01-21T00:00:00Z");
  Use("k3", "8", "2025-02-21T00:00:00Z");
  const SealReport sealed = Sealed();
  ASSERT_EQ(sealed.waiting.size(), 1u);
  EXPECT_EQ(ToString(sealed.waiting[0].sum, sealed.waiting[0].currency), "1 difference, 2.00 USD");
  std::vector<std::string> rows;
  const absl::StatusOr<std::vector<PeriodRow>> listed = Periods(*book_, catalog_, 1);
  ASSERT_TRUE(listed.ok()) << listed.status();
  for (const PeriodRow& row : *listed) {
    rows.push_back(row.entity + " " + row.period.name + " " + std::string(ToString(row.state)) + " " +
                   std::to_string(row.batches) + " " + (row.last_change ? row.last_change->by : "-") + " " +
                   std::to_string(row.waiting.size()));
  }
  EXPECT_THAT(rows, ElementsAre("acme-us 2025-01 closed 1 Ann 1", "acme-us 2025-02 open 1 - 0"));
}

TEST_F(ChangePeriodTest, TheAuditLogTellsWhatWasDecidedInOrder) {
  CloseJanuary();
  ASSERT_TRUE(Change(PeriodAction::kReopen).ok());
  Use("k2", "2", "2025-01-21T00:00:00Z");
  ASSERT_TRUE(Change(PeriodAction::kSoftClose).ok());
  ASSERT_TRUE(Seal(*book_, catalog_, {1, std::nullopt, "Bea", "an accrual"}).ok());
  std::vector<std::string> rows;
  const AuditLog log = *Audit(*book_);
  for (const AuditRow& row : log.rows) {
    const std::string after = row.what == "catalog" ? std::string() : row.after;
    rows.push_back(std::to_string(row.commit) + " " + row.what + " " + row.which + " " + row.by + "|" + row.before +
                   "|" + after);
  }
  EXPECT_THAT(rows, ElementsAre("2 catalog seal 1 ||", "2 seal seal 1 ||1 difference in 1 batch",
                                "3 period acme-us 2025-01 Ann|open|closed", "4 period acme-us 2025-01 Ann|closed|open",
                                "6 period acme-us 2025-01 Ann|open|soft_closed",
                                "7 adjusting seal seal 2 Bea||1 difference in 1 batch"));
  EXPECT_EQ(log.commits, 7u);
  EXPECT_EQ(log.chain_hash, ToHex(book_->Commits()->back().hash));
}

// What a delivery went through, and what was wrong in the end.
struct Went {
  std::string target;
  std::vector<Event> events;
  Problem problem = Problem::kNone;
};

class DeliveriesInTheWayTest : public ChangePeriodTest {
 protected:
  explicit DeliveriesInTheWayTest(const std::string& policy = "late_usage: refuse") : ChangePeriodTest(policy) {
    Use("k1", "4", "2025-01-20T00:00:00Z");
    Use("k2", "8", "2025-02-20T00:00:00Z");
    EXPECT_EQ(Sealed().batches.size(), 2u);
  }

  // `entities` and `first_period`: whose a report is, and of when.
  void Deliver(const std::string& batch, const Went& went, const std::vector<std::string>& entities = {},
               const std::string& first_period = "") {
    Outbox& outbox = OutboxOf(*book_);
    const PlannedDelivery planned{went.target, batch, "key of " + batch, "body", entities, first_period};
    ASSERT_TRUE(outbox.Plan({&planned, 1}).ok());
    Delivery delivery = **outbox.Find(went.target, batch);
    for (const Event event : went.events) {
      DeliveryStep step;
      step.event = event;
      step.problem = event == went.events.back() ? went.problem : Problem::kNone;
      ASSERT_TRUE(outbox.Step(step, &delivery).ok()) << went.target;
    }
  }
  void Say(const std::string& target, const std::string& batch, Event event) {
    Delivery delivery = **OutboxOf(*book_).Find(target, batch);
    DeliveryStep step;
    step.event = event;
    ASSERT_TRUE(OutboxOf(*book_).Step(step, &delivery).ok());
  }

  // "uncertain: erp": what stands in the way of closing the period, in the order of names.
  std::vector<std::string> InTheWay(const std::string& name = "2025-01") {
    book_.Reopen();  // the process that sent has ended
    const AccountingPeriod period = *PostingPeriods::Make(*book_, catalog_)->Find("acme-us", name);
    const absl::StatusOr<std::vector<CloseObstacle>> found = CloseObstacles(*book_, catalog_, "acme-us", period, 1);
    EXPECT_TRUE(found.ok()) << found.status();
    std::vector<std::string> texts;
    for (const CloseObstacle& obstacle : *found) {
      EXPECT_FALSE(obstacle.waivable) << obstacle.kind;
      texts.push_back(obstacle.kind + ": " + obstacle.what);
    }
    return texts;
  }

  const std::string january_ = "acme-us-USD-2025-01-0001", february_ = "acme-us-USD-2025-02-0001";
};

// What is on its way, was refused, is there, or must not go, is in nobody's way.
TEST_F(DeliveriesInTheWayTest, AreThoseThatMayBeThereOrAreDifferentThere) {
  const std::vector<Went> kInNobodysWay = {
      {"planned", {}},
      {"down", {Event::kSend, Event::kNotApplied}, Problem::kAvailability},
      {"refused", {Event::kSend, Event::kRefused}, Problem::kValidation},
      {"runs", {Event::kSend, Event::kAccepted}},
      {"confirmed", {Event::kSend, Event::kConfirmed}},
      {"superseded", {Event::kSend, Event::kUnclear, Event::kSaySuperseded}},
  };
  for (const Went& went : kInNobodysWay) Deliver(january_, went);
  EXPECT_THAT(InTheWay(), IsEmpty());
  const std::vector<Went> kInTheWay = {
      {"again", {Event::kSend, Event::kUnclear, Event::kMayRepeat}},
      {"changed", {Event::kSend, Event::kConfirmed, Event::kDifferent}, Problem::kDifferent},
      {"gone", {Event::kSend, Event::kConfirmed, Event::kNotThere}, Problem::kDifferent},
      {"killed", {Event::kSend}},
      {"occupied", {Event::kDifferent}, Problem::kDifferent},
      {"parked", {Event::kSend, Event::kUnclear, Event::kRefused}, Problem::kAmbiguous},
      {"unclear", {Event::kSend, Event::kUnclear}, Problem::kAmbiguous},
  };
  for (const Went& went : kInTheWay) Deliver(january_, went);
  EXPECT_THAT(InTheWay(), ElementsAre("different: " + january_ + " to changed is not there as it was sent",
                                      "different: " + january_ + " to gone is not there as it was sent",
                                      "different: " + january_ + " to occupied is not there as it was sent",
                                      "uncertain: " + january_ + " to again may or may not have arrived",
                                      "uncertain: " + january_ + " to killed may or may not have arrived",
                                      "uncertain: " + january_ + " to parked may or may not have arrived",
                                      "uncertain: " + january_ + " to unclear may or may not have arrived"));
}

TEST_F(DeliveriesInTheWayTest, AreOfThePeriodOrOneBeforeIt) {
  Deliver(february_, {"erp", {Event::kSend}});
  EXPECT_THAT(InTheWay(), IsEmpty());
  EXPECT_THAT(InTheWay("2025-02"), ElementsAre("uncertain: " + february_ + " to erp may or may not have arrived"));
  Deliver(january_, {"erp", {Event::kSend}});
  EXPECT_THAT(InTheWay("2025-02"),
              ElementsAre("uncertain: 2 deliveries to erp may or may not have arrived, first " + january_));
}

TEST_F(DeliveriesInTheWayTest, MayBeReports) {
  Deliver("usage:0001-001", {"usage", {Event::kSend}}, {"acme-eu", "acme-us"}, "2025-01");
  Deliver("usage:0002-001", {"usage of February", {Event::kSend}}, {"acme-us"}, "2025-02");
  Deliver("usage:0003-001", {"usage of others", {Event::kSend}}, {"acme-eu"}, "2025-01");
  Deliver("accounts:0001-001", {"accounts", {Event::kSend}}, {"acme-us"}, "2025-01");
  Deliver("event:000003-001", {"events", {Event::kSend}}, {"acme-us"}, "2025-01");
  Deliver("event:000004-001", {"events of nobody", {Event::kSend}});
  EXPECT_THAT(InTheWay(), ElementsAre("uncertain: accounts:0001-001 to accounts may or may not have arrived",
                                      "uncertain: event:000003-001 to events may or may not have arrived",
                                      "uncertain: event:000004-001 to events of nobody may or may not have arrived",
                                      "uncertain: usage:0001-001 to usage may or may not have arrived"));
  EXPECT_EQ(InTheWay("2025-02").size(), 5u);
}

TEST_F(DeliveriesInTheWayTest, LeaveItWhenSomebodySaysWhatTheyAre) {
  Deliver(january_, {"bank", {Event::kDifferent}, Problem::kDifferent});
  Deliver(january_, {"erp", {Event::kSend, Event::kUnclear, Event::kRefused}, Problem::kAmbiguous});
  Deliver(january_, {"hub", {Event::kSend, Event::kUnclear}, Problem::kAmbiguous});
  EXPECT_EQ(std::string(Std(Change(PeriodAction::kClose).status().message())),
            "acme-us 2025-01 cannot be closed: different: acme-us-USD-2025-01-0001 to bank is not there as it was "
            "sent: `tollbook deliveries show bank acme-us-USD-2025-01-0001` says why; mend it there and `tollbook "
            "deliveries retry bank acme-us-USD-2025-01-0001`, or say what holds with `tollbook deliveries resolve bank "
            "acme-us-USD-2025-01-0001`\n"
            "acme-us 2025-01 cannot be closed: uncertain: acme-us-USD-2025-01-0001 to erp may or may not have arrived: "
            "look whether it is there, and say so with `tollbook deliveries resolve erp acme-us-USD-2025-01-0001`\n"
            "acme-us 2025-01 cannot be closed: uncertain: acme-us-USD-2025-01-0001 to hub may or may not have arrived: "
            "run `tollbook post`, which asks, or say what is there with `tollbook deliveries resolve hub "
            "acme-us-USD-2025-01-0001`");
  EXPECT_TRUE(absl::IsInvalidArgument(Change(PeriodAction::kClose, {"different"}).status())) << "not by the way";
  Say("bank", january_, Event::kSaySuperseded);
  Say("erp", january_, Event::kSayPosted);
  Say("hub", january_, Event::kSayNotPosted);
  EXPECT_TRUE(Change(PeriodAction::kClose).ok());
}

class FiscalDeliveriesInTheWayTest : public DeliveriesInTheWayTest {
 protected:
  FiscalDeliveriesInTheWayTest() : DeliveriesInTheWayTest("fiscal_calendar: {periods: month, year_starts: 07-01}") {}
};

// Reports name a month, whatever the entity's calendar.
TEST_F(FiscalDeliveriesInTheWayTest, AreOfThePeriodThatTheMonthBeginsIn) {
  Deliver("usage:0001-001", {"january", {Event::kSend}}, {"acme-us"}, "2025-01");
  Deliver("usage:0002-001", {"february", {Event::kSend}}, {"acme-us"}, "2025-02");
  EXPECT_THAT(InTheWay("FY2025-P06"), IsEmpty());
  EXPECT_THAT(InTheWay("FY2025-P07"), ElementsAre("uncertain: usage:0001-001 to january may or may not have arrived"));
  EXPECT_EQ(InTheWay("FY2025-P08").size(), 2u);
}

// A count that the sources do not bear out.
TEST_F(ChangePeriodTest, WhatDoesNotReconcileIsInTheWay) {
  Use("k1", "4", "2025-01-20T00:00:00Z");
  ASSERT_EQ(Sealed().batches.size(), 1u);
  SourceRecord source = book_->Sources()->front();
  ++source.counts.lines;
  ++source.counts.accepted;
  book_.Change([&](const std::string& directory) {
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory, StoreAccess::kWhole);
    ASSERT_TRUE(store.ok());
    ByteWriter key;
    key.Raw("source/");
    key.Fixed64(source.id);
    std::unique_ptr<StoreWrite> write = (*store)->NewWrite(0);
    write->Put(Family::kDefault, key.bytes(), Encode(source));
    ASSERT_TRUE((*store)->Write(std::move(write)).ok());
  });
  EXPECT_EQ(std::string(Std(Change(PeriodAction::kClose).status().message())),
            "acme-us 2025-01 cannot be closed: unreconciled: 2 steps do not agree, first lines read: sources = book: 2 "
            "and 1: see `tollbook reconcile` and `tollbook verify`");
}

LawCheck CheckOf(const Book& book, int law) {
  for (LawCheck& check : Verify(book, 1)) {
    if (check.law == law) return check;
  }
  return {};
}

TEST_F(ChangePeriodTest, VerifySaysWhatWaits) {
  CloseJanuary();
  Use("k2", "2", "2025-01-21T00:00:00Z");
  Use("k3", "8", "2025-02-21T00:00:00Z");
  ASSERT_EQ(Sealed().batches.size(), 1u);
  EXPECT_TRUE(CheckOf(*book_, 3).holds);
  EXPECT_EQ(CheckOf(*book_, 3).detail,
            "2 charges as of seal 2; but for what waits, as acme-us 2025-01 was closed: 1 difference, 2.00 USD");
  EXPECT_TRUE(CheckOf(*book_, 8).holds);
  EXPECT_EQ(CheckOf(*book_, 8).detail, "1 changes of periods, 2 batches");
  // Opened again, and not sealed since: the law is of what the newest seal saw.
  ASSERT_TRUE(Change(PeriodAction::kReopen).ok());
  EXPECT_TRUE(CheckOf(*book_, 3).holds);
}

// A batch in a period that was closed before its seal: no flow of ours makes one.
TEST_F(ChangePeriodTest, VerifyFindsABatchInAClosedPeriod) {
  CloseJanuary();
  SealCommit seal;
  seal.record.number = book_->next_seal();
  seal.record.catalog_digest = catalog_.digest;
  seal.catalog_files = catalog_.files();
  const LineKey key{"acme-us", *Currency::FromCode("USD"), "2025-01", {20'110}, "api", "1200", "4000", ""};
  seal.batches = Summarise({{key, {100, 1}}}, book_->identity().name, seal.record.number).batches;
  ASSERT_TRUE(book_->CommitSeal(seal).ok());
  EXPECT_FALSE(CheckOf(*book_, 8).holds);
  EXPECT_EQ(CheckOf(*book_, 8).detail, "acme-us-USD-2025-01-0002 was booked when its period was closed");
}

// An amount that is neither booked nor waits for a period is still found.
TEST_F(ChangePeriodTest, VerifyStillFindsAWrongAmount) {
  CloseJanuary();
  Use("k2", "2", "2025-02-21T00:00:00Z");
  SealCommit seal;
  seal.record.number = book_->next_seal();
  seal.record.catalog_digest = catalog_.digest;
  seal.catalog_files = catalog_.files();
  ASSERT_TRUE(book_->CommitSeal(seal).ok());
  EXPECT_FALSE(CheckOf(*book_, 3).holds);
}

}  // namespace
}  // namespace tollbook
