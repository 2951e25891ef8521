// Verify in depth: one amount or one total that is off by the least there is, is named, with what it should be. And
// reconcile: the step that it makes unequal says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "ledger/bytes.h"
#include "ledger/difference_run.h"
#include "ledger/outbox.h"
#include "ledger/store.h"
#include "pipeline/absorb_again.h"
#include "pipeline/seal.h"
#include "pipeline/verify.h"
#include "tests/pipeline/small_book.h"
#include "tests/pipeline/unit_priced_texts.h"

namespace tollbook {

static bool operator==(const Unlike& a, const Unlike& b) {
  return std::tie(a.of, a.what, a.when, a.anew, a.stored) == std::tie(b.of, b.what, b.when, b.anew, b.stored);
}
static void PrintTo(const Unlike& unlike, std::ostream* out) {
  *out << unlike.of << " | " << unlike.what << " | " << unlike.when << " | " << unlike.anew << " | " << unlike.stored;
}

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

CatalogTexts TwoMeters() {
  CatalogTexts::Meter calls;
  calls.name = calls.event_type = "calls";
  calls.aggregation = "sum";
  calls.value = "value";
  calls.dimensions = {"region"};
  CatalogTexts::Meter users = calls;
  users.name = "users";
  users.aggregation = "unique_count";
  return UnitPricedTexts({calls, users}, {"s1", "s2"});
}

EventText Event(const std::string& id, const std::string& subject, const std::string& value) {
  EventText event;
  event.id = id;
  event.type = "calls";
  event.subject = subject;
  event.time = "2025-01-02T12:00:00Z";
  event.value = value;
  event.labels = {{"region", "eu"}};
  return event;
}

class VerifyDeepTest : public testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<Catalog> parsed = Parse(TwoMeters());
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    catalog_ = *std::move(parsed);
    const std::string first = ToJson(Event("e1", "s1", "7")), second = ToJson(Event("e2", "s2", "30"));
    paths_ = {files_.Write("b.ndjson", first + "\n" + first + "\nnothing\n"), files_.Write("a.ndjson", second + "\n")};
    ASSERT_TRUE(Absorb(*book_, catalog_, Inputs({paths_[0]}), {}).ok());
    ASSERT_TRUE(Absorb(*book_, catalog_, Inputs({paths_[1]}), {}).ok());
    const absl::StatusOr<SealReport> sealed = Seal(*book_, catalog_, {});
    ASSERT_TRUE(sealed.ok()) << sealed.status();
  }

  // All that differs, law by law.
  std::vector<Unlike> Unalike() const {
    std::vector<Unlike> all;
    for (const LawCheck& check : Verify(*book_, 2, {.every_charge = true})) {
      EXPECT_TRUE(check.unlike.empty() || !check.holds) << check.name;
      all.insert(all.end(), check.unlike.begin(), check.unlike.end());
    }
    return all;
  }

  absl::StatusOr<std::vector<LawCheck>> Again(const std::vector<std::string>& paths) {
    const TemporaryDirectory scratch(WhereSyncsAreQuick());
    return AbsorbAgain(*book_, catalog_, Inputs(paths), {}, scratch.path());
  }
  std::string WhyNotAgain(const std::vector<std::string>& paths) {
    return std::string(Std(Again(paths).status().message()));
  }

  absl::StatusOr<std::vector<LawCheck>> StandingChecks() {
    const TemporaryDirectory scratch(WhereSyncsAreQuick());
    return AbsorbSourcesAgain(*book_, catalog_, {}, scratch.path());
  }
  // What is said of each check, all of which hold.
  std::vector<std::string> Standing() {
    const absl::StatusOr<std::vector<LawCheck>> checks = StandingChecks();
    EXPECT_TRUE(checks.ok()) << checks.status();
    std::vector<std::string> details;
    for (const LawCheck& check : checks.ok() ? *checks : std::vector<LawCheck>()) {
      EXPECT_TRUE(check.holds) << check.detail;
      details.push_back(check.detail);
    }
    return details;
  }

  void Remove(const std::string& name) { std::filesystem::remove(files_.path() + "/" + name); }

  // A unit to what the first total of s1's calls says.
  void AddToTotals() {
    const std::string seven("\x09\x0e", 2), eight("\x09\x10", 2);  // one event, whole units
    int altered = 0;
    for (int shard = 0; shard < kTotalShards; ++shard) {
      const absl::StatusOr<std::vector<StoredRun>> runs = book_->Totals(shard);
      ASSERT_TRUE(runs.ok());
      if (runs->empty()) continue;
      std::string bytes = runs->front().bytes;
      const size_t at = bytes.find(seven);
      if (at == std::string::npos) continue;
      bytes.replace(at, seven.size(), eight);
      Alter(Family::kTotals, "", shard, runs->front().sequence, bytes);
      ++altered;
    }
    ASSERT_EQ(altered, 1);
  }

  // So many cents to what a seal booked of s1's calls.
  void AddToDifference(uint64_t seal, int cents) {
    const absl::StatusOr<std::vector<SealRecord>> seals = book_->Seals();
    ASSERT_TRUE(seals.ok());
    const uint64_t sequence = seals->at(seal - 1).sequence;
    int altered = 0;
    for (int shard = 0; shard < kTotalShards; ++shard) {
      const absl::StatusOr<std::vector<StoredRun>> runs = book_->Differences(shard);
      ASSERT_TRUE(runs.ok());
      for (const StoredRun& run : *runs) {
        if (run.sequence != sequence) continue;
        DifferenceRunReader reader(run.bytes);
        DifferenceRunWriter writer;
        std::vector<LineRef> lines;
        std::string_view subject;
        uint32_t count = 0;
        bool is_s1 = false;
        while (reader.NextSubject(&subject, &count)) {
          writer.BeginSubject(subject, count);
          Difference difference;
          for (uint32_t i = 0; i < count && reader.Next(&difference); ++i) {
            const bool is_it = subject == "s1" && difference.key.place->charge == "calls";
            is_s1 = is_s1 || is_it;
            writer.Add(difference.key, difference.minor + (is_it ? cents : 0), static_cast<uint32_t>(lines.size()));
            lines.push_back(difference.line);
          }
        }
        if (!is_s1) continue;
        Alter(Family::kJournal, "difference/", shard, sequence, writer.Finish(lines));
        ++altered;
      }
    }
    ASSERT_EQ(altered, 1);
  }

  // The steps of reconcile that do not agree: "booked 2025-01".
  std::vector<std::string> Unequal() const {
    const absl::StatusOr<std::vector<ReconcileRow>> rows = Reconcile(*book_, 2);
    EXPECT_TRUE(rows.ok()) << rows.status();
    std::vector<std::string> steps;
    for (const ReconcileRow& row : rows.ok() ? *rows : std::vector<ReconcileRow>()) {
      if (!row.equal) steps.push_back(row.step + (row.period.empty() ? "" : " " + row.period));
    }
    return steps;
  }

  // Usage of s1 in February, and a seal.
  void SealFebruary(const SealOptions& options) {
    EventText event = Event("e3", "s1", "5");
    event.time = "2025-02-02T12:00:00Z";
    ASSERT_TRUE(Absorb(*book_, catalog_, Inputs({files_.Write("february.ndjson", ToJson(event) + "\n")}), {}).ok());
    const absl::StatusOr<SealReport> sealed = Seal(*book_, catalog_, options);
    ASSERT_TRUE(sealed.ok()) << sealed.status();
  }

  // The value that the family has under a shard's key, changed.
  void Alter(Family family, std::string_view prefix, int shard, uint64_t sequence, const std::string& value) {
    ByteWriter key;
    key.Raw(prefix);
    key.Fixed8(static_cast<uint8_t>(shard));
    key.Fixed64(sequence);
    book_.Change([&](const std::string& directory) {
      absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory, StoreAccess::kWhole);
      ASSERT_TRUE(store.ok());
      std::unique_ptr<StoreWrite> write = (*store)->NewWrite(0);
      write->Put(family, key.bytes(), value);
      ASSERT_TRUE((*store)->Write(std::move(write)).ok());
    });
  }

  Catalog catalog_;
  TemporaryDirectory files_{WhereSyncsAreQuick()};
  std::vector<std::string> paths_;
  SmallBook book_;
};

TEST_F(VerifyDeepTest, ARightBookIsRight) {
  EXPECT_THAT(Unalike(), IsEmpty());
  const absl::StatusOr<std::vector<LawCheck>> again = Again({paths_[1], paths_[0]});
  ASSERT_TRUE(again.ok()) << again.status();
  ASSERT_EQ(again->size(), 2u);
  EXPECT_TRUE(again->at(0).holds && again->at(1).holds);
  EXPECT_EQ(again->at(0).detail, "2 events are accepted, as in the book");
  EXPECT_EQ(again->at(1).detail, "4 totals, as their sources say");
}

TEST_F(VerifyDeepTest, ABookedAmountOneCentOffIsNamed) {
  AddToDifference(1, 1);
  EXPECT_THAT(Unalike(),
              ElementsAre(Unlike{"s1", "starter calls", "2025-01-01 to 2025-01-31", "0.70 USD", "0.71 USD"}));
}

TEST_F(VerifyDeepTest, ATotalOneUnitOffIsNamedByItsWorthAndByItsSource) {
  AddToTotals();
  EXPECT_THAT(Unalike(),
              ElementsAre(Unlike{"s1", "starter calls", "2025-01-01 to 2025-01-31", "0.80 USD", "0.70 USD"}));
  const absl::StatusOr<std::vector<LawCheck>> again = Again(paths_);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->at(0).holds);
  EXPECT_FALSE(again->at(1).holds);
  EXPECT_THAT(again->at(1).unlike,
              ElementsAre(Unlike{"s1", "calls region=eu", "2025-01-02", "7 in 1 event", "8 in 1 event"}));
}

TEST_F(VerifyDeepTest, APriceOfAnotherCatalogIsNamed) {
  CatalogTexts texts = TwoMeters();
  texts.charges[1].price = "0.25";
  const absl::StatusOr<Catalog> dearer = Parse(texts);
  ASSERT_TRUE(dearer.ok()) << dearer.status();
  std::vector<Unlike> all;
  for (const LawCheck& check : Verify(*book_, 2, {true, &*dearer})) {
    EXPECT_EQ(check.holds, check.law != 3) << check.name;
    all.insert(all.end(), check.unlike.begin(), check.unlike.end());
  }
  EXPECT_THAT(all, ElementsAre(Unlike{"s1", "starter users", "2025-01-01 to 2025-01-31", "0.25 USD", "0.10 USD"},
                               Unlike{"s2", "starter users", "2025-01-01 to 2025-01-31", "0.25 USD", "0.10 USD"}));
}

TEST_F(VerifyDeepTest, WhatWasBookedToOtherAccountsIsNamed) {
  CatalogTexts texts = TwoMeters();
  texts.postings[0].credit = "1200";
  texts.postings[0].debit = "4000";
  const absl::StatusOr<Catalog> moved = Parse(texts);
  ASSERT_TRUE(moved.ok()) << moved.status();
  const std::vector<LawCheck> checks = Verify(*book_, 2, {true, &*moved});
  const auto worth = std::ranges::find(checks, 3, &LawCheck::law);
  EXPECT_THAT(worth->unlike, testing::Contains(Unlike{"s1", "starter calls", "2025-01-01 to 2025-01-31", "0.70 USD",
                                                      "0.70 USD, otherwise from 2025-01-02 on"}));
}

TEST_F(VerifyDeepTest, InputsThatAreNotTheSourcesAreRefused) {
  EXPECT_THAT(WhyNotAgain({paths_[0]}), HasSubstr("a source of the book is not among the inputs: " + paths_[1]));
  const std::string other = files_.Write("other.ndjson", ToJson(Event("e3", "s1", "1")) + "\n");
  EXPECT_THAT(WhyNotAgain({paths_[0], paths_[1], other}), HasSubstr("an input was never absorbed: " + other));
  files_.Write("a.ndjson", ToJson(Event("e2", "s2", "31")) + "\n");
  EXPECT_THAT(WhyNotAgain(paths_), HasSubstr("a source is not what the book has absorbed: " + paths_[1]));
}

// Without inputs: what is there is compared, and what is not is said. Each subject whose usage may come from what is
// missing is left out; a wrong total of any other is still found.
TEST_F(VerifyDeepTest, SourcesThatAreGoneAreSaidAndTheOthersCompared) {
  EXPECT_THAT(Standing(), ElementsAre("2 sources, as they were absorbed", "2 events are accepted, as in the book",
                                      "4 totals, as their sources say"));
  Remove("a.ndjson");  // of s2
  const std::string gone =
      "1 of 2 sources are there as absorbed; not there: " + paths_[1] + ": a source of the usage is gone";
  EXPECT_THAT(Standing(), ElementsAre(gone, "1 event is accepted, as in the book",
                                      "2 totals, as their sources say; not compared: 1 subject"));
  const absl::StatusOr<std::vector<LawCheck>> checks = StandingChecks();
  ASSERT_TRUE(checks.ok()) << checks.status();
  EXPECT_THAT(checks->front().not_there, ElementsAre(testing::Pair(paths_[1], "a source of the usage is gone")));
  files_.Write("a.ndjson", ToJson(Event("e2", "s2", "31")) + "\n");
  EXPECT_THAT(Standing().front(), HasSubstr("a.ndjson: a source of the usage was changed since it was absorbed"));
  Remove("b.ndjson");
  Remove("a.ndjson");
  EXPECT_THAT(Standing(), ElementsAre(HasSubstr("0 of 2 sources are there as absorbed; not there: ")));
}

TEST_F(VerifyDeepTest, AFileThatHasGrownIsReadAsFarAsItWasAbsorbed) {
  const std::string second = ToJson(Event("e2", "s2", "30")) + "\n";
  files_.Write("a.ndjson", second + ToJson(Event("e3", "s2", "5")) + "\n");
  EXPECT_THAT(Standing(), ElementsAre("2 sources, as they were absorbed", "2 events are accepted, as in the book",
                                      "4 totals, as their sources say"));
}

TEST_F(VerifyDeepTest, AWrongTotalIsFoundByTheSourcesThatAreThere) {
  AddToTotals();
  Remove("a.ndjson");
  const absl::StatusOr<std::vector<LawCheck>> checks = StandingChecks();
  ASSERT_TRUE(checks.ok()) << checks.status();
  EXPECT_TRUE(checks->at(1).holds);
  EXPECT_FALSE(checks->at(2).holds);
  EXPECT_THAT(checks->at(2).unlike,
              ElementsAre(Unlike{"s1", "calls region=eu", "2025-01-02", "7 in 1 event", "8 in 1 event"}));
  // Of its own source nobody can say.
  files_.Write("a.ndjson", ToJson(Event("e2", "s2", "30")) + "\n");
  Remove("b.ndjson");
  EXPECT_THAT(Standing().back(), HasSubstr("2 totals, as their sources say; not compared: 1 subject"));
}

// The event that was counted is in a file that is gone. Its twin of another subject is in one that is there, and is in
// conflict still; what is held stays held.
TEST_F(VerifyDeepTest, ConflictsAndHeldLinesAreNoFalseAlarm) {
  EventText conflict = Event("e2", "s3", "4"), held = Event("h1", "s4", "1");
  held.type = "disk";
  const std::string own = ToJson(Event("e5", "s3", "1")), fourth = ToJson(Event("e6", "s4", "1"));
  const std::string c = files_.Write("c.ndjson", ToJson(conflict) + "\n" + own + "\n" + ToJson(held) + "\n" + fourth);
  ASSERT_TRUE(Absorb(*book_, catalog_, Inputs({c}), {}).ok());
  ASSERT_EQ(book_->counts().conflict, 1u);
  ASSERT_EQ(book_->counts().held, 1u);
  EXPECT_THAT(Standing().back(), "8 totals, as their sources say") << "all is there";
  Remove("a.ndjson");
  EXPECT_THAT(Standing().back(), "6 totals, as their sources say; not compared: 1 subject");
}

// It counts what came since it was there; its sources have more.
TEST_F(VerifyDeepTest, AMeterThatWasAddedLaterHasWhatCameSince) {
  CatalogTexts texts = TwoMeters();
  CatalogTexts::Meter largest = texts.meters[0];
  largest.name = "largest";
  largest.aggregation = "max";
  texts.meters.push_back(largest);
  catalog_ = *Parse(texts);
  EXPECT_THAT(Standing().back(), "4 totals, as their sources say");
  const std::string late = files_.Write("late.ndjson", ToJson(Event("e7", "s1", "9")) + "\n");
  ASSERT_TRUE(Absorb(*book_, catalog_, Inputs({late}), {}).ok());
  EXPECT_THAT(Standing().back(), "6 totals, as their sources say");
}

// A cent more in January and one less in February are no cent in all, and show in each.
TEST_F(VerifyDeepTest, ReconcileSaysInWhichMonthADifferenceIsOff) {
  SealFebruary({});
  EXPECT_THAT(Unequal(), IsEmpty());
  AddToDifference(1, 1);
  EXPECT_THAT(Unequal(), ElementsAre("worth, rounded 2025-01", "booked 2025-01", "sealed 2025-01"));
  AddToDifference(2, -1);
  EXPECT_THAT(Unequal(), ElementsAre("worth, rounded 2025-01", "booked 2025-01", "worth, rounded 2025-02",
                                     "booked 2025-02", "sealed 2025-01", "sealed 2025-02"));
}

TEST_F(VerifyDeepTest, ReconcileSaysThatASourceCountsOtherwise) {
  const absl::StatusOr<std::vector<SourceRecord>> sources = book_->Sources();
  ASSERT_TRUE(sources.ok());
  SourceRecord source = sources->front();
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
  EXPECT_THAT(Unequal(), ElementsAre("lines read", "accepted"));
}

// What is on its way is explained; what may or may not have arrived is not.
TEST_F(VerifyDeepTest, ReconcileSaysThatADeliveryIsUnclear) {
  const PlannedDelivery planned{"erp", "acme-us-USD-2025-01-0001", "tb-1", "body"};
  ASSERT_TRUE(OutboxOf(*book_).Plan({&planned, 1}).ok());
  EXPECT_THAT(Unequal(), IsEmpty());
  Delivery delivery = OutboxOf(*book_).Deliveries()->front();
  ASSERT_TRUE(OutboxOf(*book_).Step({}, &delivery).ok());
  book_.Reopen();
  EXPECT_THAT(Unequal(), ElementsAre("delivered to erp 2025-01"));
}

// Parked alone explains: the target will not take it. Not where it may be there, or the target has something else.
TEST_F(VerifyDeepTest, ReconcileSaysThatWhatIsParkedMayBeThereOrIsDifferent) {
  Outbox& outbox = OutboxOf(*book_);
  const PlannedDelivery planned[] = {{"bank", "acme-us-USD-2025-01-0001", "tb-1", "body"},
                                     {"erp", "acme-us-USD-2025-01-0001", "tb-1", "body"},
                                     {"hub", "acme-us-USD-2025-01-0001", "tb-1", "body"}};
  ASSERT_TRUE(outbox.Plan(planned).ok());
  const auto go = [&](const std::string& target, DeliveryEvent event, DeliveryProblem problem) {
    Delivery delivery = **outbox.Find(target, "acme-us-USD-2025-01-0001");
    DeliveryStep step;
    step.event = event;
    step.problem = problem;
    ASSERT_TRUE(outbox.Step(step, &delivery).ok());
  };
  go("bank", DeliveryEvent::kSend, DeliveryProblem::kNone);
  go("bank", DeliveryEvent::kRefused, DeliveryProblem::kValidation);
  EXPECT_THAT(Unequal(), IsEmpty());
  go("erp", DeliveryEvent::kDifferent, DeliveryProblem::kDifferent);
  go("hub", DeliveryEvent::kSend, DeliveryProblem::kNone);
  go("hub", DeliveryEvent::kUnclear, DeliveryProblem::kAmbiguous);
  go("hub", DeliveryEvent::kRefused, DeliveryProblem::kAmbiguous);
  EXPECT_THAT(Unequal(), ElementsAre("delivered to erp 2025-01", "delivered to hub 2025-01"));
  std::vector<std::string> why;
  const absl::StatusOr<std::vector<ReconcileRow>> rows = Reconcile(*book_, 2);
  ASSERT_TRUE(rows.ok()) << rows.status();
  for (const ReconcileRow& row : *rows) {
    if (row.what == "sealed = confirmed") why.push_back(row.explained.substr(row.explained.find(' ') + 1));
  }
  EXPECT_THAT(why, ElementsAre("parked", "parked, different there", "parked, may be there"));
}

// Usage behind the day of the seal is in the totals, too, and all of it is accounted for.
TEST_F(VerifyDeepTest, ReconcileCountsTheUsageBehindASealsDay) {
  const std::string late = ToJson(Event("e4", "s1", "1"));
  ASSERT_TRUE(Absorb(*book_, catalog_, Inputs({files_.Write("late.ndjson", late + "\n")}), {}).ok());
  SealOptions january;
  january.through = ParseDay("2025-01-31");
  SealFebruary(january);
  const absl::StatusOr<std::vector<ReconcileRow>> rows = Reconcile(*book_, 2);
  ASSERT_TRUE(rows.ok()) << rows.status();
  const auto events = std::ranges::find_if(*rows, [](const ReconcileRow& row) { return row.step == "metered events"; });
  ASSERT_NE(events, rows->end());
  EXPECT_EQ(events->left, "8") << "four events, each of two meters";
  EXPECT_TRUE(events->equal);
  EXPECT_THAT(Unequal(), IsEmpty());
}

}  // namespace
}  // namespace tollbook
