#include "pipeline/correction_judge.h"

namespace tollbook {

absl::Status CorrectionJudge::Add(std::string_view payload) {
  StoredCorrection& correction = all_.emplace_back();
  const absl::StatusOr<Reason> reason = decoder_.Decode(payload, arena_, &correction);
  if (!reason.ok()) return reason.status();
  verdicts_.push_back({accepted_.Refuses(correction.event) ? Reason::kBeforeCutOff : *reason});
  if (verdicts_.back().reason == Reason::kNone) identities_.insert(KeyOf(correction.measured.identity));
  return absl::OkStatus();
}

absl::StatusOr<bool> CorrectionJudge::MayBeApplied(size_t number) const {
  if (verdicts_[number].reason != Reason::kNone) return false;
  const MeasuredCorrection& correction = all_[number].measured;
  const absl::StatusOr<Reason> reason = ReasonOf(correction);
  if (!reason.ok()) return reason.status();
  return *reason == Reason::kNone ||
         (*reason == Reason::kUnknownOriginal && identities_.contains(KeyOf(correction.original)));
}

absl::Status CorrectionJudge::Judge() {
  for (size_t number = 0; number < all_.size(); ++number) {
    if (verdicts_[number].reason == Reason::kNone) TOLLBOOK_RETURN_IF_ERROR(JudgeOne(number));
  }
  // One that waits may have lost its own id to one that was applied after it was looked at.
  for (size_t number = 0; number < all_.size(); ++number) {
    if (!IsHeldCorrection(verdicts_[number].reason)) continue;
    const absl::StatusOr<CorrectionVerdict> verdict = VerdictOf(number);
    if (!verdict.ok()) return verdict.status();
    TOLLBOOK_ASSERT(verdict->reason != Reason::kNone);
    verdicts_[number] = *verdict;
  }
  return absl::OkStatus();
}

// And those that waited for it, and so on.
absl::Status CorrectionJudge::JudgeOne(size_t number) {
  std::vector<size_t> due = {number};
  for (size_t i = 0; i < due.size(); ++i) {
    const MeasuredCorrection& correction = all_[due[i]].measured;
    const absl::StatusOr<CorrectionVerdict> verdict = VerdictOf(due[i]);
    if (!verdict.ok()) return verdict.status();
    verdicts_[due[i]] = *verdict;
    if (verdict->reason == Reason::kUnknownOriginal) waiting_[KeyOf(correction.original)].push_back(due[i]);
    if (verdict->reason != Reason::kNone) continue;
    accepted_.Remember(all_[due[i]]);
    const auto waited = waiting_.find(KeyOf(correction.identity));
    if (waited == waiting_.end()) continue;
    due.insert(due.end(), waited->second.begin(), waited->second.end());
    waiting_.erase(waited);
  }
  return absl::OkStatus();
}

absl::StatusOr<CorrectionVerdict> CorrectionJudge::VerdictOf(size_t number) const {
  const absl::StatusOr<Reason> reason = ReasonOf(all_[number].measured);
  if (!reason.ok()) return reason.status();
  return *reason == Reason::kNone ? accepted_.Hindrance(all_[number]) : CorrectionVerdict{*reason};
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
