// Units that grants pay: of the charges that have such grants no line is priced before it is known, in the order of
// time and over all billing periods, what the grants paid.
#include <algorithm>
#include <map>
#include <set>

#include "rating/error.h"
#include "rating/grant_balances.h"
#include "rating/rate.h"
#include "rating/rate_steps.h"

namespace tollbook {
namespace {

using Balances = GrantBalancesBy<Instant>;
using Terms = GrantTermsBy<Instant>;

Instant StartOfTotal(Granularity granularity, Bucket bucket, const Zone& zone, Day day) {
  // Days of the book's zone are those of the subscription's, or the catalog had refused the meter.
  return granularity == Granularity::kDay ? zone.StartOf(day) : StartOf(granularity, bucket);
}

// The beginnings of its periods behind `start` and before `horizon`.
void AppendTimes(const BillingCycle& cycle, const Zone& zone, Instant start, Instant horizon,
                 std::vector<Instant>* times) {
  for (Day day = PeriodOf(cycle, zone.DayOf(start)).end; zone.StartOf(day) < horizon; day = PeriodOf(cycle, day).end) {
    if (start < zone.StartOf(day)) times->push_back(zone.StartOf(day));
  }
}

std::vector<Terms> TermsOf(std::span<const UnitGrant> grants, const Zone& zone, Instant horizon) {
  std::vector<Terms> all;
  for (const UnitGrant& grant : grants) {
    Terms& terms = all.emplace_back();
    terms.id = grant.id;
    terms.amount = grant.units.attos;
    terms.priority = grant.priority;
    terms.starts_on = grant.starts_at;
    terms.ends_on = grant.ends_at;
    terms.voided_on = grant.voided_at;
    terms.pays_earlier = grant.pays_earlier;
    terms.keeps_overage = grant.keeps_overage;
    if (grant.refill) AppendTimes(*grant.refill, zone, grant.starts_at, horizon, &terms.refills);
    terms.resets = grant.resets;
    if (grant.reset) AppendTimes(*grant.reset, zone, grant.starts_at, horizon, &terms.resets);
    terms.rollover = grant.rollover_max.attos;
    terms.rollover_min = grant.rollover_min.attos;
  }
  return all;
}

}  // namespace

bool SubjectRater::IsPaidInUnits(const Subscription& subscription, const PlanCharge& charge) const {
  return TakesUnitGrants(*charge.charge) && !catalog_.UnitGrantsOf(subscription.id, charge.charge->name).empty();
}

// `totals` are those of one charge and period, by day.
absl::Status SubjectRater::GatherUnits(const Subscriptions& subscriptions, std::span<const PricedTotal> totals,
                                       std::optional<Day> through, const RatedCharge& rated) {
  UnitLine& line = unit_lines_.emplace_back();
  line.rated = rated;
  line.is_complete = !through || rated.period.end.number - 1 <= through->number;
  if (rated.charge->minimum) line.rated.bound_days = BoundDays(subscriptions, rated);

  struct AtTime {
    Instant at;
    const PricedTotal* total;
  };
  std::vector<AtTime> by_time;
  for (const PricedTotal& total : totals) {
    const SubjectTotal& of = total.total();
    const Zone& zone = subscriptions.begin()[total.subscription()].zone;
    line.parts.push_back({{total.day()}, 0, of.total});
    by_time.push_back({StartOfTotal(of.meter->granularity, of.bucket, zone, total.day()), &total});
  }
  std::ranges::stable_sort(by_time, {}, &AtTime::at);
  aggregate_.Begin(*rated.meter);
  for (size_t i = 0; i < by_time.size(); ++i) {
    if (!aggregate_.Add(by_time[i].total->total().total)) return TotalOutOfRange(rated);
    const bool time_goes_on = i + 1 < by_time.size() && by_time[i + 1].at == by_time[i].at;
    if (time_goes_on) continue;
    UnitUse use{by_time[i].at, by_time[i].total->day(), {}, {}, aggregate_.events()};
    if (!aggregate_.ToDate(&use.to_date)) return TotalOutOfRange(rated);
    if (!BillableUnits(*rated.charge, use.to_date, &use.units)) return WorthOutOfRange(rated, use.to_date);
    line.uses.push_back(use);
  }
  return absl::OkStatus();
}

namespace {

// One charge and billing period on its way through time.
struct PaidLine {
  struct Row {
    Quantity to_date;
    uint64_t events = 0;
    std::vector<UnitsPaid> paid;
  };
  BillingPeriod period;
  Zone zone;
  Row now;
  Int128 units = 0;   // to pay, to date
  Int128 unpaid = 0;  // of them; what is forgotten is not among them
  std::map<Day, Row> days;
};

// Pays the uses of several lines with the grants of their charge.
class UnitPayer {
 public:
  UnitPayer(std::span<const UnitGrant> grants, std::span<const Terms> terms, std::span<PaidLine> lines)
      : balances_(terms), lines_(lines), burned_(terms.size()) {
    for (PaidLine& line : lines) {
      for (const UnitGrant& grant : grants) line.now.paid.push_back({&grant, {}, {}});
    }
  }

  // What starts, ends and is refilled by then. False: overflowed() says of which grant the units do not fit.
  [[nodiscard]] bool AdvanceTo(Instant at) {
    for (PaidLine& line : lines_) {
      const bool is_billed = line.period.end <= line.zone.DayOf(at);
      if (is_billed) balances_.ForgetOverage(std::exchange(line.unpaid, 0));
    }
    balances_.AdvanceTo(at);
    if (balances_.overflowed()) return false;
    std::vector<Int128> more = TakeBurned();
    for (PaidLine& line : lines_) {
      bool has_changed = false;
      for (size_t grant = 0; grant < more.size(); ++grant) {
        const Int128 paid = std::min(more[grant], line.unpaid);
        if (paid == 0) continue;
        more[grant] -= paid;
        line.unpaid -= paid;
        line.now.paid[grant].paid.attos += paid;
        has_changed = true;
      }
      if (has_changed) Note(line.zone.DayOf(at), &line);
    }
    if (balances_.overage() == 0) {  // a reset forgot the rest
      for (PaidLine& line : lines_) line.unpaid = 0;
    }
    return true;
  }

  [[nodiscard]] bool Use(Day day, Quantity to_date, Quantity units, uint64_t events, PaidLine* line) {
    const Int128 more = units.attos - line->units;  // neither is below zero
    line->units = units.attos;
    line->now.to_date = to_date;
    line->now.events = events;
    if (more > 0) {
      if (!balances_.Burn(more)) return false;
      Int128 paid = 0;
      const std::vector<Int128> burned = TakeBurned();
      for (size_t grant = 0; grant < burned.size(); ++grant) {
        line->now.paid[grant].paid.attos += burned[grant];
        paid += burned[grant];
      }
      line->unpaid += more - paid;
    } else {
      GiveBack(-more, line);
    }
    Note(day, line);
    return !balances_.overflowed();
  }

  Int128 left(size_t grant) const { return balances_.balance(grant); }
  std::optional<size_t> overflowed() const { return balances_.overflowed(); }

 private:
  // Of its own overage first, then to the grants that paid the line, the last one first.
  void GiveBack(Int128 amount, PaidLine* line) {
    const Int128 of_overage = std::min(line->unpaid, amount);
    balances_.ForgetOverage(of_overage);
    line->unpaid -= of_overage;
    amount -= of_overage;
    const std::span<const size_t> order = balances_.burn_order();
    for (auto grant = order.rbegin(); grant != order.rend(); ++grant) {
      Quantity& paid = line->now.paid[*grant].paid;
      const Int128 returned = balances_.GiveBackTo(*grant, std::min(paid.attos, amount));
      paid.attos -= returned;
      amount -= returned;
    }
    (void)TakeBurned();
  }

  // What each grant burned since it was last asked.
  std::vector<Int128> TakeBurned() {
    std::vector<Int128> more(burned_.size());
    for (size_t grant = 0; grant < burned_.size(); ++grant) {
      more[grant] = balances_.burned(grant) - burned_[grant];
      burned_[grant] = balances_.burned(grant);
    }
    return more;
  }

  void Note(Day day, PaidLine* line) {
    for (size_t grant = 0; grant < burned_.size(); ++grant) line->now.paid[grant].left = {balances_.balance(grant)};
    line->days[day] = line->now;
  }

  Balances balances_;
  std::span<PaidLine> lines_;
  std::vector<Int128> burned_;
};

// All that changes a balance, by time: at one time first what grants do, then uses by their lines.
struct UnitMoment {
  static constexpr size_t kGrants = SIZE_MAX;
  Instant at;
  size_t line = kGrants;
  size_t use = 0;
  friend bool operator<(const UnitMoment& a, const UnitMoment& b) {
    return std::tuple(a.at, a.line + 1, a.use) < std::tuple(b.at, b.line + 1, b.use);  // kGrants + 1 is 0
  }
};

absl::Status UnitsOutOfRange(const UnitGrant& grant) {
  return MakeError(absl::StatusCode::kOutOfRange, "the units of a grant do not fit a quantity",
                   "grant " + grant.id + " of subscription " + grant.subscription +
                       ", unit_grants.csv:" + std::to_string(grant.line),
                   "grant fewer units, or less often");
}

void AppendMoments(std::span<const Terms> terms, Instant horizon, std::vector<UnitMoment>* moments) {
  std::set<Instant> times;
  for (const Terms& one : terms) {
    times.insert(one.starts_on);
    times.insert(one.refills.begin(), one.refills.end());
    times.insert(one.resets.begin(), one.resets.end());
  }
  for (const Instant at : times) {
    if (at < horizon) moments->push_back({at});
  }
}

}  // namespace

// `lines`: all of the charge of one subscription, by their first use.
absl::Status SubjectRater::PayUnitsOf(const Zone& zone, std::span<const UnitGrant> grants, const RateWindow& window,
                                      std::span<UnitLine*> lines, RatedSubject* rated) {
  std::optional<Day> last = TimedThrough(window);
  for (const UnitLine* line : lines) last = window.through ? last : std::max(last, {line->uses.back().day});
  if (!last) return absl::OkStatus();
  const Instant horizon = zone.StartOf({last->number + 1});
  const std::vector<Terms> terms = TermsOf(grants, zone, horizon);
  std::vector<PaidLine> paid;
  std::vector<UnitMoment> moments;
  for (size_t line = 0; line < lines.size(); ++line) {
    paid.push_back({lines[line]->rated.period, zone, {}, 0, 0, {}});
    for (size_t use = 0; use < lines[line]->uses.size(); ++use) {
      moments.push_back({lines[line]->uses[use].at, line, use});
    }
  }
  AppendMoments(terms, horizon, &moments);
  std::ranges::sort(moments, std::less<>());
  UnitPayer payer(grants, terms, paid);
  for (const UnitMoment& moment : moments) {
    if (!payer.AdvanceTo(moment.at)) return UnitsOutOfRange(grants[*payer.overflowed()]);
    if (moment.line == UnitMoment::kGrants) continue;
    const UnitUse& use = lines[moment.line]->uses[moment.use];
    if (payer.Use(use.day, use.to_date, use.units, use.events, &paid[moment.line])) continue;
    if (payer.overflowed()) return UnitsOutOfRange(grants[*payer.overflowed()]);
    return WorthOutOfRange(lines[moment.line]->rated, use.to_date);
  }
  if (!payer.AdvanceTo({horizon.nanos - 1})) return UnitsOutOfRange(grants[*payer.overflowed()]);
  for (size_t grant = 0; grant < grants.size(); ++grant)
    rated->unit_balances.push_back({&grants[grant], {payer.left(grant)}});

  for (size_t i = 0; i < lines.size(); ++i) {
    UnitLine& line = *lines[i];
    const Day last_of_period{line.rated.period.end.number - 1};
    if (IsDueAtEnd(*line.rated.charge) && line.is_complete) paid[i].days.try_emplace(last_of_period, paid[i].now);
    std::vector<DayWorth> days;
    std::vector<UnitsPaid> granted;
    for (const auto& [day, row] : paid[i].days) {
      days.push_back({day, row.to_date, {}, row.events});
      granted.insert(granted.end(), row.paid.begin(), row.paid.end());
    }
    line.rated.days = days;
    line.rated.granted = granted;
    line.rated.parts = line.parts;
    const Currency currency = catalog_.plans[line.rated.subscription->plan].currency;
    for (DayWorth& day : days) {
      const absl::StatusOr<Worth> worth = PricePeriod(*line.rated.charge, UsageToDate(line.rated, day));
      Rounded rounded;
      if (!worth.ok() || !RoundToMinor(*worth, currency, catalog_.book.rounding, &rounded))
        return WorthOutOfRange(line.rated, day.to_date);
      day.booked_to_date = rounded.line;
    }
    rated->days.insert(rated->days.end(), days.begin(), days.end());
    rated->granted.insert(rated->granted.end(), granted.begin(), granted.end());
    rated->parts.insert(rated->parts.end(), line.parts.begin(), line.parts.end());
    rated->charges.push_back(line.rated);  // PointToDays goes by the sizes
  }
  return absl::OkStatus();
}

absl::Status SubjectRater::PayUnits(const Subscriptions& subscriptions, const RateWindow& window, RatedSubject* rated) {
  for (const Subscription& subscription : subscriptions) {
    const bool is_first = std::none_of(subscriptions.begin(), &subscription,
                                       [&](const Subscription& other) { return other.id == subscription.id; });
    std::span<const UnitGrant> grants = catalog_.UnitGrantsOf(subscription.id);
    if (!is_first) continue;
    while (!grants.empty()) {
      const std::span<const UnitGrant> of_charge = catalog_.UnitGrantsOf(subscription.id, grants.front().charge);
      grants = grants.subspan(of_charge.size());
      std::vector<UnitLine*> lines;
      for (UnitLine& line : unit_lines_) {
        const bool is_of_it =
            line.rated.subscription->id == subscription.id && line.rated.charge->name == of_charge.front().charge;
        if (is_of_it) lines.push_back(&line);
      }
      std::ranges::stable_sort(lines, {}, [](const UnitLine* line) { return line->uses.front().at; });
      TOLLBOOK_RETURN_IF_ERROR(PayUnitsOf(subscription.zone, of_charge, window, lines, rated));
    }
  }
  PointToDays(rated);
  unit_lines_.clear();
  return absl::OkStatus();
}

}  // namespace tollbook
