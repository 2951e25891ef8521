// PostFlow: what `post` and `run --post` share: the targets of a catalog with their emitters, one pass, its report.
#ifndef TOLLBOOK_PIPELINE_APP_POST_FLOW_H_
#define TOLLBOOK_PIPELINE_APP_POST_FLOW_H_

#include <string>
#include <vector>

#include "pipeline/app/report.h"
#include "pipeline/emit/deliver.h"

namespace tollbook {

struct PostTargets {
  std::vector<EmitterOf> emitters;  // of those that can be used
  absl::Status status;              // what is wrong with the others, one a line
};

// `only`: the name of one; empty: all. None of that name, or none at all: nothing in `emitters`, and a status.
// `with_secrets` false: only to show what they would send.
PostTargets TargetsFor(const Catalog& catalog, const std::string& catalog_directory, const std::string& only,
                       bool with_secrets = true);

// One pass with the clock and chance of this machine; a signal, or the moment `until_nanos` (0: none), ends it after the
// deliveries under way.
absl::StatusOr<DeliverReport> DeliverNow(Book& book, const PostTargets& targets, int64_t until_nanos = 0);

Json ToJson(const DeliverReport& report);
std::string ToText(const DeliverReport& report);
bool AllDelivered(const DeliverReport& report);
// Ok, or whose usage could not be planned and why, a target a line: the book keeps nothing of it, and no later pass
// mends it by itself.
absl::Status NotPlanned(const DeliverReport& report);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_POST_FLOW_H_
