// SeenShard: exact dedup of one shard: the newest seen entries in memory (hot), the others in cold runs on disk.
//
// An epoch goes through a shard in three steps, so that neither memory nor disk is waited for one event at a time:
//   Ask      every identity, in input order, is held against the runs' filters; the pages of those that pass are read
//            when they are in memory, and else asked of the disk
//   Answer   waits for the pages
//   Insert   every identity again, in the same order: known to a run, or to the hot set, or fresh
// Without runs Ask and Answer do nothing. The runs do not change meanwhile.
//
// What is in the hot set is not in a run, and an identity is in one run at most: Insert puts an entry into the hot set
// only when no run has it.
#ifndef TOLLBOOK_LEDGER_SEEN_SHARD_H_
#define TOLLBOOK_LEDGER_SEEN_SHARD_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "ledger/seen_run.h"
#include "ledger/seen_set.h"
#include "rating/error.h"

namespace tollbook {

// What a shard takes of memory, or will when it is loaded.
struct SeenSize {
  uint64_t hot_entries = 0;
  uint64_t runs_bytes = 0;
  uint64_t spilled_through = 0;  // the commit up to which all is in the runs
  friend bool operator==(const SeenSize&, const SeenSize&) = default;
};

class SeenShard {
 public:
  // `Item` has a SeenEntry `entry`.
  template <typename Item>
  absl::Status Ask(std::span<const Item> items) {
    if (runs_.empty()) return absl::OkStatus();
    if (answered_) ForgetAnswers();
    for (size_t i = 0; i < items.size(); ++i) {
      if (i + kAhead < items.size()) {
        for (const auto& run : runs_) run->Prefetch(items[i + kAhead].entry);
      }
      for (const auto& run : runs_) {
        if (run->MayHave(items[i].entry)) TOLLBOOK_RETURN_IF_ERROR(Suspect(*run, items[i].entry));
      }
      ++asked_;
    }
    return absl::OkStatus();
  }
  absl::Status Answer();

  // `date`: of the usage.
  Seen Insert(const SeenEntry& entry, Day date = kLatestUnknown) {
    if (next_known_ < known_.size()) {
      if (known_[next_known_].ordinal == inserted_++) {
        return known_[next_known_++].content == ContentOf(entry) ? Seen::kDuplicate : Seen::kConflict;
      }
    }
    const Seen answer = hot_.Insert(entry);
    if (answer == Seen::kFresh) latest_fresh_ = std::max(latest_fresh_, date);
    return answer;
  }
  void Prefetch(const SeenEntry& entry) const { hot_.Prefetch(entry); }

  // For the few that are looked at one by one, between epochs: the content kept for the entry's identity, waiting for
  // the disk; and remembering one that Find did not find.
  absl::StatusOr<std::optional<uint64_t>> Find(const SeenEntry& entry) const;
  void InsertFresh(const SeenEntry& entry, Day date = kLatestUnknown) {
    const Seen answer = hot_.Insert(entry);
    TOLLBOOK_ASSERT(answer == Seen::kFresh);
    latest_fresh_ = std::max(latest_fresh_, date);
  }

  const SeenSet& hot() const { return hot_; }
  SeenSet* mutable_hot() { return &hot_; }
  void MarkCommitted() {
    hot_.MarkCommitted();
    latest_committed_ = std::max(latest_committed_, std::exchange(latest_fresh_, kNoUsage));
  }
  // The latest usage date of what is hot and not committed yet, and of all that is hot.
  Day latest_fresh() const { return latest_fresh_; }
  Day latest_hot() const { return std::max(latest_committed_, latest_fresh_); }
  // That of what was loaded into mutable_hot().
  void LoadedThrough(Day latest) { latest_committed_ = std::max(latest_committed_, latest); }

  const std::vector<std::shared_ptr<const SeenRun>>& runs() const { return runs_; }
  size_t runs_in_memory_bytes() const;
  // The commit up to which all is in the runs.
  uint64_t spilled_through() const { return spilled_through_; }
  SeenSize size() const { return {hot_.size(), runs_in_memory_bytes(), spilled_through_}; }

  // As the book has it: the runs, oldest first, hold all that commits through `spilled_through` brought.
  void SetRuns(std::vector<std::shared_ptr<const SeenRun>> runs, uint64_t spilled_through) {
    runs_ = std::move(runs);
    spilled_through_ = spilled_through;
  }
  // The hot set went into the runs, and that is durable.
  void Spilled(std::vector<std::shared_ptr<const SeenRun>> runs, uint64_t spilled_through) {
    SetRuns(std::move(runs), spilled_through);
    hot_ = SeenSet();
    latest_committed_ = latest_fresh_ = kNoUsage;
  }

 private:
  static constexpr size_t kAhead = 8;  // a filter line from each run: enough to hide the memory's latency

  absl::Status Suspect(const SeenRun& run, const SeenEntry& entry);
  void ForgetAnswers();

  struct Known {
    uint64_t ordinal = 0;  // of the identities asked about since the last epoch
    uint64_t content = 0;
  };
  struct Waiting {
    uint64_t ordinal = 0;
    const SeenRun* run = nullptr;
    SeenEntry entry;
  };

  SeenSet hot_;
  std::vector<std::shared_ptr<const SeenRun>> runs_;
  uint64_t spilled_through_ = 0;
  Day latest_committed_ = kNoUsage;
  Day latest_fresh_ = kNoUsage;

  std::vector<Known> known_;  // by ordinal, once answered
  std::vector<Waiting> waiting_;
  uint64_t asked_ = 0;
  uint64_t inserted_ = 0;
  size_t next_known_ = 0;
  bool answered_ = false;
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_SEEN_SHARD_H_
