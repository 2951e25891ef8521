// Charges of what carries over: rows that can be checked by hand, and random subjects against the twin.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "rating/rate.h"
#include "tests/rating/carried_twin.h"
#include "tests/rating/in_words.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// The subject "acme". In January a level of 1 is 1.00 a day at a price of 31.
class RateCarriedTest : public testing::Test {
 protected:
  RateCarriedTest() {
    Meter gb;
    gb.name = "gb";
    gb.aggregation = Aggregation::kWeightedSum;
    gb.dimensions = {"region"};
    catalog_.meters = {gb};
    catalog_.plans = {{"disk", In("USD"), {EachAt("31")}}, {"flash", In("USD"), {EachAt("62")}}};
  }

  static Charge EachAt(std::string_view price) {
    Charge charge;
    charge.name = "gb";
    charge.meter = "gb";
    charge.pricing.unit_price = Each(price);
    return charge;
  }

  void Subscribe(std::string_view id, uint32_t plan, std::string_view from, std::string_view to,
                 std::string_view zone = "UTC") {
    catalog_.subscriptions.push_back(SubscriptionOfAcme(id, plan, from, to, zone));
  }

  void Change(std::string_view at, std::string_view value, std::string_view region = "eu") {
    SubjectTotal total;
    total.meter = &catalog_.meters[0];
    total.dimension_values = regions_.emplace_back(1, region);
    total.bucket = BucketOf(total.meter->granularity, At(at), catalog_.book.zone);
    total.total = {Units(value), 1, At(at)};
    totals_.push_back(total);
  }

  RatedSubject Rate(std::string_view through, std::string_view carried_through = "") {
    catalog_.BuildIndex();
    std::optional<Day> last, last_carried;
    if (!through.empty()) last = On(through);
    if (!carried_through.empty()) last_carried = On(carried_through);
    absl::StatusOr<RatedSubject> rated = RateSubject(catalog_, "acme", totals_, {last, last_carried});
    EXPECT_TRUE(rated.ok()) << rated.status();
    for (const RatedCharge& charge : rated->charges) EXPECT_EQ(FirstMisroundedDay(charge, Rounding::kHalfUp), nullptr);
    return *std::move(rated);
  }

  // "plan month: days, the last, booked, events"
  std::vector<std::string> Lines(std::string_view through, std::string_view carried_through = "") {
    std::vector<std::string> lines;
    const RatedSubject rated = Rate(through, carried_through);
    for (const RatedCharge& charge : rated.charges) {
      const DayWorth& last = charge.days.back();
      lines.push_back(catalog_.plans[charge.subscription->plan].name + " " + AccountingPeriodOf(charge.period.start) +
                      ": " + std::to_string(charge.days.size()) + ", " + ToString(last.usage_date) + ", " +
                      ToString(last.booked_to_date) + ", " + std::to_string(last.events_to_date));
    }
    return lines;
  }

  Catalog catalog_;
  std::deque<std::vector<std::string_view>> regions_;
  std::vector<SubjectTotal> totals_;
};

TEST_F(RateCarriedTest, GoesOnToTheEndOfTheWindow) {
  Subscribe("s", 0, "2025-01-01", "");
  Change("2025-01-10T00:00:00Z", "2");
  Change("2025-01-12T12:00:00Z", "-1");
  EXPECT_THAT(Lines(""), ElementsAre("disk 2025-01: 3, 2025-01-12, 5.50, 2"));
  EXPECT_THAT(Lines("2025-01-11"), ElementsAre("disk 2025-01: 2, 2025-01-11, 4.00, 1"));
  EXPECT_THAT(Lines("", "2025-01-11"), ElementsAre("disk 2025-01: 3, 2025-01-12, 5.50, 2"));
  EXPECT_THAT(Lines("", "2025-01-13"), ElementsAre("disk 2025-01: 4, 2025-01-13, 6.50, 2"));
  EXPECT_THAT(Lines("2025-03-01"),
              ElementsAre("disk 2025-01: 22, 2025-01-31, 24.50, 2", "disk 2025-02: 28, 2025-02-28, 31.00, 0",
                          "disk 2025-03: 1, 2025-03-01, 1.00, 0"));
  EXPECT_THAT(Lines("2025-01-09"), IsEmpty());
}

TEST_F(RateCarriedTest, EachPlanHasItsDaysAndTheLevelStays) {
  Subscribe("s", 0, "2025-01-02", "2025-01-05");
  Subscribe("s", 1, "2025-01-05", "2025-01-07");
  Subscribe("s", 0, "2025-01-10", "");
  Change("2024-06-01T00:00:00Z", "1");
  EXPECT_THAT(Lines("2025-01-11"),
              ElementsAre("disk 2025-01: 5, 2025-01-11, 5.00, 0", "flash 2025-01: 2, 2025-01-06, 4.00, 0"));
  const RatedSubject rated = Rate("2025-01-11");
  ASSERT_EQ(rated.unrated.size(), 1u);
  EXPECT_EQ(rated.unrated[0].why, UnratedUsage::Why::kUnattributed);
  EXPECT_EQ(rated.unrated[0].events, 1u);
}

TEST_F(RateCarriedTest, CellsHaveLevelsOfTheirOwn) {
  Charge& charge = catalog_.plans[0].charges[0];
  charge.pricing.model = ChargeModel::kMatrix;
  Cell eu, other;
  eu.when = {{"region", "eu"}};
  eu.pricing.unit_price = Each("31");
  other.pricing.unit_price = Each("310");
  charge.cells = {eu, other};
  Subscribe("s", 0, "2025-01-01", "");
  Change("2025-01-30T00:00:00Z", "1");
  Change("2025-01-31T00:00:00Z", "-1");
  Change("2025-01-31T00:00:00Z", "1", "us");
  EXPECT_THAT(Lines("2025-01-31"), ElementsAre("disk 2025-01: 2, 2025-01-31, 11.00, 3"));
  EXPECT_THAT(Lines("2025-02-02"),
              ElementsAre("disk 2025-01: 2, 2025-01-31, 11.00, 3", "disk 2025-02: 2, 2025-02-02, 22.14, 0"));
}

// A flat amount that is due at zero usage is not due of a cell that only later usage is in.
TEST_F(RateCarriedTest, WhatComesLaterIsNoCellYet) {
  Charge& charge = catalog_.plans[0].charges[0];
  charge.pricing.model = ChargeModel::kMatrix;
  Cell eu, us;
  eu.when = {{"region", "eu"}};
  eu.pricing.unit_price = Each("31");
  us.when = {{"region", "us"}};
  us.pricing.model = ChargeModel::kGraduated;
  us.pricing.tiers = {{std::nullopt, Each("31"), Each("5")}};
  us.pricing.flat_at_zero = true;
  charge.cells = {eu, us};
  Subscribe("s", 0, "2025-01-01", "");
  Change("2025-01-30T00:00:00Z", "1");
  Change("2025-01-31T00:00:00Z", "1", "us");
  EXPECT_THAT(Lines("2025-01-30"), ElementsAre("disk 2025-01: 1, 2025-01-30, 1.00, 1"));
  EXPECT_THAT(Lines("2025-01-31"), ElementsAre("disk 2025-01: 2, 2025-01-31, 8.00, 2"));
}

TEST_F(RateCarriedTest, AMinimumIsDueWhenThePeriodIsComplete) {
  catalog_.plans[0].charges[0].minimum = Each("20");
  Subscribe("s", 0, "2025-01-01", "2025-01-04");
  Change("2025-01-01T00:00:00Z", "1");
  EXPECT_THAT(Lines("2025-01-30"), ElementsAre("disk 2025-01: 3, 2025-01-03, 3.00, 1"));
  EXPECT_THAT(Lines("2025-01-31"), ElementsAre("disk 2025-01: 4, 2025-01-31, 3.00, 1"));  // 3 of 31 days of it: 1.94
  catalog_.plans[0].charges[0].prorates_bound = false;
  EXPECT_THAT(Lines("2025-01-31"), ElementsAre("disk 2025-01: 4, 2025-01-31, 20.00, 1"));
}

// New York takes over from Berlin: the hours that Berlin's day had already are not New York's again.
TEST_F(RateCarriedTest, AChangeOfZoneCountsNoTimeTwice) {
  catalog_.meters[0].granularity = Granularity::kHour;
  Subscribe("s", 0, "2025-01-02", "2025-01-03", "America/New_York");
  Subscribe("s", 0, "2025-01-03", "2025-01-04", "Europe/Berlin");
  Change("2024-06-01T00:00:00Z", "24");
  EXPECT_THAT(Lines("2025-01-31"), ElementsAre("disk 2025-01: 2, 2025-01-03, 42.00, 0"));  // 24 + 18 hours
}

// Samoa had no 30 December 2011: a billing period of that day alone has no time, and no level. The first day has 14 of
// its 24 hours.
TEST_F(RateCarriedTest, ADayThatTheZoneSkippedHasNoLevel) {
  catalog_.plans[0].billing.cycle = *ParseBillingCycle("1 day");
  catalog_.book.zone = ZoneOf("Pacific/Apia");
  Subscribe("s", 0, "2011-12-01", "", "Pacific/Apia");
  Change("2011-12-28T20:00:00Z", "5");
  EXPECT_THAT(Lines("2012-01-02"),
              ElementsAre("disk 2011-12: 1, 2011-12-28, 90.42, 1", "disk 2011-12: 1, 2011-12-29, 155.00, 0",
                          "disk 2011-12: 1, 2011-12-31, 155.00, 0", "disk 2012-01: 1, 2012-01-01, 155.00, 0",
                          "disk 2012-01: 1, 2012-01-02, 155.00, 0"));
}

TEST_F(RateCarriedTest, AgreesWithTheTwin) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 300; ++round) {
    catalog_.subscriptions.clear();
    totals_.clear();
    regions_.clear();
    Meter& meter = catalog_.meters[0];
    meter.aggregation = random() % 2 == 0 ? Aggregation::kWeightedSum : Aggregation::kUniqueCount;
    meter.operation_property = meter.aggregation == Aggregation::kUniqueCount ? "operation" : "";
    meter.reading.value_is = static_cast<ValueIs>(random() % 2);
    meter.reading.proration = static_cast<Proration>(random() % 2);
    const Day begin = On("2025-01-20");
    for (Day from = begin; from < On("2025-04-10");) {
      const Day to{from.number + 1 + static_cast<int32_t>(random() % 40)};
      Subscribe(random() % 3 == 0 ? "t" : "s", static_cast<uint32_t>(random() % 2), ToString(from), ToString(to));
      from = {to.number + static_cast<int32_t>(random() % 3)};
    }
    std::vector<reference::TwinElement> elements;
    for (uint64_t i = 1 + random() % 25; i > 0; --i) {
      const int64_t nanos = At("2025-01-10T00:00:00Z").nanos +
                            static_cast<int64_t>(random() % 70) * 86'400'000'000'000 +
                            (random() % 2 == 0 ? 0 : static_cast<int64_t>(random() % 86'400'000) * 1'000'000);
      UsageTotal total{Quantity::Units(static_cast<int64_t>(random() % 20) - 5), 1, {nanos}};
      if (meter.aggregation == Aggregation::kUniqueCount) {
        total.value =
            IdentifierValue(static_cast<Uint128>(random() % 3) << 70, static_cast<SetOperation>(random() % 2));
      }
      elements.push_back({static_cast<uint32_t>(random() % 2), total});
    }
    for (uint32_t series = 0; series < 2; ++series) {
      for (const reference::TwinElement& element : elements) {
        if (element.series != series) continue;
        Change(ToString(element.total.latest_at), "0", series == 0 ? "eu" : "us");
        totals_.back().total = element.total;
      }
    }
    Day usage_ends = begin;
    for (const reference::TwinElement& e : elements) usage_ends = std::max(usage_ends, Zone().DayOf(e.total.latest_at));
    const bool has_through = random() % 2 == 0;
    const Day through{begin.number + static_cast<int32_t>(random() % 90)};
    const Day last = has_through ? through : std::max(usage_ends, through);
    catalog_.BuildIndex();
    const absl::StatusOr<RatedSubject> rated =
        RateSubject(catalog_, "acme", totals_, has_through ? RateWindow(through) : RateWindow(std::nullopt, through));
    ASSERT_TRUE(rated.ok()) << rated.status();

    using Line = std::tuple<std::string_view, uint32_t, Day>;
    std::map<Line, std::vector<Day>> valid;  // days of the twin, by line
    for (const Subscription& s : catalog_.subscriptions) {
      for (Day day = s.valid_from; day < *s.valid_to && day <= last; ++day.number)
        valid[{s.id, s.plan, MonthOf(day).start}].push_back(day);
    }
    std::map<Line, const RatedCharge*> lines;
    uint64_t events = 0, all_events = 0;
    for (const RatedCharge& charge : rated->charges) {
      lines[{charge.subscription->id, charge.subscription->plan, charge.period.start}] = &charge;
      events += charge.days.back().events_to_date;
    }
    for (const UnratedUsage& unrated : rated->unrated) events += unrated.events;
    for (const reference::TwinElement& e : elements) all_events += Zone().DayOf(e.total.latest_at) <= last ? 1 : 0;
    EXPECT_EQ(events, all_events);
    for (const auto& [line, days] : valid) {
      const auto found = lines.find(line);
      Quantity to_date;
      size_t next = 0;
      for (size_t i = 0; i < days.size(); ++i) {
        const std::vector<Day> so_far(days.begin(), days.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        if (found != lines.end() && next < found->second->days.size() &&
            found->second->days[next].usage_date == days[i]) {
          to_date = found->second->days[next++].to_date;
        }
        const reference::Rational expected =
            reference::CarriedQuantity(meter, Zone(), elements, MonthOf(days[i]), so_far);
        ASSERT_EQ(reference::ToInteger(to_date.attos), reference::RoundedTo(meter, expected))
            << ToString(meter.aggregation) << " " << ToString(days[i]);
      }
      if (found == lines.end()) continue;
      EXPECT_EQ(next, found->second->days.size());
      lines.erase(found);
    }
    EXPECT_TRUE(lines.empty());
  }
}

}  // namespace
}  // namespace tollbook
