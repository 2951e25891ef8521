#include "rating/catalog.h"

#include <algorithm>

namespace tollbook {
namespace {

bool Matches(const Charge& charge, const Meter& meter, DimensionValues dimension_values) {
  if (charge.meter != meter.name) return false;
  for (const auto& [dimension, wanted] : charge.filter) {
    const auto at = std::find(meter.dimensions.begin(), meter.dimensions.end(), dimension);
    const size_t i = static_cast<size_t>(at - meter.dimensions.begin());
    if (i >= dimension_values.size() || dimension_values[i] != wanted) return false;
  }
  return true;
}

// 3 product and entity, 2 product, 1 entity, 0 neither; -1 when the rule is for others.
int Specificity(const PostingRule& rule, std::string_view product, std::string_view entity) {
  if (!rule.product.empty() && rule.product != product) return -1;
  if (!rule.entity.empty() && rule.entity != entity) return -1;
  return (rule.product.empty() ? 0 : 2) + (rule.entity.empty() ? 0 : 1);
}

}  // namespace

const std::vector<uint32_t>& Catalog::MetersOfType(std::string_view event_type) const {
  static const std::vector<uint32_t> kNone;
  const auto found = meters_of_type_.find(event_type);
  return found == meters_of_type_.end() ? kNone : found->second;
}

const Meter* Catalog::FindMeter(std::string_view name) const {
  const auto found = std::lower_bound(meters.begin(), meters.end(), name,
                                      [](const Meter& meter, std::string_view wanted) { return meter.name < wanted; });
  return found != meters.end() && found->name == name ? &*found : nullptr;
}

Catalog::SubscriptionRange Catalog::SubscriptionsOf(std::string_view subject) const {
  const auto found = subscriptions_of_.find(subject);
  if (found == subscriptions_of_.end()) return {nullptr, nullptr};
  const auto [first, last] = found->second;
  return {subscriptions.data() + first, subscriptions.data() + last};
}

const Charge* Catalog::ChargeFor(const Plan& plan, const Meter& meter, DimensionValues dimension_values) const {
  const Charge* best = nullptr;
  for (const Charge& charge : plan.charges) {
    if (!Matches(charge, meter, dimension_values)) continue;
    // Of two equally specific ones the first in the plan: a total is priced once.
    if (best == nullptr || charge.filter.size() > best->filter.size()) best = &charge;
  }
  return best;
}

const PostingRule* Catalog::PostingFor(std::string_view product, std::string_view entity) const {
  const PostingRule* best = nullptr;
  int best_specificity = -1;
  for (const PostingRule& rule : posting_rules) {
    const int specificity = Specificity(rule, product, entity);
    if (specificity <= best_specificity) continue;
    best = &rule;
    best_specificity = specificity;
  }
  return best;
}

void Catalog::BuildIndex() {
  for (PostingRule& rule : posting_rules) {
    rule.dimensions_text.clear();
    for (const auto& [name, value] : rule.dimensions) {
      if (!rule.dimensions_text.empty()) rule.dimensions_text += ',';
      rule.dimensions_text += name + "=" + value;
    }
  }
  meters_of_type_.clear();
  for (uint32_t i = 0; i < meters.size(); ++i) meters_of_type_[meters[i].event_type].push_back(i);

  subscriptions_of_.clear();
  for (uint32_t i = 0; i < subscriptions.size(); ++i) {
    const auto [range, is_new] = subscriptions_of_.try_emplace(subscriptions[i].subject, i, i + 1);
    if (!is_new) range->second.second = i + 1;
  }
}

}  // namespace tollbook
