// Meter: what is counted, and how events become one total.
//
// A meter is all that absorb knows. Its definition is fixed once the book has totals of it: to count
// otherwise is another meter.
#ifndef TOLLBOOK_RATING_METER_H_
#define TOLLBOOK_RATING_METER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tollbook {

enum class Aggregation : uint8_t {
  kSum,     // of the values
  kCount,   // of the events; needs no value
  kMax,     // of the values
  kLatest,  // the value with the latest event time; of two at the same instant the larger, so that order never matters
};

// The span of time one total covers. Days are civil in the book's zone. A subscription in another zone, or usage priced
// by hour, needs finer totals: hours (or quarter hours, for zones such as +05:45) of UTC, which fit any such zone's
// days.
enum class Granularity : uint8_t { kDay, kHour, kQuarterHour };

struct Meter {
  std::string name;        // "api.calls"
  std::string event_type;  // the CloudEvents `type` that feeds it; several meters may share one
  Aggregation aggregation = Aggregation::kSum;
  std::string value_property;           // path in `data`, e.g. "tokens" or "usage.tokens"; empty for count
  std::vector<std::string> dimensions;  // paths in `data`, in catalog order; an event without one has the value ""
  std::string unit;                     // for people: "token"
  Granularity granularity = Granularity::kDay;
  bool allow_negative = false;
  friend bool operator==(const Meter&, const Meter&) = default;
};

std::string_view ToString(Aggregation aggregation);  // "sum", "count", "max", "latest"
std::string_view ToString(Granularity granularity);  // "day", "hour", "quarter_hour"

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_METER_H_
