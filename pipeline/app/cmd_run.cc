#include "pipeline/app/run_flow.h"

namespace tollbook {

int CmdRun(const RunOptions& options) {
  RunFlow flow{"run", options.books, options.catalog, options.through};
  flow.absorb = &options.absorb;
  flow.seal = true;
  flow.post = options.post;
  flow.threads = options.absorb.threads;
  flow.json = options.absorb.json;
  return RunAndReport(flow);
}

}  // namespace tollbook
