#include "rating/rate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "rating/price.h"
#include "tests/rating/in_words.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

Meter MeterOf(std::string name, Aggregation aggregation, std::vector<std::string> dimensions = {}) {
  Meter meter;
  meter.name = name;
  meter.event_type = name;
  meter.aggregation = aggregation;
  meter.dimensions = std::move(dimensions);
  return meter;
}

// The first 1,000 at 0.10, the rest at 0.05.
Charge TwoTiers(std::string name, std::string meter) {
  Charge charge;
  charge.name = std::move(name);
  charge.meter = std::move(meter);
  charge.pricing.model = ChargeModel::kGraduated;
  charge.pricing.tiers = {{Units("1000"), Each("0.10"), {}}, {std::nullopt, Each("0.05"), {}}};
  return charge;
}

Charge EachAt(std::string name, std::string meter, std::string_view price) {
  Charge charge;
  charge.name = std::move(name);
  charge.meter = std::move(meter);
  charge.pricing.unit_price = Each(price);
  return charge;
}

constexpr uint32_t kStarter = 0;
constexpr uint32_t kPro = 1;

// Two plans over four meters; the subject is "acme".
class RateSubjectTest : public testing::Test {
 protected:
  RateSubjectTest() {
    catalog_.meters = {MeterOf("calls", Aggregation::kSum, {"region"}), MeterOf("extra", Aggregation::kCount),
                       MeterOf("seats", Aggregation::kLatest), MeterOf("storage", Aggregation::kMax)};
    Charge calls_eu = EachAt("calls-eu", "calls", "0.20");
    calls_eu.filter = {{"region", "eu"}};
    catalog_.plans = {
        {"starter",
         In("USD"),
         {TwoTiers("calls", "calls"), calls_eu, EachAt("seats", "seats", "10"), EachAt("storage", "storage", "0.015")}},
        {"pro", In("USD"), {EachAt("calls", "calls", "0.01")}}};
  }

  void Subscribe(std::string_view id, uint32_t plan, std::string_view from, std::string_view to,
                 std::string_view zone = "UTC") {
    catalog_.subscriptions.push_back(SubscriptionOfAcme(id, plan, from, to, zone));
  }

  void Use(std::string_view meter, std::string_view instant, std::string_view value, std::string_view region = "us") {
    SubjectTotal total;
    total.meter = Find(meter);
    if (!total.meter->dimensions.empty()) total.dimension_values = kept_.emplace_back(1, region);
    total.bucket = BucketOf(total.meter->granularity, At(instant), catalog_.book.zone);
    total.total = {Units(value), 1, {}};
    if (total.meter->aggregation == Aggregation::kLatest) total.total.latest_at = At(instant);
    totals_.push_back(total);
  }
  void UseOn(std::string_view meter, const std::string& day, std::string_view value, std::string_view region = "us") {
    Use(meter, day + "T12:00:00Z", value, region);
  }

  const Meter* Find(std::string_view name) {
    for (const Meter& meter : catalog_.meters) {
      if (meter.name == name) return &meter;
    }
    return nullptr;
  }

  absl::StatusOr<RatedSubject> Rate(std::string_view through = "") {
    catalog_.BuildIndex();
    std::optional<Day> last;
    if (!through.empty()) last = On(through);
    return RateSubject(catalog_, "acme", totals_, last);
  }

  // One row per day: subscription charge month | date quantity worth booked events.
  std::vector<std::string> Rows(std::string_view through = "") {
    const absl::StatusOr<RatedSubject> rated = Rate(through);
    EXPECT_TRUE(rated.ok()) << rated.status();
    std::vector<std::string> rows;
    for (const RatedCharge& charge : rated->charges) {
      const std::string head = std::string(charge.subscription->id) + " " + charge.charge->name + " " +
                               AccountingPeriodOf(charge.period.start) + " | ";
      for (const DayWorth& day : charge.days) {
        rows.push_back(head + ToString(day.usage_date) + " " + ToString(day.to_date) + " " +
                       ToString(WorthToDate(charge, day)) + " " + ToString(day.booked_to_date) + " " +
                       std::to_string(day.events_to_date));
      }
    }
    for (const UnratedUsage& usage : rated->unrated) {
      rows.push_back((usage.why == UnratedUsage::Why::kUnattributed ? "unattributed " : "unpriced ") +
                     usage.meter->name + " " +
                     std::string(usage.subscription == nullptr ? "-" : usage.subscription->id) + " " +
                     ToString(usage.usage_date) + " " + std::to_string(usage.events));
    }
    return rows;
  }

  using Expected = std::vector<std::string>;
  Catalog catalog_;
  std::vector<SubjectTotal> totals_;
  std::deque<std::vector<std::string_view>> kept_;  // the dimension values of totals_
};

TEST_F(RateSubjectTest, PricesTheRunningTotalOfEachDay) {
  Subscribe("s1", kStarter, "2025-01-01", "");
  UseOn("calls", "2025-01-05", "900");
  UseOn("calls", "2025-01-03", "0");  // zero usage is a line where there was an event
  UseOn("calls", "2025-01-20", "200.1");
  UseOn("calls", "2025-02-01", "10");  // a new period starts in tier one
  EXPECT_EQ(
      Rows(),
      (Expected{"s1 calls 2025-01 | 2025-01-03 0 0 0.00 1", "s1 calls 2025-01 | 2025-01-05 900 90 90.00 2",
                "s1 calls 2025-01 | 2025-01-20 1100.1 105.005 105.01 3", "s1 calls 2025-02 | 2025-02-01 10 1 1.00 1"}));
}

TEST_F(RateSubjectTest, TwoVersionsOnTheSamePlanGoOnInTheSameTiers) {
  Subscribe("s1", kStarter, "2025-01-01", "2025-01-10");
  Subscribe("s1", kStarter, "2025-01-10", "");
  UseOn("calls", "2025-01-09", "900");
  UseOn("calls", "2025-01-10", "200");
  EXPECT_EQ(Rows(), (Expected{"s1 calls 2025-01 | 2025-01-09 900 90 90.00 1",
                              "s1 calls 2025-01 | 2025-01-10 1100 105 105.00 2"}));
  EXPECT_EQ(Rate()->charges[0].subscription, &catalog_.subscriptions[0]);
}

TEST_F(RateSubjectTest, AChangeOfPlanStartsAnew) {
  Subscribe("s1", kStarter, "2025-01-01", "2025-01-10");
  Subscribe("s1", kPro, "2025-01-10", "");
  UseOn("calls", "2025-01-09", "1100");
  UseOn("calls", "2025-01-10", "200");
  EXPECT_EQ(Rows(), (Expected{"s1 calls 2025-01 | 2025-01-10 200 2 2.00 1",  // pro
                              "s1 calls 2025-01 | 2025-01-09 1100 105 105.00 1"}));
}

TEST_F(RateSubjectTest, ThePlanThatComesBackGoesOnWhereItWas) {
  Subscribe("s1", kStarter, "2025-01-01", "2025-01-10");
  Subscribe("s1", kPro, "2025-01-10", "2025-01-20");
  Subscribe("s1", kStarter, "2025-01-20", "");
  UseOn("calls", "2025-01-09", "1000");
  UseOn("calls", "2025-01-10", "200");
  UseOn("calls", "2025-01-20", "100");
  EXPECT_EQ(Rows(),
            (Expected{"s1 calls 2025-01 | 2025-01-10 200 2 2.00 1", "s1 calls 2025-01 | 2025-01-09 1000 100 100.00 1",
                      "s1 calls 2025-01 | 2025-01-20 1100 105 105.00 2"}));
}

TEST_F(RateSubjectTest, AnotherSubscriptionOnTheSamePlanStartsAnew) {
  Subscribe("s2", kStarter, "2025-01-01", "2025-01-10");
  Subscribe("s1", kStarter, "2025-01-10", "");
  UseOn("calls", "2025-01-09", "1000");
  UseOn("calls", "2025-01-10", "100");
  EXPECT_EQ(Rows(), (Expected{"s1 calls 2025-01 | 2025-01-10 100 10 10.00 1",
                              "s2 calls 2025-01 | 2025-01-09 1000 100 100.00 1"}));
}

TEST_F(RateSubjectTest, UsageOutsideOfAnySubscriptionIsUnattributed) {
  Subscribe("s1", kStarter, "2025-01-10", "2025-01-12");
  Subscribe("s1", kStarter, "2025-01-14", "");
  for (const char* day : {"2025-01-09", "2025-01-10", "2025-01-11", "2025-01-12", "2025-01-13", "2025-01-14"}) {
    UseOn("calls", day, "1");
  }
  UseOn("calls", "2025-01-13", "1", "eu");
  EXPECT_EQ(Rows(),
            (Expected{"s1 calls 2025-01 | 2025-01-10 1 0.1 0.10 1", "s1 calls 2025-01 | 2025-01-11 2 0.2 0.20 2",
                      "s1 calls 2025-01 | 2025-01-14 3 0.3 0.30 3", "unattributed calls - 2025-01-09 1",
                      "unattributed calls - 2025-01-12 1", "unattributed calls - 2025-01-13 2"}));
}

TEST_F(RateSubjectTest, ASubjectWithoutSubscriptionIsUnattributed) {
  UseOn("calls", "2025-01-09", "1");
  EXPECT_EQ(Rows(), (Expected{"unattributed calls - 2025-01-09 1"}));
}

TEST_F(RateSubjectTest, UsageThatNoChargeTakesIsUnpriced) {
  Subscribe("s1", kPro, "2025-01-01", "");
  UseOn("storage", "2025-01-03", "1");
  UseOn("extra", "2025-01-03", "1");
  UseOn("extra", "2025-01-02", "1");
  EXPECT_EQ(Rows(), (Expected{"unpriced extra s1 2025-01-02 1", "unpriced extra s1 2025-01-03 1",
                              "unpriced storage s1 2025-01-03 1"}));
}

TEST_F(RateSubjectTest, TheMostSpecificFilterTakesATotalOnce) {
  Subscribe("s1", kStarter, "2025-01-01", "");
  UseOn("calls", "2025-01-02", "10", "eu");
  UseOn("calls", "2025-01-02", "5", "us");
  UseOn("calls", "2025-01-02", "4", "");
  EXPECT_EQ(Rows(),
            (Expected{"s1 calls 2025-01 | 2025-01-02 9 0.9 0.90 2", "s1 calls-eu 2025-01 | 2025-01-02 10 2 2.00 1"}));
}

// As a rater that goes from shard to shard would meet it: other values where those of the last subject were.
TEST_F(RateSubjectTest, OneRaterTakesOtherValuesInTheSameMemory) {
  Subscribe("s1", kStarter, "2025-01-01", "");
  catalog_.subscriptions.push_back(catalog_.subscriptions.front());
  catalog_.subscriptions.back().id = catalog_.subscriptions.back().subject = "beta";
  catalog_.BuildIndex();
  UseOn("calls", "2025-01-02", "10");
  std::array<std::string_view, 1> buffer;
  totals_.front().dimension_values = buffer;
  std::string region;  // whose bytes are used again, too
  buffer[0] = region;
  SubjectRater rater(catalog_);
  RatedSubject rated;
  std::vector<std::string> charges;
  for (const char* subject : {"acme", "beta", "acme"}) {
    for (const char* name : {"us", "eu", "us"}) {
      region = name;
      buffer[0] = region;
      ASSERT_TRUE(rater.Rate(subject, totals_, std::nullopt, &rated).ok());
      ASSERT_EQ(rated.charges.size(), 1u);
      charges.push_back(rated.charges[0].charge->name + " " + ToString(rated.days[0].booked_to_date));
    }
  }
  const Expected of_each = {"calls 1.00", "calls-eu 2.00", "calls 1.00"};
  for (size_t i = 0; i < charges.size(); ++i) EXPECT_EQ(charges[i], of_each[i % 3]) << i;
  EXPECT_EQ(charges.size(), 9u);
}

TEST_F(RateSubjectTest, MaxRunsAsTheLargestSoFar) {
  Subscribe("s1", kStarter, "2025-01-01", "");
  UseOn("storage", "2025-01-02", "100");
  UseOn("storage", "2025-01-03", "50");
  UseOn("storage", "2025-01-04", "101");
  UseOn("storage", "2025-02-01", "7");
  EXPECT_EQ(
      Rows(),
      (Expected{"s1 storage 2025-01 | 2025-01-02 100 1.5 1.50 1", "s1 storage 2025-01 | 2025-01-03 100 1.5 1.50 2",
                "s1 storage 2025-01 | 2025-01-04 101 1.515 1.52 3", "s1 storage 2025-02 | 2025-02-01 7 0.105 0.11 1"}));
}

TEST_F(RateSubjectTest, LatestRunsAsTheLatestSoFarAndMayFall) {
  Subscribe("s1", kStarter, "2025-01-01", "");
  UseOn("seats", "2025-01-04", "3");
  UseOn("seats", "2025-01-02", "5");
  EXPECT_EQ(Rows(),
            (Expected{"s1 seats 2025-01 | 2025-01-02 5 50 50.00 1", "s1 seats 2025-01 | 2025-01-04 3 30 30.00 2"}));
}

TEST_F(RateSubjectTest, UsageAfterThroughIsNotYetDue) {
  Subscribe("s1", kStarter, "2025-01-02", "");
  UseOn("calls", "2025-01-01", "1");
  UseOn("calls", "2025-01-02", "1");
  UseOn("calls", "2025-01-03", "1");
  EXPECT_EQ(Rows("2025-01-02"),
            (Expected{"s1 calls 2025-01 | 2025-01-02 1 0.1 0.10 1", "unattributed calls - 2025-01-01 1"}));
  EXPECT_EQ(Rows("2025-01-01"), (Expected{"unattributed calls - 2025-01-01 1"}));
  EXPECT_EQ(Rows("2024-12-31"), Expected{});
}

TEST_F(RateSubjectTest, HoursAreDatedInTheSubscriptionsZone) {
  catalog_.meters[0].granularity = Granularity::kHour;
  Subscribe("s1", kStarter, "2025-03-01", "2025-04-01", "America/New_York");
  Use("calls", "2025-03-01T04:00:00Z", "1");  // 28 February, 23:00 there: not yet valid; 1 March in the book's zone
  Use("calls", "2025-03-01T05:00:00Z", "1");
  Use("calls", "2025-03-10T03:00:00Z", "1");  // 9 March, 23:00, summer time
  Use("calls", "2025-03-10T04:00:00Z", "1");
  Use("calls", "2025-04-01T03:00:00Z", "1");  // 31 March, 23:00
  Use("calls", "2025-04-01T04:00:00Z", "1");
  EXPECT_EQ(Rows(),
            (Expected{"s1 calls 2025-03 | 2025-03-01 1 0.1 0.10 1", "s1 calls 2025-03 | 2025-03-09 2 0.2 0.20 2",
                      "s1 calls 2025-03 | 2025-03-10 3 0.3 0.30 3", "s1 calls 2025-03 | 2025-03-31 4 0.4 0.40 4",
                      "unattributed calls - 2025-03-01 1", "unattributed calls - 2025-04-01 1"}));
}

TEST_F(RateSubjectTest, QuarterHoursFitZonesOfThreeQuarters) {
  catalog_.meters[0].granularity = Granularity::kQuarterHour;
  Subscribe("s1", kStarter, "2025-01-01", "", "Asia/Kathmandu");
  Use("calls", "2025-01-31T18:14:59Z", "1");
  Use("calls", "2025-01-31T18:15:00Z", "1");
  EXPECT_EQ(Rows(),
            (Expected{"s1 calls 2025-01 | 2025-01-31 1 0.1 0.10 1", "s1 calls 2025-02 | 2025-02-01 1 0.1 0.10 1"}));
}

TEST_F(RateSubjectTest, RoundsAsTheBookAndCurrencySay) {
  Subscribe("s1", kStarter, "2025-01-01", "");
  UseOn("storage", "2025-01-02", "1");  // 0.015
  EXPECT_EQ(Rows().front(), "s1 storage 2025-01 | 2025-01-02 1 0.015 0.02 1");
  catalog_.book.rounding = Rounding::kDown;
  EXPECT_EQ(Rows().front(), "s1 storage 2025-01 | 2025-01-02 1 0.015 0.01 1");
  catalog_.plans[kStarter].currency = In("BHD");
  EXPECT_EQ(Rows().front(), "s1 storage 2025-01 | 2025-01-02 1 0.015 0.015 1");
}

TEST_F(RateSubjectTest, NamesWhatDoesNotFit) {
  Subscribe("s1", kStarter, "2025-01-01", "");
  UseOn("calls", "2025-01-02", "170141183460469231731");
  UseOn("calls", "2025-01-03", "1");
  const absl::Status too_much = Rate().status();
  EXPECT_EQ(too_much.code(), absl::StatusCode::kOutOfRange);
  EXPECT_NE(Std(too_much.message()).find("subscription s1, charge calls, billing period 2025-01-01 to 2025-02-01"),
            std::string_view::npos)
      << too_much;

  totals_.pop_back();
  catalog_.plans[kStarter].charges[0].pricing.tiers = {{std::nullopt, Each("170141183460469231731"), {}}};
  const absl::Status too_dear = Rate().status();
  EXPECT_EQ(too_dear.code(), absl::StatusCode::kOutOfRange);
  EXPECT_NE(Std(too_dear.message()).find("s1"), std::string_view::npos) << too_dear;
}

TEST_F(RateSubjectTest, DoesNotDependOnTheOrderOfTotals) {
  Subscribe("s1", kStarter, "2025-01-03", "2025-01-15");
  Subscribe("s1", kPro, "2025-01-15", "");
  std::mt19937_64 random(TestSeed());
  for (int day = 1; day <= 28; ++day) {
    const std::string date = "2025-01-" + std::string(day < 10 ? "0" : "") + std::to_string(day);
    for (const char* meter : {"calls", "extra", "seats", "storage"}) UseOn(meter, date, std::to_string(random() % 100));
  }
  const std::vector<std::string> rows = Rows();
  for (int round = 0; round < 20; ++round) {
    std::shuffle(totals_.begin(), totals_.end(), random);
    ASSERT_EQ(Rows(), rows);
  }
}

// A day books round(worth to date) - round(worth to the day before): the days sum to the rounded line, whatever the
// tiers, and no day strays from the worth by more than one minor unit.
TEST_F(RateSubjectTest, DaysSumToTheRoundedLine) {
  Subscribe("s1", kStarter, "2025-01-01", "");
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 300; ++round) {
    totals_.clear();
    for (int day = 1; day <= 31; ++day) {
      const std::string date = "2025-01-" + std::string(day < 10 ? "0" : "") + std::to_string(day);
      UseOn("calls", date, FormatDecimal(static_cast<int64_t>(random() % 100'000'000), 6));
    }
    const absl::StatusOr<RatedSubject> rated = Rate();
    ASSERT_TRUE(rated.ok()) << rated.status();
    ASSERT_EQ(rated->charges.size(), 1u);
    const std::span<const DayWorth> days = rated->charges[0].days;
    Money sum{In("USD"), 0}, before{In("USD"), 0};
    Quantity used;
    for (size_t i = 0; i < days.size(); ++i) {
      ASSERT_TRUE(Add(used, totals_[i].total.value, &used));
      ASSERT_EQ(days[i].to_date, used);
      sum = *Add(sum, *Subtract(days[i].booked_to_date, before));
      before = days[i].booked_to_date;
    }
    const Worth worth = *PriceQuantity(catalog_.plans[kStarter].charges[0], used);
    ASSERT_EQ(WorthToDate(rated->charges[0], days.back()), worth);
    ASSERT_EQ(sum, RoundToMinor(worth, In("USD"), Rounding::kHalfUp)->line);
  }
}

TEST_F(RateSubjectTest, FindsTheDayThatIsNotRoundedAsItsWorthSays) {
  Subscribe("s1", kStarter, "2025-01-01", "");
  UseOn("storage", "2025-01-02", "1");  // 0.015, a tie
  UseOn("storage", "2025-01-03", "100");
  UseOn("storage", "2025-01-04", "200");
  absl::StatusOr<RatedSubject> rated = Rate();
  ASSERT_TRUE(rated.ok());
  const RatedCharge& charge = rated->charges.at(0);
  ASSERT_EQ(charge.days.size(), 3u);
  EXPECT_EQ(FirstMisroundedDay(charge, Rounding::kHalfUp), nullptr);
  EXPECT_EQ(FirstMisroundedDay(charge, Rounding::kDown), &charge.days[0]) << "2 cents, not 1";
  for (const int cents : {-1, 1}) {
    for (size_t day = 0; day < charge.days.size(); ++day) {
      const Money right = rated->days[day].booked_to_date;
      rated->days[day].booked_to_date.minor += cents;
      EXPECT_EQ(FirstMisroundedDay(charge, Rounding::kHalfUp), &charge.days[day]);
      rated->days[day].booked_to_date = right;
    }
  }
  rated->days[1].to_date = {static_cast<Int128>(~Uint128{0} >> 1)};
  EXPECT_EQ(FirstMisroundedDay(charge, Rounding::kHalfUp), &charge.days[1]);
  rated->days[1].to_date = Units("100");
  rated->days[2].booked_to_date.currency = In("JPY");
  EXPECT_EQ(FirstMisroundedDay(charge, Rounding::kHalfUp), &charge.days[2]);
}

TEST_F(RateSubjectTest, BooksAMinimumOnTheLastDayOnceThatIsRated) {
  Subscribe("s1", kStarter, "2025-01-01", "");
  Charge& storage = catalog_.plans[kStarter].charges[3];
  storage.minimum = Each("2");
  UseOn("storage", "2025-01-02", "100");
  const std::string day = "s1 storage 2025-01 | 2025-01-02 100 1.5 1.50 1";
  EXPECT_EQ(Rows("2025-01-30"), Expected{day});
  EXPECT_EQ(Rows("2025-01-31"), (Expected{day, "s1 storage 2025-01 | 2025-01-31 100 2 2.00 1"}));
  EXPECT_EQ(Rows(), (Expected{day, "s1 storage 2025-01 | 2025-01-31 100 2 2.00 1"}));
  UseOn("storage", "2025-01-31", "120");  // the last day's own usage and the minimum are one day
  EXPECT_EQ(Rows(), (Expected{day, "s1 storage 2025-01 | 2025-01-31 120 2 2.00 2"}));
  UseOn("storage", "2025-02-01", "200");  // enough
  EXPECT_EQ(Rows("2025-02-28").at(2), "s1 storage 2025-02 | 2025-02-01 200 3 3.00 1");
  EXPECT_EQ(Rows("2025-02-28").at(3), "s1 storage 2025-02 | 2025-02-28 200 3 3.00 1");
}

TEST_F(RateSubjectTest, PricesCellsApartAndBooksOneLine) {
  Subscribe("s1", kStarter, "2025-01-01", "");
  Charge matrix = TwoTiers("calls", "calls");
  matrix.pricing.model = ChargeModel::kMatrix;
  matrix.cells = {{{{"region", "us"}}, TwoTiers("", "").pricing},
                  {{{"region", AcceptedValues(std::vector<std::string>{"eu", "ap"})}}, EachAt("", "", "1").pricing}};
  catalog_.plans[kStarter].charges = {matrix};
  UseOn("calls", "2025-01-02", "1000", "us");
  UseOn("calls", "2025-01-02", "2", "eu");
  UseOn("calls", "2025-01-03", "10", "us");
  UseOn("calls", "2025-01-04", "1", "ap");
  UseOn("calls", "2025-01-04", "7", "me");  // no cell
  EXPECT_EQ(Rows(), (Expected{"s1 calls 2025-01 | 2025-01-02 1002 102 102.00 2",
                              "s1 calls 2025-01 | 2025-01-03 1012 102.5 102.50 3",
                              "s1 calls 2025-01 | 2025-01-04 1013 103.5 103.50 4", "unpriced calls s1 2025-01-04 1"}));
}

// The largest of each cell, and their sum: not the largest of all.
TEST_F(RateSubjectTest, AggregatesEachPartAlone) {
  Subscribe("s1", kStarter, "2025-01-01", "");
  Charge peaks = EachAt("storage", "storage", "1");
  peaks.per_bucket = PerBucket::kDay;
  peaks.included = Units("5");
  catalog_.plans[kStarter].charges = {peaks};
  UseOn("storage", "2025-01-02", "7");
  UseOn("storage", "2025-01-02", "6");
  UseOn("storage", "2025-01-03", "4");
  UseOn("storage", "2025-01-04", "8");
  EXPECT_EQ(Rows(),
            (Expected{"s1 storage 2025-01 | 2025-01-02 7 2 2.00 2", "s1 storage 2025-01 | 2025-01-03 11 2 2.00 3",
                      "s1 storage 2025-01 | 2025-01-04 19 5 5.00 4"}));
}

// Hours are counted from the day's first instant in the subscription's zone, whatever the clocks do.
TEST_F(RateSubjectTest, PricesHoursAloneAlsoWhenClocksChange) {
  for (const char* zone : {"UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"}) {
    SCOPED_TRACE(zone);
    totals_.clear();
    catalog_.subscriptions.clear();
    Subscribe("s1", kStarter, "2025-03-01", "", zone);
    catalog_.meters[0].granularity = Granularity::kQuarterHour;
    Charge hourly = EachAt("calls", "calls", "1");
    hourly.per_bucket = PerBucket::kHour;
    hourly.included = Units("3");
    catalog_.plans[kStarter].charges = {hourly};
    // One a quarter for three days and more: four an hour, of which one is above the included three.
    const Instant start = ZoneOf(zone).StartOf(On("2025-03-30"));
    const Instant end = ZoneOf(zone).StartOf(On("2025-04-07"));
    int64_t hours = 0;
    for (Instant at = start; at < end; at.nanos += 900'000'000'000) {
      Use("calls", ToString(at), "1");
      hours += (at.nanos - start.nanos) % 3'600'000'000'000 == 0 ? 1 : 0;
    }
    const absl::StatusOr<RatedSubject> rated = Rate();
    ASSERT_TRUE(rated.ok()) << rated.status();
    Int128 cents = 0;
    for (const RatedCharge& charge : rated->charges) {
      cents += charge.days.back().booked_to_date.minor;
      EXPECT_EQ(FirstMisroundedDay(charge, Rounding::kHalfUp), nullptr);
    }
    // Lord Howe's day of 24.5 hours ends with half of one, which stays within what is included.
    EXPECT_EQ(FormatDecimal(cents, 2), std::to_string(std::string(zone) == "Australia/Lord_Howe" ? 8 * 24 : hours));
  }
}

TEST_F(RateSubjectTest, NamesTheChargeWhosePartsDoNotFit) {
  Subscribe("s1", kStarter, "2025-01-01", "");
  Charge peaks = EachAt("storage", "storage", "1");
  peaks.per_bucket = PerBucket::kDay;
  catalog_.plans[kStarter].charges = {peaks};
  UseOn("storage", "2025-01-02", "100000000000000000000");
  UseOn("storage", "2025-01-03", "100000000000000000000");
  const absl::Status sum = Rate().status();
  EXPECT_EQ(sum.code(), absl::StatusCode::kOutOfRange);
  EXPECT_NE(Std(sum.message()).find("subscription s1, charge storage"), std::string_view::npos) << sum;
}

}  // namespace
}  // namespace tollbook
