// CatalogTiers: the prices of a charge or cell, from `price`, `per`, `percent`, `tiers` and `steps`.
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

// A percentage as the price of one unit: / 100, so at most 16 decimals. None: absent or wrong.
std::optional<Price> ReadPercent(YamlMap& map, std::string_view key, FileErrors& errors);

// Tiers of a graduated, volume or graduated_percentage model. Ascending, the last one open, or errors.
std::vector<Tier> ReadTiers(YamlMap& charge, ChargeModel model, FileErrors& errors);

// Into steps, limits_by and limited of a stairstep. Ascending, the last one open, or errors.
void ReadSteps(YamlMap& charge, const Meter* meter, Pricing& pricing, FileErrors& errors);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_TIERS_H_
