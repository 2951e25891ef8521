// BillingCycle: how time is cut into billing periods.
//
// Periods are half-open, follow one on another without a gap, and one of them begins on the anchor. Of months, each
// begins on the anchor's day of the month, or on the month's last where it is shorter: from January 31st come February
// 28th and March 31st, so that a short month moves none of those behind it.
//
// Without another anchor they are the calendar's: months, quarters and years run from January 1st (of 1970, where their
// number does not divide a year), weeks from Monday, days from 1970-01-01.
#ifndef TOLLBOOK_RATING_BILLING_CYCLE_H_
#define TOLLBOOK_RATING_BILLING_CYCLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rating/calendar.h"

namespace tollbook {

struct BillingCycle {
  enum class Unit : uint8_t { kDay, kMonth };
  Unit unit = Unit::kMonth;
  int32_t count = 1;  // of units, above zero: a week is 7 days, a quarter 3 months, a year 12
  Day anchor;         // a day on which a period begins; 1970-01-01 makes months the calendar's
  friend bool operator==(const BillingCycle&, const BillingCycle&) = default;
};

// The period that a day is in.
[[nodiscard]] BillingPeriod PeriodOf(const BillingCycle& cycle, Day day);

// What a plan or a charge says of its billing periods.
struct BillingTerms {
  BillingCycle cycle;            // by the calendar
  bool by_subscription = false;  // each subscription's own: the anchor is its first day
  friend bool operator==(const BillingTerms&, const BillingTerms&) = default;
};

inline constexpr int32_t kCycleUnitsMax = 1000;

// "1 month", "3 months", "2 weeks", "1 quarter", "10 days", "1 year": with the calendar's anchor. None: another text,
// or not from 1 to kCycleUnitsMax of them.
[[nodiscard]] std::optional<BillingCycle> ParseBillingCycle(std::string_view text);

inline int32_t DaysIn(const BillingPeriod& period) {
  return period.end.number - period.start.number;
}

// "2025-01" for a calendar month; else "2025-01-15 to 2025-02-15", the end exclusive.
std::string ToString(const BillingPeriod& period);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_BILLING_CYCLE_H_
