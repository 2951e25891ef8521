// BookEvent: what the chain of commits tells whoever asked for it, beside batches and usage.
//
//   journal.posted    a target confirmed a batch
//   journal.failed    a batch is parked: a person must act
//   exception.raised  an epoch kept lines that it could not accept
//   period.closed     somebody closed an accounting period
//
// Events are made of commits, which are there for ever: they are not lost between a change and the telling of it, and
// come out the same each time.
#ifndef TOLLBOOK_PIPELINE_EMIT_BOOK_EVENT_H_
#define TOLLBOOK_PIPELINE_EMIT_BOOK_EVENT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ledger/book.h"
#include "ledger/journal.h"
#include "pipeline/targets.h"

namespace tollbook {

struct BookEvent {
  uint64_t commit = 0;
  std::string type;         // "journal.posted"
  std::string subject;      // the batch, or entity and period, or "commit 7"
  std::string data;         // a JSON object
  std::string entity = {};  // whose it is; empty: nobody's
  std::string accounting_period = {};
  friend bool operator==(const BookEvent&, const BookEvent&) = default;
};

// Those of commits after `after`, in their order, that the target asked for: of its entities, from its first period on,
// and of batches that other targets confirmed or refused.
[[nodiscard]] absl::StatusOr<std::vector<BookEvent>> EventsOf(
    const Book& book, const Target& target, const std::map<std::string, JournalBatch, std::less<>>& batches,
    uint64_t after);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_BOOK_EVENT_H_
