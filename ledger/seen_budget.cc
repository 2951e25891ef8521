#include "ledger/seen_budget.h"

#include <algorithm>
#include <numeric>

namespace tollbook {

std::vector<SeenSize> SizesOf(std::span<const SeenShard> shards) {
  std::vector<SeenSize> sizes;
  for (const SeenShard& shard : shards) sizes.push_back(shard.size());
  return sizes;
}

uint64_t SeenBudget::HotEntriesMax(std::span<const SeenSize> shards) const {
  uint64_t cold_bytes = 0;
  for (const SeenSize& shard : shards) cold_bytes += shard.runs_bytes;
  const uint64_t hot_bytes = std::max(bytes_ - std::min(bytes_, cold_bytes), bytes_ / 4);
  return hot_bytes / kBytesPerHotEntry;
}

std::vector<int> SeenBudget::Due(std::span<const SeenSize> shards, uint64_t sequence) const {
  constexpr int kLateAtOnce = 2;
  uint64_t hot = 0;
  for (const SeenSize& shard : shards) hot += shard.hot_entries;
  const uint64_t most = HotEntriesMax(shards);
  std::vector<int> due;
  std::vector<int> oldest_first(shards.size());
  std::iota(oldest_first.begin(), oldest_first.end(), 0);
  std::stable_sort(oldest_first.begin(), oldest_first.end(),
                   [&](int a, int b) { return shards[a].spilled_through < shards[b].spilled_through; });
  for (const int shard : oldest_first) {
    const bool late = sequence - shards[shard].spilled_through > log_commits_max_;
    if (hot <= most && !(late && due.size() < kLateAtOnce)) break;
    hot -= shards[shard].hot_entries;
    due.push_back(shard);
  }
  std::sort(due.begin(), due.end());
  return due;
}

}  // namespace tollbook
