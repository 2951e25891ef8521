#include "rating/running_usage.h"

#include <algorithm>
#include <tuple>

namespace tollbook {

void RunningUsage::Begin(const Charge& charge, const Meter& meter) {
  charge_ = &charge;
  meter_ = &meter;
  open_.clear();
  quantity_ = {};
  events_ = 0;
  worth_ = {};
}

bool RunningUsage::Add(const PartTotal& added) {
  const PricedTime bucket = BucketOf(*charge_, added.time);
  const auto before = [&](const OpenPart& open, const PartTotal&) {
    return std::tie(open.bucket, open.part) < std::tie(bucket, added.part);
  };
  auto at = std::lower_bound(open_.begin(), open_.end(), added, before);
  if (at == open_.end() || at->bucket != bucket || at->part != added.part) {
    at = open_.insert(at, {bucket, added.part, {}});
    at->aggregate.Begin(*meter_);
  }
  return at->aggregate.Add(added.total);
}

bool RunningUsage::EndDay() {
  const bool whole_period = charge_->per_bucket == PerBucket::kNone;
  if (whole_period) quantity_ = {}, events_ = 0, worth_ = {};
  parts_.clear();
  for (OpenPart& open : open_) {
    Quantity quantity;
    if (!open.aggregate.ToDate(&quantity)) return false;
    parts_.push_back({open.bucket, open.part, quantity, open.aggregate.events()});
    if (!tollbook::Add(quantity_, quantity, &quantity_)) return false;
    if (__builtin_add_overflow(events_, open.aggregate.events(), &events_)) return false;
  }
  if (!whole_period) open_.clear();
  Worth worth;
  return PriceBuckets(*charge_, parts_, &worth) && Wide::Add(worth_.amount, worth.amount, &worth_.amount);
}

}  // namespace tollbook
