#include "tests/rating/reference_rater.h"

#include <stdexcept>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace tollbook::reference {
namespace {

Integer TenTo(int exponent) {
  return boost::multiprecision::pow(Integer(10), static_cast<unsigned>(exponent));
}

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

int64_t DayOf(const SubjectTotal& total, const Zone& zone) {
  if (total.meter->granularity == Granularity::kDay) return total.bucket.number;
  const int minutes = total.meter->granularity == Granularity::kHour ? 60 : 15;
  absl::TimeZone library_zone;
  if (!absl::LoadTimeZone(zone.name(), &library_zone)) throw std::invalid_argument(zone.name());
  const absl::Time time = absl::UnixEpoch() + absl::Minutes(minutes) * total.bucket.number;
  return absl::ToCivilDay(time, library_zone) - absl::CivilDay(1970, 1, 1);
}

const Subscription* ValidOn(const Catalog& catalog, const std::string& subject, const SubjectTotal& total) {
  for (const Subscription& s : catalog.subscriptions) {
    const int64_t day = DayOf(total, s.zone);
    const bool ended = s.valid_to.has_value() && day >= s.valid_to->number;
    if (s.subject == subject && day >= s.valid_from.number && !ended) return &s;
  }
  return nullptr;
}

const Charge* Taker(const Plan& plan, const SubjectTotal& total) {
  const Charge* taker = nullptr;
  for (const Charge& charge : plan.charges) {
    size_t matching = 0;
    for (size_t i = 0; i < total.meter->dimensions.size(); ++i) {
      const auto wanted = charge.filter.find(total.meter->dimensions[i]);
      if (wanted != charge.filter.end() && wanted->second == total.dimension_values[i]) ++matching;
    }
    const bool takes = charge.meter == total.meter->name && matching == charge.filter.size();
    if (takes && (taker == nullptr || matching > taker->filter.size())) taker = &charge;
  }
  return taker;
}

// A total on its way to its line.
struct Dated {
  int64_t day;
  const SubjectTotal* total;
};

Rational Aggregate(Aggregation aggregation, const std::vector<const SubjectTotal*>& totals) {
  Rational sum = 0, largest, latest;
  std::optional<int64_t> latest_at;
  for (size_t i = 0; i < totals.size(); ++i) {
    const Rational value = Exact(totals[i]->total.value);
    const int64_t at = totals[i]->total.latest_at.nanos;
    sum += value;
    if (i == 0 || value > largest) largest = value;
    if (!latest_at.has_value() || at > *latest_at || (at == *latest_at && value > latest)) {
      latest_at = at;
      latest = value;
    }
  }
  if (aggregation == Aggregation::kMax) return largest;
  if (aggregation == Aggregation::kLatest) return latest;
  return sum;
}

WorthToDate UpTo(int64_t day, const std::vector<Dated>& dated, const Charge& charge, Currency currency,
                 Rounding rounding) {
  WorthToDate to_date;
  std::vector<const SubjectTotal*> totals;
  for (const Dated& d : dated) {
    if (d.day > day) continue;
    totals.push_back(d.total);
    to_date.events += d.total->total.events;
  }
  to_date.quantity = Aggregate(totals.front()->meter->aggregation, totals);
  to_date.worth = WorthOf(charge, to_date.quantity);
  to_date.booked = InMinorUnits(to_date.worth, currency.minor_digits(), rounding);
  return to_date;
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

Rational WorthOf(const Charge& charge, const Rational& quantity) {
  Rational billable = quantity;
  if (quantity > 0) billable = quantity > Exact(charge.included) ? Rational(quantity - Exact(charge.included)) : 0;

  if (charge.model == ChargeModel::kPerUnit) return billable * Exact(charge.unit_price);
  if (charge.model == ChargeModel::kPackage) {
    const Rational packages = Magnitude(billable) / Exact(charge.package_size);
    const Rational started = -Floor(-packages);
    return (billable < 0 ? Rational(-started) : started) * Exact(charge.package_price);
  }

  // A tier holds the units above `from` and up to `to`; the first also nothing, and less than nothing.
  Rational worth = 0, from = 0;
  for (size_t i = 0; i < charge.tiers.size(); ++i) {
    const Tier& tier = charge.tiers[i];
    const bool last = !tier.up_to.has_value();
    const Rational to = last ? billable : Exact(*tier.up_to);
    const bool entered = billable > from;
    const bool holds_total = (i == 0 || entered) && (last || billable <= to);
    const bool flat_due = entered || (i == 0 && charge.flat_at_zero);
    const Rational flat = flat_due ? Exact(tier.flat) : Rational(0);
    if (charge.model == ChargeModel::kVolume && holds_total) return billable * Exact(tier.unit_price) + flat;
    if (charge.model == ChargeModel::kGraduated && (i == 0 || entered)) {
      const Rational up_to = billable < to ? billable : to;
      worth += (up_to - from) * Exact(tier.unit_price) + flat;
    }
    from = to;
  }
  return worth;
}

Integer InMinorUnits(const Rational& worth, int minor_digits, Rounding rounding) {
  const Rational magnitude = Magnitude(worth) * TenTo(minor_digits);
  const Integer below = Floor(magnitude);
  const Rational rest = magnitude - below;
  const Rational half(1, 2);
  bool up = false;
  if (rounding == Rounding::kHalfUp) up = rest >= half;
  if (rounding == Rounding::kHalfEven) up = rest > half || (rest == half && below % 2 == 1);
  if (rounding == Rounding::kUp) up = rest > 0;
  const Integer rounded = below + (up ? 1 : 0);
  return worth < 0 ? Integer(-rounded) : rounded;
}

Subject Rate(const Catalog& catalog, const std::string& subject, const std::vector<SubjectTotal>& totals,
             std::optional<Day> through) {
  Subject result;
  std::map<Line, std::vector<Dated>> lines;
  std::map<Line, std::pair<const Plan*, const Charge*>> prices;
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
    const Charge* charge = Taker(plan, total);
    if (charge == nullptr) {
      result.unrated[{UnratedUsage::Why::kUnpriced, meter, std::string(subscription->id), day}] += total.total.events;
      continue;
    }
    const absl::CivilMonth month(absl::CivilDay(1970, 1, 1) + day);
    const Line line = {std::string(subscription->id), plan.name, charge->name, absl::FormatCivilTime(month)};
    lines[line].push_back({day, &total});
    prices[line] = {&plan, charge};
  }
  for (const auto& [line, dated] : lines) {
    const auto [plan, charge] = prices[line];
    for (const Dated& d : dated) {
      result.lines[line][d.day] = UpTo(d.day, dated, *charge, plan->currency, catalog.book.rounding);
    }
  }
  return result;
}

}  // namespace tollbook::reference
