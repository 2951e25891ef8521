// Grant: money that a customer paid, or was promised, ahead of what it pays for: prepaid credits, a commitment.
//
// A grant pays what a subscription comes to, or all subscriptions of an account (account_grants.h), day by day, as long
// as it lasts; grant_balances.h has the order. What it pays is a line of its own, below zero, under the grant's
// product: so the posting rules say which liability it comes from. What it loses at its end or to a refill (breakage)
// is another, where the grant names a product for it.
#ifndef TOLLBOOK_RATING_GRANT_H_
#define TOLLBOOK_RATING_GRANT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "rating/billing_cycle.h"
#include "rating/money.h"
#include "rating/plan.h"

namespace tollbook {

struct Grant {
  std::string id;                      // unique in the catalog
  std::string subscription;            // or
  std::string account;                 // all subscriptions of it; one of the two is empty
  Money amount;                        // not negative
  int32_t priority = 0;                // the lower one pays first
  Day starts_on;                       // civil, in the subscription's zone, each one's own
  std::optional<Day> ends_on;          // exclusive; none: never
  std::optional<BillingCycle> refill;  // anchored at the start
  Money rollover;                      // of what is left at a refill, at most so much stays
  Money rollover_min = {};             // and at least so much is carried over, be less left; not above `rollover`
  bool pays_earlier = false;           // also what came due before its start or refill, and no grant paid
  Charge credit;                       // the line of what it pays: "credit <id>"
  std::optional<Charge> breakage;      // the line of what it loses: "breakage <id>"
  int line = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_GRANT_H_
