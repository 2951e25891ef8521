#include "pipeline/posting_window.h"

#include <algorithm>
#include <optional>

#include "rating/catalog_clock.h"
#include "rating/decimal.h"

namespace tollbook {
namespace {

constexpr int64_t kNanosPerMinute = 60'000'000'000;

// Close days and weekdays leave out less than this in a row: 20 of the one, then 6 of the other, and the next window.
constexpr int kDaysAhead = 62;

bool IsOf(const PostingWindow& window, std::string_view entity) {
  const std::vector<std::string>& entities = window.entities;
  return entities.empty() || std::find(entities.begin(), entities.end(), entity) != entities.end();
}

bool IsCloseDay(const CloseDays& close, const FiscalCalendar& calendar, Day day) {
  if (close == CloseDays{}) return false;
  const AccountingPeriod period = calendar.PeriodOf(day);
  return day.number - period.first.number < static_cast<int32_t>(close.first) ||
         period.last.number - day.number < static_cast<int32_t>(close.last);
}

// From `from`, an instant of `day`, on; none: not on this day any more.
std::optional<Instant> OpensOnDay(const PostingWindow& window, Day day, Instant from) {
  for (ClockTime clock = window.zone.ClockAt(from); clock.day == day; clock = window.zone.ClockAt(from)) {
    if (window.when.Has(clock)) return from;
    // What the clock says moves evenly until its offset changes: then it is read again.
    const int64_t ahead = window.when.from_minute * kNanosPerMinute - clock.nanos_of_day;
    const int64_t step = ahead > 0 ? std::min(ahead, clock.even_for_nanos) : clock.even_for_nanos;
    if (step > INT64_MAX - from.nanos) return std::nullopt;
    from.nanos += step;
  }
  return std::nullopt;
}

std::optional<Instant> OpensAt(const PostingWindow& window, const FiscalCalendar& calendar, Instant from) {
  const Day today = window.zone.DayOf(from);
  for (Day day = today; day.number <= today.number + kDaysAhead; ++day.number) {
    const bool weekday = (window.when.weekdays >> WeekdayOf(day) & 1) != 0;
    if (!weekday || IsCloseDay(window.not_on, calendar, day)) continue;
    const std::optional<Instant> open = OpensOnDay(window, day, std::max(from, window.zone.StartOf(day)));
    if (open) return open;
  }
  return std::nullopt;
}

uint32_t ReadDays(YamlMap& map, std::string_view key, FileErrors& errors) {
  const std::optional<std::string> text = map.Text(key);
  if (!text) return 0;
  const ParsedDecimal number = ParseDecimal(*text, 0);
  if (number.error == DecimalError::kNone && number.value >= 0 && number.value <= kCloseDaysMax) {
    return static_cast<uint32_t>(number.value);
  }
  errors.Add(map.LineOf(key), Join({Quoted(key), " of ", map.what(), " is ", Quoted(*text)}),
             "write how many days, 0 to " + std::to_string(kCloseDaysMax));
  return 0;
}

CloseDays ReadCloseDays(YamlMap& window, FileErrors& errors) {
  const YamlNode* node = window.Find("close_days");
  if (node == nullptr) return {};
  YamlMap map(*node, "the close days of " + window.what(), errors);
  CloseDays days;
  days.last = ReadDays(map, "last", errors);
  days.first = ReadDays(map, "first", errors);
  map.RefuseOtherKeys();
  if (days.last + days.first > kCloseDaysMax) {
    errors.Add(map.line(), map.what() + " are " + std::to_string(days.last + days.first),
               "leave them at " + std::to_string(kCloseDaysMax) + " together, so that each period has other days");
  }
  return days;
}

}  // namespace

std::vector<PostingWindow> ReadPostingWindows(YamlMap& map, FileErrors& errors) {
  std::vector<PostingWindow> windows;
  for (const YamlNode& node : map.List("windows")) {
    YamlMap one(node, "a window of " + map.what(), errors);
    PostingWindow& window = windows.emplace_back();
    window.entities = one.Texts("entities");
    window.when = ReadClockWindow(one, errors).value_or(ClockWindow{});
    if (const std::optional<std::string> name = one.RequiredText("zone")) {
      const std::optional<Zone> zone = Zone::FromName(*name);
      if (zone) {
        window.zone = *zone;
      } else {
        errors.Add(one.LineOf("zone"), one.what() + " names the zone " + Quoted(*name) + ", which is not known",
                   "write its IANA name, such as America/New_York");
      }
    }
    window.not_on = ReadCloseDays(one, errors);
    one.RefuseOtherKeys();
  }
  return windows;
}

Instant OpensAt(std::span<const PostingWindow> windows, std::string_view entity, const FiscalCalendar& calendar,
                Instant from) {
  bool any = false;
  std::optional<Instant> first;
  for (const PostingWindow& window : windows) {
    if (!IsOf(window, entity)) continue;
    any = true;
    const std::optional<Instant> open = OpensAt(window, calendar, from);
    if (open) first = first ? std::min(*first, *open) : *open;
  }
  if (!any) return from;
  // A window that a zone skips for so long does not open while anybody watches: look again when the days are over.
  constexpr int64_t kAheadNanos = kDaysAhead * int64_t{kMinutesOfDay} * kNanosPerMinute;
  return first.value_or(Instant{from.nanos > INT64_MAX - kAheadNanos ? INT64_MAX : from.nanos + kAheadNanos});
}

}  // namespace tollbook
