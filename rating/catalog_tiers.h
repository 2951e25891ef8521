// CatalogTiers: the prices of a charge, from `price`, `per` and `tiers`.
#ifndef TOLLBOOK_RATING_CATALOG_TIERS_H_
#define TOLLBOOK_RATING_CATALOG_TIERS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "rating/catalog_draft.h"

namespace tollbook {

// How many units the prices of a charge are for; 1 when absent or wrong (an error).
int64_t ReadPer(YamlMap& map, FileErrors& errors);

// `price` / `per`, exact at 18 decimals or an error.
std::optional<Price> ReadUnitPrice(YamlMap& map, int64_t per, FileErrors& errors);

// Ascending, the last one open, or errors.
std::vector<Tier> ReadTiers(YamlMap& charge, int64_t per, FileErrors& errors);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_TIERS_H_
