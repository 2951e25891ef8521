// ClockWindow: some hours of some weekdays, on the clock of a zone.
#ifndef TOLLBOOK_RATING_CLOCK_WINDOW_H_
#define TOLLBOOK_RATING_CLOCK_WINDOW_H_

#include <cstdint>
#include <string>

#include "rating/calendar.h"

namespace tollbook {

inline constexpr int kWeekdays = 7;
inline constexpr uint8_t kEveryWeekday = 0x7f;
inline constexpr int kMinutesOfDay = 24 * 60;

// [from, to) of each of its weekdays, by what the clock says: the hour that a clock repeats is in the window twice, the
// one that it skips is not. No window runs past midnight.
struct ClockWindow {
  uint8_t weekdays = kEveryWeekday;  // bit 0: Monday
  int from_minute = 0;
  int to_minute = kMinutesOfDay;
  friend bool operator==(const ClockWindow&, const ClockWindow&) = default;

  bool Has(const ClockTime& time) const;
  int64_t end_nanos() const { return to_minute * int64_t{60'000'000'000}; }  // of the day
};

int WeekdayOf(Day day);  // 0: Monday

std::string ToString(const ClockWindow& window);  // "mon-fri 09:00 to 12:00"; "every day" where it is all of a week

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CLOCK_WINDOW_H_
