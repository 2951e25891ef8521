// CarriedTwin: what carries over, reckoned again in the slowest way, with big rationals.
#ifndef TOLLBOOK_TESTS_RATING_CARRIED_TWIN_H_
#define TOLLBOOK_TESTS_RATING_CARRIED_TWIN_H_

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "rating/aggregate.h"
#include "tests/rating/reference_rater.h"

namespace tollbook::reference {

inline Integer ToInteger(Int128 value) {
  Integer whole(static_cast<int64_t>(value >> 64));
  return whole * (Integer(1) << 64) + static_cast<uint64_t>(value);
}

inline Integer TenTo(int exponent) {
  return boost::multiprecision::pow(Integer(10), static_cast<unsigned>(exponent));
}

// In attos, rounded once.
inline Integer RoundedTo(const Meter& meter, const Rational& attos) {
  const UnitRounding rounding = meter.reading.rounding.value_or(UnitRounding{Rounding::kHalfEven, 18});
  const Integer unit = TenTo(18 - rounding.places);
  const Rational units = (attos < 0 ? Rational(-attos) : attos) / Rational(unit);
  Integer whole = numerator(units) / denominator(units);
  const Rational twice = (units - Rational(whole)) * 2;
  const bool is_odd = whole % 2 != 0;
  const bool more = rounding.rounding == Rounding::kUp       ? twice > 0
                    : rounding.rounding == Rounding::kHalfUp ? twice >= 1
                    : rounding.rounding == Rounding::kDown   ? false
                                                             : twice > 1 || (twice == 1 && is_odd);
  if (more) ++whole;
  return (attos < 0 ? Integer(-whole) : whole) * unit;
}

struct TwinElement {
  uint32_t series;
  UsageTotal total;
};

// By parts: each change of the level counts from its instant on, in each day that counts.
inline Rational LevelTwin(const Meter& meter, const Zone& zone, std::vector<TwinElement> elements,
                          const BillingPeriod& period, const std::vector<Day>& days) {
  std::sort(elements.begin(), elements.end(), [](const TwinElement& a, const TwinElement& b) {
    return std::tie(a.total.latest_at, a.total.value) < std::tie(b.total.latest_at, b.total.value);
  });
  const bool by_day = meter.reading.proration == Proration::kDay;
  std::map<uint32_t, Integer> level;
  Rational sum = 0;
  for (const TwinElement& element : elements) {
    const Integer value = ToInteger(element.total.value.attos);
    Integer change = value * element.total.events;
    if (meter.reading.value_is == ValueIs::kLevel) change = value - std::exchange(level[element.series], value);
    for (const Day day : days) {
      const int64_t end = zone.StartOf({day.number + 1}).nanos;
      if (by_day && element.total.latest_at.nanos < end) sum += Rational(change);
      if (by_day) continue;
      const int64_t begin = std::max(zone.StartOf(day).nanos, element.total.latest_at.nanos);
      if (begin < end) sum += Rational(change * Integer(end - begin));
    }
  }
  if (by_day) return sum / Rational(period.end.number - period.start.number);
  return sum / Rational(zone.StartOf(period.end).nanos - zone.StartOf(period.start).nanos);
}

// Day by day with sets.
inline Rational MembersTwin(const Meter& meter, const Zone& zone, std::vector<TwinElement> elements,
                            const BillingPeriod& period, const std::vector<Day>& days) {
  std::sort(elements.begin(), elements.end(), [](const TwinElement& a, const TwinElement& b) {
    return std::tie(a.total.latest_at, a.total.value) < std::tie(b.total.latest_at, b.total.value);
  });
  const auto members_at = [&](Instant until, std::set<Int128>* touched, Instant from) {
    std::set<Int128> members;
    bool begun = false;
    for (const TwinElement& element : elements) {
      if (!(element.total.latest_at < until)) break;
      if (!begun && !(element.total.latest_at < from)) begun = true, *touched = members;
      const Int128 identifier = IdentifierOf(element.total.value);
      if (OperationOf(element.total.value) == SetOperation::kRemove) {
        members.erase(identifier);
      } else {
        members.insert(identifier);
        if (begun) touched->insert(identifier);
      }
    }
    if (!begun) *touched = members;
    return members;
  };
  uint64_t touched_days = 0, active = 0;
  for (const Day day : days) {
    std::set<Int128> touched;
    active = members_at(zone.StartOf({day.number + 1}), &touched, zone.StartOf(day)).size();
    touched_days += touched.size();
  }
  if (meter.reading.proration == Proration::kNone) return Rational(active) * Rational(TenTo(18));
  return Rational(touched_days) * Rational(TenTo(18)) / Rational(period.end.number - period.start.number);
}

// Either, by the meter.
inline Rational CarriedQuantity(const Meter& meter, const Zone& zone, const std::vector<TwinElement>& elements,
                                const BillingPeriod& period, const std::vector<Day>& days) {
  return meter.aggregation == Aggregation::kWeightedSum ? LevelTwin(meter, zone, elements, period, days)
                                                        : MembersTwin(meter, zone, elements, period, days);
}

}  // namespace tollbook::reference

#endif  // TOLLBOOK_TESTS_RATING_CARRIED_TWIN_H_
