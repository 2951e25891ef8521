#include "rating/usage_total.h"

#include "rating/decimal.h"
#include "rating/error.h"

namespace tollbook {
namespace {

constexpr int64_t kHourNanos = 3'600'000'000'000;
constexpr int64_t kQuarterHourNanos = kHourNanos / 4;

int64_t FloorDivide(int64_t value, int64_t divisor) {
  return value / divisor - (value % divisor < 0 ? 1 : 0);
}

bool Replaces(Aggregation aggregation, const UsageTotal& delta, const UsageTotal& into) {
  if (into.events == 0) return true;
  if (aggregation == Aggregation::kLatest && delta.latest_at != into.latest_at) {
    return delta.latest_at > into.latest_at;
  }
  return aggregation == Aggregation::kMin ? delta.value < into.value : delta.value > into.value;
}

}  // namespace

bool Merge(Aggregation aggregation, const UsageTotal& delta, UsageTotal* into) {
  UsageTotal merged = *into;
  switch (aggregation) {
    case Aggregation::kSum:
    case Aggregation::kCount:
    case Aggregation::kMean:
      if (!Add(into->value, delta.value, &merged.value)) return false;
      break;
    case Aggregation::kMax:
    case Aggregation::kMin:
    case Aggregation::kLatest:
      // No events: no value either, not a value of zero.
      if (delta.events != 0 && Replaces(aggregation, delta, *into)) merged = delta;
      break;
    case Aggregation::kUniqueCount:
    case Aggregation::kWeightedSum:
    case Aggregation::kPercentile:
      TOLLBOOK_ASSERT(!"an aggregation of numbers");
  }
  merged.events = into->events;
  if (!AddEvents(delta.events, &merged.events)) return false;
  *into = merged;
  return true;
}

std::optional<Quantity> ProratedOf(const Meter& meter, DimensionValues values) {
  if (meter.prorated_property.empty() || values.empty()) return std::nullopt;
  const ParsedDecimal prorated = ParseDecimal(values.back(), kQuantityScale);
  if (prorated.error != DecimalError::kNone) return std::nullopt;
  return Quantity{prorated.value};
}

Bucket BucketOf(Granularity granularity, Instant instant, const Zone& book_zone) {
  switch (granularity) {
    case Granularity::kDay:
      return {book_zone.DayOf(instant).number};
    case Granularity::kHour:
      return {static_cast<int32_t>(FloorDivide(instant.nanos, kHourNanos))};
    case Granularity::kQuarterHour:
      return {static_cast<int32_t>(FloorDivide(instant.nanos, kQuarterHourNanos))};
  }
  TOLLBOOK_ASSERT(!"a granularity of the list");
  return {};
}

Day DayOfBucket(Granularity granularity, Bucket bucket, const Zone& zone) {
  switch (granularity) {
    case Granularity::kDay:
      return {bucket.number};
    case Granularity::kHour:
    case Granularity::kQuarterHour:
      return zone.DayOf(StartOf(granularity, bucket));
  }
  TOLLBOOK_ASSERT(!"a granularity of the list");
  return {};
}

Instant StartOf(Granularity granularity, Bucket bucket) {
  TOLLBOOK_ASSERT(granularity != Granularity::kDay);  // a day starts where a zone says so
  return {bucket.number * (granularity == Granularity::kHour ? kHourNanos : kQuarterHourNanos)};
}

}  // namespace tollbook
