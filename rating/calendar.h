// Calendar: instants, civil days and billing periods.
//
// An Instant is UTC. A Day is a civil date and means nothing without a Zone. Periods are half-open: [start, end).
// Billing periods are of civil days in the subscription's zone, so they are true across daylight saving; which ones
// there are, billing_cycle.h says.
#ifndef TOLLBOOK_RATING_CALENDAR_H_
#define TOLLBOOK_RATING_CALENDAR_H_

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "rating/error.h"

namespace tollbook {

// Nanoseconds since 1970-01-01T00:00:00Z. 64 bits reach from 1677 to 2262.
struct Instant {
  int64_t nanos = 0;
  friend constexpr bool operator==(Instant, Instant) = default;
  friend constexpr auto operator<=>(Instant, Instant) = default;
};

enum class TimeError : uint8_t {
  kNone,
  kNotATime,    // not RFC 3339, or a date that does not exist
  kNoZone,      // civil time without Z or offset
  kOutOfRange,  // before 1970 or after 2261: no usage of ours
};

struct ParsedInstant {
  TimeError error = TimeError::kNone;
  Instant instant;
};

// RFC 3339: date, 'T' (or 't' or one blank), time, optional fraction, 'Z' or +hh:mm. Digits beyond the nanosecond are
// cut off. A leap second (23:59:60 UTC) counts as the last second of its day, so that usage stays in the day that it is
// in. `assume_utc` accepts a time without a zone as UTC (some sources export that; a mapping says so).
[[nodiscard]] ParsedInstant ParseInstant(std::string_view text, bool assume_utc = false);
std::string ToString(Instant instant);  // RFC 3339 in Z, fraction only as long as needed

// Days since 1970-01-01 of some civil calendar.
struct Day {
  int32_t number = 0;
  friend constexpr bool operator==(Day, Day) = default;
  friend constexpr auto operator<=>(Day, Day) = default;
};

std::optional<Day> ParseDay(std::string_view text);  // YYYY-MM-DD
std::string ToString(Day day);
Day FirstOfMonth(Day day);
Day FirstOfNextMonth(Day day);

// A Day taken apart, in the proleptic Gregorian calendar.
struct CivilDate {
  int64_t year = 1970;
  int month = 1;  // 1 to 12
  int day = 1;    // 1 to 31
};
CivilDate CivilDateOf(Day day);
// So many months later, or earlier: on the same day of the month, or on the month's last where it is shorter.
Day AddMonths(Day day, int64_t months);

struct BillingPeriod {
  Day start;
  Day end;  // exclusive
  friend constexpr bool operator==(const BillingPeriod&, const BillingPeriod&) = default;
  friend constexpr auto operator<=>(const BillingPeriod&, const BillingPeriod&) = default;
};
BillingPeriod MonthOf(Day day);

// "2025-01": the accounting period a day falls in (calendar months).
std::string AccountingPeriodOf(Day day);

// What a zone's clock says at an instant. It runs evenly for so long: then its offset from UTC changes.
struct ClockTime {
  Day day;
  int64_t nanos_of_day = 0;
  int64_t even_for_nanos = INT64_MAX;  // above 0; the largest where no change is known
};

// A time zone by its IANA name ("UTC", "Europe/Berlin"). Compared by name.
class Zone {
 public:
  Zone() : zone_(absl::UTCTimeZone()) {}
  static std::optional<Zone> FromName(std::string_view name);
  std::string name() const { return zone_.name(); }
  Day DayOf(Instant instant) const;
  Instant StartOf(Day day) const;  // the day's first instant, skipped midnights included
  ClockTime ClockAt(Instant instant) const;
  friend bool operator==(const Zone& a, const Zone& b) {
    return a.zone_ == b.zone_ || a.zone_.name() == b.zone_.name();  // names are made for each call
  }

  struct Offsets;  // of calendar.cc

 private:
  absl::TimeZone zone_;
  std::shared_ptr<const Offsets> offsets_;  // shared by copies; null: always UTC
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CALENDAR_H_
