// Rate: the usage totals of one subject to what they are worth, by charge, billing period and day.
//
// Pure. The worth of a day is the running worth less that of the day before, and likewise its rounded amount:
// round(worth to date) - round(worth to the day before). So days sum to the period's line whatever the tiers.
#ifndef TOLLBOOK_RATING_RATE_H_
#define TOLLBOOK_RATING_RATE_H_

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "rating/catalog.h"
#include "rating/price.h"
#include "rating/usage_total.h"

namespace tollbook {

// One stored total of the subject at hand.
struct SubjectTotal {
  const Meter* meter = nullptr;      // of the catalog that rates
  DimensionValues dimension_values;  // in the meter's order; kept by whoever made the totals
  Bucket bucket;
  UsageTotal total;
};

// The running state of one charge and billing period at the end of one day that had usage.
struct DayWorth {
  Day usage_date;        // civil, in the subscription's zone
  Quantity to_date;      // the period's aggregated quantity so far
  Worth worth_to_date;   // exact
  Money booked_to_date;  // rounded: what the book must say for the period up to this day
  uint64_t events_to_date = 0;
};

struct RatedCharge {
  const Subscription* subscription = nullptr;
  const Charge* charge = nullptr;
  BillingPeriod period;
  std::vector<DayWorth> days;  // ascending, at least one; back() is the period's line
};

// Usage that is in the book and that no charge takes.
struct UnratedUsage {
  enum class Why : uint8_t {
    kUnattributed,  // no subscription of the subject is valid on that day
    kUnpriced,      // the plan has no charge for the meter and these dimension values
  };
  Why why = Why::kUnattributed;
  const Meter* meter = nullptr;
  const Subscription* subscription = nullptr;  // null when unattributed
  Day usage_date;                              // in the subscription's zone; the book's when unattributed
  uint64_t events = 0;
};

struct RatedSubject {
  std::vector<RatedCharge> charges;  // by (subscription id, plan, charge name, period)
  std::vector<UnratedUsage> unrated;
};

// Where the usage of one bucket belongs. The first subscription that is valid on the bucket's day in its own zone takes
// it, so that none is priced twice where the next one's days begin earlier.
struct UsagePlace {
  const Subscription* subscription = nullptr;  // null: none is valid
  Day day;                                     // in the subscription's zone; the book's without one
};
[[nodiscard]] UsagePlace PlaceOf(const Catalog& catalog, const Catalog::SubscriptionRange& subscriptions,
                                 Granularity granularity, Bucket bucket);

// A charge's totals are gathered per (subscription id, plan, charge, billing period): two versions of a subscription
// that keep the plan go on in the same tiers. For max and latest the running quantity is the running max or latest.
// `through`: usage dated after it is left out (not yet due), not unrated.
// Errors: OutOfRange with the subscription, charge and period in the message.
[[nodiscard]] absl::StatusOr<RatedSubject> RateSubject(const Catalog& catalog, std::string_view subject,
                                                       std::span<const SubjectTotal> totals,
                                                       std::optional<Day> through);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_RATE_H_
