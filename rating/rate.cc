#include "rating/rate.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

#include "rating/account_grants.h"
#include "rating/before_end.h"
#include "rating/bound_slices.h"
#include "rating/carried_parts.h"
#include "rating/minor_unit.h"
#include "rating/price.h"
#include "rating/rate_steps.h"

namespace tollbook {
namespace {

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

// What Merge does. Sums are most of a book, and here they are added in place.
bool AddUp(Aggregation aggregation, const UsageTotal& delta, UsageTotal* into) {
  if (aggregation != Aggregation::kSum && aggregation != Aggregation::kCount) return Merge(aggregation, delta, into);
  return Add(into->value, delta.value, &into->value) &&
         !__builtin_add_overflow(into->events, delta.events, &into->events);
}

FeePeriod FeePeriodOf(const RatedCharge& rated) {
  return {rated.period, rated.period_months, rated.slices, rated.due_before};
}

absl::StatusOr<Worth> PriceFeeToDate(const RatedCharge& rated, Day day, std::vector<PriceStep>* steps) {
  const Fee& fee = *rated.charge->fee;
  Worth worth;
  Quantity units;
  std::vector<FeeStep> fee_steps;
  if (!PriceFee(fee, FeePeriodOf(rated), day, &worth, &units) ||
      (steps != nullptr && !PriceFeeInSteps(fee, FeePeriodOf(rated), day, &fee_steps))) {
    return WorthOutOfRange(rated, rated.slices.front().quantity);
  }
  for (const FeeStep& step : fee_steps) {
    const bool is_only_worth = step.worth.amount.negative();  // what was due before
    steps->push_back({step.what, step.units, is_only_worth ? Price() : fee.price, step.worth});
  }
  return worth;
}

absl::StatusOr<Worth> PriceBoundToDate(const RatedCharge& rated, const DayWorth& day, std::vector<PriceStep>* steps) {
  const auto at = static_cast<size_t>(&day - rated.days.data());
  Worth worth;
  if (!rated.amended.empty()) {
    const bool fits = PriceBoundSlices(OfDay(rated, rated.amended, day), OfDay(rated, rated.bounded, day),
                                       *rated.charge, day.booked_to_date.currency, &worth, steps);
    return fits ? absl::StatusOr<Worth>(worth) : WorthOutOfRange(rated, {});
  }
  if (!PriceBound(rated, rated.bounded[at], day.booked_to_date.currency, &worth)) return WorthOutOfRange(rated, {});
  const PlanBound& bound = *rated.charge->bound;
  const DayShare share = rated.bound_share();
  const std::string days =
      share.days == share.of ? "" : " for " + std::to_string(share.days) + " of " + std::to_string(share.of) + " days";
  const std::string what = bound.is_maximum ? "above the maximum of " : "up to the minimum of ";
  if (steps != nullptr && !worth.amount.zero()) {
    const std::string others = ToString(Money{day.booked_to_date.currency, rated.bounded[at]});
    steps->push_back({what + ToString(bound.amount) + days + ", others " + others, {}, {}, worth});
  }
  return worth;
}

// What a grant pays or loses is an amount of minor units, and no price of anything.
Worth GrantToDate(const Grant* grant_of_account, const DayWorth& day, std::vector<PriceStep>* steps) {
  const Worth worth = ExactWorth(day.booked_to_date);
  if (steps != nullptr) {
    std::string what = worth.amount.negative() ? "paid by the grant" : "lost of the grant";
    if (grant_of_account != nullptr) what += " of account " + grant_of_account->account;
    steps->push_back({what + ", " + ToString(day.to_date) + " left", {}, {}, worth});
  }
  return worth;
}

absl::StatusOr<Worth> PriceSlicesToDate(const RatedCharge& rated, const DayWorth& day, bool complete,
                                        std::vector<PriceStep>* steps) {
  const std::span<const UsageSlice> slices = OfDay(rated, rated.amended, day);
  const bool has_parts = std::ranges::any_of(slices, [](const UsageSlice& slice) { return IsOfParts(*slice.charge); });
  if (!has_parts) return PriceSlices(slices, *rated.charge, complete, steps);
  if (CarriesOver(*rated.meter)) {
    CarriedParts carried(slices);
    for (const SlicedTotal& to_date : rated.sliced) {
      if (to_date.total.time.day <= day.usage_date) carried.Set(to_date.as, to_date.total);
    }
    return PriceSlices(slices, *rated.charge, complete, steps, carried.parts());
  }
  return PriceSlices(slices, *rated.charge, complete, steps, TalliesToDate(rated, day).parts());
}

absl::StatusOr<Worth> TakenOffToDate(const RatedCharge& rated, const DayWorth& day, std::vector<PriceStep>* steps) {
  Worth sum;
  for (const TakenOff& taken : OfDay(rated, rated.taken, day)) {
    const Worth worth = ExactWorth({day.booked_to_date.currency, -taken.minor});
    if (!Wide::Add(sum.amount, worth.amount, &sum.amount)) return WorthOutOfRange(rated, {});
    if (steps == nullptr || taken.minor == 0) continue;
    const Discount& discount = *taken.discount;
    const std::string what =
        discount.amount ? ToString(*discount.amount) : FormatDecimal(discount.share.attos, kPriceScale - 2) + " %";
    steps->push_back({"discount " + discount.id + " of " + what, {}, {}, worth});
  }
  return sum;
}

absl::StatusOr<Worth> PriceDay(const RatedCharge& rated, const DayWorth& day) {
  if (rated.charge->is_of_grant) return GrantToDate(rated.account_grant, day, nullptr);
  if (rated.charge->is_discount) return TakenOffToDate(rated, day, nullptr);
  if (rated.charge->bound) return PriceBoundToDate(rated, day, nullptr);
  if (!rated.amended.empty()) return PriceSlicesToDate(rated, day, IsLastDay(rated, day.usage_date), nullptr);
  if (rated.charge->fee) {
    Worth worth;
    if (PriceFeeByDays(*rated.charge->fee, FeePeriodOf(rated), day.usage_date, &worth)) return worth;
    return WorthOutOfRange(rated, rated.slices.front().quantity);
  }
  if (rated.charge->minimum) return PricePeriod(*rated.charge, UsageToDate(rated, day));
  if (rated.parts.empty()) return PriceQuantity(*rated.charge, day.to_date);
  return PricePeriod(*rated.charge, UsageToDate(rated, day));
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

// Hours are counted from the day's first instant, so that a day of 23 or 25 has no hour twice, and none lies in two
// days.
PricedTime PricedTimeOf(const Charge& charge, const Zone& zone, Granularity granularity, Bucket bucket, Day day) {
  if (charge.per_bucket != PerBucket::kHour) return {day, 0};
  constexpr int64_t kHourNanos = 3'600'000'000'000;
  const int64_t into_day = StartOf(granularity, bucket).nanos - zone.StartOf(day).nanos;
  return {day, static_cast<int32_t>(into_day / kHourNanos)};
}

const PreparedPlan& SubjectRater::PlanOf(const Subscription& subscription) {
  std::optional<PreparedPlan>& plan = plans_[subscription.plan];
  if (!plan) plan.emplace(catalog_, catalog_.plans[subscription.plan]);
  return *plan;
}

const BillingPeriod& SubjectRater::PeriodFor(const PlanCharge& charge, const Subscription& subscription, Day day) {
  const BillingCycle cycle = catalog_.CycleOf(charge.billing, subscription);
  if (day < period_.start || period_.end <= day || cycle != cycle_) period_ = PeriodOf(cycle, day);
  cycle_ = cycle;
  return period_;
}

// Two versions of a subscription on one plan have the same order: they share its charges.
void SubjectRater::OrderSubscriptions(const Subscriptions& subscriptions) {
  const auto count = static_cast<size_t>(subscriptions.end() - subscriptions.begin());
  orders_.assign(count, 0);
  if (count < 2) return;
  const auto before = [&](const Subscription& a, const Subscription& b) {
    return std::tie(a.id, catalog_.plans[a.plan].name, a.plan) < std::tie(b.id, catalog_.plans[b.plan].name, b.plan);
  };
  for (size_t i = 0; i < count; ++i) {
    for (const Subscription& other : subscriptions) orders_[i] += before(other, subscriptions.begin()[i]) ? 1 : 0;
  }
}

// `same`: of the same charge and subscription as the one before it.
void SubjectRater::Append(const PlanCharge& charge, const PricedTotal& priced, bool same) {
  const uint64_t order = orders_[priced.subscription()] << 32 | charge.rank;
  same = same || (!runs_.empty() && runs_.back().order == order && runs_.back().charge == &charge);
  const bool goes_on = same && priced_.back() < priced;
  if (!goes_on) runs_.push_back({order, &charge, static_cast<uint32_t>(priced_.size()), 0});
  ++runs_.back().count;
  priced_.push_back(priced);
}

// What PlaceOf says. Most subjects have one subscription, and most meters keep days; 1.2 % of what the totals of a
// book add to its seal, by instructions.
UsagePlace SubjectRater::PlaceFor(const Subscriptions& subscriptions, const SubjectTotal& total) const {
  const bool simple = total.meter->granularity == Granularity::kDay && orders_.size() == 1;
  if (!simple) return PlaceOf(catalog_, subscriptions, total.meter->granularity, total.bucket);
  const Subscription& only = *subscriptions.begin();
  const Day day{total.bucket.number};
  const bool valid = day >= only.valid_from && (!only.valid_to || day < *only.valid_to);
  return {valid ? &only : nullptr, day};
}

bool SubjectRater::IsFree(const Subscription& subscription, Day day) const {
  return catalog_.plans[subscription.plan].is_trial_free && day < catalog_.FirstPaidDayOf(subscription);
}

// Finds the charge of each total. A subject's totals come day after day of the same meter and dimensions, so the last
// answer is mostly the next one too.
void SubjectRater::PriceTotals(const Subscriptions& subscriptions, std::span<const SubjectTotal> totals,
                               std::optional<Day> through, std::vector<UnratedUsage>* unrated) {
  priced_.clear();
  runs_.clear();
  amended_.clear();
  const Subscription* subscription = nullptr;
  const SubjectTotal* last = nullptr;
  const PlanCharge* charge = nullptr;
  bool carries = false;
  bool is_behind_run = false;  // the last total of the charge went to a run
  for (const SubjectTotal& total : totals) {
    const UsagePlace place = PlaceFor(subscriptions, total);
    if (through.has_value() && place.day > *through) continue;
    if (place.subscription == nullptr) {
      unrated->push_back({UnratedUsage::Why::kUnattributed, total.meter, nullptr, place.day, total.total.events});
      continue;
    }
    if (has_free_trial_ && IsFree(*place.subscription, place.day)) {
      unrated->push_back({UnratedUsage::Why::kTrial, total.meter, place.subscription, place.day, total.total.events});
      continue;
    }
    const bool same = subscription == place.subscription && last->meter == total.meter &&
                      SameValues(last->dimension_values, total.dimension_values);
    if (!same) {
      charge = PlanOf(*place.subscription).ChargeFor(*total.meter, total.dimension_values);
      carries = CarriesOver(*total.meter);
    }
    subscription = place.subscription;
    last = &total;
    if (charge == nullptr) {
      unrated->push_back(
          {UnratedUsage::Why::kUnpriced, total.meter, place.subscription, place.day, total.total.events});
      continue;
    }
    if (carries) continue;  // MarkCarried
    const size_t number = static_cast<size_t>(place.subscription - subscriptions.begin());
    if (has_amended_ && MayBeSliced(*charge->charge) &&
        IsSliced(subscriptions, place.subscription->id, *charge->charge,
                 PeriodFor(*charge, *place.subscription, place.day))) {
      amended_.push_back({charge, {place.day, number, &total}});
      is_behind_run = false;
      continue;
    }
    Append(*charge, {place.day, number, &total}, same && is_behind_run);
    is_behind_run = true;
  }
}

// The totals of the first charge of `rest`, in their order.
std::span<const SubjectRater::PricedTotal> SubjectRater::TakeCharge(std::span<const PricedRun>* rest) {
  const PricedRun& first = rest->front();
  size_t runs = 1;
  while (runs < rest->size() && (*rest)[runs].order == first.order) ++runs;
  const std::span<const PricedRun> taken = rest->first(runs);
  *rest = rest->subspan(runs);
  if (runs == 1) return std::span(priced_).subspan(first.first, first.count);

  of_charge_.clear();
  for (const PricedRun& run : taken) {
    for (uint32_t i = 0; i < run.count; ++i) of_charge_.push_back(priced_[run.first + i]);
  }
  std::sort(of_charge_.begin(), of_charge_.end());
  return of_charge_;
}

// `totals` are those of one charge and period, by day.
absl::Status SubjectRater::RateQuantity(const PlanCharge& charge, std::span<const PricedTotal> totals,
                                        RatedCharge* rated, std::vector<DayWorth>* days) const {
  const Currency currency = catalog_.plans[rated->subscription->plan].currency;
  const Aggregation aggregation = rated->meter->aggregation;
  const size_t first_day = days->size();
  UsageTotal to_date;
  for (size_t i = 0; i < totals.size(); ++i) {
    if (!AddUp(aggregation, totals[i].total().total, &to_date)) return TotalOutOfRange(*rated);
    const Day day = totals[i].day();
    const bool day_goes_on = i + 1 < totals.size() && totals[i + 1].day() == day;
    if (day_goes_on) continue;
    Int128 minor = 0;
    if (!charge.price.Of(to_date.value, &minor)) return WorthOutOfRange(*rated, to_date.value);
    days->push_back({day, to_date.value, {currency, minor}, to_date.events});
  }
  rated->days = std::span(*days).subspan(first_day);
  return absl::OkStatus();
}

// The same for a meter whose quantity is not just what Merge makes of its totals.
absl::Status SubjectRater::RateAggregate(const PlanCharge& charge, std::span<const PricedTotal> totals,
                                         RatedCharge* rated, std::vector<DayWorth>* days) {
  const Currency currency = catalog_.plans[rated->subscription->plan].currency;
  const size_t first_day = days->size();
  aggregate_.Begin(*rated->meter);
  for (size_t i = 0; i < totals.size(); ++i) {
    if (!aggregate_.Add(totals[i].total().total)) return TotalOutOfRange(*rated);
    const Day day = totals[i].day();
    const bool day_goes_on = i + 1 < totals.size() && totals[i + 1].day() == day;
    if (day_goes_on) continue;
    Quantity to_date;
    if (!aggregate_.ToDate(&to_date)) return TotalOutOfRange(*rated);
    Int128 minor = 0;
    if (!charge.price.Of(to_date, &minor)) return WorthOutOfRange(*rated, to_date);
    days->push_back({day, to_date, {currency, minor}, aggregate_.events()});
  }
  rated->days = std::span(*days).subspan(first_day);
  return absl::OkStatus();
}

// The same for a charge whose worth needs more than the quantity: by the parts that are priced apart.
absl::Status SubjectRater::RateParts(const Subscriptions& subscriptions, std::span<const PricedTotal> totals,
                                     std::optional<Day> through, RatedCharge* rated, RatedSubject* subject) {
  const size_t first_day = subject->days.size(), first_part = subject->parts.size();
  const Day last_of_period = {rated->period.end.number - 1};
  if (rated->charge->minimum) rated->bound_days = BoundDays(subscriptions, *rated);
  running_.Begin(*rated->charge, *rated->meter, rated->subscription->zone);
  for (size_t i = 0; i < totals.size(); ++i) {
    const SubjectTotal& total = totals[i].total();
    const Day day = totals[i].day();
    const Zone& zone = subscriptions.begin()[totals[i].subscription()].zone;
    const std::optional<uint32_t> part = PartOf(*rated->charge, *rated->meter, total.dimension_values);
    TOLLBOOK_ASSERT(part.has_value());  // or no charge had taken it
    const PricedTime time = PricedTimeOf(*rated->charge, zone, total.meter->granularity, total.bucket, day);
    const std::optional<Quantity> prorated = ProratedOf(*rated->meter, total.dimension_values);
    TOLLBOOK_ASSERT(prorated.has_value() != rated->meter->prorated_property.empty());  // or absorb had not taken it
    subject->parts.push_back({time, *part, total.total, prorated.value_or(Quantity())});
    if (!running_.Add(subject->parts.back())) return TotalOutOfRange(*rated);
    const bool day_goes_on = i + 1 < totals.size() && totals[i + 1].day() == day;
    if (!day_goes_on) TOLLBOOK_RETURN_IF_ERROR(RateDay(day, *rated, &subject->days));
  }
  const bool is_complete = !through || last_of_period <= *through;
  const bool has_last_day = totals.back().day() == last_of_period;
  if (IsDueAtEnd(*rated->charge) && is_complete && !has_last_day) {
    TOLLBOOK_RETURN_IF_ERROR(RateDay(last_of_period, *rated, &subject->days));
  }
  rated->days = std::span(subject->days).subspan(first_day);
  rated->parts = std::span(subject->parts).subspan(first_part);
  return absl::OkStatus();
}

// The day is over, whether it had usage or not.
absl::Status SubjectRater::RateDay(Day day, const RatedCharge& rated, std::vector<DayWorth>* days) {
  if (!running_.EndDay()) return WorthOutOfRange(rated, running_.quantity());
  Worth worth;
  Rounded rounded;
  const Currency currency = catalog_.plans[rated.subscription->plan].currency;
  if (!PriceAround(*rated.charge, running_.worth(), IsLastDay(rated, day), &worth, MinimumShareOf(rated)) ||
      !RoundToMinor(worth, currency, catalog_.book.rounding, &rounded)) {
    return WorthOutOfRange(rated, running_.quantity());
  }
  days->push_back({day, running_.quantity(), rounded.line, running_.events()});
  return absl::OkStatus();
}

absl::Status SubjectRater::RatePeriod(const Subscriptions& subscriptions, const PlanCharge& charge,
                                      std::span<const PricedTotal> totals, std::optional<Day> through,
                                      RatedCharge* rated, RatedSubject* subject) {
  if (charge.of_quantity_alone && IsMergeAlone(*rated->meter)) {
    return RateQuantity(charge, totals, rated, &subject->days);
  }
  if (charge.of_quantity_alone) return RateAggregate(charge, totals, rated, &subject->days);
  return RateParts(subscriptions, totals, through, rated, subject);
}

absl::Status SubjectRater::RateCharge(const Subscriptions& subscriptions, const PlanCharge& charge,
                                      std::span<const PricedTotal> totals, std::optional<Day> through,
                                      RatedSubject* rated) {
  while (!totals.empty()) {
    RatedCharge of_period;
    // The version of the subscription that the period's first usage fell in: what is booked stays where it is when the
    // next version begins in mid-period.
    of_period.subscription = subscriptions.begin() + totals.front().subscription();
    of_period.charge = charge.charge;
    of_period.meter = totals.front().total().meter;
    of_period.period = PeriodFor(charge, *of_period.subscription, totals.front().day());
    size_t count = 1;
    while (count < totals.size() && totals[count].day() < period_.end) ++count;
    const std::span<const PricedTotal> of_totals = totals.first(count);
    totals = totals.subspan(count);
    if (has_unit_grants_ && IsPaidInUnits(*of_period.subscription, charge)) {
      TOLLBOOK_RETURN_IF_ERROR(GatherUnits(subscriptions, of_totals, through, of_period));
      continue;  // PayUnits
    }
    TOLLBOOK_RETURN_IF_ERROR(RatePeriod(subscriptions, charge, of_totals, through, &of_period, rated));
    rated->charges.push_back(of_period);
  }
  return absl::OkStatus();
}

absl::Status SubjectRater::RateRuns(const Subscriptions& subscriptions, std::span<const SubjectTotal> totals,
                                    const RateWindow& window, RatedSubject* rated) {
  for (std::span<const PricedRun> rest = runs_; !rest.empty();) {
    const PricedRun& run = rest.front();
    if (run.count == kCarried) {
      TOLLBOOK_RETURN_IF_ERROR(RateCarried(subscriptions, run, totals, window, rated));
      rest = rest.subspan(1);
    } else {
      TOLLBOOK_RETURN_IF_ERROR(RateCharge(subscriptions, *run.charge, TakeCharge(&rest), window.through, rated));
    }
  }
  return absl::OkStatus();
}

absl::Status SubjectRater::Rate(std::string_view subject, std::span<const SubjectTotal> totals,
                                const RateWindow& window, RatedSubject* rated) {
  const Subscriptions subscriptions = catalog_.SubscriptionsOf(subject);
  rated->Clear();
  unit_lines_.clear();
  // At most so many, and a last day for each minimum: the charges' spans stay where they are.
  rated->days.reserve(totals.size() * 2);
  rated->parts.reserve(totals.size());
  OrderSubscriptions(subscriptions);
  PriceTotals(subscriptions, totals, window.through, &rated->unrated);
  if (has_carried_) MarkCarried(subscriptions, totals);
  std::sort(runs_.begin(), runs_.end(), [](const PricedRun& a, const PricedRun& b) { return a.order < b.order; });
  TOLLBOOK_RETURN_IF_ERROR(RateRuns(subscriptions, totals, window, rated));
  if (has_unit_grants_) TOLLBOOK_RETURN_IF_ERROR(PayUnits(subscriptions, window, rated));
  if (has_carried_ && !has_timed_) PointToDays(rated);
  if (has_amended_) TOLLBOOK_RETURN_IF_ERROR(RateAmended(subscriptions, window, rated));
  if (has_timed_) TOLLBOOK_RETURN_IF_ERROR(RateTimed(subscriptions, window, rated));
  if (has_discounts_) TOLLBOOK_RETURN_IF_ERROR(RateDiscounts(subscriptions, window, rated));
  if (has_grants_) TOLLBOOK_RETURN_IF_ERROR(RateGrants(subscriptions, window, rated));
  if (has_timed_ || has_grants_ || has_amended_ || has_unit_grants_ || has_discounts_) SortCharges(rated);
  Gather(&rated->unrated);
  return absl::OkStatus();
}

namespace {

struct PartToDate {
  RunningAggregate aggregate;
  std::vector<PartTotal> events;  // where its pricing is of events
};

std::vector<PricedElement> InOrder(std::vector<PartTotal> events) {
  std::ranges::sort(events, [](const PartTotal& a, const PartTotal& b) {
    if (a.time.day != b.time.day) return a.time.day < b.time.day;
    return CompareElements(PricedElement(a.total, a.prorated), PricedElement(b.total, b.prorated)) < 0;
  });
  std::vector<PricedElement> in_order;
  for (const PartTotal& event : events) in_order.emplace_back(event.total, event.prorated);
  return in_order;
}

}  // namespace

SliceTallies TalliesToDate(const RatedCharge& rated, const DayWorth& day) {
  SliceTallies tallies(OfDay(rated, rated.amended, day));
  for (const SlicedTotal& used : rated.sliced) {
    const Day of_used = used.total.time.day;
    if (day.usage_date < of_used) break;
    const bool is_new_day = &used != rated.sliced.data() && (&used)[-1].total.time.day != of_used;
    TOLLBOOK_ASSERT(!is_new_day || tallies.EndDay());  // it did when it was rated
    TOLLBOOK_ASSERT(tallies.Add(used.as, used.total));
  }
  TOLLBOOK_ASSERT(tallies.EndDay());
  return tallies;
}

PeriodUsage UsageToDate(const RatedCharge& rated, const DayWorth& day) {
  PeriodUsage usage;
  usage.zone = rated.subscription->zone;
  usage.complete = IsLastDay(rated, day.usage_date);
  usage.minimum_share = MinimumShareOf(rated);
  if (!rated.granted.empty()) usage.granted = OfDay(rated, rated.granted, day);
  if (rated.parts.empty() && rated.charge->minimum && rated.amended.empty()) return usage;  // of days without any
  if (rated.parts.empty()) {
    usage.parts = {{{}, 0, day.to_date, day.events_to_date}};
    return usage;
  }
  if (CarriesOver(*rated.meter)) {
    for (const PartTotal& part : rated.parts) {
      if (part.time.day == day.usage_date) usage.parts.push_back({{}, part.part, part.total.value, part.total.events});
    }
    return usage;
  }
  std::map<std::pair<PricedTime, uint32_t>, PartToDate> parts;
  for (const PartTotal& added : rated.parts) {
    if (day.usage_date < added.time.day) continue;
    const auto [at, is_new] = parts.try_emplace({BucketOf(*rated.charge, added.time), added.part});
    PartToDate& part = at->second;
    if (is_new) part.aggregate.Begin(*rated.meter);
    TOLLBOOK_ASSERT(part.aggregate.Add(added.total));  // it did when it was rated
    if (IsOfEvents(PricingOf(*rated.charge, added.part))) part.events.push_back(added);
  }
  for (auto& [place, part] : parts) {
    Quantity quantity;
    TOLLBOOK_ASSERT(part.aggregate.ToDate(&quantity));
    usage.parts.push_back(
        {place.first, place.second, quantity, part.aggregate.events(), InOrder(std::move(part.events))});
  }
  return usage;
}

absl::StatusOr<Worth> PriceToDate(const RatedCharge& rated, const DayWorth& day, std::vector<PriceStep>* steps) {
  if (steps != nullptr) steps->clear();
  if (rated.charge->is_of_grant) return GrantToDate(rated.account_grant, day, steps);
  if (rated.charge->is_discount) return TakenOffToDate(rated, day, steps);
  if (rated.charge->bound) return PriceBoundToDate(rated, day, steps);
  if (rated.charge->fee) return PriceFeeToDate(rated, day.usage_date, steps);
  if (!rated.amended.empty()) return PriceSlicesToDate(rated, day, IsLastDay(rated, day.usage_date), steps);
  return PricePeriod(*rated.charge, UsageToDate(rated, day), steps);
}

absl::StatusOr<Worth> PriceBeforeEnd(const RatedCharge& rated, const DayWorth& day, std::vector<PriceStep>* steps) {
  if (steps != nullptr) steps->clear();
  if (!rated.amended.empty()) return PriceSlicesToDate(rated, day, false, steps);
  PeriodUsage usage = UsageToDate(rated, day);
  usage.complete = false;
  return PricePeriod(*rated.charge, usage, steps);
}

Worth WorthToDate(const RatedCharge& rated, const DayWorth& day) {
  const absl::StatusOr<Worth> worth = PriceDay(rated, day);
  TOLLBOOK_ASSERT(worth.ok());
  return *worth;
}

const DayWorth* FirstMisroundedDay(const RatedCharge& rated, Rounding rounding) {
  for (const DayWorth& day : rated.days) {
    const absl::StatusOr<Worth> worth = PriceDay(rated, day);
    if (!worth.ok()) return &day;
    const absl::StatusOr<Rounded> rounded = RoundToMinor(*worth, day.booked_to_date.currency, rounding);
    if (!rounded.ok() || rounded->line != day.booked_to_date) return &day;
  }
  return nullptr;
}

absl::StatusOr<RatedSubject> RateSubject(const Catalog& catalog, std::string_view subject,
                                         std::span<const SubjectTotal> totals, const RateWindow& window) {
  RatedSubject rated;
  TOLLBOOK_RETURN_IF_ERROR(SubjectRater(catalog).Rate(subject, totals, window, &rated));
  const std::vector<std::string_view> accounts = GrantedAccountsOf(catalog, subject);
  if (accounts.empty()) return rated;

  DuesByAccount dues;
  AddDues(catalog, subject, absl::OkStatus(), rated, &dues);
  SettledGrants settled;
  for (const std::string_view account : accounts)
    Settle(catalog, account, dues[account], TimedThrough(window), &settled);
  TOLLBOOK_RETURN_IF_ERROR(SubjectRater(catalog, &settled).Rate(subject, totals, window, &rated));
  return rated;
}

}  // namespace tollbook
