// AccountingPeriod: which days a legal entity closes its accounts for together, and what such a period is called.
//
// Months      "2025-01"; of a fiscal year that does not begin in January "FY2025-P01", its first month first.
// Weeks       52 or 53 whole weeks a year: twelve periods of 4-4-5, 4-5-4 or 5-4-4 weeks a quarter, or thirteen of
// four.
//             A year begins on one weekday, on the one nearest to a date (so at most three days from it); a 53rd week
//             belongs to the last period. "FY2025-P01".
// Names       sort as their days do, within one calendar, and name one period each.
#ifndef TOLLBOOK_RATING_ACCOUNTING_PERIOD_H_
#define TOLLBOOK_RATING_ACCOUNTING_PERIOD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rating/calendar.h"

namespace tollbook {

struct AccountingPeriod {
  std::string name;
  Day first;
  Day last;  // inclusive, as accountants say it
  friend bool operator==(const AccountingPeriod&, const AccountingPeriod&) = default;
};

enum class FiscalPeriods : uint8_t { kMonth, k445, k454, k544, kThirteen };

// Where a period stands; the order in which it gets there.
enum class PeriodState : uint8_t {
  kFuture,      // nobody has opened it: what belongs into it waits
  kOpen,        // takes what belongs into it
  kSoftClosed,  // only what a named person adjusts; all else waits
  kClosed,      // nothing; the entity's policy says what becomes of late usage
};
std::string_view ToString(PeriodState state);  // "soft_closed"

struct FiscalCalendar {
  FiscalPeriods periods = FiscalPeriods::kMonth;
  // The date that years begin on (months: the first of a month), or nearest to which they do (weeks). It exists in
  // every year.
  int start_month = 1;
  int start_day = 1;
  int week_start = 7;           // weeks: 1 Monday … 7 Sunday
  bool named_after_end = true;  // FY2025 is the year that ends, and not that begins, around that date in 2025

  // Of any day that a Day can name.
  AccountingPeriod PeriodOf(Day day) const;
  // None: no period of this calendar is called that.
  std::optional<AccountingPeriod> Find(std::string_view name) const;
  friend bool operator==(const FiscalCalendar&, const FiscalCalendar&) = default;
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_ACCOUNTING_PERIOD_H_
