// Book: what has been accepted and what has been booked, durably. The only user of RocksDB.
//
// Two transactions change it, each ONE synced RocksDB write: CommitEpoch (seen keys, total deltas, exceptions, source
// positions) and CommitSeal (journal batches, differences, catalog). A third, CommitPeriodChange, keeps what people
// decide about an accounting period. When one returns ok, its effect survives kill -9 and power loss. When it does not,
// the book must be opened again, and has then all of it or nothing of it: the source positions, next_seal() and
// PeriodChanges() say which.
//
// Threads   Commit*, counts, last_sequence and next_seal from one thread at a time. SeenSizes, LoadSeen and CheckStore
//           not beside a commit, which moves what they read; LoadSeen for several shards at once. The other reads from
//           any thread, also beside a commit: they see the commits that had returned, and perhaps the one under way.
// Errors    Unavailable: the disk (full, unreadable): make space, run the same command again. DataLoss: bytes are not
//           what was written; the book is refused as it is. Aborted: another process has the book open.
//           FailedPrecondition: a newer tollbook made it, or its name, zone or a meter would change.
#ifndef TOLLBOOK_LEDGER_BOOK_H_
#define TOLLBOOK_LEDGER_BOOK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ledger/journal.h"
#include "ledger/period_change.h"
#include "ledger/records.h"
#include "ledger/seen_set.h"
#include "ledger/seen_shard.h"
#include "ledger/totals_run.h"
#include "rating/error.h"
#include "rating/meter.h"

namespace tollbook {

struct BookOptions {
  std::string directory;
  bool create = false;  // make the book when the directory has none
  // For a new book: name, zone, seed. For one that is there: a non-empty name and zone must be its own.
  BookIdentity identity;
  std::string holder;                            // who has it open, for the message to a second process
  std::function<int64_t()> now_nanos = nullptr;  // the clock of commit times; null: 0
};

struct ShardRun {
  int shard = 0;
  std::string bytes;
};

struct ExceptionChunk {
  bool held = false;
  std::string bytes;         // Encode(std::vector<ExceptionRecord>)
  bool corrections = false;  // held ones (IsHeldCorrection): retired apart from the others
};

// What an epoch accepted of one dedup shard.
struct FreshSeen {
  int shard = 0;
  std::span<const SeenEntry> entries;
  Day latest = kLatestUnknown;  // usage date
};

// One epoch. `seen` and `spills` borrow until CommitEpoch returns. A shard is in one of them at most, once, in any
// order.
struct EpochCommit {
  LineCounts delta;
  std::vector<CoveredRange> covered;
  std::vector<FreshSeen> seen;
  // Shards whose hot set leaves memory with this commit, the entries that are new in it included. When the commit is
  // made, they are as after LoadSeen; when it fails, as before.
  std::vector<std::pair<int, SeenShard*>> spills;
  // Where keys are to be forgotten one day (cut_off.h): runs whose latest usage dates are in different spans of so many
  // days are not merged, so that the old ones can go. 0: all are.
  int seen_span_days = 0;
  std::vector<ShardRun> totals;
  std::vector<ExceptionChunk> exceptions;
  std::vector<SourceRecord> sources;  // new or changed
  std::vector<Meter> new_meters;      // whose definitions are fixed from now on
  bool retires_held = false;         // a retry: what was held before this epoch is replaced by this epoch's held chunks
  bool retires_corrections = false;  // likewise the held corrections, by this epoch's
  // Those that this epoch applies, with all of their payload: Encode(std::vector<ExceptionRecord>); empty: none. Each
  // brings two seen keys, its own and the claim on the event that it corrects.
  std::string corrections;
};

struct SealCommit {
  SealRecord record;  // `number` is next_seal(); `sequence` and `batches` are filled in by CommitSeal
  std::vector<JournalBatch> batches;
  std::vector<ShardRun> differences;
  std::map<std::string, std::string> catalog_files;
};

struct StoredRun {
  uint64_t sequence = 0;  // the commit that stored it
  std::string bytes;
};

struct StoredExceptions {
  uint64_t sequence = 0;
  bool held = false;
  std::string bytes;
  bool corrections = false;  // held ones
};

class Book {
 public:
  static absl::StatusOr<std::unique_ptr<Book>> Open(const BookOptions& options);
  virtual ~Book() = default;

  virtual const BookIdentity& identity() const = 0;
  virtual const LineCounts& counts() const = 0;
  virtual uint64_t last_sequence() const = 0;
  virtual uint64_t next_seal() const = 0;  // the number that the next seal gets

  virtual absl::Status CommitEpoch(const EpochCommit& epoch) = 0;
  virtual absl::Status CommitSeal(const SealCommit& seal) = 0;
  // `sequence` is filled in. FailedPrecondition when the period does not stand at `before` by the changes so far; one
  // that has none may stand anywhere, for what it was made with is the catalog's.
  virtual absl::Status CommitPeriodChange(const PeriodChange& change) = 0;

  // Absorb's side.
  virtual std::vector<SeenSize> SeenSizes() const = 0;  // of each shard, what LoadSeen will bring into memory
  virtual absl::Status LoadSeen(int shard, SeenShard* into) const = 0;
  virtual absl::Status LoadSeen(int shard, SeenSet* into) const = 0;      // all of it in memory
  virtual absl::StatusOr<std::vector<SourceRecord>> Sources() const = 0;  // by id
  virtual absl::StatusOr<std::vector<Meter>> Meters() const = 0;

  // Seal's side; also what a seal saw, by its `through_sequence`.
  virtual absl::StatusOr<std::vector<StoredRun>> Totals(int shard, uint64_t through_sequence = UINT64_MAX) const = 0;
  virtual absl::StatusOr<std::vector<StoredRun>> Differences(int shard,
                                                             uint64_t through_sequence = UINT64_MAX) const = 0;
  virtual absl::StatusOr<std::vector<SealRecord>> Seals() const = 0;
  virtual absl::StatusOr<std::map<std::string, std::string>> CatalogFiles(std::string_view digest) const = 0;

  // All of them, in their order; or those up to a commit.
  virtual absl::StatusOr<std::vector<PeriodChange>> PeriodChanges(uint64_t through_sequence = UINT64_MAX) const = 0;

  // For people.
  // By (entity, currency, accounting period, seal, what they reverse, part).
  virtual absl::StatusOr<std::vector<JournalBatch>> Batches() const = 0;
  virtual absl::StatusOr<std::vector<CommitRecord>> Commits() const = 0;
  using VisitExceptions = std::function<absl::Status(const StoredExceptions&)>;
  // Held chunks only while they are not retired. Not beside a commit that retires them. Held corrections come last.
  virtual absl::Status ForEachExceptions(const VisitExceptions& visit) const = 0;
  // Lines that the book had not accepted after the commit `through_sequence`, held corrections aside: what later
  // commits retired is there too. Some of later commits' may be.
  virtual absl::Status ForEachNotAccepted(uint64_t through_sequence, const VisitExceptions& visit) const = 0;
  // Of them the held corrections alone, without looking at any others.
  virtual absl::Status ForEachHeldCorrections(const VisitExceptions& visit) const = 0;
  // The corrections that were applied, in their order: what changed usage that had been accepted.
  virtual absl::Status ForEachCorrections(const VisitExceptions& visit) const = 0;

  // The checksum of every block of the store's tables; then the chain of commits, each commit's body against its
  // record: that reads the large values too, which lie in blob files and which the first check does not look at; then
  // the seen entries, wherever they lie by now, against the sum over all commits.
  struct Check {
    std::string name;  // "chain of commits"
    bool holds = false;
    std::string detail;  // "12 commits" or what is wrong
  };
  virtual std::vector<Check> CheckStore() const = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_BOOK_H_
