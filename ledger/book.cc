#include "ledger/book.h"

#include <fcntl.h>
#include <rocksdb/db.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <unistd.h>
#define XXH_INLINE_ALL  // the streaming state is complete only so
#include <xxhash.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "ledger/book_lock.h"
#include "ledger/bytes.h"
#include "ledger/high_water.h"

namespace tollbook {
namespace {

namespace fs = std::filesystem;

// Column families, by the order of kFamilyNames.
enum Family : size_t { kDefault, kSeen, kTotals, kExceptions, kJournal, kFamilies };
constexpr const char* kFamilyNames[kFamilies] = {"default", "seen", "totals", "exceptions", "journal"};

constexpr std::string_view kIdentityKey = "identity";
constexpr std::string_view kHeldFloorKey = "held_floor";
constexpr std::string_view kSourcePrefix = "source/";
constexpr std::string_view kMeterPrefix = "meter/";
constexpr std::string_view kCommitPrefix = "commit/";
constexpr std::string_view kCatalogPrefix = "catalog/";
constexpr std::string_view kSealPrefix = "seal/";
constexpr std::string_view kBatchPrefix = "batch/";
constexpr std::string_view kDifferencePrefix = "difference/";
constexpr const char* kFormatFile = "FORMAT";

rocksdb::Slice ToSlice(std::string_view text) {
  return {text.data(), text.size()};
}
std::string_view View(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

std::string Key(std::string_view prefix, uint64_t number) {
  ByteWriter key;
  key.Raw(prefix);
  key.Fixed64(number);
  return key.Take();
}

std::string ShardKey(std::string_view prefix, int shard, uint64_t sequence) {
  ByteWriter key;
  key.Raw(prefix);
  key.Fixed8(static_cast<uint8_t>(shard));
  key.Fixed64(sequence);
  return key.Take();
}

std::string ExceptionKey(uint64_t sequence, uint32_t chunk, bool held) {
  ByteWriter key;
  key.Fixed64(sequence);
  key.Fixed32(chunk);
  key.Fixed8(held ? 1 : 0);
  return key.Take();
}

// One write to the book: what goes in, and the digest of the part that never changes.
class Body {
 public:
  Body() { TOLLBOOK_ASSERT(XXH3_128bits_reset(&state_) == XXH_OK); }
  void Add(Family family, std::string_view key, std::string_view value) {
    ByteWriter header;
    header.Fixed8(static_cast<uint8_t>(family));
    header.Text(key);
    header.Varint(value.size());
    XXH3_128bits_update(&state_, header.bytes().data(), header.size());
    XXH3_128bits_update(&state_, value.data(), value.size());
  }
  std::array<uint64_t, 2> Digest() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(&state_);
    return {hash.high64, hash.low64};
  }

 private:
  alignas(64) XXH3_state_t state_;
};

absl::Status FromRocks(const rocksdb::Status& status, const std::string& directory) {
  if (status.ok()) return absl::OkStatus();
  if (status.IsCorruption()) return DamagedError(directory + ": " + status.ToString());
  if (status.IsNoSpace()) {
    return MakeError(
        absl::StatusCode::kUnavailable, "the disk is full", directory,
        "make space and run the same command again; what was acknowledged is kept, the rest is read again");
  }
  return MakeError(absl::StatusCode::kUnavailable, "the store cannot be read or written",
                   directory + ": " + status.ToString(),
                   "mend the cause and run the same command again; what was acknowledged is kept");
}

rocksdb::DBOptions DatabaseOptions() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_background_jobs = 2;
  options.bytes_per_sync = 1 << 20;
  options.max_total_wal_size = 512 << 20;
  options.track_and_verify_wals_in_manifest = true;
  options.keep_log_file_num = 3;
  options.info_log_level = rocksdb::WARN_LEVEL;
  return options;
}

// Values are few and large (a run of thousands of keys or totals), so they go to blob files, which compaction does not
// rewrite.
rocksdb::ColumnFamilyOptions FamilyOptions(Family family) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = 64 << 20;
  options.max_write_buffer_number = 4;
  if (family == kDefault) return options;
  options.enable_blob_files = true;
  options.min_blob_size = 512;
  options.blob_file_size = 256 << 20;
  // Seen keys are hashes: nothing to compress.
  options.blob_compression_type = family == kSeen ? rocksdb::kNoCompression : rocksdb::kLZ4Compression;
  if (family == kExceptions) options.blob_compression_type = rocksdb::kZSTD;
  return options;
}

absl::Status WriteFormatFile(const std::string& directory) {
  const std::string path = directory + "/" + kFormatFile;
  const std::string text = "tollbook book, format " + std::to_string(kFormatVersion) + "\n";
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  const bool written =
      fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  if (written) return absl::OkStatus();
  return MakeError(absl::StatusCode::kUnavailable, "cannot write", path + ": " + std::strerror(error),
                   "check the disk and the permissions of the book's directory");
}

// 0: there is no book.
absl::StatusOr<uint32_t> ReadFormatFile(const std::string& directory) {
  std::ifstream file(directory + "/" + kFormatFile);
  if (!file) return 0;
  std::string line;
  std::getline(file, line);
  constexpr std::string_view kStart = "tollbook book, format ";
  uint32_t version = 0;
  if (line.rfind(kStart, 0) == 0) {
    for (const char digit : line.substr(kStart.size())) {
      if (digit < '0' || digit > '9' || version > 100'000) return DamagedError(directory + "/" + kFormatFile);
      version = version * 10 + static_cast<uint32_t>(digit - '0');
    }
  }
  if (version == 0) return DamagedError(directory + "/" + kFormatFile);
  if (version > kFormatVersion) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "the book was made by a newer tollbook",
                     directory + " has format " + std::to_string(version) + ", this program knows up to " +
                         std::to_string(kFormatVersion),
                     "use the newer program");
  }
  return version;
}

// A directory that holds other things is not made into a book.
absl::Status PrepareDirectory(const BookOptions& options) {
  std::error_code error;
  if (!options.create && !fs::exists(options.directory + "/" + kFormatFile, error)) {
    return MakeError(absl::StatusCode::kNotFound, "there is no book", options.directory,
                     "name the directory that `tollbook run --books` made, or make one with it");
  }
  fs::create_directories(options.directory, error);
  if (error) {
    return MakeError(absl::StatusCode::kUnavailable, "cannot make the book's directory",
                     options.directory + ": " + error.message(), "check the path and its permissions");
  }
  if (fs::exists(options.directory + "/" + kFormatFile, error)) return absl::OkStatus();
  for (const fs::directory_entry& entry : fs::directory_iterator(options.directory, error)) {
    if (entry.path().filename() == "BOOKLOCK") continue;
    return MakeError(absl::StatusCode::kFailedPrecondition, "the directory is neither empty nor a book",
                     options.directory, "name an empty or new directory with --books");
  }
  return absl::OkStatus();
}

void Append(const Meter& meter, ByteWriter* out) {
  out->Text(meter.name);
  out->Text(meter.event_type);
  out->Fixed8(static_cast<uint8_t>(meter.aggregation));
  out->Text(meter.value_property);
  out->Varint(meter.dimensions.size());
  for (const std::string& dimension : meter.dimensions) out->Text(dimension);
  out->Text(meter.unit);
  out->Fixed8(static_cast<uint8_t>(meter.granularity));
  out->Fixed8(meter.allow_negative ? 1 : 0);
}

absl::StatusOr<Meter> DecodeMeter(std::string_view stored) {
  ByteReader in(stored);
  Meter meter;
  meter.name = in.Text();
  meter.event_type = in.Text();
  meter.aggregation = static_cast<Aggregation>(in.Fixed8());
  meter.value_property = in.Text();
  const uint64_t dimensions = in.Count();
  for (uint64_t i = 0; i < dimensions && in.ok(); ++i) meter.dimensions.emplace_back(in.Text());
  meter.unit = in.Text();
  meter.granularity = static_cast<Granularity>(in.Fixed8());
  meter.allow_negative = in.Fixed8() != 0;
  if (!in.done()) return DamagedError("meter record");
  return meter;
}

class RocksBook final : public Book {
 public:
  RocksBook(std::string directory, BookLock lock, HighWater high_water, std::function<int64_t()> now)
      : directory_(std::move(directory)),
        lock_(std::move(lock)),
        high_water_(std::move(high_water)),
        now_(std::move(now)) {}

  ~RocksBook() override {
    if (db_ == nullptr) return;
    for (rocksdb::ColumnFamilyHandle* handle : families_) db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    db_->Close().PermitUncheckedError();
  }

  absl::Status OpenStore();
  absl::Status Identify(const BookOptions& options);
  absl::Status CheckAgainstHighWater();
  absl::Status CountSeals();

  const BookIdentity& identity() const override { return identity_; }
  const LineCounts& counts() const override { return last_.book; }
  uint64_t last_sequence() const override { return last_.sequence; }
  uint64_t next_seal() const override { return next_seal_; }

  absl::Status CommitEpoch(const EpochCommit& epoch) override;
  absl::Status CommitSeal(const SealCommit& seal) override;

  absl::Status LoadSeen(int shard, SeenSet* into) const override;
  absl::StatusOr<std::vector<SourceRecord>> Sources() const override;
  absl::StatusOr<std::vector<Meter>> Meters() const override;
  absl::StatusOr<std::vector<StoredRun>> Totals(int shard, uint64_t through_sequence) const override {
    return Runs(kTotals, "", shard, through_sequence);
  }
  absl::StatusOr<std::vector<StoredRun>> Differences(int shard, uint64_t through_sequence) const override {
    return Runs(kJournal, kDifferencePrefix, shard, through_sequence);
  }
  absl::StatusOr<std::vector<SealRecord>> Seals() const override;
  absl::StatusOr<std::map<std::string, std::string>> CatalogFiles(std::string_view digest) const override;
  absl::StatusOr<std::vector<JournalBatch>> Batches() const override;
  absl::StatusOr<std::vector<CommitRecord>> Commits() const override;
  absl::Status ForEachExceptions(const std::function<absl::Status(const StoredExceptions&)>& visit) const override;
  std::vector<Check> CheckStore() const override;

 private:
  absl::StatusOr<std::optional<std::string>> Get(Family family, std::string_view key) const;
  // Visits the keys that start with `prefix`, in order.
  absl::Status Scan(Family family, std::string_view prefix,
                    const std::function<absl::Status(std::string_view key, std::string_view value)>& visit) const;
  absl::StatusOr<std::vector<StoredRun>> Runs(Family family, std::string_view prefix, int shard,
                                              uint64_t through_sequence) const;
  absl::Status Write(CommitRecord record, const Body& body, rocksdb::WriteBatch* batch);
  void Put(rocksdb::WriteBatch* batch, Family family, std::string_view key, std::string_view value) const {
    const rocksdb::Status status = batch->Put(families_[family], ToSlice(key), ToSlice(value));
    TOLLBOOK_ASSERT(status.ok());
  }
  absl::StatusOr<Body> BodyOf(const CommitRecord& record) const;
  Check CheckChain() const;

  const std::string directory_;
  BookLock lock_;
  HighWater high_water_;
  const std::function<int64_t()> now_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
  BookIdentity identity_;
  CommitRecord last_;
  uint64_t next_seal_ = 1;
  bool failed_ = false;  // a commit that failed leaves the store's state unknown until the next Open
};

absl::Status RocksBook::OpenStore() {
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (size_t family = 0; family < kFamilies; ++family) {
    descriptors.emplace_back(kFamilyNames[family], FamilyOptions(static_cast<Family>(family)));
  }
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::Open(DatabaseOptions(), directory_ + "/store", descriptors, &families_, &db);
  db_.reset(db);
  return FromRocks(status, directory_);
}

absl::Status RocksBook::Identify(const BookOptions& options) {
  absl::StatusOr<std::optional<std::string>> stored = Get(kDefault, kIdentityKey);
  if (!stored.ok()) return stored.status();
  if (!stored->has_value()) {
    // A crash may have come between the making of the directory and this write; nothing can have been committed before
    // it.
    if (high_water_.mark().sequence != 0) return DamagedError(directory_ + ": its identity is missing");
    if (options.identity.name.empty()) return DamagedError(directory_ + ": its making was not completed");
    rocksdb::WriteOptions write;
    write.sync = true;
    TOLLBOOK_RETURN_IF_ERROR(FromRocks(db_->Put(write, ToSlice(kIdentityKey), Encode(options.identity)), directory_));
    identity_ = options.identity;
    return absl::OkStatus();
  }
  absl::StatusOr<BookIdentity> identity = DecodeBookIdentity(**stored);
  if (!identity.ok()) return identity.status();
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

absl::Status RocksBook::CheckAgainstHighWater() {
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions(), families_[kDefault]));
  it->SeekForPrev(Key(kCommitPrefix, UINT64_MAX));
  if (it->Valid() && View(it->key()).starts_with(kCommitPrefix)) {
    absl::StatusOr<CommitRecord> last = DecodeCommitRecord(View(it->value()));
    if (!last.ok()) return last.status();
    last_ = *std::move(last);
  }
  TOLLBOOK_RETURN_IF_ERROR(FromRocks(it->status(), directory_));
  const HighWaterMark mark = high_water_.mark();
  // A crash between a commit and the raising of the mark leaves the store one ahead, never more.
  const bool one_ahead = last_.sequence == mark.sequence + 1;
  const bool level = last_.sequence == mark.sequence;
  if ((one_ahead && last_.previous == mark.hash) || (level && (mark.sequence == 0 || last_.hash == mark.hash))) {
    return one_ahead ? high_water_.Raise({last_.sequence, last_.hash}) : absl::OkStatus();
  }
  return DamagedError(directory_ + ": commit " + std::to_string(mark.sequence) +
                      " was acknowledged, and the store ends at commit " + std::to_string(last_.sequence) +
                      (level ? " with another content" : ""));
}

absl::Status RocksBook::CountSeals() {
  absl::StatusOr<std::vector<SealRecord>> seals = Seals();
  if (seals.ok() && !seals->empty()) next_seal_ = seals->back().number + 1;
  return seals.status();
}

absl::StatusOr<std::optional<std::string>> RocksBook::Get(Family family, std::string_view key) const {
  std::string value;
  const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), families_[family], ToSlice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return FromRocks(status, directory_);
  return std::optional<std::string>(std::move(value));
}

absl::Status RocksBook::Scan(Family family, std::string_view prefix,
                             const std::function<absl::Status(std::string_view, std::string_view)>& visit) const {
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions(), families_[family]));
  for (it->Seek(ToSlice(prefix)); it->Valid() && View(it->key()).starts_with(prefix); it->Next()) {
    TOLLBOOK_RETURN_IF_ERROR(visit(View(it->key()), View(it->value())));
  }
  return FromRocks(it->status(), directory_);
}

absl::StatusOr<std::vector<StoredRun>> RocksBook::Runs(Family family, std::string_view prefix, int shard,
                                                       uint64_t through_sequence) const {
  ByteWriter start;
  start.Raw(prefix);
  start.Fixed8(static_cast<uint8_t>(shard));
  std::vector<StoredRun> runs;
  const absl::Status scanned = Scan(family, start.bytes(), [&](std::string_view key, std::string_view value) {
    const uint64_t sequence = ByteReader(key.substr(start.size())).Fixed64();
    if (sequence <= through_sequence) runs.push_back({sequence, std::string(value)});
    return absl::OkStatus();
  });
  if (!scanned.ok()) return scanned;
  return runs;
}

absl::Status RocksBook::Write(CommitRecord record, const Body& body, rocksdb::WriteBatch* batch) {
  TOLLBOOK_ASSERT(!failed_);
  record.sequence = last_.sequence + 1;
  record.previous = last_.hash;
  record.body = body.Digest();
  record.committed_at_nanos = now_ ? now_() : 0;
  record.hash = HashOf(record);
  // Law 1 holds in the book at every commit, or the commit is not made.
  TOLLBOOK_ASSERT(record.book.balanced());
  Put(batch, kDefault, Key(kCommitPrefix, record.sequence), Encode(record));
  rocksdb::WriteOptions write;
  write.sync = true;
  absl::Status written = FromRocks(db_->Write(write, batch), directory_);
  if (written.ok()) written = high_water_.Raise({record.sequence, record.hash});
  failed_ = !written.ok();
  if (written.ok()) last_ = std::move(record);
  return written;
}

absl::Status RocksBook::CommitEpoch(const EpochCommit& epoch) {
  CommitRecord record;
  record.kind = CommitKind::kEpoch;
  record.delta = epoch.delta;
  record.book = last_.book;
  record.book += epoch.delta;
  record.covered = epoch.covered;
  const uint64_t sequence = last_.sequence + 1;

  rocksdb::WriteBatch batch;
  Body body;
  const auto put = [&](Family family, const std::string& key, std::string_view value) {
    body.Add(family, key, value);
    Put(&batch, family, key, value);
  };
  for (const auto& [shard, entries] : epoch.seen) {
    put(kSeen, ShardKey("", shard, sequence), {reinterpret_cast<const char*>(entries.data()), entries.size_bytes()});
  }
  for (const ShardRun& run : epoch.totals) put(kTotals, ShardKey("", run.shard, sequence), run.bytes);
  for (uint32_t chunk = 0; chunk < epoch.exceptions.size(); ++chunk) {
    put(kExceptions, ExceptionKey(sequence, chunk, epoch.exceptions[chunk].held), epoch.exceptions[chunk].bytes);
  }
  for (const SourceRecord& source : epoch.sources) Put(&batch, kDefault, Key(kSourcePrefix, source.id), Encode(source));
  for (const Meter& meter : epoch.new_meters) {
    ByteWriter definition;
    Append(meter, &definition);
    Put(&batch, kDefault, std::string(kMeterPrefix) + meter.name, definition.bytes());
  }
  if (epoch.retires_held) Put(&batch, kDefault, kHeldFloorKey, Key("", sequence));
  return Write(std::move(record), body, &batch);
}

absl::Status RocksBook::CommitSeal(const SealCommit& seal) {
  TOLLBOOK_ASSERT(seal.record.number == next_seal_);
  CommitRecord record;
  record.kind = CommitKind::kSeal;
  record.book = last_.book;
  const uint64_t sequence = last_.sequence + 1;

  rocksdb::WriteBatch batch;
  Body body;
  const auto put = [&](const std::string& key, std::string_view value) {
    body.Add(kJournal, key, value);
    Put(&batch, kJournal, key, value);
  };
  for (const JournalBatch& journal : seal.batches) put(std::string(kBatchPrefix) + journal.id, Encode(journal));
  for (const ShardRun& run : seal.differences) put(ShardKey(kDifferencePrefix, run.shard, sequence), run.bytes);
  SealRecord seal_record = seal.record;
  seal_record.sequence = sequence;
  put(Key(kSealPrefix, seal_record.number), Encode(seal_record));
  ByteWriter files;
  files.Varint(seal.catalog_files.size());
  for (const auto& [name, text] : seal.catalog_files) {
    files.Text(name);
    files.Text(text);
  }
  Put(&batch, kJournal, std::string(kCatalogPrefix) + seal.record.catalog_digest, files.bytes());
  TOLLBOOK_RETURN_IF_ERROR(Write(std::move(record), body, &batch));
  ++next_seal_;
  return absl::OkStatus();
}

absl::Status RocksBook::LoadSeen(int shard, SeenSet* into) const {
  ByteWriter prefix;
  prefix.Fixed8(static_cast<uint8_t>(shard));
  return Scan(kSeen, prefix.bytes(), [&](std::string_view, std::string_view value) {
    if (value.size() % sizeof(SeenEntry) != 0) return DamagedError(directory_ + ": a run of seen keys");
    into->Load(SeenRun(value));
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<SourceRecord>> RocksBook::Sources() const {
  std::vector<SourceRecord> sources;
  const absl::Status scanned = Scan(kDefault, kSourcePrefix, [&](std::string_view, std::string_view value) {
    absl::StatusOr<SourceRecord> source = DecodeSourceRecord(value);
    if (source.ok()) sources.push_back(*std::move(source));
    return source.status();
  });
  if (!scanned.ok()) return scanned;
  return sources;
}

absl::StatusOr<std::vector<Meter>> RocksBook::Meters() const {
  std::vector<Meter> meters;
  const absl::Status scanned = Scan(kDefault, kMeterPrefix, [&](std::string_view, std::string_view value) {
    absl::StatusOr<Meter> meter = DecodeMeter(value);
    if (meter.ok()) meters.push_back(*std::move(meter));
    return meter.status();
  });
  if (!scanned.ok()) return scanned;
  return meters;
}

absl::StatusOr<std::vector<SealRecord>> RocksBook::Seals() const {
  std::vector<SealRecord> seals;
  const absl::Status scanned = Scan(kJournal, kSealPrefix, [&](std::string_view, std::string_view value) {
    absl::StatusOr<SealRecord> seal = DecodeSealRecord(value);
    if (seal.ok()) seals.push_back(*std::move(seal));
    return seal.status();
  });
  if (!scanned.ok()) return scanned;
  return seals;
}

absl::StatusOr<std::map<std::string, std::string>> RocksBook::CatalogFiles(std::string_view digest) const {
  absl::StatusOr<std::optional<std::string>> stored = Get(kJournal, std::string(kCatalogPrefix) + std::string(digest));
  if (!stored.ok()) return stored.status();
  if (!stored->has_value()) return DamagedError(directory_ + ": catalog " + std::string(digest) + " is missing");
  ByteReader in(**stored);
  std::map<std::string, std::string> files;
  const uint64_t count = in.Count();
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    const std::string name(in.Text());
    files[name] = in.Text();
  }
  if (!in.done()) return DamagedError(directory_ + ": catalog " + std::string(digest));
  return files;
}

absl::StatusOr<std::vector<JournalBatch>> RocksBook::Batches() const {
  std::vector<JournalBatch> batches;
  const absl::Status scanned = Scan(kJournal, kBatchPrefix, [&](std::string_view, std::string_view value) {
    absl::StatusOr<JournalBatch> batch = DecodeJournalBatch(value);
    if (batch.ok()) batches.push_back(*std::move(batch));
    return batch.status();
  });
  if (!scanned.ok()) return scanned;
  return batches;
}

absl::StatusOr<std::vector<CommitRecord>> RocksBook::Commits() const {
  std::vector<CommitRecord> commits;
  const absl::Status scanned = Scan(kDefault, kCommitPrefix, [&](std::string_view, std::string_view value) {
    absl::StatusOr<CommitRecord> commit = DecodeCommitRecord(value);
    if (commit.ok()) commits.push_back(*std::move(commit));
    return commit.status();
  });
  if (!scanned.ok()) return scanned;
  return commits;
}

absl::Status RocksBook::ForEachExceptions(const std::function<absl::Status(const StoredExceptions&)>& visit) const {
  absl::StatusOr<std::optional<std::string>> stored = Get(kDefault, kHeldFloorKey);
  if (!stored.ok()) return stored.status();
  const uint64_t held_floor = stored->has_value() ? ByteReader(**stored).Fixed64() : 0;
  return Scan(kExceptions, "", [&](std::string_view key, std::string_view value) {
    ByteReader in(key);
    StoredExceptions chunk;
    chunk.sequence = in.Fixed64();
    (void)in.Fixed32();
    chunk.held = in.Fixed8() != 0;
    if (chunk.held && chunk.sequence < held_floor) return absl::OkStatus();
    chunk.bytes = value;
    return visit(chunk);
  });
}

// What CommitEpoch and CommitSeal put in, read back in the same order.
absl::StatusOr<Body> RocksBook::BodyOf(const CommitRecord& record) const {
  Body body;
  const auto add = [&](Family family, const std::string& key) {
    absl::StatusOr<std::optional<std::string>> value = Get(family, key);
    if (value.ok() && value->has_value()) body.Add(family, key, **value);
    return value.status();
  };
  if (record.kind == CommitKind::kEpoch) {
    for (int shard = 0; shard < kSeenShards; ++shard) {
      TOLLBOOK_RETURN_IF_ERROR(add(kSeen, ShardKey("", shard, record.sequence)));
    }
    for (int shard = 0; shard < kTotalShards; ++shard) {
      TOLLBOOK_RETURN_IF_ERROR(add(kTotals, ShardKey("", shard, record.sequence)));
    }
    TOLLBOOK_RETURN_IF_ERROR(
        Scan(kExceptions, Key("", record.sequence), [&](std::string_view key, std::string_view value) {
          body.Add(kExceptions, key, value);
          return absl::OkStatus();
        }));
    return body;
  }
  absl::StatusOr<std::vector<SealRecord>> seals = Seals();
  if (!seals.ok()) return seals.status();
  for (const SealRecord& seal : *seals) {
    if (seal.sequence != record.sequence) continue;
    for (const std::string& batch : seal.batches)
      TOLLBOOK_RETURN_IF_ERROR(add(kJournal, std::string(kBatchPrefix) + batch));
    for (int shard = 0; shard < kTotalShards; ++shard) {
      TOLLBOOK_RETURN_IF_ERROR(add(kJournal, ShardKey(kDifferencePrefix, shard, record.sequence)));
    }
    TOLLBOOK_RETURN_IF_ERROR(add(kJournal, Key(kSealPrefix, seal.number)));
  }
  return body;
}

Book::Check RocksBook::CheckChain() const {
  Check check{"chain of commits", false, ""};
  absl::StatusOr<std::vector<CommitRecord>> commits = Commits();
  if (!commits.ok()) return check.detail = Std(commits.status().message()), check;
  Hash256 previous{};
  LineCounts book;
  uint64_t sequence = 0;
  for (const CommitRecord& record : *commits) {
    const std::string which = "commit " + std::to_string(record.sequence);
    if (record.sequence != ++sequence)
      return check.detail = "commit " + std::to_string(sequence) + " is missing", check;
    if (record.previous != previous || HashOf(record) != record.hash)
      return check.detail = which + " is not what was written", check;
    book += record.delta;
    if (book != record.book || !book.balanced()) return check.detail = which + ": its counts do not add up", check;
    const absl::StatusOr<Body> body = BodyOf(record);
    if (!body.ok()) return check.detail = which + ": " + std::string(Std(body.status().message())), check;
    if (body->Digest() != record.body) return check.detail = which + ": what it stored is not what was written", check;
    previous = record.hash;
  }
  check.holds = true;
  check.detail = std::to_string(sequence) + " commits, each with what it stored";
  return check;
}

std::vector<Book::Check> RocksBook::CheckStore() const {
  std::vector<Check> checks;
  const rocksdb::Status checksums = db_->VerifyChecksum();
  checks.push_back({"checksums of the store", checksums.ok(), checksums.ok() ? "every block" : checksums.ToString()});
  checks.push_back(CheckChain());
  return checks;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Book>> Book::Open(const BookOptions& options) {
  TOLLBOOK_RETURN_IF_ERROR(PrepareDirectory(options));
  absl::StatusOr<BookLock> lock = BookLock::Take(options.directory, options.holder);
  if (!lock.ok()) return lock.status();
  absl::StatusOr<uint32_t> version = ReadFormatFile(options.directory);
  if (!version.ok()) return version.status();
  if (*version == 0) TOLLBOOK_RETURN_IF_ERROR(WriteFormatFile(options.directory));
  absl::StatusOr<HighWater> high_water = HighWater::Open(options.directory);
  if (!high_water.ok()) return high_water.status();
  auto book =
      std::make_unique<RocksBook>(options.directory, *std::move(lock), *std::move(high_water), options.now_nanos);
  TOLLBOOK_RETURN_IF_ERROR(book->OpenStore());
  TOLLBOOK_RETURN_IF_ERROR(book->Identify(options));
  TOLLBOOK_RETURN_IF_ERROR(book->CheckAgainstHighWater());
  TOLLBOOK_RETURN_IF_ERROR(book->CountSeals());
  return book;
}

}  // namespace tollbook
