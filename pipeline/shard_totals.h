// ShardTotals: the usage totals of one shard's runs, brought together by subject and merged.
//
// A run is by subject hash, and so is a visit: the runs' cells are read side by side, one subject's at a time, and no
// others are in memory. What is kept for each subject and run is where its cells are, 16 bytes.
//
// Of a list, elements that are equal become one; the others stand by bucket, time and value, each a total of its own.
//
// What corrections took back to the last event is no total any more, neither a number nor an element. A number that
// was reckoned anew stands instead of all that earlier commits told of it.
#ifndef TOLLBOOK_PIPELINE_SHARD_TOTALS_H_
#define TOLLBOOK_PIPELINE_SHARD_TOTALS_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ledger/book.h"
#include "ledger/totals_run.h"
#include "pipeline/hash_order.h"
#include "rating/catalog.h"
#include "rating/rate.h"

namespace tollbook {

// Not thread-safe. Borrows the catalog and the runs' bytes.
class ShardTotals {
 public:
  ShardTotals(const Catalog& catalog, uint64_t book_seed, std::optional<std::string_view> only_subject)
      : catalog_(catalog), book_seed_(book_seed), only_subject_(only_subject), series_of_(catalog.meters.size()) {}

  // Runs in the order of their commits.
  absl::Status Add(const StoredRun& run);
  // After the last Add; then all below can be used, with subjects from 0 to subjects() - 1, best in this order.
  void Merge();

  size_t subjects() const { return subjects_.size(); }
  std::string_view name(size_t subject) const { return subjects_[subject].name; }
  // Has a commit after `sequence` added to the subject's totals? Reads no cells.
  bool ChangedSince(size_t subject, uint64_t sequence) const;

  // By (meter, dimension values, bucket), each once; elements also by time and value. Until another subject is asked
  // for. Equal dimension values of a meter are the same span, for all subjects.
  std::span<const SubjectTotal> TotalsOf(size_t subject);
  // OutOfRange: a total of the subject cannot be held. DataLoss: the bytes are damaged.
  absl::Status StatusOf(size_t subject);

 private:
  struct Run {
    std::string_view bytes;
    uint64_t sequence;
    size_t series_begin;  // in run_series_
    size_t series;
  };
  // Where a run tells of a subject.
  struct Part {
    uint64_t hash;
    uint32_t run;
    uint32_t at;  // in its bytes
  };
  struct SubjectEntry {
    std::string_view name;
    size_t parts_begin;  // in parts_; the next one's is the end
  };
  struct ShardSeries {
    const Meter* meter = nullptr;
    DimensionValues values;
  };
  // A total in the making.
  static constexpr uint32_t kNoCell = UINT32_MAX;
  struct Cell {
    Bucket bucket;
    uint32_t next;  // of its series, in cells_
    CellRole role;
    UsageTotal total;
  };
  // The cells of one series, as they were read.
  struct CellsOf {
    uint32_t first = kNoCell;
    uint32_t last = kNoCell;
    bool in_order = true;      // each later than the one before it
    bool of_elements = false;  // of a series always the same
  };

  absl::StatusOr<std::vector<uint32_t>> MetersOf(const TotalsRunReader& reader) const;
  absl::Status AddSeries(const TotalsRunReader& reader);
  uint32_t SeriesOf(uint32_t meter, std::string_view stored_values);
  void RankSeries();
  void GatherSubjects();
  std::span<const Part> PartsOf(size_t subject) const;
  void Prefetch(size_t subject) const;
  void Load(size_t subject);
  void ReadCells(size_t subject);
  void AddCell(uint32_t series, Bucket bucket, const UsageTotal& total, CellRole role);
  void AddElement(uint32_t series, Bucket bucket, const UsageTotal& element);
  void MergeInto(uint32_t series, const UsageTotal& delta, CellRole role, UsageTotal* into);
  void MergeEqual(uint32_t series, const UsageTotal& element, UsageTotal* into);
  void GatherTotals();
  void KeepTotal(uint32_t series, Bucket bucket, const UsageTotal& total);
  void SortOut(uint32_t series, uint32_t first);

  const Catalog& catalog_;
  const uint64_t book_seed_;
  const std::optional<std::string_view> only_subject_;

  std::vector<Run> runs_;
  std::vector<RunSeries> run_series_;                                      // of one run after another
  std::vector<ShardSeries> series_;                                        // by (meter, values) after Merge
  std::vector<std::unordered_map<std::string_view, uint32_t>> series_of_;  // of each meter: stored values -> series
  std::deque<std::vector<std::string_view>> values_;                       // what series_ points to
  std::vector<Part> parts_;                                                // by subject, then run, after Merge
  std::vector<SubjectEntry> subjects_;

  // The subject at hand.
  static constexpr size_t kNone = SIZE_MAX;
  static constexpr uint32_t kNoSeries = UINT32_MAX;
  size_t loaded_ = kNone;
  bool damaged_ = false;
  uint64_t damaged_sequence_ = 0;
  uint32_t overflown_ = kNoSeries;  // the first series that has a total which cannot be held
  std::vector<Cell> cells_;
  std::vector<CellsOf> cells_of_;  // of each series; none between two subjects
  std::vector<uint32_t> used_;     // series that have some
  std::vector<uint32_t> order_;    // cells of a series that is not in order
  std::vector<SubjectTotal> totals_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_SHARD_TOTALS_H_
