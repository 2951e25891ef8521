// CellTable: the usage totals that one epoch adds to one total shard, gathered in memory and packed into a run at the
// epoch's end.
//
// A shard's part of a round is some thousand measurements: what is touched for each (its own cache line, a slot, a cell
// of 48 bytes) comes from the third-level cache, and is fetched ahead.
//
// An element of a list is not looked up by its place: it stands behind the others, 48 bytes, until it is packed. Equal
// ones become one then.
#ifndef TOLLBOOK_PIPELINE_CELL_TABLE_H_
#define TOLLBOOK_PIPELINE_CELL_TABLE_H_

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ledger/exception.h"
#include "ledger/totals_run.h"
#include "pipeline/hash_order.h"
#include "pipeline/measure.h"
#include "pipeline/series_order.h"
#include "rating/catalog.h"
#include "rating/usage_total.h"

namespace tollbook {

// Not thread-safe. Borrows the meters and series. Numbers of series must stay what they are until Pack.
class CellTable {
 public:
  CellTable(const std::vector<Meter>& meters, const SeriesTable& series);
  // Adds `chosen` of a block's measurements, as far as their events have the verdict kNone. The block is borrowed until
  // EndRound.
  void Add(std::span<const Measurement> measurements, std::span<const uint32_t> chosen,
           const std::vector<Reason>& verdicts);
  void EndRound();
  bool empty() const { return cells_.empty() && elements_.empty(); }
  // The run of all cells, by subject hash, the same bytes whatever numbers the series have; marks the meters it used.
  // Leaves the table empty, with its memory.
  // `ranks` is a thread's scratch, as large as the series are many: lent, so that not every shard has its own.
  using SeriesRanks = std::vector<uint32_t>;
  std::string Pack(SeriesRanks* ranks, std::vector<bool>* used_meters);

 private:
  struct Subject {
    SubjectHash hash;
    uint32_t name_begin;  // in names_
    uint32_t cells;
  };
  // Has the subject's hash too, so that a measurement of a known cell needs one look-up and not two.
  struct Cell {
    Int128 value;
    SubjectHash subject_hash;
    uint64_t place;            // series << 32 | bucket
    uint32_t subject : 28;     // in subjects_
    uint32_t aggregation : 4;  // an Aggregation
    int32_t events;            // below zero: taken back; when one more does not fit: another cell of the same place
  };
  struct Element {
    Int128 value;
    Instant at;  // 0 where the meter needs none
    uint64_t place;
    uint32_t subject;
    int32_t events;  // 1, or -1: taken back
  };
  // Numbers by hash: number + 1, 0: free; linear probing. At most a quarter full: that the first slot is the right one
  // is worth more than the memory.
  class Slots {
   public:
    Slots();
    void Prefetch(uint64_t hash) const { __builtin_prefetch(&slots_[hash & mask_]); }
    // The number that Find will look at first + 1; 0: none.
    uint32_t First(uint64_t hash) const { return slots_[hash & mask_]; }
    // The slot of the number that it is, or a free one.
    template <typename IsIt>
    uint32_t* Find(uint64_t hash, const IsIt& is_it);
    template <typename HashOf>
    void GrowFor(size_t numbers, const HashOf& hash_of);
    // For the next shard, which will have about as many numbers.
    void Clear(size_t numbers);

   private:
    static constexpr size_t kSlotsPerNumber = 4;
    void Use(size_t slots);
    std::vector<uint32_t> slots_;  // those beyond the mask are 0
    size_t mask_ = 0;
  };
  // What Pack works in.
  struct SubjectPlace {
    SubjectHash hash;
    uint32_t subject;
  };
  struct CellPlace {
    uint64_t key;   // rank of its series, bucket
    uint32_t cell;  // in cells_, or behind them in elements_
    friend auto operator<=>(const CellPlace&, const CellPlace&) = default;
  };
  static constexpr uint32_t kUnset = UINT32_MAX;
  // Every step that a measurement takes waits for memory: its own line, its event's verdict and its slots, its cell.
  // So it stands in line, what the next step touches is fetched, others have their turn (plainly: AccumulateOneByOne).
  struct Waiting {
    const Measurement* measurement;
    const Reason* verdicts;  // of its block
    uint64_t subject_hash;
    uint64_t cell_hash;
  };
  static constexpr size_t kAhead = 16;  // between two steps: enough to hide a miss of the second-level cache
  static constexpr size_t kLine = 64;   // a power of two, more than three times kAhead
  static_assert(kLine > 3 * kAhead);

  Waiting& InLine(uint64_t number) { return line_[number % kLine]; }
  void FetchSlots(Waiting* waiting) const;
  void FetchCell(const Waiting& waiting) const;
  void Take(const Waiting& waiting);
  uint32_t SubjectOf(const Measurement& m, uint64_t hash);
  void AddNew(const Measurement& m, uint32_t subject, Aggregation aggregation);
  void AddElement(const Measurement& m, uint32_t subject);
  bool MergeInto(const Measurement& m, size_t cell);
  void CopyNames();
  std::string_view NameOf(uint32_t subject) const;
  void WriteSeries(SeriesRanks* ranks, std::vector<bool>* used_meters);
  void SortSubjects();
  void SortCells(const SeriesRanks& ranks);
  void WriteSubjects();
  bool IsElement(const CellPlace& place) const { return place.cell >= cells_.size(); }
  const Element& ElementOf(const CellPlace& place) const { return elements_[place.cell - cells_.size()]; }
  void WriteElements(uint32_t rank, std::span<CellPlace> places);
  void Clear();

  const std::vector<Meter>& meters_;
  const SeriesTable& series_;
  std::array<Waiting, kLine> line_;
  uint64_t arrived_ = 0;  // how many ever stood in line
  uint64_t taken_ = 0;    // and left it
  Slots subject_slots_;
  std::vector<Subject> subjects_;
  std::vector<std::string_view> uncopied_;  // names of the newest subjects, still in their block
  std::string names_;
  Slots cell_slots_;
  std::vector<Cell> cells_;
  std::vector<Instant> latest_at_;  // of each cell; 0 where the meter is not `latest`
  std::vector<Element> elements_;

  std::vector<OrderedSeries> used_series_;
  std::vector<SubjectPlace> subject_places_;
  HashOrder<SubjectPlace> subject_order_;
  std::vector<uint32_t> next_;  // where a subject's next cell goes in cell_places_
  std::vector<CellPlace> cell_places_;
  std::vector<std::pair<Bucket, UsageTotal>> packed_elements_;  // of the series at hand
  TotalsRunWriter writer_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CELL_TABLE_H_
