#include "pipeline/correction_totals.h"

#include <set>

#include "pipeline/series_order.h"

namespace tollbook {

std::multimap<CorrectionTotals::CellKey, CorrectionTotals::Cell>& CorrectionTotals::CellsOf(std::string_view subject,
                                                                                            uint32_t series) {
  const SubjectHash hash = HashSubject(subject, book_seed_);
  Subject& of = shards_[TotalShardOf(hash)][{hash.high, hash.low}];
  of.name = subject;
  return of.cells[series];
}

void CorrectionTotals::Add(const Measurement& measured) {
  const Meter& meter = MeterOf(measured.series);
  const TotalForm form = FormOf(meter);
  const UsageTotal delta{measured.value, static_cast<uint64_t>(static_cast<int64_t>(measured.events)),
                         HasTime(form) ? measured.time : Instant()};
  CellKey key{measured.bucket, {}, {}};
  if (IsOfElements(form)) key = {measured.bucket, delta.latest_at, delta.value};
  std::multimap<CellKey, Cell>& cells = CellsOf(measured.subject_name(), measured.series);
  // The last of them is the one that had room before.
  const auto behind = cells.upper_bound(key);
  if (behind != cells.begin() && std::prev(behind)->first == key) {
    UsageTotal* const known = &std::prev(behind)->second.total;
    if (IsOfElements(form) ? MergeElement(delta, known) : Merge(meter.aggregation, delta, known)) return;
  }
  cells.insert({key, {delta, CellRole::kAdds}});
}

void CorrectionTotals::Replace(const TotalPlace& place, const UsageTotal& total) {
  CellsOf(place.subject, place.series).insert({{place.bucket, {}, {}}, {total, CellRole::kReplaces}});
}

std::vector<ShardRun> CorrectionTotals::Pack(std::vector<bool>* used_meters) const {
  std::vector<ShardRun> runs;
  for (const auto& [number, shard] : shards_) runs.push_back({number, PackShard(shard, used_meters)});
  return runs;
}

std::string CorrectionTotals::PackShard(const Shard& shard, std::vector<bool>* used_meters) const {
  std::set<uint32_t> used;
  for (const auto& [hash, subject] : shard) {
    for (const auto& [series, cells] : subject.cells) used.insert(series);
  }
  std::vector<OrderedSeries> ordered;
  for (const uint32_t id : used) ordered.push_back({series_.at(id).meter, series_.at(id).dimension_values, id});
  SortSeries(&ordered);
  TotalsRunWriter writer;
  std::map<uint32_t, uint32_t> rank;  // of a series
  uint32_t meter_id = 0;
  for (size_t i = 0; i < ordered.size(); ++i) {
    const OrderedSeries& series = ordered[i];
    if (i == 0 || series.meter != ordered[i - 1].meter) {
      const Meter& meter = catalog_.meters[series.meter];
      meter_id = writer.AddMeter(meter.name, FormOf(meter));
      (*used_meters)[series.meter] = true;
    }
    rank[series.id] = writer.AddSeries(meter_id, series.values);
  }
  for (const auto& [hash, subject] : shard) {
    std::map<uint32_t, const std::multimap<CellKey, Cell>*> by_rank;
    for (const auto& [series, cells] : subject.cells) by_rank[rank[series]] = &cells;
    writer.BeginSubject(subject.name);
    for (const auto& [number, cells] : by_rank) {
      writer.BeginSeries(number, static_cast<uint32_t>(cells->size()));
      for (const auto& [key, cell] : *cells) writer.AddCell(std::get<Bucket>(key), cell.total, cell.role);
    }
    writer.EndSubject();
  }
  return writer.Finish();
}

}  // namespace tollbook
