// Audit: what was decided about a book, and what it then booked, commit by commit: the part of the chain that an
// auditor reads. The chain itself is checked by Book::CheckStore.
#ifndef TOLLBOOK_PIPELINE_AUDIT_H_
#define TOLLBOOK_PIPELINE_AUDIT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "ledger/book.h"

namespace tollbook {

struct AuditRow {
  uint64_t commit = 0;
  int64_t at_nanos = 0;
  std::string what;    // "catalog", "seal", "adjusting seal", "reversal", "period", "approval", "delivery", "purge",
                       // "retry", "corrections", "correction", "void", "restore"
  std::string which;   // the command that read the catalog, "seal 3", "acme-us 2025-01", a batch, a target and a batch,
                       // the source and id of an event that was corrected or voided
  std::string by;      // who, where a person was named; of catalogs, seals, retries, restores, and of deliveries that
                       // `post` made, whose account ran the command
  std::string why;     // likewise; of catalogs where it is from, of corrections their id, file and line
  std::string before;  // of corrections type, subject, time and data, as they counted and as they count instead
  std::string after;
};

struct AuditLog {
  std::vector<AuditRow> rows;  // in the order of commits
  uint64_t commits = 0;        // of the chain, absorbed usage included
  std::string chain_hash;      // of the newest: kept elsewhere, it vouches for all before it
};

// Of the corrections that one commit applied at most so many have a row of their own, in the order in which they were
// applied; a last row says how many more there are. Memory grows with the rows.
[[nodiscard]] absl::StatusOr<AuditLog> Audit(const Book& book, size_t corrections_of_commit = SIZE_MAX);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_AUDIT_H_
