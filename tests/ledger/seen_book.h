// A book and the seen entries of its shards, as an absorb has them, and a map that says what it must answer.
#ifndef TOLLBOOK_TESTS_LEDGER_SEEN_BOOK_H_
#define TOLLBOOK_TESTS_LEDGER_SEEN_BOOK_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ledger/book.h"
#include "ledger/seen_budget.h"
#include "ledger/seen_opening.h"

namespace tollbook {

class SeenBook {
 public:
  struct Item {
    SeenEntry entry;
    Day date = kLatestUnknown;  // of the usage
  };

  explicit SeenBook(std::string directory) : directory_(std::move(directory)) {}

  // Without the shards, as a command that absorbs nothing has it.
  void OpenBook() {
    Close();
    BookOptions options;
    options.directory = directory_;
    options.create = true;
    options.identity = {kFormatVersion, "demo", "UTC", {1, 2}};
    absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(options);
    ASSERT_TRUE(book.ok()) << book.status();
    book_ = *std::move(book);
  }
  void Open(const SeenBudget& budget, int span_days = 0) {
    OpenBook();
    shards_.resize(kSeenShards);
    hot_while_opening_ = 0;
    const auto load = [&](std::span<const int> shards, const std::function<void(int)>& load_shard) {
      for (const int shard : shards) load_shard(shard);
      hot_while_opening_ = std::max(hot_while_opening_, hot());
    };
    const absl::Status opened = OpenSeen(*book_, budget, load, &shards_, span_days);
    ASSERT_TRUE(opened.ok()) << opened;
    ASSERT_LE(hot(), budget.HotEntriesMax(shards_));
    ExpectSizesAreThoseStored();
  }
  void Close() {
    shards_.clear();
    book_.reset();
  }

  // One epoch, in several blocks; each answer is the map's. `epoch`: what it has beside these events.
  void Absorb(const std::vector<Item>& events, const SeenBudget& budget, EpochCommit epoch = {}) {
    std::vector<std::vector<Item>> by_shard(kSeenShards);
    for (const Item& event : events) by_shard[SeenShardOf(event.entry)].push_back(event);
    for (int shard = 0; shard < kSeenShards; ++shard) AbsorbShard(by_shard[shard], &shards_[shard], &epoch);
    const uint64_t hot_max = budget.HotEntriesMax(shards_);
    const std::vector<int> due = budget.Due(shards_, book_->last_sequence() + 1);
    for (const int shard : due) epoch.spills.emplace_back(shard, &shards_[shard]);
    for (int shard = 0; shard < kSeenShards; ++shard) {
      const SeenShard& seen = shards_[shard];
      if (!std::binary_search(due.begin(), due.end(), shard))
        epoch.seen.push_back({shard, seen.hot().uncommitted(), seen.latest_fresh()});
    }
    const absl::Status committed = book_->CommitEpoch(epoch);
    ASSERT_TRUE(committed.ok()) << committed;
    for (SeenShard& shard : shards_) shard.MarkCommitted();
    EXPECT_LE(hot(), hot_max);
    spills_ += due.size();
  }

  Book& book() const { return *book_; }
  const std::vector<SeenShard>& shards() const { return shards_; }
  size_t spills() const { return spills_; }
  size_t events() const { return first_.size(); }
  uint64_t hot_while_opening() const { return hot_while_opening_; }
  size_t runs_max() const {
    size_t most = 0;
    for (const SeenShard& shard : shards_) most = std::max(most, shard.runs().size());
    return most;
  }
  uint64_t hot() const {
    uint64_t entries = 0;
    for (const SeenShard& shard : shards_) entries += shard.hot().size();
    return entries;
  }

 private:
  void ExpectSizesAreThoseStored() const {
    const std::vector<SeenSize> stored = book_->SeenSizes();
    ASSERT_EQ(stored.size(), shards_.size());
    for (size_t shard = 0; shard < shards_.size(); ++shard) EXPECT_EQ(stored[shard], shards_[shard].size()) << shard;
  }
  void AbsorbShard(const std::vector<Item>& items, SeenShard* shard, EpochCommit* epoch) {
    const std::span<const Item> all = items;
    const size_t cut = all.size() / 3;
    ASSERT_TRUE(shard->Ask(all.first(cut)).ok());
    ASSERT_TRUE(shard->Ask(all.subspan(cut)).ok());
    ASSERT_TRUE(shard->Answer().ok());
    for (const Item& item : items) {
      const auto [known, fresh] = first_.try_emplace(KeyOf(item.entry), ContentOf(item.entry));
      const Seen expected = fresh                                    ? Seen::kFresh
                            : known->second == ContentOf(item.entry) ? Seen::kDuplicate
                                                                     : Seen::kConflict;
      ASSERT_EQ(shard->Insert(item.entry, item.date), expected);
      ++epoch->delta.lines;
      ++(expected == Seen::kFresh       ? epoch->delta.accepted
         : expected == Seen::kDuplicate ? epoch->delta.duplicate
                                        : epoch->delta.conflict);
    }
  }

  const std::string directory_;
  uint64_t hot_while_opening_ = 0;
  std::unique_ptr<Book> book_;
  std::vector<SeenShard> shards_;
  std::map<Uint128, uint64_t> first_;
  size_t spills_ = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_TESTS_LEDGER_SEEN_BOOK_H_
