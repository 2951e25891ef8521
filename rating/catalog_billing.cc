#include "rating/catalog_billing.h"

#include <array>
#include <string>

namespace tollbook {

std::optional<BillingTerms> ReadBillingTerms(YamlMap& map, const BillingTerms& otherwise, FileErrors& errors) {
  constexpr std::array<std::pair<std::string_view, bool>, 2> kAnchors = {{{"calendar", false}, {"subscription", true}}};
  const bool has_anchor = map.Find("billing_anchor") != nullptr;
  const std::optional<std::string> period = map.Text("billing_period");
  BillingTerms terms = otherwise;
  terms.by_subscription = map.Choice<bool>("billing_anchor", kAnchors, otherwise.by_subscription);
  if (!period.has_value()) return has_anchor ? std::optional(terms) : std::nullopt;
  if (const std::optional<BillingCycle> cycle = ParseBillingCycle(*period); cycle.has_value()) {
    terms.cycle = *cycle;
  } else {
    errors.Add(map.LineOf("billing_period"),
               Join({"\"billing_period\" of ", map.what(), " is ", Quoted(*period), ", not a billing period"}),
               "write 1 to " + std::to_string(kCycleUnitsMax) +
                   " days, weeks, months, quarters or years: 1 month, 2 weeks, 1 year");
  }
  return terms;
}

}  // namespace tollbook
