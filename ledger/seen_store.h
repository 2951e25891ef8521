// SeenStore: the seen entries of a book on disk: which commits' entries lie where, and which runs each shard has.
//
//   log    what an epoch accepted, by shard (SeenPart), in stretches of a few shards; read again only by the next Load; a
//          stretch is freed when all of its shards have spilled
//   runs   what left a shard's hot set (SeenRun); the entries of a commit that spills a shard go to its run at once
//
// The bytes are in SeenFiles, the places in RocksDB's family `seen`, put and deleted in the same write as the commit
// itself. So a commit is one atomic step, spills and merges included. FORMAT.md has the keys.
//
// Merging   when a shard spills, its newest runs are merged into the new one as far back as what comes after a run is
//           2.5 times as large as it: of equal spills four become one, four of those again. A shard of n entries in
//           spills of s has at most 3 log4(n/s) + 1 runs, and each entry was written log4(n/s) + 1 times.
// Spans     Where entries are to be forgotten one day, those of old usage must not be in a run with those of new. Then
//           only runs of one span of days are merged (by the latest usage date of each), and when a shard's first run
//           of a new span is written, its runs of each span before become one: one more write of an entry, and one run
//           for each span that is over. Runs whose date was not kept are a span of their own.
// Log       shards spill by turns, and between two of its spills as many entries come to a book as memory holds twice: so
//           old would the log of an epoch get if it were freed as a whole, and so large. In sixteen stretches the log is
//           about as large as what memory holds (seen_store_test).
// Threads   Prepare, Committed and Load from one thread at a time, except that Load may run for several shards at once.
#ifndef TOLLBOOK_LEDGER_SEEN_STORE_H_
#define TOLLBOOK_LEDGER_SEEN_STORE_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ledger/seen_entry.h"
#include "ledger/seen_files.h"
#include "ledger/seen_run.h"
#include "ledger/seen_shard.h"
#include "ledger/store.h"
#include "rating/error.h"

namespace tollbook {

struct FreshSeen;  // book.h
using SeenByShard = std::span<const FreshSeen* const>;
using SeenSpills = std::vector<std::pair<int, SeenShard*>>;

// Entries of one latest usage date.
struct SeenKept {
  uint64_t entries = 0;
  uint64_t bytes = 0;
};
struct SeenForgotten {
  SeenSum sum;
  uint64_t bytes = 0;
};

// How many of a shard's runs, sizes oldest first, are merged with a spill of `spilled` entries: the newest so many.
size_t RunsToMerge(std::span<const uint64_t> sizes, uint64_t spilled);

// In the order of their identities.
std::vector<SeenEntry> SortedByKey(std::span<const SeenEntry> entries);

class SeenStore {
 public:
  // A commit's log is about so many stretches, but a stretch so long at least. Fewer: the log is larger. More: more
  // records, and more waste for whole blocks.
  static constexpr uint64_t kLogStretches = 16;
  static constexpr uint64_t kLogStretchBytesMin = 32 << 10;

  SeenStore(const Store& store, const std::string& book_directory);

  // Reads where everything is. DataLoss when files of it are missing or too short.
  absl::Status Open();

  // What each shard will take of memory. Reads nothing.
  std::vector<SeenSize> Sizes() const;
  // Everything of a shard: its hot set and runs. Or all of it in memory.
  absl::Status Load(int shard, SeenShard* into) const;
  absl::Status Load(int shard, SeenSet* into) const;

  // Writes and syncs the bytes of a commit, and puts into `write` what refers to them. `seen` and the fresh entries of
  // the spilled shards are what the commit accepted; `sum` says so.
  absl::Status Prepare(uint64_t sequence, SeenByShard seen, const SeenSpills& spills, int span_days, StoreWrite* write,
                       SeenSum* sum);
  // The same of a commit that forgets: every run and stretch of the log whose latest usage date is before the day,
  // after all of it was read and is what was written. What goes, and its bytes on disk. Shards that were loaded before
  // must not be committed afterwards: they know what is gone.
  absl::Status PrepareForgetting(Day before, StoreWrite* write, SeenForgotten* forgotten);
  // That commit is acknowledged: frees what it replaced, and tells the spilled shards.
  void Committed();

  // What is there, by latest usage date: entries and bytes on disk. What the log has besides of entries that are in a
  // run is in the bytes alone.
  std::map<Day, SeenKept> Kept() const;
  // Gives back what a crash after Prepare… has left, though nothing is written.
  absl::Status Reclaim();

  // The files that a copy needs, and how much of each. From then on nothing of them is given back, until ReleaseFiles.
  struct Extent {
    std::string name;  // in the book's directory: "seen/3.log"
    uint64_t bytes = 0;
  };
  std::vector<Extent> HoldFiles();
  void ReleaseFiles();

  // Reads everything back. `sum`: what all commits accepted.
  absl::Status Check(const SeenSum& sum) const;

 private:
  // A part of an epoch's entries.
  struct LogPart {
    uint8_t shard = 0;
    uint32_t entries = 0;
    uint32_t bytes = 0;
    uint64_t checksum = 0;        // XXH3-64 of its bytes
    Day latest = kLatestUnknown;  // usage date of its entries
  };
  struct LogStretch {
    bool is_plain = false;  // by a program of before there was SeenPart: 20 bytes each, under a key of their own
    SeenPlace place;
    std::vector<LogPart> parts;  // by shard, as they lie
  };
  // The commit, and which of its stretches.
  using LogName = std::pair<uint64_t, uint32_t>;
  using Runs = std::vector<SeenRunRecord>;  // by number: oldest first

  static std::string LogKeyOf(const LogName& name, const LogStretch& stretch);
  static std::string Encode(const LogStretch& stretch);
  absl::StatusOr<LogStretch> DecodeLogStretch(std::string_view stored, bool is_plain) const;
  absl::Status ReadFloors();
  absl::Status ReadLog(bool is_plain);
  absl::Status ReadRuns();
  absl::Status OpenFiles();
  absl::Status Damaged(std::string_view which) const;

  absl::Status AppendLog(uint64_t sequence, SeenByShard seen, StoreWrite* write, SeenSum* sum);
  absl::Status EndLogStretch(uint64_t sequence, LogStretch stretch, StoreWrite* write);
  // Of the shard, what is in none of its runs.
  using VisitPart = std::function<absl::Status(const LogName&, const SeenPlace&, const LogPart&)>;
  absl::Status ForEachLogPart(int shard, const VisitPart& visit) const;
  absl::Status Spill(int shard, SeenShard* from, int span_days, StoreWrite* write, SeenSum* sum);
  // Sorted entries and runs become one run, which takes the place of those runs among `all`.
  struct Merging {
    int shard = 0;
    std::vector<std::shared_ptr<const SeenRun>> all;
    std::vector<SeenPlace> freed;
  };
  absl::Status Merge(std::span<const SeenEntry> sorted, Day latest,
                     std::span<const std::shared_ptr<const SeenRun>> merged, Merging* shard, StoreWrite* write);
  void PutFloors(uint64_t sequence, const SeenSpills& spills, StoreWrite* write);
  void DropCoveredLog(StoreWrite* write);
  absl::StatusOr<std::shared_ptr<const SeenRun>> WriteRun(std::span<const SeenEntry> sorted,
                                                          std::span<const std::shared_ptr<const SeenRun>> merged,
                                                          uint64_t number, Day latest);

  // The entries of a shard, with their checks made: what the log has for the hot set, and a run.
  using Visit = std::function<absl::Status(std::span<const SeenEntry>)>;
  absl::Status ReadPart(const LogName& name, const SeenPlace& place, const LogPart& part,
                        std::vector<SeenEntry>* entries) const;
  absl::Status VisitHot(int shard, const Visit& visit) const;
  absl::Status VisitRun(int shard, const SeenRunRecord& record, const Visit& visit) const;
  absl::Status LoadHot(int shard, SeenSet* into) const;
  Day LatestHot(int shard) const;
  bool IsForgettable(const LogName& name, const LogStretch& stretch, Day before) const;
  absl::Status ForgetRuns(Day before, StoreWrite* write, SeenForgotten* forgotten);
  absl::Status ForgetLog(Day before, StoreWrite* write, SeenForgotten* forgotten);
  absl::Status CheckKeys() const;

  const Store& store_;
  const std::string directory_;
  SeenFiles log_files_;
  SeenFiles run_files_;

  std::map<LogName, LogStretch> log_;
  std::array<Runs, kSeenShards> runs_;          // by shard
  std::array<uint64_t, kSeenShards> floors_{};  // the shard's entries of commits through this one are in its runs

  // Of the commit under way.
  struct Pending {
    uint64_t sequence = 0;
    std::vector<std::pair<LogName, LogStretch>> log;
    std::array<uint64_t, kSeenShards> floors{};
    std::vector<LogName> log_freed;  // all of it is in runs, or forgotten
    struct Spilled {
      SeenShard* from = nullptr;
      Merging runs;
    };
    std::vector<Spilled> spilled;
    std::vector<std::pair<int, uint64_t>> forgotten;  // runs: shard, number
  };
  Pending pending_;

  // While files are held: what is freed when they no longer are.
  void Free(SeenFiles* files, const SeenPlace& place);
  bool holding_ = false;
  std::vector<std::pair<SeenFiles*, SeenPlace>> held_back_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_SEEN_STORE_H_
