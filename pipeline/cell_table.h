// CellTable: the usage totals that one epoch adds to one total shard, gathered in memory and packed into a run at the
// epoch's end.
#ifndef TOLLBOOK_PIPELINE_CELL_TABLE_H_
#define TOLLBOOK_PIPELINE_CELL_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/measure.h"
#include "rating/catalog.h"
#include "rating/usage_total.h"

namespace tollbook {

// Not thread-safe: a shard has one owner at a time. Views into blocks are kept until Pack or Clear.
class CellTable {
 public:
  CellTable();
  void Prefetch(const Measurement& m) const { __builtin_prefetch(&slots_[m.cell_low & mask_]); }
  void Add(const Measurement& measurement, Aggregation aggregation);
  bool empty() const { return cells_.empty(); }
  // The run of all cells, by subject hash; marks the meters it used. Leaves the table empty, with its memory.
  std::string Pack(const std::vector<Meter>& meters, std::vector<bool>* used_meters);

 private:
  struct Cell {
    Measurement first;  // names the total
    UsageTotal total;
  };
  void Grow();
  std::vector<uint64_t> slots_;  // high half of cell_high << 32 | position + 1; 0: free
  std::vector<Cell> cells_;
  size_t mask_ = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CELL_TABLE_H_
