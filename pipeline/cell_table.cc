#include "pipeline/cell_table.h"

#include <algorithm>
#include <tuple>

#include "ledger/totals_run.h"

namespace tollbook {
namespace {

constexpr size_t kSlotsAtStart = 1024;

bool SameCell(const Measurement& a, const Measurement& b) {
  return a.subject_hash.low == b.subject_hash.low && a.subject_hash.high == b.subject_hash.high &&
         a.series == b.series && a.bucket == b.bucket;
}

}  // namespace

CellTable::CellTable(const std::vector<Meter>& meters, const SeriesTable& series)
    : meters_(meters), series_(series), slots_(kSlotsAtStart), mask_(kSlotsAtStart - 1) {}

void CellTable::Add(const Measurement& m) {
  const Aggregation aggregation = meters_[series_.at(m.series).meter].aggregation;
  const UsageTotal delta{m.value, 1, aggregation == Aggregation::kLatest ? m.time : Instant{}};
  const uint64_t hash = HashOf(m);
  const uint64_t tag = hash >> 32;
  size_t slot = hash & mask_;
  for (; slots_[slot] != 0; slot = (slot + 1) & mask_) {
    if (slots_[slot] >> 32 != tag) continue;
    Cell& cell = cells_[static_cast<uint32_t>(slots_[slot]) - 1];
    if (!SameCell(cell.first, m)) continue;
    if (!Merge(aggregation, delta, &cell.total)) {
      // Beyond what one total holds. A second cell of the same name goes on: nothing accepted is lost, and whoever puts
      // the cells together sees that the total cannot be held.
      cells_.push_back({m, delta});
      cells_.back().first.subject = names_.Copy(m.subject_name()).data();
      slots_[slot] = tag << 32 | cells_.size();
    }
    return;
  }
  cells_.push_back({m, delta});
  cells_.back().first.subject = names_.Copy(m.subject_name()).data();
  slots_[slot] = tag << 32 | cells_.size();
  if (cells_.size() * 2 > slots_.size()) Grow();
}

void CellTable::Grow() {
  slots_.assign(slots_.size() * 2, 0);
  mask_ = slots_.size() - 1;
  for (size_t i = 0; i < cells_.size(); ++i) {
    const uint64_t hash = HashOf(cells_[i].first);
    size_t slot = hash & mask_;
    while (slots_[slot] != 0) slot = (slot + 1) & mask_;
    slots_[slot] = hash >> 32 << 32 | (i + 1);
  }
}

std::string CellTable::Pack(std::vector<bool>* used_meters) {
  // Order by (subject, meter, bucket), through small keys: moving whole cells would cost more than the sort.
  struct Order {
    uint64_t high, low;
    uint32_t meter;
    int32_t bucket;
    uint32_t cell;
  };
  std::vector<Order> order(cells_.size());
  for (uint32_t i = 0; i < cells_.size(); ++i) {
    const Measurement& m = cells_[i].first;
    order[i] = {m.subject_hash.high, m.subject_hash.low, series_.at(m.series).meter, m.bucket.number, i};
  }
  std::sort(order.begin(), order.end(), [](const Order& a, const Order& b) {
    return std::tie(a.high, a.low, a.meter, a.bucket, a.cell) < std::tie(b.high, b.low, b.meter, b.bucket, b.cell);
  });

  TotalsRunWriter writer;
  constexpr uint32_t kUnset = UINT32_MAX;
  std::vector<uint32_t> meter_ids(meters_.size(), kUnset);
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin + 1;
    while (end < order.size() && order[end].high == order[begin].high && order[end].low == order[begin].low) ++end;
    writer.BeginSubject(cells_[order[begin].cell].first.subject_name(), static_cast<uint32_t>(end - begin));
    for (; begin < end; ++begin) {
      const Cell& cell = cells_[order[begin].cell];
      const Series& series = series_.at(cell.first.series);
      const Meter& meter = meters_[series.meter];
      uint32_t& id = meter_ids[series.meter];
      if (id == kUnset) id = writer.Meter(meter.name, meter.aggregation);
      writer.AddCell(id, writer.Dimensions(series.dimension_values), cell.first.bucket, cell.total);
    }
  }
  for (size_t meter = 0; meter < meters_.size(); ++meter) {
    if (meter_ids[meter] != kUnset) (*used_meters)[meter] = true;
  }
  cells_.clear();
  names_.Clear();
  std::fill(slots_.begin(), slots_.end(), 0);
  return writer.Finish();
}

}  // namespace tollbook
