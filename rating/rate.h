// Rate: the usage totals of one subject to what they are worth, by charge, billing period and day.
//
// Pure. The worth of a day is the running worth less that of the day before, and likewise its rounded amount:
// round(worth to date) - round(worth to the day before). So days sum to the period's line whatever the tiers.
//
// A meter that carries over (CarriesOver) goes on without usage: its charges have each day from the first on which
// there is something, through the window's end, be it in later periods and under other plans; a day that changes
// nothing is left out.
//
// What is due at the end (IsDueAtEnd) is due on the period's last day, once usage is rated through it: that day is then
// one of the line's, even without usage of its own.
//
// Fees, the minimum of a charge without usage, and what a plan says of all its charges are due by the calendar alone:
// up to the window's `through`, or without it up to `carried_through`; without either nothing of them is.
//
// A charge that goes on or starts again at an amendment by its own word, or whose included units roll over, is rated by
// slices (amendment.h): each plan keeps a line of its own, which knows what the slices before it used. Where they share
// a quantity by days, a slice has its share from its first day on, if anything was used in the period before.
//
// Grants of units (unit_grant.h) pay units of a charge before they are priced, in the order of time. Discounts
// (discount.h) take off what the lines of a subscription come to, each by a line of its own. Grants (grant.h) pay what
// all of these lines come to, day by day, by the amounts as they are booked; and behind them those of its account, by
// what was settled for all of the account's subscriptions (account_grants.h).
#ifndef TOLLBOOK_RATING_RATE_H_
#define TOLLBOOK_RATING_RATE_H_

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <vector>

#include "rating/aggregate.h"
#include "rating/amendment.h"
#include "rating/catalog.h"
#include "rating/prepared_plan.h"
#include "rating/price.h"
#include "rating/running_usage.h"
#include "rating/usage_total.h"

namespace tollbook {

// One stored total of the subject at hand.
struct SubjectTotal {
  const Meter* meter = nullptr;      // of the catalog that rates
  DimensionValues dimension_values;  // in the meter's order; kept by whoever made the totals
  Bucket bucket;
  UsageTotal total;
};

// What was used in slices of a period as the charge of one of them takes it (SliceTallies).
struct SlicedTotal {
  uint32_t as = 0;  // that slice
  PartTotal total;
};

// The running state of one charge and billing period at the end of one day.
struct DayWorth {
  Day usage_date;        // civil, in the subscription's zone
  Quantity to_date;      // the period's quantity so far, as metered
  Money booked_to_date;  // its worth, rounded: what the book must say for the period up to this day
  uint64_t events_to_date = 0;
};

// The quantity of a line is, in metered units:
//   a charge with one price for all of a period's usage   the meter's aggregate: sum, largest, latest
//   cells, limits by a dimension, buckets                 the sum of the aggregates that are priced apart: of each
//   cell,
//                                                         each limited value (all others are one), each bucket
//   slices                                                what its own add to those before them; where they share the
//                                                         quantity, all of it
// Of a fee the units that are due to date: quantity * periods. Of a plan's bound there are none. Of a grant's lines
// what is left of the grant, in major units.
struct RatedCharge {
  const Subscription* subscription = nullptr;
  const Charge* charge = nullptr;
  const Meter* meter = nullptr;  // null: of a fee, a bound or a grant
  BillingPeriod period;
  std::span<const DayWorth> days;       // ascending, at least one; back() is the period's line
  std::span<const PartTotal> parts;     // by time, where IsOfQuantityAlone does not hold; else empty. Of a meter that
                                        // carries over the quantities to date, for each of the days
  std::span<const FeeSlice> slices;     // of a fee
  std::span<const UsageSlice> amended;  // where it is rated by slices (amendment.h): those of all plans that go on from
                                        // one another, as many at each of the days
  std::span<const SlicedTotal> sliced;  // of those slices that price parts: all of the period, by day
  std::span<const Int128> bounded;      // of a bound: minor units of all it bounds, for each of the days
  std::span<const UnitsPaid> granted;   // where grants of units pay: of each of them, for each of the days
  std::span<const TakenOff> taken;      // of a discount's line: of each discount, for each of the days
  const Grant* account_grant = nullptr;  // of the line of a grant of an account: that one
  int32_t period_months = 0;             // of the billing cycle, for a fee; 0: it counts days
  Worth due_before = {};                 // of a fee that goes on: what counts of plans before it (fee_amended.h)
  int32_t bound_days = 0;                // of the period, that a minimum or a bound is due for; set where there is one

  DayShare bound_share() const { return {bound_days, DaysIn(period)}; }
};

// Of `granted` or `taken` what is of one of the line's days.
template <typename Item>
std::span<const Item> OfDay(const RatedCharge& rated, std::span<const Item> items, const DayWorth& day) {
  const size_t of_each = items.size() / rated.days.size();
  return items.subspan(static_cast<size_t>(&day - rated.days.data()) * of_each, of_each);
}

// Is it due by the calendar alone: a fee, a bound, or a minimum that nothing was used of?
inline bool IsWithoutUsage(const RatedCharge& rated) {
  if (!rated.amended.empty()) return rated.days.back().events_to_date == 0;
  return rated.meter == nullptr || (rated.charge->minimum.has_value() && rated.parts.empty());
}

// What its price is reckoned from, at the end of one of its days. Not of a fee or a bound.
[[nodiscard]] PeriodUsage UsageToDate(const RatedCharge& rated, const DayWorth& day);

// What its slices that price parts come to, at the end of one of its days. Of a meter that does not carry over.
[[nodiscard]] SliceTallies TalliesToDate(const RatedCharge& rated, const DayWorth& day);

// The exact worth of one of its days, and the steps that lead to it, which may be null.
[[nodiscard]] absl::StatusOr<Worth> PriceToDate(const RatedCharge& rated, const DayWorth& day,
                                                std::vector<PriceStep>* steps);

// The same without words. It fits, for its rounded amount did.
[[nodiscard]] Worth WorthToDate(const RatedCharge& rated, const DayWorth& day);

// The first of its days that is not booked to date as its exact worth rounds; null: none. PricePeriod (of a fee
// PriceFeeByDays) and RoundToMinor alone say so, of all usage up to the day, not the short cuts that Rate takes.
[[nodiscard]] const DayWorth* FirstMisroundedDay(const RatedCharge& rated, Rounding rounding);

// What is left of a grant of units at the end of the window.
struct UnitBalance {
  const UnitGrant* grant = nullptr;
  Quantity left;
};

// Usage that is in the book and that no charge takes.
struct UnratedUsage {
  enum class Why : uint8_t {
    kUnattributed,  // no subscription of the subject is valid on that day
    kUnpriced,      // the plan has no charge for the meter and these dimension values
    kTrial,         // of days on which the plan charges nothing
  };
  Why why = Why::kUnattributed;
  const Meter* meter = nullptr;
  const Subscription* subscription = nullptr;  // null when unattributed
  Day usage_date;                              // in the subscription's zone; the book's when unattributed
  uint64_t events = 0;
};

// Whether a subscription to the plan may owe something without usage.
[[nodiscard]] bool OwesWithoutUsage(const Plan& plan);

// Moves and does not copy: the days of its charges lie in it.
struct RatedSubject {
  RatedSubject() = default;
  RatedSubject(RatedSubject&&) = default;
  RatedSubject& operator=(RatedSubject&&) = default;

  void Clear() {
    charges.clear();
    unrated.clear();
    days.clear();
    parts.clear();
    slices.clear();
    bounded.clear();
    amended.clear();
    sliced.clear();
    granted.clear();
    taken.clear();
    unit_balances.clear();
  }

  std::vector<RatedCharge> charges;  // by (subscription id, plan, charge name, period)
  std::vector<UnratedUsage> unrated;
  std::vector<DayWorth> days;    // of all charges, one after the other
  std::vector<PartTotal> parts;  // likewise
  std::vector<FeeSlice> slices;
  std::vector<Int128> bounded;
  std::vector<UsageSlice> amended;
  std::vector<SlicedTotal> sliced;
  std::vector<UnitsPaid> granted;
  std::vector<TakenOff> taken;
  std::vector<UnitBalance> unit_balances;  // by (subscription, charge, id); none where nothing of them is rated
};

// Where the usage of one bucket belongs. The first subscription that is valid on the bucket's day in its own zone takes
// it, so that none is priced twice where the next one's days begin earlier.
struct UsagePlace {
  const Subscription* subscription = nullptr;  // null: none is valid
  Day day;                                     // in the subscription's zone; the book's without one
};
[[nodiscard]] UsagePlace PlaceOf(const Catalog& catalog, const Catalog::SubscriptionRange& subscriptions,
                                 Granularity granularity, Bucket bucket);

// The time that a charge prices a bucket's usage at; `day` and `zone` are those of the subscription that takes it.
[[nodiscard]] PricedTime PricedTimeOf(const Charge& charge, const Zone& zone, Granularity granularity, Bucket bucket,
                                      Day day);

// What is rated of the totals there are.
struct RateWindow {
  RateWindow(std::nullopt_t) {}  // NOLINT: no last day is a window
  RateWindow(std::optional<Day> last, std::optional<Day> last_carried = std::nullopt)  // NOLINT: so is a day
      : through(last), carried_through(last_carried) {}
  std::optional<Day> through;          // usage dated after it is left out (not yet due), not unrated; none: all is due
  std::optional<Day> carried_through;  // without `through`: what carries over goes on up to it, if not the last usage,
                                       // and what is due by the calendar alone up to it
};

struct GrantDay;
struct SettledGrants;

// Rates one subject after the other, and keeps its tables and vectors from one to the next: allocating for each charge
// took longer than pricing it. Borrows the catalog and what was settled; of totals it knows nothing once Rate returns,
// so that their memory may be used again. Not thread-safe.
//
// A charge's totals are gathered per (subscription id, plan, charge, billing period): two versions of a subscription
// that keep the plan go on in the same tiers. For max and latest the running quantity is the running max or latest.
class SubjectRater {
 public:
  // `settled`: of the grants of accounts. Null: they pay nothing.
  explicit SubjectRater(const Catalog& catalog, const SettledGrants* settled = nullptr)
      : catalog_(catalog),
        settled_(settled),
        has_carried_(std::ranges::any_of(catalog.meters, CarriesOver)),
        has_timed_(std::ranges::any_of(catalog.plans, OwesWithoutUsage)),
        has_grants_(!catalog.grants.empty()),
        has_amended_(std::ranges::any_of(catalog.plans, HasSlicedCharge)),
        has_unit_grants_(!catalog.unit_grants.empty()),
        has_discounts_(!catalog.discounts.empty()),
        has_free_trial_(std::ranges::any_of(catalog.plans, &Plan::is_trial_free)),
        plans_(catalog.plans.size()) {}

  // Into `rated`, whatever it was before. Errors: OutOfRange with the subscription, charge and period in the message;
  // or with the account whose grants could not be settled.
  [[nodiscard]] absl::Status Rate(std::string_view subject, std::span<const SubjectTotal> totals,
                                  const RateWindow& window, RatedSubject* rated);

 private:
  using Subscriptions = Catalog::SubscriptionRange;
  using PlanCharge = PreparedPlan::PlanCharge;

  // A total that a charge takes. Ordered as the totals of a charge add up: by day, by the subject's subscription, and
  // as they came. One number, because comparing three in turn is a branch that is guessed wrong.
  class PricedTotal {
   public:
    PricedTotal(Day day, size_t subscription, const SubjectTotal* total)
        : place_(static_cast<uint64_t>(static_cast<uint32_t>(day.number) ^ kSign) << 32 | subscription),
          total_(total) {}
    Day day() const { return {static_cast<int32_t>(static_cast<uint32_t>(place_ >> 32) ^ kSign)}; }
    size_t subscription() const { return static_cast<uint32_t>(place_); }
    const SubjectTotal& total() const { return *total_; }
    friend bool operator<(const PricedTotal& a, const PricedTotal& b) { return a.order() < b.order(); }

   private:
    static constexpr uint32_t kSign = 0x80000000;  // so that days before 1970 come first
    Uint128 order() const { return static_cast<Uint128>(place_) << 64 | reinterpret_cast<uintptr_t>(total_); }
    uint64_t place_;
    const SubjectTotal* total_;
  };
  // Totals of one charge in that order: those of one meter and dimension values come so.
  struct PricedRun {
    uint64_t order;  // of (subscription id, plan), then of the charge's name
    const PlanCharge* charge;
    uint32_t first;  // of priced_; of a charge that is carried the first of its meter's totals
    uint32_t count;  // kCarried: of a meter that carries over
  };
  static constexpr uint32_t kCarried = 0;
  struct CarriedPart {
    uint32_t part = 0;  // PartOf
    CarriedUsage usage;
    CarriedUsage::ToDate to_date;
  };
  // The billing period at hand of a charge that is carried.
  struct CarriedPeriod {
    const PlanCharge* charge = nullptr;
    const Meter* meter = nullptr;
    RatedCharge rated;
    size_t first_day = 0, first_part = 0;  // of the subject's
    bool begun = false;
    bool Has(Day day) const { return begun && rated.period.start <= day && day < rated.period.end; }
  };

  const PreparedPlan& PlanOf(const Subscription& subscription);
  const BillingPeriod& PeriodFor(const PlanCharge& charge, const Subscription& subscription, Day day);
  void OrderSubscriptions(const Subscriptions& subscriptions);
  bool IsFree(const Subscription& subscription, Day day) const;
  UsagePlace PlaceFor(const Subscriptions& subscriptions, const SubjectTotal& total) const;
  void PriceTotals(const Subscriptions& subscriptions, std::span<const SubjectTotal> totals, std::optional<Day> through,
                   std::vector<UnratedUsage>* unrated);
  void Append(const PlanCharge& charge, const PricedTotal& priced, bool same);
  std::span<const PricedTotal> TakeCharge(std::span<const PricedRun>* rest);
  absl::Status RateCharge(const Subscriptions& subscriptions, const PlanCharge& charge,
                          std::span<const PricedTotal> totals, std::optional<Day> through, RatedSubject* rated);
  absl::Status RatePeriod(const Subscriptions& subscriptions, const PlanCharge& charge,
                          std::span<const PricedTotal> totals, std::optional<Day> through, RatedCharge* rated,
                          RatedSubject* subject);
  absl::Status RateQuantity(const PlanCharge& charge, std::span<const PricedTotal> totals, RatedCharge* rated,
                            std::vector<DayWorth>* days) const;
  absl::Status RateAggregate(const PlanCharge& charge, std::span<const PricedTotal> totals, RatedCharge* rated,
                             std::vector<DayWorth>* days);
  absl::Status RateParts(const Subscriptions& subscriptions, std::span<const PricedTotal> totals,
                         std::optional<Day> through, RatedCharge* rated, RatedSubject* subject);
  absl::Status RateDay(Day day, const RatedCharge& rated, std::vector<DayWorth>* days);
  absl::Status RateRuns(const Subscriptions& subscriptions, std::span<const SubjectTotal> totals,
                        const RateWindow& window, RatedSubject* rated);

  // rate_carried.cc
  void MarkCarried(const Subscriptions& subscriptions, std::span<const SubjectTotal> totals);
  void MarkCharges(const PreparedPlan& plan, uint64_t subscription_order, std::span<const SubjectTotal> of_meter,
                   size_t first, size_t first_mark);
  void GatherCarried(const PreparedPlan& plan, const PlanCharge& charge, std::span<const SubjectTotal> of_meter);
  absl::Status RateCarried(const Subscriptions& subscriptions, const PricedRun& run,
                           std::span<const SubjectTotal> totals, const RateWindow& window, RatedSubject* rated);
  absl::Status RateVersion(const Subscription& subscription, const RateWindow& window, CarriedPeriod* period,
                           RatedSubject* rated);
  void BeginCarried(const Subscription& subscription, Day day, CarriedPeriod* period, const RatedSubject& rated);
  absl::Status AddCarriedDay(Day day, const Subscription& subscription, CarriedPeriod* period, RatedSubject* rated);
  absl::Status RateCarriedDay(DayWorth day, const CarriedPeriod& period, RatedSubject* rated);
  absl::Status EndCarried(const RateWindow& window, CarriedPeriod* period, RatedSubject* rated);

  // rate_amended.cc
  // A total of a charge that is rated by slices in this billing period.
  struct AmendedTotal {
    const PlanCharge* charge;
    PricedTotal priced;
  };
  // Of one charge name, by the versions of a subscription whose plans have it, with the same billing periods.
  struct SlicedVersions;
  static bool IsSliced(const Subscriptions& subscriptions, std::string_view id, const Charge& charge,
                       const BillingPeriod& period);
  absl::Status RateAmended(const Subscriptions& subscriptions, const RateWindow& window, RatedSubject* rated);
  SlicedVersions VersionsOf(const Subscriptions& subscriptions, const Subscription& first, const PlanCharge& charge);
  absl::Status RateVersions(const Subscriptions& subscriptions, const SlicedVersions& versions,
                            const RateWindow& window, RatedSubject* rated);

  // rate_timed.cc
  // A time that the subscription is on the plan, without a day of trial in it.
  struct Stay {
    const Subscription* subscription = nullptr;
    Day start;
    Day end{INT32_MAX};  // exclusive; none is that far
    Quantity quantity;
  };
  absl::Status RateTimed(const Subscriptions& subscriptions, const RateWindow& window, RatedSubject* rated);
  void SortCharges(RatedSubject* rated) const;

  // rate_units.cc
  // What was used of a line by an instant, and is neither converted away nor included.
  struct UnitUse {
    Instant at;
    Day day;
    Quantity to_date;  // metered
    Quantity units;    // to pay, to date
    uint64_t events = 0;
  };
  // A charge and period that grants of units pay for; its line is made once all of them are known.
  struct UnitLine {
    RatedCharge rated;
    bool is_complete = false;
    std::vector<PartTotal> parts;
    std::vector<UnitUse> uses;  // by time
  };
  bool IsPaidInUnits(const Subscription& subscription, const PlanCharge& charge) const;
  absl::Status GatherUnits(const Subscriptions& subscriptions, std::span<const PricedTotal> totals,
                           std::optional<Day> through, const RatedCharge& rated);
  absl::Status PayUnits(const Subscriptions& subscriptions, const RateWindow& window, RatedSubject* rated);
  absl::Status PayUnitsOf(const Zone& zone, std::span<const UnitGrant> grants, const RateWindow& window,
                          std::span<UnitLine*> lines, RatedSubject* rated);

  // rate_discounts.cc
  absl::Status RateDiscounts(const Subscriptions& subscriptions, const RateWindow& window, RatedSubject* rated);
  absl::Status RateDiscountsOf(const Subscriptions& subscriptions, std::string_view id, const RateWindow& window,
                               RatedSubject* rated);

  // rate_grants.cc
  absl::Status RateGrants(const Subscriptions& subscriptions, const RateWindow& window, RatedSubject* rated);
  absl::Status RateGrantsOf(const Subscriptions& subscriptions, std::string_view id, std::span<const Grant> grants,
                            std::optional<Day> through, RatedSubject* rated);
  absl::Status AppendSettled(const Subscriptions& subscriptions, std::string_view id, RatedSubject* rated);
  void AppendGrantLine(const Subscriptions& subscriptions, std::string_view id, const Grant& grant,
                       const Charge& charge, std::span<const GrantDay> days, RatedSubject* rated);
  void GatherStays(const Subscriptions& subscriptions, uint64_t order);
  int32_t DaysOfStay(const BillingPeriod& period) const;
  int32_t BoundDays(const Subscriptions& subscriptions, const RatedCharge& rated);
  absl::Status RateFee(const PlanCharge& charge, Day through, RatedSubject* rated);
  absl::Status RateFeePeriod(const PlanCharge& charge, FeePeriod of, const Stay& first, Day through,
                             RatedSubject* rated);
  absl::Status RateUnused(const PlanCharge& charge, Day through, RatedSubject* rated);
  absl::Status RateBound(const PlanCharge& charge, Day through, RatedSubject* rated);
  // A part of a line (due_parts.h) of the subscription at hand, in the billing period of its plan.
  struct BoundPart {
    BillingPeriod period;
    Day due, day;
    Int128 minor = 0;
    uint32_t plan = 0;
  };
  absl::Status GatherBoundParts(std::string_view subscription, const BillingCycle& cycle, const RatedSubject& rated);
  std::span<const BoundPart> BoundPartsIn(const BillingPeriod& period) const;
  void AppendBoundDays(const PlanCharge& charge, const BillingPeriod& period, Day through);
  absl::Status RateBoundPeriod(const PlanCharge& charge, const BillingPeriod& period, RatedSubject* rated);

  const Catalog& catalog_;
  const SettledGrants* const settled_;
  const bool has_carried_;  // some of its meters carry over
  const bool has_timed_;    // some of its charges may be due without usage
  const bool has_grants_;
  const bool has_amended_;  // some of its charges may be rated by slices
  const bool has_unit_grants_;
  const bool has_discounts_;
  const bool has_free_trial_;                       // some of its plans cost nothing at first
  std::vector<std::optional<PreparedPlan>> plans_;  // those that a subject was on
  std::vector<uint64_t> orders_;                    // of the subject's subscriptions, by id and plan
  std::vector<PricedTotal> priced_;
  std::vector<PricedTotal> of_charge_;
  std::vector<AmendedTotal> amended_;
  std::vector<PricedRun> runs_;
  BillingCycle cycle_;  // the last one, and the last of its periods
  BillingPeriod period_;
  RunningUsage running_;                // of the charge at hand, where it is rated in parts
  RunningAggregate aggregate_;          // of the charge at hand, where Merge alone does not make its quantity
  std::vector<CarriedPart> carried_;    // of the charge at hand, by part
  std::vector<UsagePart> usage_parts_;  // the same at the end of a day
  std::vector<Stay> stays_;             // of the subscription and plan at hand, by their days
  std::vector<Day> due_days_;           // of the fee, or bound, and period at hand
  std::vector<BoundPart> bound_parts_;  // of the bound at hand, by period and day
  std::vector<UnitLine> unit_lines_;
};

// One subject, by a rater of its own. Grants of its accounts are settled as if no other subject had any usage or fee.
[[nodiscard]] absl::StatusOr<RatedSubject> RateSubject(const Catalog& catalog, std::string_view subject,
                                                       std::span<const SubjectTotal> totals, const RateWindow& window);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_RATE_H_
