// ShardTotals: the usage totals of one shard's runs, brought together by subject and merged.
#ifndef TOLLBOOK_PIPELINE_SHARD_TOTALS_H_
#define TOLLBOOK_PIPELINE_SHARD_TOTALS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "ledger/book.h"
#include "ledger/totals_run.h"
#include "rating/catalog.h"
#include "rating/rate.h"

namespace tollbook {

// Not thread-safe. Borrows the catalog and the runs' bytes.
class ShardTotals {
 public:
  ShardTotals(const Catalog& catalog, std::optional<std::string_view> only_subject)
      : catalog_(catalog), only_subject_(only_subject) {}

  absl::Status Add(const StoredRun& run);
  // Sorts and merges; then `subjects()` and `TotalsOf` can be used.
  void Merge();

  // OutOfRange when a total of the subject cannot be held.
  absl::Status StatusOf(size_t subject) const;

  size_t subjects() const { return names_.size(); }
  std::string_view name(size_t subject) const { return names_[subject]; }
  std::span<const SubjectTotal> TotalsOf(size_t subject) const {
    return std::span(totals_).subspan(starts_[subject], starts_[subject + 1] - starts_[subject]);
  }

 private:
  struct Cell {
    uint32_t subject;
    uint32_t meter;       // of the catalog
    uint32_t dimensions;  // of tuples_
    Bucket bucket;
    UsageTotal total;
    auto place() const { return std::tie(subject, meter, dimensions, bucket.number); }
  };
  absl::StatusOr<std::vector<uint32_t>> MetersOf(const TotalsRunReader& reader) const;
  uint32_t Intern(const std::vector<std::string_view>& tuple);

  const Catalog& catalog_;
  const std::optional<std::string_view> only_subject_;
  std::unordered_map<std::string_view, uint32_t> subject_ids_;
  std::vector<std::string_view> names_;
  std::map<std::vector<std::string_view>, uint32_t> tuple_ids_;
  std::vector<const std::vector<std::string_view>*> tuples_;
  std::vector<Cell> cells_;
  std::vector<SubjectTotal> totals_;
  std::vector<size_t> starts_;
  std::map<size_t, const Meter*> overflown_;  // subjects with a total that cannot be held
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_SHARD_TOTALS_H_
