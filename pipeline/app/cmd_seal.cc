#include "pipeline/app/run_flow.h"
#include "pipeline/app/session.h"

namespace tollbook {

int CmdSeal(const SealCommandOptions& options) {
  if (options.adjust != !options.by.empty() || options.adjust != !options.why.empty()) {
    return Fail(MakeError(absl::StatusCode::kInvalidArgument, "an adjustment needs a name and a reason",
                          "--adjust, --by, --why", "give all three, or none of them"));
  }
  RunFlow flow{"seal", options.books, options.catalog, options.through};
  flow.seal = true;
  flow.adjusted_by = options.by;
  flow.adjusted_why = options.why;
  flow.threads = options.threads;
  flow.json = options.json;
  return RunAndReport(flow);
}

}  // namespace tollbook
