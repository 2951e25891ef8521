// Percentages of transactions: the allowance, the bounds, refunds, and steps that tell them.
#include "rating/transaction_tally.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rating/price.h"
#include "rating/rate.h"
#include "tests/rating/in_words.h"

namespace tollbook {
namespace {

// 1.3 % and 2 each.
Charge Fee() {
  Charge charge;
  charge.name = "fee";
  charge.pricing.model = ChargeModel::kPercentage;
  charge.pricing.unit_price = Each("0.013");
  charge.pricing.price_per_event = Each("2");
  return charge;
}

// A second apart, in this order.
std::vector<PricedElement> Events(const std::vector<std::string>& values) {
  std::vector<PricedElement> events;
  for (const std::string& value : values) {
    events.push_back(UsageTotal{Units(value), 1, {static_cast<int64_t>(events.size()) * kSecondNanos}});
  }
  return events;
}

std::string WorthOf(const Charge& charge, const std::vector<PricedElement>& events,
                    std::vector<std::string>* told = nullptr) {
  PeriodUsage usage;
  usage.parts.push_back({{}, 0, {}, events.size(), events});
  std::vector<PriceStep> steps;
  const absl::StatusOr<Worth> worth = PricePeriod(charge, usage, &steps);
  if (!worth.ok()) return std::string(Std(worth.status().message()));
  Wide sum;
  for (const PriceStep& step : steps) {
    EXPECT_TRUE(Wide::Add(sum, step.worth.amount, &sum));
    if (told != nullptr) told->push_back(step.what + " " + ToString(step.quantity) + " = " + ToString(step.worth));
  }
  EXPECT_EQ(Worth{sum}, *worth);
  return ToString(*worth);
}

TEST(Transactions, AreFreeUpToWhicheverAllowanceEndsFirst) {
  const std::vector<PricedElement> events = Events({"50", "100", "250", "400"});
  Charge charge = Fee();
  charge.pricing.free_events = 3;
  EXPECT_EQ(WorthOf(charge, events), "7.2");  // 2 + 1.3 % of 400
  charge.pricing.free_amount = Units("500");
  EXPECT_EQ(WorthOf(charge, events), "7.2");  // the three end it, at 400
  charge.pricing.free_amount = Units("250");
  EXPECT_EQ(WorthOf(charge, events), "11.15");  // 2 + 1.3 % of 150, and 7.2
  charge.pricing.free_amount = Units("400");
  EXPECT_EQ(WorthOf(charge, events), "7.2");  // covered to the last cent is free
  charge.pricing.free_events.reset();
  EXPECT_EQ(WorthOf(charge, events), "7.2");
  EXPECT_EQ(WorthOf(charge, {}), "0");
}

TEST(Transactions, PayAtLeastTheMinimumAndAtMostTheMaximum) {
  const std::vector<PricedElement> events = Events({"10", "80", "10000"});
  Charge charge = Fee();
  charge.pricing.unit_price = Each("0.0299");
  charge.pricing.min_per_event = Each("1.75");
  charge.pricing.max_per_event = Each("12");
  EXPECT_EQ(WorthOf(charge, events), "18.691");  // 2.299, 4.392, 12: the fixed amount is in the bounds
  charge.pricing.price_per_event = {};
  charge.pricing.free_amount = Units("30");
  EXPECT_EQ(WorthOf(charge, events), "13.794");  // free: no minimum; 2.99 % of 60; 12
  charge.pricing.free_amount.reset();
  EXPECT_EQ(WorthOf(charge, Events({"0"})), "1.75");
}

TEST(Transactions, OfNothingTakeAFreeOne) {
  Charge charge = Fee();
  charge.pricing.free_events = 1;
  EXPECT_EQ(WorthOf(charge, Events({"0", "100"})), "3.3");
  EXPECT_EQ(WorthOf(charge, Events({"100", "0"})), "2");
  charge.pricing.free_events.reset();
  charge.pricing.free_amount = Units("1");
  EXPECT_EQ(WorthOf(charge, Events({"0", "0", "1", "0"})), "2");  // behind the allowance it pays the fixed amount
}

TEST(Transactions, BelowZeroGiveBackTheirPercentageAtMostTheMaximum) {
  Charge charge = Fee();
  charge.pricing.free_amount = Units("100");
  EXPECT_EQ(WorthOf(charge, Events({"-100", "100"})), "0.7");  // 2 - 1.3, and free: nothing was taken or given
  charge.pricing.min_per_event = Each("5");
  EXPECT_EQ(WorthOf(charge, Events({"-100"})), "0.7");
  charge.pricing.max_per_event = Each("12");
  EXPECT_EQ(WorthOf(charge, Events({"-100000"})), "-12");
  EXPECT_EQ(WorthOf(charge, Events({"100000", "-100000"})), "0");
}

TEST(Transactions, TellWhatWasFreeAndWhatTheBoundsChanged) {
  Charge charge = Fee();
  charge.pricing.free_events = 5;
  charge.pricing.free_amount = Units("60");
  charge.pricing.min_per_event = Each("2.5");
  charge.pricing.max_per_event = Each("7");
  std::vector<std::string> told;
  EXPECT_EQ(WorthOf(charge, Events({"50", "20", "1", "400", "-1000"}), &told), "5");
  EXPECT_EQ(told, (std::vector<std::string>{
                      "1 transaction free, at 1970-01-01T00:00:00Z 50 = 0",
                      "free part of the transaction at 1970-01-01T00:00:01Z 10 = 0",
                      "percentage of 4 transactions -589 = -7.657",
                      "fixed amount per transaction 4 = 8",
                      "2 transactions up to the minimum of 2.5 0 = 0.857",
                      "1 transaction above the maximum of 7 0 = -0.2",
                      "refund of 1 transaction above the maximum of 7 0 = 4",
                  }));
}

// Equal ones come as one element with their number.
TEST(Transactions, CountOneByOneWhereSeveralAreEqual) {
  Charge charge = Fee();
  charge.pricing.free_events = 3;
  charge.pricing.free_amount = Units("25");
  const std::string one_by_one = WorthOf(charge, Events({"10", "10", "10", "10", "10"}));
  EXPECT_EQ(WorthOf(charge, {UsageTotal{Units("10"), 5, {}}}), one_by_one);
  EXPECT_EQ(one_by_one, "6.325");  // two free, 5 of the third; 3 * 2 + 1.3 % of 25
  charge.pricing.free_amount.reset();
  charge.pricing.free_events = uint64_t{1} << 40;
  EXPECT_EQ(WorthOf(charge, {UsageTotal{Units("1"), (uint64_t{1} << 40) + 1, {}}}), "2.013");
}

TEST(Transactions, ThatDoNotFitAreAnError) {
  Charge charge = Fee();
  charge.pricing.max_per_event = Each("1");
  const UsageTotal many = {{~(Int128{1} << 127)}, UINT64_MAX, {}};
  EXPECT_NE(WorthOf(charge, {many, many}).find("does not fit"), std::string::npos);
  charge.pricing.free_events = 1;
  EXPECT_NE(WorthOf(charge, {many}).find("does not fit"), std::string::npos);
}

// ----- day by day

struct Subject {
  Catalog catalog;
  std::vector<SubjectTotal> totals;
};

Subject PayingSubject(Charge charge) {
  Subject subject;
  Meter meter;
  meter.name = meter.event_type = charge.meter = "payments";
  meter.keep_events = true;
  subject.catalog.meters = {meter};
  subject.catalog.plans = {{"plan", In("USD"), {std::move(charge)}}};
  subject.catalog.subscriptions = {SubscriptionOfAcme("s", 0, "2025-01-01", "", "UTC")};
  subject.catalog.BuildIndex();
  return subject;
}

void AddEvent(std::string_view value, std::string_view at, Subject* subject) {
  SubjectTotal total;
  total.meter = &subject->catalog.meters.front();
  total.bucket = BucketOf(Granularity::kDay, At(at), ZoneOf("UTC"));
  total.total = {Units(value), 1, At(at)};
  subject->totals.push_back(total);
}

std::vector<std::string> BookedByDay(const Subject& subject) {
  const absl::StatusOr<RatedSubject> rated = RateSubject(subject.catalog, "acme", subject.totals, std::nullopt);
  EXPECT_TRUE(rated.ok()) << rated.status();
  std::vector<std::string> booked;
  for (const DayWorth& day : rated->charges.front().days) {
    booked.push_back(ToString(day.usage_date) + " " + ToString(day.booked_to_date));
  }
  EXPECT_EQ(FirstMisroundedDay(rated->charges.front(), Rounding::kHalfUp), nullptr);
  return booked;
}

TEST(Transactions, GoOnFromTheDayBefore) {
  Charge charge = Fee();
  charge.pricing.free_events = 2;
  Subject subject = PayingSubject(charge);
  AddEvent("100", "2025-01-03T10:00:00Z", &subject);
  AddEvent("200", "2025-01-04T10:00:00Z", &subject);
  AddEvent("300", "2025-01-05T10:00:00Z", &subject);
  EXPECT_EQ(BookedByDay(subject), (std::vector<std::string>{"2025-01-03 0.00", "2025-01-04 0.00", "2025-01-05 5.90"}));
  // One that comes late and stands earlier takes its place in the allowance.
  AddEvent("1000", "2025-01-03T11:00:00Z", &subject);
  EXPECT_EQ(BookedByDay(subject), (std::vector<std::string>{"2025-01-03 0.00", "2025-01-04 4.60", "2025-01-05 10.50"}));
}

TEST(Transactions, OfADayStandByTimeAndValue) {
  Charge charge = Fee();
  charge.pricing.free_events = 1;
  Subject subject = PayingSubject(charge);
  AddEvent("300", "2025-01-03T12:00:00Z", &subject);
  AddEvent("200", "2025-01-03T10:00:00Z", &subject);
  AddEvent("100", "2025-01-03T10:00:00Z", &subject);
  EXPECT_EQ(BookedByDay(subject), (std::vector<std::string>{"2025-01-03 10.50"}));  // 100 is free
}

TEST(Transactions, BeginAnewInEachBucket) {
  Charge charge = Fee();
  charge.pricing.free_events = 1;
  charge.per_bucket = PerBucket::kDay;
  Subject subject = PayingSubject(charge);
  AddEvent("100", "2025-01-03T10:00:00Z", &subject);
  AddEvent("100", "2025-01-03T11:00:00Z", &subject);
  AddEvent("100", "2025-01-04T10:00:00Z", &subject);
  EXPECT_EQ(BookedByDay(subject), (std::vector<std::string>{"2025-01-03 3.30", "2025-01-04 3.30"}));
}

}  // namespace
}  // namespace tollbook
