// RunFlow: what run, absorb and seal share: load the catalog, find the inputs, open the book, go, report.
#ifndef TOLLBOOK_PIPELINE_APP_RUN_FLOW_H_
#define TOLLBOOK_PIPELINE_APP_RUN_FLOW_H_

#include <memory>
#include <optional>
#include <string>

#include "ledger/book.h"
#include "pipeline/absorb.h"
#include "pipeline/app/backup_desk.h"
#include "pipeline/app/commands.h"
#include "pipeline/catalog_dir.h"
#include "pipeline/seal.h"

namespace tollbook {

struct RunFlow {
  std::string command;  // "run"
  std::string books;
  std::string catalog;
  std::string through;
  const AbsorbFlags* absorb = nullptr;  // null: only seal
  bool seal = false;
  std::string adjusted_by = {}, adjusted_why = {};  // of the seal
  std::optional<ReversalOrder> reversal = {};       // likewise
  bool post = false;                                // deliver what is due, once
  int threads = 0;
  bool json = false;
};

// Gives the exit code; errors are printed.
int RunAndReport(const RunFlow& flow);

// Absorbs with a progress bar, serves those who want a backup meanwhile, and stops cleanly on a signal.
absl::StatusOr<AbsorbReport> AbsorbWithProgress(Book& book, const Catalog& catalog, const InputList& inputs,
                                                const AbsorbFlags& flags, BackupDesk* desk);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_RUN_FLOW_H_
