#include "rating/billing_cycle.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/rating/in_words.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

BillingCycle Cycle(const char* text, const char* anchor = nullptr) {
  BillingCycle cycle = *ParseBillingCycle(text);
  if (anchor != nullptr) cycle.anchor = On(anchor);
  return cycle;
}

struct PeriodCase {
  const char* cycle;
  const char* anchor;  // null: the calendar's
  const char* day;
  const char* start;
  const char* end;
};

TEST(BillingCycle, KnowsThePeriodOfADay) {
  constexpr PeriodCase kCases[] = {
      // By the calendar.
      {"1 month", nullptr, "2025-01-31", "2025-01-01", "2025-02-01"},
      {"1 month", nullptr, "2024-02-29", "2024-02-01", "2024-03-01"},
      {"1 quarter", nullptr, "2025-05-15", "2025-04-01", "2025-07-01"},
      {"6 months", nullptr, "2025-07-01", "2025-07-01", "2026-01-01"},
      {"1 year", nullptr, "2025-12-31", "2025-01-01", "2026-01-01"},
      {"1 week", nullptr, "2025-01-05", "2024-12-30", "2025-01-06"},  // a Sunday
      {"1 week", nullptr, "2025-01-06", "2025-01-06", "2025-01-13"},  // a Monday
      {"1 day", nullptr, "2025-03-30", "2025-03-30", "2025-03-31"},   // of 23 hours in Berlin, and one day
      {"10 days", nullptr, "1970-01-10", "1970-01-01", "1970-01-11"},
      {"5 months", nullptr, "1970-06-30", "1970-06-01", "1970-11-01"},  // does not divide a year: from 1970 on
      {"1 month", nullptr, "1969-12-31", "1969-12-01", "1970-01-01"},
      // From a day of its own.
      {"1 month", "2025-01-15", "2025-02-14", "2025-01-15", "2025-02-15"},
      {"1 month", "2025-01-15", "2025-02-15", "2025-02-15", "2025-03-15"},
      {"1 month", "2025-01-15", "2024-12-31", "2024-12-15", "2025-01-15"},  // before it, too
      {"2 weeks", "2025-01-01", "2025-01-15", "2025-01-15", "2025-01-29"},
      {"1 quarter", "2025-02-10", "2025-05-09", "2025-02-10", "2025-05-10"},
      // Where a month is too short its last day; the next is as long as ever.
      {"1 month", "2025-01-31", "2025-02-27", "2025-01-31", "2025-02-28"},
      {"1 month", "2025-01-31", "2025-02-28", "2025-02-28", "2025-03-31"},
      {"1 month", "2025-01-31", "2025-03-30", "2025-02-28", "2025-03-31"},
      {"1 month", "2025-01-31", "2025-04-30", "2025-04-30", "2025-05-31"},
      {"1 month", "2025-01-30", "2025-02-28", "2025-02-28", "2025-03-30"},
      {"1 month", "2025-01-29", "2024-02-28", "2024-01-29", "2024-02-29"},
      {"1 month", "2025-03-31", "2025-02-28", "2025-02-28", "2025-03-31"},
      {"1 quarter", "2024-11-30", "2025-02-28", "2025-02-28", "2025-05-30"},
      {"1 year", "2024-02-29", "2025-02-28", "2025-02-28", "2026-02-28"},
      {"1 year", "2024-02-29", "2028-02-28", "2027-02-28", "2028-02-29"},
      {"4 years", "2024-02-29", "2028-02-28", "2024-02-29", "2028-02-29"},
  };
  for (const PeriodCase& c : kCases) {
    const BillingPeriod period = PeriodOf(Cycle(c.cycle, c.anchor), On(c.day));
    EXPECT_EQ(ToString(period.start) + " " + ToString(period.end), std::string(c.start) + " " + c.end)
        << c.cycle << " from " << (c.anchor == nullptr ? "the calendar's" : c.anchor) << ", " << c.day;
  }
}

TEST(BillingCycle, PeriodsFollowOneOnAnotherAndHoldTheirDays) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 20'000; ++round) {
    BillingCycle cycle;
    cycle.unit = random() % 2 == 0 ? BillingCycle::Unit::kDay : BillingCycle::Unit::kMonth;
    cycle.count = 1 + static_cast<int32_t>(random() % (random() % 2 == 0 ? 3 : kCycleUnitsMax));
    cycle.anchor = {static_cast<int32_t>(random() % 100'000)};
    const Day day{static_cast<int32_t>(random() % 100'000)};
    const BillingPeriod period = PeriodOf(cycle, day);
    const auto told = [&] {
      return std::to_string(cycle.count) + (cycle.unit == BillingCycle::Unit::kDay ? " days from " : " months from ") +
             ToString(cycle.anchor) + ", " + ToString(day);
    };
    ASSERT_LE(period.start, day) << told();
    ASSERT_LT(day, period.end) << told();
    ASSERT_EQ(PeriodOf(cycle, period.start), period) << told();
    ASSERT_EQ(PeriodOf(cycle, {period.end.number - 1}), period) << told();
    ASSERT_EQ(PeriodOf(cycle, {period.start.number - 1}).end, period.start) << told();
    ASSERT_EQ(PeriodOf(cycle, period.end).start, period.end) << told();
    ASSERT_EQ(PeriodOf(cycle, cycle.anchor).start, cycle.anchor) << told();
  }
}

TEST(BillingCycle, MonthsOfTheCalendarAreTheUsualOnes) {
  for (int32_t day = -400; day < 40'000; ++day) ASSERT_EQ(PeriodOf({}, {day}), MonthOf({day}));
}

TEST(BillingCycle, IsReadFromANumberAndAUnit) {
  EXPECT_EQ(Cycle("1 month"), BillingCycle());
  EXPECT_EQ(Cycle("1 quarter"), Cycle("3 months"));
  EXPECT_EQ(Cycle("2 years"), Cycle("24 months"));
  EXPECT_EQ(Cycle("2 weeks").count, 14);
  EXPECT_EQ(Cycle("1000 days").count, 1000);
  for (const char* text : {"", "month", "1", "1 ", "1  month", " 1 month", "0 days", "01 month", "-1 month", "+1 month",
                           "1001 days", "99999999999 days", "1 fortnight", "1 Month", "1 month ", "1.5 months"}) {
    EXPECT_FALSE(ParseBillingCycle(text).has_value()) << text;
  }
}

TEST(BillingCycle, PeriodsAreToldByTheirMonthOrTheirDays) {
  EXPECT_EQ(ToString(MonthOf(On("2025-01-31"))), "2025-01");
  EXPECT_EQ(ToString(BillingPeriod{On("2025-01-15"), On("2025-02-15")}), "2025-01-15 to 2025-02-15");
  EXPECT_EQ(ToString(BillingPeriod{On("2025-01-01"), On("2025-04-01")}), "2025-01-01 to 2025-04-01");
}

}  // namespace
}  // namespace tollbook
