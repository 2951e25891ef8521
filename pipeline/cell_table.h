// CellTable: the usage totals that one epoch adds to one total shard, gathered in memory and packed into a run at the
// epoch's end.
#ifndef TOLLBOOK_PIPELINE_CELL_TABLE_H_
#define TOLLBOOK_PIPELINE_CELL_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/arena.h"
#include "pipeline/measure.h"
#include "rating/catalog.h"
#include "rating/usage_total.h"

namespace tollbook {

// Not thread-safe: a shard has one owner at a time. Keeps nothing of the blocks. Borrows the meters and series.
class CellTable {
 public:
  CellTable(const std::vector<Meter>& meters, const SeriesTable& series);
  void Prefetch(const Measurement& m) const { __builtin_prefetch(&slots_[HashOf(m) & mask_]); }
  void Add(const Measurement& measurement);
  bool empty() const { return cells_.empty(); }
  // The run of all cells, by subject hash; marks the meters it used. Leaves the table empty, with its memory.
  std::string Pack(std::vector<bool>* used_meters);

 private:
  struct Cell {
    Measurement first;  // names the total
    UsageTotal total;
  };
  static uint64_t HashOf(const Measurement& m) {
    const uint64_t place = static_cast<uint64_t>(m.series) << 32 | static_cast<uint32_t>(m.bucket.number);
    const uint64_t mixed = (m.subject_hash.low ^ place) * 0x9E3779B97F4A7C15u;
    return mixed ^ mixed >> 32;
  }
  void Grow();
  const std::vector<Meter>& meters_;
  const SeriesTable& series_;
  std::vector<uint64_t> slots_;  // high half of the hash << 32 | position + 1; 0: free
  std::vector<Cell> cells_;
  Arena names_;
  size_t mask_ = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CELL_TABLE_H_
