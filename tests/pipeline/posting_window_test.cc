// When a target may be told: hours on a zone's clock, not on the days around a period's end.
#include "pipeline/posting_window.h"

#include <gtest/gtest.h>

#include <map>

#include "pipeline/targets.h"

namespace tollbook {
namespace {

std::vector<PostingWindow> Windows(const std::string& windows) {
  const std::string text =
      "targets:\n  - name: a\n    kind: files\n    directory: out\n    format: csv\n    windows:\n";
  const ParsedTargets parsed = ParseTargets(text + windows, nullptr);
  EXPECT_TRUE(parsed.errors.empty()) << ToString(parsed.errors[0]);
  return parsed.targets.empty() ? std::vector<PostingWindow>() : parsed.targets[0].windows;
}

// 22:00 to 05:00 in New York, which is two windows: none runs past midnight.
constexpr char kNights[] =
    "      - {from: \"22:00\", to: \"24:00\", zone: America/New_York}\n"
    "      - {from: \"00:00\", to: \"05:00\", zone: America/New_York}\n";
constexpr char kQuietEnds[] =
    "      - {from: \"09:00\", to: \"17:00\", zone: UTC, days: mon-fri, close_days: {last: 2, first: 3}}\n";
constexpr char kOfOne[] = "      - {from: \"09:00\", to: \"10:00\", zone: UTC, entities: [us]}\n";
constexpr char kNeverInSpring[] = "      - {from: \"02:15\", to: \"02:45\", zone: America/New_York}\n";
constexpr char kLate[] = "      - {from: \"02:30\", to: \"05:00\", zone: America/New_York}\n";
constexpr char kTwice[] = "      - {from: \"01:00\", to: \"01:30\", zone: America/New_York}\n";

TEST(PostingWindow, OpensWhenItsClockSaysSo) {
  struct Case {
    const char* name;
    const char* windows;
    const char* entity;
    const char *from, *opens;
  };
  constexpr Case kCases[] = {
      {"before: at ten in the evening there", kNights, "us", "2025-01-15T12:00:00Z", "2025-01-16T03:00:00Z"},
      {"within, before midnight", kNights, "us", "2025-01-16T04:30:00Z", "2025-01-16T04:30:00Z"},
      {"within, after midnight", kNights, "us", "2025-01-16T09:59:59Z", "2025-01-16T09:59:59Z"},
      {"its end is no part of it", kNights, "us", "2025-01-16T10:00:00Z", "2025-01-17T03:00:00Z"},
      {"in summer an hour earlier", kNights, "us", "2025-07-15T12:00:00Z", "2025-07-16T02:00:00Z"},

      {"an hour that the clock skips", kNeverInSpring, "us", "2025-03-09T05:00:00Z", "2025-03-10T06:15:00Z"},
      {"a beginning that the clock skips", kLate, "us", "2025-03-09T05:00:00Z", "2025-03-09T07:00:00Z"},
      {"an hour that the clock repeats: first", kTwice, "us", "2025-11-02T04:00:00Z", "2025-11-02T05:00:00Z"},
      {"an hour that the clock repeats: again", kTwice, "us", "2025-11-02T05:30:00Z", "2025-11-02T06:00:00Z"},

      {"a weekday", kQuietEnds, "us", "2025-01-15T08:00:00Z", "2025-01-15T09:00:00Z"},
      {"a weekend", kQuietEnds, "us", "2025-01-18T12:00:00Z", "2025-01-20T09:00:00Z"},
      {"the last day but two", kQuietEnds, "us", "2025-01-29T12:00:00Z", "2025-01-29T12:00:00Z"},
      {"the last days, the first ones and a weekend", kQuietEnds, "us", "2025-01-30T00:00:00Z", "2025-02-04T09:00:00Z"},

      {"of the entity", kOfOne, "us", "2025-01-15T12:00:00Z", "2025-01-16T09:00:00Z"},
      {"of another: always", kOfOne, "eu", "2025-01-15T12:00:00Z", "2025-01-15T12:00:00Z"},
      {"of none: always", kOfOne, "", "2025-01-15T12:00:00Z", "2025-01-15T12:00:00Z"},
      {"no windows: always", "", "us", "2025-01-15T12:00:00Z", "2025-01-15T12:00:00Z"},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const std::vector<PostingWindow> windows = *c.windows == '\0' ? std::vector<PostingWindow>() : Windows(c.windows);
    EXPECT_EQ(ToString(OpensAt(windows, c.entity, FiscalCalendar{}, ParseInstant(c.from).instant)), c.opens);
  }
}

TEST(PostingWindow, CloseDaysAreOfTheEntitysCalendar) {
  FiscalCalendar calendar;
  calendar.periods = FiscalPeriods::k445;
  const AccountingPeriod period = calendar.PeriodOf(*ParseDay("2025-02-12"));
  const Day last = period.last;
  const std::vector<PostingWindow> windows = Windows("      - {zone: UTC, close_days: {last: 1}}\n");
  const Instant end{Zone().StartOf(last).nanos + 1}, after = Zone().StartOf({last.number + 1});
  EXPECT_EQ(OpensAt(windows, "us", calendar, end), after);
  EXPECT_EQ(OpensAt(windows, "us", FiscalCalendar{}, end), end) << "no last day of a month: " << ToString(last);
}

// Whatever is allowed, something of each period is left.
TEST(PostingWindow, TheMostCloseDaysLeaveADayOfEachPeriod) {
  for (const char* days : {"mon", "sun"}) {
    const std::vector<PostingWindow> windows =
        Windows(std::string("      - {zone: UTC, days: ") + days + ", close_days: {last: 10, first: 10}}\n");
    for (int32_t day = 20'089; day < 20'089 + 365; ++day) {
      const Instant from = Zone().StartOf({day});
      const Instant open = OpensAt(windows, "us", FiscalCalendar{}, from);
      EXPECT_LE(open.nanos - from.nanos, 31 * int64_t{86'400} * 1'000'000'000) << ToString(Day{day});
    }
  }
}

}  // namespace
}  // namespace tollbook
