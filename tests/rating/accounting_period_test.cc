// Fiscal calendars: which days close together, and what they are called.
#include "rating/accounting_period.h"

#include <gtest/gtest.h>

namespace tollbook {
namespace {

Day D(std::string_view text) {
  return *ParseDay(text);
}

std::string Text(const AccountingPeriod& period) {
  return period.name + " " + ToString(period.first) + ".." + ToString(period.last);
}

// Months of a calendar year; of a year that begins in July; weeks from the Sunday nearest to February 1st, named after
// the year in which most of them lie; thirteen periods from the Monday nearest to New Year.
const FiscalCalendar kMonths;
const FiscalCalendar kFromJuly{FiscalPeriods::kMonth, 7, 1, 7, true};
const FiscalCalendar kRetail{FiscalPeriods::k454, 2, 1, 7, false};
const FiscalCalendar k445{FiscalPeriods::k445, 1, 1, 1, true};
const FiscalCalendar k544{FiscalPeriods::k544, 10, 1, 6, true};
const FiscalCalendar kThirteen{FiscalPeriods::kThirteen, 1, 1, 1, true};

TEST(FiscalCalendar, SaysThePeriodOfADay) {
  const struct {
    const FiscalCalendar& calendar;
    const char* day;
    const char* period;
  } kCases[] = {
      {kMonths, "2025-01-31", "2025-01 2025-01-01..2025-01-31"},
      {kMonths, "2024-02-29", "2024-02 2024-02-01..2024-02-29"},
      {kMonths, "1970-01-01", "1970-01 1970-01-01..1970-01-31"},
      {kFromJuly, "2025-06-30", "FY2025-P12 2025-06-01..2025-06-30"},
      {kFromJuly, "2025-07-01", "FY2026-P01 2025-07-01..2025-07-31"},
      // The Sundays nearest to February 1st are 2023-01-29, 2024-02-04, 2025-02-02 and 2026-02-01: 2023 has 53 weeks.
      {kRetail, "2024-02-03", "FY2023-P12 2023-12-31..2024-02-03"},
      {kRetail, "2024-02-04", "FY2024-P01 2024-02-04..2024-03-02"},
      {kRetail, "2024-03-03", "FY2024-P02 2024-03-03..2024-04-06"},
      {kRetail, "2024-05-04", "FY2024-P03 2024-04-07..2024-05-04"},
      {kRetail, "2025-02-01", "FY2024-P12 2025-01-05..2025-02-01"},
      // The Monday nearest to 2025-01-01, a Wednesday, is 2024-12-30.
      {k445, "2024-12-29", "FY2024-P12 2024-11-25..2024-12-29"},
      {k445, "2024-12-30", "FY2025-P01 2024-12-30..2025-01-26"},
      {k445, "2025-03-30", "FY2025-P03 2025-02-24..2025-03-30"},
      {k445, "2025-03-31", "FY2025-P04 2025-03-31..2025-04-27"},
      // The Saturday nearest to 2024-10-01, a Tuesday, is 2024-09-28.
      {k544, "2024-09-28", "FY2025-P01 2024-09-28..2024-11-01"},
      {k544, "2024-11-02", "FY2025-P02 2024-11-02..2024-11-29"},
      {kThirteen, "2025-01-27", "FY2025-P02 2025-01-27..2025-02-23"},
      // 2026 begins on Monday 2025-12-29 and 2027 on Monday 2027-01-04: 53 weeks, and the last period has five of them.
      {kThirteen, "2027-01-03", "FY2026-P13 2026-11-30..2027-01-03"},
  };
  for (const auto& c : kCases) EXPECT_EQ(Text(c.calendar.PeriodOf(D(c.day))), c.period) << c.day;
}

// Every day of a century has one period; periods follow one another without a gap, their names sort as their days do,
// and each is found by its name.
TEST(FiscalCalendar, EveryDayHasOnePeriodAndNamesSort) {
  for (const FiscalCalendar* calendar : {&kMonths, &kFromJuly, &kRetail, &k445, &k544, &kThirteen}) {
    AccountingPeriod period = calendar->PeriodOf(D("1970-01-01"));
    while (period.last < D("2070-01-01")) {
      ASSERT_EQ(calendar->PeriodOf(period.first), period);
      ASSERT_EQ(calendar->PeriodOf(period.last), period);
      ASSERT_EQ(calendar->Find(period.name), period);
      const int days = period.last.number - period.first.number + 1;
      if (calendar->periods != FiscalPeriods::kMonth) {
        ASSERT_TRUE(days == 28 || days == 35 || days == 42) << Text(period);
      }
      const AccountingPeriod next = calendar->PeriodOf({period.last.number + 1});
      ASSERT_EQ(next.first.number, period.last.number + 1);
      ASSERT_LT(period.name, next.name);
      period = next;
    }
  }
}

// A year by weeks begins at most three days from its date.
TEST(FiscalCalendar, AYearBeginsOnTheNearestWeekday) {
  for (int year = 1970; year < 2070; ++year) {
    const std::string text = std::to_string(year);
    const AccountingPeriod first = *kRetail.Find("FY" + text + "-P01");
    EXPECT_LE(std::abs(first.first.number - D(text + "-02-01").number), 3);
    EXPECT_EQ((first.first.number + 4) % 7, 0) << "1970-01-04 was a Sunday, three days after day 0: " << Text(first);
    const int weeks = (kRetail.Find("FY" + text + "-P12")->last.number + 1 - first.first.number) / 7;
    EXPECT_TRUE(weeks == 52 || weeks == 53) << weeks;
  }
}

TEST(FiscalCalendar, FindsNoOtherNames) {
  for (const char* name :
       {"", "2025", "2025-1", "2025-00", "2025-13", "2025-01x", "-025-01", "FY2025-P01", "2025-+1"}) {
    EXPECT_EQ(kMonths.Find(name), std::nullopt) << name;
  }
  for (const char* name : {"2025-01", "FY25-P01", "FY2025-01", "FY2025-P00", "FY2025-P13", "fy2025-P01", "FY2025-P1"}) {
    EXPECT_EQ(kRetail.Find(name), std::nullopt) << name;
  }
  EXPECT_NE(kThirteen.Find("FY2025-P13"), std::nullopt);
}

}  // namespace
}  // namespace tollbook
