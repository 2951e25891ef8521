#include "pipeline/booked_places.h"

#include "rating/error.h"

namespace tollbook {

BookedPlaces::Posting BookedPlaces::PostingOf(const RatedCharge& rated) {
  const ChargeOfEntity of{rated.charge, rated.subscription->entity, rated.subscription->plan};
  const auto [it, added] = postings_.try_emplace(of);
  if (added) it->second = Find(rated);
  return it->second;
}

BookedPlaces::Posting BookedPlaces::Find(const RatedCharge& rated) {
  const Plan& plan = catalog_.plans[rated.subscription->plan];
  const Entity& entity = catalog_.entities[rated.subscription->entity];
  const PostingRule* rule = catalog_.PostingFor(rated.charge->product, entity.name);
  TOLLBOOK_ASSERT(rule != nullptr);  // the catalog check sees to it
  BookedPlace place;
  place.plan = plan.name;
  place.charge = rated.charge->name;
  place.product = rated.charge->product;
  place.entity = entity.name;
  place.currency = plan.currency;
  place.debit = rule->debit;
  place.credit = rule->credit;
  place.dimensions = rule->dimensions_text;
  return {Intern(place), rule->summary};
}

}  // namespace tollbook
