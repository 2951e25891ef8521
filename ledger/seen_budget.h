// SeenBudget: which shards' hot sets go to disk with the next commit, so that seen entries stay within a share of
// memory.
//
// Arithmetic  a hot entry counts 32 bytes (20, and 4 a slot of an index at least a third full), so that an index that
//             doubles does not come as a surprise; room that was never written is no memory. An entry in a run counts
//             2.1 (filter 2, index 0.07). A quarter of the share is the hot sets' in any case: a book of more than 0.36
//             events a byte outgrows its share by its filters.
// Order       the shard that spilled longest ago comes next, so each spills when it is about twice as full as the
//             average, a few an epoch and never all, and what the log still holds of each epoch goes soon.
// Log         a stream of a few events a commit would never fill memory, and its log would have a block of the disk for
//             each commit. So a shard that has not spilled for 4096 commits does, two a commit at most.
#ifndef TOLLBOOK_LEDGER_SEEN_BUDGET_H_
#define TOLLBOOK_LEDGER_SEEN_BUDGET_H_

#include <cstdint>
#include <span>
#include <vector>

#include "ledger/seen_shard.h"

namespace tollbook {

std::vector<SeenSize> SizesOf(std::span<const SeenShard> shards);

class SeenBudget {
 public:
  static constexpr uint64_t kBytesPerHotEntry = 32;

  explicit SeenBudget(uint64_t bytes, uint64_t log_commits_max = 4096)
      : bytes_(bytes), log_commits_max_(log_commits_max) {}
  uint64_t HotEntriesMax(std::span<const SeenSize> shards) const;
  uint64_t HotEntriesMax(std::span<const SeenShard> shards) const { return HotEntriesMax(SizesOf(shards)); }
  // For the commit with this sequence; in the order of their numbers.
  std::vector<int> Due(std::span<const SeenSize> shards, uint64_t sequence) const;
  std::vector<int> Due(std::span<const SeenShard> shards, uint64_t sequence) const {
    return Due(SizesOf(shards), sequence);
  }

 private:
  const uint64_t bytes_;
  const uint64_t log_commits_max_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_SEEN_BUDGET_H_
