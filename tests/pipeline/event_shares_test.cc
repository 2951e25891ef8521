// EventShares where the price of a charge needs more than its own usage of the period: versions of a subscription that
// go on from one another, units that roll over, grants of units. What shares are of other charges: explain_test.cc.
#include "pipeline/event_shares.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "pipeline/explain.h"
#include "pipeline/seal.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/small_book.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// acme is on starter, from January 16th on pro, and where `back_on` is a day from then on starter again.
CatalogTexts Amended(const std::string& model, const std::vector<CatalogTexts::Tier>& starter,
                     const std::vector<CatalogTexts::Tier>& pro, const std::string& back_on = "") {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", "", ""}};
  texts.postings = {{"", "", "1200", "4000", false}};
  texts.meters = {{"api.calls", "", "sum", "value", "", {}, false, {}}};
  texts.plans = {{"starter", "USD"}, {"pro", "USD"}};
  CatalogTexts::Charge calls;
  calls.name = "calls";
  calls.meter = "api.calls";
  calls.product = "api";
  calls.model = model;
  calls.more = "on_amendment: continue";
  for (const char* plan : {"starter", "pro"}) {
    texts.charges.push_back(calls);
    texts.charges.back().plan = plan;
    texts.charges.back().tiers = std::string_view(plan) == "pro" ? pro : starter;
  }
  texts.subscriptions = {{"acme", "starter", "acme-us", "USD", "2025-01-01", "2025-01-16", "", ""},
                         {"acme", "pro", "acme-us", "USD", "2025-01-16", back_on, "", ""}};
  if (!back_on.empty()) texts.subscriptions.push_back({"acme", "starter", "acme-us", "USD", back_on, "", "", ""});
  return texts;
}

// One plan whose charge costs so much a unit, without an amendment.
CatalogTexts PerUnit(const char* price, const char* included, const char* more) {
  CatalogTexts texts = Amended("per_unit", {}, {});
  texts.plans.resize(1);
  texts.charges.resize(1);
  texts.charges[0].price = price;
  texts.charges[0].included = included;
  texts.charges[0].more = more;
  texts.subscriptions = {{"acme", "starter", "acme-us", "USD", "2025-01-01", "", "", ""}};
  return texts;
}

struct Used {
  const char* id;
  const char* time;  // "2025-01-20T08" and so on
  const char* value;
};

std::string Lines(const std::vector<Used>& usage) {
  std::string lines;
  for (const Used& used : usage) {
    lines += ToJson({used.id, "gw", "api.calls", "acme", std::string(used.time) + ":00:00Z", used.value, {}}) + "\n";
  }
  return lines;
}

std::string InWords(const EventShare& share) {
  std::string text = share.event.id + " to " + ToString(share.to_date) + " for " + ToString(share.share);
  if (share.position != share.to_date) text += " at " + ToString(share.position);
  for (const std::string& step : share.falls_in) text += " [" + step + "]";
  return text;
}

void AppendShares(const ExplainedCharge& charge, std::vector<std::string>* words) {
  const EventShares& shares = charge.events->shares;
  words->push_back(charge.plan + " " + ToString(charge.difference) + ": before " + ToString(shares.before));
  for (const EventShare& share : shares.shown) words->push_back(InWords(share));
  for (const ShareOfDay& day : shares.days) {
    words->push_back("the day to " + ToString(day.to_date) + " for " + ToString(day.share));
  }
  if (shares.more > 0) words->push_back(std::to_string(shares.more) + " more for " + ToString(shares.more_share));
  if (!shares.at_period_end.amount.zero()) words->push_back("period's end " + ToString(shares.at_period_end));
}

// All shares of the line that is posted on the day.
std::vector<std::string> SharesOn(const Book& book, const char* posted_on, size_t shown = 10) {
  const absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
  if (!batches.ok()) return {std::string(batches.status().message())};
  std::vector<std::string> words;
  for (const JournalBatch& batch : *batches) {
    for (const JournalLine& line : batch.lines) {
      if (ToString(line.key.posting_date) != posted_on) continue;
      const absl::StatusOr<Explanation> found = Explain(book, batch.id + "/" + std::to_string(line.number), 10, shown);
      if (!found.ok()) return {std::string(found.status().message())};
      for (const ExplainedCharge& charge : found->largest) AppendShares(charge, &words);
    }
  }
  return words;
}

class EventSharesTest : public testing::Test {
 protected:
  void BookIt(const CatalogTexts& texts, const std::vector<Used>& usage, const char* through) {
    const absl::StatusOr<Catalog> catalog = Parse(texts);
    ASSERT_TRUE(catalog.ok()) << catalog.status();
    const std::string path = book_.Write("usage.ndjson", Lines(usage));
    ASSERT_TRUE(Absorb(*book_, *catalog, Inputs({path}), {}).ok());
    SealOptions options;
    options.through = ParseDay(through);
    ASSERT_TRUE(Seal(*book_, *catalog, options).ok());
    EXPECT_THAT(WhatIsWrong(*book_), IsEmpty());
  }

  SmallBook book_;
};

// Of pro's first 100 at 0.08 starter's 80 calls took 80: b has 15 of the rest, c 5, and all else is at 0.02.
TEST_F(EventSharesTest, GoOnInTheTiersWhereAnotherPlanLeftThem) {
  const CatalogTexts texts =
      Amended("graduated", {{"100", "0.10", ""}, {"", "0.05", ""}}, {{"100", "0.08", ""}, {"", "0.02", ""}});
  const std::vector<Used> usage = {{"a", "2025-01-10T08", "80"},
                                   {"d", "2025-01-20T11", "25"},
                                   {"b", "2025-01-20T09", "15"},
                                   {"c", "2025-01-20T10", "10"}};
  ASSERT_NO_FATAL_FAILURE(BookIt(texts, usage, "2025-01-31"));
  EXPECT_THAT(SharesOn(*book_, "2025-01-20"),
              ElementsAre("pro 2.20: before 0",
                          "b to 15 for 1.2 at 95 [from 2025-01-16: used before, by the plan of its days +80] "
                          "[from 2025-01-16: tier 1 (up to 100) +15]",
                          "c to 25 for 0.5 at 105 [from 2025-01-16: tier 1 (up to 100) +5] "
                          "[from 2025-01-16: tier 2 (above 100) +5]",
                          "d to 50 for 0.5 at 130 [from 2025-01-16: tier 2 (above 100) +25]"));
  EXPECT_THAT(SharesOn(*book_, "2025-01-20", 1),
              ElementsAre("pro 2.20: before 0", testing::StartsWith("b to 15 for 1.2"), "2 more for 1"));
}

// 80 at 0.10, until pro's 50 make 130 of them: then all of starter's 80 are at 0.05, though starter has no event there.
TEST_F(EventSharesTest, OfADayThatAnotherPlanMakesCheaperAreTheDays) {
  const std::vector<CatalogTexts::Tier> tiers = {{"100", "0.10", ""}, {"", "0.05", ""}};
  const std::vector<Used> usage = {
      {"a", "2025-01-10T08", "80"}, {"b", "2025-01-20T09", "15"}, {"c", "2025-01-20T10", "35"}};
  ASSERT_NO_FATAL_FAILURE(BookIt(Amended("volume", tiers, tiers), usage, "2025-01-31"));
  EXPECT_THAT(SharesOn(*book_, "2025-01-20"),
              ElementsAre("starter -4.00: before 80", "the day to 80 for -4", "pro 2.50: before 0",
                          "b to 15 for 1.5 at 95 [from 2025-01-16: used before, by the plan of its days +80] "
                          "[from 2025-01-16: own units in tier 1 (up to 100) +15]",
                          "c to 50 for 1 at 130 [now from 2025-01-16: own units in tier 2 (above 100)]"));
}

// Back on starter, its first units of the later days stand behind those of pro: 90 + 20 are used, of which 10 at 0.05.
TEST_F(EventSharesTest, CountBothStaysOfAPlan) {
  const std::vector<CatalogTexts::Tier> tiers = {{"100", "0.10", ""}, {"", "0.05", ""}};
  const std::vector<Used> usage = {{"a", "2025-01-10T08", "60"},
                                   {"b", "2025-01-17T09", "30"},
                                   {"c", "2025-01-22T10", "4"},
                                   {"d", "2025-01-22T11", "16"}};
  ASSERT_NO_FATAL_FAILURE(BookIt(Amended("graduated", tiers, tiers, "2025-01-21"), usage, "2025-01-31"));
  EXPECT_THAT(SharesOn(*book_, "2025-01-22"),
              ElementsAre("starter 1.50: before 60",
                          "c to 64 for 0.4 at 94 [from 2025-01-21: used before, by the plan of its days +90] "
                          "[from 2025-01-21: tier 1 (up to 100) +4]",
                          "d to 80 for 1.1 at 110 [from 2025-01-21: tier 1 (up to 100) +6] "
                          "[from 2025-01-21: tier 2 (above 100) +10]"));
}

// Pro's minimum of 31.00 for 16 of 31 days is 16.00, and starter has none: of the 12.20 in all 3.80 are missing.
TEST_F(EventSharesTest, LeaveAMinimumOfSeveralPlansToThePeriodsEnd) {
  const std::vector<CatalogTexts::Tier> tiers = {{"", "0.10", ""}};
  CatalogTexts texts = Amended("graduated", tiers, tiers);
  texts.charges[1].more += ", minimum: 31";
  const std::vector<Used> usage = {
      {"a", "2025-01-10T08", "80"}, {"b", "2025-01-31T09", "12"}, {"c", "2025-01-31T10", "30"}};
  ASSERT_NO_FATAL_FAILURE(BookIt(texts, usage, "2025-01-31"));
  EXPECT_THAT(SharesOn(*book_, "2025-01-31"),
              ElementsAre("pro 8.00: before 0", testing::StartsWith("b to 12 for 1.2 "),
                          "c to 42 for 3 at 122 [from 2025-01-16: tier 1 +30]", "period's end 3.8"));
}

// A commitment is trued up in a period with usage. February has none, and its minimum alone.
TEST_F(EventSharesTest, LeaveTheMinimumOfAPeriodWithoutUsageToItsEnd) {
  const CatalogTexts texts = PerUnit("1", "", "commitment: {amount: 50, true_up: true}, minimum: 31");
  ASSERT_NO_FATAL_FAILURE(BookIt(texts, {{"a", "2025-01-10T08", "10"}}, "2025-02-28"));
  EXPECT_THAT(SharesOn(*book_, "2025-01-31"), ElementsAre("starter 40.00: before 10", "period's end 40"));
  EXPECT_THAT(SharesOn(*book_, "2025-02-28"), ElementsAre("starter 31.00: before 0", "period's end 31"));
}

// January leaves 70 of its 100: of February's calls 170 cost nothing, and 5 of the third event do.
TEST_F(EventSharesTest, FallInUnitsOfEarlierPeriodsFirst) {
  const std::vector<Used> usage = {{"a", "2025-01-10T08", "30"},
                                   {"b", "2025-02-10T09", "60"},
                                   {"c", "2025-02-10T10", "90"},
                                   {"d", "2025-02-10T11", "25"}};
  ASSERT_NO_FATAL_FAILURE(BookIt(PerUnit("1", "100", "included_rollover: {max: 80}"), usage, "2025-02-28"));
  EXPECT_THAT(SharesOn(*book_, "2025-02-10"),
              ElementsAre("starter 5.00: before 0", "b to 60 for 0 [rolled over from earlier periods +60]",
                          "c to 150 for 0 [rolled over from earlier periods +10] [included +80]",
                          "d to 175 for 5 [included +20] [per unit +5]"));
}

// 100 a month are included, 1,000 are granted, of which 500 are left on the 16th; on the 20th 500 more pay what was
// used.
TEST_F(EventSharesTest, KnowWhatGrantsPaidBefore) {
  CatalogTexts texts = PerUnit("0.10", "100", "");
  texts.unit_grants = {"contract,acme,calls,1000,2025-01-01,2025-03-01,,0,,,,,,,,",
                       "topup,acme,calls,500,2025-01-20,,,1,,,,,,,true,"};
  const std::vector<Used> usage = {{"a", "2025-01-10T08", "600"},
                                   {"b", "2025-01-16T09", "450"},
                                   {"c", "2025-01-16T10", "250"},
                                   {"d", "2025-01-20T10", "310"}};
  ASSERT_NO_FATAL_FAILURE(BookIt(texts, usage, "2025-01-31"));
  EXPECT_THAT(SharesOn(*book_, "2025-01-16"),
              ElementsAre("starter 20.00: before 600", testing::StartsWith("b to 1050 for 0 "),
                          testing::StartsWith("c to 1300 for 20 ")));
  EXPECT_THAT(
      SharesOn(*book_, "2025-01-20"),
      ElementsAre("starter -19.00: before 1300", testing::StartsWith("d to 1610 for 1 "), "the day to 1300 for -20"));
}

// The grant starts at noon and pays nothing earlier: the morning's calls are billed, and of the afternoon's all but
// two.
TEST_F(EventSharesTest, FollowTheHoursOfAGrant) {
  CatalogTexts texts = PerUnit("1", "", "");
  texts.meters[0].granularity = "hour";
  texts.unit_grants = {"noon,acme,calls,10,2025-01-10T12:00:00Z,,,0,,,,,,,,"};
  const std::vector<Used> usage = {
      {"a", "2025-01-10T08", "3"}, {"b", "2025-01-10T12", "7"}, {"c", "2025-01-10T15", "5"}};
  ASSERT_NO_FATAL_FAILURE(BookIt(texts, usage, "2025-01-31"));
  EXPECT_THAT(SharesOn(*book_, "2025-01-10"),
              ElementsAre("starter 5.00: before 0", testing::StartsWith("a to 3 for 3 "),
                          testing::StartsWith("b to 10 for 0 "), testing::StartsWith("c to 15 for 2 ")));
}

// ----- any of them

class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}
  int UpTo(int most) { return static_cast<int>(random_() % static_cast<uint64_t>(most + 1)); }
  bool OneIn(int n) { return UpTo(n - 1) == 0; }
  template <typename List>
  const auto& Of(const List& list) {
    return *std::next(std::begin(list), UpTo(static_cast<int>(std::size(list)) - 1));
  }

 private:
  std::mt19937_64 random_;
};

CatalogTexts::Charge RandomCharge(Dice& dice, CatalogTexts::Charge charge, const std::string& more) {
  static const std::vector<CatalogTexts::Tier> kTiers[] = {{{"100", "0.10", ""}, {"", "0.0333", ""}},
                                                           {{"30", "1", "5"}, {"200", "0.5", ""}, {"", "0.25", "3"}}};
  charge.model = dice.Of(std::vector<std::string>{"per_unit", "graduated", "volume", "package"});
  charge.tiers.clear();
  charge.price = charge.package_size = "";
  if (charge.model == "graduated" || charge.model == "volume") {
    charge.tiers = dice.Of(kTiers);
  } else {
    charge.price = dice.OneIn(2) ? "0.0123" : "2";
    if (charge.model == "package") charge.package_size = dice.OneIn(2) ? "10" : "64";
  }
  charge.included = dice.OneIn(2) ? "" : "50";
  charge.more = more;
  if (dice.OneIn(3)) charge.more += (charge.more.empty() ? "" : ", ") + std::string("minimum: 40");
  if (dice.OneIn(3)) charge.more += (charge.more.empty() ? "" : ", ") + std::string("maximum: 55.5");
  return charge;
}

CatalogTexts RandomTexts(Dice& dice) {
  CatalogTexts texts = Amended("graduated", {}, {}, dice.OneIn(2) ? "2025-01-24" : "");
  texts.meters[0].granularity = dice.OneIn(2) ? "hour" : "";
  texts.postings[0].by_period = dice.OneIn(3);
  const bool is_granted = dice.OneIn(3);
  const std::string word = dice.OneIn(4) ? "restart" : "continue";
  for (CatalogTexts::Charge& charge : texts.charges) {
    charge = RandomCharge(dice, charge, is_granted ? "" : "on_amendment: " + word);
    if (!is_granted && !charge.included.empty()) charge.more += ", included_rollover: {max: 30, periods: 2}";
  }
  if (!is_granted) return texts;
  texts.unit_grants = {"first,acme,calls,70,2025-01-05,2025-02-10,,1,,,,,,,,",
                       "second,acme,calls,40,2025-01-18,,,0,1 month,,,,,10,true,"};
  if (texts.meters[0].granularity == "hour")
    texts.unit_grants.push_back("third,acme,calls,25,2025-01-12T13:00:00Z,,,2,,,,,,,true,");
  return texts;
}

std::string RandomUsage(Dice& dice) {
  std::string lines;
  for (int id = 0; id < 40; ++id) {
    const int day = 1 + dice.UpTo(27);
    char time[32];
    std::snprintf(time, sizeof time, "2025-0%d-%02dT%02d:%02d:00Z", 1 + dice.UpTo(1), day, dice.UpTo(23),
                  dice.UpTo(59));
    lines += ToJson({std::to_string(id), "gw", "api.calls", "acme", time, std::to_string(dice.UpTo(25)), {}}) + "\n";
  }
  return lines;
}

TEST(EventShares, SumToTheLineWhateverTheSlicesAndGrants) {
  const uint64_t seed = TestSeed();
  for (uint64_t number = 0; number < (IsLongRun() ? 300u : 8u); ++number) {
    SCOPED_TRACE("case " + std::to_string(number));
    Dice dice(seed + number);
    const absl::StatusOr<Catalog> catalog = Parse(RandomTexts(dice));
    ASSERT_TRUE(catalog.ok()) << catalog.status();
    SmallBook book;
    for (const char* through : {"2025-01-31", "2025-02-28"}) {
      const std::string path = book.Write(std::string(through) + ".ndjson", RandomUsage(dice));
      ASSERT_TRUE(Absorb(*book, *catalog, Inputs({path}), {}).ok());
      SealOptions options;
      options.through = ParseDay(through);
      ASSERT_TRUE(Seal(*book, *catalog, options).ok());
    }
    ASSERT_THAT(WhatIsWrong(*book), IsEmpty());
  }
}

}  // namespace
}  // namespace tollbook
