#include "rating/zone_fit.h"

namespace tollbook {
namespace {

constexpr Day kFirstDay{0};      // 1970-01-01: no usage is older
constexpr Day kLastDay{47'847};  // 2101-01-01: zone rules are not known further
constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kQuarter = 900 * kNanosPerSecond;
constexpr int64_t kHour = 4 * kQuarter;

}  // namespace

ZoneFit FitOf(const Zone& zone) {
  ZoneFit fit{kFirstDay, kFirstDay};
  // Backwards: most zones that do not fit do so today, and older oddities need not matter.
  for (int32_t number = kLastDay.number; number >= kFirstDay.number; --number) {
    const int64_t start = zone.StartOf({number}).nanos;
    if (start % kHour != 0 && fit.whole_hours_from == kFirstDay) {
      fit.whole_hours_from = {number + 1};
    }
    if (start % kQuarter != 0) {
      fit.whole_quarters_from = {number + 1};
      break;
    }
  }
  return fit;
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
