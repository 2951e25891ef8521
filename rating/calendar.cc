#include "rating/calendar.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include "rating/decimal_digits.h"

namespace tollbook {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kSecondsPerDay = 86'400;
// 2262-01-01: an Instant reaches to April of that year; whole years are easier to tell.
constexpr int64_t kEndOfTimeSeconds = 106'651 * kSecondsPerDay;

int64_t FloorDivide(int64_t value, int64_t divisor) {
  return value / divisor - (value % divisor < 0 ? 1 : 0);
}

// Civil dates in whole numbers. Years are counted from March, so that the leap day is a year's last; 400 years have
// 146,097 days, and 1970-01-01 is day 719,468 counted from 0000-03-01.
constexpr int64_t kDaysPerEra = 146'097;
constexpr int64_t kEpochFromMarchZero = 719'468;

using Civil = CivilDate;

Day DayFromCivil(Civil date) {
  const int64_t year = date.month <= 2 ? date.year - 1 : date.year;
  const int64_t era = FloorDivide(year, 400);
  const int64_t year_of_era = year - era * 400;
  const int64_t months_from_march = (date.month + 9) % 12;
  // 153 days in each five months from March on: 31, 30, 31, 30, 31.
  const int64_t day_of_year = (153 * months_from_march + 2) / 5 + date.day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return {static_cast<int32_t>(era * kDaysPerEra + day_of_era - kEpochFromMarchZero)};
}

Civil CivilFromDay(Day day) {
  const int64_t from_zero = day.number + kEpochFromMarchZero;
  const int64_t era = FloorDivide(from_zero, kDaysPerEra);
  const int64_t day_of_era = from_zero - era * kDaysPerEra;
  // Leap days before it taken off: one in 1,460 days, less one a century, but one in 400 years.
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / (kDaysPerEra - 1)) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t months_from_march = (5 * day_of_year + 2) / 153;
  Civil date;
  date.day = static_cast<int>(day_of_year - (153 * months_from_march + 2) / 5 + 1);
  date.month = static_cast<int>(months_from_march < 10 ? months_from_march + 3 : months_from_march - 9);
  date.year = year_of_era + era * 400 + (date.month <= 2 ? 1 : 0);
  return date;
}

int DaysInMonth(int64_t year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && leap ? 29 : kDays[month - 1];
}

bool Exists(Civil date) {
  return date.month >= 1 && date.month <= 12 && date.day >= 1 && date.day <= DaysInMonth(date.year, date.month);
}

unsigned DigitOf(char c) {
  return static_cast<unsigned char>(c - '0');
}

// Two digits at `p`; at least 100 when they are not digits.
unsigned TwoDigits(const char* p) {
  const unsigned tens = DigitOf(p[0]);
  const unsigned ones = DigitOf(p[1]);
  return tens > 9 || ones > 9 ? 100 : tens * 10 + ones;
}

// YYYY-MM-DD at `p`; false when it is not a date.
bool ReadDate(const char* p, Civil* date) {
  const unsigned century = TwoDigits(p);
  const unsigned year = TwoDigits(p + 2);
  const unsigned month = TwoDigits(p + 5);
  const unsigned day = TwoDigits(p + 8);
  if (century > 99 || year > 99) return false;
  if (p[4] != '-' || p[7] != '-') return false;
  *date = {static_cast<int64_t>(century * 100 + year), static_cast<int>(month), static_cast<int>(day)};
  return Exists(*date);
}

// The time of day in seconds, 60 allowed for a leap second.
bool ReadTimeOfDay(const char* p, int64_t* second_of_day, bool* leap_second) {
  const unsigned hour = TwoDigits(p);
  const unsigned minute = TwoDigits(p + 3);
  const unsigned second = TwoDigits(p + 6);
  if (p[2] != ':' || p[5] != ':' || hour > 23 || minute > 59 || second > 60) return false;
  *leap_second = second == 60;
  *second_of_day = hour * 3'600 + minute * 60 + (*leap_second ? 59 : second);
  return true;
}

// ".123" to nanoseconds, digits below one cut off; nothing there is 0. False: a point without a digit.
bool TakeFraction(const char** p, const char* end, int64_t* nanos) {
  *nanos = 0;
  if (*p == end || **p != '.') return true;
  const char* const first = ++*p;
  for (; *p != end && DigitOf(**p) <= 9; ++*p) {
    if (*p - first < 9) *nanos = *nanos * 10 + DigitOf(**p);
  }
  const int64_t digits = *p - first;
  if (digits < 9) *nanos *= static_cast<int64_t>(kPowersOfTen[9 - digits]);
  return digits > 0;
}

enum class ZoneText : uint8_t { kNone, kOffset, kWrong };

// All that is left: "Z", "+hh:mm", nothing, or something else.
ZoneText ReadZone(const char* p, const char* end, int64_t* offset_seconds) {
  *offset_seconds = 0;
  if (p == end) return ZoneText::kNone;
  if (end - p == 1 && (*p == 'Z' || *p == 'z')) return ZoneText::kOffset;
  if (end - p != 6 || (*p != '+' && *p != '-') || p[3] != ':') return ZoneText::kWrong;
  const unsigned hours = TwoDigits(p + 1);
  const unsigned minutes = TwoDigits(p + 4);
  if (hours > 23 || minutes > 59) return ZoneText::kWrong;
  const int64_t east = hours * 3'600 + minutes * 60;
  *offset_seconds = *p == '-' ? -east : east;
  return ZoneText::kOffset;
}

ParsedInstant Failed(TimeError error) {
  return {error, {}};
}

// Names of the IANA kind only: what else the library would take (paths, "localtime", leap-second zones) makes
// billing depend on the machine.
bool LooksLikeIanaName(std::string_view name) {
  if (name.empty() || name.front() == '/' || name == "localtime") return false;
  if (name.starts_with("right/") || name.starts_with("posix/")) return false;
  if (name.find("..") != std::string_view::npos) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '+' || c == '/';
  });
}

}  // namespace

// A zone's offsets from UTC, each from an instant on. A search in it answers DayOf without the civil-time arithmetic of
// the library, which would cost more than all the rest of an event's bucket.
struct Zone::Offsets {
  std::vector<int64_t> from_seconds;  // ascending; the first is before any Instant
  std::vector<int64_t> seconds_east;

  int64_t At(int64_t unix_seconds) const {
    const auto next = std::upper_bound(from_seconds.begin() + 1, from_seconds.end(), unix_seconds);
    return seconds_east[static_cast<size_t>(next - from_seconds.begin()) - 1];
  }
  // The next change of the offset; null: none is known.
  const int64_t* NextAfter(int64_t unix_seconds) const {
    const auto next = std::upper_bound(from_seconds.begin() + 1, from_seconds.end(), unix_seconds);
    return next == from_seconds.end() ? nullptr : &*next;
  }
};

namespace {

constexpr Instant kFirstInstant = {INT64_MIN};
constexpr Instant kLastInstant = {INT64_MAX};

Zone::Offsets OffsetsOf(const absl::TimeZone& zone) {
  absl::Time at = absl::FromUnixNanos(kFirstInstant.nanos);
  Zone::Offsets offsets;
  offsets.from_seconds.push_back(INT64_MIN);
  offsets.seconds_east.push_back(zone.At(at).offset);
  absl::TimeZone::CivilTransition transition;
  while (zone.NextTransition(at, &transition)) {
    at = zone.At(transition.to).trans;
    if (at > absl::FromUnixNanos(kLastInstant.nanos)) break;
    const int64_t east = zone.At(at).offset;
    if (east == offsets.seconds_east.back()) continue;
    offsets.from_seconds.push_back(absl::ToUnixSeconds(at));
    offsets.seconds_east.push_back(east);
  }
  return offsets;
}

bool AlwaysUtc(const Zone::Offsets& offsets) {
  return offsets.seconds_east.size() == 1 && offsets.seconds_east.front() == 0;
}

}  // namespace

ParsedInstant ParseInstant(std::string_view text, bool assume_utc) {
  constexpr size_t kDateAndTime = 19;  // YYYY-MM-DDTHH:MM:SS
  if (text.size() < kDateAndTime) return Failed(TimeError::kNotATime);
  const char* p = text.data();
  const char* const end = p + text.size();
  Civil date;
  int64_t second_of_day = 0;
  bool leap_second = false;
  if (!ReadDate(p, &date) || !ReadTimeOfDay(p + 11, &second_of_day, &leap_second)) return Failed(TimeError::kNotATime);
  if (p[10] != 'T' && p[10] != 't' && p[10] != ' ') return Failed(TimeError::kNotATime);
  p += kDateAndTime;

  int64_t nanos = 0;
  int64_t offset_seconds = 0;
  if (!TakeFraction(&p, end, &nanos)) return Failed(TimeError::kNotATime);
  const ZoneText zone = ReadZone(p, end, &offset_seconds);
  if (zone == ZoneText::kWrong) return Failed(TimeError::kNotATime);

  const int64_t seconds = DayFromCivil(date).number * kSecondsPerDay + second_of_day - offset_seconds;
  const bool last_of_utc_day = (seconds + 1) % kSecondsPerDay == 0;
  if (leap_second && !last_of_utc_day) return Failed(TimeError::kNotATime);
  if (zone == ZoneText::kNone && !assume_utc) return Failed(TimeError::kNoZone);
  if (seconds < 0 || seconds >= kEndOfTimeSeconds) return Failed(TimeError::kOutOfRange);
  return {TimeError::kNone, {seconds * kNanosPerSecond + nanos}};
}

std::string ToString(Instant instant) {
  const int64_t seconds = FloorDivide(instant.nanos, kNanosPerSecond);
  const int64_t day = FloorDivide(seconds, kSecondsPerDay);
  const int second_of_day = static_cast<int>(seconds - day * kSecondsPerDay);
  char buffer[32];
  int length = std::snprintf(buffer, sizeof(buffer), "T%02d:%02d:%02d", second_of_day / 3'600, second_of_day / 60 % 60,
                             second_of_day % 60);
  // Multiplying back could leave 64 bits near the first Instant; the remainder's sign is what matters.
  const int64_t remainder = instant.nanos % kNanosPerSecond;
  const int64_t nanos = remainder < 0 ? remainder + kNanosPerSecond : remainder;
  if (nanos != 0) {
    length += std::snprintf(buffer + length, sizeof(buffer) - static_cast<size_t>(length), ".%09lld",
                            static_cast<long long>(nanos));
    while (buffer[length - 1] == '0') --length;
  }
  return ToString(Day{static_cast<int32_t>(day)}) + std::string(buffer, static_cast<size_t>(length)) + "Z";
}

std::optional<Day> ParseDay(std::string_view text) {
  Civil date;
  if (text.size() != 10 || !ReadDate(text.data(), &date)) return std::nullopt;
  return DayFromCivil(date);
}

std::string ToString(Day day) {
  const Civil date = CivilFromDay(day);
  char buffer[32];
  const int length = std::snprintf(buffer, sizeof(buffer), "%04lld-%02d-%02d", static_cast<long long>(date.year),
                                   date.month, date.day);
  return std::string(buffer, static_cast<size_t>(length));
}

Day FirstOfMonth(Day day) {
  return {day.number - (CivilFromDay(day).day - 1)};
}

Day FirstOfNextMonth(Day day) {
  const Civil date = CivilFromDay(day);
  return {day.number - (date.day - 1) + DaysInMonth(date.year, date.month)};
}

CivilDate CivilDateOf(Day day) {
  return CivilFromDay(day);
}

Day AddMonths(Day day, int64_t months) {
  Civil date = CivilFromDay(day);
  const int64_t month = date.year * 12 + (date.month - 1) + months;  // counted from the year 0
  date.year = FloorDivide(month, 12);
  date.month = static_cast<int>(month - date.year * 12) + 1;
  date.day = std::min(date.day, DaysInMonth(date.year, date.month));
  return DayFromCivil(date);
}

BillingPeriod MonthOf(Day day) {
  return {FirstOfMonth(day), FirstOfNextMonth(day)};
}

std::string AccountingPeriodOf(Day day) {
  std::string text = ToString(day);
  text.resize(text.size() - 3);  // without "-DD"
  return text;
}

std::optional<Zone> Zone::FromName(std::string_view name) {
  absl::TimeZone zone;
  if (!LooksLikeIanaName(name) || !absl::LoadTimeZone(Abs(name), &zone)) return std::nullopt;
  Zone result;
  result.zone_ = zone;
  Offsets offsets = OffsetsOf(zone);
  if (!AlwaysUtc(offsets)) result.offsets_ = std::make_shared<const Offsets>(std::move(offsets));
  return result;
}

Day Zone::DayOf(Instant instant) const {
  int64_t seconds = FloorDivide(instant.nanos, kNanosPerSecond);
  if (offsets_ != nullptr) seconds += offsets_->At(seconds);
  return {static_cast<int32_t>(FloorDivide(seconds, kSecondsPerDay))};
}

ClockTime Zone::ClockAt(Instant instant) const {
  int64_t seconds = FloorDivide(instant.nanos, kNanosPerSecond);
  const int64_t nanos = instant.nanos - seconds * kNanosPerSecond;
  ClockTime time;
  if (offsets_ != nullptr) {
    const int64_t* next = offsets_->NextAfter(seconds);
    // No earlier than 1677, no later than 2262: their distance may leave 64 bits, and is then far enough.
    if (next != nullptr && __builtin_sub_overflow(*next * kNanosPerSecond, instant.nanos, &time.even_for_nanos)) {
      time.even_for_nanos = INT64_MAX;
    }
    seconds += offsets_->At(seconds);
  }
  time.day = {static_cast<int32_t>(FloorDivide(seconds, kSecondsPerDay))};
  time.nanos_of_day = (seconds - time.day.number * kSecondsPerDay) * kNanosPerSecond + nanos;
  return time;
}

Instant Zone::StartOf(Day day) const {
  const Civil date = CivilFromDay(day);
  return {absl::ToUnixNanos(absl::FromCivil(absl::CivilSecond(date.year, date.month, date.day), zone_))};
}

}  // namespace tollbook
