// Corrections: held events that correct or void another one, read again and judged one after the other.
//
// A correction is rare, and it needs three identities of any shards at once (MeasuredCorrection): its own must be
// fresh, the one that it names must be there with the content that it restates, and nobody may have claimed that one.
// So all of them are judged after an absorb's last epoch, by one thread, in the order in which they were held. One that
// names another correction waits until that is applied: in which order they came does not matter. Of two that name the
// same event the first one is applied. What a meter cannot give up (CanTakeBack) is reckoned anew from the sources
// (rebuild.h), or the correction stays held. What is of usage before `cut_off` is refused.
//
// Memory: all that are held, some hundred bytes each.
#ifndef TOLLBOOK_PIPELINE_CORRECTIONS_H_
#define TOLLBOOK_PIPELINE_CORRECTIONS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ledger/records.h"
#include "ledger/seen_shard.h"
#include "pipeline/correction_totals.h"
#include "pipeline/decode.h"
#include "pipeline/measure.h"
#include "pipeline/rebuild.h"
#include "pipeline/stored_correction.h"
#include "rating/catalog.h"

namespace tollbook {

// Not thread-safe. Borrows the seen events of all shards, and remembers in them what it applies.
class Corrections {
 public:
  Corrections(const Book& book, const Catalog& catalog, SeriesTable& series, DecoderChoice decoder,
              std::vector<SeenShard>* seen, Day cut_off = kNoUsage);

  // A held correction, as canonical JSON. DataLoss when it is none.
  absl::Status Add(std::string_view payload);
  // All that were added. Errors: the book's, from reading seen events and totals.
  absl::Status Judge();

  // How one ended, in the order of Add, from 0.
  struct Verdict {
    Reason reason = Reason::kNone;
    uint32_t needs = 0;  // ExceptionRecord::needs
  };
  const Verdict& verdict(size_t number) const { return verdicts_[number]; }
  // What the applied ones (kNone) change.
  std::vector<ShardRun> PackTotals(std::vector<bool>* used_meters);
  // The sources that held ones wait for: "what: remedy" by source.
  std::map<uint32_t, std::string> Needed();

 private:
  absl::Status FindTotals();
  absl::Status JudgeOne(uint32_t number);
  absl::StatusOr<Verdict> VerdictOf(uint32_t number) const;
  absl::StatusOr<Reason> ReasonOf(const MeasuredCorrection& correction) const;
  absl::StatusOr<std::optional<uint64_t>> Find(const SeenEntry& entry) const;
  void Remember(const SeenEntry& entry, Day latest) { seen_[SeenShardOf(entry)].InsertFresh(entry, latest); }
  Day LatestDateOf(const StoredCorrection& correction) const;
  bool IsRefused(const UsageEvent& correction) const;
  bool IsTakenFrom(const Measurement& measured) const;

  const Book& book_;
  const Catalog& catalog_;
  SeriesTable& series_;
  std::vector<SeenShard>& seen_;
  const Zone book_zone_;
  const Day cut_off_;
  CorrectionDecoder decoder_;
  Rebuild rebuild_;
  Arena arena_;
  std::vector<StoredCorrection> all_;
  std::vector<Verdict> verdicts_;
  std::map<Uint128, std::vector<uint32_t>> waiting_;  // for the event with this identity
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CORRECTIONS_H_
