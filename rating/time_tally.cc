#include "rating/time_tally.h"

#include <algorithm>
#include <string>

#include "rating/rounded_quotient.h"

namespace tollbook {
namespace {

std::string Seconds(int64_t nanos) {
  return FormatDecimal(nanos, 9) + " s";
}

bool AddTimes(const std::vector<uint64_t>& counts, uint64_t times, std::vector<uint64_t>* into) {
  for (size_t i = 0; i < counts.size(); ++i) {
    uint64_t more = 0;
    if (__builtin_mul_overflow(counts[i], times, &more) || __builtin_add_overflow((*into)[i], more, &(*into)[i])) {
      return false;
    }
  }
  return true;
}

}  // namespace

TimeTally::TimeTally(const Pricing& pricing, const Zone& zone) : pricing_(&pricing), zone_(&zone) {
  size_t steps = 0;
  for (const TimeWindow& window : pricing.time.windows) {
    first_step_.push_back(steps);
    steps += window.steps.size();
  }
  counts_.increments.assign(steps, 0);
  counts_.connects.assign(pricing.time.windows.size(), 0);
  of_event_ = counts_;
}

size_t TimeTally::WindowAt(const ClockTime& time) const {
  const std::vector<TimeWindow>& windows = pricing_->time.windows;
  const auto at = std::find_if(windows.begin(), windows.end(), [&](const TimeWindow& w) { return w.when.Has(time); });
  TOLLBOOK_ASSERT(at != windows.end());  // the catalog's check sees to it that the whole week is covered
  return static_cast<size_t>(at - windows.begin());
}

size_t TimeTally::StepAt(const TimeWindow& window, int64_t elapsed) const {
  size_t step = 0;
  while (step + 1 < window.steps.size() && window.steps[step + 1].after_nanos <= elapsed) ++step;
  return step;
}

// From one change of the price to the next: all increments that begin before it.
bool TimeTally::Walk(Instant start, int64_t duration, Counts* counts) const {
  Instant end;
  if (__builtin_add_overflow(start.nanos, duration, &end.nanos)) return false;
  for (int64_t elapsed = 0; elapsed < duration;) {
    const ClockTime clock = zone_->ClockAt({start.nanos + elapsed});
    const size_t at = WindowAt(clock);
    const TimeWindow& window = pricing_->time.windows[at];
    const size_t step = StepAt(window, elapsed);
    int64_t stretch = std::min(duration - elapsed, clock.even_for_nanos);
    stretch = std::min(stretch, window.when.end_nanos() - clock.nanos_of_day);
    if (step + 1 < window.steps.size()) stretch = std::min(stretch, window.steps[step + 1].after_nanos - elapsed);
    if (elapsed == 0) ++counts->connects[at];
    const int64_t increment = window.steps[step].increment_nanos;
    const int64_t begun = (stretch - 1) / increment + 1;
    counts->increments[first_step_[at] + step] += static_cast<uint64_t>(begun);
    // Where the last increment runs on beyond all time, the event is over too.
    int64_t passed = 0;
    if (__builtin_mul_overflow(begun, increment, &passed) || passed >= duration - elapsed) return true;
    elapsed += passed;
  }
  return true;
}

bool TimeTally::CostOf(const Counts& counts, Wide* cost) const {
  const std::vector<TimeWindow>& windows = pricing_->time.windows;
  *cost = {};
  for (size_t i = 0; i < windows.size(); ++i) {
    const Int128 connects = static_cast<Int128>(counts.connects[i]) * kOneUnit;
    if (!Wide::Add(*cost, Wide::Product(connects, windows[i].connect_fee.attos), cost)) return false;
    for (size_t j = 0; j < windows[i].steps.size(); ++j) {
      Worth worth;
      if (!WorthOfIncrements(pricing_->time, windows[i].steps[j], counts.increments[first_step_[i] + j], &worth) ||
          !Wide::Add(*cost, worth.amount, cost)) {
        return false;
      }
    }
  }
  return true;
}

bool TimeTally::Add(const UsageTotal& element) {
  Int128 duration = 0;
  if (!RoundedQuotient(Wide::Product(element.value.attos, pricing_->time.unit_nanos), kOneUnit, Rounding::kHalfUp,
                       &duration)) {
    return false;
  }
  if (duration <= 0) return true;
  if (duration > INT64_MAX) return false;
  std::fill(of_event_.increments.begin(), of_event_.increments.end(), 0);
  std::fill(of_event_.connects.begin(), of_event_.connects.end(), 0);
  if (!Walk(element.latest_at, static_cast<int64_t>(duration), &of_event_)) return false;
  if (pricing_->max_per_event) {
    Wide cost;
    if (!CostOf(of_event_, &cost)) return false;
    if (cost > Wide::Product(kOneUnit, pricing_->max_per_event->attos)) {
      return !__builtin_add_overflow(at_maximum_, element.events, &at_maximum_);
    }
  }
  return AddTimes(of_event_.increments, element.events, &counts_.increments) &&
         AddTimes(of_event_.connects, element.events, &counts_.connects);
}

void TimeTally::PriceWindow(size_t window, Arithmetic* sum) const {
  const TimeWindow& of = pricing_->time.windows[window];
  const auto when = [&] { return of.when == ClockWindow() ? std::string() : ToString(of.when) + ": "; };
  if (counts_.connects[window] > 0) {
    const Quantity connects = {static_cast<Int128>(counts_.connects[window]) * kOneUnit};
    if (of.connect_fee != tollbook::Price{})
      sum->Step(connects, of.connect_fee, [&] { return when() + "connect fee"; });
  }
  for (size_t i = 0; i < of.steps.size(); ++i) {
    const TimeStep& step = of.steps[i];
    const uint64_t increments = counts_.increments[first_step_[window] + i];
    if (increments == 0) continue;
    const auto what = [&] {
      std::string text = when();
      if (of.steps.size() > 1) text.append("from ").append(Seconds(step.after_nanos)).append(" on, ");
      text.append(std::to_string(increments)).append(increments == 1 ? " increment of " : " increments of ");
      text.append(Seconds(step.increment_nanos)).append(" at ").append(ToString(step.price));
      return text.append(" per ").append(Seconds(step.per_nanos));
    };
    IncrementPrice price;
    Worth worth;
    if (!PriceOfIncrement(pricing_->time, step, &price) ||
        !WorthOfIncrements(pricing_->time, step, increments, &worth)) {
      return sum->DoesNotFit();
    }
    if (price.rest == 0) {
      sum->Step({static_cast<Int128>(increments) * kOneUnit}, price.price, what);
    } else {
      sum->Amount(worth, what);
    }
  }
}

void TimeTally::Price(Arithmetic* sum) const {
  for (size_t i = 0; i < pricing_->time.windows.size(); ++i) PriceWindow(i, sum);
  if (at_maximum_ == 0) return;
  sum->Step({static_cast<Int128>(at_maximum_) * kOneUnit}, *pricing_->max_per_event,
            [] { return "events at the maximum of each"; });
}

}  // namespace tollbook
