#include "rating/running_usage.h"

#include <algorithm>
#include <tuple>

namespace tollbook {

void RunningParts::Begin(const Charge& charge, const Meter& meter, const Zone& zone) {
  TOLLBOOK_ASSERT(!IsOfEvents(charge) || FormOf(meter) == TotalForm::kTimedElements);  // the catalog's check
  charge_ = &charge;
  meter_ = &meter;
  zone_ = &zone;
  open_.clear();
  parts_.clear();
  has_grown_ = false;
}

bool RunningParts::Add(const PartTotal& added) {
  has_grown_ = true;
  const PricedTime bucket = BucketOf(*charge_, added.time);
  const auto before = [&](const OpenPart& open, const PartTotal&) {
    return std::tie(open.bucket, open.part) < std::tie(bucket, added.part);
  };
  auto at = std::lower_bound(open_.begin(), open_.end(), added, before);
  if (at == open_.end() || at->bucket != bucket || at->part != added.part) {
    at = open_.insert(at, {bucket, added.part, {}, nullptr});
    at->aggregate.Begin(*meter_);
    const Pricing& pricing = PricingOf(*charge_, added.part);
    if (IsOfEvents(pricing)) at->events = std::make_unique<Events>(Events{EventTally(pricing, *zone_), {}});
  }
  if (at->events != nullptr) at->events->of_day.emplace_back(added.total, added.prorated);
  return at->aggregate.Add(added.total);
}

bool RunningParts::CloseDay(Events* events) {
  std::sort(events->of_day.begin(), events->of_day.end(),
            [](const PricedElement& a, const PricedElement& b) { return CompareElements(a, b) < 0; });
  for (const PricedElement& element : events->of_day) {
    if (!events->tally.Add(element)) return false;
  }
  events->of_day.clear();
  return true;
}

bool RunningParts::EndDay() {
  if (!has_grown_) return true;
  has_grown_ = false;
  parts_.clear();
  for (OpenPart& open : open_) {
    Quantity quantity;
    if (!open.aggregate.ToDate(&quantity)) return false;
    if (open.events != nullptr && !CloseDay(open.events.get())) return false;
    const EventTally* tally = open.events == nullptr ? nullptr : &open.events->tally;
    parts_.push_back({open.bucket, open.part, quantity, open.aggregate.events(), {}, tally});
  }
  return true;
}

void RunningUsage::Begin(const Charge& charge, const Meter& meter, const Zone& zone) {
  charge_ = &charge;
  zone_ = &zone;
  parts_.Begin(charge, meter, zone);
  quantity_ = {};
  events_ = 0;
  worth_ = {};
}

bool RunningUsage::EndDay() {
  const bool whole_period = charge_->per_bucket == PerBucket::kNone;
  if (whole_period) quantity_ = {}, events_ = 0, worth_ = {};
  if (!parts_.EndDay()) return false;
  for (const UsagePart& part : parts_.parts()) {
    if (!tollbook::Add(quantity_, part.quantity, &quantity_)) return false;
    if (__builtin_add_overflow(events_, part.events, &events_)) return false;
  }
  Worth worth;
  const bool fits =
      PriceBuckets(*charge_, parts_.parts(), *zone_, &worth) && Wide::Add(worth_.amount, worth.amount, &worth_.amount);
  if (!whole_period) parts_.CloseBuckets();
  return fits;
}

}  // namespace tollbook
