#include "rating/fee_amended.h"

#include <algorithm>

namespace tollbook {
namespace {

constexpr Day kNever = {INT32_MAX};

const Charge* ChargeNamed(const Plan& plan, std::string_view name) {
  const auto at = std::ranges::find(plan.charges, name, &Charge::name);
  return at == plan.charges.end() ? nullptr : &*at;
}

BillingCycle CycleOf(const Catalog& catalog, const Charge& charge, const Subscription& version) {
  return catalog.CycleOf(charge.billing.value_or(catalog.plans[version.plan].billing), version);
}

// What one plan's fee comes to in a period by itself, and when.
struct FeeOfPlan {
  uint32_t plan = 0;
  const Charge* charge = nullptr;
  Day due;
  Worth worth;
};

// The days of a subscription on a plan in a period.
std::vector<FeeSlice> SlicesOf(const Catalog& catalog, const Subscription& of, const BillingPeriod& period) {
  std::vector<FeeSlice> slices;
  for (const Subscription& version : catalog.SubscriptionsOf(of.subject)) {
    if (version.id != of.id || version.plan != of.plan) continue;
    const Day start = std::max(catalog.FirstPaidDayOf(version), period.start);
    const Day end = std::min(version.valid_to.value_or(kNever), period.end);
    if (start < end) slices.push_back({start, end, catalog.subscription_terms[version.terms].quantity});
  }
  return slices;
}

}  // namespace

bool WasDueBefore(const Catalog& catalog, const Charge& fee, const Subscription& version) {
  if (fee.on_amendment != OnAmendment::kContinue) return false;
  const auto is_due_of = [&](const Subscription& earlier) {
    if (earlier.id != version.id || earlier.plan == version.plan || version.valid_from <= earlier.valid_from) {
      return false;
    }
    const Charge* const same = ChargeNamed(catalog.plans[earlier.plan], fee.name);
    const bool goes_on = same != nullptr && same->fee && same->on_amendment == OnAmendment::kContinue;
    return goes_on && catalog.FirstPaidDayOf(earlier) < earlier.valid_to.value_or(kNever);
  };
  return std::ranges::any_of(catalog.SubscriptionsOf(version.subject), is_due_of);
}

bool DueBeforeInPeriod(const Catalog& catalog, const Charge& fee, const Subscription& version,
                       const BillingPeriod& period, Worth* before) {
  *before = {};
  if (fee.on_amendment != OnAmendment::kContinue) return true;
  const BillingCycle cycle = CycleOf(catalog, fee, version);
  std::vector<FeeOfPlan> fees;
  for (const Subscription& other : catalog.SubscriptionsOf(version.subject)) {
    const bool is_done = std::ranges::find(fees, other.plan, &FeeOfPlan::plan) != fees.end();
    const Charge* const same = ChargeNamed(catalog.plans[other.plan], fee.name);
    if (other.id != version.id || is_done || same == nullptr || !same->fee || !IsInFullEachPeriod(*same->fee)) continue;
    if (same->on_amendment == OnAmendment::kByPlan || CycleOf(catalog, *same, other) != cycle) continue;
    const std::vector<FeeSlice> slices = SlicesOf(catalog, other, period);
    if (slices.empty()) continue;
    const FeePeriod of{.period = period, .slices = slices};
    std::vector<Day> due;
    AppendDueDays(*same->fee, of, &due);
    Quantity units;
    fees.push_back({other.plan, same, due.front(), {}});
    if (!PriceFee(*same->fee, of, due.front(), &fees.back().worth, &units)) return false;
  }
  std::ranges::sort(fees, {}, &FeeOfPlan::due);
  for (const FeeOfPlan& one : fees) {
    if (one.charge->on_amendment == OnAmendment::kRestart) *before = {};
    if (one.plan == version.plan) break;
    before->amount = std::max(before->amount, one.worth.amount);
  }
  return true;
}

}  // namespace tollbook
