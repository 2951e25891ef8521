// UsageTotal: what one subject used of one meter, for one set of dimension values, in one bucket of time.
//
// Totals merge in any order and any grouping to the same, so absorb writes deltas and never reads. A bucket has
//   one number          sum, mean    value = sum of the values         count   value = number of events, in units
//                       max, min     value = largest, smallest one     latest  value = value at latest_at (ties: the
//                                                                              larger)
//   a list of elements  percentile, unique_count, weighted_sum, and any meter that keeps its events. An element is a
//                       value, its time where the meter needs times (FormOf), and how many events had both. Two lists
//                       merge as multisets: equal elements add their events, others stand side by side.
// `events` counts the events in all of them; a total with events > 0 and value 0 is still a line.
//
// Taken back  A correction adds what it takes from a total: the value with its sign turned and -1 events; of an element
//          the same value and -1 events, so that equal ones cancel. In what one commit adds, `events` is therefore
//          signed, modulo 2^64 (EventsOf). All commits together leave none below zero, and a total of no events is no
//          usage. Sums and lists can be taken from (CanTakeBack in meter.h), a largest, smallest or latest value
//          cannot.
//
// Cost     A number: one for each bucket, however many events. An element: one for each event, but for equal ones; 88
//          bytes in memory while its subject is rated, stored 4 to 12 bytes (20 of a unique count, whose value is a
//          hash).
// Hash     The value of a unique count's element is IdentifierValue: 126 bits of a hash under the book's seed. Among n
//          identifiers two share it with odds of n * n / 2^127: below 10^-18 for 10^10.
#ifndef TOLLBOOK_RATING_USAGE_TOTAL_H_
#define TOLLBOOK_RATING_USAGE_TOTAL_H_

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "rating/calendar.h"
#include "rating/meter.h"
#include "rating/quantity.h"

namespace tollbook {

struct UsageTotal {
  Quantity value;       // an element's: of each of its events
  uint64_t events = 0;  // signed in what one commit adds: EventsOf
  Instant latest_at;    // for latest, and the time of an element; 0 where the meter needs none
  friend bool operator==(const UsageTotal&, const UsageTotal&) = default;
};

// How many events one commit adds; below zero: it takes so many back.
inline int64_t EventsOf(const UsageTotal& added) {
  return static_cast<int64_t>(added.events);
}
// Both may be below zero. False, and `into` is unchanged, when there are more than can be counted.
[[nodiscard]] inline bool AddEvents(uint64_t added, uint64_t* into) {
  int64_t sum = 0;
  if (__builtin_add_overflow(static_cast<int64_t>(*into), static_cast<int64_t>(added), &sum)) return false;
  *into = static_cast<uint64_t>(sum);
  return true;
}

// Of two numbers. False when the sum does not fit a Quantity; `into` is then unchanged. Not for a percentile, a unique
// count or a weighted sum.
[[nodiscard]] bool Merge(Aggregation aggregation, const UsageTotal& delta, UsageTotal* into);

// How the elements of a bucket stand, and which of them are one: by time, then value.
inline std::strong_ordering CompareElements(const UsageTotal& a, const UsageTotal& b) {
  const auto order = a.latest_at <=> b.latest_at;
  return order != 0 ? order : a.value <=> b.value;
}
// An element as a charge that prices each event takes it.
struct PricedElement {
  PricedElement(const UsageTotal& of_total, Quantity of_prorated = {}) : total(of_total), prorated(of_prorated) {}
  UsageTotal total;
  Quantity prorated;  // where the meter has a prorated value: of each of its events
};
inline std::strong_ordering CompareElements(const PricedElement& a, const PricedElement& b) {
  const auto order = CompareElements(a.total, b.total);
  return order != 0 ? order : a.prorated <=> b.prorated;
}
// Of two that are one. False, and `into` is unchanged, when there are more events than can be counted.
[[nodiscard]] inline bool MergeElement(const UsageTotal& delta, UsageTotal* into) {
  return AddEvents(delta.events, &into->events);
}

// A unique count's value: the identifier's hash, and what was done with it. Of one identifier an add comes before a
// remove.
enum class SetOperation : uint8_t { kAdd = 0, kRemove = 1 };
inline Quantity IdentifierValue(Uint128 hash, SetOperation operation) {
  return {static_cast<Int128>(hash >> 2 << 1 | static_cast<Uint128>(operation))};
}
inline Int128 IdentifierOf(Quantity value) {
  return value.attos >> 1;
}
inline SetOperation OperationOf(Quantity value) {
  return (value.attos & 1) == 0 ? SetOperation::kAdd : SetOperation::kRemove;
}

// What a total was used with: as many values as its meter has dimensions, in the meter's order; "" where an event had
// none. A view: somebody else keeps the values.
using DimensionValues = std::span<const std::string_view>;

// The prorated value among them. None: the meter has no such, or it is no decimal.
[[nodiscard]] std::optional<Quantity> ProratedOf(const Meter& meter, DimensionValues values);

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
