// UsageReader: inputs to usage totals in memory, without a book.
//
// The lines are decoded, measured and judged by the code of absorb, so that each ends as it would there, twice
// delivered ones and corrections too; only files absorbed before are not known. Where absorb reads an event that is
// taken back from a largest, smallest or latest value again from its source, this remembers them all: so what came
// through a pipe is corrected like a file.
//
// One thread. In memory, and with no bound: the identity of each event (about 60 bytes), each total, each event of a
// meter that keeps its largest, smallest or latest value (about 100 bytes), each correction whole. For what a person
// asks, not for a month of a large book.
#ifndef TOLLBOOK_PIPELINE_USAGE_READER_H_
#define TOLLBOOK_PIPELINE_USAGE_READER_H_

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ledger/book.h"
#include "pipeline/block_judge.h"
#include "pipeline/block_work.h"
#include "pipeline/correction_judge.h"
#include "pipeline/input.h"
#include "pipeline/measure.h"
#include "rating/rate.h"

namespace tollbook {

struct UnusedLine {
  std::string path;
  uint64_t line = 0;  // 1-based
  Reason reason = Reason::kNone;
};

class UsageReader : private AcceptedEvents {
 public:
  explicit UsageReader(const Catalog& catalog);  // borrowed

  // What cannot be read, or not to its end, is in left_out(). Errors: OutOfRange when a total does not fit.
  [[nodiscard]] absl::Status Read(const InputFile& file);
  // Lines of CloudEvents that are at hand; `name` is for messages.
  [[nodiscard]] absl::Status ReadText(const std::string& name, std::string text);
  // When all is read: the corrections are applied, whatever order they came in. What follows is told after it. Errors:
  // OutOfRange likewise.
  [[nodiscard]] absl::Status Finish();

  const LineCounts& counts() const { return counts_; }
  const ReasonCounters& reasons() const { return reasons_; }
  uint64_t corrections() const { return corrections_; }  // that were applied
  static constexpr size_t kUnusedKept = 100;             // in the order of reading
  const std::vector<UnusedLine>& first_unused() const { return first_unused_; }
  const std::vector<LeftOut>& left_out() const { return left_out_; }

  std::vector<std::string_view> subjects() const;  // that have totals; sorted
  uint64_t EventsOf(std::string_view subject) const;
  // By (meter, dimension values, bucket), elements by time and value. They live as long as the reader.
  std::vector<SubjectTotal> TotalsOf(std::string_view subject) const;

 private:
  // Of a series; of a list of elements each has its own, by time and value.
  struct Cell {
    uint32_t series;
    Bucket bucket;
    Instant at;
    Quantity value;
    friend auto operator<=>(const Cell&, const Cell&) = default;
  };
  // Of a total that it cannot be taken from.
  struct KeptEvent {
    Cell cell;
    UsageTotal total;
    Uint128 identity;
  };
  struct Subject {
    std::map<Cell, UsageTotal> totals;
    std::vector<KeptEvent> kept;  // until Finish
    uint64_t events = 0;
  };
  struct HeldCorrection {
    UnusedLine line;
    uint64_t place = 0;  // among all lines that were not accepted, as they were read
    std::string payload;
    StoredCorrection correction;  // in Finish
  };
  struct KeyHash {
    size_t operator()(Uint128 key) const { return static_cast<size_t>(key); }  // it is a hash already
  };

  absl::Status ReadBlocks(const InputFile& file, BlockReader& reader, Decoder& decoder);
  absl::Status Take(const InputFile& file, uint64_t first_line, BlockWork* work);
  void JudgeIdentities(BlockWork* work);
  absl::Status AddUp(const BlockWork& work);
  void Count(const InputFile& file, const BlockVerdict& verdict);
  void KeepUnused(uint64_t place, const UnusedLine& line);
  Subject& SubjectNamed(std::string_view name);
  const Meter& MeterOf(uint32_t series) const { return catalog_.meters[series_.at(series).meter]; }

  absl::StatusOr<std::optional<uint64_t>> Find(const SeenEntry& entry) const override;
  bool Refuses(const UsageEvent&) const override { return false; }
  CorrectionVerdict Hindrance(const StoredCorrection&) const override { return {}; }
  absl::StatusOr<const StoredCorrection*> Again(uint64_t number) override { return &held_[number].correction; }
  absl::Status Apply(uint64_t number, const StoredCorrection& correction) override;
  absl::Status Leave(uint64_t number, const CorrectionVerdict& verdict) override;
  absl::Status ApplyCorrections();
  void EndAs(uint64_t number, Reason reason);
  absl::Status Add(const Measurement& measured, Uint128 identity, Subject* subject);
  void AddKept();
  void DropEmpty();

  const Catalog& catalog_;
  BookIdentity identity_;
  SeriesTable series_;
  BlockDecoder decoder_;
  std::unordered_map<Uint128, uint64_t, KeyHash> seen_;  // identity -> content
  std::vector<Uint128> identities_;                      // of the events of the block at hand
  std::vector<HeldCorrection> held_;
  std::unordered_set<Uint128, KeyHash> taken_back_;  // identities
  uint64_t corrections_ = 0;
  uint64_t unused_ = 0;  // lines that were not accepted
  std::map<std::string, Subject, std::less<>> subjects_;
  LineCounts counts_;
  ReasonCounters reasons_{};
  std::map<uint64_t, UnusedLine> unused_by_place_;  // until Finish; the first ones
  std::vector<UnusedLine> first_unused_;
  std::vector<LeftOut> left_out_;
  bool is_finished_ = false;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_USAGE_READER_H_
