// Dispatch: which delivery goes next, over which connection. Knows nothing of what a delivery is.
//
//   target      as many at a time as it has connections
//   place       of one target never two at a time: an entity's accounting period, say, whose batches go in their order
//   priority    of the targets whose turn it may be those of the highest, but for every fourth turn (TurnOrder)
//   a failure   leaves the target's connections idle but one, until one of its deliveries goes well; as many in a row
//               as `failures_max`, or one that is the target's own, end the target's turn: nothing more of it is begun
//
// Targets do not wait for each other, but that kDispatchThreads at most go at a time in all.
#ifndef TOLLBOOK_PIPELINE_EMIT_DISPATCH_H_
#define TOLLBOOK_PIPELINE_EMIT_DISPATCH_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "pipeline/targets.h"
#include "rating/error.h"

namespace tollbook {

inline constexpr size_t kDispatchThreads = 64;

// Which priorities are looked at first, at the nth turn. Three of four turns begin with the highest; of the fourths one
// begins with the normal ones and the next with the low ones. So what is high waits for nobody for long, and what is
// lower has a quarter of the turns, however much of the higher there is.
[[nodiscard]] std::array<Priority, kPriorities> TurnOrder(uint64_t turn);

struct DispatchTarget {
  std::vector<size_t> places;    // of its deliveries, in the order in which they are to go; small numbers
  size_t connections = 1;        // at least one
  uint32_t failures_in_row = 0;  // of those that went before
  Priority priority = Priority::kNormal;
};

// A delivery: the target's index, its own, and which of the target's connections takes it.
struct DispatchTurn {
  size_t target = 0;
  size_t delivery = 0;
  size_t connection = 0;
};
enum class DispatchWord : uint8_t {
  kGo,
  kSkip,  // not now
  kEnd,   // nothing more of the target
};
enum class DispatchOutcome : uint8_t {
  kNothing,  // it says nothing of the target
  kWell,
  kFailed,
  kEnds,  // and the target's turn with it
};

struct DispatchOptions {
  uint32_t failures_max = 1;
  // Asked as a delivery's turn comes, one call at a time, beside `run`.
  std::function<DispatchWord(size_t target, size_t delivery)> may_go;
  // Several calls at a time, of different places and connections. A failed status ends it all, once those under way are
  // through, and is given back.
  std::function<absl::StatusOr<DispatchOutcome>(const DispatchTurn&)> run;
};

[[nodiscard]] absl::Status Dispatch(const std::vector<DispatchTarget>& targets, const DispatchOptions& options);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_DISPATCH_H_
