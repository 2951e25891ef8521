#include "pipeline/shard_totals.h"

#include <algorithm>
#include <string>
#include <utility>

#include "ledger/totals_cells.h"
#include "pipeline/series_order.h"

namespace tollbook {
namespace {

// Subjects whose cells are called for while one is worked on: far enough for a book of thousands of runs, whose bytes
// are in no cache.
constexpr size_t kPrefetchAhead = 2;

absl::Status DamagedRun(uint64_t sequence) {
  return DamagedError("usage totals of commit " + std::to_string(sequence));
}

}  // namespace

absl::StatusOr<std::vector<uint32_t>> ShardTotals::MetersOf(const TotalsRunReader& reader) const {
  std::vector<uint32_t> meters;
  for (const TotalsRunReader::MeterEntry& entry : reader.meters()) {
    const Meter* meter = catalog_.FindMeter(entry.name);
    if (meter == nullptr) {
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "a meter that the book has usage of is gone from the catalog", entry.name,
                       "put it back in meters.yaml");
    }
    if (FormOf(*meter) != entry.form) {
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "a meter that the book has usage of is defined otherwise now", entry.name,
                       "put its aggregation, operation and keep back in meters.yaml, and give the new definition a new "
                       "name");
    }
    meters.push_back(static_cast<uint32_t>(meter - catalog_.meters.data()));
  }
  return meters;
}

uint32_t ShardTotals::SeriesOf(uint32_t meter, std::string_view stored_values) {
  const auto [it, added] = series_of_[meter].try_emplace(stored_values, static_cast<uint32_t>(series_.size()));
  if (added) {
    values_.push_back(DimensionValuesOf(stored_values));
    series_.push_back({&catalog_.meters[meter], values_.back()});
  }
  return it->second;
}

absl::Status ShardTotals::AddSeries(const TotalsRunReader& reader) {
  absl::StatusOr<std::vector<uint32_t>> meters = MetersOf(reader);
  if (!meters.ok()) return meters.status();
  for (RunSeries& series : reader.run_series()) {
    const TotalsRunReader::SeriesEntry& entry = reader.series()[series.series];
    series.series = SeriesOf((*meters)[entry.meter], entry.values);
    run_series_.push_back(series);
  }
  return absl::OkStatus();
}

absl::Status ShardTotals::Add(const StoredRun& run) {
  TotalsRunReader reader(run.bytes);
  const size_t series_begin = run_series_.size();
  TOLLBOOK_RETURN_IF_ERROR(AddSeries(reader));
  const auto number = static_cast<uint32_t>(runs_.size());
  runs_.push_back({run.bytes, run.sequence, series_begin, reader.series().size()});
  std::string_view name;
  SubjectCells cells;
  for (size_t at = reader.position(); reader.NextSubject(&name, &cells); at = reader.position()) {
    if (only_subject_ && name != *only_subject_) continue;
    if (at > UINT32_MAX) return DamagedRun(run.sequence);  // an epoch's input is far smaller
    parts_.push_back({HashSubject(name, book_seed_).high, number, static_cast<uint32_t>(at)});
  }
  return reader.ok() ? absl::OkStatus() : DamagedRun(run.sequence);
}

void ShardTotals::Merge() {
  RankSeries();
  HashOrder<Part>().Sort(
      &parts_, [](const Part& part) { return part.hash; },
      [](const Part& a, const Part& b) { return std::tie(a.hash, a.run) < std::tie(b.hash, b.run); });
  GatherSubjects();
}

// From here on series are numbered in their order.
void ShardTotals::RankSeries() {
  std::vector<OrderedSeries> ordered;
  for (uint32_t i = 0; i < series_.size(); ++i) {
    ordered.push_back({static_cast<uint32_t>(series_[i].meter - catalog_.meters.data()), series_[i].values, i});
  }
  SortSeries(&ordered);
  std::vector<uint32_t> rank(series_.size());
  std::vector<ShardSeries> ranked(series_.size());
  for (uint32_t i = 0; i < ordered.size(); ++i) {
    rank[ordered[i].id] = i;
    ranked[i] = series_[ordered[i].id];
  }
  series_ = std::move(ranked);
  for (RunSeries& series : run_series_) series.series = rank[series.series];
  cells_of_.assign(series_.size(), {});
  for (uint32_t i = 0; i < series_.size(); ++i) cells_of_[i].of_elements = IsOfElements(FormOf(*series_[i].meter));
}

// Parts with one hash are one subject's, but for names that share 64 bits of it: so the names decide.
void ShardTotals::GatherSubjects() {
  SubjectCells cells;
  const auto name_of = [&](const Part& part) { return SubjectOfRun(runs_[part.run].bytes, part.at, &cells); };
  for (size_t begin = 0, end = 0; begin < parts_.size(); begin = end) {
    const std::string_view name = name_of(parts_[begin]);
    bool one_name = true;
    for (end = begin + 1; end < parts_.size() && parts_[end].hash == parts_[begin].hash; ++end) {
      one_name = one_name && name_of(parts_[end]) == name;
    }
    if (one_name) {
      subjects_.push_back({name, begin});
      continue;
    }
    std::stable_sort(parts_.begin() + begin, parts_.begin() + end,
                     [&](const Part& a, const Part& b) { return name_of(a) < name_of(b); });
    for (size_t i = begin; i < end; ++i) {
      if (i == begin || name_of(parts_[i]) != subjects_.back().name) subjects_.push_back({name_of(parts_[i]), i});
    }
  }
}

std::span<const ShardTotals::Part> ShardTotals::PartsOf(size_t subject) const {
  const size_t begin = subjects_[subject].parts_begin;
  const size_t end = subject + 1 < subjects_.size() ? subjects_[subject + 1].parts_begin : parts_.size();
  return std::span(parts_).subspan(begin, end - begin);
}

bool ShardTotals::ChangedSince(size_t subject, uint64_t sequence) const {
  return runs_[PartsOf(subject).back().run].sequence > sequence;
}

std::span<const SubjectTotal> ShardTotals::TotalsOf(size_t subject) {
  Load(subject);
  return totals_;
}

absl::Status ShardTotals::StatusOf(size_t subject) {
  Load(subject);
  if (damaged_) return DamagedRun(damaged_sequence_);
  if (overflown_ == kNoSeries) return absl::OkStatus();
  return MakeError(absl::StatusCode::kOutOfRange, "a usage total leaves the range of 1.7e20 units",
                   "meter " + series_[overflown_].meter->name + ", subject " + std::string(name(subject)),
                   "it is not booked; mend its events at the source and absorb them into a new book");
}

void ShardTotals::Prefetch(size_t subject) const {
  if (subject >= subjects_.size()) return;
  for (const Part& part : PartsOf(subject)) __builtin_prefetch(runs_[part.run].bytes.data() + part.at);
}

void ShardTotals::Load(size_t subject) {
  if (loaded_ == subject) return;
  loaded_ = subject;
  Prefetch(subject + kPrefetchAhead);
  ReadCells(subject);
  GatherTotals();
}

void ShardTotals::ReadCells(size_t subject) {
  damaged_ = false;
  overflown_ = kNoSeries;
  cells_.clear();
  used_.clear();
  bool sound = true;
  const auto keep = [&](uint32_t series, Bucket bucket, const UsageTotal& total, CellRole role) {
    if (role == CellRole::kReplaces) sound = sound && !cells_of_[series].of_elements;
    AddCell(series, bucket, total, role);
  };
  for (const Part& part : PartsOf(subject)) {
    const Run& run = runs_[part.run];
    const std::span<const RunSeries> series = std::span(run_series_).subspan(run.series_begin, run.series);
    SubjectCells cells;
    SubjectOfRun(run.bytes, part.at, &cells);
    if ((ForEachCell(cells, series, keep) && sound) || damaged_) continue;
    damaged_ = true;
    damaged_sequence_ = run.sequence;
  }
}

// Usage comes in the order of time, mostly, and so do the runs' cells of a series: a cell is of the last bucket, or of
// a later one. Where one is of an earlier bucket, the rest of the series is kept cell by cell and sorted out at the
// end, so that what is added up is always added in the order of the runs.
inline void ShardTotals::AddCell(uint32_t series, Bucket bucket, const UsageTotal& total, CellRole role) {
  const auto added = static_cast<uint32_t>(cells_.size());
  CellsOf& of = cells_of_[series];
  if (of.first == kNoCell) {
    of.first = added;
    used_.push_back(series);
  } else if (of.of_elements) {
    return AddElement(series, bucket, total);
  } else {
    Cell& last = cells_[of.last];
    if (of.in_order && last.bucket == bucket) return MergeInto(series, total, role, &last.total);
    of.in_order = of.in_order && last.bucket < bucket;
    last.next = added;
  }
  of.last = added;
  cells_.push_back({bucket, kNoCell, role, total});
}

// The same, but that cells are of one place when they are equal elements of one bucket.
void ShardTotals::AddElement(uint32_t series, Bucket bucket, const UsageTotal& element) {
  CellsOf& of = cells_of_[series];
  Cell& last = cells_[of.last];
  const auto order = last.bucket != bucket ? last.bucket <=> bucket : CompareElements(last.total, element);
  if (of.in_order && order == 0) return MergeEqual(series, element, &last.total);
  of.in_order = of.in_order && order < 0;
  last.next = of.last = static_cast<uint32_t>(cells_.size());
  cells_.push_back({bucket, kNoCell, CellRole::kAdds, element});
}

void ShardTotals::MergeInto(uint32_t series, const UsageTotal& delta, CellRole role, UsageTotal* into) {
  if (role == CellRole::kReplaces) {
    *into = delta;
    return;
  }
  if (tollbook::Merge(series_[series].meter->aggregation, delta, into)) return;
  overflown_ = std::min(overflown_, series);
  (void)AddEvents(delta.events, &into->events);  // the value cannot be held, the events are still counted
}

void ShardTotals::MergeEqual(uint32_t series, const UsageTotal& element, UsageTotal* into) {
  if (!MergeElement(element, into)) overflown_ = std::min(overflown_, series);
}

void ShardTotals::GatherTotals() {
  totals_.clear();
  if (!std::is_sorted(used_.begin(), used_.end())) std::sort(used_.begin(), used_.end());
  for (const uint32_t number : used_) {
    const bool of_elements = cells_of_[number].of_elements;
    const CellsOf of = std::exchange(cells_of_[number], {.of_elements = of_elements});
    if (!of.in_order) {
      SortOut(number, of.first);
      continue;
    }
    for (uint32_t i = of.first; i != kNoCell; i = cells_[i].next) KeepTotal(number, cells_[i].bucket, cells_[i].total);
  }
}

// A correction takes back what was accepted before it, and once: never more than there is, and with the last event the
// last of the value (which is not known where it could not be held).
inline void ShardTotals::KeepTotal(uint32_t series, Bucket bucket, const UsageTotal& total) {
  if (EventsOf(total) > 0) {
    totals_.push_back({series_[series].meter, series_[series].values, bucket, total});
    return;
  }
  const bool left_over = !cells_of_[series].of_elements && total.value.attos != 0 && overflown_ == kNoSeries;
  if (damaged_ || (EventsOf(total) == 0 && !left_over)) return;
  damaged_ = true;
  damaged_sequence_ = runs_[PartsOf(loaded_).back().run].sequence;
}

void ShardTotals::SortOut(uint32_t series, uint32_t first) {
  const bool of_elements = cells_of_[series].of_elements;
  const auto compare = [&](const Cell& a, const Cell& b) {
    return a.bucket != b.bucket || !of_elements ? a.bucket <=> b.bucket : CompareElements(a.total, b.total);
  };
  order_.clear();
  for (uint32_t i = first; i != kNoCell; i = cells_[i].next) order_.push_back(i);
  std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) {
    const auto order = compare(cells_[a], cells_[b]);
    return order != 0 ? order < 0 : a < b;
  });
  Cell merged;
  bool begun = false;
  for (const uint32_t index : order_) {
    const Cell& cell = cells_[index];
    if (!begun || compare(merged, cell) != 0) {
      if (begun) KeepTotal(series, merged.bucket, merged.total);
      merged = cell;
      begun = true;
    } else if (of_elements) {
      MergeEqual(series, cell.total, &merged.total);
    } else {
      MergeInto(series, cell.total, cell.role, &merged.total);
    }
  }
  KeepTotal(series, merged.bucket, merged.total);
}

}  // namespace tollbook
