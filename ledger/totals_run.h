// TotalsRun: the usage totals that one commit added to one total shard, packed.
//
// A commit writes deltas and never reads: the total is the merge of all runs. Cells of a subject stand together,
// subjects by their hash, so runs can be merged side by side; a subject's cells can be passed over unread. A run tells
// its own meters and series, so it can be read without anything else.
#ifndef TOLLBOOK_LEDGER_TOTALS_RUN_H_
#define TOLLBOOK_LEDGER_TOTALS_RUN_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
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

// What a cell does to what earlier commits told of its place.
enum class CellRole : uint8_t {
  kAdds,      // it is merged into it
  kReplaces,  // it stands instead: the number was reckoned anew, because a correction took something back from it
};

// What the buckets and times of a meter's cells are told relative to: those of the meter's first cell in the run. An
// epoch's usage is nearly of one time, so the differences are small.
struct CellAnchor {
  int32_t bucket = 0;
  int64_t latest_at_nanos = 0;
};

// A meter with one set of dimension values, as the cells of one run name it.
struct RunSeries {
  uint32_t series = 0;  // what ForEachCell (totals_cells.h) calls it: whatever the reader's owner wants
  bool has_time = false;
  CellAnchor anchor;
};

// The stored cells of one subject. What follows them in the run can be read too: that makes reading their last numbers
// as fast as the others, and they are a third.
struct SubjectCells {
  std::string_view bytes;
  size_t behind = 0;  // bytes of the run after them
};

class TotalsRunWriter {
 public:
  // Begins another run in the memory of the last one.
  void Clear();
  // Numbers from 0 in the order of the calls; a series comes after its meter.
  uint32_t AddMeter(std::string_view name, TotalForm form);
  uint32_t AddSeries(uint32_t meter, DimensionValues values);
  // Each subject: Begin, its series ascending, for each its cells by bucket (equal ones allowed: elements), End.
  void BeginSubject(std::string_view subject);
  void BeginSeries(uint32_t series, uint32_t cells);
  void AddCell(Bucket bucket, const UsageTotal& total, CellRole role = CellRole::kAdds);
  void EndSubject();
  std::string Finish();

 private:
  struct Meter {
    std::string_view name;
    TotalForm form;
    std::optional<CellAnchor> anchor;
  };
  char* Room(size_t bytes) {
    if (body_.size() - size_ < bytes) Grow(bytes);
    return body_.data() + size_;
  }
  void Grow(size_t bytes);

  std::vector<Meter> meters_;           // names are kept by the caller until Finish
  std::vector<uint32_t> series_meter_;  // series -> meter
  ByteWriter series_;
  std::string body_;  // the subjects: `size_` bytes of it. Pointers into it are several times as fast as appending.
  size_t size_ = 0;
  uint64_t subjects_ = 0;
  size_t cells_begin_ = 0;    // of the subject at hand, in body_
  uint32_t next_series_ = 0;  // the smallest that may come next
  Meter* meter_ = nullptr;    // of the series at hand
  int32_t last_bucket_ = 0;
  bool first_of_series_ = false;
};

// Reads a run in its order. Views point into `stored`.
class TotalsRunReader {
 public:
  explicit TotalsRunReader(std::string_view stored);
  // The next subject, and its cells for ForEachCell; false at the end or when the bytes are damaged (then !ok()), bytes
  // left over included.
  bool NextSubject(std::string_view* subject, SubjectCells* cells);
  // The subject at a position that position() was at before a NextSubject that said true.
  static std::string_view SubjectAt(std::string_view stored, size_t position, SubjectCells* cells);
  bool ok() const { return reader_.ok(); }

  struct MeterEntry {
    std::string_view name;
    TotalForm form;
    CellAnchor anchor;
  };
  struct SeriesEntry {
    uint32_t meter;           // of meters()
    std::string_view values;  // as stored: equal bytes are equal values
  };
  const std::vector<MeterEntry>& meters() const { return meters_; }
  const std::vector<SeriesEntry>& series() const { return series_; }
  // Named by their places in series().
  std::vector<RunSeries> run_series() const;
  // In `stored`, of what is read next.
  size_t position() const { return bytes_ - reader_.left(); }

 private:
  const size_t bytes_;
  ByteReader reader_;
  std::vector<MeterEntry> meters_;
  std::vector<SeriesEntry> series_;
  uint64_t subjects_left_ = 0;
};

// The dimension values of a SeriesEntry.
std::vector<std::string_view> DimensionValuesOf(std::string_view stored);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_TOTALS_RUN_H_
