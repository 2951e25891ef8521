#include "pipeline/booked_places.h"

#include <algorithm>
#include <map>

#include "pipeline/recognition.h"
#include "rating/dimension_text.h"
#include "rating/lines_beside.h"

namespace tollbook {
namespace {

// The rule's dimensions; which subscription and charge the line is of, where each has its own; and which entity is on
// the other side, where one delivers what another sells.
std::string DimensionsOf(const PostingRule& rule, const RatedCharge& rated, std::string_view partner) {
  if (!rule.by_subscription && partner.empty()) return rule.dimensions_text;
  std::map<std::string, std::string> dimensions = rule.dimensions;
  if (rule.by_subscription) {
    dimensions.emplace("subscription", rated.subscription->id);
    dimensions.emplace("charge", rated.charge->name);
  }
  if (!partner.empty()) dimensions.emplace("partner", partner);
  return DimensionText(dimensions);
}

// Whatever kind of customer it is for, and whichever rule comes first.
bool MayTake(const PostingRule& rule, const Plan& plan, const Charge& line) {
  return (rule.charge.empty() || rule.charge == line.name) && (rule.plan.empty() || rule.plan == plan.name) &&
         (rule.product.empty() || rule.product == line.product);
}

}  // namespace

StoredPlaces::StoredPlaces(const Catalog& catalog) {
  for (const Plan& plan : catalog.plans) {
    for (const Charge& charge : plan.charges) {
      const BookedAs as = BookedAsOf(charge.name);
      if (as == BookedAs::kRated) continue;
      std::vector<LineBeside>& beside = named_like_lines_[{plan.name, charge.name}];
      const std::string_view other = RatedName(as, charge.name);
      const auto add = [&](const Charge& line) {
        if (line.name != other) return;
        for (const PostingRule& rule : catalog.posting_rules) {
          if (!MayTake(rule, plan, line) || !CanMakeBeside(rule, as, plan, line)) continue;
          beside.push_back({line.product, std::string(DebitBeside(rule, as))});
        }
      };
      std::ranges::for_each(plan.charges, add);
      std::ranges::for_each(plan.discount_lines, add);
      if (!MayBeOfGrant(other)) continue;
      for (const Grant& grant : catalog.grants) {
        add(grant.credit);
        if (grant.breakage) add(*grant.breakage);
      }
    }
  }
}

BookedPlace StoredPlaces::Read(BookedPlace place) const {
  if (place.as == BookedAs::kRated || named_like_lines_.empty()) return place;
  const auto charge = named_like_lines_.find({std::string(place.plan), std::string(place.charge)});
  if (charge == named_like_lines_.end()) return place;
  const bool is_beside = std::ranges::any_of(charge->second, [&](const LineBeside& line) {
    return line.product == place.product && line.debit == place.debit;
  });
  if (!is_beside) place.as = BookedAs::kRated;
  return place;
}

BookedPlaces::Posting BookedPlaces::PostingOf(const RatedCharge& rated) {
  const uint32_t terms = rated.subscription->terms;
  const uint32_t kind = terms == 0 ? 0 : catalog_.subscription_terms[terms].kind;
  const ChargeOfEntity of{rated.charge, rated.subscription->entity, rated.subscription->plan, kind};
  const auto [it, added] = postings_.try_emplace(of);
  if (added) it->second = Find(rated);
  // A line for each subscription is a place for each.
  if (it->second.rule != nullptr && it->second.rule->by_subscription) return PlacedBy(it->second.rule, rated);
  return it->second;
}

BookedPlaces::Posting BookedPlaces::Find(const RatedCharge& rated) {
  return PlacedBy(catalog_.PostingOf(*rated.subscription, *rated.charge), rated);
}

BookedPlaces::Posting BookedPlaces::PlacedBy(const PostingRule* rule, const RatedCharge& rated) {
  const Plan& plan = catalog_.plans[rated.subscription->plan];
  BookedPlace place;
  place.plan = plan.name;
  place.charge = rated.charge->name;
  place.product = rated.charge->product;
  place.entity = catalog_.entities[rated.subscription->entity].name;
  place.currency = plan.currency;
  if (rule == nullptr) return {.place = Intern(place)};
  const std::string_view seller = place.entity;
  const bool is_delivered = !rule->delivered_by.empty() && rule->delivered_by != seller;
  const bool is_deferred = IsDeferred(catalog_, rated, *rule);
  const std::string_view earned = is_deferred ? rule->deferred : rule->credit;
  const std::string sold = DimensionsOf(*rule, rated, is_delivered ? rule->delivered_by : "");
  place.debit = rule->debit;
  place.credit = is_delivered ? std::string_view(rule->due_to) : earned;
  place.dimensions = sold;
  Posting posting{.place = Keep(place), .rule = rule, .summary = SummaryOf(catalog_, rated, rule)};
  if (!rule->accrued.empty()) {
    const std::string accrued = LineName(BookedAs::kAccrued, rated.charge->name);
    BookedPlace accrual = place;
    accrual.as = BookedAs::kAccrued;
    accrual.charge = accrued;
    accrual.debit = rule->accrued;
    accruals_[posting.place] = Keep(accrual);
  }
  const std::string other_side = is_delivered ? DimensionsOf(*rule, rated, seller) : sold;
  const std::string delivered = LineName(BookedAs::kDelivered, rated.charge->name),
                    recognised = LineName(BookedAs::kRecognised, rated.charge->name);
  if (is_delivered) {
    place.as = BookedAs::kDelivered;
    place.charge = delivered;
    place.entity = rule->delivered_by;
    place.debit = rule->due_from;
    place.credit = earned;
    place.dimensions = other_side;
    posting.delivered = Keep(place);
  }
  if (!is_deferred) return posting;
  place.as = BookedAs::kRecognised;
  place.charge = recognised;
  place.debit = rule->deferred;
  place.credit = rule->credit;
  posting.recognised = Keep(place);
  return posting;
}

const BookedPlace* BookedPlaces::Keep(BookedPlace place) {
  if (const auto known = places_.find(place); known != places_.end()) return &*known;
  place.charge = texts_.emplace_back(place.charge);
  place.dimensions = texts_.emplace_back(place.dimensions);
  return Intern(place);
}

}  // namespace tollbook
