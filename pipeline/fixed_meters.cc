#include "pipeline/fixed_meters.h"

namespace tollbook {

absl::StatusOr<std::vector<Meter>> FixedMeters(const Book& book, const Catalog& catalog) {
  absl::StatusOr<std::vector<Meter>> fixed = book.Meters();
  if (!fixed.ok()) return fixed.status();
  for (const Meter& meter : *fixed) {
    const Meter* now = catalog.FindMeter(meter.name);
    if (now == nullptr) {
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "a meter that the book has usage of is gone from the catalog", meter.name,
                       "put it back in meters.yaml");
    }
    if (!CountsTheSame(meter, *now)) {
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "a meter that the book has usage of is defined otherwise now", meter.name,
                       "put its type, aggregation, value, operation, dimensions, granularity and keep back in "
                       "meters.yaml, and give the new definition a new name");
    }
  }
  return fixed;
}

}  // namespace tollbook
