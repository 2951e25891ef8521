// SeenOpening: brings a book's seen entries into memory for absorbing, within a budget.
//
// A book may have been written with more memory than there is now, so that its log holds more entries than fit. They
// are never in memory together: the shards that are due (SeenBudget) are loaded first, as many at a time as fit, and
// spilled with a commit that accepts nothing; then what is left of the log fits, and is loaded.
#ifndef TOLLBOOK_LEDGER_SEEN_OPENING_H_
#define TOLLBOOK_LEDGER_SEEN_OPENING_H_

#include <functional>
#include <span>
#include <vector>

#include "ledger/book.h"
#include "ledger/seen_budget.h"
#include "ledger/seen_shard.h"
#include "rating/error.h"

namespace tollbook {

// Calls `load` for each of the shards, side by side where there are threads to, and returns when all are done.
using ForEachShard = std::function<void(std::span<const int> shards, const std::function<void(int shard)>& load)>;

// `shards`: kSeenShards of them, empty. `span_days`: EpochCommit::seen_span_days. Errors: the book's.
absl::Status OpenSeen(Book& book, const SeenBudget& budget, const ForEachShard& for_each,
                      std::vector<SeenShard>* shards, int span_days = 0);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_SEEN_OPENING_H_
