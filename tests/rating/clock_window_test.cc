// What clocks say, and which windows have it.
#include "rating/clock_window.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/time/civil_time.h"
#include "tests/rating/in_words.h"

namespace tollbook {
namespace {

constexpr int64_t kHour = 3'600'000'000'000;

// Against the library, around all changes of the clock of some years.
TEST(ClockTimes, AreThoseOfTheLibrary) {
  for (const char* name : {"UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"}) {
    SCOPED_TRACE(name);
    const Zone zone = ZoneOf(name);
    absl::TimeZone library_zone;
    ASSERT_TRUE(absl::LoadTimeZone(name, &library_zone));
    for (Instant at = At("2010-12-31T23:59:59.5Z"); at < At("2013-01-01T00:00:00Z"); at.nanos += kHour / 4) {
      const ClockTime clock = zone.ClockAt(at);
      const absl::CivilSecond civil = absl::ToCivilSecond(absl::FromUnixNanos(at.nanos), library_zone);
      ASSERT_EQ(clock.day.number, absl::CivilDay(civil) - absl::CivilDay(1970, 1, 1));
      ASSERT_EQ(clock.nanos_of_day, (civil - absl::CivilSecond(absl::CivilDay(civil))) * 1'000'000'000 + 500'000'000);
      ASSERT_GT(clock.even_for_nanos, 0);
      const int offset = library_zone.At(absl::FromUnixNanos(at.nanos)).offset;
      const int64_t until = std::min(clock.even_for_nanos, 24 * kHour);
      ASSERT_EQ(library_zone.At(absl::FromUnixNanos(at.nanos + until - 1)).offset, offset);
      if (until < 24 * kHour) {
        ASSERT_NE(library_zone.At(absl::FromUnixNanos(at.nanos + until)).offset, offset);
      }
    }
  }
}

TEST(ClockWindows, HaveTheirWeekdaysAndHours) {
  EXPECT_EQ(WeekdayOf(On("1970-01-01")), 3);  // a Thursday
  EXPECT_EQ(WeekdayOf({-4}), 6);              // the Sunday before
  EXPECT_EQ(WeekdayOf(On("2025-01-06")), 0);
  const ClockWindow mornings = {0x1f, 9 * 60, 12 * 60};
  const auto has = [&](std::string_view at) { return mornings.Has(ZoneOf("UTC").ClockAt(At(at))); };
  EXPECT_TRUE(has("2025-01-06T09:00:00Z"));
  EXPECT_TRUE(has("2025-01-06T11:59:59.999999999Z"));
  EXPECT_FALSE(has("2025-01-06T12:00:00Z"));
  EXPECT_FALSE(has("2025-01-06T08:59:59.999999999Z"));
  EXPECT_FALSE(has("2025-01-05T10:00:00Z"));  // a Sunday
}

TEST(ClockWindows, AreToldInWords) {
  EXPECT_EQ(ToString(ClockWindow{}), "every day");
  EXPECT_EQ(ToString(ClockWindow{0x1f, 0, 18 * 60}), "mon-fri 00:00 to 18:00");
  EXPECT_EQ(ToString(ClockWindow{0x40, 23 * 60 + 5, kMinutesOfDay}), "sun 23:05 to 24:00");
  EXPECT_EQ(ToString(ClockWindow{0x0d, 0, kMinutesOfDay}), "mon, wed-thu");
}

}  // namespace
}  // namespace tollbook
