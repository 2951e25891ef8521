#include "rating/catalog_younger_rules.h"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>

#include "rating/booked_as.h"
#include "rating/catalog_errors.h"

namespace tollbook {
namespace {

const Charge* BoundOf(const Plan& plan, bool is_maximum) {
  const auto bound = std::ranges::find_if(plan.charges, [&](const Charge& charge) {
    return charge.bound.has_value() && charge.bound->is_maximum == is_maximum;
  });
  return bound == plan.charges.end() ? nullptr : &*bound;
}

// Those of a grant begin so. There may be many grants, and few charges are named like that.
bool MayBeOfGrant(std::string_view name) {
  return name.starts_with("credit ") || name.starts_with("breakage ");
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

// Whether a line that the rule takes has one of that kind beside it.
bool Makes(const PostingRule& rule, BookedAs as, const Charge& line) {
  switch (as) {
    case BookedAs::kRated:
      return false;
    case BookedAs::kRecognised:
      return rule.recognition == Recognition::kRatable && (line.is_discount || (line.fee && line.fee->in_advance));
    case BookedAs::kDelivered:
      return !rule.delivered_by.empty();
    case BookedAs::kAccrued:
      return !rule.accrued.empty();
  }
  TOLLBOOK_ASSERT(!"one of the list");
  return false;
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
    const auto is_made_of = [&](const Charge& line) {
      return line.name == other && std::ranges::any_of(catalog_.posting_rules, [&](const PostingRule& rule) {
               return Makes(rule, as, line) && (rule.charge.empty() || rule.charge == line.name) &&
                      (rule.plan.empty() || rule.plan == plan.name) &&
                      (rule.product.empty() || rule.product == line.product);
             });
    };
    const auto is_made_of_grant = [&](const Grant& grant) {
      return is_made_of(grant.credit) || (grant.breakage && is_made_of(*grant.breakage));
    };
    if (std::ranges::any_of(plan.charges, is_made_of) || std::ranges::any_of(plan.discount_lines, is_made_of) ||
        (MayBeOfGrant(other) && std::ranges::any_of(catalog_.grants, is_made_of_grant))) {
      Add(plan, charge, std::string(InWords(as)) + Quoted(other));
    }
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
