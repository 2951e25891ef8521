// UsageReader: inputs to usage totals in memory, without a book.
//
// The lines are decoded, measured and judged by the code of absorb, so that each ends as it would there, twice
// delivered ones too; only files absorbed before are not known. One thread; it keeps the identity of each event (about
// 60 bytes) and each total: for what a person asks, not for a month of a large book.
#ifndef TOLLBOOK_PIPELINE_USAGE_READER_H_
#define TOLLBOOK_PIPELINE_USAGE_READER_H_

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ledger/book.h"
#include "pipeline/block_judge.h"
#include "pipeline/block_work.h"
#include "pipeline/input.h"
#include "pipeline/measure.h"
#include "rating/rate.h"

namespace tollbook {

struct UnusedLine {
  std::string path;
  uint64_t line = 0;  // 1-based
  Reason reason = Reason::kNone;
};

class UsageReader {
 public:
  explicit UsageReader(const Catalog& catalog);  // borrowed

  // What cannot be read, or not to its end, is in left_out(). Errors: OutOfRange when a total does not fit.
  [[nodiscard]] absl::Status Read(const InputFile& file);
  // Lines of CloudEvents that are at hand; `name` is for messages.
  [[nodiscard]] absl::Status ReadText(const std::string& name, std::string text);

  const LineCounts& counts() const { return counts_; }
  const ReasonCounters& reasons() const { return reasons_; }
  static constexpr size_t kUnusedKept = 100;
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
  struct Subject {
    std::map<Cell, UsageTotal> totals;
    uint64_t events = 0;
  };
  struct KeyHash {
    size_t operator()(Uint128 key) const { return static_cast<size_t>(key); }  // it is a hash already
  };

  absl::Status ReadBlocks(const InputFile& file, BlockReader& reader, Decoder& decoder);
  absl::Status Take(const InputFile& file, uint64_t first_line, BlockWork* work);
  void JudgeIdentities(BlockWork* work);
  absl::Status AddUp(const BlockWork& work);
  void Count(const InputFile& file, const BlockVerdict& verdict);

  const Catalog& catalog_;
  BookIdentity identity_;
  SeriesTable series_;
  BlockDecoder decoder_;
  std::unordered_map<Uint128, uint64_t, KeyHash> seen_;  // identity -> content
  std::map<std::string, Subject, std::less<>> subjects_;
  LineCounts counts_;
  ReasonCounters reasons_{};
  std::vector<UnusedLine> first_unused_;
  std::vector<LeftOut> left_out_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_USAGE_READER_H_
