#include "ledger/decision.h"

#include "ledger/book.h"
#include "ledger/bytes.h"
#include "ledger/records.h"
#include "rating/calendar.h"

namespace tollbook {

absl::StatusOr<std::map<std::string, Approval, std::less<>>> Approvals(const Book& book) {
  const absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return seals.status();
  std::map<std::string, Approval, std::less<>> approvals;
  for (const SealRecord& seal : *seals) {
    for (const HeldBatch& held : seal.held) approvals[seal.batches[held.batch]].held_because = held.why;
  }
  if (approvals.empty()) return approvals;  // a book without them reads no decisions
  const absl::StatusOr<std::vector<DecisionCommit>> commits = Decisions(book);
  if (!commits.ok()) return commits.status();
  for (const DecisionCommit& commit : *commits) {
    for (const Decision& decision : commit.decisions) {
      if (decision.kind != DecisionKind::kApproval) continue;
      const auto approval = approvals.find(decision.which);
      if (approval == approvals.end()) return DamagedError("decision about " + decision.which);
      approval->second.state = decision.after;
      approval->second.by = decision.by;
      approval->second.why = decision.why;
    }
  }
  return approvals;
}

absl::StatusOr<std::map<std::string, Pause, std::less<>>> PausedTargets(const Book& book) {
  const absl::StatusOr<std::vector<DecisionCommit>> commits = Decisions(book);
  if (!commits.ok()) return commits.status();
  std::map<std::string, Pause, std::less<>> paused;
  std::map<std::string, uint64_t> paused_by;  // the sequence of the commit
  for (const DecisionCommit& commit : *commits) {
    for (const Decision& decision : commit.decisions) {
      if (decision.kind != DecisionKind::kTarget) continue;
      if (decision.after == kPaused) {
        paused.insert_or_assign(decision.which, Pause{decision.by, decision.why, 0});
        paused_by[decision.which] = commit.sequence;
      } else {
        paused.erase(decision.which);
      }
    }
  }
  if (paused.empty()) return paused;
  const absl::StatusOr<std::vector<CommitRecord>> records = book.Commits();
  if (!records.ok()) return records.status();
  for (auto& [target, pause] : paused) {
    const uint64_t sequence = paused_by.at(target);
    if (sequence == 0 || sequence > records->size()) return DamagedError("decision about " + target);
    pause.since_nanos = (*records)[sequence - 1].committed_at_nanos;
  }
  return paused;
}

std::string ToString(const Pause& pause) {
  const Instant since{pause.since_nanos / 1'000'000'000 * 1'000'000'000};
  return "by " + pause.by + " since " + ToString(since) + ": " + pause.why;
}

std::string Encode(const DecisionCommit& commit) {
  ByteWriter out;
  out.Varint(commit.sequence);
  out.Varint(commit.decisions.size());
  for (const Decision& decision : commit.decisions) {
    out.Fixed8(static_cast<uint8_t>(decision.kind));
    for (const std::string* text : {&decision.which, &decision.by, &decision.why, &decision.before, &decision.after}) {
      out.Text(*text);
    }
  }
  return out.Take();
}

absl::StatusOr<DecisionCommit> DecodeDecisionCommit(std::string_view stored) {
  ByteReader in(stored);
  DecisionCommit commit;
  commit.sequence = in.Varint64();
  const uint64_t count = in.Count(6);
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    Decision decision;
    decision.kind = in.OneOf(DecisionKind::kTarget);
    for (std::string* text : {&decision.which, &decision.by, &decision.why, &decision.before, &decision.after}) {
      *text = in.Text();
    }
    if (decision.kind < DecisionKind::kApproval) in.Fail();
    commit.decisions.push_back(std::move(decision));
  }
  if (!in.done() || commit.decisions.empty()) return DamagedError("decisions");
  return commit;
}

}  // namespace tollbook
