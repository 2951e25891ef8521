// Approval: which batches of a seal a named person must approve before they are delivered, and the decisions.
//
// A held batch is in the journal like any other: what is booked does not depend on it. Only `post` passes it over.
#ifndef TOLLBOOK_PIPELINE_APPROVAL_H_
#define TOLLBOOK_PIPELINE_APPROVAL_H_

#include <span>
#include <string>
#include <vector>

#include "ledger/book.h"
#include "ledger/decision.h"
#include "rating/catalog.h"

namespace tollbook {

// Those of a seal's batches that the policies of their entities hold, and why. The parts of a batch that was cut are
// held together. `book`: as it is before the seal.
[[nodiscard]] absl::StatusOr<std::vector<HeldBatch>> HeldForApproval(const Book& book, const Catalog& catalog,
                                                                     std::span<const JournalBatch> batches);

struct ApprovalOrder {
  std::string batch;  // its id
  bool approves = true;
  std::string by;
  std::string why;
  std::string account = {};  // of the operating system, that gives the order
};

// What was committed. InvalidArgument: nobody is named, or no reason is given. NotFound: no such batch.
// PermissionDenied: the catalog lets others decide it. FailedPrecondition: nobody has to approve it, or that is done:
// an approved batch may be on its way.
[[nodiscard]] absl::StatusOr<Decision> DecideApproval(Book& book, const Catalog& catalog, const ApprovalOrder& order);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APPROVAL_H_
