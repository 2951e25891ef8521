#include "rating/zone_fit.h"

#include <cstdint>

#include "absl/time/time.h"
#include "rating/error.h"

namespace tollbook {
namespace {

constexpr int kLastYear = 2100;  // zone rules are not known further
constexpr int kQuarterSeconds = 900;
constexpr int kHourSeconds = 3600;

// The day after the one that `time` is in: the first that has a new offset from its start.
Day DayAfter(absl::Time time, const absl::TimeZone& zone) {
  return {static_cast<int32_t>(absl::ToCivilDay(time, zone) - absl::CivilDay(1970, 1, 1)) + 1};
}

}  // namespace

ZoneFit FitOf(const Zone& zone) {
  ZoneFit fit;
  absl::TimeZone rules;
  TOLLBOOK_ASSERT(absl::LoadTimeZone(zone.name(), &rules));
  absl::Time time = absl::UnixEpoch();
  for (;;) {
    // The offset holds from `time` to the next transition; days start whole once the last odd one has passed.
    const int offset = rules.At(time).offset;
    absl::TimeZone::CivilTransition next;
    const bool ends = rules.NextTransition(time, &next) && next.to.year() <= kLastYear;
    // Of a repeated hour FromCivil would give the first pass, which lies before the transition.
    const absl::Time transition = ends ? rules.At(next.to).trans : absl::InfiniteFuture();
    const Day after = ends ? DayAfter(transition, rules) : Day{INT32_MAX};
    if (offset % kHourSeconds != 0) {
      fit.whole_hours_from = after;
    }
    if (offset % kQuarterSeconds != 0) {
      fit.whole_quarters_from = after;
    }
    if (!ends) {
      return fit;
    }
    time = transition;
  }
}

bool Fits(const ZoneFit& fit, Granularity granularity, bool is_book_zone, Day from) {
  switch (granularity) {
    case Granularity::kDay:
      return is_book_zone;
    case Granularity::kHour:
      return fit.whole_hours_from <= from;
    case Granularity::kQuarterHour:
      return fit.whole_quarters_from <= from;
  }
  return false;
}

}  // namespace tollbook
