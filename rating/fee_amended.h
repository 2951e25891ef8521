// FeeAmended: what plans before were due of a fee, where a subscription changes plans and the fee goes on
// (`on_amendment: continue`). Fees of one name go on from one another.
//
// Once       a fee that is due once is due of the first of the plans that have it, and of no later one.
// In full    of a fee without proration what earlier plans were due for the billing period counts: a later plan is due
//            what its own comes to above that, if anything. So the period comes to the largest of the fees, whatever
//            the order; nothing is credited. A fee that starts again is due in full, and those behind it count from it.
//            Earlier is what is due on an earlier day. No two plans' are due on one, since a day is of one plan.
// Errors     False when a worth does not fit.
#ifndef TOLLBOOK_RATING_FEE_AMENDED_H_
#define TOLLBOOK_RATING_FEE_AMENDED_H_

#include "rating/catalog.h"
#include "rating/fee.h"

namespace tollbook {

// Of a fee that is due once: was it due of another plan that the subscription was on before this version?
[[nodiscard]] bool WasDueBefore(const Catalog& catalog, const Charge& fee, const Subscription& version);

// Of any other fee of the version's plan, in one of its billing periods: the most that those which it goes on from came
// to. Zero where it goes on from none.
[[nodiscard]] bool DueBeforeInPeriod(const Catalog& catalog, const Charge& fee, const Subscription& version,
                                     const BillingPeriod& period, Worth* before);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_FEE_AMENDED_H_
