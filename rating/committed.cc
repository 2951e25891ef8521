#include "rating/committed.h"

#include <algorithm>
#include <optional>
#include <string>

#include "rating/minor_unit.h"
#include "rating/price_parts.h"

namespace tollbook {
namespace {

bool IsValidOn(const Subscription& subscription, Day day) {
  return subscription.valid_from <= day && (!subscription.valid_to || day < *subscription.valid_to);
}

const Charge* ChargeNamed(const Plan& plan, std::string_view name) {
  const auto found = std::ranges::find(plan.charges, name, &Charge::name);
  return found == plan.charges.end() ? nullptr : &*found;
}

// Days of the period that the subscription is on the plan and pays for.
int32_t PaidDays(const Catalog& catalog, const Subscription& subscription, const BillingPeriod& period) {
  int32_t days = 0;
  for (const Subscription& version : catalog.SubscriptionsOf(subscription.subject)) {
    if (version.id != subscription.id || version.plan != subscription.plan) continue;
    const Day start = std::max(catalog.FirstPaidDayOf(version), period.start);
    const Day end = std::min(version.valid_to.value_or(period.end), period.end);
    days += std::max(0, end.number - start.number);
  }
  return days;
}

// The plans whose lines the commitment's charge goes on from, its own among them.
std::vector<PlanDays> DaysOfCharge(const Catalog& catalog, const Subscription& subscription, const Charge& charge,
                                   const BillingPeriod& period) {
  if (charge.on_amendment == OnAmendment::kRestart) {
    return {{subscription.plan, std::max(subscription.valid_from, period.start), period.end}};
  }
  std::vector<PlanDays> days = {{subscription.plan, period.start, period.end}};
  if (charge.on_amendment == OnAmendment::kByPlan) return days;
  for (const Subscription& version : catalog.SubscriptionsOf(subscription.subject)) {
    const bool is_there = std::ranges::any_of(days, [&](const PlanDays& one) { return one.plan == version.plan; });
    const bool is_before = version.id == subscription.id && version.valid_from < subscription.valid_from &&
                           period.start < version.valid_to.value_or(period.end);
    if (is_before && !is_there) days.push_back({version.plan, period.start, period.end});
  }
  return days;
}

// What is due of it when nothing was used. False: it does not fit. Of a plan whose minimum starts again, or goes on,
// over versions: of those slices that are the charge's, and those that they go on from.
bool MinimumOf(const Catalog& catalog, Committed* committed, Worth* worth) {
  const Subscription& subscription = *committed->subscription;
  const Charge& charge = *committed->charge;
  const BillingPeriod& period = committed->period;
  if (charge.on_amendment == OnAmendment::kByPlan) {
    const int32_t paid = PaidDays(catalog, subscription, period);
    committed->days = {{subscription.plan, period.start, period.end}};
    if (paid == 0) return true;
    return ShareByDays(charge.bound->amount, {charge.prorates_bound ? paid : DaysIn(period), DaysIn(period)}, worth);
  }
  const BoundSlices of = BoundSlicesOf(catalog, subscription, charge, period);
  for (size_t first = 0; first < of.slices.size();) {
    size_t end = first + 1;
    while (end < of.slices.size() && of.slices[end].goes_on) ++end;
    const auto of_charge = [&](const UsageSlice& slice) { return slice.charge == &charge; };
    if (std::any_of(of.slices.begin() + static_cast<ptrdiff_t>(first), of.slices.begin() + static_cast<ptrdiff_t>(end),
                    of_charge)) {
      committed->days.insert(committed->days.end(), of.days.begin() + static_cast<ptrdiff_t>(first),
                             of.days.begin() + static_cast<ptrdiff_t>(end));
    }
    first = end;
  }
  const Currency currency = catalog.plans[subscription.plan].currency;
  return PriceBoundSlices(of.slices, std::vector<Int128>(of.slices.size()), charge, currency, worth, nullptr);
}

// None: the period is all trial.
absl::StatusOr<std::optional<Committed>> CommittedOf(const Catalog& catalog, const Subscription& subscription,
                                                     const Charge& charge, Day day) {
  const Plan& plan = catalog.plans[subscription.plan];
  const BillingTerms& terms = charge.bound ? plan.billing : charge.billing.value_or(plan.billing);
  Committed committed{&subscription, &charge, PeriodOf(catalog.CycleOf(terms, subscription), day), {}, {}};
  Worth worth;
  Rounded rounded;
  bool fits = false;
  if (charge.bound) {
    fits = MinimumOf(catalog, &committed, &worth);
  } else {
    committed.days = DaysOfCharge(catalog, subscription, charge, committed.period);
    fits = PriceCommitted(charge, &worth);
  }
  if (!fits || !RoundToMinor(worth, plan.currency, catalog.book.rounding, &rounded)) {
    return MakeError(absl::StatusCode::kOutOfRange, "what is committed cannot be held",
                     std::string(subscription.id) + ", " + charge.name, "check the amounts of its plan");
  }
  committed.amount = rounded.line;
  if (charge.bound && rounded.line.minor == 0) return std::optional<Committed>();
  return std::optional<Committed>(std::move(committed));
}

}  // namespace

bool IsCommitted(const Charge& charge) {
  if (charge.bound) return !charge.bound->is_maximum;
  return charge.commitment && charge.per_bucket == PerBucket::kNone;
}

absl::StatusOr<std::vector<Committed>> CommittedOn(const Catalog& catalog, Day day) {
  std::vector<Committed> all;
  for (const Subscription& subscription : catalog.subscriptions) {
    if (!IsValidOn(subscription, day)) continue;
    for (const Charge& charge : catalog.plans[subscription.plan].charges) {
      if (!IsCommitted(charge)) continue;
      absl::StatusOr<std::optional<Committed>> one = CommittedOf(catalog, subscription, charge, day);
      if (!one.ok()) return one.status();
      if (*one) all.push_back(**std::move(one));
    }
  }
  return all;
}

bool CountsTowards(const Catalog& catalog, const Committed& committed, std::string_view plan, std::string_view charge,
                   Day day) {
  const auto counts = [&](const PlanDays& days) {
    const Plan& of = catalog.plans[days.plan];
    if (of.name != plan || day < days.from || days.to <= day) return false;
    if (!committed.charge->bound) return charge == committed.charge->name;
    const Charge* const line = ChargeNamed(of, charge);
    return line != nullptr && (!line->bound || line->bound->is_maximum);
  };
  return std::ranges::any_of(committed.days, counts);
}

}  // namespace tollbook
