// CatalogYoungerRules: what a catalog is refused for though a book may have been sealed by such a one, since the rule
// is younger than that. So it is checked where a catalog comes from its owner (catalog_dir.h), and one that a book
// keeps (SealedCatalog) is read, and rated as far as it goes.
#ifndef TOLLBOOK_RATING_CATALOG_YOUNGER_RULES_H_
#define TOLLBOOK_RATING_CATALOG_YOUNGER_RULES_H_

#include <vector>

#include "rating/catalog.h"
#include "rating/catalog_text.h"

namespace tollbook {

// Of a catalog that ParseCatalog takes. By file and line.
[[nodiscard]] std::vector<CatalogError> CheckYoungerRules(const Catalog& catalog);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_YOUNGER_RULES_H_
