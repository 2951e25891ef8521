// Meter: what is counted, and how events become one total.
//
// A meter is all that absorb knows. What decides the stored totals is fixed once the book has some: to count otherwise
// is another meter. How the totals are read (Reading) may change like a price, and is a new rating of the same totals.
#ifndef TOLLBOOK_RATING_METER_H_
#define TOLLBOOK_RATING_METER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rating/money.h"
#include "rating/quantity.h"

namespace tollbook {

// The numbers are stored: append only. usage_total.h says how each merges, aggregate.h what becomes of it.
enum class Aggregation : uint8_t {
  kSum,          // of the values
  kCount,        // of the events; needs no value
  kMax,          // of the values
  kLatest,       // the value with the latest event time; of two at the same instant the larger: order never matters
  kMin,          // of the values
  kMean,         // of the values: their sum by the number of events
  kUniqueCount,  // of different values; or, with an operation, of those that were added and not removed
  kWeightedSum,  // of a level, by the time that it lasted: its mean over the billing period
  kPercentile,   // of the values
};

// The span of time one total covers. Days are civil in the book's zone. A subscription in another zone, or usage priced
// by hour, needs finer totals: hours (or quarter hours, for zones such as +05:45) of UTC, which fit any such zone's
// days.
enum class Granularity : uint8_t { kDay, kHour, kQuarterHour };

enum class PercentileMethod : uint8_t {
  kNearestRank,   // the value that has the rank percentile / 100 * events, rounded up
  kInterpolated,  // between the two values around the rank percentile / 100 * (events - 1), from 0
};

enum class ValueIs : uint8_t { kDelta, kLevel };  // of a weighted sum: changes of the level, or the new level
enum class Proration : uint8_t { kNone, kDay };   // of a level, or a unique count with an operation: by calendar days

// Of the aggregated quantity. Negative places are left of the point.
struct UnitRounding {
  Rounding rounding = Rounding::kHalfUp;
  int places = 0;
  friend bool operator==(const UnitRounding&, const UnitRounding&) = default;
};
inline constexpr int kUnitPlacesMin = -18;
inline constexpr int kUnitPlacesMax = 17;  // 18 are all that a quantity has

// How its quantity is read off what is counted; may change like a price.
struct MeterReading {
  Quantity percentile;  // above 0, up to 100
  PercentileMethod method = PercentileMethod::kNearestRank;
  ValueIs value_is = ValueIs::kDelta;
  Proration proration = Proration::kNone;
  bool floor_at_zero = false;  // of latest: what is below zero counts as zero
  std::optional<UnitRounding> rounding;
  friend bool operator==(const MeterReading&, const MeterReading&) = default;
};

struct Meter {
  std::string name;        // "api.calls"
  std::string event_type;  // the CloudEvents `type` that feeds it; several meters may share one
  Aggregation aggregation = Aggregation::kSum;
  // Path in `data`, e.g. "tokens" or "usage.tokens"; empty for count, and where value_expression says the value.
  std::string value_property;
  std::vector<std::string> dimensions;  // paths in `data`, in catalog order; an event without one has the value ""
  std::string unit;                     // for people: "token"
  Granularity granularity = Granularity::kDay;
  bool allow_negative = false;
  std::string value_expression = {};  // as written: "bytes / 1000 * weight" (expression.h); empty: a property, or none
  std::string operation_property = {};  // of a unique count: path in `data`, add or remove; empty: all are added
  bool keep_events = false;  // each event's value and time, whatever the aggregation: for charges that look at each
  // Path in `data` of a second number, for charges by prorated units: the last of the dimensions. Empty: there is none.
  std::string prorated_property = {};
  MeterReading reading = {};

  friend bool operator==(const Meter&, const Meter&) = default;
};

// Are these the same totals? Neither what is for people, nor how they are read, nor what is accepted from now on
// decides about those that are there.
[[nodiscard]] bool CountsTheSame(const Meter& a, const Meter& b);

// Is an event's value below zero usage? Changes of a level go both ways by nature.
[[nodiscard]] inline bool AcceptsNegative(const Meter& meter) {
  return meter.allow_negative ||
         (meter.aggregation == Aggregation::kWeightedSum && meter.reading.value_is == ValueIs::kDelta);
}

// How a meter's totals are kept. The numbers are stored: append only.
enum class TotalForm : uint8_t {
  kNumber,         // one total for each bucket
  kNumberAtTime,   // and its latest_at: latest
  kElements,       // each value of a bucket, and how often it came
  kTimedElements,  // each value and time of a bucket, and how often they came
};
[[nodiscard]] TotalForm FormOf(const Meter& meter);
inline bool IsOfElements(TotalForm form) {
  return form >= TotalForm::kElements;
}
inline bool HasTime(TotalForm form) {
  return form == TotalForm::kNumberAtTime || form == TotalForm::kTimedElements;
}

// Can one event be taken out of the meter's totals again, knowing that event alone?
[[nodiscard]] inline bool CanTakeBack(const Meter& meter) {
  return IsOfElements(FormOf(meter)) || meter.aggregation == Aggregation::kSum ||
         meter.aggregation == Aggregation::kCount || meter.aggregation == Aggregation::kMean;
}

// A meter whose quantity goes on without events, over days and billing periods: a level, a set with removals.
[[nodiscard]] inline bool CarriesOver(const Meter& meter) {
  return meter.aggregation == Aggregation::kWeightedSum ||
         (meter.aggregation == Aggregation::kUniqueCount && !meter.operation_property.empty());
}

std::string_view ToString(Aggregation aggregation);  // "sum", "unique_count", …
std::string_view ToString(Granularity granularity);  // "day", "hour", "quarter_hour"

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_METER_H_
