// PreparedPlan: a plan made ready to rate many subjects: which of its charges takes a total, what a quantity is worth
// by it, and where it stands among the plan's charges.
//
// Looking for the charge compared each total's meter and dimensions by name with every charge of the plan. Here the
// charges of a meter lie together, the most specific first, with their filters as places of the meter's dimensions.
// Catalog::ChargeFor is the plain twin.
#ifndef TOLLBOOK_RATING_PREPARED_PLAN_H_
#define TOLLBOOK_RATING_PREPARED_PLAN_H_

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "rating/catalog.h"
#include "rating/rounded_price.h"

namespace tollbook {

// Borrows the catalog.
class PreparedPlan {
 public:
  PreparedPlan(const Catalog& catalog, const Plan& plan);
  PreparedPlan(PreparedPlan&&) = default;

  struct PlanCharge {
    const Charge* charge = nullptr;
    RoundedPrice price;  // in the plan's currency, as the book rounds
    uint32_t rank = 0;   // by name
    bool of_quantity_alone = true;
    BillingTerms billing;  // the charge's, else the plan's
  };
  // Those that may be due without usage; by their order in the plan.
  const std::vector<const PlanCharge*>& timed() const { return timed_; }

  const std::vector<PlanCharge>& charges() const { return charges_; }  // by their order in the plan
  // Null: the plan has none of that name.
  const PlanCharge* ChargeNamed(std::string_view name) const;

  // The charge that takes a total of one of the catalog's meters; null: none.
  const PlanCharge* ChargeFor(const Meter& meter, DimensionValues values) const;

 private:
  struct Candidate {
    std::vector<std::pair<uint32_t, const AcceptedValues*>> filter;  // dimension of the meter, its values
    uint32_t charge = 0;                                             // of charges_
  };
  const Catalog& catalog_;
  std::vector<PlanCharge> charges_;
  std::vector<const PlanCharge*> timed_;
  std::vector<std::vector<Candidate>> by_meter_;  // by the meter's place in the catalog; the most specific first
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_PREPARED_PLAN_H_
