#include "rating/calendar.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>

#include "absl/time/time.h"
#include "tests/rating/in_words.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

struct InstantCase {
  const char* text;
  const char* utc;
};

TEST(ParseInstant, ReadsRfc3339) {
  constexpr InstantCase kCases[] = {
      {"1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"},
      {"2025-01-31T23:59:59Z", "2025-01-31T23:59:59Z"},
      {"2025-01-31t23:59:59z", "2025-01-31T23:59:59Z"},
      {"2025-01-31 23:59:59Z", "2025-01-31T23:59:59Z"},
      {"2025-01-31T23:59:59+00:00", "2025-01-31T23:59:59Z"},
      {"2025-01-31T23:59:59-00:00", "2025-01-31T23:59:59Z"},
      {"2025-02-01T01:00:00+02:00", "2025-01-31T23:00:00Z"},
      {"2025-01-31T19:00:00-05:00", "2025-02-01T00:00:00Z"},
      {"2025-02-01T05:45:00+05:45", "2025-02-01T00:00:00Z"},
      {"2025-01-01T00:00:00+23:59", "2024-12-31T00:01:00Z"},
      {"1969-12-31T23:00:00-01:00", "1970-01-01T00:00:00Z"},
      {"2024-02-29T12:00:00Z", "2024-02-29T12:00:00Z"},
      {"2000-02-29T12:00:00Z", "2000-02-29T12:00:00Z"},
      {"2261-12-31T23:59:59.999999999Z", "2261-12-31T23:59:59.999999999Z"},
      // Fractions of one to twelve digits; below the nanosecond they are cut off.
      {"2025-01-01T00:00:00.1Z", "2025-01-01T00:00:00.1Z"},
      {"2025-01-01T00:00:00.12Z", "2025-01-01T00:00:00.12Z"},
      {"2025-01-01T00:00:00.123Z", "2025-01-01T00:00:00.123Z"},
      {"2025-01-01T00:00:00.1234Z", "2025-01-01T00:00:00.1234Z"},
      {"2025-01-01T00:00:00.12345Z", "2025-01-01T00:00:00.12345Z"},
      {"2025-01-01T00:00:00.123456Z", "2025-01-01T00:00:00.123456Z"},
      {"2025-01-01T00:00:00.1234567Z", "2025-01-01T00:00:00.1234567Z"},
      {"2025-01-01T00:00:00.12345678Z", "2025-01-01T00:00:00.12345678Z"},
      {"2025-01-01T00:00:00.123456789Z", "2025-01-01T00:00:00.123456789Z"},
      {"2025-01-01T00:00:00.1234567899Z", "2025-01-01T00:00:00.123456789Z"},
      {"2025-01-01T00:00:00.12345678999Z", "2025-01-01T00:00:00.123456789Z"},
      {"2025-01-01T00:00:00.123456789999Z", "2025-01-01T00:00:00.123456789Z"},
      {"2025-01-01T00:00:00.000Z", "2025-01-01T00:00:00Z"},
      {"2025-01-01T02:00:00.5+02:00", "2025-01-01T00:00:00.5Z"},
      // A leap second stays in the day that it ends.
      {"2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"},
      {"2016-12-31T23:59:60.25Z", "2016-12-31T23:59:59.25Z"},
      {"2017-01-01T00:59:60+01:00", "2016-12-31T23:59:59Z"},
      {"2016-12-31T18:59:60-05:00", "2016-12-31T23:59:59Z"},
  };
  for (const InstantCase& c : kCases) {
    SCOPED_TRACE(c.text);
    const ParsedInstant parsed = ParseInstant(c.text);
    EXPECT_EQ(parsed.error, TimeError::kNone);
    EXPECT_EQ(ToString(parsed.instant), c.utc);
  }
}

struct BadInstant {
  const char* text;
  TimeError error;
};

TEST(ParseInstant, SaysWhatIsWrong) {
  constexpr BadInstant kCases[] = {
      {"", TimeError::kNotATime},
      {"yesterday", TimeError::kNotATime},
      {"2025-01-01", TimeError::kNotATime},
      {"2025-01-01T00:00Z", TimeError::kNotATime},
      {"2025-01-01T24:00:00Z", TimeError::kNotATime},
      {"2025-01-01T23:60:00Z", TimeError::kNotATime},
      {"2025-01-01T23:59:61Z", TimeError::kNotATime},
      {"2025-00-01T00:00:00Z", TimeError::kNotATime},
      {"2025-13-01T00:00:00Z", TimeError::kNotATime},
      {"2025-01-00T00:00:00Z", TimeError::kNotATime},
      {"2025-01-32T00:00:00Z", TimeError::kNotATime},
      {"2025-04-31T00:00:00Z", TimeError::kNotATime},
      {"2025-02-29T00:00:00Z", TimeError::kNotATime},
      {"2100-02-29T00:00:00Z", TimeError::kNotATime},
      {"2025-01-01T00:00:60Z", TimeError::kNotATime},       // not at the end of a day of UTC
      {"2016-12-31T23:59:60+01:00", TimeError::kNotATime},  // 22:59:60 UTC
      {"2025-01-01T00:00:00+24:00", TimeError::kNotATime},
      {"2025-01-01T00:00:00+01:60", TimeError::kNotATime},
      {"2025-01-01T00:00:00+0100", TimeError::kNotATime},
      {"2025-01-01T00:00:00+01", TimeError::kNotATime},
      {"2025-01-01T00:00:00+1:00", TimeError::kNotATime},
      {"2025-01-01T00:00:00 +01:00", TimeError::kNotATime},
      {"2025-01-01T00:00:00ZZ", TimeError::kNotATime},
      {"2025-01-01T00:00:00Z ", TimeError::kNotATime},
      {" 2025-01-01T00:00:00Z", TimeError::kNotATime},
      {"2025-01-01T00:00:00.Z", TimeError::kNotATime},
      {"2025-01-01T00:00:00.", TimeError::kNotATime},
      {"2025-01-01T00:00:00,5Z", TimeError::kNotATime},
      {"2025-01-01_00:00:00Z", TimeError::kNotATime},
      {"2025/01/01T00:00:00Z", TimeError::kNotATime},
      {"2025-01-01T00.00.00Z", TimeError::kNotATime},
      {"2025-1-1T00:00:00Z00", TimeError::kNotATime},
      {"+025-01-01T00:00:00Z", TimeError::kNotATime},
      {"20a5-01-01T00:00:00Z", TimeError::kNotATime},
      {"a025-01-01T00:00:00Z", TimeError::kNotATime},
      {"12025-01-01T00:00:00Z", TimeError::kNotATime},
      {"2025-01-01T00:00:00", TimeError::kNoZone},
      {"2025-01-01T00:00:00.123", TimeError::kNoZone},
      {"1969-12-31T23:59:59Z", TimeError::kOutOfRange},
      {"1970-01-01T00:00:00+00:01", TimeError::kOutOfRange},
      {"2262-01-01T00:00:00Z", TimeError::kOutOfRange},
      {"2261-12-31T23:59:59-00:01", TimeError::kOutOfRange},
      {"9999-12-31T23:59:59Z", TimeError::kOutOfRange},
      {"0000-01-01T00:00:00Z", TimeError::kOutOfRange},
      {"0001-01-01T00:00:00Z", TimeError::kOutOfRange},
  };
  for (const BadInstant& c : kCases) {
    SCOPED_TRACE(c.text);
    EXPECT_EQ(ParseInstant(c.text).error, c.error);
    EXPECT_EQ(ParseInstant(c.text).instant, Instant{});
  }
}

TEST(ParseInstant, TakesATimeWithoutZoneAsUtcWhenAMappingSaysSo) {
  EXPECT_EQ(ToString(ParseInstant("2023-11-16 18:15:46.6805900", true).instant), "2023-11-16T18:15:46.68059Z");
  EXPECT_EQ(ToString(ParseInstant("2016-12-31T23:59:60", true).instant), "2016-12-31T23:59:59Z");
  EXPECT_EQ(ToString(ParseInstant("2025-01-01T00:00:00-05:00", true).instant), "2025-01-01T05:00:00Z");
  EXPECT_EQ(ParseInstant("2025-01-01T24:00:00", true).error, TimeError::kNotATime);
}

TEST(Instant, AgreesWithTheTimeLibrary) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 20'000; ++round) {
    const int64_t nanos = static_cast<int64_t>(random() % (uint64_t{106'651} * 86'400 * 1'000'000'000));
    const int offset_minutes = static_cast<int>(random() % 2'879) - 1'439;
    const absl::Time time = absl::FromUnixNanos(nanos);
    const std::string local =
        absl::FormatTime("%Y-%m-%dT%H:%M:%E9S%Ez", time, absl::FixedTimeZone(offset_minutes * 60));
    SCOPED_TRACE(local);
    ASSERT_EQ(ParseInstant(local).error, TimeError::kNone);
    ASSERT_EQ(ParseInstant(local).instant, Instant{nanos});
    ASSERT_EQ(ToString(Instant{nanos}), absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", time, absl::UTCTimeZone()));
  }
  EXPECT_EQ(ToString(Instant{-1}), "1969-12-31T23:59:59.999999999Z");
  EXPECT_EQ(ToString(Instant{INT64_MIN}), "1677-09-21T00:12:43.145224192Z");
  EXPECT_EQ(ToString(Instant{INT64_MAX}), "2262-04-11T23:47:16.854775807Z");
}

TEST(Day, IsACivilDate) {
  EXPECT_EQ(On("1970-01-01").number, 0);
  EXPECT_EQ(On("1969-12-31").number, -1);
  EXPECT_EQ(On("2000-03-01").number, 11'017);
  for (const char* text : {"", "2025-1-1", "2025-01-01 ", "2025-02-29", "2025-00-10", "2025-13-01", "2025-01-00",
                           "2025-06-31", "20250101", "2025/01/01", "x025-01-01", "2025-01-01T"}) {
    EXPECT_FALSE(ParseDay(text).has_value()) << text;
  }
}

TEST(Day, AgreesWithTheTimeLibraryOnEachDayOfFourCenturies) {
  absl::CivilDay civil(1600, 1, 1);
  for (int32_t number = static_cast<int32_t>(civil - absl::CivilDay(1970, 1, 1)); civil.year() < 2401;
       ++number, ++civil) {
    const std::string text = absl::FormatCivilTime(civil);
    ASSERT_EQ(ParseDay(text), Day{number}) << text;
    ASSERT_EQ(ToString(Day{number}), text);
    const absl::CivilMonth month(civil);
    const BillingPeriod period = {{static_cast<int32_t>(absl::CivilDay(month) - absl::CivilDay(1970, 1, 1))},
                                  {static_cast<int32_t>(absl::CivilDay(month + 1) - absl::CivilDay(1970, 1, 1))}};
    ASSERT_EQ(MonthOf(Day{number}), period) << text;
    ASSERT_EQ(AccountingPeriodOf(Day{number}), text.substr(0, 7));
  }
}

struct ZoneCase {
  const char* zone;
  const char* instant;
  const char* day;
};

TEST(Zone, KnowsWhichDayAnInstantIsIn) {
  constexpr ZoneCase kCases[] = {
      {"UTC", "2025-01-31T23:59:59.999999999Z", "2025-01-31"},
      {"UTC", "2025-02-01T00:00:00Z", "2025-02-01"},
      {"Europe/Berlin", "2025-01-31T22:59:59Z", "2025-01-31"},
      {"Europe/Berlin", "2025-01-31T23:00:00Z", "2025-02-01"},
      {"Europe/Berlin", "2025-06-30T21:59:59Z", "2025-06-30"},  // summer time: an hour earlier
      {"Europe/Berlin", "2025-06-30T22:00:00Z", "2025-07-01"},
      {"America/New_York", "2025-03-09T04:59:59Z", "2025-03-08"},  // the day clocks go forward begins in EST
      {"America/New_York", "2025-03-09T05:00:00Z", "2025-03-09"},
      {"America/New_York", "2025-03-10T03:59:59Z", "2025-03-09"},  // and ends in EDT: 23 hours
      {"America/New_York", "2025-03-10T04:00:00Z", "2025-03-10"},
      {"America/New_York", "2025-11-03T04:59:59Z", "2025-11-02"},  // 25 hours
      {"America/New_York", "2025-11-03T05:00:00Z", "2025-11-03"},
      {"Asia/Kathmandu", "2025-01-31T18:14:59Z", "2025-01-31"},  // +05:45
      {"Asia/Kathmandu", "2025-01-31T18:15:00Z", "2025-02-01"},
      {"Australia/Lord_Howe", "2025-01-31T12:59:59Z", "2025-01-31"},  // +11:00 in summer
      {"Australia/Lord_Howe", "2025-01-31T13:00:00Z", "2025-02-01"},
      {"Australia/Lord_Howe", "2025-06-30T13:29:59Z", "2025-06-30"},  // +10:30 in winter
      {"Australia/Lord_Howe", "2025-06-30T13:30:00Z", "2025-07-01"},
      {"Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29"},  // the island skipped 30 December
      {"Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31"},
      {"Pacific/Kiritimati", "2025-01-31T10:00:00Z", "2025-02-01"},  // +14:00
      {"Europe/Berlin", "2250-07-01T21:59:59Z", "2250-07-01"},       // far ahead the rules go on
      {"Europe/Berlin", "2250-07-01T22:00:00Z", "2250-07-02"},
  };
  for (const ZoneCase& c : kCases) {
    EXPECT_EQ(ToString(ZoneOf(c.zone).DayOf(At(c.instant))), c.day) << c.zone << " " << c.instant;
  }
}

TEST(Zone, KnowsWhenADayBegins) {
  constexpr ZoneCase kCases[] = {
      {"UTC", "2025-02-01T00:00:00Z", "2025-02-01"},
      {"America/New_York", "2025-03-09T05:00:00Z", "2025-03-09"},
      {"America/New_York", "2025-03-10T04:00:00Z", "2025-03-10"},
      {"Asia/Kathmandu", "2025-01-31T18:15:00Z", "2025-02-01"},
      {"Australia/Lord_Howe", "2025-06-30T13:30:00Z", "2025-07-01"},
      {"America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-04"},  // 00:00 did not exist: the day begins at 01:00
      {"America/Havana", "2025-11-02T04:00:00Z", "2025-11-02"},     // 00:00 came twice: the first
      {"Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30"},  // a day that did not exist begins where the next does
  };
  for (const ZoneCase& c : kCases) {
    EXPECT_EQ(ToString(ZoneOf(c.zone).StartOf(On(c.day))), c.instant) << c.zone << " " << c.day;
  }
}

TEST(Zone, AgreesWithTheTimeLibraryAtAnyInstantAndAtEachChangeOfClocks) {
  std::mt19937_64 random(TestSeed());
  for (const char* name : {"UTC", "Etc/UTC", "Etc/GMT+12", "Europe/Berlin", "Europe/Dublin", "America/New_York",
                           "America/Sao_Paulo", "America/St_Johns", "Asia/Kathmandu", "Asia/Tehran",
                           "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia", "Antarctica/Troll"}) {
    const Zone zone = ZoneOf(name);
    absl::TimeZone library;
    ASSERT_TRUE(absl::LoadTimeZone(name, &library));
    const auto check = [&](absl::Time time) {
      const int64_t expected = absl::ToCivilDay(time, library) - absl::CivilDay(1970, 1, 1);
      ASSERT_EQ(zone.DayOf({absl::ToUnixNanos(time)}).number, expected) << name << " " << absl::FormatTime(time);
    };
    for (int i = 0; i < 2'000; ++i) check(absl::FromUnixNanos(static_cast<int64_t>(random())));
    absl::Time at = absl::FromUnixNanos(INT64_MIN);
    absl::TimeZone::CivilTransition transition;
    while (library.NextTransition(at, &transition) && at < absl::FromUnixNanos(INT64_MAX) - absl::Hours(9'000)) {
      at = library.At(transition.to).trans;
      if (at < absl::FromUnixNanos(INT64_MIN) + absl::Hours(48)) continue;
      for (const int seconds : {-86'400, -3'600, -1, 0, 1, 3'600, 86'400}) check(at + absl::Seconds(seconds));
    }
  }
}

TEST(Zone, GoesByIanaNamesOnly) {
  EXPECT_EQ(Zone(), ZoneOf("UTC"));
  EXPECT_EQ(ZoneOf("Europe/Berlin"), ZoneOf("Europe/Berlin"));
  EXPECT_FALSE(ZoneOf("Europe/Berlin") == ZoneOf("Europe/Paris"));
  EXPECT_EQ(ZoneOf("Europe/Berlin").name(), "Europe/Berlin");
  for (const char* name : {"", "Mars/Olympus", "localtime", "/etc/localtime", "/usr/share/zoneinfo/Europe/Berlin",
                           "../zoneinfo/UTC", "right/UTC", "Fixed/UTC+01:00:00", "+01:00", ":localtime", "Europe"}) {
    EXPECT_FALSE(Zone::FromName(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace tollbook
