// Corrections: held events that correct or void another one, read again and judged one after the other.
//
// A correction is rare, and it needs three identities of any shards at once. So all of them are judged
// (correction_judge.h) after an absorb's last epoch, by one thread, in the order in which they were held, against the
// book's seen events. What a meter cannot give up (CanTakeBack) is reckoned anew from the sources (rebuild.h), or the
// correction stays held. What is of usage before `cut_off` is refused.
//
// There may be more of them than memory should have. So they are read a chunk at a time, and those that have ended are
// committed whenever they come to some bytes. The others stay where they are meanwhile, so all are always judged in the
// same order: how they end depends neither on where the commits are cut nor on a crash between two of them.
//
// Memory: what has ended and is not committed yet, and half as many bytes of those that wait for what they name; of
// each that waits 200 bytes (correction_judge.h); where a meter cannot give usage up, 16 bytes of each, and what is
// reckoned anew (rebuild.h). Cost: each is read and decoded once, and once more where it waited. Those that wait beyond
// these bytes have their whole chunk read when what they name is applied.
#ifndef TOLLBOOK_PIPELINE_CORRECTIONS_H_
#define TOLLBOOK_PIPELINE_CORRECTIONS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ledger/book.h"
#include "ledger/held.h"
#include "ledger/records.h"
#include "ledger/seen_shard.h"
#include "pipeline/arena.h"
#include "pipeline/correction_judge.h"
#include "pipeline/correction_totals.h"
#include "pipeline/decode.h"
#include "pipeline/measure.h"
#include "pipeline/rebuild.h"
#include "pipeline/stored_correction.h"
#include "rating/catalog.h"

namespace tollbook {

// One that was held, and how it stands now.
struct JudgedCorrection {
  uint64_t number = 0;  // in the order in which they were held
  HeldPlace place;
  uint32_t line = 0;       // of the place
  ExceptionRecord record;  // of reason kNone: it is applied
  Reason before = Reason::kNone;
  bool changed = false;  // it stands otherwise than before
};

// What one commit has of them, by number.
struct JudgedCorrections {
  std::vector<JudgedCorrection> judged;
  // `judged` is all that is still held and what has ended since the commit before, so that nothing need stay where it
  // is. Otherwise it is what has changed: the others stay, and payloads are only those of what has ended.
  bool is_whole = false;
};

// Not thread-safe. Borrows the seen events of all shards, and remembers in them what it applies.
class Corrections : private AcceptedEvents {
 public:
  using Tell = std::function<void(const JudgedCorrection&)>;
  using Commit = std::function<absl::Status(const JudgedCorrections&)>;

  Corrections(const Book& book, const Catalog& catalog, SeriesTable& series, DecoderChoice decoder,
              std::vector<SeenShard>* seen, Day cut_off = kNoUsage);

  // All that are held. `tell` hears of each one, before it is committed; `commit` gets what has changed when it comes
  // to `bytes_max`, and in the end, with all that is still held where that is no more than `bytes_max`. There it stores
  // what the seen shards have not committed, too. Errors: the book's; DataLoss when a held one is no correction; the
  // commit's.
  [[nodiscard]] absl::Status Judge(uint64_t bytes_max, const Tell& tell, const Commit& commit);

  // While it is committed: what the applied ones change.
  std::vector<ShardRun> PackTotals(std::vector<bool>* used_meters);
  // After PackTotals: does nothing in here name a series by its number?
  bool may_clear_series() const { return rebuild_.empty(); }
  // The sources that held ones wait for: "what: remedy" by source.
  const std::map<uint32_t, std::string>& needed() const { return needed_; }

 private:
  // The lines of one place, while they are at hand.
  struct AtHand {
    size_t place = SIZE_MAX;  // index into the queue's
    HeldLines lines;
  };
  // One that waits for what it names, kept: that may be applied after any other one, and its chunk is far larger.
  struct Kept {
    JudgedCorrection one;  // but for the payload
    std::string payload;
    uint64_t bytes() const { return sizeof *this + payload.size(); }
  };

  absl::StatusOr<std::optional<uint64_t>> Find(const SeenEntry& entry) const override;
  bool Refuses(const UsageEvent& correction) const override;
  CorrectionVerdict Hindrance(const StoredCorrection& correction) const override;
  absl::StatusOr<const StoredCorrection*> Again(uint64_t number) override;
  absl::Status Apply(uint64_t number, const StoredCorrection& correction) override;
  absl::Status Leave(uint64_t number, const CorrectionVerdict& verdict) override;

  using Visit = std::function<absl::Status(const StoredCorrection&)>;
  absl::Status ForEachRight(const Visit& visit);
  absl::Status FindTotals();
  absl::Status TakeAll();
  absl::StatusOr<HeldLines> LinesOf(size_t place) const;
  JudgedCorrection OneOf(const AtHand& at_hand, size_t i) const;
  void KeepTaken(size_t i);
  absl::StatusOr<JudgedCorrection> HeldOne(uint64_t number);
  absl::StatusOr<Reason> Decode(std::string_view payload, StoredCorrection* correction);
  absl::Status HoldOn(JudgedCorrection one);
  absl::Status End(JudgedCorrection one);
  absl::Status CommitJudged();
  bool IsTakenFrom(const Measurement& measured) const;

  const Book& book_;
  const Catalog& catalog_;
  SeriesTable& series_;
  std::vector<SeenShard>& seen_;
  const Zone book_zone_;
  const Day cut_off_;
  CorrectionDecoder decoder_;
  CorrectionJudge judge_;
  Rebuild rebuild_;

  uint64_t bytes_max_ = 0;
  bool is_scattered_ = false;  // some have ended where others stay
  bool is_last_ = false;
  Tell tell_;
  Commit commit_;
  HeldQueue queue_;
  std::vector<uint64_t> firsts_;  // number of the first line of each place that was read
  AtHand taken_, read_again_;
  std::unordered_map<uint64_t, Kept> kept_;  // by number
  uint64_t kept_bytes_ = 0;
  std::optional<Kept> due_;  // the last of them that was asked for again
  StoredCorrection waited_;

  // Since the last commit.
  Arena arena_;
  uint64_t bytes_ = 0;
  std::vector<JudgedCorrection> ended_;
  std::map<uint64_t, StoredCorrection> applied_;  // of them, by number

  // Those that stay held, until they come to more than bytes_max_.
  bool is_whole_ = true;
  Arena held_arena_;
  uint64_t held_bytes_ = 0;
  std::vector<JudgedCorrection> held_;
  std::map<uint32_t, std::string> needed_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CORRECTIONS_H_
