#include "rating/meter.h"

#include "rating/error.h"

namespace tollbook {

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
