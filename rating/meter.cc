#include "rating/meter.h"

#include "rating/error.h"

namespace tollbook {

bool CountsTheSame(const Meter& a, const Meter& b) {
  Meter same = a;
  same.unit = b.unit;
  same.allow_negative = b.allow_negative;
  same.reading = b.reading;
  return same == b;
}

TotalForm FormOf(const Meter& meter) {
  if (meter.keep_events) return TotalForm::kTimedElements;
  switch (meter.aggregation) {
    case Aggregation::kSum:
    case Aggregation::kCount:
    case Aggregation::kMax:
    case Aggregation::kMin:
    case Aggregation::kMean:
      return TotalForm::kNumber;
    case Aggregation::kLatest:
      return TotalForm::kNumberAtTime;
    case Aggregation::kPercentile:
      return TotalForm::kElements;
    case Aggregation::kUniqueCount:
      return meter.operation_property.empty() ? TotalForm::kElements : TotalForm::kTimedElements;
    case Aggregation::kWeightedSum:
      return TotalForm::kTimedElements;
  }
  TOLLBOOK_ASSERT(!"an aggregation of the list");
  return {};
}

std::string_view ToString(Aggregation aggregation) {
  switch (aggregation) {
    case Aggregation::kSum:
      return "sum";
    case Aggregation::kCount:
      return "count";
    case Aggregation::kMax:
      return "max";
    case Aggregation::kLatest:
      return "latest";
    case Aggregation::kMin:
      return "min";
    case Aggregation::kMean:
      return "mean";
    case Aggregation::kUniqueCount:
      return "unique_count";
    case Aggregation::kWeightedSum:
      return "weighted_sum";
    case Aggregation::kPercentile:
      return "percentile";
  }
  TOLLBOOK_ASSERT(!"an aggregation of the list");
  return "";
}

std::string_view ToString(Granularity granularity) {
  switch (granularity) {
    case Granularity::kDay:
      return "day";
    case Granularity::kHour:
      return "hour";
    case Granularity::kQuarterHour:
      return "quarter_hour";
  }
  TOLLBOOK_ASSERT(!"a granularity of the list");
  return "";
}

}  // namespace tollbook
