// UnitGrant: units of a charge that were paid ahead, or are part of a contract: an entitlement, prepaid usage.
//
// A grant pays units of its subscription's charge, as long as it lasts, by the price of nothing: what it pays comes off
// the units to price. Where: after the conversion and after the included units. Included units are lost with their
// billing period and a grant mostly lasts longer, so the customer uses up the included ones first; and tiers, the
// commitment, discount, minimum and maximum see only what neither has paid. grant_balances.h has the order in which
// several pay, and what refills, resets and ends do.
//
// Time      instants, not days: of the totals that the meter keeps. So each must be the beginning of one of them: of a
//           day where the meter keeps days, of an hour where it keeps hours.
// Overage   units that nothing paid. A grant that pays earlier ones pays those of the billing period at hand when it
//           starts, or is refilled; those of a billing period that is over are billed, and stay so.
#ifndef TOLLBOOK_RATING_UNIT_GRANT_H_
#define TOLLBOOK_RATING_UNIT_GRANT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rating/billing_cycle.h"
#include "rating/calendar.h"
#include "rating/quantity.h"

namespace tollbook {

struct UnitGrant {
  std::string id;  // unique in the catalog's unit_grants.csv
  std::string subscription;
  std::string charge;    // by its name, on any of the subscription's plans
  Quantity units;        // as they are priced: converted; not negative
  int32_t priority = 0;  // the lower one pays first
  Instant starts_at;
  std::optional<Instant> ends_at;      // exclusive; none: never
  std::optional<Instant> voided_at;    // nothing is left of it from then on; at its start, or before: it never was
  std::optional<BillingCycle> refill;  // on days of the subscription's zone: all of its units again
  std::optional<BillingCycle> reset;   // likewise: what is left becomes max(rollover_min, min(rollover_max, left))
  std::vector<Instant> resets;         // the same at these times, ascending
  Quantity rollover_min;               // of a reset
  Quantity rollover_max;               // of what is left at a refill or a reset, at most so much stays
  bool pays_earlier = false;           // when it starts, is refilled or reset: overage of the billing period at hand
  bool keeps_overage = false;          // at its reset; else the overage so far is not to be paid any more
  int line = 0;
};

// Of one charge, at one time.
struct UnitsPaid {
  const UnitGrant* grant = nullptr;
  Quantity paid;  // of the billing period, to date
  Quantity left;
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_UNIT_GRANT_H_
