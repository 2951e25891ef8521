// ReadAgain: accepted events, read again from the sources that the book knows.
//
// A book keeps totals, not events. But it keeps which lines of which source each commit covered, and each line that was
// not accepted. So the accepted events behind a total are in the stretches of the commits that brought it, less the
// lines that the exceptions name (Book::ForEachNotAccepted): there the first of two that are one event is the one that
// counted, whichever file it was in. They are decoded and measured by the code of absorb.
//
// Log       What of a source is not there as it was is read from the book's usage log, where that has all of it.
// Proof     A source must have the content that was absorbed, by its digest. Whether the events come to the totals is
//           for whoever asked to see.
// Cost      Two passes over what was absorbed of a source: one for the digest, one up to the last stretch, of which
//           only lines of the stretches are decoded, and of JSON only those that may be of the subjects that are asked
//           for (subject_lines.h).
#ifndef TOLLBOOK_PIPELINE_READ_AGAIN_H_
#define TOLLBOOK_PIPELINE_READ_AGAIN_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ledger/book.h"
#include "pipeline/block_work.h"
#include "pipeline/decode.h"
#include "pipeline/input.h"
#include "pipeline/mapping.h"
#include "pipeline/series.h"
#include "pipeline/subject_lines.h"
#include "pipeline/usage_log.h"
#include "rating/catalog.h"

namespace tollbook {

// Lines of one source, half-open.
struct LineRange {
  uint64_t first = 0, end = 0;
};
// Of sources, by id; those of one by their places, none touching another.
using Stretches = std::map<uint32_t, std::vector<LineRange>>;
void Unite(std::vector<LineRange>* ranges);

// Why a source cannot be read again.
enum class SourceFault : uint8_t {
  kNone,
  kPipe,           // it came through one
  kGone,           // or cannot be opened
  kUnreadable,     // by its format: its CSV has lost its mapping, say
  kChanged,        // what was absorbed of it is not what it has now
  kReadOtherwise,  // sources.yaml gives it another mapping
};
struct FaultySource {
  SourceFault fault = SourceFault::kNone;
  std::string why = {};     // of an unreadable one
  std::string of_log = {};  // why the usage log does not have it instead; empty: it never had all of it
};
// For messages, "what: path: remedy".
[[nodiscard]] std::string_view WhatIsWrong(const FaultySource& faulty);
[[nodiscard]] std::string RemedyOf(const FaultySource& faulty);

// One share of an event in one total, as Measurer has it. Until the visitor returns.
struct MeasuredAgain {
  const SourceRecord& source;
  uint64_t line = 0;  // 1-based
  uint32_t part = 0;  // which event of the line
  const SeenEntry& identity;
  const Measurement& measured;
  const Series& series;  // what measured.series stands for
};

// Not thread-safe. Borrows both.
class ReadAgain {
 public:
  ReadAgain(const Book& book, const Catalog& catalog, DecoderChoice choice);
  // First of all. Errors: the book's.
  [[nodiscard]] absl::Status Open();

  // Where the events are that these commits added, as the book was after `through_sequence`: of one that took in what
  // was held, any commit before it may have read them.
  [[nodiscard]] Stretches StretchesOf(const std::set<uint64_t>& commits, uint64_t through_sequence) const;

  // Is the source there as it was, or in the usage log? Each is looked at once.
  const FaultySource& Check(uint32_t source);
  // Of a source without fault: how it is read, and what was absorbed of it, no more, wherever it is read from. Either
  // as long as this lives.
  const InputFile& FileOf(uint32_t source);
  OpenContent ContentOf(uint32_t source);
  // Of what Check found no fault with: sources that are read from the usage log.
  std::vector<uint32_t> FromLog() const;

  using Visit = std::function<void(const MeasuredAgain&)>;
  // All events of the subjects on these lines of a source without fault, and perhaps others, whether they were accepted
  // or not, in the order of lines.
  [[nodiscard]] absl::Status Read(uint32_t source, const std::vector<LineRange>& ranges, const SubjectLines& subjects,
                                  const Visit& visit);
  // Of what is visited: the event whole, decoded once more; totals have no need of all of it. Until the next call.
  const UsageEvent& Whole();

  const SourceRecord& source(uint32_t id) const { return sources_[id]; }
  // The lines that were not accepted, in no order.
  using VisitLine = std::function<void(uint32_t source, uint64_t line, uint32_t part)>;
  [[nodiscard]] absl::Status ForEachNotAccepted(uint64_t through_sequence, const VisitLine& visit) const;

 private:
  absl::Status FindMappings();
  void AddMappings(const std::map<std::string, std::string>& files);
  FaultySource Find(const SourceRecord& source, InputFile* file) const;
  struct Checked {
    FaultySource faulty;
    InputFile file;
    bool is_logged = false;
  };
  absl::StatusOr<std::unique_ptr<BlockReader>> OpenFile(const Checked& checked, uint32_t source) const;
  FaultySource CheckContent(const Checked& checked, const SourceRecord& source) const;
  void LookInLog(const SourceRecord& source, Checked* checked);
  bool FindLogged(const SourceRecord& source, Checked* checked) const;
  void VisitBlock(const SourceRecord& source, const std::vector<LineRange>& ranges, uint64_t first_line,
                  const SubjectLines& subjects, const Visit& visit);

  const Book& book_;
  const Catalog& catalog_;
  SeriesTable series_;  // of the block at hand, and of those before it as long as they are few
  BlockDecoder blocks_;
  std::vector<SourceRecord> sources_;  // by id
  std::vector<CommitRecord> commits_;
  std::vector<std::vector<SourceMapping>> mappings_;  // of each catalog that has other ones
  std::optional<UsageLogReader> log_;                 // once a source is missed
  absl::Status log_opened_;
  std::map<uint32_t, Checked> checked_;

  // What is visited.
  std::unique_ptr<Decoder> decoder_;
  BlockWork work_;
  std::vector<uint32_t> kept_;  // numbers of the lines that the block at hand still has; of CSV all of them
  const EventPlace* place_ = nullptr;
  Arena line_arena_;
  std::vector<DecodedEvent> decoded_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_READ_AGAIN_H_
