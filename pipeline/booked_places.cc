#include "pipeline/booked_places.h"

#include <map>

#include "pipeline/recognition.h"
#include "rating/dimension_text.h"

namespace tollbook {
namespace {

constexpr std::string_view kRecognised = "recognised ";

// The rule's dimensions, and which subscription and charge the line is of.
std::string DimensionsOf(const PostingRule& rule, const RatedCharge& rated) {
  std::map<std::string, std::string> dimensions = rule.dimensions;
  dimensions.emplace("subscription", rated.subscription->id);
  dimensions.emplace("charge", rated.charge->name);
  return DimensionText(dimensions);
}

}  // namespace

std::string RecognisedName(std::string_view charge) {
  return std::string(kRecognised).append(charge);
}

std::string_view DeferredName(std::string_view charge) {
  return charge.starts_with(kRecognised) ? charge.substr(kRecognised.size()) : charge;
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
  if (rule == nullptr) return {Intern(place), nullptr, nullptr, SummaryPolicy::kDaily};
  const bool is_deferred = IsDeferred(catalog_, rated, *rule);
  const std::string own = rule->by_subscription ? DimensionsOf(*rule, rated) : "";
  place.debit = rule->debit;
  place.credit = is_deferred ? rule->deferred : rule->credit;
  place.dimensions = rule->by_subscription ? std::string_view(own) : std::string_view(rule->dimensions_text);
  Posting posting{Keep(place), nullptr, rule, SummaryOf(catalog_, rated, rule)};
  if (!is_deferred) return posting;
  const std::string recognised = RecognisedName(rated.charge->name);
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
