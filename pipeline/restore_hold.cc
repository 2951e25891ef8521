#include "pipeline/restore_hold.h"

#include <algorithm>
#include <set>

#include "ledger/book_cut.h"

namespace tollbook {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;

Pause HoldOf(const RestoreMark& mark, const Target& target) {
  Pause hold;
  hold.by = "the restore of backup " + std::to_string(mark.backup);
  hold.why =
      "what was posted after that backup is not known here, and it " +
      std::string(IsLookedUp(target) ? "is asked for the batches of later seals, but sent none" : "cannot be asked") +
      ": look what it has, and `tollbook deliveries resolve` that";
  hold.since_nanos = mark.restored_at_nanos;
  hold.by_restore = true;
  return hold;
}

// Those that somebody resumed since, but for who ended no more than a pause, of before or since: where targets.yaml was
// another one the hold was not seen.
absl::StatusOr<std::set<std::string, std::less<>>> ResumedSince(const Book& book, uint64_t sequence) {
  const absl::StatusOr<std::vector<DecisionCommit>> commits = Decisions(book);
  if (!commits.ok()) return commits.status();
  std::set<std::string, std::less<>> resumed, paused;
  for (const DecisionCommit& commit : *commits) {
    for (const Decision& decision : commit.decisions) {
      if (decision.kind != DecisionKind::kTarget) continue;
      if (decision.after == kPaused) paused.insert(decision.which);
      if (decision.after != kDelivering) continue;
      const bool was_held = std::ranges::count(EndedBy(decision), kHeldByRestore) > 0;
      const bool was_paused = paused.erase(decision.which) > 0;
      if (commit.sequence > sequence && (was_held || !was_paused)) resumed.insert(decision.which);
    }
  }
  return resumed;
}

}  // namespace

std::vector<std::string_view> EndedBy(const Decision& resume) {
  std::vector<std::string_view> ended;
  for (std::string_view rest = resume.before; !rest.empty();) {
    const size_t end = std::min(rest.find(kBetweenHolds), rest.size());
    ended.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + kBetweenHolds.size(), rest.size()));
  }
  return ended;
}

bool IsLookedUp(const Target& target) {
  switch (target.kind) {
    case TargetKind::kFiles:
    case TargetKind::kWebhook:
    case TargetKind::kStripe:
    case TargetKind::kChargebee:
    case TargetKind::kMaxio:
      return false;
    case TargetKind::kOracle:  // an import may wait there unseen, for longer than anybody says
      return target.resend_after_seconds > 0;
    case TargetKind::kZuora:
      return !target.key_field.empty();
    case TargetKind::kTryton:
    case TargetKind::kNetsuite:
    case TargetKind::kDynamics:
    case TargetKind::kSap:
    case TargetKind::kSalesforce:
    case TargetKind::kGainsight:
    case TargetKind::kTotango:
      return true;
  }
  TOLLBOOK_ASSERT(!"a kind of the list");
  return false;
}

absl::StatusOr<std::map<std::string, Pause, std::less<>>> HeldTargets(const Book& book,
                                                                      std::span<const Target* const> targets) {
  absl::StatusOr<std::map<std::string, Pause, std::less<>>> held = PausedTargets(book);
  if (!held.ok()) return held.status();
  const absl::StatusOr<std::vector<RestoreMark>> restored = RestoreMarks(book);
  if (!restored.ok()) return restored.status();
  if (restored->empty()) return held;
  const auto resumed = ResumedSince(book, restored->back().sequence);
  if (!resumed.ok()) return resumed.status();
  for (const Target* const target : targets) {
    if (TakesAccounts(*target) || resumed->contains(target->name)) continue;
    const Pause hold = HoldOf(restored->back(), *target);
    const auto [pause, is_only_held] = held->emplace(target->name, hold);
    if (!is_only_held) pause->second.why += "; and " + ToString(hold);
  }
  return held;
}

absl::StatusOr<std::optional<Restored>> RestoredOf(const Book& book) {
  const absl::StatusOr<std::vector<RestoreMark>> marks = RestoreMarks(book);
  if (!marks.ok()) return marks.status();
  if (marks->empty()) return std::optional<Restored>();
  const absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return seals.status();
  Restored restored;
  restored.first_seal = book.next_seal();
  for (const SealRecord& seal : *seals) {
    if (seal.sequence > marks->front().sequence) restored.first_seal = std::min(restored.first_seal, seal.number);
  }
  for (const RestoreMark& mark : *marks) restored.at_nanos = std::max(restored.at_nanos, mark.restored_at_nanos);
  return std::optional<Restored>(restored);
}

bool IsHeld(const Target& target, const Pause* pause, const std::optional<Restored>& restored, uint64_t seal) {
  if (pause == nullptr) return false;
  if (!pause->by_restore || !IsLookedUp(target)) return true;
  return restored && seal >= restored->first_seal;
}

int64_t ClearAtNanos(const Target& target, const std::optional<Restored>& restored, int64_t now_nanos) {
  if (!restored || !IsLookedUp(target)) return 0;
  const int64_t seconds = std::max(target.quiet_seconds, target.resend_after_seconds);
  return std::min(restored->at_nanos, now_nanos) + seconds * kNanosPerSecond;
}

}  // namespace tollbook
