// UsageTotal: what one subject used of one meter, for one set of dimension values, in one bucket of time.
//
// Totals merge in any order and any grouping to the same value, so absorb writes deltas and never reads. Per
// aggregation:
//   sum      value = sum of the values          count   value = number of events, in units
//   max      value = largest value              latest  value = value at latest_at (ties: the larger value)
// `events` counts the events in all of them; a total with events > 0 and value 0 is still a line.
#ifndef TOLLBOOK_RATING_USAGE_TOTAL_H_
#define TOLLBOOK_RATING_USAGE_TOTAL_H_

#include <compare>
#include <cstdint>
#include <span>
#include <string_view>

#include "rating/calendar.h"
#include "rating/meter.h"
#include "rating/quantity.h"

namespace tollbook {

struct UsageTotal {
  Quantity value;
  uint64_t events = 0;
  Instant latest_at;  // only for latest; 0 otherwise
  friend bool operator==(const UsageTotal&, const UsageTotal&) = default;
};

// False when the sum does not fit a Quantity; `into` is then unchanged.
[[nodiscard]] bool Merge(Aggregation aggregation, const UsageTotal& delta, UsageTotal* into);

// What a total was used with: as many values as its meter has dimensions, in the meter's order; "" where an event had
// none. A view: somebody else keeps the values.
using DimensionValues = std::span<const std::string_view>;

// The number of a bucket: days since 1970-01-01 in the book's zone, or hours or quarter hours since 1970-01-01T00:00Z.
struct Bucket {
  int32_t number = 0;
  friend constexpr bool operator==(Bucket, Bucket) = default;
  friend constexpr auto operator<=>(Bucket, Bucket) = default;
};

Bucket BucketOf(Granularity granularity, Instant instant, const Zone& book_zone);
// The civil day, in the subscription's zone, that a bucket falls in. For days the two zones are the same (the catalog
// check sees to it).
Day DayOfBucket(Granularity granularity, Bucket bucket, const Zone& zone);
// The first instant of a bucket of hours or quarter hours.
Instant StartOf(Granularity granularity, Bucket bucket);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_USAGE_TOTAL_H_
