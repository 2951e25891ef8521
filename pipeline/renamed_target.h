// RenamedTarget: a billing target that may be another one under a new name.
//
// What was told is remembered by a target's name. Under a new one all usage of all seals would be told again, and a
// system that has forgotten the keys would bill it twice. So a billing target that was told nothing yet is held, and
// nothing is planned for it, where usage of an entity of its was told under another name, and that name is gone from
// targets.yaml, or is one of the same kind and url there; until the name is put back, or a person resumes it who sees
// that: the decision names the names. One who resumed it before it was held, or for other names, did not see it.
#ifndef TOLLBOOK_PIPELINE_RENAMED_TARGET_H_
#define TOLLBOOK_PIPELINE_RENAMED_TARGET_H_

#include <map>
#include <span>
#include <string>

#include "ledger/book.h"
#include "ledger/decision.h"
#include "pipeline/targets.h"

namespace tollbook {

// Those of `targets` that are held so, each with what a decision that resumes it ends (restore_hold.h): "held, told
// before as billing". Their pauses are in `held`, beside those that they have. `known`: all that targets.yaml has.
[[nodiscard]] absl::StatusOr<std::map<std::string, std::string, std::less<>>> HoldRenamed(
    const Book& book, std::span<const Target* const> targets, std::span<const Target* const> known,
    std::map<std::string, Pause, std::less<>>* held);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_RENAMED_TARGET_H_
