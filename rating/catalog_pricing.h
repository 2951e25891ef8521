// CatalogPricing: what a charge costs: the model of a charge or a cell with its keys, and what stands around it.
#ifndef TOLLBOOK_RATING_CATALOG_PRICING_H_
#define TOLLBOOK_RATING_CATALOG_PRICING_H_

#include "rating/catalog_draft.h"

namespace tollbook {

// Into pricing and cells of `charge`, whose meter may be unknown (null). Keys of other models are errors.
void ReadPricing(YamlMap& map, const Meter* meter, Charge& charge, FileErrors& errors);

// Does a key say how a model prices, and not what stands around it?
[[nodiscard]] bool IsKeyOfModel(std::string_view key);

// included, convert, per_bucket, discount_percent, maximum and minimum, once the pricing is read.
void ReadAround(YamlMap& map, const Meter* meter, Charge& charge, FileErrors& errors);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_PRICING_H_
