#include "rating/catalog_younger_rules.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "rating/booked_as.h"
#include "rating/catalog_errors.h"
#include "rating/lines_beside.h"

namespace tollbook {
namespace {

const Charge* BoundOf(const Plan& plan, bool is_maximum) {
  const auto bound = std::ranges::find_if(plan.charges, [&](const Charge& charge) {
    return charge.bound.has_value() && charge.bound->is_maximum == is_maximum;
  });
  return bound == plan.charges.end() ? nullptr : &*bound;
}

// "what is delivered of "; of kRated nothing.
std::string_view InWords(BookedAs as) {
  switch (as) {
    case BookedAs::kRated:
      return "";
    case BookedAs::kRecognised:
      return "what is recognised of ";
    case BookedAs::kDelivered:
      return "what is delivered of ";
    case BookedAs::kAccrued:
      return "what is accrued of ";
  }
  TOLLBOOK_ASSERT(!"one of the list");
  return "";
}

// Amounts are kept by the names of lines, and people tell lines by them: so in a plan each has one of its own. That of
// a discount, or of a grant that pays for a subscription of the plan, no charge has: ParseCatalog refuses it.
class LineNameCheck {
 public:
  LineNameCheck(const Catalog& catalog, std::vector<CatalogError>* errors) : catalog_(catalog), errors_(*errors) {}

  void Check(const Plan& plan) {
    std::map<std::string_view, std::string> of_discounts;  // what each is, by its name
    for (const Charge& line : plan.discount_lines) {
      const Charge& charge =
          plan.charges[static_cast<size_t>(&line - plan.discount_lines.data()) % plan.charges.size()];
      const auto [known, added] = of_discounts.emplace(line.name, "what discounts take off " + Quoted(charge.name));
      if (added) continue;
      AddError(charge, "what discounts take off charge " + Quoted(charge.name) + " of plan " + Quoted(plan.name) +
                           " is named like " + known->second);
    }
    for (const Charge& charge : plan.charges) {
      if (MayBeOfGrant(charge.name)) CheckGrants(plan, charge);
      CheckBesideAnother(plan, charge);
    }
  }

 private:
  // Of other plans, too: in the journal a grant's line is known by its name alone.
  void CheckGrants(const Plan& plan, const Charge& charge) {
    for (const Grant& grant : catalog_.grants) {
      if (grant.credit.name == charge.name) Add(plan, charge, "what grant " + Quoted(grant.id) + " pays");
      if (grant.breakage && grant.breakage->name == charge.name) {
        Add(plan, charge, "what grant " + Quoted(grant.id) + " loses");
      }
    }
  }

  // What a posting rule makes of another line of the plan.
  void CheckBesideAnother(const Plan& plan, const Charge& charge) {
    const BookedAs as = BookedAsOf(charge.name);
    if (as == BookedAs::kRated) return;
    const std::string_view other = RatedName(as, charge.name);
    if (IsMade(plan, as, other)) Add(plan, charge, std::string(InWords(as)) + Quoted(other));
  }

  // By the rules that take the lines of the subscriptions that there are: a rule that comes after another one, or is of
  // an entity that sells nothing of the plan, makes nothing.
  bool IsMade(const Plan& plan, BookedAs as, std::string_view of) const {
    std::set<std::pair<uint32_t, uint32_t>> seen;  // entity, kind of customer
    for (const Subscription& subscription : catalog_.subscriptions) {
      if (&catalog_.plans[subscription.plan] != &plan) continue;
      const auto is_made = [&](const Charge& line) { return line.name == of && Makes(subscription, as, plan, line); };
      const auto is_made_of_grant = [&](const Grant& grant) {
        return is_made(grant.credit) || (grant.breakage && is_made(*grant.breakage));
      };
      if (MayBeOfGrant(of) && (std::ranges::any_of(catalog_.GrantsOf(subscription.id), is_made_of_grant) ||
                               std::ranges::any_of(catalog_.AccountGrantsOf(subscription.account), is_made_of_grant))) {
        return true;
      }
      if (!seen.emplace(subscription.entity, catalog_.subscription_terms[subscription.terms].kind).second) continue;
      if (std::ranges::any_of(plan.charges, is_made) || std::ranges::any_of(plan.discount_lines, is_made)) return true;
    }
    return false;
  }

  bool Makes(const Subscription& subscription, BookedAs as, const Plan& plan, const Charge& line) const {
    const PostingRule* const rule = catalog_.PostingOf(subscription, line);
    if (rule == nullptr || !CanMakeBeside(*rule, as, plan, line)) return false;
    const Entity& seller = catalog_.entities[subscription.entity];
    if (as == BookedAs::kDelivered) return rule->delivered_by != seller.name;
    return as != BookedAs::kAccrued || seller.late_usage == LateUsage::kAccrue;
  }

  void Add(const Plan& plan, const Charge& charge, const std::string& line) {
    AddError(charge, "charge " + Quoted(charge.name) + " of plan " + Quoted(plan.name) + " is named like " + line);
  }
  void AddError(const Charge& charge, std::string what) {
    errors_.push_back({"plans.yaml", charge.line, std::move(what),
                       "give one of them another name: lines are told apart by their names"});
  }

  const Catalog& catalog_;
  std::vector<CatalogError>& errors_;
};

}  // namespace

std::vector<CatalogError> CheckYoungerRules(const Catalog& catalog) {
  std::vector<CatalogError> errors;
  LineNameCheck line_names(catalog, &errors);
  for (const Plan& plan : catalog.plans) {
    line_names.Check(plan);
    // A minimum counts what the maximum takes off in the same slices; in others it would miss what was used.
    const Charge* const minimum = BoundOf(plan, /*is_maximum=*/false);
    const Charge* const maximum = BoundOf(plan, /*is_maximum=*/true);
    if (minimum == nullptr || maximum == nullptr || minimum->on_amendment == maximum->on_amendment) continue;
    errors.push_back({"plans.yaml", std::max(minimum->line, maximum->line),
                      "the minimum and the maximum of plan \"" + plan.name + "\" do not say the same \"on_amendment\"",
                      "say the same at both, or leave it out of both: else the one bounds other days than the other"});
  }
  std::ranges::stable_sort(errors, {}, &CatalogError::line);
  return errors;
}

}  // namespace tollbook
