#include "rating/running_usage.h"

#include <algorithm>
#include <tuple>

namespace tollbook {

void RunningUsage::Begin(const Charge& charge, Aggregation aggregation) {
  charge_ = &charge;
  aggregation_ = aggregation;
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
  }
  return Merge(aggregation_, added.total, &at->total);
}

bool RunningUsage::EndDay() {
  const bool whole_period = charge_->per_bucket == PerBucket::kNone;
  if (whole_period) quantity_ = {}, events_ = 0, worth_ = {};
  parts_.clear();
  for (const OpenPart& open : open_) {
    parts_.push_back({open.bucket, open.part, open.total.value, open.total.events});
    if (!tollbook::Add(quantity_, open.total.value, &quantity_)) return false;
    if (__builtin_add_overflow(events_, open.total.events, &events_)) return false;
  }
  if (!whole_period) open_.clear();
  Worth worth;
  return PriceBuckets(*charge_, parts_, &worth) && Wide::Add(worth_.amount, worth.amount, &worth_.amount);
}

}  // namespace tollbook
