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
    const absl::StatusOr<std::vector<AccountRecord>> records = AccountRecordsOf(*book_, target, 1);
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
