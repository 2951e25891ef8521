// Charges of meters that carry over: a level, or a set with removals, which goes on without usage.
//
// What is there is the subject's, whoever's days it came on: so each charge is given all the elements that it would
// take, and counts the days on which its subscription is valid.
#include <algorithm>

#include "rating/error.h"
#include "rating/rate.h"
#include "rating/rate_steps.h"

namespace tollbook {
namespace {

// The totals of one meter stand together.
std::span<const SubjectTotal> OfMeter(std::span<const SubjectTotal> totals) {
  size_t count = 0;
  while (count < totals.size() && totals[count].meter == totals.front().meter) ++count;
  return totals.first(count);
}

// And those of one series in them.
std::span<const SubjectTotal> OfSeries(std::span<const SubjectTotal> totals) {
  size_t count = 0;
  while (count < totals.size() && SameValues(totals[count].dimension_values, totals.front().dimension_values)) ++count;
  return totals.first(count);
}

}  // namespace

// One mark for each charge of each subscription that takes some of a carried meter's series, be it without an event.
void SubjectRater::MarkCarried(const Subscriptions& subscriptions, std::span<const SubjectTotal> totals) {
  const size_t first_mark = runs_.size();
  for (size_t at = 0; at < totals.size();) {
    const std::span<const SubjectTotal> of_meter = OfMeter(totals.subspan(at));
    if (CarriesOver(*of_meter.front().meter)) {
      for (const Subscription& subscription : subscriptions) {
        const auto number = static_cast<size_t>(&subscription - subscriptions.begin());
        const PreparedPlan& plan = PlanOf(subscription);
        MarkCharges(plan, orders_[number], of_meter, at, first_mark);
        // Slices (RateAmended) take all that is there, whoever's days it came on.
        for (const SubjectTotal& element : has_amended_ ? of_meter : of_meter.first(0)) {
          const PlanCharge* charge = plan.ChargeFor(*element.meter, element.dimension_values);
          if (charge == nullptr || !MayBeSliced(*charge->charge)) continue;
          amended_.push_back({charge, {subscription.zone.DayOf(element.total.latest_at), number, &element}});
        }
      }
    }
    at += of_meter.size();
  }
}

void SubjectRater::MarkCharges(const PreparedPlan& plan, uint64_t subscription_order,
                               std::span<const SubjectTotal> of_meter, size_t first, size_t first_mark) {
  for (std::span<const SubjectTotal> rest = of_meter; !rest.empty();) {
    const std::span<const SubjectTotal> series = OfSeries(rest);
    rest = rest.subspan(series.size());
    const PlanCharge* charge = plan.ChargeFor(*series.front().meter, series.front().dimension_values);
    if (charge == nullptr) continue;
    const uint64_t order = subscription_order << 32 | charge->rank;
    const bool marked = std::any_of(runs_.begin() + static_cast<std::ptrdiff_t>(first_mark), runs_.end(),
                                    [&](const PricedRun& run) { return run.order == order; });
    if (!marked) runs_.push_back({order, charge, static_cast<uint32_t>(first), kCarried});
  }
}

// The parts of the charge (PartOf), each with a level or set of its own.
void SubjectRater::GatherCarried(const PreparedPlan& plan, const PlanCharge& charge,
                                 std::span<const SubjectTotal> of_meter) {
  carried_.clear();
  const Meter& meter = *of_meter.front().meter;
  uint32_t number = 0;
  for (std::span<const SubjectTotal> rest = of_meter; !rest.empty(); ++number) {
    const std::span<const SubjectTotal> series = OfSeries(rest);
    rest = rest.subspan(series.size());
    const DimensionValues values = series.front().dimension_values;
    if (plan.ChargeFor(meter, values) != &charge) continue;
    const uint32_t part = PartOf(*charge.charge, meter, values).value_or(0);
    const auto before = [](const CarriedPart& a, uint32_t b) { return a.part < b; };
    auto at = std::lower_bound(carried_.begin(), carried_.end(), part, before);
    if (at == carried_.end() || at->part != part) {
      at = carried_.insert(at, CarriedPart());
      at->part = part;
      at->usage.Begin(meter, Zone());
    }
    for (const SubjectTotal& element : series) at->usage.Add(number, element.total);
  }
}

absl::Status SubjectRater::RateCarried(const Subscriptions& subscriptions, const PricedRun& run,
                                       std::span<const SubjectTotal> totals, const RateWindow& window,
                                       RatedSubject* rated) {
  const std::span<const SubjectTotal> of_meter = OfMeter(totals.subspan(run.first));
  const uint64_t order = run.order >> 32;
  CarriedPeriod period;
  period.charge = run.charge;
  period.meter = of_meter.front().meter;
  bool gathered = false;
  for (const Subscription& subscription : subscriptions) {
    if (orders_[static_cast<size_t>(&subscription - subscriptions.begin())] != order) continue;
    if (!gathered) GatherCarried(PlanOf(subscription), *run.charge, of_meter);
    gathered = true;
    TOLLBOOK_RETURN_IF_ERROR(RateVersion(subscription, window, &period, rated));
  }
  return EndCarried(window, &period, rated);
}

// The days of one version of the subscription. A period goes on in the next version.
absl::Status SubjectRater::RateVersion(const Subscription& subscription, const RateWindow& window,
                                       CarriedPeriod* period, RatedSubject* rated) {
  Instant first_at{INT64_MAX}, last_at{INT64_MIN};
  for (CarriedPart& part : carried_) {
    part.usage.SetZone(subscription.zone);
    first_at = std::min(first_at, part.usage.first_at());
    last_at = std::max(last_at, part.usage.last_at());
  }
  const Day usage_ends = subscription.zone.DayOf(last_at);
  Day last = window.through.value_or(std::max(usage_ends, window.carried_through.value_or(usage_ends)));
  if (subscription.valid_to) last = std::min(last, Day{subscription.valid_to->number - 1});
  const bool is_free = has_free_trial_ && catalog_.plans[subscription.plan].is_trial_free;
  const Day first = is_free ? catalog_.FirstPaidDayOf(subscription) : subscription.valid_from;
  for (Day day = std::max(first, subscription.zone.DayOf(first_at)); day <= last; ++day.number) {
    if (!period->Has(day)) {
      TOLLBOOK_RETURN_IF_ERROR(EndCarried(window, period, rated));
      const auto is_over = [](const CarriedPart& part) { return part.usage.is_over(); };
      if (std::all_of(carried_.begin(), carried_.end(), is_over)) break;
      const BillingPeriod& of_day = PeriodFor(*period->charge, subscription, day);
      if (IsSliced(catalog_.SubscriptionsOf(subscription.subject), subscription.id, *period->charge->charge, of_day)) {
        day = {of_day.end.number - 1};  // RateAmended
        continue;
      }
      BeginCarried(subscription, day, period, *rated);
    }
    TOLLBOOK_RETURN_IF_ERROR(AddCarriedDay(day, subscription, period, rated));
  }
  return absl::OkStatus();
}

void SubjectRater::BeginCarried(const Subscription& subscription, Day day, CarriedPeriod* period,
                                const RatedSubject& rated) {
  const BillingPeriod& of_day = PeriodFor(*period->charge, subscription, day);
  for (CarriedPart& part : carried_) part.usage.BeginPeriod(of_day);
  period->rated = RatedCharge();
  period->rated.subscription = &subscription;
  period->rated.charge = period->charge->charge;
  period->rated.meter = period->meter;
  period->rated.period = of_day;
  if (period->rated.charge->minimum) {
    period->rated.bound_days = BoundDays(catalog_.SubscriptionsOf(subscription.subject), period->rated);
  }
  period->first_day = rated.days.size();
  period->first_part = rated.parts.size();
  period->begun = true;
}

// Days before there is anything are none of the line's, nor are those that change nothing.
absl::Status SubjectRater::AddCarriedDay(Day day, const Subscription& subscription, CarriedPeriod* period,
                                         RatedSubject* rated) {
  Quantity sum;
  uint64_t events = 0;
  bool is_nothing = true;
  for (CarriedPart& part : carried_) {
    if (!part.usage.AddDay(day, &part.to_date) || !Add(sum, part.to_date.quantity, &sum) ||
        __builtin_add_overflow(events, part.to_date.events, &events)) {
      return TotalOutOfRange(period->rated);
    }
    is_nothing = is_nothing && part.to_date.quantity == Quantity();
  }
  const bool is_first = rated->days.size() == period->first_day;
  if (is_first && is_nothing && events == 0) return absl::OkStatus();
  const bool is_last_again = !is_first && period->charge->of_quantity_alone && rated->days.back().to_date == sum &&
                             rated->days.back().events_to_date == events;
  if (is_last_again) return absl::OkStatus();
  if (is_first) period->rated.subscription = &subscription;
  return RateCarriedDay({day, sum, {}, events}, *period, rated);
}

absl::Status SubjectRater::RateCarriedDay(DayWorth day, const CarriedPeriod& period, RatedSubject* rated) {
  const Currency currency = catalog_.plans[period.rated.subscription->plan].currency;
  if (period.charge->of_quantity_alone) {
    Int128 minor = 0;
    if (!period.charge->price.Of(day.to_date, &minor)) return WorthOutOfRange(period.rated, day.to_date);
    day.booked_to_date = {currency, minor};
    rated->days.push_back(day);
    return absl::OkStatus();
  }
  usage_parts_.clear();
  for (CarriedPart& part : carried_) {
    // What comes on a later day is no part yet: its flat amount must not be due before it.
    if (day.usage_date < period.rated.subscription->zone.DayOf(part.usage.first_at())) continue;
    usage_parts_.push_back({{}, part.part, part.to_date.quantity, part.to_date.events});
    rated->parts.push_back({{day.usage_date, 0}, part.part, {part.to_date.quantity, part.to_date.events, {}}});
  }
  Worth before, worth;
  Rounded rounded;
  if (!PriceBuckets(*period.charge->charge, usage_parts_, period.rated.subscription->zone, &before) ||
      !PriceAround(*period.charge->charge, before, IsLastDay(period.rated, day.usage_date), &worth,
                   MinimumShareOf(period.rated)) ||
      !RoundToMinor(worth, currency, catalog_.book.rounding, &rounded)) {
    return WorthOutOfRange(period.rated, day.to_date);
  }
  day.booked_to_date = rounded.line;
  rated->days.push_back(day);
  return absl::OkStatus();
}

absl::Status SubjectRater::EndCarried(const RateWindow& window, CarriedPeriod* period, RatedSubject* rated) {
  const bool has_days = period->begun && rated->days.size() > period->first_day;
  period->begun = false;
  if (!has_days) return absl::OkStatus();
  const Day last_of_period = {period->rated.period.end.number - 1};
  const bool is_complete = !window.through || last_of_period <= *window.through;
  if (IsDueAtEnd(*period->rated.charge) && is_complete && rated->days.back().usage_date != last_of_period) {
    DayWorth last = rated->days.back();
    last.usage_date = last_of_period;
    TOLLBOOK_RETURN_IF_ERROR(RateCarriedDay(last, *period, rated));
  }
  period->rated.days = std::span(rated->days).subspan(period->first_day);
  period->rated.parts = std::span(rated->parts).subspan(period->first_part);
  rated->charges.push_back(period->rated);
  return absl::OkStatus();
}

}  // namespace tollbook
