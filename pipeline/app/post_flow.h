// PostFlow: what `post` and `run --post` share: the targets of a catalog with their emitters, passes by turns, and
// their report.
#ifndef TOLLBOOK_PIPELINE_APP_POST_FLOW_H_
#define TOLLBOOK_PIPELINE_APP_POST_FLOW_H_

#include <optional>
#include <string>
#include <vector>

#include "pipeline/app/report.h"
#include "pipeline/emit/deliver.h"

namespace tollbook {

struct PostTargets {
  std::vector<EmitterOf> emitters;  // of those that can be used
  absl::Status status;              // what is wrong with the others, one a line
  std::vector<Target> known;        // all that targets.yaml has
};

// `only`: the name of one; empty: all. None of that name, or none at all: nothing in `emitters`, and a status.
// `with_secrets` false: only to show what they would send.
PostTargets TargetsFor(const Catalog& catalog, const std::string& catalog_directory, const std::string& only,
                       bool with_secrets = true);

struct PostPlace {
  std::string books;
  const Catalog* catalog = nullptr;
  std::string catalog_directory;
  std::string command;  // as others are told who has the book
  std::optional<ReconcileOptions> reconcile = std::nullopt;
};
// One pass with the clock and chance of this machine: it has the book for some seconds, and until the deliveries under
// way are done. A signal ends it likewise. `book`: where it is open already. Aborted: somebody else has it.
struct PostTurn {
  DeliverReport report;
  int64_t taken = 0;  // LastTaken of the book while it was ours
};
absl::StatusOr<PostTurn> TakeTurn(const PostPlace& place, const PostTargets& targets,
                                  std::unique_ptr<Book> book = nullptr);
// So long the book is left alone at least between two turns, so that others have theirs.
inline constexpr int64_t kFreeNanos = 500'000'000;

// Turns until nothing is due any more and, while something waits, until `end_nanos`. Once one was had, it waits for
// whoever has the book then. The report is of all of them.
absl::StatusOr<DeliverReport> DeliverByTurns(const PostPlace& place, const PostTargets& targets, int64_t end_nanos,
                                             std::unique_ptr<Book> book = nullptr);

// Until then, or until a signal asks to stop.
void SleepUntil(int64_t until_nanos);

Json ToJson(const DeliverReport& report);
std::string ToText(const DeliverReport& report);
bool AllDelivered(const DeliverReport& report);
// Ok, or whose usage could not be planned and why, a target a line: the book keeps nothing of it, and no later pass
// mends it by itself.
absl::Status NotPlanned(const DeliverReport& report);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_POST_FLOW_H_
