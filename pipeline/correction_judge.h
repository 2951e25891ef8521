// CorrectionJudge: which of the corrections that were read are applied, and why the others are not.
//
// A correction needs three identities that must agree (MeasuredCorrection): its own must be fresh, the one that it
// names must be there with the content that it restates, and nobody may have claimed that one. So all of them are
// judged when all that came with them was accepted, one after the other, in the order in which they were read. One that
// names another correction waits until that is applied: in which order they came does not matter. Of two that name the
// same event the first one is applied.
//
// What is known of accepted events, and what stands in the way of one, is asked of whoever has them: the book
// (corrections.h), or a reader without one (usage_reader.h). What is applied changes, is for them too.
//
// Memory: all that were added, some hundred bytes each.
#ifndef TOLLBOOK_PIPELINE_CORRECTION_JUDGE_H_
#define TOLLBOOK_PIPELINE_CORRECTION_JUDGE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "ledger/exception.h"
#include "ledger/seen_entry.h"
#include "pipeline/arena.h"
#include "pipeline/stored_correction.h"

namespace tollbook {

// How a correction ended.
struct CorrectionVerdict {
  Reason reason = Reason::kNone;  // kNone: it is applied
  uint32_t needs = 0;             // ExceptionRecord::needs
};

// The events that were accepted, as far as the judge asks.
class AcceptedEvents {
 public:
  virtual ~AcceptedEvents() = default;
  // The content that is kept for the entry's identity. Errors: of reading it.
  virtual absl::StatusOr<std::optional<uint64_t>> Find(const SeenEntry& entry) const = 0;
  // From now on its own identity and its claim are found.
  virtual void Remember(const StoredCorrection& applied) = 0;
  // Is usage of its time, or of the event's that it names, no longer taken?
  virtual bool Refuses(const UsageEvent& correction) const = 0;
  // Why one that is right cannot be applied all the same. kNone: it can.
  virtual CorrectionVerdict Hindrance(const StoredCorrection& correction) const = 0;
};

// Not thread-safe. Borrows the events.
class CorrectionJudge {
 public:
  CorrectionJudge(Measurer measurer, AcceptedEvents& accepted) : decoder_(std::move(measurer)), accepted_(accepted) {}

  // A correction, as canonical JSON. DataLoss when it is none.
  [[nodiscard]] absl::Status Add(std::string_view payload);
  // May it be applied? The event that it names is accepted, or is one that was added. Before Judge. Errors: Find's.
  [[nodiscard]] absl::StatusOr<bool> MayBeApplied(size_t number) const;
  // All that were added. Errors: Find's.
  [[nodiscard]] absl::Status Judge();

  // In the order of Add, from 0. Of one that its catalog cannot measure only the event is there.
  size_t size() const { return all_.size(); }
  const StoredCorrection& correction(size_t number) const { return all_[number]; }
  const CorrectionVerdict& verdict(size_t number) const { return verdicts_[number]; }

 private:
  absl::Status JudgeOne(size_t number);
  absl::StatusOr<CorrectionVerdict> VerdictOf(size_t number) const;
  absl::StatusOr<Reason> ReasonOf(const MeasuredCorrection& correction) const;

  CorrectionDecoder decoder_;
  AcceptedEvents& accepted_;
  Arena arena_;
  std::vector<StoredCorrection> all_;
  std::vector<CorrectionVerdict> verdicts_;
  std::set<Uint128> identities_;                    // of those that may be right
  std::map<Uint128, std::vector<size_t>> waiting_;  // for the event with this identity
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CORRECTION_JUDGE_H_
