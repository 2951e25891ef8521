// CorrectionJudge: which of the corrections that were read are applied, and why the others are not.
//
// A correction needs three identities that must agree (MeasuredCorrection): its own must be fresh, the one that it
// names must be there with the content that it restates, and nobody may have claimed that one. So all of them are
// judged when all that came with them was accepted, one after the other, in the order in which they were read. One that
// names another correction waits until that is applied: in which order they came does not matter. Of two that name the
// same event the first one is applied.
//
// What is known of accepted events, what stands in the way of one, and the corrections themselves, are asked of whoever
// has them: the book (corrections.h), or a reader without one (usage_reader.h). What is applied changes, is for them
// too.
//
// Memory: about 200 bytes of each that waits, for what it names or for a source; nothing of the others.
#ifndef TOLLBOOK_PIPELINE_CORRECTION_JUDGE_H_
#define TOLLBOOK_PIPELINE_CORRECTION_JUDGE_H_

#include <cstdint>
#include <map>
#include <optional>

#include "ledger/exception.h"
#include "ledger/seen_entry.h"
#include "pipeline/stored_correction.h"

namespace tollbook {

// How a correction ended.
struct CorrectionVerdict {
  Reason reason = Reason::kNone;  // kNone: it is applied
  uint32_t needs = 0;             // ExceptionRecord::needs
};

// The events that were accepted, and the corrections that are judged, as far as the judge asks.
class AcceptedEvents {
 public:
  virtual ~AcceptedEvents() = default;
  // The content that is kept for the entry's identity. Errors: of reading it.
  virtual absl::StatusOr<std::optional<uint64_t>> Find(const SeenEntry& entry) const = 0;
  // Is usage of its time, or of the event's that it names, no longer taken?
  virtual bool Refuses(const UsageEvent& correction) const = 0;
  // Why one that is right cannot be applied all the same. kNone: it can.
  virtual CorrectionVerdict Hindrance(const StoredCorrection& correction) const = 0;
  // One that waited, once more. Until the judge tells how it or another one ends.
  virtual absl::StatusOr<const StoredCorrection*> Again(uint64_t number) = 0;
  // It is applied: from now on its own identity and its claim are found.
  virtual absl::Status Apply(uint64_t number, const StoredCorrection& correction) = 0;
  // It is not; or not now, where IsHeldCorrection(verdict.reason).
  virtual absl::Status Leave(uint64_t number, const CorrectionVerdict& verdict) = 0;
};

// Not thread-safe. Borrows the events.
class CorrectionJudge {
 public:
  explicit CorrectionJudge(AcceptedEvents& accepted) : accepted_(accepted) {}

  // The next one; numbers ascend. `measured`: kNone, or why its catalog cannot measure it. Those that waited for it are
  // judged as well. Errors: of asking, and of telling.
  [[nodiscard]] absl::Status Take(uint64_t number, const StoredCorrection& correction, Reason measured);
  // When there are no more: tells of each one that waits, in the order of numbers.
  [[nodiscard]] absl::Status Finish();

  // Why one that its catalog can measure is not right; kNone: it is.
  [[nodiscard]] absl::StatusOr<Reason> ReasonOf(const MeasuredCorrection& correction) const;

  // Does it wait for what it names? Then it is asked for again when that is applied.
  [[nodiscard]] bool WaitsForOriginal(uint64_t number) const;

 private:
  struct Waiting {
    MeasuredCorrection measured;
    CorrectionVerdict verdict;
  };
  absl::StatusOr<CorrectionVerdict> VerdictOf(const StoredCorrection& correction) const;
  absl::StatusOr<bool> IsApplied(uint64_t number, const StoredCorrection& correction);

  AcceptedEvents& accepted_;
  std::map<uint64_t, Waiting> waiting_;          // by number
  std::multimap<Uint128, uint64_t> due_behind_;  // by the event that they wait for
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CORRECTION_JUDGE_H_
