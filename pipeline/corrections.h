// Corrections: held events that correct or void another one, read again and judged one after the other.
//
// A correction is rare, and it needs three identities of any shards at once. So all of them are judged
// (correction_judge.h) after an absorb's last epoch, by one thread, in the order in which they were held, against the
// book's seen events. What a meter cannot give up (CanTakeBack) is reckoned anew from the sources (rebuild.h), or the
// correction stays held. What is of usage before `cut_off` is refused.
//
// Memory: all that are held, some hundred bytes each.
#ifndef TOLLBOOK_PIPELINE_CORRECTIONS_H_
#define TOLLBOOK_PIPELINE_CORRECTIONS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ledger/records.h"
#include "ledger/seen_shard.h"
#include "pipeline/correction_judge.h"
#include "pipeline/correction_totals.h"
#include "pipeline/decode.h"
#include "pipeline/measure.h"
#include "pipeline/rebuild.h"
#include "pipeline/stored_correction.h"
#include "rating/catalog.h"

namespace tollbook {

// Not thread-safe. Borrows the seen events of all shards, and remembers in them what it applies.
class Corrections : private AcceptedEvents {
 public:
  Corrections(const Book& book, const Catalog& catalog, SeriesTable& series, DecoderChoice decoder,
              std::vector<SeenShard>* seen, Day cut_off = kNoUsage);

  // A held correction, as canonical JSON. DataLoss when it is none.
  absl::Status Add(std::string_view payload) { return judge_.Add(payload); }
  // All that were added. Errors: the book's, from reading seen events and totals.
  absl::Status Judge();

  // How one ended, in the order of Add, from 0.
  const CorrectionVerdict& verdict(size_t number) const { return judge_.verdict(number); }
  // What the applied ones (kNone) change.
  std::vector<ShardRun> PackTotals(std::vector<bool>* used_meters);
  // The sources that held ones wait for: "what: remedy" by source.
  std::map<uint32_t, std::string> Needed();

 private:
  absl::StatusOr<std::optional<uint64_t>> Find(const SeenEntry& entry) const override;
  void Remember(const StoredCorrection& applied) override;
  bool Refuses(const UsageEvent& correction) const override;
  CorrectionVerdict Hindrance(const StoredCorrection& correction) const override;

  absl::Status FindTotals();
  bool IsApplied(size_t number) const { return judge_.verdict(number).reason == Reason::kNone; }
  bool IsTakenFrom(const Measurement& measured) const;

  const Book& book_;
  const Catalog& catalog_;
  SeriesTable& series_;
  std::vector<SeenShard>& seen_;
  const Zone book_zone_;
  const Day cut_off_;
  CorrectionJudge judge_;
  Rebuild rebuild_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CORRECTIONS_H_
