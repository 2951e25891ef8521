#include "rating/rate.h"

#include <algorithm>
#include <string>
#include <tuple>

namespace tollbook {
namespace {

// A total and the charge that takes it.
struct PricedTotal {
  const Subscription* subscription;
  const Charge* charge;
  Day day;
  const SubjectTotal* total;
};

using TotalRange = std::span<const PricedTotal>;

// Remembers the last answer: a subject's totals come day after day of the same meter and dimensions.
class ChargeFinder {
 public:
  explicit ChargeFinder(const Catalog& catalog) : catalog_(catalog) {}

  const Charge* Find(const Subscription& subscription, const SubjectTotal& total) {
    const Plan& plan = catalog_.plans[subscription.plan];
    const bool same =
        plan_ == &plan && last_->meter == total.meter && std::ranges::equal(last_->dimension_values, total.dimension_values);
    if (!same) charge_ = catalog_.ChargeFor(plan, *total.meter, total.dimension_values);
    plan_ = &plan;
    last_ = &total;
    return charge_;
  }

 private:
  const Catalog& catalog_;
  const Plan* plan_ = nullptr;
  const SubjectTotal* last_ = nullptr;
  const Charge* charge_ = nullptr;
};

// By (subscription id, plan, charge name, day), which is by period too; versions of a subscription in their order.
class InChargeOrder {
 public:
  explicit InChargeOrder(const Catalog& catalog) : catalog_(catalog) {}

  bool operator()(const PricedTotal& a, const PricedTotal& b) const {
    if (a.charge != b.charge || a.subscription != b.subscription) {
      if (const int order = a.subscription->id.compare(b.subscription->id); order != 0) return order < 0;
      if (const int order = PlanName(a).compare(PlanName(b)); order != 0) return order < 0;
      if (const int order = a.charge->name.compare(b.charge->name); order != 0) return order < 0;
    }
    return std::tie(a.day, a.subscription) < std::tie(b.day, b.subscription);
  }

 private:
  const std::string& PlanName(const PricedTotal& priced) const {
    return catalog_.plans[priced.subscription->plan].name;
  }
  const Catalog& catalog_;
};

// The totals at the front of `rest` that share their subscription id, charge (so plan) and billing period.
TotalRange TakePeriod(TotalRange* rest, BillingPeriod period) {
  const PricedTotal& first = rest->front();
  size_t count = 1;
  while (count < rest->size()) {
    const PricedTotal& next = (*rest)[count];
    if (next.charge != first.charge || next.day >= period.end || next.subscription->id != first.subscription->id) break;
    ++count;
  }
  const TotalRange taken = rest->first(count);
  *rest = rest->subspan(count);
  return taken;
}

std::string Which(const RatedCharge& rated) {
  return "subscription " + rated.subscription->id + ", charge " + rated.charge->name + ", billing period " +
         ToString(rated.period.start) + " to " + ToString(rated.period.end);
}

absl::Status TotalOutOfRange(const RatedCharge& rated) {
  return MakeError(absl::StatusCode::kOutOfRange, "the usage of the period does not fit a quantity", Which(rated),
                   "check the meter's unit and the values of its events");
}

absl::Status WorthOutOfRange(const RatedCharge& rated, Quantity quantity) {
  return MakeError(absl::StatusCode::kOutOfRange, "the worth of the period does not fit",
                   Which(rated) + ", quantity " + ToString(quantity), "check the charge's prices and the meter's unit");
}

absl::StatusOr<DayWorth> WorthToDate(const RatedCharge& rated, Day day, const UsageTotal& to_date, Currency currency,
                                     Rounding rounding) {
  const absl::StatusOr<Worth> worth = PriceQuantity(*rated.charge, to_date.value);
  if (!worth.ok()) return WorthOutOfRange(rated, to_date.value);
  const absl::StatusOr<Rounded> rounded = RoundToMinor(*worth, currency, rounding);
  if (!rounded.ok()) return WorthOutOfRange(rated, to_date.value);
  return DayWorth{day, to_date.value, *worth, rounded->line, to_date.events};
}

// `totals` are those of one charge and period, by day.
absl::Status RatePeriod(const Catalog& catalog, TotalRange totals, RatedCharge* rated) {
  const Currency currency = catalog.plans[rated->subscription->plan].currency;
  UsageTotal to_date;
  rated->days.reserve(std::min(totals.size(), size_t{31}));
  for (size_t i = 0; i < totals.size(); ++i) {
    const SubjectTotal& total = *totals[i].total;
    if (!Merge(total.meter->aggregation, total.total, &to_date)) return TotalOutOfRange(*rated);
    const bool day_goes_on = i + 1 < totals.size() && totals[i + 1].day == totals[i].day;
    if (day_goes_on) continue;
    absl::StatusOr<DayWorth> worth = WorthToDate(*rated, totals[i].day, to_date, currency, catalog.book.rounding);
    if (!worth.ok()) return worth.status();
    rated->days.push_back(*std::move(worth));
  }
  return absl::OkStatus();
}

absl::Status RatePeriods(const Catalog& catalog, TotalRange totals, std::vector<RatedCharge>* charges) {
  while (!totals.empty()) {
    RatedCharge rated;
    // The version of the subscription that the period's first usage fell in: what is booked stays where it is when the
    // next version begins in mid-period.
    rated.subscription = totals.front().subscription;
    rated.charge = totals.front().charge;
    rated.period = MonthOf(totals.front().day);
    const TotalRange of_period = TakePeriod(&totals, rated.period);
    TOLLBOOK_RETURN_IF_ERROR(RatePeriod(catalog, of_period, &rated));
    charges->push_back(std::move(rated));
  }
  return absl::OkStatus();
}

bool SameButEvents(const UnratedUsage& a, const UnratedUsage& b) {
  return a.why == b.why && a.meter == b.meter && a.subscription == b.subscription && a.usage_date == b.usage_date;
}

// One entry per reason, meter, subscription and day, in this order, whatever order the totals came in.
void Gather(std::vector<UnratedUsage>* unrated) {
  std::sort(unrated->begin(), unrated->end(), [](const UnratedUsage& a, const UnratedUsage& b) {
    if (a.why != b.why) return a.why < b.why;
    if (a.meter != b.meter) return a.meter->name < b.meter->name;
    return std::tie(a.subscription, a.usage_date) < std::tie(b.subscription, b.usage_date);
  });
  size_t kept = 0;
  for (size_t i = 1; i < unrated->size(); ++i) {
    if (SameButEvents((*unrated)[kept], (*unrated)[i])) {
      (*unrated)[kept].events += (*unrated)[i].events;
    } else {
      (*unrated)[++kept] = (*unrated)[i];
    }
  }
  if (!unrated->empty()) unrated->resize(kept + 1);
}

}  // namespace

UsagePlace PlaceOf(const Catalog& catalog, const Catalog::SubscriptionRange& subscriptions, Granularity granularity,
                   Bucket bucket) {
  for (const Subscription& subscription : subscriptions) {
    const Day day = DayOfBucket(granularity, bucket, subscription.zone);
    if (day < subscription.valid_from) continue;
    if (!subscription.valid_to.has_value() || day < *subscription.valid_to) return {&subscription, day};
  }
  return {nullptr, DayOfBucket(granularity, bucket, catalog.book.zone)};
}

absl::StatusOr<RatedSubject> RateSubject(const Catalog& catalog, std::string_view subject,
                                         std::span<const SubjectTotal> totals, std::optional<Day> through) {
  const Catalog::SubscriptionRange subscriptions = catalog.SubscriptionsOf(subject);
  RatedSubject result;
  std::vector<PricedTotal> priced;
  priced.reserve(totals.size());
  ChargeFinder finder(catalog);
  for (const SubjectTotal& total : totals) {
    const UsagePlace place = PlaceOf(catalog, subscriptions, total.meter->granularity, total.bucket);
    if (through.has_value() && place.day > *through) continue;
    if (place.subscription == nullptr) {
      result.unrated.push_back({UnratedUsage::Why::kUnattributed, total.meter, nullptr, place.day, total.total.events});
      continue;
    }
    const Charge* charge = finder.Find(*place.subscription, total);
    if (charge == nullptr) {
      result.unrated.push_back(
          {UnratedUsage::Why::kUnpriced, total.meter, place.subscription, place.day, total.total.events});
      continue;
    }
    priced.push_back({place.subscription, charge, place.day, &total});
  }

  const InChargeOrder in_charge_order(catalog);
  if (!std::is_sorted(priced.begin(), priced.end(), in_charge_order)) {
    std::sort(priced.begin(), priced.end(), in_charge_order);
  }
  TOLLBOOK_RETURN_IF_ERROR(RatePeriods(catalog, priced, &result.charges));
  Gather(&result.unrated);
  return result;
}

}  // namespace tollbook
