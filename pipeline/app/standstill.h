// Standstill: why deliveries wait though nothing is wrong: somebody paused their target, or a restore holds it, or its
// windows are shut.
#ifndef TOLLBOOK_PIPELINE_APP_STANDSTILL_H_
#define TOLLBOOK_PIPELINE_APP_STANDSTILL_H_

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/decision.h"
#include "ledger/delivery.h"
#include "pipeline/app/report.h"
#include "pipeline/targets.h"

namespace tollbook {

// Since when a window is shut is nowhere written: it is shut whenever it is not open.
struct ShutWindow {
  std::string entity;  // empty: of what is of none, such as usage
  Instant opens;
};

// Of some deliveries.
struct TargetState {
  std::string target;
  uint64_t waiting = 0, parked = 0;
  std::optional<Pause> paused;
  std::vector<ShutWindow> shut;  // of what waits; by entity
};

class Standstill {
 public:
  // By targets.yaml of the catalog in the directory; empty: of the one kept with the newest seal, where there is one.
  static absl::StatusOr<Standstill> Of(const Book& book, const std::string& catalog_directory, Instant now);

  bool Knows(std::string_view target) const { return targets_.contains(target) || pauses_.contains(target); }
  // Null: nobody did.
  const Pause* PauseOf(std::string_view target) const;
  // What a decision that resumes a target which is paused ends, all together (pipeline/restore_hold.h).
  std::string HoldsOf(std::string_view target) const;
  // When its target may be told of it; none: now, or it is over.
  std::optional<Instant> OpensFor(const Delivery& delivery) const;
  // Of the targets that are known or have some of the deliveries, by name.
  std::vector<TargetState> StatesOf(std::span<const Delivery> deliveries) const;

 private:
  std::map<std::string, Target, std::less<>> targets_;
  std::map<std::string, Pause, std::less<>> pauses_;
  std::map<std::string, std::string, std::less<>> holds_;     // of those
  std::map<std::string, std::string, std::less<>> entities_;  // of each batch; none where no target has windows
  Instant now_;
};

// "paused by Ann since 2025-01-31T10:00:00Z: their month-end; outside its windows for acme-us until
// 2025-02-01T03:00:00Z"; empty: it goes on.
std::string ToText(const TargetState& state);
Json ToJson(const Pause& pause);
Json ToJson(const TargetState& state);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_STANDSTILL_H_
