#include "tests/rating/reference_rater.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "tests/rating/carried_twin.h"
#include "tests/rating/reference_paid.h"

namespace tollbook::reference {
namespace {

Rational Attos(Int128 value) {
  Integer whole(static_cast<int64_t>(value >> 64));
  whole = whole * (Integer(1) << 64) + static_cast<uint64_t>(value);
  return Rational(whole, TenTo(18));
}

// The whole number at or below.
Integer Floor(const Rational& value) {
  const Integer n = numerator(value), d = denominator(value);
  return n >= 0 || n % d == 0 ? Integer(n / d) : Integer(n / d - 1);
}

Rational Magnitude(const Rational& value) {
  return value < 0 ? Rational(-value) : value;
}

absl::TimeZone LibraryZone(const Zone& zone) {
  absl::TimeZone library_zone;
  if (!absl::LoadTimeZone(zone.name(), &library_zone)) throw std::invalid_argument(zone.name());
  return library_zone;
}

absl::Time StartOf(const SubjectTotal& total) {
  const int minutes = total.meter->granularity == Granularity::kHour ? 60 : 15;
  return absl::UnixEpoch() + absl::Minutes(minutes) * total.bucket.number;
}

int64_t DayOf(const SubjectTotal& total, const Zone& zone) {
  if (total.meter->granularity == Granularity::kDay) return total.bucket.number;
  return absl::ToCivilDay(StartOf(total), LibraryZone(zone)) - absl::CivilDay(1970, 1, 1);
}

// How many whole hours after the day's first instant.
int64_t HourOf(const SubjectTotal& total, const Zone& zone) {
  const absl::TimeZone library_zone = LibraryZone(zone);
  const absl::Time start = StartOf(total);
  // The day's first instant: where midnight is skipped, the one after it.
  const absl::TimeZone::TimeInfo midnight = library_zone.At(absl::CivilSecond(absl::ToCivilDay(start, library_zone)));
  const absl::Time first = midnight.kind == absl::TimeZone::TimeInfo::SKIPPED ? midnight.trans : midnight.pre;
  return (start - first) / absl::Hours(1);
}

const Subscription* ValidOn(const Catalog& catalog, const std::string& subject, const SubjectTotal& total) {
  for (const Subscription& s : catalog.subscriptions) {
    const int64_t day = DayOf(total, s.zone);
    const bool ended = s.valid_to.has_value() && day >= s.valid_to->number;
    if (s.subject == subject && day >= s.valid_from.number && !ended) return &s;
  }
  return nullptr;
}

// How far a filter reaches: dimensions that it leaves open, those that it names without a choice, values that it lists.
// None: it does not match.
using Reach = std::tuple<int64_t, int64_t, int64_t>;
std::optional<Reach> ReachOf(const Filter& filter, const SubjectTotal& total) {
  int64_t matching = 0, stars = 0, values = 0;
  for (size_t i = 0; i < total.meter->dimensions.size(); ++i) {
    const auto wanted = filter.find(total.meter->dimensions[i]);
    if (wanted == filter.end()) continue;
    const std::string value(total.dimension_values[i]);
    bool matches = wanted->second.any && value != "";
    for (const std::string& listed : wanted->second.listed) matches = matches || listed == value;
    if (!matches) return std::nullopt;
    ++matching;
    if (wanted->second.any) ++stars;
    values += static_cast<int64_t>(wanted->second.listed.size());
  }
  if (matching != static_cast<int64_t>(filter.size())) return std::nullopt;
  return Reach{-matching, stars, values};
}

const Charge* Taker(const Plan& plan, const SubjectTotal& total) {
  const Charge* taker = nullptr;
  std::optional<Reach> least;
  for (const Charge& charge : plan.charges) {
    if (charge.meter != total.meter->name) continue;
    const std::optional<Reach> reach = ReachOf(charge.filter, total);
    if (!reach || (least && *least <= *reach)) continue;
    taker = &charge;
    least = reach;
  }
  return taker;
}

// The name of the part that takes the total; none: a matrix has no cell for it.
std::optional<std::string> PartOf(const Charge& charge, const SubjectTotal& total) {
  std::optional<std::string> part;
  std::optional<Reach> least;
  for (size_t i = 0; i < charge.cells.size(); ++i) {
    const std::optional<Reach> reach = ReachOf(charge.cells[i].when, total);
    if (!reach || (least && *least <= *reach)) continue;
    part = std::to_string(100 + i);  // of equal length, so that they come in the catalog's order
    least = reach;
  }
  if (!charge.cells.empty()) return part;
  // Values without any limit are one part, which comes last.
  const std::string others = "\x7f";
  for (size_t i = 0; i < total.meter->dimensions.size(); ++i) {
    if (total.meter->dimensions[i] != charge.pricing.limits_by) continue;
    for (const Step& step : charge.pricing.steps) {
      if (step.limits.contains(std::string(total.dimension_values[i]))) return std::string(total.dimension_values[i]);
    }
  }
  return others;
}

// A total on its way to its line.
struct Dated {
  int64_t day;
  const SubjectTotal* total;
  const Subscription* subscription;  // that takes it
};

// The nearest whole number on the side that the rounding says, of the magnitude.
Integer Rounded(const Rational& value, Rounding rounding) {
  const Rational magnitude = Magnitude(value);
  const Integer below = Floor(magnitude);
  const Rational rest = magnitude - below;
  const Rational half(1, 2);
  bool up = false;
  if (rounding == Rounding::kHalfUp) up = rest >= half;
  if (rounding == Rounding::kHalfEven) up = rest > half || (rest == half && below % 2 == 1);
  if (rounding == Rounding::kUp) up = rest > 0;
  const Integer rounded = below + (up ? 1 : 0);
  return value < 0 ? Integer(-rounded) : rounded;
}

// All events, each by itself, from the smallest value to the largest.
std::vector<Rational> ValuesOf(const std::vector<const SubjectTotal*>& totals) {
  std::vector<Rational> values;
  for (const SubjectTotal* total : totals) values.insert(values.end(), total->total.events, Exact(total->total.value));
  std::sort(values.begin(), values.end());
  return values;
}

Rational PercentileOf(const Meter& meter, const std::vector<Rational>& values) {
  const Rational part = Exact(meter.reading.percentile) / 100;
  if (meter.reading.method == PercentileMethod::kNearestRank) {
    const Integer rank = Rounded(part * values.size(), Rounding::kUp);
    return values[static_cast<size_t>(rank) - 1];
  }
  const Rational place = part * (values.size() - 1);
  const auto below = static_cast<size_t>(Floor(place));
  const Rational beyond = place - Floor(place);
  return beyond == 0 ? values[below] : Rational(values[below] * (1 - beyond) + values[below + 1] * beyond);
}

// Of a meter that keeps events a total is so many events of one value.
Rational ExactAggregate(const Meter& meter, const std::vector<const SubjectTotal*>& totals) {
  if (meter.aggregation == Aggregation::kPercentile) return PercentileOf(meter, ValuesOf(totals));
  Rational sum = 0, largest, smallest, latest, events = 0;
  std::optional<int64_t> latest_at;
  std::set<Rational> different;
  for (size_t i = 0; i < totals.size(); ++i) {
    const Rational value = Exact(totals[i]->total.value);
    const int64_t at = totals[i]->total.latest_at.nanos;
    sum += meter.keep_events ? Rational(value * totals[i]->total.events) : value;
    events += totals[i]->total.events;
    different.insert(value);
    if (i == 0 || value > largest) largest = value;
    if (i == 0 || value < smallest) smallest = value;
    if (!latest_at.has_value() || at > *latest_at || (at == *latest_at && value > latest)) {
      latest_at = at;
      latest = value;
    }
  }
  if (meter.aggregation == Aggregation::kMax) return largest;
  if (meter.aggregation == Aggregation::kMin) return smallest;
  if (meter.aggregation == Aggregation::kMean) return sum / events;
  if (meter.aggregation == Aggregation::kUniqueCount) return different.size();
  if (meter.aggregation != Aggregation::kLatest) return sum;
  return meter.reading.floor_at_zero && latest < 0 ? Rational(0) : latest;
}

// As a quantity has room for.
Rational Aggregate(const Meter& meter, const std::vector<const SubjectTotal*>& totals) {
  const UnitRounding rounding = meter.reading.rounding.value_or(UnitRounding{Rounding::kHalfEven, 18});
  const Rational scale = rounding.places < 0 ? Rational(1, TenTo(-rounding.places)) : Rational(TenTo(rounding.places));
  return Rational(Rounded(ExactAggregate(meter, totals) * scale, rounding.rounding)) / scale;
}

constexpr absl::CivilDay kDayZero(1970, 1, 1);

// The first day of the period with this number; 0 is that of the anchor.
absl::CivilDay Boundary(const BillingCycle& cycle, int64_t number) {
  const absl::CivilDay anchor = kDayZero + cycle.anchor.number;
  if (cycle.unit == BillingCycle::Unit::kDay) return anchor + number * cycle.count;
  const absl::CivilMonth month = absl::CivilMonth(anchor) + number * cycle.count;
  const absl::CivilDay same_day = absl::CivilDay(month) + (anchor.day() - 1), last = absl::CivilDay(month + 1) - 1;
  return same_day < last ? same_day : last;
}

}  // namespace

// From some period that is too early on, one after the other.
std::pair<absl::CivilDay, absl::CivilDay> PeriodAround(const BillingCycle& cycle, int64_t day) {
  const bool in_days = cycle.unit == BillingCycle::Unit::kDay;
  const int64_t days_min = (in_days ? 1 : 28) * cycle.count, days_max = (in_days ? 1 : 31) * cycle.count;
  const int64_t days = day - cycle.anchor.number;
  int64_t number = days / (days >= 0 ? days_max : days_min) - 2;
  while (Boundary(cycle, number + 1) <= kDayZero + day) ++number;
  return {Boundary(cycle, number), Boundary(cycle, number + 1)};
}

namespace {

BillingCycle CycleOf(const Catalog& catalog, const Subscription& subscription, const Charge& charge) {
  const Plan& plan = catalog.plans[subscription.plan];
  const BillingTerms terms = charge.billing ? *charge.billing : plan.billing;
  BillingCycle cycle = terms.cycle;
  if (terms.by_subscription) {
    cycle.anchor = subscription.valid_from;
    for (const Subscription& other : catalog.subscriptions) {
      if (other.id == subscription.id && other.valid_from < cycle.anchor) cycle.anchor = other.valid_from;
    }
  }
  const SubscriptionTerms& own = catalog.subscription_terms[subscription.terms];
  if (own.billing_anchor) cycle.anchor = *own.billing_anchor;
  return cycle;
}

}  // namespace

Line LineOf(const Catalog& catalog, const Subscription& subscription, const Charge& charge, int64_t day) {
  const auto [from, to] = PeriodAround(CycleOf(catalog, subscription, charge), day);
  return {std::string(subscription.id), catalog.plans[subscription.plan].name, charge.name, absl::FormatCivilTime(from),
          to - kDayZero - 1};
}

namespace {

void AddEach(const SubjectTotal& total, int64_t day, std::vector<Event>* each) {
  Rational prorated = 0;
  if (total.meter->prorated_property != "") {
    prorated = Rational(Integer(ParseDecimal(total.dimension_values.back(), 18).value), TenTo(18));
  }
  for (uint64_t i = 0; i < total.total.events; ++i) {
    each->push_back({day, total.total.latest_at.nanos, Exact(total.total.value), prorated});
  }
}

// A day that a subscription is on a plan, trials left out, and its quantity.
using Days = std::map<int64_t, Rational>;

Days DaysOn(const Catalog& catalog, const std::string& subscription, const Plan& plan, int64_t until) {
  Days days;
  int64_t first = until;
  for (const Subscription& s : catalog.subscriptions) {
    if (s.id == subscription) first = std::min<int64_t>(first, s.valid_from.number);
  }
  for (const Subscription& s : catalog.subscriptions) {
    if (s.id != subscription || catalog.plans[s.plan].name != plan.name) continue;
    for (int64_t day = s.valid_from.number; day < until && (!s.valid_to || day < s.valid_to->number); ++day) {
      if (day >= first + plan.trial_days) days[day] = Exact(catalog.subscription_terms[s.terms].quantity);
    }
  }
  return days;
}

// Of the days of a period those that are in `days`.
Rational ShareOf(const Days& days, const Line& line, int64_t first) {
  int64_t there = 0;
  for (int64_t day = first; day <= line.last; ++day) there += days.contains(day) ? 1 : 0;
  return Rational(there, line.last + 1 - first);
}

}  // namespace

int64_t FirstOf(const Line& line) {
  absl::CivilDay first;
  if (!absl::ParseCivilTime(line.from, &first)) throw std::invalid_argument(line.from);
  return first - absl::CivilDay(1970, 1, 1);
}

namespace {

// By the charge's buckets and parts, but for what no cell of it takes.
Buckets UsageOf(const std::vector<Dated>& dated, const Charge& charge) {
  Buckets usage;
  std::map<std::pair<int64_t, int64_t>, std::map<std::string, std::vector<const SubjectTotal*>>> totals;
  for (const Dated& d : dated) {
    const std::optional<std::string> name = PartOf(charge, *d.total);
    if (!name) continue;
    std::pair<int64_t, int64_t> bucket = {0, 0};
    if (charge.per_bucket != PerBucket::kNone) bucket.first = d.day;
    if (charge.per_bucket == PerBucket::kHour) bucket.second = HourOf(*d.total, d.subscription->zone);
    totals[bucket][*name].push_back(d.total);
    if (d.total->meter->keep_events) AddEach(*d.total, d.day, &usage[bucket][*name].each);
  }
  for (const auto& [bucket, parts] : totals) {
    for (const auto& [name, of_part] : parts) {
      Part& part = usage[bucket][name];
      part.quantity = Aggregate(*of_part.front()->meter, of_part);
      for (const SubjectTotal* total : of_part) part.events += total->total.events;
    }
  }
  return usage;
}

Rational QuantityOf(const Buckets& usage) {
  Rational quantity = 0;
  for (const auto& [bucket, parts] : usage) {
    for (const auto& [name, part] : parts) quantity += part.quantity;
  }
  return quantity;
}

WorthToDate UpTo(int64_t day, int64_t last_of_period, const std::vector<Dated>& dated, const Charge& charge,
                 const Zone& zone, const Rational& minimum_share, const Rational& paid, Currency currency,
                 Rounding rounding) {
  WorthToDate to_date;
  std::vector<Dated> up_to;
  for (const Dated& d : dated) {
    if (d.day > day) continue;
    up_to.push_back(d);
    to_date.events += d.total->total.events;
  }
  const Buckets usage = UsageOf(up_to, charge);
  to_date.quantity = QuantityOf(usage);
  to_date.worth = WorthOf(charge, usage, day == last_of_period, zone, minimum_share, paid);
  to_date.booked = InMinorUnits(to_date.worth, currency.minor_digits(), rounding);
  return to_date;
}

// What a worth has room for.
Rational At36(const Rational& worth) {
  return Rational(Rounded(worth * TenTo(36), Rounding::kHalfEven), TenTo(36));
}

Rational Converted(const Charge& charge, const Rational& quantity) {
  if (!charge.conversion) return quantity;
  const Conversion& c = *charge.conversion;
  const Rational factor = Exact(c.factor);
  const Rational exact = c.by == Conversion::By::kDivide ? Rational(quantity / factor) : Rational(quantity * factor);
  const Integer scale = TenTo(c.rounding ? c.places : 18);
  return Rational(Rounded(exact * scale, c.rounding.value_or(Rounding::kHalfEven)), scale);
}

// Started blocks where the tier has them, else the units.
Rational UnitsOf(const Tier& tier, const Rational& quantity) {
  if (tier.block_size.attos == 0) return quantity;
  return Rational(Rounded(quantity / Exact(tier.block_size), Rounding::kUp));
}

Rational PriceOfTiers(const Pricing& pricing, const Rational& billable) {
  // A tier holds the units above `from` and up to `to`; the first also nothing, and less than nothing.
  Rational worth = 0, from = 0;
  for (size_t i = 0; i < pricing.tiers.size(); ++i) {
    const Tier& tier = pricing.tiers[i];
    const bool last = !tier.up_to.has_value();
    const Rational to = last ? billable : Exact(*tier.up_to);
    const bool entered = billable > from;
    const bool holds_total = (i == 0 || entered) && (last || billable <= to);
    const bool flat_due = entered || (i == 0 && pricing.flat_at_zero);
    const Rational flat = flat_due ? Exact(tier.flat) : Rational(0);
    if (pricing.model == ChargeModel::kVolume && holds_total) {
      return UnitsOf(tier, billable) * Exact(tier.unit_price) + flat;
    }
    if (pricing.model != ChargeModel::kVolume && (i == 0 || entered)) {
      const Rational up_to = billable < to ? billable : to;
      worth += UnitsOf(tier, up_to - from) * Exact(tier.unit_price) + flat;
    }
    from = to;
  }
  return worth;
}

Rational PriceOf(const Pricing& pricing, const Rational& billable, const Rational& events) {
  switch (pricing.model) {
    case ChargeModel::kPerUnit:
    case ChargeModel::kDynamic:
      return billable * Exact(pricing.unit_price);
    case ChargeModel::kPercentage:
      return billable * Exact(pricing.unit_price) + events * Exact(pricing.price_per_event);
    case ChargeModel::kPackage:
      return Rounded(billable / Exact(pricing.package_size), pricing.package_rounding) * Exact(pricing.package_price);
    case ChargeModel::kGraduated:
    case ChargeModel::kVolume:
    case ChargeModel::kGraduatedPercentage:
      return PriceOfTiers(pricing, billable);
    case ChargeModel::kStairstep:
      if (billable <= 0 && !pricing.flat_at_zero) return 0;
      for (const Step& step : pricing.steps) {
        if (!step.up_to || billable <= Exact(*step.up_to)) return Exact(step.price);
      }
      return Exact(pricing.steps.back().price);
    case ChargeModel::kMatrix:
    case ChargeModel::kTimeRate:
    case ChargeModel::kProratedGraduated:
      break;
  }
  throw std::invalid_argument("no price of a quantity");
}

bool PricesEachEvent(const Pricing& pricing) {
  if (pricing.model == ChargeModel::kTimeRate || pricing.model == ChargeModel::kProratedGraduated) return true;
  const bool has_terms = pricing.free_events.has_value() || pricing.free_amount.has_value() ||
                         pricing.min_per_event.has_value() || pricing.max_per_event.has_value();
  return pricing.model == ChargeModel::kPercentage && has_terms;
}

// One after the other: what is left of the allowance is told by what those before have taken.
Rational PriceOfTransactions(const Pricing& pricing, const std::vector<Event>& each) {
  Rational worth = 0, free_money = pricing.free_amount ? Exact(*pricing.free_amount) : Rational(0);
  uint64_t free_count = pricing.free_events.value_or(0);
  for (const Event& event : each) {
    const bool money_left = !pricing.free_amount || free_money > 0;
    const bool count_left = !pricing.free_events || free_count > 0;
    const bool any = pricing.free_amount || pricing.free_events;
    Rational priced = event.value;
    if (any && money_left && count_left && event.value >= 0) {
      if (pricing.free_events) --free_count;
      if (!pricing.free_amount || event.value <= free_money) {
        free_money -= event.value;
        continue;
      }
      priced -= free_money;
      free_money = 0;
    }
    Rational cost = priced * Exact(pricing.unit_price) + Exact(pricing.price_per_event);
    const Rational cap = pricing.max_per_event ? Exact(*pricing.max_per_event) : Rational(0);
    if (pricing.max_per_event && cost > cap) cost = cap;
    if (pricing.max_per_event && cost < -cap) cost = -cap;
    if (pricing.min_per_event && event.value >= 0 && cost < Exact(*pricing.min_per_event)) {
      cost = Exact(*pricing.min_per_event);
    }
    worth += cost;
  }
  return worth;
}

// How much of the stretch between two positions lies in each tier: the first also holds what is below zero.
std::vector<Rational> UnitsInTiers(const Pricing& pricing, const Rational& from, const Rational& to) {
  std::vector<Rational> units;
  const Rational low = from < to ? from : to, high = from < to ? to : from;
  for (size_t i = 0; i < pricing.tiers.size(); ++i) {
    Rational begin = low, end = high;
    if (i > 0 && begin < Exact(*pricing.tiers[i - 1].up_to)) begin = Exact(*pricing.tiers[i - 1].up_to);
    if (pricing.tiers[i].up_to && end > Exact(*pricing.tiers[i].up_to)) end = Exact(*pricing.tiers[i].up_to);
    units.push_back(end > begin ? Rational(end - begin) : Rational(0));
  }
  return units;
}

// Event by event, each cut at the tiers' bounds; what is left of its prorated units is in the tier where it ends.
Rational PriceOfProrated(const Pricing& pricing, const std::vector<Event>& each) {
  const size_t tiers = pricing.tiers.size();
  Rational worth = 0, position = 0, highest = 0;
  for (const Event& event : each) {
    const Rational to = position + event.value;
    const std::vector<Rational> units = UnitsInTiers(pricing, position, to);
    size_t last = 0;  // the one that the event ends in; without units the one that holds the position
    for (size_t i = 0; i < tiers; ++i) {
      const bool is_above = i > 0 && position > Exact(*pricing.tiers[i - 1].up_to);
      if (event.value == 0 && is_above) last = i;
      if (event.value > 0 && units[i] > 0) last = i;
      if (event.value < 0 && units[tiers - 1 - i] > 0) last = tiers - 1 - i;
    }
    Rational left = event.prorated;
    for (size_t i = 0; i < tiers; ++i) {
      if (i == last || units[i] == 0) continue;
      const Rational exact = event.prorated * units[i] / Magnitude(event.value);
      const Rational share(Rounded(exact * TenTo(18), Rounding::kHalfEven), TenTo(18));
      worth += share * Exact(pricing.tiers[i].unit_price);
      left -= share;
    }
    worth += left * Exact(pricing.tiers[last].unit_price);
    position = to;
    if (position > highest) highest = position;
  }
  for (size_t i = 0; i < tiers; ++i) {
    const Rational above = i == 0 ? Rational(0) : Exact(*pricing.tiers[i - 1].up_to);
    if (highest > above) worth += Exact(pricing.tiers[i].flat);
  }
  return worth < 0 ? Rational(0) : worth;
}

struct Clock {
  int weekday = 0;  // 0: Monday
  int64_t seconds = 0;
};

Clock ClockAt(int64_t nanos, const absl::TimeZone& zone) {
  const absl::CivilSecond civil = absl::ToCivilSecond(absl::FromUnixNanos(nanos), zone);
  const auto weekday = static_cast<int>(absl::GetWeekday(civil));  // 0: Monday
  return {weekday, civil.hour() * 3600 + civil.minute() * 60 + civil.second()};
}

bool Has(const ClockWindow& window, const Clock& clock) {
  const bool on_day = (window.weekdays >> clock.weekday & 1) != 0;
  return on_day && window.from_minute * 60 <= clock.seconds && clock.seconds < window.to_minute * 60;
}

Rational Nanos(int64_t nanos) {
  return Rational(Integer(nanos));
}

// Increment by increment.
Rational PriceOfDuration(const Pricing& pricing, const Event& event, const absl::TimeZone& zone) {
  const auto nanos = Rounded(event.value * Nanos(pricing.time.unit_nanos), Rounding::kHalfUp).convert_to<int64_t>();
  Rational cost = 0;
  for (int64_t elapsed = 0; elapsed < nanos;) {
    const Clock clock = ClockAt(event.nanos + elapsed, zone);
    const TimeWindow* window = nullptr;
    for (const TimeWindow& w : pricing.time.windows) {
      if (Has(w.when, clock)) window = &w;
    }
    const TimeStep* step = nullptr;
    for (const TimeStep& s : window->steps) {
      if (s.after_nanos <= elapsed) step = &s;
    }
    if (elapsed == 0) cost += Exact(window->connect_fee);
    Rational price = Exact(step->price) * Nanos(step->increment_nanos) / Nanos(step->per_nanos);
    if (pricing.time.increment_rounding) {
      const Integer scale = TenTo(pricing.time.increment_places);
      price = Rational(Rounded(price * scale, *pricing.time.increment_rounding), scale);
    }
    cost += price;
    elapsed += step->increment_nanos;
  }
  return pricing.max_per_event && cost > Exact(*pricing.max_per_event) ? Exact(*pricing.max_per_event) : cost;
}

Rational PriceOfEvents(const Pricing& pricing, const std::vector<Event>& each, const Zone& zone) {
  if (pricing.model == ChargeModel::kPercentage) return PriceOfTransactions(pricing, each);
  if (pricing.model == ChargeModel::kProratedGraduated) return PriceOfProrated(pricing, each);
  Rational worth = 0;
  for (const Event& event : each) worth += PriceOfDuration(pricing, event, LibraryZone(zone));
  return worth;
}

// What the factor adds to so much above a commitment.
Rational OverageOf(const Commitment& commitment, const Rational& above) {
  return At36(above * (Exact(commitment.overage_factor) - 1));
}

Rational CommittedOf(const Commitment& commitment, const Pricing& pricing) {
  return commitment.quantity ? PriceOf(pricing, Exact(*commitment.quantity), 0) : Exact(commitment.amount);
}

Rational WithCommitment(const Commitment& commitment, const Pricing& pricing, const Rational& cost, bool complete) {
  const Rational committed = CommittedOf(commitment, pricing);
  if (cost >= committed) return cost + OverageOf(commitment, cost - committed);
  return commitment.true_up && complete ? committed : cost;
}

const BucketWindow* WindowOf(const Charge& charge, std::pair<int64_t, int64_t> bucket, const Zone& zone) {
  const absl::TimeZone library_zone = LibraryZone(zone);
  const absl::CivilDay day = absl::CivilDay(1970, 1, 1) + bucket.first;
  const absl::TimeZone::TimeInfo midnight = library_zone.At(absl::CivilSecond(day));
  const absl::Time first = midnight.kind == absl::TimeZone::TimeInfo::SKIPPED ? midnight.trans : midnight.pre;
  const Clock clock = ClockAt(absl::ToUnixNanos(first + absl::Hours(bucket.second)), library_zone);
  for (const BucketWindow& window : charge.bucket_windows) {
    if (Has(window.when, clock)) return &window;
  }
  return nullptr;
}

Rational PriceOfLimits(const Pricing& pricing, const std::map<std::string, Rational>& quantities) {
  bool used = pricing.flat_at_zero;
  for (const auto& [value, quantity] : quantities) used = used || quantity > 0;
  if (!used) return 0;
  for (const Step& step : pricing.steps) {
    bool holds = true;
    for (const auto& [value, limit] : step.limits) {
      const auto quantity = quantities.find(value);
      if (quantity != quantities.end() && quantity->second > Exact(limit)) holds = false;
    }
    if (holds) return Exact(step.price);
  }
  return Exact(pricing.steps.back().price);
}

// Units of each part that are left to price.
std::map<std::string, Rational> UnitsToPrice(const Charge& charge, const Parts& parts) {
  Rational included = Exact(charge.included);
  std::map<std::string, Rational> units;
  for (const auto& [name, part] : parts) {
    Rational billable = Converted(charge, part.quantity);
    if (billable > 0 && included > 0) {
      const Rational taken = billable < included ? billable : included;
      billable -= taken;
      included -= taken;
    }
    units[name] = billable;
  }
  return units;
}

const Pricing& PricingOfPart(const Charge& charge, const std::string& name) {
  return charge.cells.empty() ? charge.pricing : charge.cells.at(static_cast<size_t>(std::stoi(name) - 100)).pricing;
}

// `paid`: of the units to price those that grants paid.
Rational WorthOfBucket(const Charge& charge, const Parts& parts, const BucketWindow* window, const Zone& zone,
                       const Rational& paid) {
  Rational worth = 0;
  std::map<std::string, Rational> limited = UnitsToPrice(charge, parts);
  for (const auto& [name, part] : parts) {
    Rational& billable = limited[name];
    // They never make it negative: usage that was taken back when the grant had ended is no credit.
    if (billable > 0) billable -= std::min(billable, paid);
    if (!charge.pricing.limits_by.empty()) continue;
    const Pricing& pricing = window == nullptr ? PricingOfPart(charge, name) : window->pricing;
    if (PricesEachEvent(pricing)) {
      std::vector<Event> each = part.each;
      std::sort(each.begin(), each.end());
      worth += PriceOfEvents(pricing, each, zone);
    } else {
      worth += PriceOf(pricing, billable, part.events);
    }
  }
  return charge.pricing.limits_by.empty() ? worth : PriceOfLimits(charge.pricing, limited);
}

}  // namespace

Rational Exact(Quantity quantity) {
  return Attos(quantity.attos);
}
Rational Exact(Price price) {
  return Attos(price.attos);
}
Rational Exact(const Worth& worth) {
  Integer whole(static_cast<int64_t>(worth.amount.limbs()[3]));
  for (int i = 2; i >= 0; --i) whole = whole * (Integer(1) << 64) + worth.amount.limbs()[static_cast<size_t>(i)];
  return Rational(whole, TenTo(36));
}

Rational WorthOf(const Charge& charge, const Buckets& usage, bool complete, const Zone& zone,
                 const Rational& minimum_share, const Rational& paid) {
  Rational worth = 0;
  const bool by_bucket = charge.per_bucket != PerBucket::kNone;
  for (const auto& [bucket, parts] : usage) {
    const BucketWindow* window = by_bucket ? WindowOf(charge, bucket, zone) : nullptr;
    const Rational cost = WorthOfBucket(charge, parts, window, zone, paid);
    const std::optional<Commitment>& commitment = window == nullptr ? charge.commitment : window->commitment;
    const Pricing& pricing = window == nullptr ? charge.pricing : window->pricing;
    worth += by_bucket && commitment ? WithCommitment(*commitment, pricing, cost, true) : cost;
  }
  if (charge.commitment && !by_bucket) worth = WithCommitment(*charge.commitment, charge.pricing, worth, complete);
  worth -= At36(worth * Exact(charge.discount));
  if (charge.maximum && worth > Exact(*charge.maximum)) worth = Exact(*charge.maximum);
  if (!charge.minimum || !complete) return worth;
  const Rational minimum = At36(Exact(*charge.minimum) * minimum_share);
  return worth < minimum ? minimum : worth;
}

Rational WorthOf(const Charge& charge, const Rational& quantity) {
  return WorthOf(charge, {{{0, 0}, {{"100", {quantity, 0, {}}}}}}, true, Zone());
}

Integer InMinorUnits(const Rational& worth, int minor_digits, Rounding rounding) {
  return Rounded(worth * TenTo(minor_digits), rounding);
}

namespace {

// Days side by side with one quantity, cut to a period.
struct Run {
  int64_t from, to;  // exclusive
  Rational quantity;
};
std::vector<Run> RunsIn(const Days& days, int64_t first, int64_t last) {
  std::vector<Run> runs;
  for (auto at = days.lower_bound(first); at != days.end() && at->first <= last; ++at) {
    if (!runs.empty() && runs.back().to == at->first && runs.back().quantity == at->second) {
      ++runs.back().to;
    } else {
      runs.push_back({at->first, at->first + 1, at->second});
    }
  }
  return runs;
}

// From one day to another, by months of 30 days: 30/360 US.
int64_t DaysBy30(absl::CivilDay from, absl::CivilDay to) {
  const auto ends_february = [](absl::CivilDay day) { return day.month() == 2 && (day + 1).month() == 3; };
  int64_t from_day = from.day(), to_day = to.day();
  if (ends_february(from)) {
    if (ends_february(to)) to_day = 30;
    from_day = 30;
  }
  if (to_day == 31 && from_day >= 30) to_day = 30;
  from_day = std::min<int64_t>(from_day, 30);
  return 12 * 30 * (to.year() - from.year()) + 30 * (to.month() - from.month()) + to_day - from_day;
}

// What the days from `from` on and before `to` are of a period that lasts `months`, or for 0 so many days.
Rational ShareOfPeriod(const FeeProration& proration, int months, int64_t first, int64_t last, int64_t from,
                       int64_t to) {
  if (from == first && to == last + 1) return 1;
  int64_t days = last + 1 - first;
  if (proration.count_back && months > 0 && from != first) {
    const absl::CivilDay end = kDayZero + last + 1;
    const absl::CivilMonth month = absl::CivilMonth(end) - months;
    const absl::CivilDay begin = std::min(absl::CivilDay(month) + (end.day() - 1), absl::CivilDay(month + 1) - 1);
    days = end - begin;
  }
  Rational share(to - from, days);
  if (proration.days == DayCount::kThirty360) share = Rational(DaysBy30(kDayZero + from, kDayZero + to), 30 * months);
  if (proration.days == DayCount::kActual365) share = Rational(to - from) / (Rational(365 * months) / 12);
  if (proration.days == DayCount::kActual360) share = Rational(to - from) / (Rational(360 * months) / 12);
  if (!proration.rounding) return share;
  return Rational(Rounded(share * TenTo(proration.places), *proration.rounding), TenTo(proration.places));
}

// Quantity times periods that are due at the end of a day; none: nothing is due or credited on it.
std::optional<Rational> UnitsAt(int64_t day, const Fee& fee, int months, const std::vector<Run>& runs, int64_t first,
                                int64_t last) {
  if (fee.once || !fee.proration.by_day) {
    const int64_t due = fee.in_advance ? runs.front().from : runs.back().to - 1;
    return day == due ? std::optional(runs.front().quantity) : std::nullopt;
  }
  const auto share = [&](int64_t from, int64_t to) {
    return ShareOfPeriod(fee.proration, months, first, last, from, to);
  };
  bool is_due = false;
  Rational units = 0, most = 0;
  for (const Run& run : runs) {
    if (fee.in_advance && !fee.credits_rest) {
      // Only more than there ever was, and that to the period's end.
      if (run.from > day || run.quantity <= most) continue;
      is_due = is_due || day == run.from;
      units += (run.quantity - most) * share(run.from, last + 1);
      most = run.quantity;
    } else if (fee.in_advance) {
      is_due = is_due || day == run.from || (day == run.to && run.to <= last);
      if (run.from <= day) units += run.quantity * share(run.from, day < run.to ? last + 1 : run.to);
    } else {
      is_due = is_due || day == run.to - 1;
      if (run.to - 1 <= day) units += run.quantity * share(run.from, run.to);
    }
  }
  return is_due ? std::optional(units) : std::nullopt;
}

void AddFee(const Catalog& catalog, const Subscription& s, const Charge& charge, const Days& days, int64_t through,
            Subject* result) {
  const Plan& plan = catalog.plans[s.plan];
  const Fee& fee = *charge.fee;
  const BillingCycle cycle = CycleOf(catalog, s, charge);
  const int months = cycle.unit == BillingCycle::Unit::kMonth ? cycle.count : 0;
  for (auto at = days.begin(); at != days.end();) {
    const Line line = LineOf(catalog, s, charge, at->first);
    const std::vector<Run> runs = RunsIn(days, FirstOf(line), line.last);
    for (int64_t day = FirstOf(line); day <= line.last && day <= through; ++day) {
      const std::optional<Rational> units = UnitsAt(day, fee, months, runs, FirstOf(line), line.last);
      if (!units) continue;
      WorthToDate& to_date = result->lines[line][day];
      to_date.quantity = Rational(Rounded(*units * TenTo(18), Rounding::kHalfEven), TenTo(18));
      to_date.worth = At36(*units * Exact(fee.price));
      to_date.booked = InMinorUnits(to_date.worth, plan.currency.minor_digits(), catalog.book.rounding);
    }
    if (fee.once) break;
    at = days.upper_bound(line.last);
  }
}

// A fee that is due once and goes on from plan to plan is due of the first of them that has a day that is paid.
bool WasDueOfOther(const Catalog& catalog, const Subscription& s, const Charge& fee, const Days& days) {
  if (!fee.fee->once || fee.on_amendment != OnAmendment::kContinue || days.empty()) return false;
  for (const Plan& plan : catalog.plans) {
    const auto same = std::ranges::find(plan.charges, fee.name, &Charge::name);
    if (plan.name == catalog.plans[s.plan].name || same == plan.charges.end()) continue;
    if (!same->fee || same->on_amendment != OnAmendment::kContinue) continue;
    if (!DaysOn(catalog, std::string(s.id), plan, days.begin()->first).empty()) return true;
  }
  return false;
}

// Fees in full that go on from plan to plan: on its day each is due what those before it in the period are short of it.
void LessEarlierFees(const Catalog& catalog, Subject* result) {
  struct Due {
    int64_t day;
    const Plan* plan;
    const Charge* charge;
    WorthToDate* to_date;
  };
  std::map<std::tuple<std::string, std::string, std::string, int64_t>, std::vector<Due>> periods;
  for (auto& [line, days] : result->lines) {
    const Plan& plan = *std::ranges::find(catalog.plans, line.plan, &Plan::name);
    const auto charge = std::ranges::find(plan.charges, line.charge, &Charge::name);
    if (charge == plan.charges.end() || !charge->fee || charge->fee->once || charge->fee->proration.by_day) continue;
    if (charge->on_amendment == OnAmendment::kByPlan) continue;
    auto& [day, to_date] = *days.begin();
    periods[{line.subscription, line.charge, line.from, line.last}].push_back({day, &plan, &*charge, &to_date});
  }
  for (auto& [period, dues] : periods) {
    std::ranges::sort(dues, {}, &Due::day);
    Rational sum = 0;
    for (const Due& due : dues) {
      if (due.charge->on_amendment == OnAmendment::kRestart) sum = 0;
      due.to_date->worth = due.to_date->worth > sum ? due.to_date->worth - sum : Rational(0);
      due.to_date->booked = InMinorUnits(due.to_date->worth, due.plan->currency.minor_digits(), catalog.book.rounding);
      sum += due.to_date->worth;
    }
  }
}

bool LiesIn(const Subscription& s, int64_t first, int64_t last) {
  return s.valid_from.number <= last && (!s.valid_to || s.valid_to->number > first);
}

bool IsSliced(const Catalog& catalog, const Charge& charge, const Line& line) {
  if (charge.rollover) return true;
  if (charge.on_amendment == OnAmendment::kByPlan) return false;
  int versions = 0;
  for (const Subscription& s : catalog.subscriptions) {
    if (s.id == line.subscription && LiesIn(s, FirstOf(line), line.last)) ++versions;
  }
  return versions > 1;
}

// A minimum of periods that have no line.
void AddUnused(const Catalog& catalog, const Subscription& s, const Charge& charge, const Days& days, int64_t through,
               Subject* result) {
  for (auto at = days.begin(); at != days.end();) {
    const Line line = LineOf(catalog, s, charge, at->first);
    at = days.upper_bound(line.last);
    if (line.last > through || result->lines.contains(line)) continue;
    if (IsSliced(catalog, charge, line)) continue;
    WorthToDate& to_date = result->lines[line][line.last];
    Charge unused = charge;
    unused.commitment.reset();  // of a period with usage
    to_date.worth =
        WorthOf(unused, {}, true, s.zone, charge.prorates_bound ? ShareOf(days, line, FirstOf(line)) : Rational(1));
    to_date.booked = InMinorUnits(to_date.worth, catalog.plans[s.plan].currency.minor_digits(), catalog.book.rounding);
  }
}

}  // namespace

std::vector<PartDue> PartsOf(const Catalog& catalog, const Line& line, const std::map<int64_t, WorthToDate>& days) {
  const Subscription& version = *std::ranges::find_if(catalog.subscriptions, [&](const Subscription& s) {
    return s.id == line.subscription && catalog.plans[s.plan].name == line.plan;
  });
  const std::vector<Charge>& charges = catalog.plans[version.plan].charges;
  const auto charge = std::ranges::find(charges, line.charge, &Charge::name);
  const bool is_bound = charge != charges.end() && charge->bound;
  std::vector<PartDue> parts, due;  // due: what is left of each part above zero, and of the first be it below
  Integer before = 0;
  for (const auto& [day, worth] : days) {
    Integer change = worth.booked - before;
    before = worth.booked;
    Line period = is_bound ? line : LineOf(catalog, version, Charge(), day);
    period.plan.clear();
    period.charge.clear();
    const int64_t of = is_bound ? std::min(day, line.last) : day;
    parts.push_back({period, of, day, is_bound ? change : Integer(0)});
    if (is_bound) continue;
    const auto note = [&](PartDue* part, Integer minor) {
      part->minor += minor;
      change -= minor;
      parts.push_back({part->period, part->due, day, minor});
    };
    if (due.empty()) due.push_back({period, of, day, 0});
    while (change < 0 && due.size() > 1) {
      note(&due.back(), -std::min(due.back().minor, Integer(-change)));
      if (due.back().minor == 0) due.pop_back();
    }
    if (change < 0) note(&due.front(), change);
    if (change > 0 && due.front().minor < 0) note(&due.front(), std::min(change, Integer(-due.front().minor)));
    if (change == 0) continue;
    due.push_back({period, of, day, 0});
    note(&due.back(), change);
  }
  return parts;
}

namespace {

// What the lines of a plan change of what came due on a day.
struct ChangeOfPlan {
  std::string plan;
  int64_t due = 0;
  Integer minor;
};

// Those of a billing period of the plans, by day.
std::multimap<int64_t, ChangeOfPlan> ChangesIn(const Catalog& catalog, const Line& period,
                                               const std::map<Line, std::map<int64_t, WorthToDate>>& others) {
  std::multimap<int64_t, ChangeOfPlan> changes;
  for (const auto& [other, worths] : others) {
    const Plan& plan = *std::ranges::find(catalog.plans, other.plan, &Plan::name);
    const auto charge = std::ranges::find(plan.charges, other.charge, &Charge::name);
    const bool is_bound = charge != plan.charges.end() && charge->bound;
    if (other.subscription != period.subscription || is_bound) continue;
    for (const PartDue& part : PartsOf(catalog, other, worths)) {
      const bool is_in = part.period.from == period.from && part.period.last == period.last;
      if (is_in) changes.insert({part.day, {other.plan, part.due, part.minor}});
    }
  }
  return changes;
}

// What the maximum of a plan is booked with in a period by the end of a day.
Integer MaximumOn(const Plan& plan, Line line, int64_t day,
                  const std::map<Line, std::map<int64_t, WorthToDate>>& others) {
  for (const Charge& charge : plan.charges) {
    if (!charge.bound || !charge.bound->is_maximum) continue;
    line.charge = charge.name;
    const auto found = others.find(line);
    if (found == others.end()) return 0;
    const auto behind = found->second.upper_bound(day);
    return behind == found->second.begin() ? Integer(0) : std::prev(behind)->second.booked;
  }
  return 0;
}

// What all others of the plan come to in a period is brought up, or down, to the bound.
void AddBound(const Catalog& catalog, const Subscription& s, const Charge& charge, const Days& days, int64_t through,
              const std::map<Line, std::map<int64_t, WorthToDate>>& others, Subject* result) {
  const Plan& plan = catalog.plans[s.plan];
  const bool is_maximum = charge.bound->is_maximum;
  for (auto at = days.begin(); at != days.end();) {
    const Line line = LineOf(catalog, s, charge, at->first);
    const int64_t first = FirstOf(line);
    at = days.upper_bound(line.last);
    if (IsSliced(catalog, charge, line)) continue;  // AddSlicedBound
    const Rational bound = At36(Exact(charge.bound->amount) * (charge.prorates_bound ? ShareOf(days, line, first) : 1));
    auto changes = ChangesIn(catalog, line, others);
    changes.insert({line.last, {line.plan, line.last, 0}});
    Integer before = 0, sum = 0;
    for (auto change = changes.begin(); change != changes.end() && change->first <= through;) {
      const int64_t day = change->first;
      for (; change != changes.end() && change->first == day; ++change) {
        if (change->second.plan == line.plan) sum += change->second.minor;
      }
      if (!is_maximum && day < line.last) continue;
      const Integer all = is_maximum ? sum : Integer(sum + MaximumOn(plan, line, day, others));
      const Rational rest = bound - Rational(all, TenTo(plan.currency.minor_digits()));
      WorthToDate to_date;
      if (is_maximum ? rest < 0 : rest > 0) to_date.worth = rest;
      to_date.booked = InMinorUnits(to_date.worth, plan.currency.minor_digits(), catalog.book.rounding);
      if (to_date.booked != before) result->lines[line][day] = to_date;
      before = to_date.booked;
    }
  }
}

// ----- charges whose periods are rated by the slices that versions of the subscription make of them

bool IsCarried(const Meter& meter) {
  return meter.aggregation == Aggregation::kWeightedSum || meter.operation_property != "";
}

bool SaysWhatAmendmentsDo(const Charge& charge) {
  return charge.on_amendment != OnAmendment::kByPlan || charge.rollover.has_value();
}

struct Slice {
  const Subscription* subscription = nullptr;
  const Charge* charge = nullptr;
  bool starts = true;  // nothing before it counts
  Rational minimum_share;
  int64_t days = 0;  // by which it may share a quantity
};

bool Continues(const Slice& from, const Slice& to) {
  if (from.subscription == to.subscription) return true;
  if (to.charge->on_amendment == OnAmendment::kContinue) return true;
  const bool by_plan = to.charge->on_amendment == OnAmendment::kByPlan;
  return by_plan && from.subscription->plan == to.subscription->plan;
}

std::vector<Slice> SlicesOf(const Catalog& catalog, const Line& line) {
  std::vector<Slice> slices;
  for (const Subscription& s : catalog.subscriptions) {
    if (s.id != line.subscription || !LiesIn(s, FirstOf(line), line.last)) continue;
    for (const Charge& charge : catalog.plans[s.plan].charges) {
      if (charge.name != line.charge || !SaysWhatAmendmentsDo(charge)) continue;
      const Line own = LineOf(catalog, s, charge, FirstOf(line));
      if (own.from != line.from || own.last != line.last) continue;
      Slice slice{&s, &charge, true, 0};
      if (!slices.empty()) slice.starts = !Continues(slices.back(), slice);
      Days days;
      for (const auto& [day, quantity] : DaysOn(catalog, line.subscription, catalog.plans[s.plan], line.last + 1)) {
        if (day >= s.valid_from.number && (!s.valid_to || day < s.valid_to->number)) days[day] = quantity;
      }
      slice.minimum_share = ShareOf(days, line, FirstOf(line));
      const int64_t from = std::max<int64_t>(s.valid_from.number, FirstOf(line));
      const int64_t to = std::min<int64_t>(s.valid_to ? s.valid_to->number - 1 : line.last, line.last);
      slice.days = to + 1 - from;
      if (catalog.plans[s.plan].is_trial_free) slice.days = std::distance(days.lower_bound(from), days.end());
      if (!charge.prorates_bound && slice.minimum_share > 0) slice.minimum_share = 1;
      slices.push_back(slice);
    }
  }
  return slices;
}

// What versions one after the other come to with their bounds, and what a maximum took off and nothing took back.
struct BoundToDate {
  Rational kept, waived;
};

using Changes = std::multimap<int64_t, ChangeOfPlan>;

const std::string& PlanOf(const Catalog& catalog, const Slice& slice) {
  return catalog.plans[slice.subscription->plan].name;
}

// The plan's version that had begun last on a day, or its first.
std::optional<size_t> SliceOn(const Catalog& catalog, const std::vector<Slice>& slices, const std::string& plan,
                              int64_t day) {
  std::optional<size_t> of;
  for (size_t k = 0; k < slices.size(); ++k) {
    if (PlanOf(catalog, slices[k]) != plan) continue;
    if (!of || slices[k].subscription->valid_from.number <= day) of = k;
  }
  return of;
}

// What each came to by the end of a day, in major units; all of a version that is trial has no slice.
std::vector<Rational> AmountsOf(const Catalog& catalog, const std::vector<Slice>& slices, const Changes& changes,
                                int64_t day) {
  std::vector<Rational> amounts(slices.size());
  for (auto change = changes.begin(); change != changes.upper_bound(day); ++change) {
    const auto& [plan, due, minor] = change->second;
    const std::optional<size_t> of = SliceOn(catalog, slices, plan, due);
    if (!of) continue;
    const int digits = catalog.plans[slices[*of].subscription->plan].currency.minor_digits();
    amounts[*of] += Rational(minor, TenTo(digits));
  }
  return amounts;
}

std::vector<Slice> PaidSlicesOf(const Catalog& catalog, const Line& period) {
  std::vector<Slice> slices = SlicesOf(catalog, period);
  std::erase_if(slices, [](const Slice& slice) { return slice.minimum_share == 0; });
  return slices;
}

// What the bound of each adds.
std::vector<Rational> AddedTo(const std::vector<Slice>& slices, const std::vector<Rational>& amounts, bool is_maximum) {
  std::vector<Rational> added(slices.size());
  BoundToDate of;
  Rational prorated = 0;  // of all slices that go on from one another
  for (size_t k = 0; k < slices.size(); ++k) {
    const Charge& bound = *slices[k].charge;
    if (slices[k].starts) of = {}, prorated = 0;
    const Rational own = At36(Exact(bound.bound->amount) * slices[k].minimum_share);
    prorated += own;
    const Rational limit = bound.prorates_bound ? prorated : own;
    Rational to = of.kept + amounts[k];
    if (is_maximum && amounts[k] < 0) to += std::min(of.waived, Rational(-amounts[k]));
    if (is_maximum && amounts[k] >= 0) to = std::min(to, std::max(limit, of.kept));
    of.waived += of.kept + amounts[k] - to;
    const bool is_last = k + 1 == slices.size() || slices[k + 1].starts;
    if (!is_maximum && is_last && to < limit) to = limit;
    added[k] = to - of.kept - amounts[k];
    of.kept = to;
  }
  return added;
}

// What the maximum of a plan takes off each of the slices of a minimum, by its own slices, each rounded with those
// before it.
void TakeOffMaximum(const Catalog& catalog, const Line& period, const Plan& plan, int64_t day, const Changes& changes,
                    const std::vector<Slice>& slices, std::vector<Rational>* amounts) {
  const auto maximum =
      std::ranges::find_if(plan.charges, [](const Charge& charge) { return charge.bound && charge.bound->is_maximum; });
  if (maximum == plan.charges.end()) return;
  Line line = period;
  line.plan.clear();
  line.charge = maximum->name;
  const Integer scale = TenTo(plan.currency.minor_digits());
  const std::vector<Slice> of_maximum = PaidSlicesOf(catalog, line);
  const auto added = AddedTo(of_maximum, AmountsOf(catalog, of_maximum, changes, day), /*is_maximum=*/true);
  Rational sum = 0;
  Integer before = 0;
  for (size_t k = 0; k < of_maximum.size(); ++k) {
    if (PlanOf(catalog, of_maximum[k]) != plan.name) continue;
    sum += added[k];
    const Integer booked = InMinorUnits(sum, plan.currency.minor_digits(), catalog.book.rounding);
    const int64_t from = std::max<int64_t>(of_maximum[k].subscription->valid_from.number, FirstOf(period));
    if (const auto of = SliceOn(catalog, slices, plan.name, from)) (*amounts)[*of] += Rational(booked - before, scale);
    before = booked;
  }
}

// A bound whose period is cut by versions: all lines of their plans, each on a day of the version it counts for.
void AddSlicedBound(const Catalog& catalog, const Line& period, bool is_maximum, int64_t through,
                    const std::map<Line, std::map<int64_t, WorthToDate>>& others, Subject* result) {
  const std::vector<Slice> slices = PaidSlicesOf(catalog, period);
  Changes changes = ChangesIn(catalog, period, others);
  changes.insert({period.last, {"", period.last, 0}});
  std::set<std::string> plans;
  for (const Slice& slice : slices) plans.insert(PlanOf(catalog, slice));
  std::map<std::string, Integer> before;  // by plan
  for (auto change = changes.begin(); change != changes.end() && change->first <= through;
       change = changes.upper_bound(change->first)) {
    const int64_t day = change->first;
    if (!is_maximum && day < period.last) continue;
    std::vector<Rational> amounts = AmountsOf(catalog, slices, changes, day);
    for (const std::string& name : plans) {
      const Plan& plan = *std::ranges::find(catalog.plans, name, &Plan::name);
      if (!is_maximum) TakeOffMaximum(catalog, period, plan, day, changes, slices, &amounts);
    }
    const std::vector<Rational> added = AddedTo(slices, amounts, is_maximum);
    for (const std::string& name : plans) {
      const Plan& plan = *std::ranges::find(catalog.plans, name, &Plan::name);
      Line line = period;
      line.plan = name;
      WorthToDate to_date;
      for (size_t k = 0; k < slices.size(); ++k) {
        if (PlanOf(catalog, slices[k]) == name) to_date.worth += added[k];
      }
      to_date.booked = InMinorUnits(to_date.worth, plan.currency.minor_digits(), catalog.book.rounding);
      if (to_date.booked != before[name]) result->lines[line][day] = to_date;
      before[name] = to_date.booked;
    }
  }
}

// Once all but bounds, and for a minimum all but minimums, have their lines.
void AddSlicedBounds(const Catalog& catalog, const std::string& subject, bool is_maximum, int64_t through,
                     Subject* result) {
  const auto is_minimum = [&](const Line& line) {
    const auto plan = std::ranges::find(catalog.plans, line.plan, &Plan::name);
    const auto charge = std::ranges::find(plan->charges, line.charge, &Charge::name);
    return charge->bound && (is_maximum || !charge->bound->is_maximum);
  };
  auto others = result->lines;
  std::erase_if(others, [&](const auto& line) { return is_minimum(line.first); });
  std::set<Line> done;
  for (const Subscription& s : catalog.subscriptions) {
    if (s.subject != subject) continue;
    for (const Charge& charge : catalog.plans[s.plan].charges) {
      if (!charge.bound || charge.bound->is_maximum != is_maximum) continue;
      const int64_t end = s.valid_to ? s.valid_to->number - 1 : INT64_MAX;
      for (int64_t day = s.valid_from.number; day <= end;) {
        Line period = LineOf(catalog, s, charge, day);
        if (FirstOf(period) > through) break;  // what came due in it before the version begins is bound, too
        day = period.last + 1;
        period.plan.clear();
        if (IsSliced(catalog, charge, period) && done.insert(period).second) {
          AddSlicedBound(catalog, period, is_maximum, through, others, result);
        }
      }
    }
  }
}

Rational Clamped(const Rational& value, const Rational& most) {
  return value < 0 ? Rational(0) : value > most ? most : value;
}

// What is priced of all that was used, by one plan's conversion and included units.
Rational BillableOf(const Charge& charge, const Rational& used, const Rational& rolled_over) {
  const Rational units = Converted(charge, used);
  return units - Clamped(units, Exact(charge.included) + rolled_over);
}

struct SlicedUsage {
  Dated dated;
  const Charge* charge;
};

struct SliceToDate {
  Rational own, worth;
  uint64_t events = 0;
  bool is_used_today = false;
};

// What the charge's plan would make of usage, before what stands around the period.
Rational CostOf(const Charge& charge, const Buckets& usage, const Zone& zone) {
  Charge bare = charge;
  bare.discount = {};
  bare.maximum.reset();
  bare.minimum.reset();
  if (charge.per_bucket == PerBucket::kNone) bare.commitment.reset();
  return usage.empty() ? Rational(0) : WorthOf(bare, usage, false, zone);
}

bool IsAlike(const Part& a, const Part& b) {
  return a.events == b.events && a.quantity == b.quantity;
}

// A charge whose volume prices are those that hold for all that was used: each of one tier, and without its flat
// amount. What that comes to, where the part has no usage behind `usage`, is added to `flat`.
Charge WithVolumeOf(const Charge& charge, Buckets usage_before, Buckets usage, Buckets usage_of_all, Rational* flat) {
  Charge held = charge;
  if (charge.per_bucket != PerBucket::kNone || usage_of_all.empty()) return held;
  Parts of_all = usage_of_all[{0, 0}];
  for (const auto& [name, units] : UnitsToPrice(charge, of_all)) {
    if (PricingOfPart(charge, name).model != ChargeModel::kVolume) continue;
    Pricing& pricing =
        charge.cells.empty() ? held.pricing : held.cells.at(static_cast<size_t>(std::stoi(name) - 100)).pricing;
    Tier tier;
    for (const Tier& one : PricingOfPart(charge, name).tiers) {
      tier = one;
      if (!one.up_to || units <= Exact(*one.up_to)) break;
    }
    const bool was_there = usage_before[{0, 0}].contains(name), is_there = usage[{0, 0}].contains(name);
    const Part to_date = usage[{0, 0}][name];
    const bool is_changed = !was_there || !IsAlike(to_date, usage_before[{0, 0}][name]);
    const bool is_last = is_there && is_changed && IsAlike(to_date, of_all[name]);
    if (is_last && (units > 0 || pricing.flat_at_zero)) *flat += Exact(tier.flat);
    tier.up_to.reset();
    tier.flat = {};
    pricing.tiers = {tier};
  }
  return held;
}

bool IsOneQuantityAPeriod(const Meter& meter, const Charge& charge) {
  if (charge.per_bucket != PerBucket::kNone) return false;
  bool has_other = charge.cells.empty() && !PricesEachEvent(charge.pricing);
  for (const Cell& cell : charge.cells) has_other = has_other || !PricesEachEvent(cell.pricing);
  const bool is_of_day = meter.operation_property != "" && meter.reading.proration == Proration::kNone;
  if (is_of_day) return true;
  const std::set<Aggregation> grow = {Aggregation::kSum, Aggregation::kCount, Aggregation::kMax,
                                      Aggregation::kUniqueCount, Aggregation::kWeightedSum};
  return has_other && !grow.contains(meter.aggregation);
}

// What is there of a meter that carries over, as the charge of each slice takes it, on the days of all slices that go
// on from one another: to date at the end of each of these days.
struct CarriedSlice {
  std::vector<int64_t> days;
  std::map<std::string, std::vector<Part>> parts;
  std::map<std::string, int64_t> begins;  // of each part the day of its first element
  // All that have begun, once there is anything in one of them.
  Buckets UpTo(int64_t day) const {
    Parts there;
    bool is_any = false;
    const auto count = std::upper_bound(days.begin(), days.end(), day) - days.begin();
    for (const auto& [name, to_date] : parts) {
      if (count == 0 || begins.at(name) > days[static_cast<size_t>(count - 1)]) continue;
      there[name] = to_date[static_cast<size_t>(count - 1)];
      is_any = is_any || !IsAlike(there[name], Part());
    }
    return is_any ? Buckets{{{0, 0}, there}} : Buckets();
  }
};

bool AreAlike(Buckets a, Buckets b) {
  for (const auto& [name, part] : a[{0, 0}]) b[{0, 0}].try_emplace(name);
  for (const auto& [name, part] : b[{0, 0}]) {
    if (!IsAlike(part, a[{0, 0}][name])) return false;
  }
  return true;
}

Rational EventsOf(const Buckets& usage) {
  Rational events = 0;
  for (const auto& [bucket, parts] : usage) {
    for (const auto& [name, part] : parts) events += part.events;
  }
  return events;
}

// Every slice of a period at the end of a day. `carried`: of each, where the meter carries over; else `usage` counts.
std::vector<SliceToDate> SlicesUpTo(const Catalog& catalog, int64_t day, const Line& line,
                                    const std::vector<Slice>& slices, const std::vector<SlicedUsage>& usage,
                                    const Rational& rolled_over, const std::vector<CarriedSlice>& carried = {}) {
  std::vector<SliceToDate> result(slices.size());
  for (size_t first = 0; first < slices.size();) {
    size_t end = first + 1;
    while (end < slices.size() && !slices[end].starts) ++end;
    const Meter& meter = *std::ranges::find(catalog.meters, slices[first].charge->meter, &Meter::name);
    std::vector<Dated> all;
    std::vector<size_t> count;  // of `all`, up to each slice's end
    int64_t days = 0;
    for (size_t k = first; k < end; ++k) {
      for (const SlicedUsage& used : usage) {
        if (used.dated.subscription != slices[k].subscription || used.dated.day > day) continue;
        all.push_back(used.dated);
        result[k].events += used.dated.total->total.events;
        result[k].is_used_today = result[k].is_used_today || used.dated.day == day;
      }
      count.push_back(all.size());
      days += slices[k].days;
    }
    const bool is_carried = !carried.empty();
    bool is_used = !all.empty(), was_used = false;  // any of them; any before the one at hand
    for (size_t k = first; k < end && is_carried; ++k) is_used = is_used || !carried[k].UpTo(day).empty();
    Rational sum = 0, minimum = 0, cost_before = 0, waived = 0;
    bool has_minimum = false;
    int64_t days_before = 0;
    std::set<const Charge*> told;  // of those that share a quantity
    for (size_t k = first; k < end; ++k) {
      Charge charge = *slices[k].charge;
      const Zone& zone = slices[k].subscription->zone;
      const auto from = all.begin(), to = from + static_cast<std::ptrdiff_t>(count[k - first]);
      const auto to_before = k == first ? from : from + static_cast<std::ptrdiff_t>(count[k - first - 1]);
      Buckets before = UsageOf({from, to_before}, charge), to_date = UsageOf({from, to}, charge),
              whole = UsageOf(all, charge);
      bool is_own = result[k].events > 0;
      if (is_carried) {
        const int64_t begin = slices[k].subscription->valid_from.number;
        const int64_t behind = k + 1 < end ? slices[k + 1].subscription->valid_from.number : INT64_MAX;
        whole = carried[k].UpTo(day);
        before = carried[k].UpTo(std::min(day, begin - 1));
        to_date = carried[k].UpTo(std::min(day, behind - 1));
        is_own = !AreAlike(before, to_date);
        result[k].events = static_cast<uint64_t>(numerator(Rational(EventsOf(to_date) - EventsOf(before))));
        const bool is_of_day = begin <= day && day < behind;
        result[k].is_used_today = is_of_day && !AreAlike(whole, carried[k].UpTo(day - 1));
      }
      if (first == 0 && charge.per_bucket == PerBucket::kNone)  // each bucket has its own included units, and no others
        charge.included.attos += ParseDecimal(numerator(Rational(rolled_over * TenTo(18))).str(), 0).value;
      const bool is_due = day == line.last && k + 1 == end && is_used;
      // Of those that have not begun the one before has the days.
      const bool has_next = k + 1 < end && slices[k + 1].subscription->valid_from.number <= day;
      const bool has_begun = k == first || slices[k].subscription->valid_from.number <= day;
      const int64_t days_to = !has_begun ? days_before : has_next ? days_before + slices[k].days : days;
      Rational worth = 0;
      if (IsOneQuantityAPeriod(meter, charge)) {
        Charge alone = charge;
        alone.maximum.reset();
        alone.minimum.reset();
        if (is_used) {
          const Rational price = WorthOf(alone, whole, day == line.last, zone);
          worth = At36(price * days_to / days) - At36(price * days_before / days);
        }
        if (told.insert(slices[k].charge).second) result[k].own = QuantityOf(whole);
      } else {
        Rational flat = 0;
        const Charge held = WithVolumeOf(charge, before, to_date, whole, &flat);
        const Rational cost = CostOf(held, to_date, zone) - CostOf(held, before, zone) + flat;
        worth = cost;
        if (charge.commitment && charge.per_bucket == PerBucket::kNone) {
          const Rational bound = CommittedOf(*charge.commitment, charge.pricing);
          const auto above = [&](const Rational& of) { return std::max(Rational(0), Rational(of - bound)); };
          if (is_own) {
            const Rational above_before = was_used ? above(cost_before) : Rational(0);
            worth = cost + OverageOf(*charge.commitment, above(cost_before + cost) - above_before);
          }
          const Rational committed =
              WithCommitment(Commitment{charge.commitment->amount, charge.commitment->quantity, Price{kOneUnit}, true},
                             charge.pricing, cost_before + cost, true);
          if (is_due && charge.commitment->true_up) worth += committed - cost_before - cost;
        }
        cost_before += cost;
        was_used = was_used || is_own;
        worth -= At36(worth * Exact(charge.discount));
        result[k].own = QuantityOf(to_date) - QuantityOf(before);
      }
      days_before = days_to;
      // A credit first takes back what no maximum had let become due.
      if (worth < 0) {
        const Rational again = std::min(waived, Rational(-worth));
        worth += again;
        waived -= again;
      }
      if (charge.maximum) {
        const Rational bound = sum > Exact(*charge.maximum) ? sum : Exact(*charge.maximum);
        if (sum + worth > bound) {
          waived += sum + worth - bound;
          worth = bound - sum;
        }
      }
      sum += worth;
      const bool counts = slices[end - 1].charge->prorates_bound || k + 1 == end;
      if (charge.minimum && counts && slices[k].minimum_share > 0) {
        has_minimum = true;
        minimum += At36(Exact(*charge.minimum) * slices[k].minimum_share);
      }
      if (k + 1 == end && day == line.last && has_minimum && sum < minimum) worth += minimum - sum;
      result[k].worth = worth;
    }
    first = end;
  }
  return result;
}

bool HasMinimum(const std::vector<Slice>& slices) {
  return std::any_of(slices.begin(), slices.end(), [](const Slice& s) { return s.charge->minimum.has_value(); });
}

void AddDayOfSlices(const Catalog& catalog, int64_t day, const Line& period, const std::vector<Slice>& slices,
                    const std::vector<SliceToDate>& to_date, Subject* result) {
  std::map<Line, WorthToDate> of_lines;
  std::set<Line> used_today;
  for (size_t k = 0; k < slices.size(); ++k) {
    Line line = period;
    line.plan = catalog.plans[slices[k].subscription->plan].name;
    WorthToDate& worth = of_lines[line];
    worth.quantity += to_date[k].own;
    worth.worth += to_date[k].worth;
    worth.events += to_date[k].events;
    const Currency currency = catalog.plans[slices[k].subscription->plan].currency;
    worth.booked = InMinorUnits(worth.worth, currency.minor_digits(), catalog.book.rounding);
    if (to_date[k].is_used_today) used_today.insert(line);
  }
  for (const auto& [line, worth] : of_lines) {
    const auto known = result->lines.find(line);
    const Integer before = known == result->lines.end() ? Integer(0) : known->second.rbegin()->second.booked;
    if (used_today.contains(line) || worth.booked != before) result->lines[line][day] = worth;
  }
}

bool HasTrueUp(const std::vector<Slice>& slices) {
  return std::any_of(slices.begin(), slices.end(), [](const Slice& s) {
    return s.charge->commitment && s.charge->commitment->true_up && s.charge->per_bucket == PerBucket::kNone;
  });
}

void AddSlicedPeriod(const Catalog& catalog, const Line& period, const std::vector<Slice>& slices,
                     const std::vector<SlicedUsage>& usage, const Rational& rolled_over, bool is_complete,
                     std::optional<Day> through, Subject* result) {
  std::set<int64_t> days;
  for (const SlicedUsage& used : usage) days.insert(used.dated.day);
  if ((HasMinimum(slices) || (HasTrueUp(slices) && !days.empty())) && is_complete) days.insert(period.last);
  // Shares change where a version begins.
  for (const Slice& slice : slices) {
    const int64_t from = slice.subscription->valid_from.number;
    if (!days.empty() && *days.begin() < from && (!through || from <= through->number)) days.insert(from);
  }
  for (const int64_t day : days) {
    AddDayOfSlices(catalog, day, period, slices, SlicesUpTo(catalog, day, period, slices, usage, rolled_over), result);
  }
}

// Units that a period left, and the number of the last period that may use them.
struct LeftUnits {
  Rational units;
  int64_t last_use;
};

void LeaveUnits(const Charge& charge, const Rational& used, int64_t number, std::vector<LeftUnits>* left) {
  Rational units = Converted(charge, used);
  left->push_back({Exact(charge.included), number + charge.rollover->periods});
  for (LeftUnits& one : *left) {
    const Rational taken = Clamped(units, one.units);
    one.units -= taken;
    units -= taken;
  }
  std::erase_if(*left, [&](const LeftUnits& one) { return one.last_use <= number; });
  if (!charge.rollover->most) return;
  Rational room = Exact(*charge.rollover->most);  // the newest keep their place
  for (auto one = left->rbegin(); one != left->rend(); ++one) {
    if (one->units > room) one->units = room;
    room -= one->units;
  }
}

// All periods of one charge of one subscription, one after the other.
void AddSlicedCharge(const Catalog& catalog, const Subscription& first, const Charge& charge, int64_t last,
                     const std::vector<SlicedUsage>& all, std::optional<Day> through, std::optional<Day> timed,
                     std::set<Line>* done, Subject* result) {
  std::vector<LeftUnits> left;
  std::optional<Slice> before;
  int64_t number = 0;
  int64_t day = first.valid_from.number;
  for (; day <= last; ++number) {
    Line line = LineOf(catalog, first, charge, day);
    day = line.last + 1;
    const std::vector<Slice> slices = SlicesOf(catalog, line);
    if (slices.empty() || !before || !Continues(*before, slices.front())) left.clear();
    before = slices.empty() ? std::nullopt : std::optional(slices.back());
    if (slices.empty() || !IsSliced(catalog, *slices.front().charge, line)) {
      left.clear();
      continue;
    }
    std::vector<SlicedUsage> usage;
    for (const SlicedUsage& used : all) {
      const bool is_of_slice = std::any_of(slices.begin(), slices.end(), [&](const Slice& slice) {
        return slice.subscription == used.dated.subscription && slice.charge == used.charge;
      });
      if (is_of_slice && FirstOf(line) <= used.dated.day && used.dated.day <= line.last) usage.push_back(used);
    }
    Rational rolled_over = 0;
    for (const LeftUnits& one : left) rolled_over += one.units;
    const bool is_complete =
        usage.empty() ? timed && line.last <= timed->number : !through || line.last <= through->number;
    line.plan.clear();
    if (done->insert(line).second)
      AddSlicedPeriod(catalog, line, slices, usage, rolled_over, is_complete, through, result);
    bool in_one = true;
    for (size_t k = 1; k < slices.size(); ++k) in_one = in_one && !slices[k].starts;
    if (!in_one) left.clear();
    if (!before->charge->rollover) {
      left.clear();
      continue;
    }
    std::vector<const SubjectTotal*> totals;
    for (const SlicedUsage& used : usage) {
      size_t k = 0;
      while (slices[k].subscription != used.dated.subscription) ++k;
      bool counts = true;  // goes on up to the last slice
      for (size_t next = k + 1; next < slices.size(); ++next) counts = counts && !slices[next].starts;
      if (counts) totals.push_back(used.dated.total);
    }
    LeaveUnits(*before->charge, totals.empty() ? Rational(0) : Aggregate(*totals.front()->meter, totals), number,
               &left);
  }
}

void AddSliced(const Catalog& catalog, const std::string& subject, const std::vector<SlicedUsage>& usage,
               std::optional<Day> through, std::optional<Day> timed, Subject* result) {
  int64_t last = timed ? timed->number : INT64_MIN / 2;
  for (const SlicedUsage& used : usage) last = std::max(last, used.dated.day);
  std::set<Line> done;  // periods, without a plan
  for (const Subscription& s : catalog.subscriptions) {
    if (s.subject != subject) continue;
    for (const Charge& charge : catalog.plans[s.plan].charges) {
      const auto meter = std::ranges::find(catalog.meters, charge.meter, &Meter::name);
      if (charge.bound || !SaysWhatAmendmentsDo(charge) || IsCarried(*meter)) continue;  // AddCarriedSlices
      AddSlicedCharge(catalog, s, charge, last, usage, through, timed, &done, result);
    }
  }
}

int64_t DayAt(Instant at, const Zone& zone) {
  return absl::ToCivilDay(absl::FromUnixNanos(at.nanos), LibraryZone(zone)) - kDayZero;
}

// ----- meters that carry over: levels, and sets with removals

// The elements of one part of a charge.
using Elements = std::map<std::string, std::vector<TwinElement>>;

Elements ElementsOf(const Plan& plan, const Charge& charge, const std::vector<SubjectTotal>& totals) {
  Elements elements;
  std::map<std::vector<std::string_view>, uint32_t> series;
  for (const SubjectTotal& total : totals) {
    if (total.meter->name != charge.meter) continue;
    const std::vector<std::string_view> values(total.dimension_values.begin(), total.dimension_values.end());
    const uint32_t number = series.try_emplace(values, static_cast<uint32_t>(series.size())).first->second;
    const std::optional<std::string> part = PartOf(charge, total);
    if (Taker(plan, total) == &charge && part) elements[*part].push_back({number, total.total});
  }
  return elements;
}

// Day after day on which the subscription is on the plan, to that of the last element at least.
void AddCarriedCharge(const Catalog& catalog, const Subscription& s, const Charge& charge,
                      const std::vector<SubjectTotal>& totals, std::optional<Day> through,
                      std::optional<Day> carried_through, Subject* result) {
  const Plan& plan = catalog.plans[s.plan];
  const Meter& meter = *std::ranges::find(catalog.meters, charge.meter, &Meter::name);
  const Elements elements = ElementsOf(plan, charge, totals);
  if (elements.empty()) return;
  int64_t last = carried_through ? carried_through->number : INT64_MIN;
  for (const auto& [name, of_part] : elements) {
    for (const TwinElement& e : of_part) last = std::max(last, DayAt(e.total.latest_at, s.zone));
  }
  if (through) last = through->number;
  std::set<int64_t> days;
  for (const auto& [day, quantity] : DaysOn(catalog, std::string(s.id), plan, last + 1)) days.insert(day);
  for (const Subscription& version : catalog.subscriptions) {
    if (version.id != s.id || version.plan != s.plan || plan.is_trial_free) continue;
    const int64_t end = version.valid_to ? std::min<int64_t>(version.valid_to->number, last + 1) : last + 1;
    for (int64_t day = version.valid_from.number; day < end; ++day) days.insert(day);
  }
  const auto alone = [&] {
    return charge.cells.empty() && charge.pricing.limits_by.empty() && charge.pricing.price_per_event == Price{} &&
           !charge.minimum && !(charge.commitment && charge.commitment->true_up);
  };
  std::map<std::string, Rational> exact;  // attos, of the line's days
  Parts parts;
  const auto price = [&](const Line& line, int64_t day, uint64_t events) {
    WorthToDate to_date;
    to_date.events = events;
    for (const auto& [name, part] : parts) to_date.quantity += part.quantity;
    Rational share = 1;
    if (charge.minimum) {
      const Rational of_days = ShareOf(DaysOn(catalog, line.subscription, plan, line.last + 1), line, FirstOf(line));
      if (charge.prorates_bound || of_days == 0) share = of_days;
    }
    to_date.worth = WorthOf(charge, {{{0, 0}, parts}}, day == line.last, s.zone, share);
    to_date.booked = InMinorUnits(to_date.worth, plan.currency.minor_digits(), catalog.book.rounding);
    return to_date;
  };
  for (auto at = days.begin(); at != days.end();) {
    const Line line = LineOf(catalog, s, charge, *at);
    const BillingPeriod period = {{static_cast<int32_t>(FirstOf(line))}, {static_cast<int32_t>(line.last + 1)}};
    if (IsSliced(catalog, charge, line)) {
      at = days.upper_bound(line.last);  // AddCarriedSlices
      continue;
    }
    exact.clear();
    uint64_t events = 0;
    std::optional<WorthToDate> before;
    for (; at != days.end() && *at <= line.last; ++at) {
      const Day day{static_cast<int32_t>(*at)};
      bool is_nothing = true;
      parts.clear();
      for (const auto& [name, of_part] : elements) {
        const bool has_begun = std::any_of(of_part.begin(), of_part.end(), [&](const TwinElement& e) {
          return DayAt(e.total.latest_at, s.zone) <= *at;
        });
        if (!has_begun) continue;
        const Rational more = CarriedQuantity(meter, s.zone, of_part, period, {day});
        const bool adds = meter.aggregation == Aggregation::kWeightedSum || meter.reading.proration == Proration::kDay;
        exact[name] = adds ? Rational(exact[name] + more) : more;
        Part& part = parts[name];
        part.quantity = Rational(RoundedTo(meter, exact[name]), TenTo(18));
        for (const TwinElement& e : of_part) {
          const int64_t of_day = DayAt(e.total.latest_at, s.zone);
          const bool counts = period.start.number <= of_day && of_day <= *at && days.contains(of_day);
          if (counts) part.events += e.total.events;
          if (of_day == *at) events += e.total.events;
        }
        is_nothing = is_nothing && part.quantity == 0;
      }
      if (!before && is_nothing && events == 0) continue;
      const WorthToDate to_date = price(line, *at, events);
      const bool is_same = before && before->quantity == to_date.quantity && before->events == events;
      if (alone() && is_same) continue;
      before = result->lines[line][*at] = to_date;
    }
    const bool is_due = charge.minimum || (charge.commitment && charge.commitment->true_up);
    if (before && is_due && (!through || line.last <= through->number)) {
      // What came on days that are not the plan's is there, of none of its days.
      for (const auto& [name, of_part] : elements) {
        const bool has_begun = std::any_of(of_part.begin(), of_part.end(), [&](const TwinElement& e) {
          return DayAt(e.total.latest_at, s.zone) <= line.last;
        });
        if (has_begun) parts.try_emplace(name);
      }
      if (!result->lines[line].contains(line.last)) result->lines[line][line.last] = price(line, line.last, events);
    }
  }
}

// The same where the period is cut by versions.
std::vector<CarriedSlice> CarriedSlicesOf(const Catalog& catalog, const Line& period, const std::vector<Slice>& slices,
                                          const std::vector<SubjectTotal>& totals, std::optional<Day> through,
                                          std::optional<Day> carried_through) {
  const BillingPeriod days_of = {{static_cast<int32_t>(FirstOf(period))}, {static_cast<int32_t>(period.last + 1)}};
  std::vector<Elements> elements;
  std::vector<std::vector<int64_t>> own_days;
  for (const Slice& slice : slices) {
    const Subscription& s = *slice.subscription;
    const Plan& plan = catalog.plans[s.plan];
    elements.push_back(ElementsOf(plan, *slice.charge, totals));
    int64_t last = INT64_MIN;
    for (const auto& [name, of_part] : elements.back()) {
      for (const TwinElement& e : of_part) last = std::max(last, DayAt(e.total.latest_at, s.zone));
    }
    if (!elements.back().empty() && carried_through) last = std::max<int64_t>(last, carried_through->number);
    if (through) last = through->number;
    std::vector<int64_t>& own = own_days.emplace_back();
    const Days paid = DaysOn(catalog, std::string(s.id), plan, period.last + 1);
    for (int64_t day = FirstOf(period); day <= std::min(last, period.last); ++day) {
      const bool is_valid = s.valid_from.number <= day && (!s.valid_to || day < s.valid_to->number);
      if (is_valid && (!plan.is_trial_free || paid.contains(day))) own.push_back(day);
    }
  }
  std::vector<CarriedSlice> carried(slices.size());
  for (size_t k = 0; k < slices.size(); ++k) {
    size_t first = k, end = k + 1;
    while (!slices[first].starts) --first;
    while (end < slices.size() && !slices[end].starts) ++end;
    for (size_t i = first; i < end; ++i) {
      carried[k].days.insert(carried[k].days.end(), own_days[i].begin(), own_days[i].end());
    }
    const Meter& meter = *std::ranges::find(catalog.meters, slices[k].charge->meter, &Meter::name);
    const bool adds = meter.aggregation == Aggregation::kWeightedSum || meter.reading.proration == Proration::kDay;
    for (const auto& [name, of_part] : elements[k]) {
      Rational exact = 0;
      Part part;
      int64_t& begins = carried[k].begins.try_emplace(name, INT64_MAX).first->second;
      for (const TwinElement& e : of_part) {
        begins = std::min(begins, DayAt(e.total.latest_at, slices[k].subscription->zone));
      }
      for (const int64_t day : carried[k].days) {
        const Zone& zone = slices[k].subscription->zone;
        const Rational of_day = CarriedQuantity(meter, zone, of_part, days_of, {{static_cast<int32_t>(day)}});
        exact = adds ? Rational(exact + of_day) : of_day;
        part.quantity = Rational(RoundedTo(meter, exact), TenTo(18));
        for (const TwinElement& e : of_part) {
          if (DayAt(e.total.latest_at, zone) == day) part.events += e.total.events;
        }
        carried[k].parts[name].push_back(part);
      }
    }
  }
  return carried;
}

void AddCarriedSlices(const Catalog& catalog, const Line& period, const std::vector<SubjectTotal>& totals,
                      std::optional<Day> through, std::optional<Day> carried_through, Subject* result) {
  const std::vector<Slice> slices = SlicesOf(catalog, period);
  const std::vector<CarriedSlice> carried = CarriedSlicesOf(catalog, period, slices, totals, through, carried_through);
  std::set<int64_t> days;
  bool is_used = false;
  for (const CarriedSlice& slice : carried) {
    for (const int64_t day : slice.days) is_used = is_used || !slice.UpTo(day).empty();
  }
  for (const CarriedSlice& slice : carried) {
    if (is_used) days.insert(slice.days.begin(), slice.days.end());
  }
  const std::optional<Day> timed = through ? through : carried_through;
  const bool is_complete = is_used ? !through || period.last <= through->number : timed && period.last <= timed->number;
  if (is_complete && (HasMinimum(slices) || (HasTrueUp(slices) && is_used))) days.insert(period.last);
  for (const int64_t day : days) {
    AddDayOfSlices(catalog, day, period, slices, SlicesUpTo(catalog, day, period, slices, {}, 0, carried), result);
  }
}

void AddCarriedSlicesOf(const Catalog& catalog, const Subscription& s, const Charge& charge,
                        const std::vector<SubjectTotal>& totals, std::optional<Day> through,
                        std::optional<Day> carried_through, std::set<Line>* done, Subject* result) {
  const std::optional<Day> timed = through ? through : carried_through;
  int64_t last = timed ? timed->number : INT64_MIN / 2;
  if (!through) {
    for (const SubjectTotal& total : totals) last = std::max(last, DayAt(total.total.latest_at, s.zone));
  }
  const int64_t end = s.valid_to ? s.valid_to->number - 1 : last;
  for (int64_t day = s.valid_from.number; day <= std::min(last, end);) {
    Line period = LineOf(catalog, s, charge, day);
    day = period.last + 1;
    period.plan.clear();
    if (IsSliced(catalog, charge, period) && done->insert(period).second) {
      AddCarriedSlices(catalog, period, totals, through, carried_through, result);
    }
  }
}

void AddCarried(const Catalog& catalog, const std::string& subject, const std::vector<SubjectTotal>& totals,
                std::optional<Day> through, std::optional<Day> carried_through, Subject* result) {
  std::set<std::pair<std::string, uint32_t>> done;
  for (const Subscription& s : catalog.subscriptions) {
    if (s.subject != subject || !done.insert({std::string(s.id), s.plan}).second) continue;
    for (const Charge& charge : catalog.plans[s.plan].charges) {
      const auto meter = std::ranges::find(catalog.meters, charge.meter, &Meter::name);
      if (meter == catalog.meters.end() || !IsCarried(*meter)) continue;
      AddCarriedCharge(catalog, s, charge, totals, through, carried_through, result);
    }
  }
  std::set<Line> sliced;  // periods, without a plan
  for (const Subscription& s : catalog.subscriptions) {
    if (s.subject != subject) continue;
    for (const Charge& charge : catalog.plans[s.plan].charges) {
      const auto meter = std::ranges::find(catalog.meters, charge.meter, &Meter::name);
      if (meter == catalog.meters.end() || !IsCarried(*meter) || !SaysWhatAmendmentsDo(charge)) continue;
      AddCarriedSlicesOf(catalog, s, charge, totals, through, carried_through, &sliced, result);
    }
  }
}

// ----- units that grants pay, of meters whose totals are of days

bool TakesGrants(const Catalog& catalog, const Line& line, const Charge& charge) {
  if (!charge.cells.empty() || !charge.pricing.limits_by.empty() || charge.per_bucket != PerBucket::kNone) return false;
  if (PricesEachEvent(charge.pricing) || charge.pricing.price_per_event != Price{}) return false;
  return std::ranges::any_of(catalog.unit_grants, [&](const UnitGrant& grant) {
    return grant.subscription == line.subscription && grant.charge == line.charge;
  });
}

struct UnitWallet {
  const UnitGrant* grant = nullptr;
  int64_t start = 0, end = INT64_MAX;  // days
  bool is_open = false;
  Rational balance, may_return, pending;  // pending: paid of what was owed before, and not yet told of a line
};

struct UnitLine {
  Line line;
  const Charge* charge = nullptr;
  std::vector<Dated> dated;
  Rational units, unpaid;
  std::vector<Rational> paid;             // by each grant
  std::map<int64_t, Rational> told = {};  // by all of them, on the days that the line has
};

bool BeginsOn(const std::optional<BillingCycle>& cycle, int64_t day) {
  return cycle && PeriodAround(*cycle, day).first == kDayZero + day;
}

// What earlier units are owed in all is paid; whose they were is told afterwards.
void OpenUnits(UnitWallet* wallet, const Rational& balance, Rational* owed) {
  wallet->balance = balance;
  wallet->may_return = 0;
  wallet->is_open = true;
  if (!wallet->grant->pays_earlier) return;
  const Rational paid = std::min(wallet->balance, *owed);
  wallet->balance -= paid;
  wallet->may_return += paid;
  wallet->pending += paid;
  *owed -= paid;
}

// Ends, resets, starts and refills of a day, each in the order of paying.
void BeginUnitDay(int64_t day, const Zone& zone, const std::vector<UnitWallet*>& in_order, Rational* owed) {
  for (UnitWallet* wallet : in_order) {
    if (wallet->end == day) wallet->is_open = false, wallet->balance = 0, wallet->may_return = 0;
  }
  for (UnitWallet* wallet : in_order) {
    const UnitGrant& grant = *wallet->grant;
    bool is_reset = BeginsOn(grant.reset, day);
    for (const Instant at : grant.resets) is_reset = is_reset || DayAt(at, zone) == day;
    if (!is_reset || !wallet->is_open) continue;
    if (!grant.keeps_overage) *owed = 0;
    OpenUnits(wallet, std::max(Exact(grant.rollover_min), std::min(Exact(grant.rollover_max), wallet->balance)), owed);
  }
  for (UnitWallet* wallet : in_order) {
    if (wallet->start == day && day < wallet->end) OpenUnits(wallet, Exact(wallet->grant->units), owed);
  }
  for (UnitWallet* wallet : in_order) {
    if (!wallet->is_open || day <= wallet->start || !BeginsOn(wallet->grant->refill, day)) continue;
    const Rational kept = std::min(wallet->balance, Exact(wallet->grant->rollover_max));
    OpenUnits(wallet, kept + Exact(wallet->grant->units), owed);
  }
}

void UseUnits(Rational more, const std::vector<UnitWallet*>& in_order, const UnitWallet* first, Rational* owed,
              UnitLine* line) {
  for (UnitWallet* wallet : in_order) {
    const Rational paid = wallet->is_open && more > 0 ? std::min(wallet->balance, more) : Rational(0);
    wallet->balance -= paid;
    wallet->may_return += paid;
    line->paid[static_cast<size_t>(wallet - first)] += paid;
    more -= paid;
  }
  if (more > 0) line->unpaid += more, *owed += more;
  if (more >= 0) return;
  Rational back = -more;
  const Rational forgiven = std::min(line->unpaid, back);
  line->unpaid -= forgiven, *owed -= forgiven, back -= forgiven;
  for (auto at = in_order.rbegin(); at != in_order.rend(); ++at) {
    UnitWallet& wallet = **at;
    Rational& paid = line->paid[static_cast<size_t>(&wallet - first)];
    const Rational returned = wallet.is_open ? std::min({wallet.may_return, paid, back}) : Rational(0);
    wallet.balance += returned, wallet.may_return -= returned;
    paid -= returned, back -= returned;
  }
}

Rational SumOf(const std::vector<Rational>& all) {
  Rational sum = 0;
  for (const Rational& one : all) sum += one;
  return sum;
}

// All lines of one charge of a subscription, day by day.
void PayInUnits(const Catalog& catalog, const Zone& zone, int64_t last, std::vector<UnitLine>* lines) {
  std::vector<UnitWallet> wallets;
  for (const UnitGrant& grant : catalog.unit_grants) {
    if (grant.subscription != lines->front().line.subscription || grant.charge != lines->front().line.charge) continue;
    UnitWallet& wallet = wallets.emplace_back();
    wallet.grant = &grant;
    wallet.start = DayAt(grant.starts_at, zone);
    if (grant.ends_at) wallet.end = DayAt(*grant.ends_at, zone);
    if (grant.voided_at) wallet.end = std::min(wallet.end, DayAt(*grant.voided_at, zone));
  }
  std::vector<UnitWallet*> in_order;
  for (UnitWallet& wallet : wallets) in_order.push_back(&wallet);
  std::ranges::sort(in_order, {}, [&](const UnitWallet* wallet) {
    const UnitGrant& grant = *wallet->grant;
    return std::tuple(grant.priority, !grant.ends_at, grant.ends_at, grant.id);
  });
  std::ranges::stable_sort(*lines, {},
                           [](const UnitLine& line) { return std::ranges::min(line.dated, {}, &Dated::day).day; });
  int64_t day = last;
  for (const UnitWallet& wallet : wallets) day = std::min(day, wallet.start);
  for (UnitLine& line : *lines) {
    line.paid.resize(wallets.size());
    for (const Dated& dated : line.dated) day = std::min(day, dated.day);
  }
  Rational owed = 0;
  for (; day <= last; ++day) {
    for (UnitLine& line : *lines) {
      if (day > line.line.last) owed -= line.unpaid, line.unpaid = 0;
    }
    BeginUnitDay(day, zone, in_order, &owed);
    for (UnitLine& line : *lines) {
      const Rational before = SumOf(line.paid);
      for (size_t i = 0; i < wallets.size(); ++i) {
        const Rational paid = std::min(wallets[i].pending, line.unpaid);
        wallets[i].pending -= paid, line.unpaid -= paid, line.paid[i] += paid;
      }
      if (SumOf(line.paid) != before) line.told[day] = SumOf(line.paid);
    }
    for (UnitWallet& wallet : wallets) wallet.pending = 0;
    if (owed == 0) {
      for (UnitLine& line : *lines) line.unpaid = 0;
    }
    for (UnitLine& line : *lines) {
      std::vector<const SubjectTotal*> totals;
      bool is_used = false;
      for (const Dated& dated : line.dated) {
        if (dated.day <= day) totals.push_back(dated.total);
        is_used = is_used || dated.day == day;
      }
      if (!is_used) continue;
      const Rational used = Aggregate(*totals.front()->meter, totals);
      const Rational units = std::max(Rational(0), BillableOf(*line.charge, used, 0));
      UseUnits(units - line.units, in_order, wallets.data(), &owed, &line);
      line.units = units;
      line.told[day] = SumOf(line.paid);
    }
  }
}

// `timed`: the calendar's last day. A maximum is of all that there is, up to the window's last day.
void AddTimed(const Catalog& catalog, const std::string& subject, std::optional<Day> timed, bool has_window,
              Subject* result) {
  constexpr int64_t kNothing = INT64_MIN / 2;
  const int64_t through = timed ? timed->number : kNothing;
  enum class Kind { kCharges, kMaximums, kMinimums };
  for (const Kind kind : {Kind::kCharges, Kind::kMaximums, Kind::kMinimums}) {
    const bool is_maximum = kind == Kind::kMaximums;
    const auto others = result->lines;
    int64_t last = through;
    for (const auto& [line, worths] : others) {
      if (!has_window) last = std::max(last, worths.rbegin()->first);
    }
    std::set<std::pair<std::string, uint32_t>> done;
    for (const Subscription& s : catalog.subscriptions) {
      if (s.subject != subject || !done.insert({std::string(s.id), s.plan}).second) continue;
      const Plan& plan = catalog.plans[s.plan];
      const Days days = DaysOn(catalog, std::string(s.id), plan, last + 800);  // no period is longer
      for (const Charge& charge : plan.charges) {
        if (kind != Kind::kCharges) {
          const bool is_at_hand = charge.bound && charge.bound->is_maximum == is_maximum;
          if (is_at_hand) AddBound(catalog, s, charge, days, is_maximum ? last : through, others, result);
          continue;
        }
        const bool is_fee_due = charge.fee && !WasDueOfOther(catalog, s, charge, days);
        if (is_fee_due) AddFee(catalog, s, charge, days, through, result);
        const bool has_minimum = charge.minimum && *charge.minimum != Price{};
        if (has_minimum) AddUnused(catalog, s, charge, days, through, result);
      }
    }
    if (kind == Kind::kCharges) {
      LessEarlierFees(catalog, result);
    } else {
      AddSlicedBounds(catalog, subject, is_maximum, is_maximum ? last : through, result);
    }
  }
}

}  // namespace

Subject Rate(const Catalog& catalog, const std::string& subject, const std::vector<SubjectTotal>& totals,
             std::optional<Day> through, std::optional<Day> carried_through) {
  Subject result;
  std::map<Line, std::vector<Dated>> lines;
  struct Priced {
    const Plan* plan = nullptr;
    const Charge* charge = nullptr;
  };
  std::map<Line, Priced> prices;
  std::vector<SlicedUsage> sliced;
  for (const SubjectTotal& total : totals) {
    const Subscription* subscription = ValidOn(catalog, subject, total);
    const int64_t day = DayOf(total, subscription == nullptr ? catalog.book.zone : subscription->zone);
    if (through.has_value() && day > through->number) continue;
    const std::string& meter = total.meter->name;
    if (subscription == nullptr) {
      result.unrated[{UnratedUsage::Why::kUnattributed, meter, "", day}] += total.total.events;
      continue;
    }
    const Plan& plan = catalog.plans[subscription->plan];
    if (plan.is_trial_free && !DaysOn(catalog, std::string(subscription->id), plan, day + 1).contains(day)) {
      result.unrated[{UnratedUsage::Why::kTrial, meter, std::string(subscription->id), day}] += total.total.events;
      continue;
    }
    const Charge* charge = Taker(plan, total);
    if (charge == nullptr || !PartOf(*charge, total)) {
      result.unrated[{UnratedUsage::Why::kUnpriced, meter, std::string(subscription->id), day}] += total.total.events;
      continue;
    }
    if (IsCarried(*total.meter)) continue;
    const Line line = LineOf(catalog, *subscription, *charge, day);
    if (IsSliced(catalog, *charge, line)) {
      sliced.push_back({{day, &total, subscription}, charge});
      continue;
    }
    lines[line].push_back({day, &total, subscription});
    prices[line] = {&plan, charge};
  }
  const std::optional<Day> timed = through ? through : carried_through;
  std::map<std::pair<std::string, std::string>, std::vector<UnitLine>> in_units;
  for (const auto& [line, dated] : lines) {
    const Charge* charge = prices[line].charge;
    if (TakesGrants(catalog, line, *charge)) {
      in_units[{line.subscription, line.charge}].push_back({line, charge, dated, 0, 0, {}, {}});
    }
  }
  std::map<Line, std::map<int64_t, Rational>> paid;
  for (auto& [of, unit_lines] : in_units) {
    int64_t last = timed ? timed->number : INT64_MIN;
    for (const UnitLine& line : unit_lines) {
      for (const Dated& dated : line.dated) last = std::max(last, dated.day);
    }
    PayInUnits(catalog, unit_lines.front().dated.front().subscription->zone, last, &unit_lines);
    for (const UnitLine& line : unit_lines) paid[line.line] = line.told;
  }
  for (const auto& [line, dated] : lines) {
    // The line is of the version of the subscription that its first usage fell in.
    const Dated* first = &dated.front();
    for (const Dated& d : dated) {
      if (std::tie(d.day, d.subscription) < std::tie(first->day, first->subscription)) first = &d;
    }
    const Zone& zone = first->subscription->zone;
    const auto& [plan, charge] = prices[line];
    const int64_t last = line.last;
    Rational share = 1;
    if (charge->minimum) {
      const Rational of_days = ShareOf(DaysOn(catalog, line.subscription, *plan, last + 1), line, FirstOf(line));
      if (charge->prorates_bound || of_days == 0) share = of_days;
    }
    const std::map<int64_t, Rational>& told = paid[line];
    const auto up_to = [&, &days = result.lines[line], &plan = plan, &charge = charge, &dated = dated](int64_t day) {
      const auto behind = told.upper_bound(day);
      const Rational units = behind == told.begin() ? Rational(0) : std::prev(behind)->second;
      days[day] = UpTo(day, last, dated, *charge, zone, share, units, plan->currency, catalog.book.rounding);
    };
    for (const auto& [day, units] : told) up_to(day);
    for (const Dated& d : dated) up_to(d.day);
    // A minimum, or a commitment of the period, is due on the last day, once that is rated.
    const bool is_committed =
        charge->commitment && charge->commitment->true_up && charge->per_bucket == PerBucket::kNone;
    if ((charge->minimum || is_committed) && (!through || last <= through->number)) up_to(last);
  }
  AddCarried(catalog, subject, totals, through, carried_through, &result);
  AddSliced(catalog, subject, sliced, through, timed, &result);
  AddTimed(catalog, subject, timed, through.has_value(), &result);
  TakeOffDiscounts(catalog, subject, timed, through.has_value(), &result);
  PayFromGrants(catalog, subject, timed, &result);
  return result;
}

}  // namespace tollbook::reference
