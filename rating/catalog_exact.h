// CatalogExact: whether a factor of the worth, a discount or an overage, leaves every worth exact.
#ifndef TOLLBOOK_RATING_CATALOG_EXACT_H_
#define TOLLBOOK_RATING_CATALOG_EXACT_H_

#include <string_view>

#include "rating/catalog_draft.h"

namespace tollbook {

// A worth has 36 decimals and a quantity 18, so each price of the charge, once its pricing and commitments are read,
// must be exact at 18 decimals when it is multiplied with `factor`: the value of `key`. An error names the first that
// is not.
void CheckExactFactor(YamlMap& map, std::string_view key, Price factor, const Charge& charge, FileErrors& errors);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_EXACT_H_
