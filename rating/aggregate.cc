#include "rating/aggregate.h"

#include <algorithm>

#include "rating/error.h"
#include "rating/rounded_quotient.h"

namespace tollbook {
namespace {

constexpr Int128 kPercentileWhole = 100 * static_cast<Int128>(1'000'000'000);  // 100, in units of 10^-9

// The meter's percentile in the same units: its catalog allows no more decimals.
Int128 PercentileOf(const Meter& meter) {
  return meter.reading.percentile.attos / (kOneUnit / 1'000'000'000);
}

Int128 PowerOfTen(int exponent) {
  Int128 power = 1;
  for (; exponent > 0; --exponent) power *= 10;
  return power;
}

bool Less(const UsageTotal& a, const UsageTotal& b) {
  return a.value < b.value;
}

bool AddsUp(Aggregation aggregation) {
  return aggregation == Aggregation::kSum || aggregation == Aggregation::kCount || aggregation == Aggregation::kMean;
}

}  // namespace

bool IsMergeAlone(const Meter& meter) {
  const bool is_quotient = meter.aggregation == Aggregation::kMean;
  return !IsOfElements(FormOf(meter)) && !is_quotient && !meter.reading.rounding && !meter.reading.floor_at_zero;
}

// To a multiple of 10^-places: whether the fraction lies between two attos is kept as one more bit of it, so that the
// second division sees on which side of a tie it lies.
bool RoundUnits(const Meter& meter, const Wide& numerator, Int128 denominator, Quantity* quantity) {
  const std::optional<UnitRounding>& rounding = meter.reading.rounding;
  if (!rounding) return RoundedQuotient(numerator, denominator, Rounding::kHalfEven, &quantity->attos);
  const Int128 unit = PowerOfTen(kQuantityScale - rounding->places);
  Int128 down = 0, up = 0, units = 0;
  if (!RoundedQuotient(numerator, denominator, Rounding::kDown, &down)) return false;
  if (!RoundedQuotient(numerator, denominator, Rounding::kUp, &up)) return false;
  Wide halves;
  if (!Wide::Add(Wide::FromInt128(down), Wide::FromInt128(up), &halves)) return false;
  return RoundedQuotient(halves, 2 * unit, rounding->rounding, &units) &&
         !__builtin_mul_overflow(units, unit, &quantity->attos);
}

void RunningAggregate::Begin(const Meter& meter) {
  const bool carries = CarriesOver(meter);
  const bool is_level =
      carries && meter.aggregation == Aggregation::kWeightedSum && meter.reading.value_is == ValueIs::kLevel;
  meter_ = &meter;
  merged_ = !carries ? meter.aggregation : is_level ? Aggregation::kLatest : Aggregation::kSum;
  of_values_ = merged_ == Aggregation::kPercentile || merged_ == Aggregation::kUniqueCount;
  unfolds_ = AddsUp(merged_) && IsOfElements(FormOf(meter));
  total_ = {};
  by_value_.clear();
  new_.clear();
}

bool RunningAggregate::Add(const UsageTotal& total) {
  if (of_values_) {
    new_.push_back(total);
    return MergeElement(total, &total_);
  }
  if (!unfolds_) return Merge(merged_, total, &total_);
  UsageTotal all = total;
  if (meter_->aggregation == Aggregation::kUniqueCount) {
    all.value = Quantity::Units(OperationOf(total.value) == SetOperation::kAdd ? 1 : -1);
  }
  return !__builtin_mul_overflow(all.value.attos, static_cast<Int128>(EventsOf(total)), &all.value.attos) &&
         Merge(merged_, all, &total_);
}

void RunningAggregate::SortIn() {
  if (new_.empty()) return;
  const auto known = static_cast<std::ptrdiff_t>(by_value_.size());
  std::sort(new_.begin(), new_.end(), Less);
  by_value_.insert(by_value_.end(), new_.begin(), new_.end());
  new_.clear();
  std::inplace_merge(by_value_.begin(), by_value_.begin() + known, by_value_.end(), Less);
  size_t kept = 0;
  for (size_t i = 1; i < by_value_.size(); ++i) {
    if (by_value_[i].value == by_value_[kept].value) {
      by_value_[kept].events += by_value_[i].events;  // all together fit, Add saw to it
    } else {
      by_value_[++kept] = by_value_[i];
    }
  }
  by_value_.resize(kept + 1);
}

bool RunningAggregate::Percentile(Quantity* quantity) const {
  if (total_.events == 0) return RoundUnits(*meter_, {}, 1, quantity);
  const Int128 percentile = PercentileOf(*meter_);  // at most 10^11: times 2^64 events it fits
  const auto events = static_cast<Int128>(total_.events);
  const bool nearest = meter_->reading.method == PercentileMethod::kNearestRank;
  const Int128 ranks = percentile * (nearest ? events : events - 1);
  // From 0; of the nearest rank, which is rounded up from 1, the same place.
  const Int128 rank = nearest ? (ranks + kPercentileWhole - 1) / kPercentileWhole - 1 : ranks / kPercentileWhole;
  const Int128 beyond = nearest ? 0 : ranks % kPercentileWhole;
  size_t at = 0;
  Int128 behind = static_cast<Int128>(by_value_[0].events);  // events up to this value
  while (behind <= rank) behind += static_cast<Int128>(by_value_[++at].events);
  const Int128 value = by_value_[at].value.attos;
  const Int128 next = beyond != 0 && behind <= rank + 1 ? by_value_[at + 1].value.attos : value;
  Wide sum;
  return Wide::Add(Wide::Product(value, kPercentileWhole - beyond), Wide::Product(next, beyond), &sum) &&
         RoundUnits(*meter_, sum, kPercentileWhole, quantity);
}

bool RunningAggregate::ToDate(Quantity* quantity) {
  if (of_values_) SortIn();
  if (merged_ == Aggregation::kPercentile) return Percentile(quantity);
  Quantity value = total_.value;
  if (merged_ == Aggregation::kUniqueCount) value = Quantity::Units(static_cast<int64_t>(by_value_.size()));
  if (meter_->reading.floor_at_zero && value.attos < 0) value = {};
  const bool divides = meter_->aggregation == Aggregation::kMean && total_.events > 0;
  if (!divides && !meter_->reading.rounding) {
    *quantity = value;
    return true;
  }
  return RoundUnits(*meter_, Wide::FromInt128(value.attos), divides ? static_cast<Int128>(total_.events) : 1, quantity);
}

void CarriedUsage::Begin(const Meter& meter, const Zone& zone) {
  TOLLBOOK_ASSERT(CarriesOver(meter));
  meter_ = &meter;
  zone_ = zone;
  elements_.clear();
  sorted_ = true;
  next_ = 0;
  level_ = 0;
  level_of_.clear();
  accrued_until_ = {INT64_MIN};
  members_.clear();
  active_ = 0;
}

void CarriedUsage::Add(uint32_t series, const UsageTotal& element) {
  elements_.push_back({element, series});
  sorted_ = false;
}

void CarriedUsage::Sort() {
  std::sort(elements_.begin(), elements_.end(), [](const Element& a, const Element& b) {
    const auto order = CompareElements(a.total, b.total);
    return order != 0 ? order < 0 : a.series < b.series;
  });
  sorted_ = true;
}

Instant CarriedUsage::first_at() {
  if (!sorted_) Sort();
  return elements_.front().total.latest_at;
}

Instant CarriedUsage::last_at() {
  if (!sorted_) Sort();
  return elements_.back().total.latest_at;
}

void CarriedUsage::BeginPeriod(const BillingPeriod& period) {
  if (!sorted_) Sort();
  period_ = period;
  period_nanos_ = zone_.StartOf(period.end).nanos - zone_.StartOf(period.start).nanos;
  events_ = 0;
  accrued_ = {};
  touched_days_ = 0;
}

bool CarriedUsage::SetLevel(const Element& element) {
  const Int128 value = element.total.value.attos;
  Int128 change = 0;
  if (meter_->reading.value_is == ValueIs::kDelta) {
    if (__builtin_mul_overflow(value, static_cast<Int128>(element.total.events), &change)) return false;
  } else {
    if (level_of_.size() <= element.series) level_of_.resize(element.series + 1);
    if (__builtin_sub_overflow(value, level_of_[element.series], &change)) return false;
    level_of_[element.series] = value;
  }
  return !__builtin_add_overflow(level_, change, &level_);
}

// A member is counted once for a day: when the day begins with it, or when it is added first.
void CarriedUsage::Operate(const UsageTotal& element, Day day) {
  Member& member = members_[IdentifierOf(element.value)];
  const bool adds = OperationOf(element.value) == SetOperation::kAdd;
  if (member.active == adds) return;
  member.active = adds;
  adds ? ++active_ : --active_;
  if (adds && member.touched != day) ++touched_days_;
  member.touched = day;
}

// Before the day that is added next.
bool CarriedUsage::Carry(const Element& element) {
  if (meter_->aggregation == Aggregation::kWeightedSum) return SetLevel(element);
  const uint64_t touched_days = touched_days_;
  Operate(element.total, {INT32_MIN + 1});  // no day of ours
  touched_days_ = touched_days;
  return true;
}

bool CarriedUsage::Accrue(Instant until) {
  const Wide more = Wide::Product(level_, until.nanos - accrued_until_.nanos);
  accrued_until_ = until;
  return Wide::Add(accrued_, more, &accrued_);
}

bool CarriedUsage::AddDay(Day day, ToDate* to_date) {
  const bool is_level = meter_->aggregation == Aggregation::kWeightedSum;
  const Instant start = std::max(zone_.StartOf(day), accrued_until_), end = zone_.StartOf({day.number + 1});
  to_date->events = events_;
  if (end < start) return Quotient(&to_date->quantity);
  for (; next_ < elements_.size() && elements_[next_].total.latest_at < start; ++next_) {
    if (!Carry(elements_[next_])) return false;
  }
  accrued_until_ = start;
  touched_days_ += active_;
  const bool by_day = meter_->reading.proration == Proration::kDay;
  for (; next_ < elements_.size() && elements_[next_].total.latest_at < end; ++next_) {
    const Element& element = elements_[next_];
    if (__builtin_add_overflow(events_, element.total.events, &events_)) return false;
    if (!is_level) {
      Operate(element.total, day);
    } else if (by_day) {
      if (!SetLevel(element)) return false;
    } else if (!Accrue(element.total.latest_at) || !SetLevel(element)) {
      return false;
    }
  }
  if (is_level && by_day && !Wide::Add(accrued_, Wide::FromInt128(level_), &accrued_)) return false;
  if (!is_level || by_day) accrued_until_ = end;
  if (is_level && !by_day && !Accrue(end)) return false;
  to_date->events = events_;
  return Quotient(&to_date->quantity);
}

bool CarriedUsage::Quotient(Quantity* quantity) const {
  const bool prorated = meter_->reading.proration == Proration::kDay;
  const Int128 period_days = period_.end.number - period_.start.number;
  if (meter_->aggregation == Aggregation::kWeightedSum) {
    // A day that the zone skipped (the International Date Line) is a period without time: no level has any.
    if (!prorated && period_nanos_ == 0) return *quantity = {}, true;
    return RoundUnits(*meter_, accrued_, prorated ? period_days : period_nanos_, quantity);
  }
  const auto count = static_cast<Int128>(prorated ? touched_days_ : active_);
  const Int128 days = prorated ? period_days : 1;
  return RoundUnits(*meter_, Wide::Product(count, kOneUnit), days, quantity);
}

}  // namespace tollbook
