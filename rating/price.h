// Price the usage of a billing period by a charge: pure arithmetic, and the steps that a person can follow.
//
// The usage is the whole period's, not one event's. Rated one by one, every event would start again in the first (often
// included) tier.
//
// Order      aggregated units, converted, less what is included, priced, raised to the commitment and its overage
//            multiplied (so far for each bucket alone, and summed; without per_bucket the commitment is of the sum);
//            less the discount; at most the maximum; at least the minimum. What a minimum or the true-up of a period's
//            commitment adds is due once the period is complete. Nothing of it is rounded but units, where the charge
//            says so, and what time_rate.h says; the amount is rounded by RoundToMinor alone.
// Included   units are taken off the parts of a bucket one after the other: cells in the catalog's order. They never
//            make a quantity negative.
// Events     a charge of events (IsOfEvents) prices each of them, in their order; its quantity is only told.
// Discount   exact at 36 decimals, or an error, and so is an overage; the catalog's check makes sure of both.
// Minimum    a share of it by days, where the subscription is not valid on all of the period's.
// Errors     OutOfRange when a quantity or an amount does not fit; the message names charge and quantity.
#ifndef TOLLBOOK_RATING_PRICE_H_
#define TOLLBOOK_RATING_PRICE_H_

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "rating/calendar.h"
#include "rating/error.h"
#include "rating/plan.h"
#include "rating/unit_grant.h"
#include "rating/usage_total.h"

namespace tollbook {

class EventTally;

// One step of the arithmetic: `quantity` at `unit_price` gave `worth`. A discount, maximum or minimum has only a worth:
// what it adds or takes away.
struct PriceStep {
  std::string what;  // "included", "tier 1 (up to 100000000)", "flat amount of tier 2", "3 packages of 1000"
  Quantity quantity;
  Price unit_price;
  Worth worth;
};
inline bool IsOnlyWorth(const PriceStep& step) {
  return step.quantity == Quantity{} && step.unit_price == Price{} && !step.worth.amount.zero();
}

// The time that a charge prices alone: the same for all usage unless the charge has per_bucket.
struct PricedTime {
  Day day;
  int32_t hour = 0;  // from the day's first instant; per_bucket: hour only
  friend constexpr auto operator<=>(PricedTime, PricedTime) = default;
  friend constexpr bool operator==(PricedTime, PricedTime) = default;
};

// The usage of one cell of a charge in one bucket, where it has them; else all of the period's.
struct UsagePart {
  PricedTime time;
  uint32_t part = 0;  // PartOf
  Quantity quantity;  // as metered, aggregated
  uint64_t events = 0;
  // Where its pricing is of events: each of them, by day, time, value and prorated value; or all of them, told already.
  std::vector<PricedElement> elements = {};
  const EventTally* tally = nullptr;  // borrowed
};

// So many days of so many.
struct DayShare {
  int32_t days = 1;
  int32_t of = 1;
};

struct PeriodUsage {
  std::vector<UsagePart> parts;  // by (time, part), each once
  bool complete = true;          // rated through the period's last day: a minimum is due
  Zone zone = {};                // of the clock that windows and hours go by: the subscription's
  DayShare minimum_share = {};   // what of it is due
  // What grants of units paid: it comes off behind the included units. Borrowed; not of buckets, limits or events.
  std::span<const UnitsPaid> granted = {};
};

// How many of so many metered units are left to price, converted and without the included ones; at least none. Of a
// charge that grants of units may be of (TakesUnitGrants). False: they do not fit.
[[nodiscard]] bool BillableUnits(const Charge& charge, Quantity metered, Quantity* units);

// What is due of a complete period that nothing was used of: the minimum, and no true-up of a commitment. False:
// OutOfRange.
[[nodiscard]] bool PriceUnused(const Charge& charge, DayShare minimum_share, Worth* worth);

// An amount's share, half to even at the worth's last decimal. False: it does not fit.
[[nodiscard]] bool ShareByDays(Price amount, DayShare share, Worth* worth);

// A worth's share, of at most 1, half to even at the worth's last decimal. False: it does not fit.
[[nodiscard]] bool TakeShare(const Worth& worth, Price share, Worth* taken);

// Which of a charge's parts takes usage with these values, of the meter that the charge prices: the place of the most
// specific cell; of limits by a dimension the place of its value in `limited`, or behind all where none limits it; else
// 0. None: no cell.
[[nodiscard]] std::optional<uint32_t> PartOf(const Charge& charge, const Meter& meter, DimensionValues values);

// `steps` may be null; it is cleared first, and the worths in it sum to the result.
[[nodiscard]] absl::StatusOr<Worth> PricePeriod(const Charge& charge, const PeriodUsage& usage,
                                                std::vector<PriceStep>* steps = nullptr);

// Of a complete period's quantity alone: no events, and one part, the first.
[[nodiscard]] absl::StatusOr<Worth> PriceQuantity(const Charge& charge, Quantity quantity,
                                                  std::vector<PriceStep>* steps = nullptr);

// PricePeriod in its two halves, without words, for a period that grows day by day: what whole buckets are worth
// before what stands around the period, which may be summed; and what stands around that sum. False: OutOfRange.
[[nodiscard]] bool PriceBuckets(const Charge& charge, std::span<const UsagePart> parts, const Zone& zone, Worth* worth);
[[nodiscard]] bool PriceAround(const Charge& charge, const Worth& before, bool complete, Worth* worth,
                               DayShare minimum_share = {});

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_PRICE_H_
