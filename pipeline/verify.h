// Verify: the laws, against the store of a live book. Reconcile: the same numbers as they pass from the sources to the
// journal.
#ifndef TOLLBOOK_PIPELINE_VERIFY_H_
#define TOLLBOOK_PIPELINE_VERIFY_H_

#include <string>
#include <utility>
#include <vector>

#include "ledger/anchor.h"
#include "ledger/book.h"
#include "rating/catalog.h"

namespace tollbook {

// How many corrections have been applied: each changed usage that had been accepted before.
[[nodiscard]] absl::StatusOr<uint64_t> AppliedCorrections(const Book& book);

// What the book says otherwise than it is found anew.
struct Unlike {
  std::string of;            // the subscription of a charge, the subject of a total
  std::string what;          // "starter calls": plan and charge; "api.calls region=eu": meter and dimension values
  std::string when;          // the billing period; the total's day, or where it begins
  std::string anew, stored;  // "0.70 USD", "7 in 1 event"
};

struct LawCheck {
  int law = 0;       // of docs/laws.md; 0: the store itself
  std::string name;  // "booked = worth"
  bool holds = false;
  std::string detail;               // what was compared, or the first thing that differs
  std::vector<Unlike> unlike = {};  // all that differ, where they were asked for
  // Of law 3, which leaves them out as the seal did: subjects whose worth cannot be held, each with why and what to do.
  std::vector<std::string> not_rated = {};
  // Of what was absorbed again: sources that are not there any more as they were absorbed, each with why.
  std::vector<std::pair<std::string, std::string>> not_there = {};
};

struct VerifyDepth {
  bool every_charge = false;         // all that is booked otherwise than it is worth, not only the first
  const Catalog* catalog = nullptr;  // by which it is worth that; null: the newest seal's
};

// Checks every law that the store can show: 0 the store's checksums and its chain of commits; 1 every line accounted
// for; 2 counted once; 3 booked = worth as of the newest seal, but for what waited for its accounting period; 4
// balanced, and lines equal to the differences behind them; 8, once a period was changed, closed ones take nothing.
[[nodiscard]] std::vector<LawCheck> Verify(const Book& book, int threads, const VerifyDepth& depth = {});

// The audit log alone: every commit with what it stored, by SHA-256, against each of the anchors (ledger/anchor.h); the
// first row names the anchor of the newest commit.
[[nodiscard]] std::vector<LawCheck> VerifyAudit(const Book& book, const std::vector<Anchor>& anchors);

// One step of the way from the sources to the journal.
struct ReconcileRow {
  std::string step;              // "lines of the sources"
  std::string entity, currency;  // empty: counts
  std::string left, right;       // what should be equal, as text
  std::string what;              // "sources = book"
  bool equal = false;
  std::string period = {};     // the accounting period: of a batch, or of worth and booked the usage date's; empty: all
  std::string explained = {};  // what of a delivered amount is not there yet, and why
};

// Lines, events, worth, booked amounts and the journal, amounts by accounting period; of entities that sell what others
// deliver, what each pair has booked between them, with what waits at either; then, of a book that delivers,
// what was sealed against what each target of the newest seal's catalog has: equal when all that it has not is
// explained (waits, held for approval, parked, superseded). What may or may not have arrived explains nothing, nor does
// what the target holds otherwise. Once some of it is reconciled with a target, what that confirmed against what of it
// is.
[[nodiscard]] absl::StatusOr<std::vector<ReconcileRow>> Reconcile(const Book& book, int threads);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_VERIFY_H_
