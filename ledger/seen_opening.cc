#include "ledger/seen_opening.h"

#include <numeric>

namespace tollbook {
namespace {

uint64_t HotEntries(std::span<const SeenSize> sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), uint64_t{0},
                         [](uint64_t sum, const SeenSize& size) { return sum + size.hot_entries; });
}

// Of the shards that are due the first, as many as may be in memory at once; one at least. Their runs count too: until
// the commit is made, a merge has the filters of both the old runs and the new one.
std::vector<int> FirstDue(const Book& book, const SeenBudget& budget, std::span<const SeenSize> sizes) {
  const uint64_t most = budget.HotEntriesMax(sizes) * SeenBudget::kBytesPerHotEntry;
  std::vector<int> first;
  uint64_t bytes = 0;
  for (const int shard : budget.Due(sizes, book.last_sequence() + 1)) {
    if (sizes[shard].hot_entries == 0) continue;
    bytes += sizes[shard].hot_entries * SeenBudget::kBytesPerHotEntry + sizes[shard].runs_bytes;
    if (!first.empty() && bytes > most) break;
    first.push_back(shard);
  }
  return first;
}

absl::Status Load(const Book& book, std::span<const int> numbers, const ForEachShard& for_each,
                  std::vector<SeenShard>* shards) {
  std::vector<absl::Status> loaded(shards->size());
  for_each(numbers, [&](int shard) { loaded[shard] = book.LoadSeen(shard, &(*shards)[shard]); });
  for (const absl::Status& status : loaded) TOLLBOOK_RETURN_IF_ERROR(status);
  return absl::OkStatus();
}

}  // namespace

absl::Status OpenSeen(Book& book, const SeenBudget& budget, const ForEachShard& for_each,
                      std::vector<SeenShard>* shards, int span_days) {
  TOLLBOOK_ASSERT(shards->size() == kSeenShards);
  std::vector<bool> spilled(shards->size());
  for (;;) {
    const std::vector<SeenSize> sizes = book.SeenSizes();
    if (HotEntries(sizes) <= budget.HotEntriesMax(sizes)) break;
    const std::vector<int> due = FirstDue(book, budget, sizes);
    TOLLBOOK_RETURN_IF_ERROR(Load(book, due, for_each, shards));
    EpochCommit nothing_new;
    nothing_new.seen_span_days = span_days;
    for (const int shard : due) {
      nothing_new.spills.emplace_back(shard, &(*shards)[shard]);
      spilled[shard] = true;
    }
    TOLLBOOK_RETURN_IF_ERROR(book.CommitEpoch(nothing_new));
  }
  std::vector<int> left;
  for (int shard = 0; shard < kSeenShards; ++shard) {
    if (!spilled[shard]) left.push_back(shard);
  }
  return Load(book, left, for_each, shards);
}

}  // namespace tollbook
