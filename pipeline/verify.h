// Verify: the laws, against the store of a live book. Reconcile: the same numbers as they pass from the sources to the
// journal.
#ifndef TOLLBOOK_PIPELINE_VERIFY_H_
#define TOLLBOOK_PIPELINE_VERIFY_H_

#include <string>
#include <vector>

#include "ledger/book.h"

namespace tollbook {

// How many corrections have been applied: each changed usage that had been accepted before.
[[nodiscard]] absl::StatusOr<uint64_t> AppliedCorrections(const Book& book);

struct LawCheck {
  int law = 0;       // of docs/laws.md; 0: the store itself
  std::string name;  // "booked = worth"
  bool holds = false;
  std::string detail;  // what was compared, or the first thing that differs
};

// Checks every law that the store can show: 0 the store's checksums and its chain of commits; 1 every line accounted
// for; 2 counted once; 3 booked = worth as of the newest seal, but for what waited for its accounting period; 4
// balanced, and lines equal to the differences behind them; 8, once a period was changed, closed ones take nothing.
[[nodiscard]] std::vector<LawCheck> Verify(const Book& book, int threads);

// One step of the way from the sources to the journal.
struct ReconcileRow {
  std::string step;              // "lines of the sources"
  std::string entity, currency;  // empty: counts
  std::string left, right;       // what should be equal, as text
  std::string what;              // "sources = book"
  bool equal = false;
};

[[nodiscard]] absl::StatusOr<std::vector<ReconcileRow>> Reconcile(const Book& book, int threads);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_VERIFY_H_
