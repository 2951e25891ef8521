#include "rating/catalog_clock.h"

#include <algorithm>
#include <array>

namespace tollbook {
namespace {

constexpr std::array<std::string_view, kWeekdays> kWeekdayNames = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

std::optional<int> WeekdayNamed(std::string_view name) {
  const auto at = std::find(kWeekdayNames.begin(), kWeekdayNames.end(), name);
  if (at == kWeekdayNames.end()) return std::nullopt;
  return static_cast<int>(at - kWeekdayNames.begin());
}

// "mon" or "fri-mon", which goes on over the end of the week; 0: neither.
uint8_t WeekdaysOf(std::string_view text) {
  const size_t dash = text.find('-');
  const std::optional<int> first = WeekdayNamed(text.substr(0, dash));
  const std::optional<int> last = dash == std::string_view::npos ? first : WeekdayNamed(text.substr(dash + 1));
  if (!first || !last) return 0;
  uint8_t days = 0;
  for (int day = *first;; day = (day + 1) % kWeekdays) {
    days |= static_cast<uint8_t>(1 << day);
    if (day == *last) return days;
  }
}

uint8_t ReadDays(YamlMap& map, FileErrors& errors) {
  const YamlNode* node = map.Find("days");
  if (node == nullptr) return kEveryWeekday;
  std::vector<std::string> texts;
  if (node->kind == YamlNode::Kind::kList) {
    texts = map.Texts("days");
  } else if (const std::optional<std::string> text = map.Text("days")) {
    texts.push_back(*text);
  }
  uint8_t days = 0;
  for (const std::string& text : texts) {
    const uint8_t more = WeekdaysOf(text);
    days |= more;
    if (more != 0) continue;
    errors.Add(map.LineOf("days"), Join({"\"days\" of ", map.what(), " is ", Quoted(text)}),
               "write mon, tue, wed, thu, fri, sat or sun, from one to another such as mon-fri, or a list of such");
  }
  return days;
}

// "09:30" to the minute of the day, "24:00" included.
std::optional<int> MinuteOf(std::string_view text) {
  const auto digit = [&](size_t at) { return text[at] >= '0' && text[at] <= '9' ? text[at] - '0' : 1000; };
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const int hours = digit(0) * 10 + digit(1), minutes = digit(3) * 10 + digit(4);
  if (hours > 24 || minutes > 59 || hours * 60 + minutes > kMinutesOfDay) return std::nullopt;
  return hours * 60 + minutes;
}

std::optional<int> ReadMinute(YamlMap& map, std::string_view key, int otherwise, FileErrors& errors) {
  if (map.Find(key) == nullptr) return otherwise;
  const std::optional<std::string> text = map.Text(key);
  if (!text) return std::nullopt;
  const std::optional<int> minute = MinuteOf(*text);
  if (!minute) {
    errors.Add(map.LineOf(key), Join({Quoted(key), " of ", map.what(), " is ", Quoted(*text)}),
               "write hours and minutes, from \"00:00\" to \"24:00\"");
  }
  return minute;
}

bool Overlap(const ClockWindow& a, const ClockWindow& b) {
  return (a.weekdays & b.weekdays) != 0 && a.from_minute < b.to_minute && b.from_minute < a.to_minute;
}

// The first stretch of a weekday that no window has.
std::optional<ClockWindow> FirstGap(std::span<const WrittenWindow> windows, int weekday) {
  ClockWindow gap{static_cast<uint8_t>(1 << weekday), 0, kMinutesOfDay};
  const auto of_day = [&](const WrittenWindow& window) { return (window.when.weekdays >> weekday & 1) != 0; };
  for (bool moved = true; moved;) {
    moved = false;
    for (const WrittenWindow& window : windows) {
      const bool holds = window.when.from_minute <= gap.from_minute && gap.from_minute < window.when.to_minute;
      if (!of_day(window) || !holds) continue;
      gap.from_minute = window.when.to_minute;
      moved = true;
    }
  }
  if (gap.from_minute == kMinutesOfDay) return std::nullopt;
  for (const WrittenWindow& window : windows) {
    if (of_day(window) && window.when.from_minute > gap.from_minute) {
      gap.to_minute = std::min(gap.to_minute, window.when.from_minute);
    }
  }
  return gap;
}

}  // namespace

std::optional<ClockWindow> ReadClockWindow(YamlMap& map, FileErrors& errors) {
  ClockWindow window;
  window.weekdays = ReadDays(map, errors);
  const std::optional<int> from = ReadMinute(map, "from", 0, errors);
  const std::optional<int> to = ReadMinute(map, "to", kMinutesOfDay, errors);
  if (window.weekdays == 0 || !from || !to) return std::nullopt;
  window.from_minute = *from;
  window.to_minute = *to;
  if (*from < *to) return window;
  errors.Add(map.LineOf("to"), Join({map.what(), " ends where it begins, or before"}),
             "write two windows for what runs past midnight: one to \"24:00\", one from \"00:00\"");
  return std::nullopt;
}

void CheckOverlaps(std::span<const WrittenWindow> windows, std::string_view charge, FileErrors& errors) {
  for (size_t i = 0; i < windows.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (!Overlap(windows[i].when, windows[j].when)) continue;
      errors.Add(windows[i].line,
                 Join({"the window ", ToString(windows[i].when), " and the window ", ToString(windows[j].when),
                       " (line ", std::to_string(windows[j].line), ") of ", charge, " overlap"}),
                 "let one end where the other begins");
      break;
    }
  }
}

void CheckWholeWeek(std::span<const WrittenWindow> windows, std::string_view charge, int line, FileErrors& errors) {
  for (int weekday = 0; weekday < kWeekdays; ++weekday) {
    const std::optional<ClockWindow> gap = FirstGap(windows, weekday);
    if (!gap) continue;
    return errors.Add(line, Join({"no window of ", charge, " has ", ToString(*gap)}),
                      "add one: usage at that time would have no price");
  }
}

}  // namespace tollbook
