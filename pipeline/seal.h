// Seal: what the accepted usage is worth, less what is booked, into the journal. Cold and pure but for the one commit
// at its end.
//
//   usage totals -rate-> worth -less what is booked-> differences -summarise-> journal batches -one synced write-> the
//   book
#ifndef TOLLBOOK_PIPELINE_SEAL_H_
#define TOLLBOOK_PIPELINE_SEAL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ledger/book.h"
#include "pipeline/reversal.h"
#include "pipeline/waiting.h"
#include "rating/catalog.h"

namespace tollbook {

struct SealOptions {
  int threads = 0;  // 0: as many as the machine has cores
  // Books usage dated up to this day (in each subscription's zone), and what is due by the calendar. None: all usage,
  // and fees up to the furthest day that a seal before it named.
  std::optional<Day> through;
  // Who has it book into soft-closed periods too, and why; both or neither.
  std::string adjusted_by = {};
  std::string adjusted_why = {};
  // The batch that is taken back by reference, by whom and why; what it should have booked is booked anew.
  std::optional<ReversalOrder> reversal = {};
  std::string account = {};  // of the operating system, that has it done
};

struct SealReport {
  uint64_t seal = 0;                 // its number; 0 when there was nothing to book
  uint64_t subjects = 0;             // that have usage, or owe something without
  uint64_t charges = 0;              // rated: subscription, charge and billing period
  uint64_t differences = 0;          // booked
  uint64_t unattributed_events = 0;  // in the book; no subscription of theirs is valid on their day
  uint64_t trial_events = 0;         // in the book; of days of a trial, which cost nothing
  uint64_t unpriced_events = 0;      // in the book; the plan has no charge for them; once for each meter that has them
  std::vector<std::string>
      not_rated;  // subjects whose total or worth is beyond any number we hold: why; what is booked for them stays
  std::vector<JournalBatch> batches;
  std::vector<HeldBatch> held;         // of them: `post` passes them over until somebody approves them
  std::vector<WaitingAmount> waiting;  // differences without a rule or an accounting period; never booked in part
};

// A second seal of the same totals and catalog books nothing.
// Errors: the book's; of a reversal those of Reversal::Make; PermissionDenied when it would adjust a soft-closed period
// and the catalog lets others do that; FailedPrecondition when a meter is defined otherwise than
// the totals in the book were made, or an accounting period has other days than when its state was changed.
[[nodiscard]] absl::StatusOr<SealReport> Seal(Book& book, const Catalog& catalog, const SealOptions& options);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_SEAL_H_
