// Corrections: held events that correct or void another one, read again and judged one after the other.
//
// A correction is rare, and it needs three identities of any shards at once (MeasuredCorrection): its own must be
// fresh, the one that it names must be there with the content that it restates, and nobody may have claimed that one.
// So all of them are judged after an absorb's last epoch, by one thread, in the order in which they were held. One that
// names another correction waits until that is applied: in which order they came does not matter. Of two that name the
// same event the first one is applied.
//
// Memory: all that are held, some hundred bytes each.
#ifndef TOLLBOOK_PIPELINE_CORRECTIONS_H_
#define TOLLBOOK_PIPELINE_CORRECTIONS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "ledger/records.h"
#include "ledger/seen_shard.h"
#include "pipeline/block_work.h"
#include "pipeline/decode.h"
#include "pipeline/measure.h"
#include "rating/catalog.h"

namespace tollbook {

// Not thread-safe. Borrows the seen events of all shards, and remembers in them what it applies.
class Corrections {
 public:
  Corrections(Measurer measurer, std::vector<SeenShard>* seen) : measurer_(std::move(measurer)), seen_(*seen) {}

  // A held correction, as canonical JSON. DataLoss when it is none.
  absl::Status Add(std::string_view payload);
  // All that were added. Errors: the book's, from reading seen events.
  absl::Status Judge();
  // How each ended, in the order of Add, and what the applied ones (kNone) change: for CellTable::Add.
  std::unique_ptr<BlockWork> TakeWork();

 private:
  absl::Status JudgeOne(uint32_t number);
  absl::StatusOr<Reason> VerdictOf(const MeasuredCorrection& correction) const;
  absl::StatusOr<std::optional<uint64_t>> Find(const SeenEntry& entry) const;
  void Remember(const SeenEntry& entry) { seen_[SeenShardOf(entry)].InsertFresh(entry); }

  Measurer measurer_;
  std::vector<SeenShard>& seen_;
  std::unique_ptr<Decoder> decoder_ = MakeJsonDecoder();
  std::unique_ptr<BlockWork> work_ = std::make_unique<BlockWork>();
  std::vector<MeasuredCorrection> all_;
  std::map<Uint128, std::vector<uint32_t>> waiting_;  // for the event with this identity
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CORRECTIONS_H_
