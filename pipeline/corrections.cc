#include "pipeline/corrections.h"

#include <cstring>

namespace tollbook {

absl::Status Corrections::Add(std::string_view payload) {
  // As a line of input: with bytes behind it that may be read, and as long in memory as what was measured of it.
  Arena& arena = work_->block.arena;
  char* const line = arena.Allocate(payload.size() + kLinePadding);
  std::memcpy(line, payload.data(), payload.size());
  std::memset(line + payload.size(), '\n', kLinePadding);
  std::vector<DecodedEvent> decoded;
  decoder_->Decode({line, payload.size()}, 0, arena, decoded);
  const UsageEvent& event = decoded[0].event;
  if (decoded[0].reason != Reason::kNone || event.correction == nullptr) return DamagedError("a held correction");

  const auto number = static_cast<uint32_t>(all_.size());
  const size_t first = work_->measurements.size();
  const Reason reason = measurer_.MeasureCorrection(event, arena, &all_.emplace_back(), &work_->measurements);
  for (size_t i = first; i < work_->measurements.size(); ++i) work_->measurements[i].event = number;
  work_->verdicts.push_back(reason);
  return absl::OkStatus();
}

absl::Status Corrections::Judge() {
  for (uint32_t number = 0; number < all_.size(); ++number) {
    if (work_->verdicts[number] == Reason::kNone) TOLLBOOK_RETURN_IF_ERROR(JudgeOne(number));
  }
  // One that waits may have lost its own id to one that was applied after it was looked at.
  for (uint32_t number = 0; number < all_.size(); ++number) {
    if (!IsHeldCorrection(work_->verdicts[number])) continue;
    const absl::StatusOr<Reason> verdict = VerdictOf(all_[number]);
    if (!verdict.ok()) return verdict.status();
    TOLLBOOK_ASSERT(*verdict != Reason::kNone);
    work_->verdicts[number] = *verdict;
  }
  return absl::OkStatus();
}

// And those that waited for it, and so on.
absl::Status Corrections::JudgeOne(uint32_t number) {
  std::vector<uint32_t> due = {number};
  for (size_t i = 0; i < due.size(); ++i) {
    const MeasuredCorrection& correction = all_[due[i]];
    const absl::StatusOr<Reason> verdict = VerdictOf(correction);
    if (!verdict.ok()) return verdict.status();
    work_->verdicts[due[i]] = *verdict;
    if (*verdict == Reason::kUnknownOriginal) waiting_[KeyOf(correction.original)].push_back(due[i]);
    if (*verdict != Reason::kNone) continue;
    Remember(correction.identity);
    Remember(correction.claim);
    const auto waited = waiting_.find(KeyOf(correction.identity));
    if (waited == waiting_.end()) continue;
    due.insert(due.end(), waited->second.begin(), waited->second.end());
    waiting_.erase(waited);
  }
  return absl::OkStatus();
}

absl::StatusOr<Reason> Corrections::VerdictOf(const MeasuredCorrection& correction) const {
  const absl::StatusOr<std::optional<uint64_t>> own = Find(correction.identity);
  if (!own.ok()) return own.status();
  const absl::StatusOr<std::optional<uint64_t>> claim = Find(correction.claim);
  if (!claim.ok()) return claim.status();
  if (own->has_value()) {
    // The same content under its id is not enough: it may have come as an event that corrects nothing, or another.
    const bool same = **own == ContentOf(correction.identity) && *claim == ContentOf(correction.claim);
    return same ? Reason::kDuplicate : Reason::kConflict;
  }
  const absl::StatusOr<std::optional<uint64_t>> original = Find(correction.original);
  if (!original.ok()) return original.status();
  if (!original->has_value()) return Reason::kUnknownOriginal;
  if (**original != ContentOf(correction.original)) return Reason::kOriginalDiffers;
  if (claim->has_value()) return Reason::kAlreadyCorrected;
  return correction.can_take_back ? Reason::kNone : Reason::kCannotTakeBack;
}

absl::StatusOr<std::optional<uint64_t>> Corrections::Find(const SeenEntry& entry) const {
  return seen_[SeenShardOf(entry)].Find(entry);
}

std::unique_ptr<BlockWork> Corrections::TakeWork() {
  work_->measurements_of.Fill(work_->measurements, [](const Measurement& m) { return TotalShardOf(m.subject_hash); });
  return std::move(work_);
}

}  // namespace tollbook
