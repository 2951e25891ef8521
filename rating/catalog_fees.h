// CatalogFees: what plans.yaml says of money that is due without usage: fees, trials, and a plan's bounds.
#ifndef TOLLBOOK_RATING_CATALOG_FEES_H_
#define TOLLBOOK_RATING_CATALOG_FEES_H_

#include <string>

#include "rating/catalog_errors.h"
#include "rating/plan.h"
#include "rating/yaml_text.h"

namespace tollbook {

// Is it a charge of `model: fee`?
bool IsFee(const YamlMap& map, const YamlNode& node);

// The keys of a fee but name, product and billing, which the charge has read.
void ReadFee(YamlMap& map, const BillingTerms& billing, Charge& charge, FileErrors& errors);

// trial_days and trial_usage.
void ReadTrial(YamlMap& map, Plan& plan, FileErrors& errors);

// The plan's `minimum` or `maximum`, a charge of that name. None: it has none, or a wrong one.
std::optional<Charge> ReadPlanBound(YamlMap& map, std::string_view key, FileErrors& errors);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_FEES_H_
