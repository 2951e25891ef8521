// Plan: the price book entry. A plan has charges; a charge prices one meter, or is a fee for time, or bounds what the
// others come to.
//
// A Charge says what is priced and what stands around it; its Pricing says what a quantity costs. A matrix has a
// Pricing in each of its cells instead. Percentages and multipliers are kept as the price of one unit, so that they are
// exact: 2.9 % is 0.029 of the major unit for each unit of a quantity that is money itself.
#ifndef TOLLBOOK_RATING_PLAN_H_
#define TOLLBOOK_RATING_PLAN_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rating/billing_cycle.h"
#include "rating/fee.h"
#include "rating/filter.h"
#include "rating/money.h"
#include "rating/quantity.h"
#include "rating/time_rate.h"

namespace tollbook {

// What each costs, and at zero or below, stands in charge_models.h.
enum class ChargeModel : uint8_t {
  kPerUnit,              // quantity * unit price
  kGraduated,            // each unit at the price of the tier that it falls in
  kVolume,               // all units at the price of the tier that the total falls in
  kPackage,              // packages * package price
  kStairstep,            // one fixed amount: that of the step that holds the quantity, or the quantities
  kPercentage,           // a share of the quantity, which is money, and an amount for each event
  kGraduatedPercentage,  // graduated, of a quantity that is money
  kDynamic,              // the events carry their price: the quantity is money, times a multiplier
  kMatrix,               // each usage by the cell that its dimension values fall in
  kTimeRate,             // a duration, by weekday, hour and elapsed time
  kProratedGraduated,    // graduated by units, of prorated units
};
std::string_view ToString(ChargeModel model);  // "per_unit", "graduated_percentage": as the catalog has it

struct Tier {
  std::optional<Quantity> up_to;  // inclusive, cumulative, after included units; none: open (only the last)
  Price unit_price;               // per one unit: the catalog's `price` / `per`, exact; per block where there is one
  Price flat;                     // due once the tier is entered
  Quantity block_size = {};       // above zero: each started block of so many units costs unit_price
};

struct Step {
  std::optional<Quantity> up_to;           // inclusive, after included units; none: open (only the last)
  std::map<std::string, Quantity> limits;  // instead, where limits are by a dimension: of each value, inclusive
  Price price;                             // of all of it
};

struct Pricing {
  ChargeModel model = ChargeModel::kPerUnit;
  Price unit_price;                           // per_unit; percentage and dynamic: what one unit of money costs
  std::vector<Tier> tiers;                    // of the graduated models and volume; ascending, the last one open
  bool flat_at_zero = false;                  // is the first tier's flat amount, or first step, due at zero?
  Quantity package_size;                      // package
  Price package_price;                        // package: of one
  Rounding package_rounding = Rounding::kUp;  // package: of their number, its magnitude
  Price price_per_event;                      // percentage: for each event, whatever its value
  std::vector<Step> steps;                    // stairstep; ascending, the last one open
  std::string limits_by;             // stairstep: the dimension whose values have the limits; empty: one quantity
  std::vector<std::string> limited;  // stairstep by limits: the values that any step limits, ascending
  // Of each event (IsOfEvents), in the order of time and value. transaction_tally.h says how they count; those of
  // prorated_graduated, by the tiers: prorated_tally.h.
  std::optional<uint64_t> free_events;  // percentage: the allowance ends where the first of the two does
  std::optional<Quantity> free_amount;  // percentage
  std::optional<Price> min_per_event;   // percentage; not above the maximum
  std::optional<Price> max_per_event;   // percentage, time_rate
  TimeRate time;                        // time_rate
};

// Whether it prices each event, so that the meter must keep them: `keep: events`.
inline bool IsOfEvents(const Pricing& pricing) {
  return pricing.model == ChargeModel::kTimeRate || pricing.model == ChargeModel::kProratedGraduated ||
         (pricing.model == ChargeModel::kPercentage &&
          (pricing.free_events || pricing.free_amount || pricing.min_per_event || pricing.max_per_event));
}

// A cell of a matrix. The default is the cell that names no dimension.
struct Cell {
  Filter when;
  Pricing pricing;
  int line = 0;
};

// From metered to priced units, before all else.
struct Conversion {
  enum class By : uint8_t { kMultiply, kDivide };
  By by = By::kMultiply;
  Quantity factor = Quantity::Units(1);  // above zero
  std::optional<Rounding> rounding;      // of the magnitude, to `places`; none: see Convert, which has 18 decimals
  int places = 0;                        // 0 to 18
};

// Whether a charge prices each day, or hour, of a period alone, and sums. A day is civil in the subscription's zone,
// and its hours are counted from its first instant.
enum class PerBucket : uint8_t { kNone, kDay, kHour };

// A worth that is agreed on beforehand, of the period or of each bucket with usage. What the usage is worth above it
// counts `overage_factor` times.
struct Commitment {
  Price amount;                       // the worth
  std::optional<Quantity> quantity;   // instead: what so many priced units cost, without included ones
  Price overage_factor = {kOneUnit};  // at least 1
  bool true_up = false;               // usage worth less is raised to it: of a period once that is complete
};

// Another price and commitment for the buckets that begin in it, on the subscription's clock.
struct BucketWindow {
  ClockWindow when;
  Pricing pricing;  // of one quantity, not of events
  std::optional<Commitment> commitment;
  int line = 0;
};

// The least, or the most, that all other charges of a plan come to in one of its billing periods: a line of its own
// makes up for the rest, or takes off what is too much. It goes by amounts as they are booked, so that the period's
// lines sum to the bound.
struct PlanBound {
  bool is_maximum = false;
  Price amount;
};

// Whether what a charge counts over a billing period (tier position, included units, started packages, flat amounts,
// minimum and maximum) goes on or starts again where a new version of the subscription begins in mid-period.
enum class OnAmendment : uint8_t {
  kByPlan,    // goes on where the version keeps the plan, else starts again
  kContinue,  // goes on, be it by the prices of another plan
  kRestart,   // starts again, even where the version keeps the plan
};

// Included units that a billing period left unused go on to those behind it.
struct Rollover {
  std::optional<Quantity> most;  // go on into one period; none: all
  int32_t periods = 1;           // that units may be used in, behind their own
};

struct Charge {
  std::string name;     // unique in its plan: "input-tokens-large"
  std::string meter;    // a Meter's name; empty: a fee, a bound or a grant's line
  std::string product;  // what the posting rules map
  Filter filter;        // the most specific charge takes a total
  std::optional<Conversion> conversion;
  Quantity included;        // taken off before the price, over the whole billing period or each bucket
  Pricing pricing;          // of a matrix only the model
  std::vector<Cell> cells;  // matrix: at least one, in the catalog's order, the default last
  PerBucket per_bucket = PerBucket::kNone;
  std::vector<BucketWindow> bucket_windows;  // none overlap; other buckets have the charge's price and commitment
  std::optional<Commitment> commitment;  // of the worth before the discount; of each bucket where there is per_bucket
  Price discount;                        // a share of the worth, 0 to 1: the catalog's discount_percent / 100
  std::optional<Price> maximum;          // of the period's worth, after the discount
  std::optional<Price> minimum;          // likewise, due once the period is complete; not above the maximum
  int line = 0;                          // where the catalog says it, for explain
  std::optional<BillingTerms> billing = {};  // none: the plan's
  bool prorates_bound = true;                // the minimum, or the plan's bound, by the days that a subscription has
  std::optional<Fee> fee = {};
  std::optional<PlanBound> bound = {};
  OnAmendment on_amendment = OnAmendment::kByPlan;
  std::optional<Rollover> rollover = {};
  bool is_of_grant = false;  // the line of what a grant pays or loses (grant.h): it has no price
  bool is_discount = false;  // the line of what discounts take off another charge (discount.h): it has no price
};

// What prices the usage of one part (PartOf in price.h): that of its cell, or the charge's.
inline const Pricing& PricingOf(const Charge& charge, uint32_t part) {
  return charge.cells.empty() ? charge.pricing : charge.cells[part].pricing;
}

// Whether any of its pricings is of events.
bool IsOfEvents(const Charge& charge);

// Whether grants of units may pay for it: it prices one quantity of a period. Not a fee, cells, limits, buckets, or a
// price of each event.
bool TakesUnitGrants(const Charge& charge);

// Whether something is due once the period is complete: a minimum, or the true-up of a commitment.
bool IsDueAtEnd(const Charge& charge);

// Whether something of it may be due without usage.
bool IsDueWithoutUsage(const Charge& charge);

// Whether the worth depends on nothing but the period's quantity: no cells, limits, buckets, number of events, events,
// or whether the period is complete.
bool IsOfQuantityAlone(const Charge& charge);

struct Plan {
  std::string name;
  Currency currency;
  std::vector<Charge> charges;
  BillingTerms billing = {};
  int32_t trial_days = 0;      // from a subscription's first day on, without what is due without usage
  bool is_trial_free = false;  // usage of those days costs nothing, too
  // What discounts take off each charge, under each of the catalog's discount products: product * charges + charge.
  std::vector<Charge> discount_lines = {};
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_PLAN_H_
