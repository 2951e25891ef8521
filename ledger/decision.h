// Decision: what somebody decided about what is booked already, and what became of it outside: who, why, from what to
// what. It changes no amount. One commit of the chain keeps one or several.
#ifndef TOLLBOOK_LEDGER_DECISION_H_
#define TOLLBOOK_LEDGER_DECISION_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rating/error.h"

namespace tollbook {

class Book;

// Stored by these numbers: append only.
enum class DecisionKind : uint8_t {
  kApproval = 1,  // of a batch that its seal held: which is its id
  kDelivery = 2,  // where a delivery of a batch stands: which is target and batch id, "erp acme-us-USD-2025-01-0001"
  kPurge = 3,     // payloads of exceptions or the usage log taken out (purge.h), or dedup keys (cut_off.h): which says
  kTarget = 4,    // whether a target is delivered to: which is its name
};

struct Decision {
  DecisionKind kind = DecisionKind::kApproval;
  std::string which;
  std::string by;   // a person's name; of a delivery empty: the target answered
  std::string why;  // of a delivery the document that the target named
  std::string before;
  std::string after;
  friend bool operator==(const Decision&, const Decision&) = default;
};

// Those of one commit.
struct DecisionCommit {
  uint64_t sequence = 0;  // which has the time
  std::vector<Decision> decisions;
  friend bool operator==(const DecisionCommit&, const DecisionCommit&) = default;
};

// The words of an approval's states.
inline constexpr std::string_view kHeldForApproval = "held";
inline constexpr std::string_view kApproved = "approved";
inline constexpr std::string_view kRejected = "rejected";

// One synced write; at least one decision. Errors: those of a commit of the book.
[[nodiscard]] absl::Status CommitDecisions(Book& book, std::span<const Decision> decisions);
// In the order of commits.
[[nodiscard]] absl::StatusOr<std::vector<DecisionCommit>> Decisions(const Book& book);

// A batch that its seal held, and where that stands.
struct Approval {
  std::string held_because;  // "first of its period", "above 10000.00 USD"
  std::string state = std::string(kHeldForApproval);
  std::string by, why;  // of the last decision
};
// By batch id. Batches that no seal held are not there.
[[nodiscard]] absl::StatusOr<std::map<std::string, Approval, std::less<>>> Approvals(const Book& book);

// The words of a target's states.
inline constexpr std::string_view kDelivering = "delivering";
inline constexpr std::string_view kPaused = "paused";
inline constexpr std::string_view kHeldByRestore = "held since a restore";  // before it is resumed

// Who paused a target, why, and when.
struct Pause {
  std::string by, why;
  int64_t since_nanos = 0;  // UTC
  bool by_restore = false;  // nobody did, but the book came out of a backup (pipeline/restore_hold.h)
  friend bool operator==(const Pause&, const Pause&) = default;
};
std::string ToString(const Pause& pause);  // "by Ann since 2025-01-31T10:00:00Z: their month-end"
// Those that are paused, by name.
[[nodiscard]] absl::StatusOr<std::map<std::string, Pause, std::less<>>> PausedTargets(const Book& book);

std::string Encode(const DecisionCommit& commit);
absl::StatusOr<DecisionCommit> DecodeDecisionCommit(std::string_view stored);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_DECISION_H_
