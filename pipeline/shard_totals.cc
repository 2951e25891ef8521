#include "pipeline/shard_totals.h"

#include <algorithm>
#include <string>

namespace tollbook {

absl::StatusOr<std::vector<uint32_t>> ShardTotals::MetersOf(const TotalsRunReader& reader) const {
  std::vector<uint32_t> meters;
  for (const TotalsRunReader::MeterEntry& entry : reader.meters()) {
    const Meter* meter = catalog_.FindMeter(entry.name);
    if (meter == nullptr) {
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "a meter that the book has usage of is gone from the catalog", entry.name,
                       "put it back in meters.yaml");
    }
    meters.push_back(static_cast<uint32_t>(meter - catalog_.meters.data()));
  }
  return meters;
}

uint32_t ShardTotals::Intern(const std::vector<std::string_view>& tuple) {
  const auto [it, added] = tuple_ids_.try_emplace(tuple, static_cast<uint32_t>(tuples_.size()));
  if (added) tuples_.push_back(&it->first);
  return it->second;
}

absl::Status ShardTotals::Add(const StoredRun& run) {
  TotalsRunReader reader(run.bytes);
  absl::StatusOr<std::vector<uint32_t>> meters = MetersOf(reader);
  if (!meters.ok()) return meters.status();
  std::vector<uint32_t> tuples;
  for (const std::vector<std::string_view>& tuple : reader.dimensions()) tuples.push_back(Intern(tuple));
  std::string_view name;
  uint32_t count = 0;
  while (reader.NextSubject(&name, &count)) {
    if (only_subject_ && name != *only_subject_) {
      reader.SkipCells(count);
      continue;
    }
    const auto [it, added] = subject_ids_.try_emplace(name, static_cast<uint32_t>(names_.size()));
    if (added) names_.push_back(name);
    TotalCell cell;
    for (uint32_t i = 0; i < count && reader.NextCell(&cell); ++i) {
      cells_.push_back({it->second, (*meters)[cell.meter], tuples[cell.dimensions], cell.bucket, cell.total});
    }
  }
  return reader.ok() ? absl::OkStatus() : DamagedError("usage totals of commit " + std::to_string(run.sequence));
}

absl::Status ShardTotals::StatusOf(size_t subject) const {
  const auto it = overflown_.find(subject);
  if (it == overflown_.end()) return absl::OkStatus();
  return MakeError(absl::StatusCode::kOutOfRange, "a usage total leaves the range of 1.7e20 units",
                   "meter " + it->second->name + ", subject " + std::string(names_[subject]),
                   "it is not booked; mend its events at the source and absorb them into a new book");
}

void ShardTotals::Merge() {
  std::sort(cells_.begin(), cells_.end(), [](const Cell& a, const Cell& b) { return a.place() < b.place(); });
  totals_.reserve(cells_.size());
  starts_.assign(1, 0);
  for (size_t i = 0; i < cells_.size();) {
    Cell& cell = cells_[i];
    const Meter& meter = catalog_.meters[cell.meter];
    for (++i; i < cells_.size() && cells_[i].place() == cell.place(); ++i) {
      if (!tollbook::Merge(meter.aggregation, cells_[i].total, &cell.total)) {
        overflown_.emplace(cell.subject, &meter);
        cell.total.events += cells_[i].total.events;  // the value cannot be held, the events are still counted
      }
    }
    totals_.push_back({&meter, *tuples_[cell.dimensions], cell.bucket, cell.total});
    if (i == cells_.size() || cells_[i].subject != cell.subject) starts_.push_back(totals_.size());
  }
}

}  // namespace tollbook
