// SeriesOrder: series by meter and dimension values, which is how stored totals name them: numbers of a SeriesTable
// differ from run to run.
#ifndef TOLLBOOK_PIPELINE_SERIES_ORDER_H_
#define TOLLBOOK_PIPELINE_SERIES_ORDER_H_

#include <cstdint>
#include <vector>

#include "rating/usage_total.h"

namespace tollbook {

struct OrderedSeries {
  uint32_t meter = 0;
  DimensionValues values;
  uint32_t id = 0;  // the caller's
};

// By meter, then value by value, bytewise. `id` has no part in it.
void SortSeries(std::vector<OrderedSeries>* series);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_SERIES_ORDER_H_
