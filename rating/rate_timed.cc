// What is due by the calendar alone: fees, the minimum of a charge that nothing was used of, and a plan's bounds.
//
// All goes by the stays of a subscription on a plan: its versions on that plan, less their days of trial.
#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>

#include "rating/bound_slices.h"
#include "rating/due_parts.h"
#include "rating/error.h"
#include "rating/fee_amended.h"
#include "rating/minor_unit.h"
#include "rating/rate.h"
#include "rating/rate_steps.h"

namespace tollbook {
namespace {

constexpr Day kNever = {INT32_MAX};

int32_t PeriodMonths(const BillingCycle& cycle) {
  return cycle.unit == BillingCycle::Unit::kMonth ? cycle.count : 0;
}

int32_t DaysBoth(const BillingPeriod& a, const BillingPeriod& b) {
  return std::max(0, std::min(a.end, b.end).number - std::max(a.start, b.start).number);
}

// Which of a bound's lines are due first: a minimum counts what maximums take off.
enum class TimedPart : uint8_t { kCharges, kMaximums, kMinimums };

TimedPart TimedPartOf(const Charge& charge) {
  if (!charge.bound) return TimedPart::kCharges;
  return charge.bound->is_maximum ? TimedPart::kMaximums : TimedPart::kMinimums;
}

// What the slices of a bound come to, while their parts are added by day.
class BoundAmounts {
 public:
  explicit BoundAmounts(BoundSlices of) : of_(std::move(of)), amounts_(of_.days.size()) {}

  std::span<const UsageSlice> slices() const { return of_.slices; }
  std::span<const PlanDays> days() const { return of_.days; }
  std::span<const Int128> amounts() const { return amounts_; }

  // Of no slice is nothing. False: it does not fit.
  [[nodiscard]] bool Add(uint32_t plan, Day due, Int128 minor) {
    Int128* const amount = AmountOf(plan, due);
    return amount == nullptr || !__builtin_add_overflow(*amount, minor, amount);
  }

 private:
  // Null: none of the slices.
  Int128* AmountOf(uint32_t plan, Day due) {
    const auto at = std::ranges::find_if(
        of_.days, [&](const PlanDays& one) { return one.plan == plan && one.from <= due && due < one.to; });
    return at == of_.days.end() ? nullptr : &amounts_[static_cast<size_t>(at - of_.days.begin())];
  }

  BoundSlices of_;
  std::vector<Int128> amounts_;
};

// What the maximum of a plan that is one for the period has come to by the end of a day.
Int128 MaximumOn(const RatedSubject& rated, const Subscription& subscription, const BillingPeriod& period, Day day) {
  for (const RatedCharge& line : rated.charges) {
    const bool is_maximum = line.charge->bound && line.charge->bound->is_maximum;
    const bool is_of_plan = line.subscription->id == subscription.id && line.subscription->plan == subscription.plan;
    if (!is_maximum || !is_of_plan || line.period != period) continue;
    const auto behind = std::ranges::upper_bound(line.days, day, {}, &DayWorth::usage_date);
    return behind == line.days.begin() ? 0 : std::prev(behind)->booked_to_date.minor;
  }
  return 0;
}

// To what each slice of a minimum comes to, what the maximum does in it: as its lines have it, of which each plan has
// one that is rounded by itself. They cannot be asked: what it gives back in one slice and takes off in another on the
// same day changes none of them. False: it does not fit.
bool AddMaximums(const BoundAmounts& maximum, Currency currency, Rounding rounding, BoundAmounts* minimum) {
  struct PlanLine {
    Worth worth;
    Int128 booked = 0;
  };
  std::map<uint32_t, PlanLine> lines;
  std::vector<Worth> each;
  if (!PriceEachBoundSlice(maximum.slices(), maximum.amounts(), currency, &each)) return false;
  for (size_t i = 0; i < each.size(); ++i) {
    const uint32_t plan = maximum.days()[i].plan;
    PlanLine& line = lines[plan];
    Rounded rounded;
    Int128 change = 0;
    if (!Wide::Add(line.worth.amount, each[i].amount, &line.worth.amount) ||
        !RoundToMinor(line.worth, currency, rounding, &rounded) ||
        __builtin_sub_overflow(rounded.line.minor, line.booked, &change) ||
        !minimum->Add(plan, maximum.slices()[i].start, change)) {
      return false;
    }
    line.booked = rounded.line.minor;
  }
  return true;
}

// The maximum that goes with a minimum in slices: of the first of their plans that has one. Null: none has.
const Charge* MaximumWith(const Catalog& catalog, std::span<const PlanDays> slices) {
  for (const PlanDays& slice : slices) {
    const std::vector<Charge>& charges = catalog.plans[slice.plan].charges;
    const auto maximum =
        std::ranges::find_if(charges, [](const Charge& charge) { return charge.bound && charge.bound->is_maximum; });
    if (maximum != charges.end()) return &*maximum;
  }
  return nullptr;
}

// The last day of any line, or `least`.
std::optional<Day> LastDayOf(const RatedSubject& rated, std::optional<Day> least) {
  for (const RatedCharge& line : rated.charges) least = std::max(least, std::optional(line.days.back().usage_date));
  return least;
}

}  // namespace

bool OwesWithoutUsage(const Plan& plan) {
  return std::ranges::any_of(plan.charges, IsDueWithoutUsage);
}

bool PriceBound(const RatedCharge& rated, Int128 bounded, Currency currency, Worth* worth) {
  const PlanBound& bound = *rated.charge->bound;
  Worth amount;
  if (!ShareByDays(bound.amount, rated.bound_share(), &amount) ||
      !Wide::Subtract(amount.amount, ExactWorth({currency, bounded}).amount, &worth->amount)) {
    return false;
  }
  const bool holds = bound.is_maximum ? !worth->amount.negative() : worth->amount.negative();
  if (holds) *worth = {};
  return true;
}

// Adjacent ones of one quantity are one.
void SubjectRater::GatherStays(const Subscriptions& subscriptions, uint64_t order) {
  stays_.clear();
  for (const Subscription& subscription : subscriptions) {
    if (orders_[static_cast<size_t>(&subscription - subscriptions.begin())] != order) continue;
    Stay stay{&subscription, catalog_.FirstPaidDayOf(subscription), subscription.valid_to.value_or(kNever),
              catalog_.subscription_terms[subscription.terms].quantity};
    if (stay.end <= stay.start) continue;
    const bool goes_on = !stays_.empty() && stays_.back().end == stay.start && stays_.back().quantity == stay.quantity;
    if (goes_on) {
      stays_.back().end = stay.end;
    } else {
      stays_.push_back(stay);
    }
  }
}

int32_t SubjectRater::DaysOfStay(const BillingPeriod& period) const {
  int32_t days = 0;
  for (const Stay& stay : stays_) days += DaysBoth({stay.start, stay.end}, period);
  return days;
}

int32_t SubjectRater::BoundDays(const Subscriptions& subscriptions, const RatedCharge& rated) {
  GatherStays(subscriptions, orders_[static_cast<size_t>(rated.subscription - subscriptions.begin())]);
  const int32_t days = DaysOfStay(rated.period);
  return days == 0 || rated.charge->prorates_bound ? days : DaysIn(rated.period);  // none of a period of trial
}

absl::Status SubjectRater::RateFee(const PlanCharge& charge, Day through, RatedSubject* rated) {
  const Fee& fee = *charge.charge->fee;
  const BillingCycle cycle = catalog_.CycleOf(charge.billing, *stays_.front().subscription);
  if (fee.once && WasDueBefore(catalog_, *charge.charge, *stays_.front().subscription)) return absl::OkStatus();
  Day day = stays_.front().start;
  for (size_t at = 0; at < stays_.size() && day <= through;) {
    const BillingPeriod period = PeriodOf(cycle, day);
    const Stay& first = stays_[at];
    const size_t first_slice = rated->slices.size();
    for (; at < stays_.size() && stays_[at].start < period.end; ++at) {
      const Stay& stay = stays_[at];
      rated->slices.push_back({std::max(stay.start, period.start), std::min(stay.end, period.end), stay.quantity});
      if (stay.end > period.end) break;  // it goes on in the next period
    }
    const std::span<const FeeSlice> slices = std::span(rated->slices).subspan(first_slice);
    TOLLBOOK_RETURN_IF_ERROR(RateFeePeriod(charge, {period, PeriodMonths(cycle), slices}, first, through, rated));
    if (fee.once) break;
    // Periods in which nothing of the subscription lies are passed over.
    if (at < stays_.size()) day = std::max(stays_[at].start, period.end);
  }
  return absl::OkStatus();
}

// Its slices are the last of the subject's.
absl::Status SubjectRater::RateFeePeriod(const PlanCharge& charge, FeePeriod of, const Stay& first, Day through,
                                         RatedSubject* rated) {
  const Fee& fee = *charge.charge->fee;
  const Currency currency = catalog_.plans[first.subscription->plan].currency;
  RatedCharge line;
  line.subscription = first.subscription;
  line.charge = charge.charge;
  line.period = of.period;
  line.period_months = of.months;
  line.slices = of.slices;
  if (IsInFullEachPeriod(fee) &&
      !DueBeforeInPeriod(catalog_, *charge.charge, *first.subscription, of.period, &of.due_before)) {
    return WorthOutOfRange(line, of.slices.front().quantity);
  }
  line.due_before = of.due_before;
  due_days_.clear();
  AppendDueDays(fee, of, &due_days_);
  const size_t first_day = rated->days.size();
  for (const Day day : due_days_) {
    if (day > through) break;
    DayWorth worth{day, {}, {}, 0};
    Worth exact;
    Rounded rounded;
    if (!PriceFee(fee, of, day, &exact, &worth.to_date) ||
        !RoundToMinor(exact, currency, catalog_.book.rounding, &rounded)) {
      return WorthOutOfRange(line, of.slices.front().quantity);
    }
    worth.booked_to_date = rounded.line;
    rated->days.push_back(worth);
  }
  line.days = std::span(rated->days).subspan(first_day);
  if (line.days.empty()) {
    rated->slices.resize(rated->slices.size() - of.slices.size());
  } else {
    rated->charges.push_back(line);
  }
  return absl::OkStatus();
}

// The periods of a charge that has a minimum and no line yet.
absl::Status SubjectRater::RateUnused(const PlanCharge& charge, Day through, RatedSubject* rated) {
  const BillingCycle cycle = catalog_.CycleOf(charge.billing, *stays_.front().subscription);
  const size_t used = rated->charges.size();
  Day from = stays_.front().start;
  for (const Stay& stay : stays_) {
    from = std::max(from, stay.start);
    while (from < stay.end) {
      const BillingPeriod period = PeriodOf(cycle, from);
      const Day last{period.end.number - 1};
      if (last > through) return absl::OkStatus();
      from = period.end;
      // Those that are rated by slices have theirs (RateAmended).
      if (IsSliced(catalog_.SubscriptionsOf(stay.subscription->subject), stay.subscription->id, *charge.charge,
                   period)) {
        continue;
      }
      const bool is_used = std::ranges::any_of(std::span(rated->charges).first(used), [&](const RatedCharge& line) {
        return line.charge == charge.charge && line.subscription->id == stay.subscription->id && line.period == period;
      });
      if (is_used) continue;
      RatedCharge line;
      line.subscription = stay.subscription;
      line.charge = charge.charge;
      line.meter = catalog_.FindMeter(charge.charge->meter);
      line.period = period;
      line.bound_days = charge.charge->prorates_bound ? DaysOfStay(period) : DaysIn(period);
      Worth worth;
      Rounded rounded;
      if (!PriceUnused(*charge.charge, line.bound_share(), &worth) ||
          !RoundToMinor(worth, catalog_.plans[stay.subscription->plan].currency, catalog_.book.rounding, &rounded)) {
        return WorthOutOfRange(line, {});
      }
      rated->days.push_back({last, {}, rounded.line, 0});
      line.days = std::span(rated->days).last(1);
      rated->charges.push_back(line);
    }
  }
  return absl::OkStatus();
}

// What the lines of the subscription come to in the periods of its plan, by period and day. Of a maximum's line only
// the days: what it takes off is known by slice (AddMaximums).
absl::Status SubjectRater::GatherBoundParts(std::string_view subscription, const BillingCycle& cycle,
                                            const RatedSubject& rated) {
  bound_parts_.clear();
  std::vector<DuePart> parts;
  for (const RatedCharge& line : rated.charges) {
    const std::optional<PlanBound>& bound = line.charge->bound;
    if (line.subscription->id != subscription || (bound && !bound->is_maximum)) continue;
    parts.clear();
    if (!AppendDueParts(line, &parts)) return WorthOutOfRange(line, {});
    for (const DuePart& part : parts) {
      const Int128 minor = bound ? 0 : part.minor;
      bound_parts_.push_back({PeriodOf(cycle, part.due), part.due, part.day, minor, line.subscription->plan});
    }
  }
  std::ranges::sort(bound_parts_, {}, [](const BoundPart& part) { return std::pair(part.period, part.day); });
  return absl::OkStatus();
}

std::span<const SubjectRater::BoundPart> SubjectRater::BoundPartsIn(const BillingPeriod& period) const {
  const auto in = std::ranges::equal_range(bound_parts_, period, {}, &BoundPart::period);
  return {in.begin(), in.end()};
}

// The days on which a bound of a period may change: those on which what it bounds does, and of a minimum the period's
// last one, but none before.
void SubjectRater::AppendBoundDays(const PlanCharge& charge, const BillingPeriod& period, Day through) {
  due_days_.clear();
  const Day last{period.end.number - 1};
  const bool is_maximum = charge.charge->bound->is_maximum;
  if (!is_maximum && last <= through) due_days_.push_back(last);
  for (const BoundPart& part : BoundPartsIn(period)) {
    const bool may_change = part.day <= through && (is_maximum || last < part.day);
    if (may_change && (due_days_.empty() || due_days_.back() < part.day)) due_days_.push_back(part.day);
  }
}

absl::Status SubjectRater::RateBoundPeriod(const PlanCharge& charge, const BillingPeriod& period, RatedSubject* rated) {
  const auto stay = std::ranges::find_if(stays_, [&](const Stay& one) { return period.start < one.end; });
  const Subscription& subscription = *stay->subscription;
  const Currency currency = catalog_.plans[subscription.plan].currency;
  RatedCharge line;
  line.subscription = &subscription;
  line.charge = charge.charge;
  line.period = period;
  line.bound_days = charge.charge->prorates_bound ? DaysOfStay(period) : DaysIn(period);
  const bool is_minimum = !charge.charge->bound->is_maximum;
  const bool is_sliced =
      IsSliced(catalog_.SubscriptionsOf(subscription.subject), subscription.id, *charge.charge, period);
  BoundAmounts to_date(is_sliced ? BoundSlicesOf(catalog_, subscription, *charge.charge, period)
                                 : BoundSlices{{}, {{subscription.plan, period.start, period.end}}});
  // A plan's minimum and maximum go by slices both, or neither does.
  const Charge* const with = is_sliced && is_minimum ? MaximumWith(catalog_, to_date.days()) : nullptr;
  BoundAmounts maximum(with == nullptr ? BoundSlices{} : BoundSlicesOf(catalog_, subscription, *with, period));
  BoundAmounts of_day = to_date;
  std::vector<DayWorth> days;  // not yet the subject's, or those of the other charges would move
  std::vector<Int128> amounts;
  std::vector<UsageSlice> slices;
  Int128 before = 0;
  std::span<const BoundPart> parts = BoundPartsIn(period);
  for (const Day day : due_days_) {
    for (; !parts.empty() && parts.front().day <= day; parts = parts.subspan(1)) {
      const BoundPart& part = parts.front();
      if (!to_date.Add(part.plan, part.due, part.minor) || !maximum.Add(part.plan, part.due, part.minor)) {
        return WorthOutOfRange(line, {});
      }
    }
    of_day = to_date;
    bool fits = true;
    if (is_minimum && is_sliced) {
      fits = AddMaximums(maximum, currency, catalog_.book.rounding, &of_day);
    } else if (is_minimum) {
      fits = of_day.Add(subscription.plan, period.start, MaximumOn(*rated, subscription, period, day));
    }
    Worth worth;
    Rounded rounded;
    fits = fits &&
           (is_sliced ? PriceBoundSlices(of_day.slices(), of_day.amounts(), *charge.charge, currency, &worth, nullptr)
                      : PriceBound(line, of_day.amounts().front(), currency, &worth));
    if (!fits || !RoundToMinor(worth, currency, catalog_.book.rounding, &rounded)) return WorthOutOfRange(line, {});
    if (rounded.line.minor == before) continue;
    before = rounded.line.minor;
    days.push_back({day, {}, rounded.line, 0});
    amounts.insert(amounts.end(), of_day.amounts().begin(), of_day.amounts().end());
    slices.insert(slices.end(), of_day.slices().begin(), of_day.slices().end());
  }
  if (days.empty()) return absl::OkStatus();
  line.days = days;  // PointToDays goes by their number
  line.bounded = amounts;
  line.amended = slices;
  rated->days.insert(rated->days.end(), days.begin(), days.end());
  rated->bounded.insert(rated->bounded.end(), amounts.begin(), amounts.end());
  rated->amended.insert(rated->amended.end(), slices.begin(), slices.end());
  rated->charges.push_back(line);
  PointToDays(rated);
  return absl::OkStatus();
}

// Once all other charges have their lines.
absl::Status SubjectRater::RateBound(const PlanCharge& charge, Day through, RatedSubject* rated) {
  const BillingCycle cycle = catalog_.CycleOf(charge.billing, *stays_.front().subscription);
  TOLLBOOK_RETURN_IF_ERROR(GatherBoundParts(stays_.front().subscription->id, cycle, *rated));
  Day from = stays_.front().start;
  for (size_t at = 0; at < stays_.size(); ++at) {
    from = std::max(from, stays_[at].start);
    while (from < stays_[at].end) {
      const BillingPeriod period = PeriodOf(cycle, from);
      if (period.start > through) return absl::OkStatus();
      from = period.end;
      AppendBoundDays(charge, period, through);
      TOLLBOOK_RETURN_IF_ERROR(RateBoundPeriod(charge, period, rated));
    }
  }
  return absl::OkStatus();
}

absl::Status SubjectRater::RateTimed(const Subscriptions& subscriptions, const RateWindow& window,
                                     RatedSubject* rated) {
  const std::optional<Day> timed_through = TimedThrough(window);
  for (const TimedPart part : {TimedPart::kCharges, TimedPart::kMaximums, TimedPart::kMinimums}) {
    PointToDays(rated);
    const std::optional<Day> capped_through = window.through ? window.through : LastDayOf(*rated, timed_through);
    for (const Subscription& subscription : subscriptions) {
      const auto number = static_cast<size_t>(&subscription - subscriptions.begin());
      const auto of_order = std::find(orders_.begin(), orders_.end(), orders_[number]);
      const bool is_first = of_order == orders_.begin() + static_cast<std::ptrdiff_t>(number);
      const std::vector<const PlanCharge*>& timed = PlanOf(subscription).timed();
      if (!is_first || timed.empty()) continue;
      GatherStays(subscriptions, orders_[number]);
      for (const PlanCharge* charge : timed) {
        if (stays_.empty() || TimedPartOf(*charge->charge) != part) continue;
        // A maximum goes by what there is, and not by the calendar.
        const std::optional<Day> through = part == TimedPart::kMaximums ? capped_through : timed_through;
        if (!through) continue;
        TOLLBOOK_RETURN_IF_ERROR(part != TimedPart::kCharges ? RateBound(*charge, *through, rated)
                                 : charge->charge->fee       ? RateFee(*charge, *through, rated)
                                                             : RateUnused(*charge, *through, rated));
      }
    }
  }
  PointToDays(rated);
  return absl::OkStatus();
}

void SubjectRater::SortCharges(RatedSubject* rated) const {
  std::ranges::stable_sort(rated->charges, [&](const RatedCharge& a, const RatedCharge& b) {
    const Plan &plan_a = catalog_.plans[a.subscription->plan], &plan_b = catalog_.plans[b.subscription->plan];
    return std::tie(a.subscription->id, plan_a.name, a.charge->name, a.period) <
           std::tie(b.subscription->id, plan_b.name, b.charge->name, b.period);
  });
}

}  // namespace tollbook
