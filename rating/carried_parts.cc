#include "rating/carried_parts.h"

#include <algorithm>

namespace tollbook {
namespace {

void SetIn(const PartTotal& to_date, std::vector<UsagePart>* parts) {
  auto at = std::ranges::lower_bound(*parts, to_date.part, {}, &UsagePart::part);
  if (at == parts->end() || at->part != to_date.part) at = parts->insert(at, {{}, to_date.part, {}, 0, {}, nullptr});
  at->quantity = to_date.total.value;
  at->events = to_date.total.events;
}

}  // namespace

CarriedParts::CarriedParts(std::span<const UsageSlice> slices) {
  for (size_t i = 0; i < slices.size(); ++i) {
    const Day end = i + 1 < slices.size() ? slices[i + 1].start : Day{INT32_MAX};
    slices_.push_back({slices[i].start, end, {}, {}, {}});
  }
}

void CarriedParts::Set(size_t as, const PartTotal& to_date) {
  Slice& slice = slices_[as];
  const Day day = to_date.time.day;
  if (day < slice.start) SetIn(to_date, &slice.before);
  if (day < slice.end) SetIn(to_date, &slice.to_date);
  SetIn(to_date, &slice.whole);
}

std::span<const SliceParts> CarriedParts::parts() {
  parts_.clear();
  for (const Slice& slice : slices_) parts_.push_back({slice.before, slice.to_date, slice.whole});
  return parts_;
}

}  // namespace tollbook
