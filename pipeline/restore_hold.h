// RestoreHold: whom a book that came out of a backup may send to, and when.
//
// What the book posted after that backup it does not know. A target that can be asked for what it has is asked before
// anything is sent to it, once nothing of that time can be under way any more. What it has not is sent of the seals
// that the backup had; not of later ones: what such a seal books, a lost seal of another number may have posted, under
// a key that nobody asks for. That, and all that is due to a target that cannot be asked, is held, as if it were
// paused, until a named person has looked there and resumes the target.
#ifndef TOLLBOOK_PIPELINE_RESTORE_HOLD_H_
#define TOLLBOOK_PIPELINE_RESTORE_HOLD_H_

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/book.h"
#include "ledger/decision.h"
#include "pipeline/targets.h"

namespace tollbook {

// Whether what the target has of something is found by its key, and compared, before anything is sent. Not of `files`:
// one that was taken away is not there; nor of Chargebee, where a later seal's usage counts as the newer, be it one
// that the book has lost. Of accounts it does not matter: a record says how one stands, however often.
[[nodiscard]] bool IsLookedUp(const Target& target);

// The pauses of targets by name: those that somebody paused, and of `targets` those that a restore holds (by_restore;
// all but those of accounts, until who sees that resumes them), in whole or in part.
[[nodiscard]] absl::StatusOr<std::map<std::string, Pause, std::less<>>> HeldTargets(
    const Book& book, std::span<const Target* const> targets);

// A decision that resumes a target has as `before` all that kept it, as who took it saw it: "paused; held since a
// restore". It ends no more than that.
inline constexpr std::string_view kBetweenHolds = "; ";
[[nodiscard]] std::vector<std::string_view> EndedBy(const Decision& resume);

struct Restored {
  int64_t at_nanos = 0;  // the newest time
  // Made since the first time: before it was lost, the book may have made another one of its number.
  uint64_t first_seal = 0;
};
// None: the book never came out of a backup.
[[nodiscard]] absl::StatusOr<std::optional<Restored>> RestoredOf(const Book& book);

// Whether nothing of that seal (0: of none) is sent to a target for its pause; null: it has none.
[[nodiscard]] bool IsHeld(const Target& target, const Pause* pause, const std::optional<Restored>& restored,
                          uint64_t seal);

// When nothing can be under way to the target any more that the book sent before it was lost; 0: where nothing is
// waited for. A restore that is in the future, by a clock that was put back, counts as one of `now`.
[[nodiscard]] int64_t ClearAtNanos(const Target& target, const std::optional<Restored>& restored, int64_t now_nanos);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_RESTORE_HOLD_H_
