#include "pipeline/app/run_flow.h"

namespace tollbook {

int CmdAbsorb(const AbsorbCommandOptions& options) {
  RunFlow flow{"absorb", options.books, options.catalog, ""};
  flow.absorb = &options.absorb;
  flow.threads = options.absorb.threads;
  flow.json = options.absorb.json;
  return RunAndReport(flow);
}

}  // namespace tollbook
