// Committed: what a subscription agreed on for a billing period, and which of its lines count towards it: the
// commitment of a charge, and the minimum of a plan.
//
// Amount   of a commitment what the charge's line comes to when just so much is used: less the charge's discount, at
//          most its maximum. Of a minimum its share by days, where it has one. Rounded to minor units by the book's
//          rule.
// Lines    of a commitment those of its charge, of a minimum those of its plan's charges, the minimum itself left out;
//          as they are booked. Where on_amendment has them go on from other plans, those of these, too. What discounts
//          (discounts.csv) and grants say is not of them.
// Per bucket and charge minimum: a commitment of each bucket is none of a period; a charge's own minimum is not here.
#ifndef TOLLBOOK_RATING_COMMITTED_H_
#define TOLLBOOK_RATING_COMMITTED_H_

#include <string_view>
#include <vector>

#include "rating/bound_slices.h"
#include "rating/catalog.h"
#include "rating/error.h"

namespace tollbook {

struct Committed {
  const Subscription* subscription = nullptr;  // the version that is valid on the day
  const Charge* charge = nullptr;              // that has the commitment; or the plan's minimum
  BillingPeriod period;                        // that holds the day
  Money amount;
  std::vector<PlanDays> days;  // whose lines count, on which of their days
};

// Whether it is one.
[[nodiscard]] bool IsCommitted(const Charge& charge);

// Of all subscriptions that are valid on the day, in their order; those of a period that is all trial have no minimum.
// OutOfRange: an amount that cannot be held.
[[nodiscard]] absl::StatusOr<std::vector<Committed>> CommittedOn(const Catalog& catalog, Day day);

// Whether a line of the subscription counts towards it.
[[nodiscard]] bool CountsTowards(const Catalog& catalog, const Committed& committed, std::string_view plan,
                                 std::string_view charge, Day day);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_COMMITTED_H_
