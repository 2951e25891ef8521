#include "rating/fee.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/rating/in_words.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

// "2025-01-10 to 2025-02-01: 3"; without a quantity it is 1.
struct SliceText {
  const char* start;
  const char* end;
  const char* quantity = "1";
};

struct Period {
  BillingPeriod period;
  int32_t months;
  std::vector<FeeSlice> slices;
  operator FeePeriod() const { return {period, months, slices}; }  // NOLINT: that is what it is for
};

Period PeriodWith(const char* cycle_text, const char* day, const std::vector<SliceText>& slices,
                  const char* anchor = "1970-01-01") {
  BillingCycle cycle = *ParseBillingCycle(cycle_text);
  cycle.anchor = On(anchor);
  Period period{PeriodOf(cycle, On(day)), cycle.unit == BillingCycle::Unit::kMonth ? cycle.count : 0, {}};
  for (const SliceText& slice : slices)
    period.slices.push_back({On(slice.start), On(slice.end), Units(slice.quantity)});
  return period;
}

Fee FeeOf(const char* price, FeeProration proration = {}) {
  return {Each(price), false, true, proration};
}

// "2025-01-10: 0.7, 2025-01-20: 0.3": what is due to date, in units.
std::string UnitsOf(const Fee& fee, const FeePeriod& period) {
  std::vector<Day> days;
  AppendDueDays(fee, period, &days);
  std::string text;
  for (const Day day : days) {
    Worth worth, by_days;
    Quantity units;
    EXPECT_TRUE(PriceFee(fee, period, day, &worth, &units));
    EXPECT_TRUE(PriceFeeByDays(fee, period, day, &by_days));
    EXPECT_EQ(ToString(worth), ToString(by_days));
    text += (text.empty() ? "" : ", ") + ToString(day) + ": " + ToString(units);
  }
  return text;
}

TEST(Fee, IsDueInAdvanceAndCreditedWhereItEnds) {
  const Fee fee = FeeOf("30");
  EXPECT_EQ(UnitsOf(fee, PeriodWith("1 month", "2025-06-01", {{"2025-06-01", "2025-07-01"}})), "2025-06-01: 1");
  EXPECT_EQ(UnitsOf(fee, PeriodWith("1 month", "2025-06-01", {{"2025-06-16", "2025-07-01"}})), "2025-06-16: 0.5");
  EXPECT_EQ(UnitsOf(fee, PeriodWith("1 month", "2025-06-01", {{"2025-06-01", "2025-06-13"}})),
            "2025-06-01: 1, 2025-06-13: 0.4");
  // More seats from the 16th on: the rest of the first slice is credited when the second is due.
  EXPECT_EQ(UnitsOf(fee, PeriodWith("1 month", "2025-06-01",
                                    {{"2025-06-01", "2025-06-16", "2"}, {"2025-06-16", "2025-07-01", "5"}})),
            "2025-06-01: 2, 2025-06-16: 3.5");
  // Away for a week.
  EXPECT_EQ(
      UnitsOf(fee, PeriodWith("1 month", "2025-06-01", {{"2025-06-01", "2025-06-04"}, {"2025-06-13", "2025-07-01"}})),
      "2025-06-01: 1, 2025-06-04: 0.1, 2025-06-13: 0.7");
}

TEST(Fee, IsNotCreditedWhereItSaysSo) {
  Fee fee = FeeOf("30");
  fee.credits_rest = false;
  EXPECT_EQ(UnitsOf(fee, PeriodWith("1 month", "2025-06-01", {{"2025-06-01", "2025-06-13"}})), "2025-06-01: 1");
  // Fewer seats cost nothing more, and of more only those above the most that there were.
  EXPECT_EQ(UnitsOf(fee, PeriodWith("1 month", "2025-06-01",
                                    {{"2025-06-01", "2025-06-11", "4"},
                                     {"2025-06-11", "2025-06-16", "1"},
                                     {"2025-06-16", "2025-07-01", "6"}})),
            "2025-06-01: 4, 2025-06-16: 5");
  // Away for a week, and paid for.
  EXPECT_EQ(
      UnitsOf(fee, PeriodWith("1 month", "2025-06-01", {{"2025-06-01", "2025-06-10"}, {"2025-06-17", "2025-07-01"}})),
      "2025-06-01: 1");
}

TEST(Fee, IsDueInArrearsOnTheLastDay) {
  Fee fee = FeeOf("30");
  fee.in_advance = false;
  EXPECT_EQ(UnitsOf(fee, PeriodWith("1 month", "2025-06-01", {{"2025-06-01", "2025-07-01"}})), "2025-06-30: 1");
  EXPECT_EQ(UnitsOf(fee, PeriodWith("1 month", "2025-06-01",
                                    {{"2025-06-01", "2025-06-16", "2"}, {"2025-06-16", "2025-07-01", "5"}})),
            "2025-06-15: 1, 2025-06-30: 3.5");
}

TEST(Fee, IsDueInFullWithoutProration) {
  FeeProration none;
  none.by_day = false;
  Fee fee = FeeOf("30", none);
  const Period period =
      PeriodWith("1 month", "2025-06-01", {{"2025-06-10", "2025-06-16", "2"}, {"2025-06-16", "2025-06-20", "5"}});
  EXPECT_EQ(UnitsOf(fee, period), "2025-06-10: 2");
  fee.in_advance = false;
  EXPECT_EQ(UnitsOf(fee, period), "2025-06-19: 2");
}

TEST(Fee, IsDueOnce) {
  Fee fee = FeeOf("30");
  fee.once = true;
  EXPECT_EQ(UnitsOf(fee, PeriodWith("1 month", "2025-06-10", {{"2025-06-10", "2025-06-11", "3"}})), "2025-06-10: 3");
  // In arrears on the last of its days in the period, by the quantity that it began with.
  fee.in_advance = false;
  const Period period =
      PeriodWith("1 month", "2025-06-10", {{"2025-06-10", "2025-06-16", "3"}, {"2025-06-16", "2025-06-21", "5"}});
  EXPECT_EQ(UnitsOf(fee, period), "2025-06-20: 3");
  std::vector<FeeStep> steps;
  ASSERT_TRUE(PriceFeeInSteps(fee, period, On("2025-06-20"), &steps));
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].what, "once, on 2025-06-20 of 3");
}

struct CountCase {
  DayCount days;
  const char* cycle;
  SliceText slice;
  const char* units;
};

TEST(Fee, CountsDaysAsItIsTold) {
  constexpr CountCase kCases[] = {
      {DayCount::kPeriod, "1 month", {"2025-02-15", "2025-03-01"}, "0.5"},
      {DayCount::kThirty360, "1 month", {"2025-02-16", "2025-03-01"}, "0.5"},  // the 16th to the 30th
      {DayCount::kThirty360, "1 month", {"2025-01-16", "2025-02-01"}, "0.5"},  // the 31st is none
      {DayCount::kThirty360, "1 month", {"2025-02-28", "2025-03-01"}, "0.033333333333333333"},
      {DayCount::kThirty360, "1 year", {"2025-07-01", "2026-01-01"}, "0.5"},
      {DayCount::kThirty360, "1 year", {"2025-01-31", "2025-03-31"}, "0.166666666666666667"},
      {DayCount::kActual365, "1 year", {"2024-01-01", "2024-03-14"}, "0.2"},
      {DayCount::kActual360, "1 year", {"2024-01-01", "2024-03-13"}, "0.2"},
      {DayCount::kActual360, "1 month", {"2025-01-01", "2025-01-16"}, "0.5"},
      // A whole period is one by any count.
      {DayCount::kActual365, "1 year", {"2024-01-01", "2025-01-01"}, "1"},
      {DayCount::kActual360, "1 month", {"2025-01-01", "2025-02-01"}, "1"},
      {DayCount::kThirty360, "1 month", {"2025-02-01", "2025-03-01"}, "1"},
  };
  for (const CountCase& c : kCases) {
    FeeProration proration;
    proration.days = c.days;
    Fee fee = FeeOf("1", proration);
    fee.in_advance = false;
    const Period period = PeriodWith(c.cycle, c.slice.start, {c.slice});
    const std::string got = UnitsOf(fee, period);
    EXPECT_EQ(got.substr(12), c.units) << ToString(c.days) << " " << c.cycle << " " << c.slice.start;
  }
}

// Kill Bill: a part that leads up to the first whole period is taken over the days of the one before it, counted back.
TEST(Fee, CountsALeadingPartBackFromThePeriodsEnd) {
  FeeProration proration;
  const Period period = PeriodWith("1 month", "2025-02-10", {{"2025-02-10", "2025-02-28"}}, "2024-01-31");
  EXPECT_EQ(ToString(period.period), "2025-01-31 to 2025-02-28");
  EXPECT_EQ(UnitsOf(FeeOf("1", proration), period), "2025-02-10: 0.642857142857142857");  // 18 of 28
  proration.count_back = true;
  EXPECT_EQ(UnitsOf(FeeOf("1", proration), period), "2025-02-10: 0.580645161290322581");  // 18 of 31
  proration.rounding = Rounding::kHalfUp;
  proration.places = 9;
  EXPECT_EQ(UnitsOf(FeeOf("1", proration), period), "2025-02-10: 0.580645161");
}

TEST(Fee, IsOneQuotientWhateverTheSlices) {
  const Fee fee = FeeOf("100");
  const Period period = PeriodWith(
      "1 month", "2025-01-01",
      {{"2025-01-01", "2025-01-11", "1"}, {"2025-01-11", "2025-01-21", "1.5"}, {"2025-01-21", "2025-02-01", "1"}});
  Worth worth;
  Quantity units;
  ASSERT_TRUE(PriceFee(fee, period, On("2025-01-31"), &worth, &units));
  EXPECT_EQ(ToString(worth), "116.129032258064516129032258064516129032");  // 3600 / 31
  std::vector<FeeStep> steps;
  ASSERT_TRUE(PriceFeeInSteps(fee, period, On("2025-01-31"), &steps));
  ASSERT_EQ(steps.size(), 3u);
  EXPECT_EQ(steps[0].what, "2025-01-01 to 2025-01-11, 10 of 31 days");
  EXPECT_EQ(steps[1].what, "2025-01-11 to 2025-01-21, 10 of 31 days of 1.5");
  Worth sum;
  for (const FeeStep& step : steps) ASSERT_TRUE(Wide::Add(sum.amount, step.worth.amount, &sum.amount));
  EXPECT_EQ(sum, worth);
}

TEST(Fee, CannotBeBeyondAllNumbers) {
  const Period period = PeriodWith("1 month", "2025-01-01", {{"2025-01-02", "2025-02-01"}});
  Period many = period;
  many.slices[0].quantity = {static_cast<Int128>(~Uint128{0} >> 1)};
  Worth worth;
  Quantity units;
  EXPECT_FALSE(
      PriceFee({{static_cast<Int128>(~Uint128{0} >> 1)}, false, true, {}}, many, On("2025-01-31"), &worth, &units));
}

// Two ways to the same number, for any slices and any rule.
TEST(Fee, ComesToTheSameDayByDay) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 5'000; ++round) {
    BillingCycle cycle;
    cycle.count = 1 + static_cast<int32_t>(random() % 12);
    cycle.anchor = {static_cast<int32_t>(random() % 20'000)};
    const Day day{static_cast<int32_t>(random() % 20'000)};
    Period period{PeriodOf(cycle, day), cycle.count, {}};
    Day at = period.period.start;
    while (period.slices.empty() || (random() % 3 != 0 && at < period.period.end)) {
      const int32_t left = period.period.end.number - at.number;
      const Day start{at.number +
                      (random() % 2 == 0 ? 0 : static_cast<int32_t>(random() % static_cast<uint64_t>(left)))};
      const int32_t behind = period.period.end.number - start.number;
      at = {start.number + 1 + static_cast<int32_t>(random() % static_cast<uint64_t>(behind))};
      if (random() % 3 == 0) at = period.period.end;
      period.slices.push_back({start, at, Quantity::Units(static_cast<int64_t>(random() % 9))});
    }
    Fee fee{Each("9.99"), random() % 8 == 0, random() % 2 == 0, {}};
    fee.proration.by_day = random() % 5 != 0;
    fee.proration.days = static_cast<DayCount>(random() % 4);
    fee.proration.count_back = random() % 2 == 0;
    if (random() % 2 == 0) fee.proration.rounding = static_cast<Rounding>(random() % 4);
    fee.proration.places = static_cast<int>(random() % 12);
    fee.credits_rest = random() % 3 != 0;
    ASSERT_NO_FATAL_FAILURE(UnitsOf(fee, period));
    ASSERT_FALSE(::testing::Test::HasFailure()) << "round " << round;
  }
}

}  // namespace
}  // namespace tollbook
