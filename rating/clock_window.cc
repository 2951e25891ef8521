#include "rating/clock_window.h"

#include <string_view>

namespace tollbook {
namespace {

constexpr std::string_view kNames[kWeekdays] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

std::string ClockText(int minute) {
  std::string text = "00:00";
  text[0] = static_cast<char>('0' + minute / 600);
  text[1] = static_cast<char>('0' + minute / 60 % 10);
  text[3] = static_cast<char>('0' + minute % 60 / 10);
  text[4] = static_cast<char>('0' + minute % 10);
  return text;
}

// Runs of weekdays: "mon-fri", "mon, wed-thu".
std::string WeekdaysText(uint8_t weekdays) {
  if (weekdays == kEveryWeekday) return "every day";
  const auto has = [&](int day) { return day < kWeekdays && (weekdays >> day & 1) != 0; };
  std::string text;
  for (int day = 0; day < kWeekdays; ++day) {
    if (!has(day)) continue;
    const int first = day;
    while (has(day + 1)) ++day;
    text.append(text.empty() ? "" : ", ").append(kNames[first]);
    if (day > first) text.append("-").append(kNames[day]);
  }
  return text;
}

}  // namespace

bool ClockWindow::Has(const ClockTime& time) const {
  constexpr int64_t kMinuteNanos = 60'000'000'000;
  const bool on_day = (weekdays >> WeekdayOf(time.day) & 1) != 0;
  return on_day && time.nanos_of_day >= from_minute * kMinuteNanos && time.nanos_of_day < end_nanos();
}

// 1970-01-01 was a Thursday.
int WeekdayOf(Day day) {
  return static_cast<int>(((static_cast<int64_t>(day.number) + 3) % kWeekdays + kWeekdays) % kWeekdays);
}

std::string ToString(const ClockWindow& window) {
  std::string text = WeekdaysText(window.weekdays);
  if (window.from_minute == 0 && window.to_minute == kMinutesOfDay) return text;
  return text.append(" ").append(ClockText(window.from_minute)).append(" to ").append(ClockText(window.to_minute));
}

}  // namespace tollbook
