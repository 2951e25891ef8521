// Time rates: windows of the local clock, increments, connect fee, steps, maximum, and rounded increments.
#include "rating/time_rate.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rating/price.h"
#include "tests/rating/in_words.h"

namespace tollbook {
namespace {

TimeStep Rate(std::string_view price, int64_t per, int64_t increment, int64_t after = 0) {
  return {after * kSecondNanos, Each(price), per * kSecondNanos, increment * kSecondNanos};
}

constexpr uint8_t kWorkdays = 0x1f, kWeekend = 0x60;

// 1 a second on workdays to 18:00, with a connect fee of 1; else a half.
Charge Evenings() {
  Charge charge;
  charge.name = "calls";
  charge.pricing.model = ChargeModel::kTimeRate;
  charge.pricing.time.windows = {{{kWorkdays, 0, 18 * 60}, Each("1"), {Rate("1", 1, 1)}},
                                 {{kWorkdays, 18 * 60, kMinutesOfDay}, {}, {Rate("0.5", 1, 1)}},
                                 {{kWeekend}, {}, {Rate("0.5", 1, 1)}}};
  return charge;
}

Charge Steps(std::vector<TimeStep> steps) {
  Charge charge;
  charge.name = "calls";
  charge.pricing.model = ChargeModel::kTimeRate;
  charge.pricing.time.windows = {{{}, {}, std::move(steps)}};
  return charge;
}

struct Call {
  std::string_view at, duration;
};

std::string WorthOf(const Charge& charge, const std::vector<Call>& calls, std::string_view zone = "UTC",
                    std::vector<std::string>* told = nullptr) {
  PeriodUsage usage;
  usage.zone = ZoneOf(zone);
  usage.parts.resize(1);
  for (const Call& call : calls) usage.parts.front().elements.push_back(UsageTotal{Units(call.duration), 1, At(call.at)});
  std::vector<PriceStep> steps;
  const absl::StatusOr<Worth> worth = PricePeriod(charge, usage, &steps);
  if (!worth.ok()) return std::string(Std(worth.status().message()));
  Wide sum;
  for (const PriceStep& step : steps) {
    EXPECT_TRUE(Wide::Add(sum, step.worth.amount, &sum));
    if (told != nullptr) told->push_back(step.what + " = " + ToString(step.worth));
  }
  EXPECT_EQ(Worth{sum}, *worth);
  return ToString(*worth);
}

TEST(TimeRates, ChangeAtTheHour) {
  EXPECT_EQ(WorthOf(Evenings(), {{"2012-02-02T17:30:00Z", "3600"}}), "2701");
  EXPECT_EQ(WorthOf(Evenings(), {{"2012-02-08T23:50:00Z", "30"}}), "15");
  EXPECT_EQ(WorthOf(Evenings(), {{"2012-02-02T17:30:00Z", "0"}}), "0");    // no connect fee either
  EXPECT_EQ(WorthOf(Evenings(), {{"2012-02-03T23:59:50Z", "20"}}), "10");  // Friday to Saturday
  EXPECT_EQ(WorthOf(Evenings(), {{"2012-02-05T23:59:50Z", "20"}}), "15");  // Sunday to Monday: the fee is Sunday's
  EXPECT_EQ(WorthOf(Evenings(), {{"2012-02-06T00:00:00Z", "604800"}}), "464401");  // a week: 324,000 s at 1
}

TEST(TimeRates, GoByTheLocalClock) {
  EXPECT_EQ(WorthOf(Evenings(), {{"2012-02-02T16:30:00Z", "3600"}}, "Europe/Berlin"), "2701");
  // In the night to 30 March 2025 the clock goes from 2 to 3; in that to 26 October it shows 2 to 3 twice.
  Charge night = Evenings();
  night.pricing.time.windows = {{{kEveryWeekday, 0, 150}, {}, {Rate("1", 1, 1)}},
                                {{kEveryWeekday, 150, kMinutesOfDay}, {}, {Rate("0", 1, 1)}}};
  EXPECT_EQ(WorthOf(night, {{"2025-03-30T00:30:00Z", "3600"}}, "Europe/Berlin"), "1800");  // 1:30 to 2, then 3 to 3:30
  EXPECT_EQ(WorthOf(night, {{"2025-10-25T23:30:00Z", "7200"}}, "Europe/Berlin"), "5400");  // 1:30 to 2:30, 2 to 2:30
}

TEST(TimeRates, PriceStartedIncrements) {
  const Charge first_minute = Steps({Rate("1", 1, 60), Rate("1", 1, 1, 60)});
  EXPECT_EQ(WorthOf(first_minute, {{"2025-01-01T00:00:00Z", "132"}}), "132");
  EXPECT_EQ(WorthOf(first_minute, {{"2025-01-01T00:00:00Z", "0.000000001"}}), "60");
  EXPECT_EQ(WorthOf(first_minute, {{"2025-01-01T00:00:00Z", "60"}}), "60");
  EXPECT_EQ(WorthOf(first_minute, {{"2025-01-01T00:00:00Z", "60.5"}}), "61");
  EXPECT_EQ(WorthOf(Steps({Rate("0.006", 60, 30), Rate("0.006", 60, 6, 30)}), {{"2025-01-01T00:00:00Z", "32"}}),
            "0.0036");
}

// One that runs across a boundary is of the window in which it begins, and the next begins where it ends.
TEST(TimeRates, DoNotCutIncrements) {
  Charge charge = Evenings();
  for (TimeWindow& window : charge.pricing.time.windows) window.steps.front().increment_nanos = 60 * kSecondNanos;
  EXPECT_EQ(WorthOf(charge, {{"2012-02-02T17:59:30Z", "60"}}), "61");
  EXPECT_EQ(WorthOf(charge, {{"2012-02-02T17:59:30Z", "61"}}), "91");
  EXPECT_EQ(WorthOf(Steps({Rate("1", 1, 40), Rate("1", 1, 1, 30)}), {{"2025-01-01T00:00:00Z", "41"}}), "41");
}

TEST(TimeRates, StayExactWhereThePriceOfAnIncrementIsNot) {
  const Charge charge = Steps({Rate("0.01", 60, 1)});
  EXPECT_EQ(WorthOf(charge, {{"2025-01-01T00:00:00Z", "30"}}), "0.005");
  EXPECT_EQ(WorthOf(charge, {{"2025-01-01T00:00:00Z", "1"}}), "0.000166666666666666666666666666666667");
  EXPECT_EQ(WorthOf(charge, {{"2025-01-01T00:00:00Z", "10"}, {"2025-01-02T00:00:00Z", "20"}}), "0.005");
  Charge rounded = Steps({Rate("0.1", 60, 1)});
  rounded.pricing.time.increment_rounding = Rounding::kHalfUp;
  rounded.pricing.time.increment_places = 6;
  EXPECT_EQ(WorthOf(rounded, {{"2025-01-01T00:00:00Z", "180"}}), "0.30006");
}

TEST(TimeRates, HaveAMaximumForEachEvent) {
  Charge charge = Steps({Rate("1", 60, 60)});
  charge.pricing.time.windows.front().connect_fee = Each("0.5");
  charge.pricing.time.unit_nanos = 60 * kSecondNanos;
  charge.pricing.max_per_event = Each("5");
  EXPECT_EQ(WorthOf(charge, {{"2025-01-01T00:00:00Z", "4"}}), "4.5");
  EXPECT_EQ(WorthOf(charge, {{"2025-01-01T00:00:00Z", "5"}}), "5");
  EXPECT_EQ(WorthOf(charge, {{"2025-01-01T00:00:00Z", "4"}, {"2025-01-02T00:00:00Z", "90"}}), "9.5");
}

TEST(TimeRates, TakeADurationToTheNanosecond) {
  Charge charge = Steps({Rate("1", 60, 60)});
  charge.pricing.time.unit_nanos = 60 * kSecondNanos;
  EXPECT_EQ(WorthOf(charge, {{"2025-01-01T00:00:00Z", "1.000000000000000001"}}), "1");
  EXPECT_EQ(WorthOf(charge, {{"2025-01-01T00:00:00Z", "1.00000000002"}}), "2");
  EXPECT_EQ(WorthOf(charge, {{"2025-01-01T00:00:00Z", "-1"}}), "0");
}

TEST(TimeRates, ThatRunPastAllTimeAreAnError) {
  EXPECT_NE(WorthOf(Steps({Rate("1", 1, 1)}), {{"2025-01-01T00:00:00Z", "8000000000"}}).find("does not fit"),
            std::string::npos);
  EXPECT_NE(WorthOf(Steps({Rate("1", 1, 1)}), {{"2025-01-01T00:00:00Z", "80000000000000"}}).find("does not fit"),
            std::string::npos);
  EXPECT_EQ(WorthOf(Steps({Rate("1", 1, 1'000'000'000)}), {{"2025-01-01T00:00:00Z", "7000000000"}}), "7000000000");
  Charge dear = Steps({Rate("100000000000000000000", 1, 1'000'000'000)});
  EXPECT_NE(WorthOf(dear, {{"2025-01-01T00:00:00Z", "1"}}).find("does not fit"), std::string::npos);
}

TEST(TimeRates, TellWindowsAndIncrements) {
  std::vector<std::string> told;
  EXPECT_EQ(WorthOf(Evenings(), {{"2012-02-02T17:30:00Z", "3600"}}, "UTC", &told), "2701");
  EXPECT_EQ(told, (std::vector<std::string>{
                      "mon-fri 00:00 to 18:00: connect fee = 1",
                      "mon-fri 00:00 to 18:00: 1800 increments of 1 s at 1 per 1 s = 1800",
                      "mon-fri 18:00 to 24:00: 1800 increments of 1 s at 0.5 per 1 s = 900",
                  }));
  told.clear();
  Charge charge = Steps({Rate("0.01", 60, 60), Rate("0.01", 60, 1, 60)});
  charge.pricing.max_per_event = Each("1");
  EXPECT_EQ(WorthOf(charge, {{"2025-01-01T00:00:00Z", "90"}, {"2025-01-01T00:00:00Z", "900000"}}, "UTC", &told),
            "1.015");
  EXPECT_EQ(told, (std::vector<std::string>{
                      "from 0 s on, 1 increment of 60 s at 0.01 per 60 s = 0.01",
                      "from 60 s on, 30 increments of 1 s at 0.01 per 60 s = 0.005",
                      "events at the maximum of each = 1",
                  }));
}

}  // namespace
}  // namespace tollbook
