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

// The first hundred large ones at `first`, those behind at `rest`; small ones at `small`.
Charge ByModel(const char* first, const char* rest, const char* small) {
  Charge charge;
  charge.pricing.model = ChargeModel::kMatrix;
  Cell large, others;
  large.when["model"] = AcceptedValues("large");
  large.pricing.model = ChargeModel::kGraduated;
  large.pricing.tiers = {{Units("100"), Each(first), {}}, {std::nullopt, Each(rest), {}}};
  others.pricing.unit_price = Each(small);
  charge.cells = {large, others};
  return charge;
}

TEST(Amendment, EachCellGoesOnByItself) {
  const Charge starter = ByModel("1", "0.5", "0.10"), pro = ByModel("0.8", "0.4", "0.05");
  const Zone zone;
  const Meter meter;
  const std::vector<UsageSlice> slices = {
      {&starter, On("2025-01-01"), false, Units("80"), 1, {15, 31}, {}, {}, &zone, &meter},
      {&pro, On("2025-01-16"), true, Units("160"), 2, {16, 31}, {}, {}, &zone, &meter},
  };
  SliceTallies tallies(slices);
  for (const size_t as : {0, 1}) {
    ASSERT_TRUE(tallies.Add(as, {{On("2025-01-10")}, 0, {Units("80"), 1, {}}}));
    ASSERT_TRUE(tallies.Add(as, {{On("2025-01-20")}, 0, {Units("70"), 1, {}}}));
    ASSERT_TRUE(tallies.Add(as, {{On("2025-01-20")}, 1, {Units("10"), 1, {}}}));
  }
  ASSERT_TRUE(tallies.EndDay());
  std::vector<PriceStep> steps;
  EXPECT_EQ(ToString(*PriceSlices(slices, starter, true, &steps, tallies.parts())), "80");
  EXPECT_EQ(InWords(steps), (std::vector<std::string>{"from 2025-01-01, model=large: tier 1 (up to 100): 80 = 80"}));
  steps.clear();
  EXPECT_EQ(ToString(*PriceSlices(slices, pro, true, &steps, tallies.parts())), "36.5");
  EXPECT_EQ(InWords(steps),
            (std::vector<std::string>{"from 2025-01-16, model=large: used before, by the plan of its days: 80 = 0",
                                      "from 2025-01-16, model=large: tier 1 (up to 100): 20 = 16",
                                      "from 2025-01-16, model=large: tier 2 (above 100): 50 = 20",
                                      "from 2025-01-16, default: per unit: 10 = 0.5"}));
}

// 200 is the period's quantity, and each plan has its days of what it costs there: in thirds, and to the last digit.
TEST(Amendment, AQuantityThatDoesNotGrowIsSharedByDays) {
  Charge charge;
  charge.pricing.unit_price = Each("0.0001");
  const std::vector<UsageSlice> slices = {
      {&charge, On("2025-02-01"), false, Units("100"), 1, {28, 28}, {}, {0, 9, 28}},
      {&charge, On("2025-02-10"), true, Units("200"), 1, {28, 28}, {}, {9, 18, 28}},
      {&charge, On("2025-02-19"), true, Units("200"), 0, {28, 28}, {}, {18, 28, 28}},
  };
  std::vector<PriceStep> steps;
  EXPECT_EQ(ToString(*PriceSlices(slices, charge, true, &steps)), "0.02");
  ASSERT_EQ(steps.size(), 6U);
  EXPECT_EQ(steps[4].what, "from 2025-02-19: per unit");
  EXPECT_EQ(steps[5].what, "from 2025-02-19: for 10 of 28 days, of what all of the period's usage costs");
}

TEST(Amendment, SliceTakesWhatThoseBeforeItCameToOffItsCommitment) {
  Charge starter, pro;
  starter.pricing.unit_price = Each("1");
  pro.pricing.unit_price = Each("0.5");
  starter.commitment = Commitment{Each("100"), std::nullopt, Each("1.5"), true};
  pro.commitment = Commitment{Each("120"), std::nullopt, Each("2"), true};
  const std::vector<UsageSlice> slices = {
      {&starter, On("2025-01-01"), false, Units("110"), 1, {15, 31}, {}},
      {&pro, On("2025-01-16"), true, Units("150"), 1, {16, 31}, {}},
  };
  std::vector<PriceStep> steps;
  EXPECT_EQ(ToString(*PriceSlices(slices, starter, true, nullptr)), "115");
  EXPECT_EQ(ToString(*PriceSlices(slices, pro, true, &steps)), "30");
  EXPECT_EQ(steps.back().what, "from 2025-01-16: above the commitment of 120, 2 times, with 110 before");
}

// What a discount or a factor is taken of may have come from another plan, with more decimals than the catalog could
// look at: it is taken at the worth's last one.
TEST(Amendment, AnotherPlansDecimalsAreNoOverflow) {
  Charge starter, pro;
  starter.pricing.unit_price = Each("0.333333333333333333");
  pro.pricing.unit_price = Each("1");
  pro.commitment = Commitment{Each("20"), std::nullopt, Each("1.125"), true};
  pro.discount = Each("0.125");
  std::vector<UsageSlice> slices = {
      {&starter, On("2025-01-01"), false, Units("27.000000000000000001"), 1, {15, 31}, {}},
      {&pro, On("2025-01-16"), true, Units("29.000000000000000001"), 1, {16, 31}, {}},
  };
  EXPECT_EQ(ToString(*PriceSlices(slices, starter, true, nullptr)), "8.999999999999999991333333333333333333");
  // 2, and 9.000000000000000008666666666666666667 up to the commitment; an eighth of both has three decimals more.
  EXPECT_EQ(ToString(*PriceSlices(slices, pro, true, nullptr)), "9.625000000000000007583333333333333334");
  // 22 with what was before 30.999999999999999991333333333333333333: an eighth of what lies above 20, and an eighth
  // off.
  slices[1].to_date = Units("49.000000000000000001");
  EXPECT_EQ(ToString(*PriceSlices(slices, pro, true, nullptr)), "20.453124999999999999052083333333333334");
}

TEST(Amendment, WhatIsTakenBackWasFirstNotAskedForAboveTheMaximum) {
  Charge starter, pro;
  starter.pricing.unit_price = pro.pricing.unit_price = Each("1");
  starter.maximum = Each("50");
  const auto pro_costs = [&](const char* used_before, const char* to_date) {
    const std::vector<UsageSlice> slices = {
        {&starter, On("2025-01-01"), false, Units(used_before), 1, {15, 31}, {}},
        {&pro, On("2025-01-16"), true, Units(to_date), 1, {16, 31}, {}},
    };
    return ToString(*PriceSlices(slices, pro, true, nullptr));
  };
  for (const char* maximum : {"", "50", "100"}) {
    SCOPED_TRACE(maximum);
    pro.maximum = *maximum == 0 ? std::nullopt : std::optional(Each(maximum));
    EXPECT_EQ(pro_costs("80", "30"), "-20");  // 80 of which 50 were due; 30 are left
    EXPECT_EQ(pro_costs("80", "50"), "0");
    EXPECT_EQ(pro_costs("80", "79"), "0");
    EXPECT_EQ(pro_costs("40", "30"), "-10");  // nothing was above it
    EXPECT_EQ(pro_costs("80", "-10"), "-60");
  }
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
    for (const char* first : {"1", "20", "90", "120", "121", "300", "500", "1000"}) {
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
