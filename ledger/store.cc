#include "ledger/store.h"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/file_system.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/transaction_log.h>
#include <rocksdb/write_batch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "ledger/records.h"

namespace tollbook {
namespace {

constexpr const char* kFamilyNames[kFamilies] = {"default", "seen", "totals", "exceptions", "journal"};

rocksdb::Slice ToSlice(std::string_view text) {
  return {text.data(), text.size()};
}
std::string_view View(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

// A message is one line; some of RocksDB's are several.
std::string OneLine(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

absl::Status FromRocks(const rocksdb::Status& status, const std::string& directory) {
  if (status.ok()) return absl::OkStatus();
  const std::string which = directory + ": " + OneLine(status.ToString());
  // A file of the store that is gone is damage, not a disk to be mended.
  if (status.IsCorruption() || status.IsPathNotFound()) return DamagedError(which);
  if (status.IsNoSpace()) {
    return MakeError(
        absl::StatusCode::kUnavailable, "the disk is full", directory,
        "make space and run the same command again; what was acknowledged is kept, the rest is read again");
  }
  return MakeError(absl::StatusCode::kUnavailable, "the store cannot be read or written", which,
                   "mend the cause and run the same command again; what was acknowledged is kept");
}

// RocksDB's own log file is not kept: on a full disk, its writer's assertions end the whole process (7.8.3, Debian).
// What matters comes back as a status.
class NoLog final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {}
};

// RocksDB makes a MANIFEST, lets CURRENT name it, and only then syncs the directory of both. A disk that keeps the later
// name and loses the earlier one would leave a store without a MANIFEST, so the earlier one is made durable first.
class ManifestBeforeCurrent final : public rocksdb::FileSystemWrapper {
 public:
  ManifestBeforeCurrent() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "ManifestBeforeCurrent"; }

  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    const std::filesystem::path path(to);
    if (path.filename() == "CURRENT") {
      std::unique_ptr<rocksdb::FSDirectory> directory;
      rocksdb::IOStatus status = target()->NewDirectory(path.parent_path(), options, &directory, debug);
      if (status.ok()) status = directory->Fsync(options, debug);
      if (!status.ok()) return status;
    }
    return target()->RenameFile(from, to, options, debug);
  }
};

// For as long as the process lives: what RocksDB does in the background may outlast any book.
rocksdb::Env* StoreEnv() {
  static rocksdb::Env* const env = rocksdb::NewCompositeEnv(std::make_shared<ManifestBeforeCurrent>()).release();
  return env;
}

rocksdb::DBOptions DatabaseOptions(StoreAccess access) {
  rocksdb::DBOptions options;
  options.env = StoreEnv();
  options.create_if_missing = access == StoreAccess::kCreate;
  options.create_missing_column_families = access == StoreAccess::kCreate;
  const bool up_to_damage = access == StoreAccess::kUpToDamage || access == StoreAccess::kUpToDamageReadOnly;
  // kTolerateCorruptedTailRecords is RocksDB's name for refusing all damage but an incomplete last record.
  options.wal_recovery_mode = up_to_damage ? rocksdb::WALRecoveryMode::kPointInTimeRecovery
                                           : rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.track_and_verify_wals_in_manifest = true;
  options.max_background_jobs = 2;
  options.bytes_per_sync = 1 << 20;
  options.max_total_wal_size = 512 << 20;
  options.db_write_buffer_size =
      192 << 20;  // all families together: what a book may hold in memory before it is on disk
  options.info_log = std::make_shared<NoLog>();
  // Of each table and blob file as a whole, kept in the MANIFEST: a damaged one is found by its name.
  options.file_checksum_gen_factory = rocksdb::GetFileChecksumGenCrc32cFactory();
  // After an error the book is opened again, by a person who made space; nothing goes on in the background.
  options.max_bgerror_resume_count = 0;
  return options;
}

// Values are few and large (a run of thousands of keys or totals), so they go to blob files, which compaction does not
// rewrite.
rocksdb::ColumnFamilyOptions FamilyOptions(Family family) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = 64 << 20;
  options.max_write_buffer_number = 4;
  // Where seen keys are: small values that come and go, for compaction to clear away.
  if (family == Family::kDefault || family == Family::kSeen) return options;
  options.enable_blob_files = true;
  options.min_blob_size = 512;
  options.blob_file_size = 256 << 20;
  // Packed when they go to their files, beside the next commits: a quarter smaller than by LZ4.
  options.blob_compression_type = rocksdb::kZSTD;
  return options;
}

// So much of its log a store is closed with: reading a few commits again costs less than a flush. What is more than this
// would stand on disk longer than its values do in their files, and the next Open would flush it all the same.
constexpr uint64_t kLogBytesKept = 4 << 20;

std::string PathIn(const std::string& directory) {
  return directory + "/store";
}

// The batch of the write before, used again: megabytes that each commit would have to touch anew. Of writes that are
// made at the same time one gets it.
class SpareBatch {
 public:
  std::unique_ptr<rocksdb::WriteBatch> TakeOrMake(size_t bytes_expected) {
    {
      const std::lock_guard lock(mutex_);
      if (spare_ != nullptr) return std::move(spare_);
    }
    return std::make_unique<rocksdb::WriteBatch>(bytes_expected);
  }
  void GiveBack(std::unique_ptr<rocksdb::WriteBatch> batch) {
    if (batch->GetDataSize() > kSpareBytesMax) return;
    batch->Clear();
    const std::lock_guard lock(mutex_);
    spare_ = std::move(batch);
  }

 private:
  static constexpr size_t kSpareBytesMax = 16 << 20;
  std::mutex mutex_;
  std::unique_ptr<rocksdb::WriteBatch> spare_;  // of mutex_
};

class RocksWrite final : public StoreWrite {
 public:
  RocksWrite(const std::vector<rocksdb::ColumnFamilyHandle*>& families, size_t bytes_expected, SpareBatch* spare)
      : families_(families), spare_(spare), batch_(spare->TakeOrMake(bytes_expected)) {}
  ~RocksWrite() override { spare_->GiveBack(std::move(batch_)); }
  void Put(Family family, std::string_view key, std::string_view value) override {
    const rocksdb::Status status = batch_->Put(families_[static_cast<size_t>(family)], ToSlice(key), ToSlice(value));
    TOLLBOOK_ASSERT(status.ok());
  }
  void Delete(Family family, std::string_view key) override {
    const rocksdb::Status status = batch_->Delete(families_[static_cast<size_t>(family)], ToSlice(key));
    TOLLBOOK_ASSERT(status.ok());
  }
  rocksdb::WriteBatch* batch() { return batch_.get(); }

 private:
  const std::vector<rocksdb::ColumnFamilyHandle*>& families_;
  SpareBatch* const spare_;
  std::unique_ptr<rocksdb::WriteBatch> batch_;
};

bool IsLog(const std::filesystem::path& path) {
  return path.extension() == ".log";
}

std::set<std::string> PathsOfLogs(const std::string& directory) {
  std::set<std::string> paths;
  std::error_code error;  // what cannot be looked at stays as it is
  for (std::filesystem::directory_iterator entry(PathIn(directory), error), end; !error && entry != end;
       entry.increment(error)) {
    if (IsLog(entry->path())) paths.insert(entry->path().string());
  }
  return paths;
}

bool IsEmptyFile(const std::string& path) {
  struct stat facts = {};
  return stat(path.c_str(), &facts) == 0 && facts.st_size == 0;
}

class RocksStore final : public Store {
 public:
  // `logs_before`: the paths of those that were there before it was opened.
  RocksStore(std::string directory, std::unique_ptr<rocksdb::DB> db, std::vector<rocksdb::ColumnFamilyHandle*> families,
             std::set<std::string> logs_before)
      : directory_(std::move(directory)),
        db_(std::move(db)),
        families_(std::move(families)),
        logs_before_(std::move(logs_before)) {}
  RocksStore(const RocksStore&) = delete;
  RocksStore& operator=(const RocksStore&) = delete;

  ~RocksStore() override {
    FlushLog();
    for (rocksdb::ColumnFamilyHandle* handle : families_) db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    if (db_->Close().ok()) RemoveOwnEmptyLogs();
  }

  absl::StatusOr<std::optional<std::string>> Get(Family family, std::string_view key) const override {
    std::string value;
    const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), Handle(family), ToSlice(key), &value);
    if (status.IsNotFound()) return std::optional<std::string>();
    if (!status.ok()) return FromRocks(status, directory_);
    return std::optional<std::string>(std::move(value));
  }

  absl::Status ScanFrom(Family family, std::string_view prefix, std::string_view first,
                        const Visit& visit) const override {
    rocksdb::ReadOptions read;
    read.fill_cache = false;  // each value is read once
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(read, Handle(family)));
    for (it->Seek(ToSlice(first)); it->Valid() && View(it->key()).starts_with(prefix); it->Next()) {
      TOLLBOOK_RETURN_IF_ERROR(visit(View(it->key()), View(it->value())));
    }
    return FromRocks(it->status(), directory_);
  }

  std::unique_ptr<StoreWrite> NewWrite(size_t bytes_expected) const override {
    return std::make_unique<RocksWrite>(families_, bytes_expected, &spare_);
  }

  absl::Status Write(std::unique_ptr<StoreWrite> write) override {
    rocksdb::WriteOptions options;
    options.sync = true;
    return FromRocks(db_->Write(options, static_cast<RocksWrite*>(write.get())->batch()), directory_);
  }

  absl::StatusOr<std::vector<StoreFile>> HoldFiles() override {
    rocksdb::Status status = db_->DisableFileDeletions();
    if (!status.ok()) return FromRocks(status, directory_);
    rocksdb::LiveFilesStorageInfoOptions options;
    options.wal_size_for_flush = UINT64_MAX;  // the log is copied as it is
    std::vector<rocksdb::LiveFileStorageInfo> live;
    status = db_->GetLiveFilesStorageInfo(options, &live);
    if (!status.ok()) {
      ReleaseFiles();
      return FromRocks(status, directory_);
    }
    std::vector<StoreFile> files;
    for (rocksdb::LiveFileStorageInfo& file : live) {
      const bool for_ever = file.file_type == rocksdb::kTableFile || file.file_type == rocksdb::kBlobFile;
      files.push_back({file.relative_filename, file.size, std::move(file.replacement_contents), for_ever});
    }
    return files;
  }

  // When it fails, files that nothing needs stay until the next Open.
  void ReleaseFiles() override { db_->EnableFileDeletions(/*force=*/false).PermitUncheckedError(); }

  absl::StatusOr<std::string> Identity() const override {
    std::string identity;
    const rocksdb::Status status = db_->GetDbIdentity(identity);
    if (!status.ok()) return FromRocks(status, directory_);
    return identity;
  }

  absl::Status Rewrite(Family family) override {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    options.blob_garbage_collection_policy = rocksdb::BlobGarbageCollectionPolicy::kForce;
    options.blob_garbage_collection_age_cutoff = 1;
    // A log is let go when nothing of any family is in it alone.
    TOLLBOOK_RETURN_IF_ERROR(FromRocks(db_->Flush(rocksdb::FlushOptions(), families_), directory_));
    return FromRocks(db_->CompactRange(options, Handle(family), nullptr, nullptr), directory_);
  }

  absl::Status VerifyChecksums() const override {
    // The first one names the file; files that an earlier program wrote have only the second.
    TOLLBOOK_RETURN_IF_ERROR(FromRocks(db_->VerifyFileChecksums(rocksdb::ReadOptions()), directory_));
    return FromRocks(db_->VerifyChecksum(), directory_);
  }

 private:
  rocksdb::ColumnFamilyHandle* Handle(Family family) const { return families_[static_cast<size_t>(family)]; }

  // When it fails, all of it is still in the log.
  void FlushLog() {
    rocksdb::VectorLogPtr logs;
    db_->GetSortedWalFiles(logs).PermitUncheckedError();
    uint64_t bytes = 0;
    for (const auto& log : logs) bytes += log->SizeFileBytes();
    if (bytes > kLogBytesKept) db_->Flush(rocksdb::FlushOptions(), families_).PermitUncheckedError();
  }

  // Each opening begins one, and RocksDB lets go of it only when a later one has something: a book that is looked at
  // every minute would have thousands. One that was found empty is no business of ours: it may have been cut.
  void RemoveOwnEmptyLogs() const {
    for (const std::string& path : PathsOfLogs(directory_)) {
      if (!logs_before_.contains(path) && IsEmptyFile(path)) (void)unlink(path.c_str());
    }
  }

  const std::string directory_;
  const std::unique_ptr<rocksdb::DB> db_;
  const std::vector<rocksdb::ColumnFamilyHandle*> families_;
  const std::set<std::string> logs_before_;
  mutable SpareBatch spare_;
};

// Without one there is no store.
absl::Status CheckCurrent(const std::string& directory) {
  namespace fs = std::filesystem;
  const std::string path = PathIn(directory);
  std::error_code error;
  if (!fs::exists(path, error)) return DamagedError(path + " is missing");
  if (!Store::Exists(directory)) return DamagedError(path + "/CURRENT is missing");
  std::ifstream file(path + "/CURRENT");
  std::string manifest;
  std::getline(file, manifest);
  if (manifest.starts_with("MANIFEST-") && !fs::exists(fs::path(path) / manifest, error) && !error)
    return DamagedError(path + "/CURRENT names " + manifest + ", which is missing");
  return absl::OkStatus();
}

// By name, apart by commas.
std::string NamesIn(const std::string& directory, const std::function<bool(const std::filesystem::path&)>& wanted) {
  std::vector<std::string> names;
  std::error_code ignored;  // then there is less to say
  for (const auto& entry : std::filesystem::directory_iterator(PathIn(directory), ignored)) {
    if (wanted(entry.path())) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

bool IsLogWithBytes(const std::filesystem::path& path) {
  return IsLog(path) && !IsEmptyFile(path.string());
}
bool IsBrokenTable(const std::filesystem::path& path) {
  if (path.extension() != ".sst") return false;
  rocksdb::SstFileReader reader{rocksdb::Options()};
  return !reader.Open(path.string()).ok() || !reader.VerifyChecksum().ok();
}

// What RocksDB says of a store that it cannot open, and which files may be to blame where it names none.
absl::Status CannotOpen(const rocksdb::Status& status, const std::string& directory) {
  if (!status.IsCorruption()) return FromRocks(status, directory);
  const std::string told = OneLine(status.ToString());
  const auto is_named = [&](const std::filesystem::path& path) {
    return told.find(path.stem().string()) != std::string::npos;
  };
  const auto is_data_and_named = [&](const std::filesystem::path& path) {
    return path.extension() != "" && is_named(path);
  };
  if (!NamesIn(directory, is_data_and_named).empty()) return DamagedError(directory + ": " + told);
  std::string suspects = NamesIn(directory, IsBrokenTable);
  // The MANIFEST is named when it is damaged, and when a table of its list is. A log is to blame when nothing is named.
  if (suspects.empty() && NamesIn(directory, is_named).empty()) suspects = Store::LogsOf(directory);
  return DamagedError(directory + ": " + told + (suspects.empty() ? "" : ", in " + suspects));
}

// RocksDB makes its files for everybody to read, and they have customers, amounts and payloads in them. A book's other
// files are for its owner and group alone; of these that is said of their directory, whoever made it.
void KeepOthersOut(const std::string& directory, StoreAccess access) {
  const std::string path = PathIn(directory);
  struct stat facts = {};
  // Where it fails, RocksDB says why; or the store is another's, whose business it is.
  if (access == StoreAccess::kCreate) (void)mkdir(path.c_str(), 0750);
  if (stat(path.c_str(), &facts) == 0 && (facts.st_mode & S_IRWXO) != 0) {
    (void)chmod(path.c_str(), facts.st_mode & ~static_cast<mode_t>(S_IFMT | S_IRWXO));
  }
}

}  // namespace

bool Store::Exists(const std::string& directory) {
  std::error_code ignored;  // what cannot be looked at is not there
  return std::filesystem::exists(PathIn(directory) + "/CURRENT", ignored);
}

// Openings that were killed left empty ones.
std::string Store::LogsOf(const std::string& directory) {
  const std::string with_bytes = NamesIn(directory, IsLogWithBytes);
  return with_bytes.empty() ? NamesIn(directory, IsLog) : with_bytes;
}

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& directory, StoreAccess access) {
  if (access != StoreAccess::kCreate) TOLLBOOK_RETURN_IF_ERROR(CheckCurrent(directory));
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (size_t family = 0; family < kFamilies; ++family) {
    descriptors.emplace_back(kFamilyNames[family], FamilyOptions(static_cast<Family>(family)));
  }
  const bool is_read_only = access == StoreAccess::kUpToDamageReadOnly;
  if (!is_read_only) KeepOthersOut(directory, access);
  std::set<std::string> logs = PathsOfLogs(directory);
  rocksdb::DB* db = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  const rocksdb::DBOptions options = DatabaseOptions(access);
  const rocksdb::Status status =
      is_read_only ? rocksdb::DB::OpenForReadOnly(options, PathIn(directory), descriptors, &families, &db)
                   : rocksdb::DB::Open(options, PathIn(directory), descriptors, &families, &db);
  if (!status.ok()) return CannotOpen(status, directory);
  return std::make_unique<RocksStore>(directory, std::unique_ptr<rocksdb::DB>(db), std::move(families),
                                      std::move(logs));
}

}  // namespace tollbook
