// Commitments: of a period and of buckets, their overage and true-up, and the prices of windows of buckets.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rating/price.h"
#include "rating/rate.h"
#include "tests/rating/in_words.h"

namespace tollbook {
namespace {

Charge Hourly(std::string_view price) {
  Charge charge;
  charge.name = "capacity";
  charge.pricing.unit_price = Each(price);
  charge.per_bucket = PerBucket::kHour;
  return charge;
}

Commitment Amount(std::string_view amount, std::string_view factor, bool true_up) {
  return {Each(amount), std::nullopt, Each(factor), true_up};
}

struct Hour {
  int32_t hour;
  std::string_view quantity;
};

std::string WorthOf(const Charge& charge, const std::vector<Hour>& hours, bool complete = true,
                    std::string_view zone = "UTC", std::vector<std::string>* told = nullptr) {
  PeriodUsage usage;
  usage.complete = complete;
  usage.zone = ZoneOf(zone);
  const Day day = charge.per_bucket == PerBucket::kNone ? Day() : On("2025-03-30");
  for (const Hour& hour : hours) usage.parts.push_back({{day, hour.hour}, 0, Units(hour.quantity), 1});
  std::vector<PriceStep> steps;
  const absl::StatusOr<Worth> worth = PricePeriod(charge, usage, &steps);
  EXPECT_TRUE(worth.ok()) << worth.status();
  Wide sum;
  for (const PriceStep& step : steps) {
    EXPECT_TRUE(Wide::Add(sum, step.worth.amount, &sum));
    if (told != nullptr) told->push_back(step.what + " = " + ToString(step.worth));
  }
  EXPECT_EQ(Worth{sum}, *worth);
  return ToString(*worth);
}

TEST(Commitments, HoldForEachBucketWithUsage) {
  Charge charge = Hourly("2");
  charge.commitment = Amount("10", "2", true);
  EXPECT_EQ(WorthOf(charge, {{0, "2"}, {1, "8"}}), "32");  // 10, and 10 + 6 x 2
  EXPECT_EQ(WorthOf(charge, {{0, "5"}}), "10");
  EXPECT_EQ(WorthOf(charge, {{0, "2"}, {1, "8"}}, false), "32");  // a bucket that is priced is over
  charge.commitment->true_up = false;
  EXPECT_EQ(WorthOf(charge, {{0, "2"}, {1, "8"}}), "26");
}

TEST(Commitments, MayBeAQuantity) {
  Charge charge = Hourly("2");
  charge.commitment = Commitment{{}, Units("10"), Each("1.5"), true};
  EXPECT_EQ(WorthOf(charge, {{0, "15"}, {1, "6"}, {2, "10"}}), "75");  // 35 + 20 + 20
  charge.pricing.model = ChargeModel::kGraduated;
  charge.pricing.tiers = {{Units("5"), Each("1"), {}}, {std::nullopt, Each("4"), {}}};
  EXPECT_EQ(WorthOf(charge, {{0, "4"}}), "25");   // 5 x 1 + 5 x 4
  EXPECT_EQ(WorthOf(charge, {{0, "12"}}), "37");  // 25 + 8 x 1.5
}

TEST(Commitments, OfThePeriodAreTruedUpOnceItIsComplete) {
  Charge charge = Hourly("2");
  charge.per_bucket = PerBucket::kNone;
  charge.commitment = Commitment{{}, Units("500"), Each("1.5"), true};
  EXPECT_EQ(WorthOf(charge, {{0, "300"}}, false), "600");
  EXPECT_EQ(WorthOf(charge, {{0, "300"}}), "1000");
  EXPECT_EQ(WorthOf(charge, {{0, "600"}}, false), "1300");  // the overage is due at once
  EXPECT_TRUE(IsDueAtEnd(charge));
  EXPECT_FALSE(IsOfQuantityAlone(charge));
}

TEST(Commitments, StandBetweenThePriceAndTheDiscount) {
  Charge charge = Hourly("2");
  charge.per_bucket = PerBucket::kNone;
  charge.included = Units("5");
  charge.commitment = Amount("10", "2", true);
  charge.discount = Each("0.5");
  charge.maximum = Each("20");
  charge.minimum = Each("6");
  EXPECT_EQ(WorthOf(charge, {{0, "6"}}), "6");    // 2, raised to 10, halved, raised to the minimum
  EXPECT_EQ(WorthOf(charge, {{0, "15"}}), "15");  // 20: 10 + 10 x 2, halved
  EXPECT_EQ(WorthOf(charge, {{0, "100"}}), "20");
}

Charge WithMornings() {
  Charge charge = Hourly("1");
  charge.commitment = Amount("10", "2", true);
  Pricing morning;
  morning.unit_price = Each("2");
  charge.bucket_windows = {{{kEveryWeekday, 9 * 60, 12 * 60}, morning, Amount("5", "2", false)}};
  return charge;
}

TEST(BucketWindows, HaveAPriceAndCommitmentOfTheirOwn) {
  EXPECT_EQ(WorthOf(WithMornings(), {{9, "10"}, {10, "1"}, {18, "3"}}), "47");  // 5 + 15 x 2, 2, 10
  Charge charge = WithMornings();
  charge.bucket_windows.front().commitment.reset();
  EXPECT_EQ(WorthOf(charge, {{9, "10"}, {18, "3"}}), "30");
}

// Hours are counted from the day's first instant: in the night that skips an hour the ninth begins at 10:00.
TEST(BucketWindows, GoByTheLocalClock) {
  EXPECT_EQ(WorthOf(WithMornings(), {{8, "1"}}, true, "Europe/Berlin"), "2");    // 09:00
  EXPECT_EQ(WorthOf(WithMornings(), {{11, "1"}}, true, "Europe/Berlin"), "10");  // 12:00
}

TEST(Commitments, TellTheirWindowAndWhatTheyAdd) {
  std::vector<std::string> told;
  EXPECT_EQ(WorthOf(WithMornings(), {{9, "10"}, {18, "3"}}, true, "UTC", &told), "45");
  EXPECT_EQ(told, (std::vector<std::string>{
                      "2025-03-30 hour 9 (every day 09:00 to 12:00): per unit = 20",
                      "2025-03-30 hour 9 (every day 09:00 to 12:00): above the commitment of 5, 2 times = 15",
                      "2025-03-30 hour 18: per unit = 3",
                      "2025-03-30 hour 18: up to the commitment of 10 = 7",
                  }));
}

TEST(Commitments, AreDueOnTheLastDay) {
  Charge charge = Hourly("1");
  charge.per_bucket = PerBucket::kNone;
  charge.meter = "units";
  charge.commitment = Amount("10", "1", true);
  Catalog catalog;
  Meter meter;
  meter.name = meter.event_type = "units";
  catalog.meters = {meter};
  catalog.plans = {{"plan", In("USD"), {charge}}};
  catalog.subscriptions = {SubscriptionOfAcme("s", 0, "2025-01-01", "", "UTC")};
  catalog.BuildIndex();
  SubjectTotal total;
  total.meter = &catalog.meters.front();
  total.bucket = BucketOf(Granularity::kDay, At("2025-01-03T10:00:00Z"), ZoneOf("UTC"));
  total.total = {Units("4"), 1, {}};
  const auto booked = [&](std::optional<Day> through) {
    const absl::StatusOr<RatedSubject> rated = RateSubject(catalog, "acme", std::vector{total}, through);
    EXPECT_TRUE(rated.ok()) << rated.status();
    const DayWorth& day = rated->charges.front().days.back();
    return ToString(day.usage_date) + " " + ToString(day.booked_to_date);
  };
  EXPECT_EQ(booked(On("2025-01-30")), "2025-01-03 4.00");
  EXPECT_EQ(booked(On("2025-01-31")), "2025-01-31 10.00");
}

}  // namespace
}  // namespace tollbook
