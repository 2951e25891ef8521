#include "ledger/seen_budget.h"

#include <algorithm>
#include <numeric>

namespace tollbook {

uint64_t SeenBudget::HotEntriesMax(std::span<const SeenShard> shards) const {
  uint64_t cold_bytes = 0;
  for (const SeenShard& shard : shards) cold_bytes += shard.runs_in_memory_bytes();
  const uint64_t hot_bytes = std::max(bytes_ - std::min(bytes_, cold_bytes), bytes_ / 4);
  return hot_bytes / kBytesPerHotEntry;
}

std::vector<int> SeenBudget::Due(std::span<const SeenShard> shards, uint64_t sequence) const {
  constexpr int kLateAtOnce = 2;
  uint64_t hot = 0;
  for (const SeenShard& shard : shards) hot += shard.hot().size();
  const uint64_t most = HotEntriesMax(shards);
  std::vector<int> due;
  std::vector<int> oldest_first(shards.size());
  std::iota(oldest_first.begin(), oldest_first.end(), 0);
  std::stable_sort(oldest_first.begin(), oldest_first.end(),
                   [&](int a, int b) { return shards[a].spilled_through() < shards[b].spilled_through(); });
  for (const int shard : oldest_first) {
    const bool late = sequence - shards[shard].spilled_through() > log_commits_max_;
    if (hot <= most && !(late && due.size() < kLateAtOnce)) break;
    hot -= shards[shard].hot().size();
    due.push_back(shard);
  }
  std::sort(due.begin(), due.end());
  return due;
}

}  // namespace tollbook
