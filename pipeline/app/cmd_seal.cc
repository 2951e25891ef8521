#include "pipeline/app/run_flow.h"

namespace tollbook {

int CmdSeal(const SealCommandOptions& options) {
  RunFlow flow{"seal", options.books, options.catalog, options.through};
  flow.seal = true;
  flow.threads = options.threads;
  flow.json = options.json;
  return RunAndReport(flow);
}

}  // namespace tollbook
