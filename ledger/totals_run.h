// TotalsRun: the usage totals that one commit added to one total shard, packed.
//
// A commit writes deltas and never reads: the total is the merge of all runs. Cells of a subject stand together,
// subjects by their hash, so runs can be merged side by side. A run tells its own meters and dimension values, so it
// can be read without anything else.
#ifndef TOLLBOOK_LEDGER_TOTALS_RUN_H_
#define TOLLBOOK_LEDGER_TOTALS_RUN_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ledger/bytes.h"
#include "rating/error.h"
#include "rating/usage_total.h"

namespace tollbook {

inline constexpr int kTotalShards = 64;

// Where a subject's totals live: by the first bits of its hash under the book's seed.
struct SubjectHash {
  uint64_t high = 0, low = 0;
};
SubjectHash HashSubject(std::string_view subject, uint64_t book_seed);
inline int TotalShardOf(const SubjectHash& hash) {
  return static_cast<int>(hash.high >> 58);
}

// Indices into the reader's own meters() and dimensions().
struct TotalCell {
  uint32_t meter = 0;
  uint32_t dimensions = 0;
  Bucket bucket;
  UsageTotal total;
};

class TotalsRunWriter {
 public:
  // Meters and dimension tuples are interned; the ids are for AddCell.
  uint32_t Meter(std::string_view name, Aggregation aggregation);
  template <typename Values>  // a range of std::string_view
  uint32_t Dimensions(const Values& values) {
    ByteWriter key;
    key.Varint(std::size(values));
    for (std::string_view value : values) key.Text(value);
    return InternDimensions(key.Take());
  }
  void BeginSubject(std::string_view subject, uint32_t cells);
  void AddCell(uint32_t meter, uint32_t dimensions, Bucket bucket, const UsageTotal& total);
  bool empty() const { return subjects_ == 0; }
  std::string Finish();

 private:
  uint32_t InternDimensions(std::string key);
  std::unordered_map<std::string, uint32_t> meter_ids_;
  std::vector<Aggregation> aggregations_;
  ByteWriter meters_;
  std::unordered_map<std::string, uint32_t> dimension_ids_;
  ByteWriter dimensions_;
  ByteWriter body_;
  uint64_t subjects_ = 0;
  int32_t last_bucket_ = 0;
};

// Reads a run in its order. Views point into `stored`.
class TotalsRunReader {
 public:
  explicit TotalsRunReader(std::string_view stored);
  // The next subject; false at the end or when the bytes are damaged (then !ok()), bytes left over included.
  bool NextSubject(std::string_view* subject, uint32_t* cells);
  bool NextCell(TotalCell* cell);  // `cells` times after each subject
  void SkipCells(uint32_t cells);
  bool ok() const { return reader_.ok(); }

  struct MeterEntry {
    std::string_view name;
    Aggregation aggregation;
  };
  const std::vector<MeterEntry>& meters() const { return meters_; }
  const std::vector<std::vector<std::string_view>>& dimensions() const { return dimensions_; }

 private:
  ByteReader reader_;
  std::vector<MeterEntry> meters_;
  std::vector<std::vector<std::string_view>> dimensions_;
  uint64_t subjects_left_ = 0;
  int32_t last_bucket_ = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_TOTALS_RUN_H_
