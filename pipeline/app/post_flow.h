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

// One pass with the clock and chance of this machine; a signal ends it after the delivery under way.
absl::StatusOr<DeliverReport> DeliverNow(Book& book, const PostTargets& targets);

Json ToJson(const DeliverReport& report);
std::string ToText(const DeliverReport& report);
bool AllDelivered(const DeliverReport& report);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_POST_FLOW_H_
