// CorrectionTotals: the totals that one commit of corrections changes, packed into a run for each shard.
//
// What CellTable does for the millions of an epoch, for the few events of corrections: plain maps, and cells that
// replace what the book has (CellRole) beside those that add to it.
#ifndef TOLLBOOK_PIPELINE_CORRECTION_TOTALS_H_
#define TOLLBOOK_PIPELINE_CORRECTION_TOTALS_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ledger/book.h"
#include "ledger/totals_run.h"
#include "pipeline/measure.h"
#include "pipeline/rebuild.h"
#include "rating/catalog.h"

namespace tollbook {

// Borrows both.
class CorrectionTotals {
 public:
  CorrectionTotals(const Catalog& catalog, const SeriesTable& series, uint64_t book_seed)
      : catalog_(catalog), series_(series), book_seed_(book_seed) {}
  // What a correction takes, or brings.
  void Add(const Measurement& measured);
  // What the total is from this commit on.
  void Replace(const TotalPlace& place, const UsageTotal& total);
  // By shard, the same bytes whatever numbers the series have; marks the meters that are in them.
  std::vector<ShardRun> Pack(std::vector<bool>* used_meters) const;

 private:
  // By bucket; of elements each time and value is a place of its own.
  using CellKey = std::tuple<Bucket, Instant, Quantity>;
  struct Cell {
    UsageTotal total;
    CellRole role = CellRole::kAdds;
  };
  struct Subject {
    std::string name;
    std::map<uint32_t, std::multimap<CellKey, Cell>> cells;  // by series
  };
  using SubjectKey = std::pair<uint64_t, uint64_t>;  // its hash, high and low
  using Shard = std::map<SubjectKey, Subject>;

  std::multimap<CellKey, Cell>& CellsOf(std::string_view subject, uint32_t series);
  const Meter& MeterOf(uint32_t series) const { return catalog_.meters[series_.at(series).meter]; }
  std::string PackShard(const Shard& shard, std::vector<bool>* used_meters) const;

  const Catalog& catalog_;
  const SeriesTable& series_;
  const uint64_t book_seed_;
  std::map<int, Shard> shards_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CORRECTION_TOTALS_H_
