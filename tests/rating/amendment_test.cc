// Slices of a billing period, step by step, and units that roll over. docs/catalog.md has each model's worked example,
// tests/scenarios/ whole stories; the twin compares random ones.
#include "rating/amendment.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/rating/in_words.h"

namespace tollbook {
namespace {

Charge Graduated(const char* first, const char* rest) {
  Charge charge;
  charge.pricing.model = ChargeModel::kGraduated;
  charge.pricing.tiers = {{Units("100"), Each(first), {}}, {std::nullopt, Each(rest), Each("3")}};
  charge.included = Units("20");
  return charge;
}

std::vector<std::string> InWords(const std::vector<PriceStep>& steps) {
  std::vector<std::string> words;
  for (const PriceStep& step : steps) {
    words.push_back(step.what + ": " + ToString(step.quantity) + " = " + ToString(step.worth));
  }
  return words;
}

TEST(Amendment, AQuoteSaysWhatWasUsedBeforeAndPricesWhatComesBehindIt) {
  const Charge starter = Graduated("0.10", "0.05"), pro = Graduated("0.08", "0.02");
  const std::vector<UsageSlice> slices = {
      {&starter, On("2025-01-01"), false, Units("90"), 2, {15, 31}, Units("10")},
      {&pro, On("2025-01-16"), true, Units("150"), 1, {16, 31}, Units("10")},
  };
  std::vector<PriceStep> steps;
  absl::StatusOr<Worth> worth = PriceSlices(slices, starter, true, &steps);
  ASSERT_TRUE(worth.ok()) << worth.status();
  EXPECT_EQ(ToString(*worth), "6");
  EXPECT_EQ(InWords(steps), (std::vector<std::string>{"from 2025-01-01: rolled over from earlier periods: 10 = 0",
                                                      "from 2025-01-01: included: 20 = 0",
                                                      "from 2025-01-01: tier 1 (up to 100): 60 = 6"}));
  steps.clear();
  worth = PriceSlices(slices, pro, true, &steps);
  ASSERT_TRUE(worth.ok()) << worth.status();
  EXPECT_EQ(ToString(*worth), "6.6");
  EXPECT_EQ(InWords(steps), (std::vector<std::string>{"from 2025-01-16: used before, by the plan of its days: 90 = 0",
                                                      "from 2025-01-16: tier 1 (up to 100): 40 = 3.2",
                                                      "from 2025-01-16: tier 2 (above 100): 20 = 0.4",
                                                      "from 2025-01-16: flat amount of tier 2: 1 = 3"}));
}

// What one plan alone costs, however its usage is cut into slices that go on from one another.
TEST(Amendment, OfOnePlanSlicesThatGoOnCostWhatTheyCostInOne) {
  for (const ChargeModel model : {ChargeModel::kPerUnit, ChargeModel::kGraduated, ChargeModel::kVolume,
                                  ChargeModel::kPackage, ChargeModel::kStairstep}) {
    Charge charge = Graduated("0.10", "0.05");
    charge.pricing.model = model;
    charge.pricing.unit_price = Each("0.3");
    charge.pricing.package_size = Units("50");
    charge.pricing.package_price = Each("7");
    charge.pricing.steps = {{Units("100"), {}, Each("10")}, {std::nullopt, {}, Each("25")}};
    charge.maximum = Each("30");
    for (const char* first : {"1", "20", "90", "120", "121", "300"}) {
      SCOPED_TRACE(std::string(ToString(model)) + " " + first);
      const std::vector<UsageSlice> slices = {
          {&charge, On("2025-01-01"), false, Units(first), 1, {15, 31}, {}},
          {&charge, On("2025-01-16"), true, Units("400"), 1, {16, 31}, {}},
      };
      const absl::StatusOr<Worth> cut = PriceSlices(slices, charge, true, nullptr);
      ASSERT_TRUE(cut.ok()) << cut.status();
      EXPECT_EQ(ToString(*cut), ToString(*PriceQuantity(charge, Units("400"))));
    }
  }
}

TEST(RolledOver, AreUsedFirstAndForSoManyPeriods) {
  struct Case {
    const char* most;
    int32_t periods;
    std::vector<std::string> used, left;
  };
  const std::vector<Case> cases = {
      // 100 a period: what is left of one is used in the next, before that one's own.
      {"", 1, {"30", "0", "150", "200"}, {"70", "100", "50", "0"}},
      {"", 2, {"30", "0", "50", "0"}, {"70", "170", "200", "200"}},
      // What comes later can be used longer, so it stays.
      {"60", 2, {"30", "0", "70", "0"}, {"60", "60", "60", "60"}},
      {"60", 1, {"30", "165", "0"}, {"60", "0", "60"}},
      // More than there was leaves nothing, and nothing below it.
      {"", 1, {"500", "100", "-5"}, {"0", "0", "100"}},
  };
  for (const Case& one : cases) {
    Charge charge;
    charge.included = Units("100");
    charge.rollover = Rollover{std::nullopt, one.periods};
    if (*one.most != '\0') charge.rollover->most = Units(one.most);
    RolledOver rolled_over;
    std::vector<std::string> left;
    for (const std::string& used : one.used) {
      ASSERT_TRUE(rolled_over.EndPeriod(charge, Units(used)));
      Quantity sum;
      ASSERT_TRUE(rolled_over.Sum(&sum));
      left.push_back(ToString(sum));
    }
    EXPECT_EQ(left, one.left) << one.most << " for " << one.periods;
  }
}

}  // namespace
}  // namespace tollbook
