#include "ledger/book.h"

#define XXH_INLINE_ALL  // the streaming state is complete only so
#include <openssl/evp.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <set>
#include <tuple>
#include <utility>

#include "ledger/anchor.h"
#include "ledger/book_cut.h"
#include "ledger/book_lock.h"
#include "ledger/bytes.h"
#include "ledger/catalog_load.h"
#include "ledger/cut_off.h"
#include "ledger/decision.h"
#include "ledger/delivery_told.h"
#include "ledger/durable_file.h"
#include "ledger/format_file.h"
#include "ledger/held.h"
#include "ledger/high_water.h"
#include "ledger/meter_records.h"
#include "ledger/outbox.h"
#include "ledger/purge.h"
#include "ledger/seen_store.h"
#include "ledger/store.h"
#include "ledger/usage_log.h"

namespace tollbook {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIdentityKey = "identity";
constexpr std::string_view kHeldFloorKey = "held_floor";
constexpr std::string_view kHeldCorrectionsFloorKey = "held_corrections_floor";
constexpr std::string_view kHeldCorrectionPrefix = "held_correction/";
constexpr std::string_view kHeldChangesPrefix = "held_changes/";
constexpr std::string_view kCorrectionPrefix = "correction/";
constexpr std::string_view kSourcePrefix = "source/";
constexpr std::string_view kMeterPrefix = "meter/";
constexpr std::string_view kCommitPrefix = "commit/";
constexpr std::string_view kPeriodPrefix = "period/";
constexpr std::string_view kDecisionPrefix = "decision/";
constexpr std::string_view kPurgePrefix = "purge/";
constexpr std::string_view kCatalogLoadPrefix = "catalog_load/";
constexpr std::string_view kUsagePrefix = "usage/";
constexpr std::string_view kUsagePurgePrefix = "usage_purge/";
constexpr std::string_view kCutOffPrefix = "cut_off/";
constexpr std::string_view kCatalogPrefix = "catalog/";
constexpr std::string_view kSealPrefix = "seal/";
constexpr std::string_view kBatchPrefix = "batch/";
constexpr std::string_view kDifferencePrefix = "difference/";
constexpr std::string_view kRestoredPrefix = "restored/";

std::string Named(std::string_view prefix, std::string_view name) {
  return std::string(prefix).append(name);
}

std::string Numbered(std::string_view prefix, uint64_t number) {
  ByteWriter key;
  key.Raw(prefix);
  key.Fixed64(number);
  return key.Take();
}

std::string ShardPrefix(std::string_view prefix, int shard) {
  ByteWriter key;
  key.Raw(prefix);
  key.Fixed8(static_cast<uint8_t>(shard));
  return key.Take();
}

std::string ShardKey(std::string_view prefix, int shard, uint64_t sequence) {
  return Numbered(ShardPrefix(prefix, shard), sequence);
}

std::string HeldCorrectionKey(uint64_t sequence, uint32_t chunk) {
  ByteWriter key;
  key.Raw(kHeldCorrectionPrefix);
  key.Fixed64(sequence);
  key.Fixed32(chunk);
  return key.Take();
}

std::string ExceptionKey(uint64_t sequence, uint32_t chunk, bool held) {
  ByteWriter key;
  key.Fixed64(sequence);
  key.Fixed32(chunk);
  key.Fixed8(held ? 1 : 0);
  return key.Take();
}

// SHA-256 of a stream.
class Sha256Stream {
 public:
  Sha256Stream() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    TOLLBOOK_ASSERT(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void Add(std::string_view bytes) {
    TOLLBOOK_ASSERT(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  Hash256 Finish() {
    Hash256 hash{};
    unsigned int size = 0;
    TOLLBOOK_ASSERT(EVP_DigestFinal_ex(context_.get(), hash.data(), &size) == 1 && size == hash.size());
    return hash;
  }

 private:
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

// The digest of what a commit stored and that never changes.
class Body {
 public:
  // `also`, which may be null, gets the same bytes.
  explicit Body(Sha256Stream* also = nullptr) : also_(also) { TOLLBOOK_ASSERT(XXH3_128bits_reset(&state_) == XXH_OK); }
  void Add(Family family, std::string_view key, std::string_view value) {
    ByteWriter header;
    header.Fixed8(static_cast<uint8_t>(family));
    header.Text(key);
    header.Varint(value.size());
    XXH3_128bits_update(&state_, header.bytes().data(), header.size());
    XXH3_128bits_update(&state_, value.data(), value.size());
    if (also_ == nullptr) return;
    also_->Add(header.bytes());
    also_->Add(value);
  }
  std::array<uint64_t, 2> Digest() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(&state_);
    return {hash.high64, hash.low64};
  }

 private:
  alignas(64) XXH3_state_t state_;
  Sha256Stream* const also_;
};

// One commit in the making.
class CommitWrite {
 public:
  explicit CommitWrite(std::unique_ptr<StoreWrite> write) : write_(std::move(write)) {}
  // What never changes: it counts for the digest, in the order in which DigestOf reads it back.
  void PutForEver(Family family, std::string_view key, std::string_view value) {
    body_.Add(family, key, value);
    write_->Put(family, key, value);
  }
  // What an earlier commit stored and this one refers to: it counts for the digest as if it were written again.
  void RefersTo(Family family, std::string_view key, std::string_view value) { body_.Add(family, key, value); }
  // What a later commit replaces.
  void Put(Family family, std::string_view key, std::string_view value) { write_->Put(family, key, value); }
  StoreWrite* changing() { return write_.get(); }
  std::array<uint64_t, 2> Digest() const { return body_.Digest(); }
  std::unique_ptr<StoreWrite> Take() { return std::move(write_); }

 private:
  std::unique_ptr<StoreWrite> write_;
  Body body_;
};

// The runs of a commit in the order of their shards. Two of one shard would overwrite each other: a bug.
template <typename Run, typename ShardOf>
std::vector<const Run*> ByShard(const std::vector<Run>& runs, int shards, const ShardOf& shard_of) {
  std::vector<const Run*> ordered;
  for (const Run& run : runs) ordered.push_back(&run);
  std::sort(ordered.begin(), ordered.end(), [&](const Run* a, const Run* b) { return shard_of(*a) < shard_of(*b); });
  int last = -1;
  for (const Run* run : ordered) {
    TOLLBOOK_ASSERT(shard_of(*run) > last && shard_of(*run) < shards);
    last = shard_of(*run);
  }
  return ordered;
}

std::vector<const ShardRun*> ByShard(const std::vector<ShardRun>& runs) {
  return ByShard(runs, kTotalShards, [](const ShardRun& run) { return run.shard; });
}

// So that the write grows once; keys and small records included.
size_t BytesIn(const EpochCommit& epoch) {
  size_t bytes = 4096 + 256 * (epoch.sources.size() + epoch.covered.size());
  bytes += 24 * epoch.seen.size() + 128 * epoch.spills.size();  // where they are
  for (const ShardRun& run : epoch.totals) bytes += run.bytes.size() + 32;
  for (const ExceptionChunk& chunk : epoch.exceptions) bytes += chunk.bytes.size() + 32;
  bytes += epoch.corrections.size();
  return bytes;
}

// A catalog may be most of it.
size_t BytesIn(const SealCommit& seal) {
  size_t bytes = 4096 + 512 * seal.batches.size();
  for (const JournalBatch& batch : seal.batches) bytes += 64 * batch.lines.size();
  for (const ShardRun& run : seal.differences) bytes += run.bytes.size() + 32;
  for (const auto& [name, text] : seal.catalog_files) bytes += name.size() + text.size() + 32;
  return bytes;
}

// Of a DamagedError, which thing it names: for one that names more.
std::string WhichIsDamaged(const absl::Status& status) {
  const std::string whole = std::string(Std(status.message())), around = std::string(Std(DamagedError("\n").message()));
  const size_t thing = around.find('\n');
  const std::string_view before = std::string_view(around).substr(0, thing);
  const std::string_view after = std::string_view(around).substr(thing + 1);
  if (!whole.starts_with(before) || !whole.ends_with(after)) return whole;
  return whole.substr(before.size(), whole.size() - before.size() - after.size());
}

// A link fits the one before it.
absl::Status CheckLink(const CommitRecord& before, const CommitRecord& record) {
  const std::string which = "commit " + std::to_string(before.sequence + 1);
  if (record.sequence != before.sequence + 1) return DamagedError(which + " is missing");
  if (record.previous != before.hash || HashOf(record) != record.hash)
    return DamagedError(which + " is not what was written");
  LineCounts book = before.book;
  book += record.delta;
  if (book != record.book || !book.balanced()) return DamagedError(which + ": its counts do not add up");
  return absl::OkStatus();
}

// Visits every commit, each checked against the one before it; then the newest one (sequence 0 when there is none).
absl::StatusOr<CommitRecord> WalkChain(const Store& store,
                                       const std::function<absl::Status(const CommitRecord&)>& visit) {
  CommitRecord newest;
  const absl::Status walked =
      store.Scan(Family::kDefault, kCommitPrefix, [&](std::string_view, std::string_view value) -> absl::Status {
        absl::StatusOr<CommitRecord> record = DecodeCommitRecord(value);
        if (!record.ok()) return record.status();
        TOLLBOOK_RETURN_IF_ERROR(CheckLink(newest, *record));
        newest = *std::move(record);
        return visit(newest);
      });
  if (!walked.ok()) return walked;
  return newest;
}

absl::StatusOr<CommitRecord> NewestCommit(const Store& store) {
  return WalkChain(store, [](const CommitRecord&) { return absl::OkStatus(); });
}

// All values under a prefix, in key order.
template <typename Record, typename Decode>
absl::StatusOr<std::vector<Record>> Decoded(const Store& store, Family family, std::string_view prefix,
                                            const Decode& decode) {
  std::vector<Record> records;
  const absl::Status scanned = store.Scan(family, prefix, [&](std::string_view, std::string_view value) {
    absl::StatusOr<Record> record = decode(value);
    if (record.ok()) records.push_back(*std::move(record));
    return record.status();
  });
  if (!scanned.ok()) return scanned;
  return records;
}

// A directory that holds other things is not made into a book.
absl::Status CheckNothingForeign(const std::string& directory) {
  constexpr std::string_view kOurs[] = {"BOOKLOCK", "HIGHWATER", "HIGHWATER.new", "FORMAT.new",
                                        "store",    "seen",      "usage"};
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    if (std::find(std::begin(kOurs), std::end(kOurs), entry->path().filename().string()) != std::end(kOurs)) continue;
    return MakeError(absl::StatusCode::kFailedPrecondition, "the directory is neither empty nor a book", directory,
                     "name an empty or new directory with --books");
  }
  if (!error) return absl::OkStatus();
  return MakeError(absl::StatusCode::kUnavailable, "cannot read the book's directory",
                   directory + ": " + error.message(), "check the path and its permissions");
}

absl::Status PrepareDirectory(const BookOptions& options) {
  absl::StatusOr<uint32_t> version = ReadFormatFile(options.directory);
  if (!version.ok()) return version.status();
  if (*version != 0) return absl::OkStatus();
  if (!options.create) {
    // A book that is still being made has no commits.
    const absl::StatusOr<HighWater> high_water = HighWater::Open(options.directory);
    if (high_water.ok() && high_water->mark().sequence != 0)
      return DamagedError(options.directory + ": FORMAT is missing");
    return MakeError(absl::StatusCode::kNotFound, "there is no book", options.directory,
                     "name the directory that `tollbook run --books` made, or make one with it");
  }
  TOLLBOOK_RETURN_IF_ERROR(MakeDirectorySynced(options.directory));
  return CheckNothingForeign(options.directory);
}

// High-water mark, store, identity, and FORMAT last: a crash between any two of them leaves a directory without FORMAT,
// and the next call completes it. What has commits but no FORMAT is a damaged book, never made anew.
absl::Status MakeBook(const BookOptions& options) {
  const std::string& directory = options.directory;
  if (options.identity.name.empty() || options.identity.zone.empty()) {
    return MakeError(absl::StatusCode::kInvalidArgument, "a new book needs a name and a zone", directory,
                     "give both in book.yaml");
  }
  if (!HighWater::Exists(directory)) {
    if (Store::Exists(directory)) return DamagedError(directory + ": FORMAT and HIGHWATER are missing");
    TOLLBOOK_RETURN_IF_ERROR(HighWater::Create(directory));
  }
  absl::StatusOr<HighWater> high_water = HighWater::Open(directory);
  if (!high_water.ok()) return high_water.status();
  if (high_water->mark().sequence != 0) return DamagedError(directory + ": FORMAT is missing");
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory, StoreAccess::kCreate);
  if (!store.ok()) return store.status();
  absl::StatusOr<CommitRecord> newest = NewestCommit(**store);
  if (!newest.ok()) return newest.status();
  if (newest->sequence != 0) return DamagedError(directory + ": FORMAT is missing");
  std::unique_ptr<StoreWrite> write = (*store)->NewWrite(0);
  write->Put(Family::kDefault, kIdentityKey, Encode(options.identity));
  TOLLBOOK_RETURN_IF_ERROR((*store)->Write(std::move(write)));
  return WriteFormatFile(directory);
}

// A log that is damaged behind all that was acknowledged (a write that power loss tore) costs nothing and is cut there.
// One that is damaged before is refused while the store is still as it was.
absl::StatusOr<std::unique_ptr<Store>> OpenStore(const std::string& directory, const HighWater& high_water) {
  absl::StatusOr<std::unique_ptr<Store>> whole = Store::Open(directory, StoreAccess::kWhole);
  if (!absl::IsDataLoss(whole.status())) return whole;
  {
    absl::StatusOr<std::unique_ptr<Store>> look = Store::Open(directory, StoreAccess::kUpToDamageReadOnly);
    if (!look.ok()) return whole;
    const absl::StatusOr<CommitRecord> newest = NewestCommit(**look);
    if (!newest.ok() || !high_water.Admits(*newest)) return whole;
  }
  return Store::Open(directory, StoreAccess::kUpToDamage);
}

// While it lives, a commit is under way.
class Committing {
 public:
  explicit Committing(std::atomic<bool>* flag) : flag_(*flag) { flag_ = true; }
  Committing(const Committing&) = delete;
  Committing& operator=(const Committing&) = delete;
  ~Committing() { flag_ = false; }

 private:
  std::atomic<bool>& flag_;
};

class StoredBook final : public Book, public HeldStore {
 public:
  StoredBook(std::string directory, BookLock lock, HighWater high_water, std::unique_ptr<Store> store,
             std::function<int64_t()> now, uint32_t format_version)
      : directory_(std::move(directory)),
        lock_(std::move(lock)),
        high_water_(std::move(high_water)),
        store_(std::move(store)),
        seen_(*store_, directory_),
        usage_(directory_),
        outbox_(*store_, directory_, now),
        now_(std::move(now)),
        format_version_(format_version) {}

  // After the constructor, once.
  absl::Status ReadIdentity(const BookOptions& options);
  absl::Status ReadChain(const std::string& logs);
  absl::Status CountSeals();
  absl::Status OpenSeen() { return seen_.Open(); }
  absl::Status OpenUsage();
  Outbox& outbox() { return outbox_; }
  const Outbox& outbox() const { return outbox_; }

  const BookIdentity& identity() const override { return identity_; }
  const LineCounts& counts() const override { return last_.book; }
  uint64_t last_sequence() const override { return last_.sequence; }
  uint64_t next_seal() const override { return next_seal_; }

  absl::Status CommitEpoch(const EpochCommit& epoch) override { return CommitEpoch(epoch, {}); }
  absl::Status CommitEpoch(const EpochCommit& epoch, std::span<const PackedUsage> usage) {
    return Commit(epoch, usage, std::nullopt);
  }
  absl::Status CommitRetry(const EpochCommit& epoch, std::span<const HeldChange> retires) override {
    TOLLBOOK_ASSERT(epoch.retires_held != epoch.retires_corrections);
    return Commit(epoch, {}, retires);
  }
  absl::Status CommitSeal(const SealCommit& seal) override;
  absl::Status CommitPeriodChange(const PeriodChange& change) override;

  std::vector<SeenSize> SeenSizes() const override {
    AssertNoCommit();
    return seen_.Sizes();
  }
  absl::Status LoadSeen(int shard, SeenShard* into) const override {
    AssertNoCommit();
    return seen_.Load(shard, into);
  }
  absl::Status LoadSeen(int shard, SeenSet* into) const override {
    AssertNoCommit();
    return seen_.Load(shard, into);
  }
  absl::StatusOr<std::vector<SourceRecord>> Sources() const override;
  absl::StatusOr<std::vector<Meter>> Meters() const override;
  absl::StatusOr<std::vector<StoredRun>> Totals(int shard, uint64_t through_sequence) const override {
    return Runs(Family::kTotals, ShardPrefix("", shard), through_sequence);
  }
  absl::StatusOr<std::vector<StoredRun>> Differences(int shard, uint64_t through_sequence) const override {
    return Runs(Family::kJournal, ShardPrefix(kDifferencePrefix, shard), through_sequence);
  }
  absl::StatusOr<std::vector<SealRecord>> Seals() const override;
  absl::StatusOr<std::map<std::string, std::string>> CatalogFiles(std::string_view digest) const override;
  absl::StatusOr<std::vector<PeriodChange>> PeriodChanges(uint64_t through_sequence) const override;
  absl::StatusOr<std::vector<JournalBatch>> Batches() const override;
  absl::StatusOr<std::vector<CommitRecord>> Commits() const override;
  absl::Status ForEachExceptions(const VisitExceptions& visit) const override;
  absl::Status ForEachNotAccepted(uint64_t through_sequence, const VisitExceptions& visit) const override;
  absl::Status ForEachHeldCorrections(const VisitExceptions& visit) const override;
  absl::StatusOr<HeldQueue> Held(HeldKind kind) const override;
  absl::StatusOr<HeldLines> ReadHeld(HeldKind kind, const HeldPlace& place, const HeldChanges& changes) const override;
  absl::Status ForEachCorrections(const VisitExceptions& visit) const override;
  std::vector<Check> CheckStore() const override;

  absl::Status CommitDecisions(std::span<const Decision> decisions);
  absl::StatusOr<std::vector<DecisionCommit>> Decisions() const {
    return Decoded<DecisionCommit>(*store_, Family::kDefault, kDecisionPrefix, DecodeDecisionCommit);
  }

  absl::StatusOr<PurgeReport> PurgePayloads(const PurgeTerms& terms);
  absl::StatusOr<std::vector<PurgeRecord>> Purges() const {
    return Decoded<PurgeRecord>(*store_, Family::kDefault, kPurgePrefix, DecodePurgeRecord);
  }

  absl::Status NoteCatalogLoad(CatalogLoad load);
  absl::StatusOr<std::vector<CatalogLoad>> CatalogLoads() const {
    return Decoded<CatalogLoad>(*store_, Family::kDefault, kCatalogLoadPrefix, DecodeCatalogLoad);
  }
  absl::StatusOr<std::vector<UsageSegment>> UsageSegments() const;
  absl::StatusOr<std::string> ReadUsage(const UsageSegment& segment) const {
    TOLLBOOK_ASSERT(segment.purged_by == 0);
    return usage_.Read(segment.place);
  }
  absl::StatusOr<UsagePurgeReport> PurgeUsage(const PurgeTerms& terms);
  absl::StatusOr<ForgetReport> ForgetKeys(const ForgetTerms& terms);
  absl::StatusOr<std::vector<CutOff>> CutOffs() const {
    return Decoded<CutOff>(*store_, Family::kDefault, kCutOffPrefix, DecodeCutOff);
  }
  std::map<Day, SeenKept> KeptKeys() const {
    AssertNoCommit();
    return seen_.Kept();
  }

  absl::StatusOr<Anchor> AnchorOf(uint64_t sequence) const;
  absl::StatusOr<std::unique_ptr<BookCut>> TakeCut();
  absl::StatusOr<std::vector<MeterRecord>> MeterRecords() const;
  const std::string& directory() const { return directory_; }
  absl::Status MarkRestored(const RestoreMark& mark);
  absl::StatusOr<std::vector<RestoreMark>> RestoreMarks() const {
    return Decoded<RestoreMark>(*store_, Family::kDefault, kRestoredPrefix, DecodeRestoreMark);
  }

 private:
  class HeldCut;
  absl::Status ListCut(BookCut* cut);
  absl::StatusOr<std::vector<StoredRun>> Runs(Family family, const std::string& prefix,
                                              uint64_t through_sequence) const;
  // What was held by commits before it is retired.
  absl::StatusOr<uint64_t> Floor(std::string_view key) const;
  // What commits from `floor` to `through_sequence` say of lines that stay where they are.
  absl::StatusOr<HeldChanges> ChangesOf(uint64_t floor, uint64_t through_sequence = UINT64_MAX) const;
  absl::StatusOr<std::set<uint64_t>> PartialRetries() const;  // the commits that retired only some of what was held
  absl::Status ScanExceptions(uint64_t held_floor, const HeldChanges& changes, const VisitExceptions& visit) const;

  absl::Status PutNewMeters(const EpochCommit& epoch, uint64_t sequence, CommitWrite* write) const;
  absl::Status Commit(const EpochCommit& epoch, std::span<const PackedUsage> usage,
                      std::optional<std::span<const HeldChange>> retires);
  void PutCorrections(const EpochCommit& epoch, uint64_t sequence, CommitWrite* write) const;
  absl::Status PutFloors(const EpochCommit& epoch, uint64_t sequence, bool retires_some, CommitWrite* write) const;
  absl::Status PutSeen(const EpochCommit& epoch, uint64_t sequence, CommitWrite* write, SeenSum* sum);
  absl::Status PutUsage(std::span<const PackedUsage> usage, uint64_t sequence, CommitWrite* write);
  absl::Status PutCatalog(const SealCommit& seal, CommitWrite* write) const;
  absl::Status CheckUsable() const;
  // Finds most of those who break the contract, not all: a commit may begin right after.
  void AssertNoCommit() const { TOLLBOOK_ASSERT(!committing_.load(std::memory_order_relaxed)); }
  // `is_unsigned`: nobody is named in it, so it keeps whose account ran the command.
  absl::Status Commit(CommitRecord record, CommitWrite write, bool is_unsigned = false);
  absl::Status RaiseFormat();

  // What the commits of each kind stored beside their runs, by sequence.
  struct Contents {
    std::map<uint64_t, SealRecord> seals;
    std::map<uint64_t, std::vector<MeterRecord>> meters;
    // Of epochs that were purged: their digest since, and which chunks of exceptions have no payloads any more.
    std::map<uint64_t, std::array<uint64_t, 2>> purged_bodies;
    std::map<uint64_t, std::set<uint32_t>> purged_chunks;
  };
  absl::StatusOr<Contents> ReadContents() const;
  // Keys of exceptions and what stands under them instead of what does.
  using Instead = std::map<std::string, std::string, std::less<>>;
  // `also` and `instead` may be null.
  absl::StatusOr<std::array<uint64_t, 2>> DigestOf(const CommitRecord& record, const Contents& contents,
                                                   Sha256Stream* also = nullptr,
                                                   const Instead* instead = nullptr) const;
  absl::Status CheckBody(const CommitRecord& record, const Contents& contents, Sha256Stream* also = nullptr) const;
  absl::Status AddEpoch(uint64_t sequence, const Contents& contents, const Instead* instead, Body* body) const;
  // What is to be purged of one epoch, added to the record and to `instead`.
  absl::Status AddPurged(const CommitRecord& record, const Contents& contents, uint64_t held_floor, Day today,
                         PurgeReport* report, PurgeRecord* purge, Instead* instead) const;
  absl::Status CommitPurge(const PurgeTerms& terms, const PurgeReport& report, PurgeRecord purge,
                           const Instead& instead);
  absl::Status AddSeal(uint64_t sequence, const Contents& contents, Body* body) const;
  absl::Status AddPeriodChange(uint64_t sequence, Body* body) const;
  absl::Status AddDecisions(uint64_t sequence, Body* body) const;
  absl::Status AddRestoreMark(uint64_t sequence, Body* body) const;
  absl::Status AddCutOff(uint64_t sequence, Body* body) const;
  absl::Status AddStored(Family family, const std::string& key, Body* body) const;
  absl::StatusOr<uint64_t> CheckCommits(SeenSum* seen) const;
  absl::Status LessForgotten(SeenSum* seen, uint64_t* forgotten) const;
  absl::StatusOr<uint64_t> CheckOutbox() const;
  absl::Status CheckUsage(std::span<const UsageSegment> segments, std::string* detail) const;

  const std::string directory_;
  const BookLock lock_;
  HighWater high_water_;
  const std::unique_ptr<Store> store_;
  SeenStore seen_;
  UsageFiles usage_;
  Outbox outbox_;
  const std::function<int64_t()> now_;
  uint32_t format_version_;  // in FORMAT
  BookIdentity identity_;
  CommitRecord last_;
  uint64_t next_seal_ = 1;
  std::optional<CatalogLoad> catalog_load_;  // of this process, for its next commits
  bool failed_ = false;  // a commit that failed leaves the store's state unknown until the next Open
  std::atomic<bool> committing_ = false;
  bool cut_ = false;  // there is one
};

absl::Status StoredBook::ReadIdentity(const BookOptions& options) {
  const absl::StatusOr<std::optional<std::string>> stored = store_->Get(Family::kDefault, kIdentityKey);
  if (!stored.ok()) return stored.status();
  if (!stored->has_value()) return DamagedError(directory_ + ": its identity is missing");
  absl::StatusOr<BookIdentity> identity = DecodeBookIdentity(**stored);
  if (!identity.ok()) return identity.status();
  if (identity->format_version > kFormatVersion) return NewerFormatError(directory_, identity->format_version);
  identity_ = *std::move(identity);
  const auto fixed = [&](std::string_view what, const std::string& is, const std::string& wanted) {
    if (wanted.empty() || wanted == is) return absl::OkStatus();
    return MakeError(absl::StatusCode::kFailedPrecondition, std::string(what) + " of a book cannot change",
                     directory_ + " has " + is + ", the catalog says " + wanted,
                     "put it back in book.yaml, or name a new directory with --books");
  };
  TOLLBOOK_RETURN_IF_ERROR(fixed("the name", identity_.name, options.identity.name));
  return fixed("the zone", identity_.zone, options.identity.zone);
}

// `logs`: of the store, as it was before it was opened.
absl::Status StoredBook::ReadChain(const std::string& logs) {
  const std::string with_logs = logs.empty() ? "the store, which has no log," : "the store, with its log " + logs + ",";
  absl::StatusOr<CommitRecord> newest = NewestCommit(*store_);
  if (absl::IsDataLoss(newest.status()))
    return DamagedError(directory_ + ": " + WhichIsDamaged(newest.status()) + ", by " + with_logs);
  if (!newest.ok()) return newest.status();
  last_ = *std::move(newest);
  const HighWaterMark mark = high_water_.mark();
  if (!high_water_.Admits(last_)) {
    return DamagedError(directory_ + ": by HIGHWATER commit " + std::to_string(mark.sequence) +
                        " was acknowledged, and " + with_logs + " ends at commit " + std::to_string(last_.sequence) +
                        (last_.sequence == mark.sequence ? ", which is another or not the newest" : ""));
  }
  return last_.sequence == mark.sequence ? absl::OkStatus() : high_water_.Raise({last_.sequence, last_.hash});
}

absl::Status StoredBook::CountSeals() {
  const absl::StatusOr<std::vector<SealRecord>> seals = Seals();
  if (seals.ok() && !seals->empty()) next_seal_ = seals->back().number + 1;
  return seals.status();
}

absl::StatusOr<std::vector<StoredRun>> StoredBook::Runs(Family family, const std::string& prefix,
                                                        uint64_t through_sequence) const {
  std::vector<StoredRun> runs;
  const absl::Status scanned = store_->Scan(family, prefix, [&](std::string_view key, std::string_view value) {
    ByteReader in(key.substr(prefix.size()));
    const uint64_t sequence = in.Fixed64();
    if (!in.done()) return DamagedError(directory_ + ": the key of a run");
    if (sequence <= through_sequence) runs.push_back({sequence, std::string(value)});
    return absl::OkStatus();
  });
  if (!scanned.ok()) return scanned;
  return runs;
}

// Before the first commit of this program: what it writes, a program of the earlier format would call damaged. A crash
// in between leaves a book of the newer format with nothing of it.
absl::Status StoredBook::RaiseFormat() {
  if (format_version_ == kFormatVersion) return absl::OkStatus();
  TOLLBOOK_RETURN_IF_ERROR(WriteFormatFile(directory_));
  format_version_ = kFormatVersion;
  return absl::OkStatus();
}

absl::Status StoredBook::Commit(CommitRecord record, CommitWrite write, bool is_unsigned) {
  record.sequence = last_.sequence + 1;
  record.previous = last_.hash;
  // Held corrections are tried again by each absorb, too, and that is nobody's decision.
  const bool is_retry =
      record.retires_held || (record.retires_corrections && catalog_load_ && catalog_load_->command == kRetryCommand);
  const bool is_decided_so = record.kind == CommitKind::kSeal || is_retry;
  const bool is_signed_so = is_decided_so || is_unsigned;
  const bool keeps_load = catalog_load_ && (is_signed_so || catalog_load_->before != catalog_load_->after);
  if (keeps_load) {
    catalog_load_->sequence = record.sequence;
    CatalogLoad load = *catalog_load_;
    if (!is_decided_so) load.decided_by = load.decided_why = "";
    write.PutForEver(Family::kDefault, Numbered(kCatalogLoadPrefix, record.sequence), Encode(load));
  }
  record.body = write.Digest();
  record.committed_at_nanos = now_ ? now_() : 0;
  record.book = last_.book;
  record.book += record.delta;
  record.hash = HashOf(record);
  // Law 1 holds in the book at every commit, or the commit is not made.
  TOLLBOOK_ASSERT(record.book.balanced());
  write.Put(Family::kDefault, Numbered(kCommitPrefix, record.sequence), Encode(record));
  TOLLBOOK_RETURN_IF_ERROR(RaiseFormat());
  failed_ = true;
  TOLLBOOK_RETURN_IF_ERROR(store_->Write(write.Take()));
  TOLLBOOK_RETURN_IF_ERROR(high_water_.Raise({record.sequence, record.hash}));
  failed_ = false;
  if (keeps_load) catalog_load_->before = catalog_load_->after;
  last_ = std::move(record);
  return absl::OkStatus();
}

absl::Status StoredBook::NoteCatalogLoad(CatalogLoad load) {
  catalog_load_.reset();
  const absl::StatusOr<std::vector<CatalogLoad>> loads = CatalogLoads();
  if (!loads.ok()) return loads.status();
  const absl::StatusOr<std::vector<SealRecord>> seals = Seals();
  if (!seals.ok()) return seals.status();
  // A commit that has both has them of one catalog.
  const uint64_t loaded = loads->empty() ? 0 : loads->back().sequence;
  const uint64_t sealed = seals->empty() ? 0 : seals->back().sequence;
  if (loaded > 0 || sealed > 0) load.before = loaded > sealed ? loads->back().after : seals->back().catalog_digest;
  catalog_load_ = std::move(load);
  return absl::OkStatus();
}

absl::Status StoredBook::CheckUsable() const {
  if (!failed_) return absl::OkStatus();
  return MakeError(absl::StatusCode::kFailedPrecondition, "an earlier commit failed", directory_,
                   "open the book again");
}

// Seen entries first: what a commit refers to is on disk before it.
absl::Status StoredBook::PutSeen(const EpochCommit& epoch, uint64_t sequence, CommitWrite* write, SeenSum* sum) {
  const auto seen = ByShard(epoch.seen, kSeenShards, [](const FreshSeen& fresh) { return fresh.shard; });
  SeenSpills spills;
  for (const auto* spill : ByShard(epoch.spills, kSeenShards, [](const auto& of) { return of.first; })) {
    spills.push_back(*spill);
  }
  for (const FreshSeen* fresh : seen) {
    const auto spilled = [fresh](const auto& spill) { return spill.first == fresh->shard; };
    TOLLBOOK_ASSERT(std::none_of(spills.begin(), spills.end(), spilled));  // its entries would be in the book twice
  }
  failed_ = true;
  return seen_.Prepare(sequence, seen, spills, epoch.seen_span_days, write->changing(), sum);
}

// `retires`: of what the epoch retires only these; nothing: all of it.
absl::Status StoredBook::Commit(const EpochCommit& epoch, std::span<const PackedUsage> usage,
                                std::optional<std::span<const HeldChange>> retires) {
  TOLLBOOK_RETURN_IF_ERROR(CheckUsable());
  const Committing committing(&committing_);
  const uint64_t sequence = last_.sequence + 1;
  CommitRecord record;
  record.kind = CommitKind::kEpoch;
  record.delta = epoch.delta;
  record.covered = epoch.covered;
  record.retires_held = epoch.retires_held;
  record.retires_corrections = epoch.retires_corrections;

  CommitWrite write(store_->NewWrite(BytesIn(epoch)));
  for (const ShardRun* run : ByShard(epoch.totals)) {
    write.PutForEver(Family::kTotals, ShardKey("", run->shard, sequence), run->bytes);
  }
  for (uint32_t number = 0; number < epoch.exceptions.size(); ++number) {
    const ExceptionChunk& chunk = epoch.exceptions[number];
    if (chunk.corrections) continue;
    write.PutForEver(Family::kExceptions, ExceptionKey(sequence, number, chunk.held), chunk.bytes);
  }
  TOLLBOOK_RETURN_IF_ERROR(PutNewMeters(epoch, sequence, &write));
  PutCorrections(epoch, sequence, &write);
  if (retires) write.PutForEver(Family::kDefault, Numbered(kHeldChangesPrefix, sequence), Encode(*retires));
  for (const SourceRecord& source : epoch.sources) {
    write.Put(Family::kDefault, Numbered(kSourcePrefix, source.id), Encode(source));
  }
  TOLLBOOK_RETURN_IF_ERROR(PutFloors(epoch, sequence, retires.has_value(), &write));
  if (!usage.empty()) TOLLBOOK_RETURN_IF_ERROR(PutUsage(usage, sequence, &write));
  TOLLBOOK_RETURN_IF_ERROR(PutSeen(epoch, sequence, &write, &record.seen));
  TOLLBOOK_RETURN_IF_ERROR(Commit(std::move(record), std::move(write)));
  seen_.Committed();
  return absl::OkStatus();
}

// On disk before the commit that acknowledges them.
absl::Status StoredBook::PutUsage(std::span<const PackedUsage> usage, uint64_t sequence, CommitWrite* write) {
  failed_ = true;
  std::vector<UsageSegment> segments;
  for (const PackedUsage& packed : usage) {
    const absl::StatusOr<SegmentPlace> place = usage_.Append(packed.packed);
    if (!place.ok()) return place.status();
    segments.push_back({sequence, packed.source, packed.first_offset, packed.end_offset, *place});
  }
  TOLLBOOK_RETURN_IF_ERROR(usage_.Sync());
  write->PutForEver(Family::kDefault, Numbered(kUsagePrefix, sequence), Encode(segments));
  return absl::OkStatus();
}

namespace {

std::vector<SegmentPlace> LivePlaces(std::span<const UsageSegment> segments) {
  std::vector<SegmentPlace> live;
  for (const UsageSegment& segment : segments) {
    if (segment.purged_by == 0) live.push_back(segment.place);
  }
  return live;
}

}  // namespace

absl::Status StoredBook::OpenUsage() {
  const absl::StatusOr<std::vector<UsageSegment>> segments = UsageSegments();
  if (!segments.ok()) return segments.status();
  uint32_t last_file = 0;
  for (const UsageSegment& segment : *segments) last_file = std::max(last_file, segment.place.file);
  usage_.Open(LivePlaces(*segments), last_file);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<UsageSegment>> StoredBook::UsageSegments() const {
  const auto number_of = [](std::string_view key, std::string_view prefix) {
    ByteReader in(key.substr(prefix.size()));
    return in.Fixed64();
  };
  std::map<uint64_t, uint64_t> purged_by;  // by epoch
  TOLLBOOK_RETURN_IF_ERROR(
      store_->Scan(Family::kDefault, kUsagePurgePrefix, [&](std::string_view key, std::string_view value) {
        const absl::StatusOr<std::vector<uint64_t>> epochs = DecodePurgedUsage(value);
        if (!epochs.ok()) return epochs.status();
        for (const uint64_t epoch : *epochs) purged_by[epoch] = number_of(key, kUsagePurgePrefix);
        return absl::OkStatus();
      }));
  std::vector<UsageSegment> segments;
  TOLLBOOK_RETURN_IF_ERROR(
      store_->Scan(Family::kDefault, kUsagePrefix, [&](std::string_view key, std::string_view value) {
        absl::StatusOr<std::vector<UsageSegment>> of_epoch = DecodeUsageSegments(value);
        if (!of_epoch.ok()) return of_epoch.status();
        const uint64_t sequence = number_of(key, kUsagePrefix);
        const auto purged = purged_by.find(sequence);
        for (UsageSegment& segment : *of_epoch) {
          segment.sequence = sequence;
          segment.purged_by = purged == purged_by.end() ? 0 : purged->second;
          segments.push_back(segment);
        }
        return absl::OkStatus();
      }));
  return segments;
}

absl::StatusOr<UsagePurgeReport> StoredBook::PurgeUsage(const PurgeTerms& terms) {
  TOLLBOOK_RETURN_IF_ERROR(CheckUsable());
  TOLLBOOK_ASSERT(!terms.by.empty() && !terms.why.empty() && !cut_);
  absl::StatusOr<std::vector<UsageSegment>> segments = UsageSegments();
  if (!segments.ok()) return segments.status();
  const absl::StatusOr<std::vector<CommitRecord>> commits = Commits();
  if (!commits.ok()) return commits.status();
  const uint64_t sequence = last_.sequence + 1;
  UsagePurgeReport report;
  std::vector<uint64_t> epochs;
  for (UsageSegment& segment : *segments) {
    const bool is_due = (*commits)[segment.sequence - 1].committed_at_nanos < terms.before_nanos;
    if (!is_due || segment.purged_by != 0) continue;
    segment.purged_by = sequence;
    ++report.segments;
    report.bytes += segment.place.bytes;
    if (epochs.empty() || epochs.back() != segment.sequence) epochs.push_back(segment.sequence);
  }
  report.epochs = epochs.size();
  if (!epochs.empty()) {
    const Committing committing(&committing_);
    Decision decision{DecisionKind::kPurge, "usage log", terms.by, terms.why, "", "purged"};
    decision.before = std::to_string(report.segments) + " segments, " + std::to_string(report.bytes) + " bytes, of " +
                      std::to_string(report.epochs) + " epochs";
    CommitRecord record;
    record.kind = CommitKind::kDecisions;
    CommitWrite write(store_->NewWrite(4096 + 10 * epochs.size()));
    write.PutForEver(Family::kDefault, Numbered(kDecisionPrefix, sequence),
                     Encode(DecisionCommit{sequence, {decision}}));
    write.PutForEver(Family::kDefault, Numbered(kUsagePurgePrefix, sequence), EncodePurgedUsage(epochs));
    TOLLBOOK_RETURN_IF_ERROR(Commit(std::move(record), std::move(write)));
  }
  // Also when there was nothing to do: an earlier call may have been killed between the two.
  TOLLBOOK_RETURN_IF_ERROR(usage_.Reclaim(LivePlaces(*segments)));
  return report;
}

absl::StatusOr<ForgetReport> StoredBook::ForgetKeys(const ForgetTerms& terms) {
  TOLLBOOK_RETURN_IF_ERROR(CheckUsable());
  TOLLBOOK_ASSERT(!terms.by.empty() && !terms.why.empty() && !cut_);
  const absl::StatusOr<Day> cut_off = CutOffOf(*this);
  if (!cut_off.ok()) return cut_off.status();
  const Day before = std::max(terms.before, *cut_off);
  const Committing committing(&committing_);
  const uint64_t sequence = last_.sequence + 1;
  CommitWrite write(store_->NewWrite(4096));
  SeenForgotten forgotten;
  TOLLBOOK_RETURN_IF_ERROR(seen_.PrepareForgetting(before, write.changing(), &forgotten));
  ForgetReport report{*cut_off, forgotten.sum.entries, forgotten.bytes};
  if (report.keys > 0) {
    Decision decision{DecisionKind::kPurge, "dedup keys", terms.by, terms.why, "", ""};
    decision.before = std::to_string(report.keys) + " keys, " + std::to_string(report.bytes) + " bytes";
    decision.after = "forgotten, and usage before " + ToString(before) + " is refused";
    if (!terms.waived.empty()) decision.after += ", waived " + terms.waived;
    CommitRecord record;
    record.kind = CommitKind::kCutOff;
    write.PutForEver(Family::kDefault, Numbered(kDecisionPrefix, sequence),
                     Encode(DecisionCommit{sequence, {decision}}));
    write.PutForEver(Family::kDefault, Numbered(kCutOffPrefix, sequence),
                     Encode(CutOff{sequence, before, forgotten.sum}));
    TOLLBOOK_RETURN_IF_ERROR(Commit(std::move(record), std::move(write)));
    seen_.Committed();
    report.before = before;
  }
  // Also when there was nothing to do: an earlier call may have been killed between the two.
  TOLLBOOK_RETURN_IF_ERROR(seen_.Reclaim());
  return report;
}

void StoredBook::PutCorrections(const EpochCommit& epoch, uint64_t sequence, CommitWrite* write) const {
  for (uint32_t number = 0; number < epoch.exceptions.size(); ++number) {
    const ExceptionChunk& chunk = epoch.exceptions[number];
    if (chunk.corrections) write->PutForEver(Family::kDefault, HeldCorrectionKey(sequence, number), chunk.bytes);
  }
  if (!epoch.corrections.empty())
    write->PutForEver(Family::kDefault, Numbered(kCorrectionPrefix, sequence), epoch.corrections);
}

// A floor that held changes add to has a byte more: a program that does not know them must not take it as it is.
absl::Status StoredBook::PutFloors(const EpochCommit& epoch, uint64_t sequence, bool retires_some,
                                   CommitWrite* write) const {
  for (const auto& [retires, key] :
       {std::pair(epoch.retires_held, kHeldFloorKey), std::pair(epoch.retires_corrections, kHeldCorrectionsFloorKey)}) {
    if (!retires) continue;
    ByteWriter value;
    if (retires_some) {
      const absl::StatusOr<uint64_t> floor = Floor(key);
      if (!floor.ok()) return floor.status();
      value.Fixed64(*floor);
      value.Fixed8(1);
    } else {
      value.Fixed64(sequence);
    }
    write->Put(Family::kDefault, key, value.bytes());
  }
  return absl::OkStatus();
}

absl::Status StoredBook::PutNewMeters(const EpochCommit& epoch, uint64_t sequence, CommitWrite* write) const {
  std::map<std::string, const Meter*> by_name;
  for (const Meter& meter : epoch.new_meters) by_name.emplace(meter.name, &meter);
  for (const auto& [name, meter] : by_name) {
    const std::string key = Named(kMeterPrefix, name);
    const absl::StatusOr<std::optional<std::string>> stored = store_->Get(Family::kDefault, key);
    if (!stored.ok()) return stored.status();
    if (!stored->has_value()) {
      write->PutForEver(Family::kDefault, key, Encode(MeterRecord{sequence, *meter}));
      continue;
    }
    const absl::StatusOr<MeterRecord> before = DecodeMeterRecord(**stored);
    if (!before.ok()) return before.status();
    if (CountsTheSame(before->meter, *meter)) continue;
    return MakeError(absl::StatusCode::kFailedPrecondition, "a meter that the book has totals of cannot change", name,
                     "put its definition back in meters.yaml, or count under a new meter");
  }
  return absl::OkStatus();
}

absl::Status StoredBook::CommitSeal(const SealCommit& seal) {
  TOLLBOOK_RETURN_IF_ERROR(CheckUsable());
  const Committing committing(&committing_);
  TOLLBOOK_ASSERT(seal.record.number == next_seal_);
  const uint64_t sequence = last_.sequence + 1;
  CommitRecord record;
  record.kind = CommitKind::kSeal;

  SealRecord seal_record = seal.record;
  seal_record.sequence = sequence;
  seal_record.batches.clear();
  CommitWrite write(store_->NewWrite(BytesIn(seal)));
  for (const JournalBatch& batch : seal.batches) {
    TOLLBOOK_ASSERT(batch.seal == seal_record.number && BalanceOf(batch) == 0);
    seal_record.batches.push_back(batch.id);
    write.PutForEver(Family::kJournal, Named(kBatchPrefix, batch.id), Encode(batch));
  }
  for (const ShardRun* run : ByShard(seal.differences)) {
    write.PutForEver(Family::kJournal, ShardKey(kDifferencePrefix, run->shard, sequence), run->bytes);
  }
  write.PutForEver(Family::kJournal, Numbered(kSealPrefix, seal_record.number), Encode(seal_record));
  TOLLBOOK_RETURN_IF_ERROR(PutCatalog(seal, &write));
  TOLLBOOK_RETURN_IF_ERROR(Commit(std::move(record), std::move(write)));
  ++next_seal_;
  return absl::OkStatus();
}

absl::Status StoredBook::CommitPeriodChange(const PeriodChange& change) {
  TOLLBOOK_RETURN_IF_ERROR(CheckUsable());
  TOLLBOOK_ASSERT(!change.by.empty() && !change.why.empty());
  const absl::StatusOr<std::vector<PeriodChange>> changes = PeriodChanges(UINT64_MAX);
  if (!changes.ok()) return changes.status();
  const auto last = std::find_if(changes->rbegin(), changes->rend(), [&](const PeriodChange& earlier) {
    return earlier.entity == change.entity && earlier.period.name == change.period.name;
  });
  if (last != changes->rend() && (last->after != change.before || last->period != change.period)) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "the accounting period stands otherwise",
                     change.entity + " " + change.period.name + " is " + std::string(ToString(last->after)) + ", " +
                         ToString(last->period.first) + " to " + ToString(last->period.last),
                     "see `tollbook periods list`");
  }
  const Committing committing(&committing_);
  PeriodChange stored = change;
  stored.sequence = last_.sequence + 1;
  CommitRecord record;
  record.kind = CommitKind::kPeriodChange;
  CommitWrite write(store_->NewWrite(4096));
  write.PutForEver(Family::kDefault, Numbered(kPeriodPrefix, stored.sequence), Encode(stored));
  return Commit(std::move(record), std::move(write));
}

absl::Status StoredBook::CommitDecisions(std::span<const Decision> decisions) {
  TOLLBOOK_RETURN_IF_ERROR(CheckUsable());
  TOLLBOOK_ASSERT(!decisions.empty());
  bool is_unsigned = false;
  for (const Decision& decision : decisions) {
    const bool is_signed = !decision.by.empty() && !decision.why.empty();
    TOLLBOOK_ASSERT(!decision.which.empty() && (is_signed || decision.kind == DecisionKind::kDelivery));
    is_unsigned = is_unsigned || decision.by.empty();
  }
  const Committing committing(&committing_);
  const DecisionCommit stored{last_.sequence + 1, {decisions.begin(), decisions.end()}};
  CommitRecord record;
  record.kind = CommitKind::kDecisions;
  CommitWrite write(store_->NewWrite(4096 + 256 * decisions.size()));
  write.PutForEver(Family::kDefault, Numbered(kDecisionPrefix, stored.sequence), Encode(stored));
  return Commit(std::move(record), std::move(write), is_unsigned);
}

absl::Status StoredBook::AddPurged(const CommitRecord& record, const Contents& contents, uint64_t held_floor, Day today,
                                   PurgeReport* report, PurgeRecord* purge, Instead* instead) const {
  const auto purged_before = contents.purged_chunks.find(record.sequence);
  PurgedEpoch epoch{record.sequence, {}, {}};
  Instead of_epoch;
  TOLLBOOK_RETURN_IF_ERROR(store_->Scan(
      Family::kExceptions, Numbered("", record.sequence), [&](std::string_view key, std::string_view value) {
        ByteReader in(key);
        (void)in.Fixed64();  // the commit
        const uint32_t number = in.Fixed32();
        const bool is_held = in.Flag() && record.sequence >= held_floor;
        if (!in.done()) return DamagedError(directory_ + ": the key of exceptions");
        const bool was_purged = purged_before != contents.purged_chunks.end() && purged_before->second.contains(number);
        if (is_held || was_purged) return absl::OkStatus();
        absl::StatusOr<PurgedChunk> chunk = WithoutPayloads(value, today);
        if (!chunk.ok()) return chunk.status();
        if (chunk->payloads == 0) return absl::OkStatus();
        report->payloads += chunk->payloads;
        report->bytes += chunk->payload_bytes;
        epoch.chunks.push_back(number);
        of_epoch.emplace(key, std::move(chunk->bytes));
        return absl::OkStatus();
      }));
  if (epoch.chunks.empty()) return absl::OkStatus();
  TOLLBOOK_RETURN_IF_ERROR(CheckBody(record, contents));
  const absl::StatusOr<std::array<uint64_t, 2>> since = DigestOf(record, contents, nullptr, &of_epoch);
  if (!since.ok()) return since.status();
  epoch.body = *since;
  ++report->epochs;
  purge->epochs.push_back(std::move(epoch));
  instead->merge(of_epoch);
  return absl::OkStatus();
}

absl::Status StoredBook::CommitPurge(const PurgeTerms& terms, const PurgeReport& report, PurgeRecord purge,
                                     const Instead& instead) {
  const Committing committing(&committing_);
  purge.sequence = last_.sequence + 1;
  Decision decision{DecisionKind::kPurge, "payloads of exceptions", terms.by, terms.why, "", ""};
  decision.before = std::to_string(report.payloads) + " payloads, " + std::to_string(report.bytes) + " bytes, of " +
                    std::to_string(report.epochs) + " epochs";
  decision.after = "purged";
  CommitRecord record;
  record.kind = CommitKind::kDecisions;
  CommitWrite write(store_->NewWrite(4096));
  for (const auto& [key, value] : instead) write.Put(Family::kExceptions, key, value);
  write.PutForEver(Family::kDefault, Numbered(kDecisionPrefix, purge.sequence),
                   Encode(DecisionCommit{purge.sequence, {decision}}));
  write.PutForEver(Family::kDefault, Numbered(kPurgePrefix, purge.sequence), Encode(purge));
  return Commit(std::move(record), std::move(write));
}

// In parts that fit in memory, each a commit of its own.
absl::StatusOr<PurgeReport> StoredBook::PurgePayloads(const PurgeTerms& terms) {
  constexpr size_t kPartBytes = 64 << 20;
  TOLLBOOK_RETURN_IF_ERROR(CheckUsable());
  TOLLBOOK_ASSERT(!terms.by.empty() && !terms.why.empty());
  const absl::StatusOr<Contents> contents = ReadContents();
  if (!contents.ok()) return contents.status();
  const absl::StatusOr<uint64_t> held_floor = Floor(kHeldFloorKey);
  if (!held_floor.ok()) return held_floor.status();
  const absl::StatusOr<std::vector<CommitRecord>> commits = Commits();
  if (!commits.ok()) return commits.status();
  PurgeReport all, part;
  PurgeRecord purge;
  Instead instead;
  size_t bytes = 0;
  const auto commit_part = [&]() -> absl::Status {
    if (purge.epochs.empty()) return absl::OkStatus();
    TOLLBOOK_RETURN_IF_ERROR(CommitPurge(terms, part, std::exchange(purge, {}), std::exchange(instead, {})));
    all.epochs += part.epochs;
    all.payloads += part.payloads;
    all.bytes += part.bytes;
    part = {};
    bytes = 0;
    return absl::OkStatus();
  };
  for (const CommitRecord& record : *commits) {
    if (record.kind != CommitKind::kEpoch || record.committed_at_nanos >= terms.before_nanos) continue;
    const uint64_t before = part.bytes;
    TOLLBOOK_RETURN_IF_ERROR(AddPurged(record, *contents, *held_floor, terms.today, &part, &purge, &instead));
    bytes += part.bytes - before;
    if (bytes >= kPartBytes) TOLLBOOK_RETURN_IF_ERROR(commit_part());
  }
  TOLLBOOK_RETURN_IF_ERROR(commit_part());
  // Also when there was nothing to do: an earlier call may have been killed between the two.
  TOLLBOOK_RETURN_IF_ERROR(store_->Rewrite(Family::kExceptions));
  return all;
}

absl::StatusOr<std::vector<PeriodChange>> StoredBook::PeriodChanges(uint64_t through_sequence) const {
  absl::StatusOr<std::vector<PeriodChange>> changes =
      Decoded<PeriodChange>(*store_, Family::kDefault, kPeriodPrefix, DecodePeriodChange);
  if (changes.ok()) {
    std::erase_if(*changes, [&](const PeriodChange& change) { return change.sequence > through_sequence; });
  }
  return changes;
}

// A catalog that an earlier seal stored is there already, and not written again: it can be larger than all that a seal
// books. Under the same digest it must be the same.
absl::Status StoredBook::PutCatalog(const SealCommit& seal, CommitWrite* write) const {
  const std::string key = Named(kCatalogPrefix, seal.record.catalog_digest);
  const std::string files = Encode(seal.catalog_files);
  const absl::StatusOr<std::optional<std::string>> stored = store_->Get(Family::kJournal, key);
  if (!stored.ok()) return stored.status();
  if (stored->has_value() && **stored != files) return DamagedError(directory_ + ": " + key);
  if (stored->has_value()) {
    write->RefersTo(Family::kJournal, key, files);
  } else {
    write->PutForEver(Family::kJournal, key, files);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<SourceRecord>> StoredBook::Sources() const {
  return Decoded<SourceRecord>(*store_, Family::kDefault, kSourcePrefix, DecodeSourceRecord);
}

absl::StatusOr<std::vector<MeterRecord>> StoredBook::MeterRecords() const {
  return Decoded<MeterRecord>(*store_, Family::kDefault, kMeterPrefix, DecodeMeterRecord);
}

absl::StatusOr<std::vector<Meter>> StoredBook::Meters() const {
  absl::StatusOr<std::vector<MeterRecord>> records = MeterRecords();
  if (!records.ok()) return records.status();
  std::vector<Meter> meters;
  for (MeterRecord& record : *records) meters.push_back(std::move(record.meter));
  return meters;
}

absl::StatusOr<std::vector<SealRecord>> StoredBook::Seals() const {
  return Decoded<SealRecord>(*store_, Family::kJournal, kSealPrefix, DecodeSealRecord);
}

absl::StatusOr<std::map<std::string, std::string>> StoredBook::CatalogFiles(std::string_view digest) const {
  const std::string key = Named(kCatalogPrefix, digest);
  const absl::StatusOr<std::optional<std::string>> stored = store_->Get(Family::kJournal, key);
  if (!stored.ok()) return stored.status();
  if (!stored->has_value()) return DamagedError(directory_ + ": " + key + " is missing");
  return DecodeCatalogFiles(**stored);
}

absl::StatusOr<std::vector<JournalBatch>> StoredBook::Batches() const {
  absl::StatusOr<std::vector<JournalBatch>> batches =
      Decoded<JournalBatch>(*store_, Family::kJournal, kBatchPrefix, DecodeJournalBatch);
  if (!batches.ok()) return batches;
  // Ids do not sort so: "acme-x" comes after "acme", and its batches before those in USD.
  std::sort(batches->begin(), batches->end(), [](const JournalBatch& a, const JournalBatch& b) {
    return std::tie(a.entity, a.currency, a.accounting_period, a.seal, a.reverses, a.part) <
           std::tie(b.entity, b.currency, b.accounting_period, b.seal, b.reverses, b.part);
  });
  return batches;
}

absl::StatusOr<std::vector<CommitRecord>> StoredBook::Commits() const {
  return Decoded<CommitRecord>(*store_, Family::kDefault, kCommitPrefix, DecodeCommitRecord);
}

absl::StatusOr<uint64_t> StoredBook::Floor(std::string_view key) const {
  const absl::StatusOr<std::optional<std::string>> stored = store_->Get(Family::kDefault, key);
  if (!stored.ok()) return stored.status();
  if (!stored->has_value()) return 0;
  ByteReader in(**stored);
  const uint64_t floor = in.Fixed64();
  const bool is_plain = in.left() == 0;
  if (!is_plain && in.Fixed8() != 1) in.Fail();
  if (!in.done()) return DamagedError(directory_ + ": " + std::string(key));
  return floor;
}

absl::StatusOr<HeldChanges> StoredBook::ChangesOf(uint64_t floor, uint64_t through_sequence) const {
  HeldChanges changes;
  TOLLBOOK_RETURN_IF_ERROR(store_->ScanFrom(Family::kDefault, kHeldChangesPrefix, Numbered(kHeldChangesPrefix, floor),
                                            [&](std::string_view key, std::string_view value) {
                                              ByteReader in(key.substr(kHeldChangesPrefix.size()));
                                              const bool is_due = in.Fixed64() <= through_sequence;
                                              return is_due ? changes.Add(value) : absl::OkStatus();
                                            }));
  return changes;
}

absl::StatusOr<std::set<uint64_t>> StoredBook::PartialRetries() const {
  std::set<uint64_t> sequences;
  TOLLBOOK_RETURN_IF_ERROR(
      store_->Scan(Family::kDefault, kHeldChangesPrefix, [&](std::string_view key, std::string_view) {
        ByteReader in(key.substr(kHeldChangesPrefix.size()));
        sequences.insert(in.Fixed64());
        return in.done() ? absl::OkStatus() : DamagedError(directory_ + ": the key of what became of held lines");
      }));
  return sequences;
}

// Visits what is still held of a chunk.
absl::Status VisitHeld(const HeldChanges& changes, const HeldPlace& place, StoredExceptions chunk,
                       const Book::VisitExceptions& visit) {
  const HeldKind kind = chunk.corrections ? HeldKind::kCorrections : HeldKind::kEvents;
  if (changes.Has(kind, place)) {
    const absl::StatusOr<HeldLines> lines = changes.LinesOf(kind, place, chunk.bytes);
    if (!lines.ok()) return lines.status();
    if (lines->records.empty()) return absl::OkStatus();
    chunk.bytes = Encode(lines->records);
  }
  return visit(chunk);
}

absl::Status StoredBook::ForEachExceptions(const VisitExceptions& visit) const {
  const absl::StatusOr<uint64_t> held_floor = Floor(kHeldFloorKey);
  if (!held_floor.ok()) return held_floor.status();
  const absl::StatusOr<HeldChanges> changes = ChangesOf(*held_floor);
  if (!changes.ok()) return changes.status();
  TOLLBOOK_RETURN_IF_ERROR(ScanExceptions(*held_floor, *changes, visit));
  return ForEachHeldCorrections(visit);
}

absl::Status StoredBook::ForEachNotAccepted(uint64_t through_sequence, const VisitExceptions& visit) const {
  const absl::StatusOr<std::vector<CommitRecord>> commits = Commits();
  if (!commits.ok()) return commits.status();
  uint64_t held_floor = 0;
  const absl::StatusOr<std::set<uint64_t>> partial = PartialRetries();
  if (!partial.ok()) return partial.status();
  for (const CommitRecord& commit : *commits) {
    if (commit.retires_held && commit.sequence <= through_sequence && !partial->contains(commit.sequence))
      held_floor = commit.sequence;
  }
  const absl::StatusOr<HeldChanges> changes = ChangesOf(held_floor, through_sequence);
  if (!changes.ok()) return changes.status();
  return ScanExceptions(held_floor, *changes, visit);
}

absl::Status StoredBook::ScanExceptions(uint64_t held_floor, const HeldChanges& changes,
                                        const VisitExceptions& visit) const {
  const auto visit_chunk = [&](std::string_view key, std::string_view value) {
    ByteReader in(key);
    StoredExceptions chunk;
    chunk.sequence = in.Fixed64();
    const uint32_t number = in.Fixed32();
    chunk.held = in.Flag();
    if (!in.done()) return DamagedError(directory_ + ": the key of exceptions");
    if (chunk.held && chunk.sequence < held_floor) return absl::OkStatus();
    chunk.bytes = value;
    if (!chunk.held) return visit(chunk);
    return VisitHeld(changes, {chunk.sequence, number}, std::move(chunk), visit);
  };
  return store_->Scan(Family::kExceptions, "", visit_chunk);
}

absl::Status StoredBook::ForEachHeldCorrections(const VisitExceptions& visit) const {
  const absl::StatusOr<uint64_t> floor = Floor(kHeldCorrectionsFloorKey);
  if (!floor.ok()) return floor.status();
  const absl::StatusOr<HeldChanges> changes = ChangesOf(*floor);
  if (!changes.ok()) return changes.status();
  return store_->ScanFrom(
      Family::kDefault, kHeldCorrectionPrefix, Numbered(kHeldCorrectionPrefix, *floor),
      [&](std::string_view key, std::string_view value) {
        ByteReader in(key.substr(kHeldCorrectionPrefix.size()));
        const uint64_t sequence = in.Fixed64();
        const uint32_t number = in.Fixed32();
        if (!in.done()) return DamagedError(directory_ + ": the key of corrections");
        return VisitHeld(*changes, {sequence, number}, {sequence, true, std::string(value), true}, visit);
      });
}

absl::StatusOr<HeldQueue> StoredBook::Held(HeldKind kind) const {
  const bool corrections = kind == HeldKind::kCorrections;
  const absl::StatusOr<uint64_t> floor = Floor(corrections ? kHeldCorrectionsFloorKey : kHeldFloorKey);
  if (!floor.ok()) return floor.status();
  absl::StatusOr<HeldChanges> changes = ChangesOf(*floor);
  if (!changes.ok()) return changes.status();
  HeldQueue queue{{}, *std::move(changes)};
  const std::string_view prefix = corrections ? kHeldCorrectionPrefix : "";
  const auto add = [&](std::string_view key, std::string_view) {
    ByteReader in(key.substr(prefix.size()));
    HeldPlace place{in.Fixed64(), 0};
    place.chunk = in.Fixed32();
    const bool is_held = corrections || in.Flag();
    if (!in.done()) return DamagedError(directory_ + ": the key of what is held");
    if (is_held) queue.places.push_back(place);
    return absl::OkStatus();
  };
  const Family family = corrections ? Family::kDefault : Family::kExceptions;
  TOLLBOOK_RETURN_IF_ERROR(store_->ScanFrom(family, prefix, Numbered(prefix, *floor), add));
  return queue;
}

absl::StatusOr<HeldLines> StoredBook::ReadHeld(HeldKind kind, const HeldPlace& place,
                                               const HeldChanges& changes) const {
  const absl::StatusOr<std::optional<std::string>> chunk =
      kind == HeldKind::kCorrections
          ? store_->Get(Family::kDefault, HeldCorrectionKey(place.sequence, place.chunk))
          : store_->Get(Family::kExceptions, ExceptionKey(place.sequence, place.chunk, true));
  if (!chunk.ok()) return chunk.status();
  if (!chunk->has_value()) return DamagedError(directory_ + ": what is held is missing");
  return changes.LinesOf(kind, place, **chunk);
}

absl::Status StoredBook::ForEachCorrections(const VisitExceptions& visit) const {
  return store_->Scan(Family::kDefault, kCorrectionPrefix, [&](std::string_view key, std::string_view value) {
    ByteReader in(key.substr(kCorrectionPrefix.size()));
    const StoredExceptions chunk{in.Fixed64(), false, std::string(value), false};
    return in.done() ? visit(chunk) : DamagedError(directory_ + ": the key of corrections");
  });
}

absl::StatusOr<StoredBook::Contents> StoredBook::ReadContents() const {
  absl::StatusOr<std::vector<SealRecord>> seals = Seals();
  if (!seals.ok()) return seals.status();
  absl::StatusOr<std::vector<MeterRecord>> meters = MeterRecords();
  if (!meters.ok()) return meters.status();
  Contents contents;
  for (SealRecord& seal : *seals) contents.seals.emplace(seal.sequence, std::move(seal));
  for (MeterRecord& meter : *meters) contents.meters[meter.sequence].push_back(std::move(meter));
  const absl::StatusOr<std::vector<PurgeRecord>> purges = Purges();
  if (!purges.ok()) return purges.status();
  for (const PurgeRecord& purge : *purges) {
    for (const PurgedEpoch& epoch : purge.epochs) {
      contents.purged_bodies[epoch.sequence] = epoch.body;
      contents.purged_chunks[epoch.sequence].insert(epoch.chunks.begin(), epoch.chunks.end());
    }
  }
  return contents;
}

absl::Status StoredBook::AddStored(Family family, const std::string& key, Body* body) const {
  const absl::StatusOr<std::optional<std::string>> value = store_->Get(family, key);
  if (value.ok() && value->has_value()) body->Add(family, key, **value);
  return value.status();
}

// In the order of CommitEpoch.
absl::Status StoredBook::AddEpoch(uint64_t sequence, const Contents& contents, const Instead* instead,
                                  Body* body) const {
  for (int shard = 0; shard < kTotalShards; ++shard) {
    TOLLBOOK_RETURN_IF_ERROR(AddStored(Family::kTotals, ShardKey("", shard, sequence), body));
  }
  TOLLBOOK_RETURN_IF_ERROR(
      store_->Scan(Family::kExceptions, Numbered("", sequence), [&](std::string_view key, std::string_view value) {
        const auto other = instead == nullptr ? Instead::const_iterator() : instead->find(key);
        const bool is_other = instead != nullptr && other != instead->end();
        body->Add(Family::kExceptions, key, is_other ? std::string_view(other->second) : value);
        return absl::OkStatus();
      }));
  if (const auto meters = contents.meters.find(sequence); meters != contents.meters.end()) {
    for (const MeterRecord& record : meters->second) {
      TOLLBOOK_RETURN_IF_ERROR(AddStored(Family::kDefault, Named(kMeterPrefix, record.meter.name), body));
    }
  }
  TOLLBOOK_RETURN_IF_ERROR(store_->Scan(Family::kDefault, Numbered(kHeldCorrectionPrefix, sequence),
                                        [&](std::string_view key, std::string_view value) {
                                          body->Add(Family::kDefault, key, value);
                                          return absl::OkStatus();
                                        }));
  TOLLBOOK_RETURN_IF_ERROR(AddStored(Family::kDefault, Numbered(kCorrectionPrefix, sequence), body));
  TOLLBOOK_RETURN_IF_ERROR(AddStored(Family::kDefault, Numbered(kHeldChangesPrefix, sequence), body));
  return AddStored(Family::kDefault, Numbered(kUsagePrefix, sequence), body);
}

// In the order of CommitSeal.
absl::Status StoredBook::AddSeal(uint64_t sequence, const Contents& contents, Body* body) const {
  const auto found = contents.seals.find(sequence);
  if (found == contents.seals.end()) return DamagedError("its seal is missing");
  const SealRecord& seal = found->second;
  for (const std::string& batch : seal.batches) {
    TOLLBOOK_RETURN_IF_ERROR(AddStored(Family::kJournal, Named(kBatchPrefix, batch), body));
  }
  for (int shard = 0; shard < kTotalShards; ++shard) {
    TOLLBOOK_RETURN_IF_ERROR(AddStored(Family::kJournal, ShardKey(kDifferencePrefix, shard, sequence), body));
  }
  TOLLBOOK_RETURN_IF_ERROR(AddStored(Family::kJournal, Numbered(kSealPrefix, seal.number), body));
  return AddStored(Family::kJournal, Named(kCatalogPrefix, seal.catalog_digest), body);
}

absl::Status StoredBook::AddPeriodChange(uint64_t sequence, Body* body) const {
  return AddStored(Family::kDefault, Numbered(kPeriodPrefix, sequence), body);
}

absl::Status StoredBook::AddDecisions(uint64_t sequence, Body* body) const {
  TOLLBOOK_RETURN_IF_ERROR(AddStored(Family::kDefault, Numbered(kDecisionPrefix, sequence), body));
  TOLLBOOK_RETURN_IF_ERROR(AddStored(Family::kDefault, Numbered(kPurgePrefix, sequence), body));
  TOLLBOOK_RETURN_IF_ERROR(AddStored(Family::kDefault, Numbered(kUsagePurgePrefix, sequence), body));
  return AddRestoreMark(sequence, body);
}

// The mark of an earlier program stands beside the commit that it names, which was made long before it.
absl::Status StoredBook::AddRestoreMark(uint64_t sequence, Body* body) const {
  const std::string key = Numbered(kRestoredPrefix, sequence);
  const absl::StatusOr<std::optional<std::string>> stored = store_->Get(Family::kDefault, key);
  if (!stored.ok() || !stored->has_value()) return stored.status();
  const absl::StatusOr<RestoreMark> mark = DecodeRestoreMark(**stored);
  if (!mark.ok()) return mark.status();
  if (mark->sequence < sequence) body->Add(Family::kDefault, key, **stored);
  return absl::OkStatus();
}

absl::Status StoredBook::AddCutOff(uint64_t sequence, Body* body) const {
  TOLLBOOK_RETURN_IF_ERROR(AddStored(Family::kDefault, Numbered(kDecisionPrefix, sequence), body));
  return AddStored(Family::kDefault, Numbered(kCutOffPrefix, sequence), body);
}

absl::StatusOr<std::array<uint64_t, 2>> StoredBook::DigestOf(const CommitRecord& record, const Contents& contents,
                                                             Sha256Stream* also, const Instead* instead) const {
  Body body(also);
  switch (record.kind) {
    case CommitKind::kEpoch:
      TOLLBOOK_RETURN_IF_ERROR(AddEpoch(record.sequence, contents, instead, &body));
      break;
    case CommitKind::kSeal:
      TOLLBOOK_RETURN_IF_ERROR(AddSeal(record.sequence, contents, &body));
      break;
    case CommitKind::kPeriodChange:
      TOLLBOOK_RETURN_IF_ERROR(AddPeriodChange(record.sequence, &body));
      break;
    case CommitKind::kDecisions:
      TOLLBOOK_RETURN_IF_ERROR(AddDecisions(record.sequence, &body));
      break;
    case CommitKind::kCutOff:
      TOLLBOOK_RETURN_IF_ERROR(AddCutOff(record.sequence, &body));
      break;
  }
  TOLLBOOK_RETURN_IF_ERROR(AddStored(Family::kDefault, Numbered(kCatalogLoadPrefix, record.sequence), &body));
  return body.Digest();
}

// What the commit stored is what was written; or, of a purged epoch, what the purge left of it.
absl::Status StoredBook::CheckBody(const CommitRecord& record, const Contents& contents, Sha256Stream* also) const {
  const std::string which = "commit " + std::to_string(record.sequence);
  const absl::StatusOr<std::array<uint64_t, 2>> digest = DigestOf(record, contents, also);
  if (!digest.ok()) return DamagedError(which + ": " + WhichIsDamaged(digest.status()));
  const auto purged = contents.purged_bodies.find(record.sequence);
  const bool is_right = *digest == (purged == contents.purged_bodies.end() ? record.body : purged->second);
  return is_right ? absl::OkStatus() : DamagedError(which + ": what it stored is not what was written");
}

// What each commit stored, its digest checked, then its record, which vouches for those before it.
absl::StatusOr<Anchor> StoredBook::AnchorOf(uint64_t sequence) const {
  if (sequence > last_.sequence) {
    return MakeError(absl::StatusCode::kOutOfRange, "the book has no such commit",
                     std::to_string(sequence) + " of " + std::to_string(last_.sequence),
                     "it was cut, or the anchor is of another book");
  }
  const absl::StatusOr<Contents> contents = ReadContents();
  if (!contents.ok()) return contents.status();
  Sha256Stream stream;
  const absl::StatusOr<CommitRecord> newest = WalkChain(*store_, [&](const CommitRecord& record) -> absl::Status {
    if (record.sequence > sequence) return absl::OkStatus();
    TOLLBOOK_RETURN_IF_ERROR(CheckBody(record, *contents, &stream));
    stream.Add(Encode(record));
    return absl::OkStatus();
  });
  if (!newest.ok()) return newest.status();
  return Anchor{sequence, stream.Finish()};
}

// How many there are, each with what it stored; and the seen entries of all of them.
absl::StatusOr<uint64_t> StoredBook::CheckCommits(SeenSum* seen) const {
  const absl::StatusOr<Contents> contents = ReadContents();
  if (!contents.ok()) return contents.status();
  const absl::StatusOr<std::set<uint64_t>> partial = PartialRetries();
  if (!partial.ok()) return partial.status();
  uint64_t retired_by = 0, corrections_retired_by = 0;
  const absl::StatusOr<CommitRecord> newest = WalkChain(*store_, [&](const CommitRecord& record) -> absl::Status {
    TOLLBOOK_RETURN_IF_ERROR(CheckBody(record, *contents));
    if (record.retires_held && !partial->contains(record.sequence)) retired_by = record.sequence;
    if (record.retires_corrections && !partial->contains(record.sequence)) corrections_retired_by = record.sequence;
    *seen += record.seen;
    return absl::OkStatus();
  });
  if (!newest.ok()) return newest.status();
  if (!high_water_.Admits(*newest)) return DamagedError("the newest commits are missing");
  const absl::StatusOr<uint64_t> held_floor = Floor(kHeldFloorKey);
  if (!held_floor.ok()) return held_floor.status();
  const absl::StatusOr<uint64_t> corrections_floor = Floor(kHeldCorrectionsFloorKey);
  if (!corrections_floor.ok()) return corrections_floor.status();
  if (*held_floor != retired_by || *corrections_floor != corrections_retired_by)
    return DamagedError("what is held is not what was written");
  return newest->sequence;
}

// What the chain's decisions let go.
absl::Status StoredBook::LessForgotten(SeenSum* seen, uint64_t* forgotten) const {
  const absl::StatusOr<std::vector<CutOff>> cut_offs = CutOffs();
  if (!cut_offs.ok()) return cut_offs.status();
  for (const CutOff& cut_off : *cut_offs) {
    if (seen->entries < cut_off.forgotten.entries) return DamagedError("more keys are forgotten than were accepted");
    *seen -= cut_off.forgotten;
    *forgotten += cut_off.forgotten.entries;
  }
  return absl::OkStatus();
}

std::vector<Book::Check> StoredBook::CheckStore() const {
  AssertNoCommit();
  const absl::Status checksums = store_->VerifyChecksums();
  SeenSum sum;
  uint64_t forgotten = 0;
  const absl::StatusOr<uint64_t> commits = CheckCommits(&sum);
  absl::Status seen = commits.status();
  if (seen.ok()) seen = LessForgotten(&sum, &forgotten);
  if (seen.ok()) seen = seen_.Check(sum);
  const std::string of_them = forgotten == 0 ? "" : ", but for " + std::to_string(forgotten) + " forgotten";
  const auto detail = [](const absl::Status& status, std::string when_ok) {
    return status.ok() ? std::move(when_ok) : std::string(Std(status.message()));
  };
  std::vector<Check> checks = {
      {"checksums of the store", checksums.ok(), detail(checksums, "every block of its tables")},
      {"chain of commits", commits.ok(),
       detail(commits.status(), std::to_string(commits.value_or(0)) + " commits, each with what it stored")},
      {"seen events", seen.ok(),
       detail(seen, std::to_string(sum.entries) + ", as the commits accepted them" + of_them)}};
  const absl::StatusOr<std::vector<UsageSegment>> segments = UsageSegments();
  if (!segments.ok() || !segments->empty()) {
    std::string logged;
    const absl::Status usage = segments.ok() ? CheckUsage(*segments, &logged) : segments.status();
    checks.push_back({"usage log", usage.ok(), detail(usage, std::move(logged))});
  }
  const absl::StatusOr<uint64_t> deliveries = CheckOutbox();
  if (deliveries.value_or(1) == 0) return checks;  // a book that delivers nothing
  checks.push_back({"deliveries", deliveries.ok(),
                    detail(deliveries.status(), std::to_string(deliveries.value_or(0)) +
                                                    ", each of a batch, with the bytes that were planned")});
  return checks;
}

absl::Status StoredBook::CheckUsage(std::span<const UsageSegment> segments, std::string* detail) const {
  uint64_t there = 0, bytes = 0;
  for (const UsageSegment& segment : segments) {
    if (segment.purged_by != 0) continue;
    TOLLBOOK_RETURN_IF_ERROR(usage_.Read(segment.place).status());
    ++there;
    bytes += segment.place.bytes;
  }
  const auto count = [](uint64_t number) { return std::to_string(number) + (number == 1 ? " segment" : " segments"); };
  *detail = count(there) + ", " + std::to_string(bytes) + " bytes, each with its hash";
  if (there < segments.size()) *detail += "; " + count(segments.size() - there) + " purged";
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> StoredBook::CheckOutbox() const {
  const absl::StatusOr<std::vector<JournalBatch>> batches = Batches();
  if (!batches.ok()) return batches.status();
  std::set<std::string, std::less<>> ids;
  for (const JournalBatch& batch : *batches) ids.insert(batch.id);
  const absl::StatusOr<uint64_t> count = outbox_.Check(ids, next_seal() - 1, last_sequence());
  if (!count.ok()) return count;
  const absl::StatusOr<std::vector<Delivery>> deliveries = outbox_.Deliveries();
  if (!deliveries.ok()) return deliveries.status();
  const absl::StatusOr<std::vector<DecisionCommit>> decisions = Decisions();
  if (!decisions.ok()) return decisions.status();
  TOLLBOOK_RETURN_IF_ERROR(CheckTold(ToldStatesOf(*decisions), *deliveries));
  return count;
}

class StoredBook::HeldCut final : public BookCut {
 public:
  explicit HeldCut(StoredBook* book) : book_(*book) {}
  ~HeldCut() override {
    book_.AssertNoCommit();
    book_.store_->ReleaseFiles();
    book_.seen_.ReleaseFiles();
    book_.cut_ = false;
  }

 private:
  StoredBook& book_;
};

absl::Status StoredBook::ListCut(BookCut* cut) {
  cut->directory = directory_;
  cut->identity = identity_;
  cut->sequence = last_.sequence;
  cut->hash = last_.hash;
  for (const SeenStore::Extent& extent : seen_.HoldFiles())
    cut->files.push_back({extent.name, extent.bytes, "", false});
  for (const auto& [name, bytes] : usage_.Extents()) cut->files.push_back({name, bytes, "", false});
  absl::StatusOr<std::vector<StoreFile>> stored = store_->HoldFiles();
  if (!stored.ok()) return stored.status();
  for (StoreFile& file : *stored)
    cut->files.push_back({"store/" + file.name, file.bytes, std::move(file.contents), file.for_ever});
  absl::StatusOr<std::string> identity = store_->Identity();
  if (!identity.ok()) return identity.status();
  cut->store_identity = *std::move(identity);
  const auto add = [&](std::string_view name, std::string contents) {
    cut->files.push_back({std::string(name), contents.size(), std::move(contents), false});
  };
  add(HighWater::kFileName, HighWater::BytesOf(high_water_.mark()));
  add(kFormatFileName, FormatFileBytes(format_version_));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<BookCut>> StoredBook::TakeCut() {
  TOLLBOOK_RETURN_IF_ERROR(CheckUsable());
  AssertNoCommit();
  TOLLBOOK_ASSERT(!cut_);
  cut_ = true;
  auto cut = std::make_unique<HeldCut>(this);
  TOLLBOOK_RETURN_IF_ERROR(ListCut(cut.get()));
  return cut;
}

// A commit of its own, so that the chain vouches for it: without it nothing would hold the targets.
absl::Status StoredBook::MarkRestored(const RestoreMark& mark) {
  TOLLBOOK_RETURN_IF_ERROR(CheckUsable());
  TOLLBOOK_ASSERT(mark.sequence == last_.sequence);
  const Committing committing(&committing_);
  CommitRecord record;
  record.kind = CommitKind::kDecisions;
  CommitWrite write(store_->NewWrite(4096));
  write.PutForEver(Family::kDefault, Numbered(kRestoredPrefix, mark.sequence + 1), Encode(mark));
  return Commit(std::move(record), std::move(write));
}

}  // namespace

// There is one kind of Book. Not one of its methods, for its header is what half of the program includes.
Outbox& OutboxOf(Book& book) {
  return dynamic_cast<StoredBook&>(book).outbox();
}

absl::StatusOr<Anchor> AnchorOf(const Book& book, std::optional<uint64_t> sequence) {
  return dynamic_cast<const StoredBook&>(book).AnchorOf(sequence.value_or(book.last_sequence()));
}

absl::StatusOr<std::vector<Delivery>> DeliveriesOf(const Book& book) {
  return dynamic_cast<const StoredBook&>(book).outbox().Deliveries();
}

absl::Status CommitDecisions(Book& book, std::span<const Decision> decisions) {
  return dynamic_cast<StoredBook&>(book).CommitDecisions(decisions);
}

absl::StatusOr<std::vector<DecisionCommit>> Decisions(const Book& book) {
  return dynamic_cast<const StoredBook&>(book).Decisions();
}

absl::Status NoteCatalogLoad(Book& book, CatalogLoad load) {
  return dynamic_cast<StoredBook&>(book).NoteCatalogLoad(std::move(load));
}

absl::StatusOr<std::vector<CatalogLoad>> CatalogLoads(const Book& book) {
  return dynamic_cast<const StoredBook&>(book).CatalogLoads();
}

absl::StatusOr<PurgeReport> PurgePayloads(Book& book, const PurgeTerms& terms) {
  return dynamic_cast<StoredBook&>(book).PurgePayloads(terms);
}

absl::Status CommitEpoch(Book& book, const EpochCommit& epoch, std::span<const PackedUsage> usage) {
  if (usage.empty()) return book.CommitEpoch(epoch);
  return dynamic_cast<StoredBook&>(book).CommitEpoch(epoch, usage);
}

absl::StatusOr<std::vector<UsageSegment>> UsageSegments(const Book& book) {
  return dynamic_cast<const StoredBook&>(book).UsageSegments();
}

absl::StatusOr<std::string> ReadUsage(const Book& book, const UsageSegment& segment) {
  return dynamic_cast<const StoredBook&>(book).ReadUsage(segment);
}

absl::StatusOr<UsagePurgeReport> PurgeUsage(Book& book, const PurgeTerms& terms) {
  return dynamic_cast<StoredBook&>(book).PurgeUsage(terms);
}

absl::StatusOr<ForgetReport> ForgetKeys(Book& book, const ForgetTerms& terms) {
  return dynamic_cast<StoredBook&>(book).ForgetKeys(terms);
}

const HeldStore& HeldOf(const Book& book) {
  return dynamic_cast<const HeldStore&>(book);
}

HeldStore& HeldOf(Book& book) {
  return dynamic_cast<HeldStore&>(book);
}

absl::StatusOr<std::vector<MeterRecord>> MeterRecordsOf(const Book& book) {
  return dynamic_cast<const StoredBook&>(book).MeterRecords();
}

// Absorb asks it of every book, also of one that a test has put before the real one; that forgets nothing.
absl::StatusOr<std::vector<CutOff>> CutOffs(const Book& book) {
  const auto* const stored = dynamic_cast<const StoredBook*>(&book);
  return stored == nullptr ? std::vector<CutOff>() : stored->CutOffs();
}

std::map<Day, SeenKept> KeptKeys(const Book& book) {
  return dynamic_cast<const StoredBook&>(book).KeptKeys();
}

absl::StatusOr<std::vector<PurgeRecord>> Purges(const Book& book) {
  return dynamic_cast<const StoredBook&>(book).Purges();
}

std::string DirectoryOf(const Book& book) {
  return dynamic_cast<const StoredBook&>(book).directory();
}

absl::StatusOr<std::unique_ptr<BookCut>> TakeCut(Book& book) {
  return dynamic_cast<StoredBook&>(book).TakeCut();
}

absl::Status MarkRestored(Book& book, const RestoreMark& mark) {
  return dynamic_cast<StoredBook&>(book).MarkRestored(mark);
}

absl::StatusOr<std::vector<RestoreMark>> RestoreMarks(const Book& book) {
  return dynamic_cast<const StoredBook&>(book).RestoreMarks();
}

std::string Encode(const RestoreMark& mark) {
  ByteWriter out;
  out.Varint(mark.sequence);
  out.Varint(mark.backup);
  out.Zigzag(mark.restored_at_nanos);
  out.Text(mark.by);
  return out.Take();
}

absl::StatusOr<RestoreMark> DecodeRestoreMark(std::string_view stored) {
  ByteReader in(stored);
  RestoreMark mark;
  mark.sequence = in.Varint64();
  mark.backup = in.Varint64();
  mark.restored_at_nanos = in.Zigzag64();
  if (!in.done()) mark.by = in.Text();  // of earlier ones nothing
  if (!in.done()) return DamagedError("the mark of a restore");
  return mark;
}

absl::StatusOr<std::unique_ptr<Book>> Book::Open(const BookOptions& options) {
  const std::string& directory = options.directory;
  TOLLBOOK_RETURN_IF_ERROR(PrepareDirectory(options));
  absl::StatusOr<BookLock> lock = BookLock::Take(directory, options.holder);
  if (!lock.ok()) return lock.status();
  const absl::StatusOr<uint32_t> version = ReadFormatFile(directory);  // again: now nobody else is making it
  if (!version.ok()) return version.status();
  const bool is_new = *version == 0;
  if (is_new) TOLLBOOK_RETURN_IF_ERROR(MakeBook(options));
  absl::StatusOr<HighWater> high_water = HighWater::Open(directory);
  if (!high_water.ok()) return high_water.status();
  const std::string logs = Store::LogsOf(directory);
  absl::StatusOr<std::unique_ptr<Store>> store = OpenStore(directory, *high_water);
  if (!store.ok()) return store.status();
  auto book = std::make_unique<StoredBook>(directory, *std::move(lock), *std::move(high_water), *std::move(store),
                                           options.now_nanos, is_new ? kFormatVersion : *version);
  TOLLBOOK_RETURN_IF_ERROR(book->ReadIdentity(options));
  TOLLBOOK_RETURN_IF_ERROR(book->ReadChain(logs));
  TOLLBOOK_RETURN_IF_ERROR(book->CountSeals());
  TOLLBOOK_RETURN_IF_ERROR(book->OpenSeen());
  TOLLBOOK_RETURN_IF_ERROR(book->OpenUsage());
  return book;
}

}  // namespace tollbook
