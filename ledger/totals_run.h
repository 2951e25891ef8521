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
#include "ledger/scaled_value.h"
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

// What the buckets and times of a meter's cells are told relative to: those of the meter's first cell in the run. An
// epoch's usage is nearly of one time, so the differences are small.
struct CellAnchor {
  int32_t bucket = 0;
  int64_t latest_at_nanos = 0;
};

// A meter with one set of dimension values, as the cells of one run name it.
struct RunSeries {
  uint32_t series = 0;  // what ForEachCell calls it: whatever the reader's owner wants
  bool is_latest = false;
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
  uint32_t AddMeter(std::string_view name, Aggregation aggregation);
  uint32_t AddSeries(uint32_t meter, DimensionValues values);
  // Each subject: Begin, its series ascending, for each its cells by bucket (equal ones allowed), End.
  void BeginSubject(std::string_view subject);
  void BeginSeries(uint32_t series, uint32_t cells);
  void AddCell(Bucket bucket, const UsageTotal& total);
  void EndSubject();
  std::string Finish();

 private:
  struct Meter {
    std::string_view name;
    Aggregation aggregation;
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
    Aggregation aggregation;
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

// Calls visit(series, bucket, total) for each cell of a subject, in the run's order. False when the bytes are damaged;
// cells in front of the damage were then visited.
template <typename Visit>
[[nodiscard]] bool ForEachCell(const SubjectCells& cells, std::span<const RunSeries> all_series, const Visit& visit);

// ----- below: how ForEachCell reads

namespace totals_run_internal {

// The last three bits of a cell's first number say how its value is told: 0: as many units as there are events;
// otherwise 1 + the place of its scale.
inline constexpr uint32_t kHowBits = 3;
inline constexpr uint32_t kHowMax = kValueScales.size();

inline Quantity ReadValue(uint32_t how, uint64_t events, ByteReader* in) {
  Quantity value;
  if (how == 0) {
    value.attos = static_cast<Int128>(events) * kOneUnit;  // 2^64 * 10^18 fits
  } else if (how > kHowMax || !UnscaleValue({how - 1, in->Zigzag()}, &value)) {
    in->Fail();
  }
  return value;
}

// Even: milliseconds; odd: nanoseconds. Sources that tell times to the nanosecond are few.
inline constexpr int64_t kMilliNanos = 1'000'000;

inline Instant ReadLatestAt(int64_t anchor, ByteReader* in) {
  const Uint128 tagged = in->Varint();
  const Uint128 zigzag = tagged >> 1;
  Int128 difference = static_cast<Int128>(zigzag >> 1) ^ -static_cast<Int128>(zigzag & 1);
  bool fits = true;
  if ((tagged & 1) == 0) fits = !__builtin_mul_overflow(difference, static_cast<Int128>(kMilliNanos), &difference);
  int64_t nanos = 0;
  fits = fits && !__builtin_add_overflow(difference, anchor, &nanos);
  return {fits ? nanos : static_cast<int64_t>(in->Fail())};
}

}  // namespace totals_run_internal

template <typename Visit>
bool ForEachCell(const SubjectCells& cells, std::span<const RunSeries> all_series, const Visit& visit) {
  using namespace totals_run_internal;
  ByteReader in({cells.bytes.data(), cells.bytes.size() + cells.behind});
  uint64_t next_series = 0;
  while (in.left() > cells.behind) {
    const uint64_t tagged = in.Varint64();
    const uint64_t index = next_series + (tagged >> 1);
    const uint64_t more = (tagged & 1) != 0 ? in.Varint64() : 0;
    // A cell takes two bytes or more.
    if (index >= all_series.size() || more > in.left()) return false;
    next_series = index + 1;
    const RunSeries& series = all_series[index];
    int32_t bucket = 0;
    for (uint64_t i = 0; i < 1 + (tagged & 1) + more; ++i) {
      const bool bucket_fits = i == 0 ? !__builtin_add_overflow(in.Zigzag64(), series.anchor.bucket, &bucket)
                                      : !__builtin_add_overflow(in.Varint64(), bucket, &bucket);
      const Uint128 head = in.Varint();
      const Uint128 events = head >> kHowBits;
      if (!bucket_fits || events > UINT64_MAX) return false;
      UsageTotal total;
      total.events = static_cast<uint64_t>(events);
      total.value = ReadValue(static_cast<uint32_t>(head) & ((1 << kHowBits) - 1), total.events, &in);
      if (series.is_latest) total.latest_at = ReadLatestAt(series.anchor.latest_at_nanos, &in);
      if (!in.ok()) return false;
      visit(series.series, Bucket{bucket}, total);
    }
  }
  return in.ok() && in.left() == cells.behind;
}

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_TOTALS_RUN_H_
