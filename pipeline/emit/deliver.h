// Deliver: one pass over a book's outbox. Plans what is new, asks where something is unclear, sends what is due.
//
// Targets at the same time; of a target as many deliveries as it has connections, and of one entity and accounting
// period one (dispatch.h). Those of a target that failed less often go first, so that one bad batch never holds up the
// rest; when what failed is the target itself (it is down, or five in a row failed), its others wait until that one may
// be tried again, and then one of them tries.
#ifndef TOLLBOOK_PIPELINE_EMIT_DELIVER_H_
#define TOLLBOOK_PIPELINE_EMIT_DELIVER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ledger/book.h"
#include "ledger/decision.h"
#include "ledger/delivery_told.h"
#include "pipeline/emit/emitter.h"
#include "pipeline/emit/request_pace.h"

namespace tollbook {

struct EmitterOf {
  Target target;
  std::unique_ptr<Emitter> emitter;
  std::shared_ptr<RequestPace> pace = nullptr;      // what its requests pass; null: it has no limits
  std::vector<std::unique_ptr<Emitter>> more = {};  // of further connections: with each, one more delivery at a time
  mutable uint64_t accounts_planned_at = 0;         // the newest commit when its accounts were last planned
};

// After what is due is delivered, targets that can be asked before anything is sent are asked whether they still have
// what they confirmed, each delivery once: found and equal it is reconciled; different or gone it is parked. Not before
// `quiet_seconds` after it was confirmed, for a look-up may lag behind, and by the same pauses, windows, limits and
// waits as everything else.
struct ReconcileOptions {
  int64_t begun_nanos = 0;  // what was compared since then, or could not be, is not asked about again
  bool again = false;       // what was reconciled before then, too
};

struct DeliverOptions {
  std::span<const Target> known;            // all that targets.yaml has; empty: those that are delivered to
  std::string catalog_directory = {};       // where its relative paths begin
  std::function<int64_t()> now_nanos;       // called from several threads
  std::function<uint64_t()> chance;         // any 64 bits, for the jitter
  const std::atomic<bool>* stop = nullptr;  // ends the pass after the deliveries under way
  int64_t until_nanos = 0;                  // so does this moment, but that it does something; 0: none
  int threads = 0;                          // that rate usage; 0: as many as there are cores
  std::optional<ReconcileOptions> reconcile = std::nullopt;  // none: only deliver
};

struct TargetReport {
  std::string target;
  uint64_t planned = 0;         // by this pass
  std::string not_planned;      // why usage, or accounts, are not: they have no name there, or are not taken
  uint64_t confirmed = 0;       // by this pass
  uint64_t reconciled = 0;      // by this pass
  std::string not_reconciled;   // how many could not be compared, and why the first could not; empty: all were
  std::optional<Pause> paused;  // by somebody, by a restore or by its new name: nothing was sent to it
  std::array<uint64_t, kDeliveryStates> by_state{};  // afterwards
};

struct DeliverReport {
  std::vector<TargetReport> targets;
  // Deliveries that will be tried, or asked about, again by themselves, so none of a target that is paused.
  uint64_t waiting = 0;
  int64_t next_due_nanos = 0;  // the first of them; 0: none waits
  bool cut_short = false;      // `until_nanos` came before all that was due was done: another pass goes on
  uint64_t held = 0;           // batches that nobody has approved yet: they are passed over
};

// A failed status: the book; DataLoss: its outbox says less than its chain of commits (delivery_told.h), and nothing is
// sent. What goes wrong with a target is in its deliveries.
[[nodiscard]] absl::StatusOr<DeliverReport> Deliver(Book& book, const std::vector<EmitterOf>& targets,
                                                    const DeliverOptions& options);

// Keeps in the chain of commits where deliveries stand that ended, or need somebody, and stood otherwise when the chain
// was last told: one commit for all of them, none where there are none. Deliver does so at the end of each pass; after
// a crash the next pass does. So the chain says what was handed off, though it is not told each step.
[[nodiscard]] absl::Status RecordDeliveries(Book& book);

// What a pass would send, in its order: "target erp, batch …", and what Emitter::Show says. Of a target that is paused,
// or outside its windows `now`, with that it is. Changes nothing.
[[nodiscard]] absl::StatusOr<std::string> ShowDue(Book& book, const std::vector<EmitterOf>& targets, Instant now,
                                                  std::span<const Target> known = {}, int threads = 0);

// How long after so many failures in a row: between nothing and first * 2^(failures - 1), at most the cap, by chance.
// So targets that come back are not met by everybody at once.
[[nodiscard]] int64_t BackOffNanos(const Target& target, uint32_t failures, uint64_t chance);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_DELIVER_H_
