#include "rating/catalog.h"

#include <algorithm>
#include <array>

#include "rating/dimension_text.h"
#include "rating/price.h"

namespace tollbook {
namespace {

// A name of a rule, and what the scope has there; in the order of their weight, the heaviest first.
struct ScopeName {
  std::string_view key;
  std::string PostingRule::*of_rule;
  std::string_view PostingScope::*of_scope;
};
constexpr std::array<ScopeName, 7> kScopeNames = {{
    {"charge", &PostingRule::charge, &PostingScope::charge},
    {"plan", &PostingRule::plan, &PostingScope::plan},
    {"product", &PostingRule::product, &PostingScope::product},
    {"class", &PostingRule::customer_class, &PostingScope::customer_class},
    {"region", &PostingRule::region, &PostingScope::region},
    {"currency", &PostingRule::currency, &PostingScope::currency},
    {"entity", &PostingRule::entity, &PostingScope::entity},
}};

// A bit for each name that the rule has, the heaviest first; -1 when the rule is for others.
int Specificity(const PostingRule& rule, const PostingScope& scope) {
  int specificity = 0;
  for (const ScopeName& name : kScopeNames) {
    const std::string& wanted = rule.*name.of_rule;
    specificity *= 2;
    if (wanted.empty()) continue;
    if (wanted != scope.*name.of_scope) return -1;
    ++specificity;
  }
  return specificity;
}

}  // namespace

const std::map<std::string, std::string>& Catalog::files() const {
  static const std::map<std::string, std::string> kNone;
  return read_from == nullptr ? kNone : read_from->texts;
}

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
  const auto subject_of = [this](uint32_t row) { return subscriptions[row].subject; };
  const uint32_t row = first_of_subject_.Find(subject, subject_of);
  if (row == NameIndex::kNone) return {nullptr, nullptr};
  const Subscription* first = &subscriptions[row];
  return {first, first + 1 + first->later};
}

Day Catalog::FirstDayOf(const Subscription& subscription) const {
  Day first = subscription.valid_from;
  // Those of a subject stand together, by valid_from.
  for (const Subscription* earlier = &subscription; earlier != subscriptions.data();) {
    --earlier;
    if (earlier->subject != subscription.subject) break;
    if (earlier->id == subscription.id) first = earlier->valid_from;
  }
  return first;
}

Day Catalog::FirstPaidDayOf(const Subscription& subscription) const {
  const int32_t trial_days = plans[subscription.plan].trial_days;
  if (trial_days == 0) return subscription.valid_from;
  return std::max(subscription.valid_from, Day{FirstDayOf(subscription).number + trial_days});
}

BillingCycle Catalog::AnchoredCycleOf(const BillingTerms& terms, const Subscription& subscription) const {
  BillingCycle cycle = terms.cycle;
  const std::optional<Day> anchor = subscription_terms[subscription.terms].billing_anchor;
  if (anchor.has_value()) {
    cycle.anchor = *anchor;
  } else if (terms.by_subscription) {
    cycle.anchor = FirstDayOf(subscription);
  }
  return cycle;
}

const Charge* Catalog::ChargeFor(const Plan& plan, const Meter& meter, DimensionValues dimension_values) const {
  const Charge* best = nullptr;
  for (const Charge& charge : plan.charges) {
    if (charge.meter != meter.name || !Matches(charge.filter, meter, dimension_values)) continue;
    // Of two equally specific ones the first in the plan: a total is priced once.
    if (best == nullptr || IsMoreSpecific(charge.filter, best->filter)) best = &charge;
  }
  return best != nullptr && PartOf(*best, meter, dimension_values) ? best : nullptr;
}

std::string ScopeText(const PostingRule& rule) {
  std::string text;
  for (const ScopeName& name : kScopeNames) {
    const std::string& value = rule.*name.of_rule;
    // Most rules are of these two, and what one of them leaves open is worth a word.
    const bool is_usual = name.key == "product" || name.key == "entity";
    if (value.empty() && !is_usual) continue;
    text += text.empty() ? "" : " and ";
    text += value.empty() ? "any " + std::string(name.key) : std::string(name.key) + " \"" + value + "\"";
  }
  return text;
}

const PostingRule* Catalog::PostingFor(const PostingScope& scope) const {
  const PostingRule* best = nullptr;
  int best_specificity = -1;
  for (const PostingRule& rule : posting_rules) {
    const int specificity = Specificity(rule, scope);
    if (specificity <= best_specificity) continue;
    best = &rule;
    best_specificity = specificity;
  }
  return best;
}

const PostingRule* Catalog::PostingOf(const Subscription& subscription, const Charge& charge) const {
  const Plan& plan = plans[subscription.plan];
  const CustomerKind& kind = customer_kinds[subscription_terms[subscription.terms].kind];
  return PostingFor({charge.name, plan.name, charge.product, kind.customer_class, kind.region, plan.currency.code(),
                     entities[subscription.entity].name});
}

void CountLater(std::span<Subscription> subscriptions) {
  for (size_t row = subscriptions.size(); row-- > 0;) {
    const bool is_last =
        row + 1 == subscriptions.size() || subscriptions[row + 1].subject != subscriptions[row].subject;
    subscriptions[row].later = is_last ? 0 : subscriptions[row + 1].later + 1;
  }
}

// None where there are no discounts.
void Catalog::BuildDiscountLines(Plan* plan) const {
  plan->discount_lines.clear();
  if (discounts.empty()) return;
  for (const std::string& product : discount_products) {
    for (const Charge& charge : plan->charges) {
      Charge& line = plan->discount_lines.emplace_back();
      line.name = DiscountLineName(charge.name, product);
      line.product = product.empty() ? charge.product : product;
      line.is_discount = true;
      line.line = charge.line;
    }
  }
}

std::string DiscountLineName(std::string_view charge, std::string_view product) {
  std::string name = "discount " + std::string(charge);
  return product.empty() ? name : name + " (" + std::string(product) + ")";
}

void Catalog::BuildIndex() {
  for (PostingRule& rule : posting_rules) rule.dimensions_text = DimensionText(rule.dimensions);
  for (Plan& plan : plans) BuildDiscountLines(&plan);
  meters_of_type_.clear();
  for (uint32_t i = 0; i < meters.size(); ++i) meters_of_type_[meters[i].event_type].push_back(i);

  CountLater(subscriptions);
  std::vector<uint32_t> firsts;
  firsts.reserve(subscriptions.size());
  for (uint32_t row = 0; row < subscriptions.size(); row += 1 + subscriptions[row].later) firsts.push_back(row);
  first_of_subject_.Reset(firsts.size());
  first_of_subject_.AddDistinct(firsts, [this](uint32_t row) { return subscriptions[row].subject; });

  rows_of_granted_account_.clear();
  for (const Grant& grant : grants) {
    if (!grant.account.empty()) rows_of_granted_account_[grant.account];
  }
  for (uint32_t row = 0; row < subscriptions.size() && has_account_grants(); ++row) {
    const auto granted = rows_of_granted_account_.find(subscriptions[row].account);
    if (granted != rows_of_granted_account_.end()) granted->second.push_back(row);
  }
}

std::span<const UnitGrant> Catalog::UnitGrantsOf(std::string_view subscription) const {
  const auto same = std::ranges::equal_range(
      unit_grants, subscription, {}, [](const UnitGrant& grant) { return std::string_view(grant.subscription); });
  return {same.begin(), same.end()};
}

std::span<const UnitGrant> Catalog::UnitGrantsOf(std::string_view subscription, std::string_view charge) const {
  const auto same = std::ranges::equal_range(UnitGrantsOf(subscription), charge, {},
                                             [](const UnitGrant& grant) { return std::string_view(grant.charge); });
  return {same.begin(), same.end()};
}

std::span<const Discount> Catalog::DiscountsOf(Discount::Of of, std::string_view name) const {
  const auto same = std::ranges::equal_range(discounts, std::pair(of, name), {}, [](const Discount& discount) {
    return std::pair(discount.of, std::string_view(discount.name));
  });
  return {same.begin(), same.end()};
}

std::span<const Grant> Catalog::GrantsOf(std::string_view subscription) const {
  const auto same =
      std::ranges::equal_range(grants, std::pair(std::string_view(), subscription), {}, [](const Grant& grant) {
        return std::pair(std::string_view(grant.account), std::string_view(grant.subscription));
      });
  return {same.begin(), same.end()};
}

std::span<const Grant> Catalog::AccountGrantsOf(std::string_view account) const {
  if (account.empty()) return {};
  const auto same =
      std::ranges::equal_range(grants, account, {}, [](const Grant& grant) { return std::string_view(grant.account); });
  return {same.begin(), same.end()};
}

std::span<const uint32_t> Catalog::RowsOfGrantedAccount(std::string_view account) const {
  const auto rows = rows_of_granted_account_.find(account);
  return rows == rows_of_granted_account_.end() ? std::span<const uint32_t>() : rows->second;
}

}  // namespace tollbook
