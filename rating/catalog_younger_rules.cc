#include "rating/catalog_younger_rules.h"

#include <algorithm>
#include <string>

namespace tollbook {
namespace {

const Charge* BoundOf(const Plan& plan, bool is_maximum) {
  const auto bound = std::ranges::find_if(plan.charges, [&](const Charge& charge) {
    return charge.bound.has_value() && charge.bound->is_maximum == is_maximum;
  });
  return bound == plan.charges.end() ? nullptr : &*bound;
}

}  // namespace

std::vector<CatalogError> CheckYoungerRules(const Catalog& catalog) {
  std::vector<CatalogError> errors;
  for (const Plan& plan : catalog.plans) {
    // A minimum counts what the maximum takes off in the same slices; in others it would miss what was used.
    const Charge* const minimum = BoundOf(plan, /*is_maximum=*/false);
    const Charge* const maximum = BoundOf(plan, /*is_maximum=*/true);
    if (minimum == nullptr || maximum == nullptr || minimum->on_amendment == maximum->on_amendment) continue;
    errors.push_back({"plans.yaml", std::max(minimum->line, maximum->line),
                      "the minimum and the maximum of plan \"" + plan.name + "\" do not say the same \"on_amendment\"",
                      "say the same at both, or leave it out of both: else the one bounds other days than the other"});
  }
  return errors;
}

}  // namespace tollbook
