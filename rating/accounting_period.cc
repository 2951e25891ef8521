#include "rating/accounting_period.h"

#include <array>
#include <charconv>
#include <cstdio>

namespace tollbook {
namespace {

constexpr int kMonthsOfYear = 12;
constexpr int kDaysOfWeek = 7;
constexpr int kThursday = 4;  // 1970-01-01 was one

Day DayOfYear(int64_t year, int month, int day) {
  return {AddMonths({0}, (year - 1970) * kMonthsOfYear + month - 1).number + day - 1};
}

// 1 Monday … 7 Sunday.
int WeekdayOf(Day day) {
  const int from_thursday = (day.number % kDaysOfWeek + kDaysOfWeek) % kDaysOfWeek;
  return (kThursday - 1 + from_thursday) % kDaysOfWeek + 1;
}

Day NearestWeekday(Day day, int weekday) {
  const int ahead = (weekday - WeekdayOf(day) + kDaysOfWeek) % kDaysOfWeek;
  return {day.number + (ahead > kDaysOfWeek / 2 ? ahead - kDaysOfWeek : ahead)};
}

bool ByWeeks(const FiscalCalendar& calendar) {
  return calendar.periods != FiscalPeriods::kMonth;
}

// `year`: of the date that the fiscal year begins on, or nearest to.
Day FirstDayOf(const FiscalCalendar& calendar, int64_t year) {
  const Day date = DayOfYear(year, calendar.start_month, calendar.start_day);
  return ByWeeks(calendar) ? NearestWeekday(date, calendar.week_start) : date;
}

int PeriodsOfYear(const FiscalCalendar& calendar) {
  return calendar.periods == FiscalPeriods::kThirteen ? 13 : kMonthsOfYear;
}

// Weeks from the beginning of the year to that of its `index`-th period, from 0.
int WeeksBefore(FiscalPeriods periods, int index) {
  if (periods == FiscalPeriods::kThirteen) return 4 * index;
  constexpr int kWeeksOfQuarter = 13;
  constexpr std::array<std::array<int, 3>, 3> kInQuarter = {{{0, 4, 8}, {0, 4, 9}, {0, 5, 9}}};
  const auto& in_quarter = kInQuarter[static_cast<size_t>(periods) - static_cast<size_t>(FiscalPeriods::k445)];
  return index / 3 * kWeeksOfQuarter + in_quarter[static_cast<size_t>(index % 3)];
}

Day FirstDayOf(const FiscalCalendar& calendar, int64_t year, int index) {
  if (index == PeriodsOfYear(calendar)) return FirstDayOf(calendar, year + 1);
  const Day first = FirstDayOf(calendar, year);
  if (!ByWeeks(calendar)) return AddMonths(first, index);
  return {first.number + kDaysOfWeek * WeeksBefore(calendar.periods, index)};
}

bool IsCalendarYear(const FiscalCalendar& calendar) {
  return calendar.start_month == 1 && calendar.start_day == 1;
}

AccountingPeriod PeriodAt(const FiscalCalendar& calendar, int64_t year, int index) {
  AccountingPeriod period;
  period.first = FirstDayOf(calendar, year, index);
  period.last = {FirstDayOf(calendar, year, index + 1).number - 1};
  if (!ByWeeks(calendar) && IsCalendarYear(calendar)) {
    period.name = AccountingPeriodOf(period.first);
    return period;
  }
  const int64_t named = year + (calendar.named_after_end && !IsCalendarYear(calendar) ? 1 : 0);
  char name[32];
  std::snprintf(name, sizeof name, "FY%04lld-P%02d", static_cast<long long>(named), index + 1);
  period.name = name;
  return period;
}

// All of `text`, which has `digits` digits and no sign.
std::optional<int> NumberIn(std::string_view text, size_t digits) {
  int number = 0;
  if (text.size() != digits || text.front() == '-') return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

}  // namespace

std::string_view ToString(PeriodState state) {
  constexpr std::array<std::string_view, 4> kNames = {"future", "open", "soft_closed", "closed"};
  return kNames[static_cast<size_t>(state)];
}

AccountingPeriod FiscalCalendar::PeriodOf(Day day) const {
  int64_t year = CivilDateOf(day).year + 1;
  while (day < FirstDayOf(*this, year)) --year;
  int index = PeriodsOfYear(*this) - 1;
  while (day < FirstDayOf(*this, year, index)) --index;
  return PeriodAt(*this, year, index);
}

std::optional<AccountingPeriod> FiscalCalendar::Find(std::string_view name) const {
  const bool fiscal = name.starts_with("FY");
  const size_t dash = name.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view index_text = name.substr(dash + (fiscal ? 2 : 1));
  if (fiscal && !name.substr(dash).starts_with("-P")) return std::nullopt;
  const std::optional<int> year = NumberIn(name.substr(fiscal ? 2 : 0, dash - (fiscal ? 2 : 0)), 4);
  const std::optional<int> index = NumberIn(index_text, 2);
  if (!year || !index || *index < 1 || *index > PeriodsOfYear(*this)) return std::nullopt;
  const int64_t begins = *year - (fiscal && named_after_end && !IsCalendarYear(*this) ? 1 : 0);
  AccountingPeriod period = PeriodAt(*this, begins, *index - 1);
  return period.name == name ? std::optional(std::move(period)) : std::nullopt;
}

}  // namespace tollbook
