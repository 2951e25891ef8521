// UsageDays: what is told of usage is what `charges` says, as of each seal, in rows that can be added up by hand.
#include "pipeline/usage_days.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/charges.h"
#include "pipeline/seal.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/small_book.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

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
  texts.subscriptions.push_back({"s1", "starter", "acme-us", "USD", "2025-01-01", "", "", ""});
  return texts;
}

class UsageDays : public testing::Test {
 protected:
  void Absorb(const char* id, const char* day, const char* value) {
    const std::string line =
        ToJson({id, "gateway", "api.calls", "s1", std::string(day) + "T08:00:00Z", value, {}}) + "\n";
    ASSERT_TRUE(tollbook::Absorb(*book_, Catalog(), Inputs({book_.Write(std::string(id) + ".ndjson", line)}), {}).ok());
  }
  void Seal(std::optional<Day> through = std::nullopt) {
    SealOptions options;
    options.through = through;
    const absl::StatusOr<SealReport> sealed = tollbook::Seal(*book_, Catalog(), options);
    ASSERT_TRUE(sealed.ok()) << sealed.status();
    ASSERT_EQ(sealed->seal, ++seals_);
  }
  tollbook::Catalog Catalog() const { return *Parse(texts_); }

  // "starter/calls 2025-01-10 80"
  std::vector<std::string> AsOf(uint64_t seal) const {
    const absl::StatusOr<std::vector<UsageDay>> days = UsageDaysAsOf(*book_, seal, 1);
    std::vector<std::string> rows;
    if (!days.ok()) return {std::string(Std(days.status().message()))};
    for (const UsageDay& day : *days)
      rows.push_back(day.plan + "/" + day.charge + " " + ToString(day.day) + " " + ToString(day.quantity));
    return rows;
  }

  SmallBook book_;
  CatalogTexts texts_ = Texts();
  uint64_t seals_ = 0;
};

TEST_F(UsageDays, EachSealHasWhatItSaw) {
  Absorb("1", "2025-01-10", "80");
  Absorb("2", "2025-01-11", "30.5");
  Seal();
  Absorb("3", "2025-01-10", "5");
  Seal();
  Absorb("4", "2025-02-01", "1");  // no seal has seen it
  EXPECT_THAT(AsOf(0), IsEmpty());
  EXPECT_THAT(AsOf(1), ElementsAre("starter/calls 2025-01-10 80", "starter/calls 2025-01-11 30.5"));
  EXPECT_THAT(AsOf(2), ElementsAre("starter/calls 2025-01-10 85", "starter/calls 2025-01-11 30.5"));
  EXPECT_THAT(AsOf(3)[0], testing::HasSubstr("there is no such seal"));
}

TEST_F(UsageDays, ASealToAnEarlierDayLeavesTheDaysBehindItAsTheyWere) {
  Absorb("1", "2025-01-10", "80");
  Absorb("2", "2025-01-20", "30");
  Seal(ParseDay("2025-01-31"));
  Absorb("3", "2025-01-10", "5");
  Absorb("4", "2025-01-20", "7");
  Seal(ParseDay("2025-01-15"));
  EXPECT_THAT(AsOf(2), ElementsAre("starter/calls 2025-01-10 85", "starter/calls 2025-01-20 30"));
  Seal();
  EXPECT_THAT(AsOf(3), ElementsAre("starter/calls 2025-01-10 85", "starter/calls 2025-01-20 37"));
}

TEST_F(UsageDays, AnAmendmentMovesUsageToTheOtherPlansCharge) {
  Absorb("1", "2025-01-10", "80");
  Absorb("2", "2025-01-20", "30");
  Seal();
  texts_.subscriptions = {{"s1", "starter", "acme-us", "USD", "2025-01-01", "2025-01-15", "", ""},
                          {"s1", "team", "acme-us", "USD", "2025-01-15", "", "", ""}};
  Seal();
  EXPECT_THAT(AsOf(1), ElementsAre("starter/calls 2025-01-10 80", "starter/calls 2025-01-20 30"));
  EXPECT_THAT(AsOf(2), ElementsAre("starter/calls 2025-01-10 80", "team/calls 2025-01-20 30"));
}

TEST_F(UsageDays, ASubjectThatCannotBeRatedStaysAsItWas) {
  Absorb("1", "2025-01-10", "80");
  Seal();
  // At this price it is worth more than can be held: s1 is set aside, and s2 has the seal made.
  texts_.charges.front().price = "10000000000000000";
  texts_.subscriptions.push_back({"s2", "team", "acme-us", "USD", "2025-01-01", "", "", ""});
  Absorb("2", "2025-01-10", "999999999999999");
  const std::string other = ToJson({"4", "gateway", "api.calls", "s2", "2025-01-12T08:00:00Z", "1", {}}) + "\n";
  ASSERT_TRUE(tollbook::Absorb(*book_, Catalog(), Inputs({book_.Write("4.ndjson", other)}), {}).ok());
  ASSERT_EQ(book_->counts().accepted, 3u);
  Seal();
  EXPECT_THAT(AsOf(2), ElementsAre("starter/calls 2025-01-10 80", "team/calls 2025-01-12 1"));
}

}  // namespace
}  // namespace tollbook
