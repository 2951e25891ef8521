// AccountFacts: how accounts stand, in numbers that can be worked out by hand.
#include "pipeline/account_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/seal.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/small_book.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Calls at 0.10, and 5.00 a month for the account's second subscription.
CatalogTexts Texts() {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", ""}};
  texts.postings = {{"", "", "1200", "4000", false}};
  texts.meters = {{"api.calls", "", "sum", "value", "", {}, false, {}}};
  texts.plans = {{"starter", "USD"}, {"team", "USD"}};
  CatalogTexts::Charge calls;
  calls.name = "calls";
  calls.meter = "api.calls";
  calls.product = "api";
  calls.model = "per_unit";
  calls.price = "0.10";
  for (const char* plan : {"starter", "team"}) {
    calls.plan = plan;
    texts.charges.push_back(calls);
  }
  CatalogTexts::Charge seat;
  seat.plan = "team";
  seat.name = "seat";
  seat.product = "seats";
  seat.model = "fee";
  seat.price = "5";
  seat.more = "due: arrears";
  texts.charges.push_back(seat);
  texts.subscriptions.push_back({"s1", "starter", "acme-us", "USD", "2025-01-01", "", "", ""});
  texts.subscriptions.push_back({"s2", "team", "acme-us", "USD", "2025-01-01", "", "", ""});
  for (auto& subscription : texts.subscriptions) subscription.account = "acme";
  texts.subscriptions.push_back({"t1", "starter", "acme-us", "USD", "2025-01-01", "", "", ""});
  texts.subscriptions.back().account = "t1";
  return texts;
}

Target Crm(const std::vector<const char*>& facts) {
  Target target;
  target.name = "crm";
  target.kind = TargetKind::kSalesforce;
  target.same_ids = true;
  for (const char* fact : facts) {
    target.fields.push_back(*ParseAccountFact(fact));
    target.fields.back().field = fact;
  }
  return target;
}

class AccountFacts : public testing::Test {
 protected:
  void Absorb(const char* subject, const char* day, const char* calls) {
    const std::string id = std::to_string(++events_);
    const std::string line =
        ToJson({id, "gateway", "api.calls", subject, std::string(day) + "T08:00:00Z", calls, {}}) + "\n";
    ASSERT_TRUE(tollbook::Absorb(*book_, *Parse(texts_), Inputs({book_.Write(id + ".ndjson", line)}), {}).ok());
  }
  void Seal(const char* through) {
    SealOptions options;
    options.through = ParseDay(through);
    const absl::StatusOr<SealReport> sealed = tollbook::Seal(*book_, *Parse(texts_), options);
    ASSERT_TRUE(sealed.ok()) << sealed.status();
  }
  // "acme 2025-02 110 30"
  std::vector<std::string> Told(const Target& target) const {
    AccountStandings standings(*book_, 1);
    return Rows(standings.RecordsFor(target));
  }
  static std::vector<std::string> Rows(const absl::StatusOr<std::vector<AccountRecord>>& records) {
    if (!records.ok()) return {std::string(Std(records.status().message()))};
    std::vector<std::string> rows;
    for (const AccountRecord& record : *records) {
      rows.push_back(record.id);
      for (const AccountValue& value : record.values) {
        rows.back() += " " + (value.kind == AccountValue::Kind::kNothing ? "nothing" : value.text);
      }
    }
    return rows;
  }

  SmallBook book_;
  CatalogTexts texts_ = Texts();
  int events_ = 0;
};

TEST_F(AccountFacts, AreOfTheMonthOfTheSealsDay) {
  const Target crm = Crm({"month", "usage/calls", "usage_before/team/calls", "spend/USD", "spend_before/USD"});
  EXPECT_THAT(Told(crm), IsEmpty()) << "nothing is sealed";
  Absorb("s1", "2025-01-10", "80");
  Absorb("s2", "2025-01-20", "30.5");
  Absorb("t1", "2025-01-20", "7");
  Seal("2025-01-31");
  // Calls of 8.00 and 3.05, and the fee of January.
  EXPECT_THAT(Told(crm), ElementsAre("acme 2025-01 110.5 0 16.05 0.00", "t1 2025-01 7 0 0.70 0.00"));
  Absorb("s2", "2025-02-03", "10");
  Seal("2025-02-15");
  EXPECT_THAT(Told(crm), ElementsAre("acme 2025-02 10 30.5 1.00 16.05", "t1 2025-02 0 0 0.00 0.70"));
  Absorb("s1", "2025-01-11", "1");
  Seal("2025-02-15");
  EXPECT_EQ(Told(crm)[0], "acme 2025-02 10 30.5 1.00 16.15") << "late usage";
}

TEST_F(AccountFacts, ASubscriptionsOwnAreApart) {
  Target crm = Crm({"usage/calls", "spend/USD"});
  crm.per_subscription = true;
  Absorb("s1", "2025-01-10", "80");
  Absorb("s2", "2025-01-20", "30");
  Seal("2025-01-30");
  EXPECT_THAT(Told(crm), ElementsAre("s1 80 8.00", "s2 30 3.00"));
}

// 10 a month, of which 4 go on: January burns 3 and leaves 7, so February has 14. The fee of s2 is not paid by it.
TEST_F(AccountFacts, GrantsAreRefilledAndEndByTheCalendar) {
  const Target crm = Crm({"spend/USD", "credit_used/USD", "overage/USD", "granted/USD", "credit_left/USD"});
  texts_.grants = {"monthly,s1,10.00,USD,credits,2025-01-01,,0,1 month,4.00,,",
                   "short,s1,100.00,USD,credits,2025-02-10,2025-02-12,1,,,,"};
  Absorb("s1", "2025-01-10", "30");
  Absorb("t1", "2025-01-10", "1");
  Seal("2025-01-31");
  EXPECT_THAT(Told(crm), ElementsAre("acme 8.00 3.00 5.00 10.00 7.00", "t1 0.10 0.00 0.00 0.00 0.00"));
  Absorb("s1", "2025-02-11", "250");
  Seal("2025-02-11");
  EXPECT_EQ(Told(crm)[0], "acme 25.00 25.00 0.00 110.00 89.00") << "14 of the first, 11 of the second";
  Absorb("s1", "2025-02-12", "5");
  Seal("2025-02-12");
  EXPECT_EQ(Told(crm)[0], "acme 25.50 25.00 0.50 10.00 0.00") << "the second has ended, and nothing is left";
}

TEST_F(AccountFacts, AGrantThatNobodyUsedIsAllLeft) {
  texts_.grants = {"prepaid,s1,10.00,USD,credits,2025-01-01"};
  Absorb("t1", "2025-01-10", "1");
  Seal("2025-01-31");
  EXPECT_THAT(Told(Crm({"granted/USD", "credit_left/USD", "overage/USD", "credit_left/EUR"})),
              ElementsAre("acme 10.00 10.00 5.00 0.00", "t1 0.00 0.00 0.00 0.00"))
      << "it does not pay the fee of s2";
}

TEST_F(AccountFacts, WithoutATargetOfJournalsNothingIsPosted) {
  Absorb("t1", "2025-01-10", "1");
  Seal("2025-01-30");
  Target crm = Crm({"posting_status", "posted_at"});
  EXPECT_THAT(Told(crm), ElementsAre("t1 none nothing"));
  Target archive;
  archive.name = "archive";
  crm.poster = std::make_shared<Target>(archive);
  EXPECT_THAT(Told(crm), ElementsAre("t1 pending nothing"));
  archive.from = "2025-02";
  crm.poster = std::make_shared<Target>(archive);
  EXPECT_THAT(Told(crm), ElementsAre("t1 none nothing")) << "its batches are none of that target's";
}

TEST_F(AccountFacts, EntitiesAndMonthsThatAreNoneOfIts) {
  Absorb("t1", "2025-01-10", "1");
  Seal("2025-01-30");
  Target crm = Crm({"spend/USD"});
  crm.from = "2025-02";
  EXPECT_THAT(Told(crm), IsEmpty());
  crm.from = "2025-01";
  EXPECT_THAT(Told(crm), ElementsAre("t1 0.10"));
  crm.entities = {"acme-eu"};
  EXPECT_THAT(Told(crm), IsEmpty());
}

TEST_F(AccountFacts, TheBookIsRatedOnceForAllTargetsAndASeal) {
  texts_.entities.push_back({"acme-eu", "USD", ""});
  texts_.subscriptions.back().entity = "acme-eu";
  texts_.grants = {"prepaid,s1,10.00,USD,credits,2025-01-01"};
  Absorb("s1", "2025-01-10", "80");
  Absorb("s2", "2025-01-20", "30");
  Absorb("t1", "2025-01-20", "7");
  Seal("2025-01-31");
  std::vector<Target> targets = {Crm({"month", "usage/calls", "spend/USD"}), Crm({"credit_left/USD", "spend/USD"}),
                                 Crm({"posting_status", "spend/USD"}), Crm({"usage/calls"}), Crm({"usage/calls"})};
  targets[1].per_subscription = true;
  targets[2].poster = std::make_shared<Target>(Target());
  targets[3].entities = {"acme-eu"};
  targets[4].from = "2025-02";
  const std::vector<std::vector<std::string>> want = {{"acme 2025-01 110 16.00", "t1 2025-01 7 0.70"},
                                                      {"s1 2.00 8.00", "s2 0.00 8.00", "t1 0.00 0.70"},
                                                      {"acme pending 16.00", "t1 pending 0.70"},
                                                      {"t1 7"},
                                                      {}};
  AccountStandings standings(*book_, 2);
  for (int again = 0; again < 2; ++again) {
    for (size_t i = 0; i < targets.size(); ++i) {
      EXPECT_EQ(Rows(standings.RecordsFor(targets[i])), want[i]) << i;
      EXPECT_EQ(Told(targets[i]), want[i]) << i << ": as alone";
    }
  }
  EXPECT_EQ(standings.times_rated(), 1);
  Absorb("t1", "2025-01-21", "1");
  Seal("2025-01-31");
  EXPECT_THAT(Rows(standings.RecordsFor(targets[3])), ElementsAre("t1 8"));
  EXPECT_THAT(Rows(standings.RecordsFor(targets[0])), ElementsAre("acme 2025-01 110 16.00", "t1 2025-01 8 0.80"));
  EXPECT_EQ(standings.times_rated(), 2) << "once more, for the newer seal";
}

// 100.00 a month of s1's and t1's calls, of which January used 8.00 and 120.00, at twice the price above it; and 60.00
// of all that team comes to, from the 16th on, which is 31.00 for January.
TEST_F(AccountFacts, SpendStandsAgainstCommitments) {
  texts_.charges[0].more = "commitment: {amount: 100, overage_factor: 2, true_up: true}";
  texts_.plans[1].more = "minimum: {amount: 60.0625, product: seats}";
  texts_.subscriptions[1].from = "2025-01-16";
  const std::vector<const char*> facts = {
      "committed/calls",   "committed_spend/calls",        "committed_left/starter/calls",
      "committed/minimum", "committed_spend/team/minimum", "committed_left/minimum"};
  Absorb("s1", "2025-01-10", "80");
  Absorb("s2", "2025-01-20", "30");
  Absorb("t1", "2025-01-20", "1200");
  Seal("2025-01-30");
  EXPECT_THAT(Told(Crm(facts)),
              ElementsAre("acme 100.00 8.00 92.00 31.00 3.00 28.00", "t1 100.00 140.00 0.00 nothing nothing nothing"));
  Target orders = Crm(facts);
  orders.per_subscription = true;
  EXPECT_THAT(Told(orders),
              ElementsAre("s1 100.00 8.00 92.00 nothing nothing nothing", "s2 nothing nothing nothing 31.00 3.00 28.00",
                          "t1 100.00 140.00 0.00 nothing nothing nothing"));
  // The month's last day: the true-up, the fee and the minimum are due.
  Seal("2025-01-31");
  EXPECT_EQ(Told(Crm(facts))[0], "acme 100.00 100.00 0.00 31.00 5.58 25.42");
  // A new month, of which they have used nothing.
  Absorb("t1", "2025-02-01", "1");
  Seal("2025-02-01");
  EXPECT_EQ(Told(Crm(facts))[0], "acme 100.00 0.00 100.00 60.06 0.00 60.06");
  EXPECT_THAT(Told(Crm({"spend/USD"})), ElementsAre("acme 0.00", "t1 0.10"));
}

TEST_F(AccountFacts, CommitmentsInTwoCurrenciesAreNotAdded) {
  texts_.plans.push_back({"europe", "EUR"});
  texts_.charges.push_back(texts_.charges[0]);
  texts_.charges.back().plan = "europe";
  texts_.charges[0].more = "commitment: {amount: 100}";
  texts_.charges.back().more = "commitment: {amount: 90}";
  texts_.subscriptions.push_back({"s3", "europe", "acme-us", "EUR", "2025-01-01", "", "", ""});
  texts_.subscriptions.back().account = "acme";
  Absorb("s1", "2025-01-10", "80");
  Absorb("s3", "2025-01-10", "80");
  Seal("2025-01-30");
  EXPECT_THAT(Told(Crm({"committed/calls"}))[0],
              HasSubstr("commitments of one name are in several currencies: calls: EUR and USD: map plan/charge"));
  EXPECT_THAT(Told(Crm({"committed/starter/calls", "committed/europe/calls"})),
              ElementsAre("acme 100.00 90.00", "t1 100.00 nothing"));
}

// s1's account spans two entities, so its grant and s1's are told to who is told of both; what its lines paid is each
// one's own.
TEST_F(AccountFacts, GrantsAreToldToWhoIsToldOfAllThatMayUseThem) {
  texts_.entities.push_back({"acme-eu", "USD", ""});
  texts_.subscriptions[1].entity = "acme-eu";
  texts_.grants = {"shared,,100.00,USD,credits,2025-01-01,,,,,,,acme", "own,t1,10.00,USD,credits,2025-01-01"};
  Absorb("s1", "2025-01-10", "80");
  Absorb("s2", "2025-01-20", "30");
  Absorb("t1", "2025-01-20", "7");
  Seal("2025-01-30");
  Target crm = Crm({"spend/USD", "credit_used/USD", "granted/USD", "credit_left/USD"});
  EXPECT_THAT(Told(crm), ElementsAre("acme 11.00 11.00 100.00 89.00", "t1 0.70 0.70 10.00 9.30"));
  crm.entities = {"acme-us"};
  EXPECT_THAT(Told(crm), ElementsAre("acme 8.00 8.00 0.00 0.00", "t1 0.70 0.70 10.00 9.30"));
  crm.entities = {"acme-eu"};
  EXPECT_THAT(Told(crm), ElementsAre("acme 3.00 3.00 0.00 0.00"));
}

TEST_F(AccountFacts, AGrantOfAnotherEntitysAccountIsNotTold) {
  texts_.entities.push_back({"acme-eu", "USD", ""});
  texts_.subscriptions.back().entity = "acme-eu";
  texts_.grants = {"shared,,100.00,USD,credits,2025-01-01,,,,,,,acme"};
  Absorb("t1", "2025-01-20", "7");
  Seal("2025-01-30");
  Target crm = Crm({"spend/USD", "granted/USD"});
  crm.entities = {"acme-eu"};
  EXPECT_THAT(Told(crm), ElementsAre("t1 0.70 0.00"));
}

TEST_F(AccountFacts, WhoHasNoIdIsNamed) {
  Absorb("t1", "2025-01-10", "1");
  Absorb("s1", "2025-01-10", "1");
  Seal("2025-01-30");
  Target crm = Crm({"spend/USD"});
  crm.same_ids = false;
  EXPECT_THAT(Told(crm)[0], HasSubstr("accounts have no id in target crm: acme, t1: add them to customers.csv"));
  crm.ids = {{"acme", "A"}, {"t1", "A"}};
  EXPECT_THAT(Told(crm)[0], HasSubstr("two of one id in target crm: A"));
}

}  // namespace
}  // namespace tollbook
