#include "pipeline/correction_judge.h"

#include <set>

namespace tollbook {

absl::Status CorrectionJudge::Take(uint64_t number, const StoredCorrection& correction, Reason measured) {
  if (accepted_.Refuses(correction.event)) return accepted_.Leave(number, {Reason::kBeforeCutOff});
  if (measured != Reason::kNone) return accepted_.Leave(number, {measured});
  // And those that waited for it, and those that waited for them. The one that was read first comes first: as if all
  // had been looked at anew from the first on, which is what happens where this is interrupted and goes on.
  std::set<uint64_t> due = {number};
  while (!due.empty()) {
    const uint64_t first = *due.begin();
    due.erase(due.begin());
    const absl::StatusOr<const StoredCorrection*> next = first == number ? &correction : accepted_.Again(first);
    if (!next.ok()) return next.status();
    const Uint128 identity = KeyOf((*next)->measured.identity);
    const absl::StatusOr<bool> is_applied = IsApplied(first, **next);  // it is gone from here on
    if (!is_applied.ok()) return is_applied.status();
    if (!*is_applied) continue;
    const auto [begin, end] = due_behind_.equal_range(identity);
    for (auto behind = begin; behind != end; ++behind) due.insert(behind->second);
    due_behind_.erase(begin, end);
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> CorrectionJudge::IsApplied(uint64_t number, const StoredCorrection& correction) {
  const absl::StatusOr<CorrectionVerdict> verdict = VerdictOf(correction);
  if (!verdict.ok()) return verdict.status();
  if (IsHeldCorrection(verdict->reason)) {
    waiting_.insert_or_assign(number, Waiting{correction.measured, *verdict});
    if (verdict->reason == Reason::kUnknownOriginal) due_behind_.emplace(KeyOf(correction.measured.original), number);
    return false;
  }
  waiting_.erase(number);
  const bool is_applied = verdict->reason == Reason::kNone;
  const absl::Status told = is_applied ? accepted_.Apply(number, correction) : accepted_.Leave(number, *verdict);
  if (!told.ok()) return told;
  return is_applied;
}

// One that waits may have lost its own id to one that was applied after it was looked at.
absl::Status CorrectionJudge::Finish() {
  for (const auto& [number, waits] : waiting_) {
    const absl::StatusOr<Reason> reason = ReasonOf(waits.measured);
    if (!reason.ok()) return reason.status();
    // What was in the way of one that is right still is.
    TOLLBOOK_ASSERT(*reason != Reason::kNone || waits.verdict.reason != Reason::kUnknownOriginal);
    TOLLBOOK_RETURN_IF_ERROR(
        accepted_.Leave(number, *reason == Reason::kNone ? waits.verdict : CorrectionVerdict{*reason}));
  }
  return absl::OkStatus();
}

bool CorrectionJudge::WaitsForOriginal(uint64_t number) const {
  const auto waits = waiting_.find(number);
  return waits != waiting_.end() && waits->second.verdict.reason == Reason::kUnknownOriginal;
}

absl::StatusOr<CorrectionVerdict> CorrectionJudge::VerdictOf(const StoredCorrection& correction) const {
  const absl::StatusOr<Reason> reason = ReasonOf(correction.measured);
  if (!reason.ok()) return reason.status();
  return *reason == Reason::kNone ? accepted_.Hindrance(correction) : CorrectionVerdict{*reason};
}

absl::StatusOr<Reason> CorrectionJudge::ReasonOf(const MeasuredCorrection& correction) const {
  const absl::StatusOr<std::optional<uint64_t>> own = accepted_.Find(correction.identity);
  if (!own.ok()) return own.status();
  const absl::StatusOr<std::optional<uint64_t>> claim = accepted_.Find(correction.claim);
  if (!claim.ok()) return claim.status();
  if (own->has_value()) {
    // The same content under its id is not enough: it may have come as an event that corrects nothing, or another.
    const bool same = **own == ContentOf(correction.identity) && *claim == ContentOf(correction.claim);
    return same ? Reason::kDuplicate : Reason::kConflict;
  }
  const absl::StatusOr<std::optional<uint64_t>> original = accepted_.Find(correction.original);
  if (!original.ok()) return original.status();
  if (!original->has_value()) return Reason::kUnknownOriginal;
  if (**original != ContentOf(correction.original)) return Reason::kOriginalDiffers;
  return claim->has_value() ? Reason::kAlreadyCorrected : Reason::kNone;
}

}  // namespace tollbook
