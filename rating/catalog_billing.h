// CatalogBilling: the keys of a plan, or of a charge, that say what its billing periods are.
#ifndef TOLLBOOK_RATING_CATALOG_BILLING_H_
#define TOLLBOOK_RATING_CATALOG_BILLING_H_

#include <optional>

#include "rating/billing_cycle.h"
#include "rating/catalog_errors.h"
#include "rating/yaml_text.h"

namespace tollbook {

// billing_period and billing_anchor; what is not said is as in `otherwise`. None: neither is said.
std::optional<BillingTerms> ReadBillingTerms(YamlMap& map, const BillingTerms& otherwise, FileErrors& errors);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_BILLING_H_
