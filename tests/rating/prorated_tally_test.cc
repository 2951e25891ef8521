// Graduated prices of prorated units: which tier an event's units are in, and what its prorated ones cost there.
#include "rating/prorated_tally.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rating/price.h"
#include "tests/rating/in_words.h"

namespace tollbook {
namespace {

// 10 each and 100 up to five, 5 each and 50 up to fifteen, then 2 each.
Charge Seats() {
  Charge charge;
  charge.name = "seats";
  charge.pricing.model = ChargeModel::kProratedGraduated;
  charge.pricing.tiers = {
      {Units("5"), Each("10"), Each("100")}, {Units("15"), Each("5"), Each("50")}, {{}, Each("2"), {}}};
  return charge;
}

struct Change {
  const char* units;
  const char* prorated;
  uint64_t events = 1;
};

std::string WorthOf(const std::vector<Change>& changes, std::vector<std::string>* told = nullptr) {
  PeriodUsage usage;
  usage.parts.emplace_back();
  for (const Change& change : changes) {
    const auto second = static_cast<int64_t>(usage.parts.front().elements.size());
    usage.parts.front().elements.emplace_back(UsageTotal{Units(change.units), change.events, {second}},
                                              Units(change.prorated));
  }
  std::vector<PriceStep> steps;
  const absl::StatusOr<Worth> worth = PricePeriod(Seats(), usage, &steps);
  if (!worth.ok()) return std::string(worth.status().message());
  Wide sum;
  for (const PriceStep& step : steps) {
    EXPECT_TRUE(Wide::Add(sum, step.worth.amount, &sum));
    if (told != nullptr) told->push_back(step.what + " " + ToString(step.quantity) + " = " + ToString(step.worth));
  }
  EXPECT_EQ(Worth{sum}, *worth);
  return ToString(*worth);
}

TEST(ProratedTally, PricesProratedUnitsWhereTheUnitsAre) {
  const struct {
    const char* what;
    std::vector<Change> changes;
    const char* worth;
  } cases[] = {
      {"nothing", {}, "0"},
      {"all of the time", {{"5", "5"}}, "150"},
      {"the bound is in the tier", {{"5", "3.5"}}, "135"},
      {"the next one is not", {{"5", "3.5"}, {"1", "0.5"}}, "187.5"},
      {"across a bound", {{"2", "1.4"}, {"5", "2.66667"}}, "185.33336"},
      {"across two", {{"75", "75"}}, "370"},
      {"back within a tier", {{"5", "3.5"}, {"-2", "-1"}}, "125"},
      {"back across a bound: the flat amount stays due", {{"5", "3.5"}, {"2", "1"}, {"-4", "-1.6"}}, "178"},
      {"again across it: due once", {{"7", "7"}, {"-4", "-4"}, {"4", "4"}}, "210"},
      {"below zero is the first tier", {{"4", "1.6"}, {"-10", "-1"}, {"6", "1"}}, "116"},
      {"not below zero", {{"4", "1.6"}, {"-100", "-33.33"}}, "0"},
      {"no units: at the position", {{"5", "5"}, {"0", "2"}}, "170"},
      {"no units above a bound", {{"6", "6"}, {"0", "2"}}, "215"},
      {"no prorated units: a flat amount all the same", {{"6", "0"}}, "150"},
      {"equal ones go one after the other", {{"3", "1", 4}}, "178.333333333333333335"},
  };
  for (const auto& one : cases) EXPECT_EQ(WorthOf(one.changes), one.worth) << one.what;
}

// In order or not: the position is another.
TEST(ProratedTally, TheOrderDecides) {
  EXPECT_EQ(WorthOf({{"5", "1"}, {"5", "4"}}), "180");
  EXPECT_EQ(WorthOf({{"5", "4"}, {"5", "1"}}), "195");
}

TEST(ProratedTally, ThirdsSumToTheWhole) {
  // 3 units from 4 on: one in the first tier, two in the second.
  std::vector<std::string> told;
  EXPECT_EQ(WorthOf({{"4", "0"}, {"3", "1"}}, &told), "156.666666666666666665");
  EXPECT_EQ(told, (std::vector<std::string>{
                      "prorated units in tier 1 (up to 5) 0.333333333333333333 = 3.33333333333333333",
                      "flat amount of tier 1 1 = 100",
                      "prorated units in tier 2 (up to 15) 0.666666666666666667 = 3.333333333333333335",
                      "flat amount of tier 2 1 = 50",
                  }));
}

TEST(ProratedTally, AsManyEqualEventsAsThereAreCostNoTime) {
  const std::string all = WorthOf({{"1", "1", 1'000'000'000'000}});
  EXPECT_EQ(all, "2000000000220");  // 5 x 10 + 10 x 5 + 2 each beyond fifteen, and both flat amounts
}

TEST(ProratedTally, WhatDoesNotFitIsAnError) {
  EXPECT_NE(WorthOf({{"100000000000000", "1", 1'000'000'000'000'000'000}}).find("does not fit"), std::string::npos);
  EXPECT_NE(WorthOf({{"0", "100000000000000", 1'000'000'000'000'000'000}}).find("does not fit"), std::string::npos);
}

}  // namespace
}  // namespace tollbook
