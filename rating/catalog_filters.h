// CatalogFilters: which usage a charge or a cell takes, from `filter` and `when`.
#ifndef TOLLBOOK_RATING_CATALOG_FILTERS_H_
#define TOLLBOOK_RATING_CATALOG_FILTERS_H_

#include <optional>
#include <string_view>

#include "rating/catalog_draft.h"

namespace tollbook {

// A map from dimensions of the meter to a value, a list of values or "*"; empty when absent. None: something is wrong,
// which is an error, and nothing can be said about what else takes the same usage. `meter` may be null: not known.
std::optional<Filter> ReadFilter(YamlMap& map, std::string_view key, const Meter* meter, FileErrors& errors);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_FILTERS_H_
