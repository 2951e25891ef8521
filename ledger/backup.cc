#include "ledger/backup.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "ledger/backup_list.h"
#include "ledger/book_cut.h"
#include "ledger/book_lock.h"
#include "ledger/durable_file.h"
#include "ledger/records.h"

namespace tollbook {
namespace {

namespace fs = std::filesystem;

// Of a file that is appended to: what was whole before is not copied again.
constexpr uint64_t kPieceBytes = 4 << 20;
constexpr std::string_view kExtension = ".backup";

std::string ObjectsIn(const std::string& directory) {
  return directory + "/objects";
}
std::string PathOf(const std::string& directory, const Hash256& object) {
  return ObjectsIn(directory) + "/" + ToHex(object);
}
std::string PathOf(const std::string& directory, uint64_t number) {
  return directory + "/" + std::to_string(number) + std::string(kExtension);
}

absl::Status DamagedBackupError(const std::string& which) {
  return MakeError(absl::StatusCode::kDataLoss, "the backup is damaged", which,
                   "nothing was changed; restore another backup with --backup N");
}

// A file that is read; closed when it goes.
class Reading {
 public:
  explicit Reading(std::string path) : path_(std::move(path)), fd_(open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {}
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ~Reading() {
    if (fd_ >= 0) close(fd_);
  }
  bool missing() const { return fd_ < 0 && errno == ENOENT; }

  // Fewer when the file ends before.
  absl::StatusOr<std::string> Read(uint64_t offset, uint64_t bytes) const {
    if (fd_ < 0) return FileError("cannot open", path_);
    std::string into(bytes, '\0');
    size_t got = 0;
    while (got < bytes) {
      const ssize_t part = pread(fd_, into.data() + got, bytes - got, static_cast<off_t>(offset + got));
      if (part < 0 && errno == EINTR) continue;
      if (part < 0) return FileError("cannot read", path_);
      if (part == 0) break;
      got += static_cast<size_t>(part);
    }
    into.resize(got);
    return into;
  }

 private:
  const std::string path_;
  const int fd_;
};

uint64_t FileBytes(const std::string& path) {
  struct stat facts = {};
  return stat(path.c_str(), &facts) == 0 ? static_cast<uint64_t>(facts.st_size) : 0;
}

// The numbers of the backups there, rising.
absl::StatusOr<std::vector<uint64_t>> Numbers(const std::string& directory) {
  std::vector<uint64_t> numbers;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    const std::string stem = entry->path().stem().string();
    const bool number = !stem.empty() && stem.size() < 19 && stem.find_first_not_of("0123456789") == std::string::npos;
    if (number && entry->path().extension() == kExtension) numbers.push_back(std::stoull(stem));
  }
  if (error) {
    return MakeError(absl::StatusCode::kUnavailable, "cannot read the directory of the backups",
                     directory + ": " + error.message(), "check the path and its permissions");
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

absl::StatusOr<BackupList> ReadList(const std::string& directory, uint64_t number) {
  const std::string path = PathOf(directory, number);
  const Reading file(path);
  if (file.missing()) {
    return MakeError(absl::StatusCode::kNotFound, "there is no such backup", path,
                     "name one of the N.backup there with --backup N");
  }
  const absl::StatusOr<std::string> text = file.Read(0, FileBytes(path));
  if (!text.ok()) return text.status();
  return DecodeBackupList(*text, path);
}

std::string SeedOf(const BookIdentity& identity) {
  std::string bytes;
  for (const uint64_t seed : identity.seed) {
    for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(seed >> shift));
  }
  return ToHex(bytes);
}

absl::Status CheckSound(const Book& book, const std::string& directory) {
  for (const Book::Check& check : book.CheckStore()) {
    if (!check.holds) return DamagedError(directory + ": " + check.name + ": " + check.detail);
  }
  return absl::OkStatus();
}

// One backup in the making.
class Copying {
 public:
  Copying(const BookCut& cut, const std::string& directory) : cut_(cut), directory_(directory) {}

  // What an earlier backup of the same store has for ever is not read again.
  void Knows(const BackupList& earlier) {
    if (earlier.store != cut_.store_identity) return;
    for (const BackupPiece& piece : earlier.pieces) {
      if (piece.for_ever && piece.offset == 0) known_.emplace(std::pair(piece.file, piece.bytes), piece.object);
    }
  }

  absl::Status Copy(const CutFile& file) {
    const auto known = known_.find({file.name, file.bytes});
    if (file.for_ever && known != known_.end() && Has(known->second, file.bytes)) {
      Add(file, 0, file.bytes, known->second);
      return absl::OkStatus();
    }
    if (!file.contents.empty()) return CopyPiece(file, 0, file.contents);
    const Reading from(cut_.directory + "/" + file.name);
    // Tables and blobs are 256 MiB at most, more or less, and their objects stay whole.
    const uint64_t piece_bytes = file.for_ever ? std::max<uint64_t>(file.bytes, 1) : kPieceBytes;
    uint64_t at = 0;
    do {
      const uint64_t bytes = std::min(piece_bytes, file.bytes - at);
      const absl::StatusOr<std::string> piece = from.Read(at, bytes);
      if (!piece.ok()) return piece.status();
      if (piece->size() < bytes) return DamagedError(cut_.directory + "/" + file.name + " is too short");
      TOLLBOOK_RETURN_IF_ERROR(CopyPiece(file, at, *piece));
      at += bytes;
    } while (at < file.bytes);
    return absl::OkStatus();
  }

  std::vector<BackupPiece> TakePieces() { return std::move(pieces_); }
  uint64_t copied_bytes() const { return copied_bytes_; }

 private:
  // It was synced under another name before it got this one, so it is whole.
  bool Has(const Hash256& object, uint64_t bytes) const {
    const std::string path = PathOf(directory_, object);
    return access(path.c_str(), F_OK) == 0 && FileBytes(path) == bytes;
  }

  absl::Status CopyPiece(const CutFile& file, uint64_t offset, std::string_view bytes) {
    const Hash256 object = Sha256(bytes);
    Add(file, offset, bytes.size(), object);
    if (Has(object, bytes.size())) return absl::OkStatus();
    copied_bytes_ += bytes.size();
    return WriteFileAtomically(ObjectsIn(directory_), ToHex(object), bytes);
  }

  void Add(const CutFile& file, uint64_t offset, uint64_t bytes, const Hash256& object) {
    pieces_.push_back({object, offset, bytes, file.for_ever, file.name});
  }

  const BookCut& cut_;
  const std::string& directory_;
  std::map<std::pair<std::string, uint64_t>, Hash256> known_;
  std::vector<BackupPiece> pieces_;
  uint64_t copied_bytes_ = 0;
};

BackupReport Report(uint64_t number, const BackupList& list) {
  BackupReport report;
  report.number = number;
  report.sequence = list.sequence;
  std::set<std::string_view> files;
  for (const BackupPiece& piece : list.pieces) {
    files.insert(piece.file);
    report.bytes += piece.bytes;
  }
  report.files = files.size();
  return report;
}

// The newest list there that can be read; a damaged one does not stand in the way of another backup.
absl::StatusOr<std::optional<BackupList>> NewestOf(const std::string& directory, std::span<const uint64_t> numbers) {
  for (size_t i = numbers.size(); i > 0; --i) {
    absl::StatusOr<BackupList> list = ReadList(directory, numbers[i - 1]);
    if (list.ok()) return std::optional<BackupList>(*std::move(list));
    if (!absl::IsDataLoss(list.status())) return list.status();
  }
  return std::optional<BackupList>();
}

absl::Status WriteFileAt(const std::string& path, bool first, uint64_t offset, std::string_view bytes) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (first ? O_EXCL : 0), 0640);
  if (fd < 0) return FileError("cannot make", path);
  absl::Status written = WriteAll(fd, bytes, static_cast<int64_t>(offset), path);
  if (written.ok()) written = SyncData(fd, path);
  close(fd);
  return written;
}

absl::Status LayOut(const std::string& backups, const BackupList& list, const std::string& directory) {
  std::set<std::string> directories = {directory};
  for (const BackupPiece& piece : list.pieces) {
    const std::string path = directory + "/" + piece.file;
    const std::string parent = fs::path(path).parent_path().string();
    if (directories.insert(parent).second) TOLLBOOK_RETURN_IF_ERROR(MakeDirectorySynced(parent));
    const std::string object = PathOf(backups, piece.object);
    const Reading from(object);
    if (from.missing()) return DamagedBackupError(object + " is missing");
    const absl::StatusOr<std::string> bytes = from.Read(0, piece.bytes);
    if (!bytes.ok()) return bytes.status();
    if (bytes->size() != piece.bytes || Sha256(*bytes) != piece.object || FileBytes(object) != piece.bytes)
      return DamagedBackupError(object);
    TOLLBOOK_RETURN_IF_ERROR(WriteFileAt(path, piece.offset == 0, piece.offset, *bytes));
  }
  for (const std::string& made : directories) TOLLBOOK_RETURN_IF_ERROR(SyncDirectory(made));
  return absl::OkStatus();
}

// Whether `path`, which need not be there, is `directory` or would lie in it, by whatever names.
bool LiesIn(const std::string& path, const std::string& directory) {
  std::error_code ignored;  // what cannot be looked at is told when it is used
  const fs::path inner = fs::weakly_canonical(fs::absolute(path, ignored), ignored);
  const fs::path outer = fs::weakly_canonical(fs::absolute(directory, ignored), ignored);
  return !outer.empty() && std::ranges::mismatch(outer, inner).in1 == outer.end();
}

// DIR.restoring while a restore lays it out: known for one by a file of ours in it, made before all else and locked as
// long as the restore lives. Nothing else of that name is ever touched.
class Unfinished {
 public:
  // Aborted: another restore lays it out. FailedPrecondition: what is there was not left by a restore.
  static absl::StatusOr<Unfinished> Make(const std::string& path) {
    std::error_code error;
    const bool is_there = fs::exists(fs::symlink_status(path, error));
    const bool is_ours = fs::is_directory(fs::symlink_status(path, error)) &&
                         (fs::is_empty(path, error) || fs::exists(path + kMark, error));
    if (is_there && !is_ours) {
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "what stands where the restore would lay out the book has no " + std::string(kMark + 1) +
                           " in it, so it is not known to be left by a restore",
                       path,
                       "remove it if a restore by an earlier version was interrupted there, else move it elsewhere; or "
                       "name another directory with --books");
    }
    TOLLBOOK_RETURN_IF_ERROR(MakeDirectorySynced(path));
    const std::string mark = path + kMark;
    const int fd = open(mark.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0) return FileError("cannot open", mark);
    Unfinished unfinished(path, fd);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 || !unfinished.IsStillThere()) {
      unfinished.path_.clear();  // it is the other's
      return MakeError(absl::StatusCode::kAborted, "another restore makes this book", path, "wait for it to end");
    }
    TOLLBOOK_RETURN_IF_ERROR(SyncDirectory(path));
    TOLLBOOK_RETURN_IF_ERROR(unfinished.Clear());
    return unfinished;
  }
  Unfinished(Unfinished&& other) noexcept : path_(std::exchange(other.path_, "")), fd_(std::exchange(other.fd_, -1)) {}
  Unfinished& operator=(Unfinished&&) = delete;
  // What did not become a book is of no use, and may be large. The mark goes last, lest the rest be a stranger's.
  ~Unfinished() {
    if (!path_.empty() && Clear().ok() && SyncDirectory(path_).ok()) {
      std::error_code ignored;  // the next restore removes it
      fs::remove_all(path_, ignored);
    }
    if (fd_ >= 0) close(fd_);
  }

  absl::Status BecomeBook(const std::string& directory) {
    if (std::rename(path_.c_str(), directory.c_str()) != 0) return FileError("cannot rename", path_);
    path_.clear();
    TOLLBOOK_RETURN_IF_ERROR(SyncDirectory(directory + "/.."));
    (void)unlink((directory + kMark).c_str());  // in a book it means nothing
    return absl::OkStatus();
  }

 private:
  static constexpr const char* kMark = "/RESTORING";

  Unfinished(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  // Another restore may have renamed it, or removed it, before the lock was had.
  bool IsStillThere() const {
    struct stat locked = {}, there = {};
    return fstat(fd_, &locked) == 0 && stat((path_ + kMark).c_str(), &there) == 0 && locked.st_ino == there.st_ino &&
           locked.st_dev == there.st_dev;
  }

  // But for the mark.
  absl::Status Clear() const {
    std::error_code error;
    std::vector<fs::path> paths;
    for (fs::directory_iterator entry(path_, error), end; !error && entry != end; entry.increment(error)) {
      if ("/" + entry->path().filename().string() != kMark) paths.push_back(entry->path());
    }
    for (const fs::path& path : paths) {
      if (!error) fs::remove_all(path, error);
    }
    if (!error) return absl::OkStatus();
    return MakeError(absl::StatusCode::kUnavailable, "cannot remove what an interrupted restore left",
                     path_ + ": " + error.message(), "remove it, or name another directory with --books");
  }

  std::string path_;  // empty: there is nothing to be removed
  int fd_;
};

// It is the book that was backed up, all of it is sound, and it knows where it comes from.
absl::Status CheckAndMark(const RestoreOptions& options, const std::string& directory, const BackupList& list,
                          uint64_t number) {
  BookOptions open;
  open.directory = directory;
  open.holder = options.holder;
  open.now_nanos = [&options] { return options.now_nanos; };
  const absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(open);
  if (!book.ok()) return book.status();
  const absl::StatusOr<std::vector<CommitRecord>> commits = (*book)->Commits();
  if (!commits.ok()) return commits.status();
  const bool same = (*book)->last_sequence() == list.sequence && SeedOf((*book)->identity()) == list.seed &&
                    (commits->empty() ? list.sequence == 0 : commits->back().hash == list.hash);
  if (!same) return DamagedBackupError(PathOf(options.backups, number) + ": the book is not the one it names");
  TOLLBOOK_RETURN_IF_ERROR(CheckSound(**book, directory));
  return MarkRestored(**book, {list.sequence, number, options.now_nanos, options.by});
}

class StoredBackup : public BackupUnderWay {
 public:
  StoredBackup(std::string directory, BookLock lock, uint64_t number, std::optional<BackupList> earlier,
               std::unique_ptr<BookCut> cut, BackupList list)
      : directory_(std::move(directory)),
        lock_(std::move(lock)),
        number_(number),
        earlier_(std::move(earlier)),
        cut_(std::move(cut)),
        list_(std::move(list)) {}

  absl::StatusOr<BackupReport> Copy() override {
    Copying copying(*cut_, directory_);
    if (earlier_) copying.Knows(*earlier_);
    for (const CutFile& file : cut_->files) TOLLBOOK_RETURN_IF_ERROR(copying.Copy(file));
    list_.pieces = copying.TakePieces();
    TOLLBOOK_RETURN_IF_ERROR(
        WriteFileAtomically(directory_, std::to_string(number_) + std::string(kExtension), Encode(list_)));
    BackupReport report = Report(number_, list_);
    report.copied_bytes = copying.copied_bytes();
    return report;
  }

 private:
  const std::string directory_;
  const BookLock lock_;  // of the directory of backups
  const uint64_t number_;
  const std::optional<BackupList> earlier_;
  const std::unique_ptr<BookCut> cut_;
  BackupList list_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<BackupUnderWay>> BackupUnderWay::Begin(Book& book, const std::string& directory,
                                                                      int64_t now_nanos) {
  if (LiesIn(directory, DirectoryOf(book))) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "the backups would lie in the book itself", directory,
                     "name a directory elsewhere with --to, best on another disk");
  }
  TOLLBOOK_RETURN_IF_ERROR(CheckSound(book, book.identity().name));
  TOLLBOOK_RETURN_IF_ERROR(MakeDirectorySynced(ObjectsIn(directory)));
  absl::StatusOr<BookLock> lock = BookLock::Take(directory, "another backup", BookLock::Of::kBackups);
  if (!lock.ok()) return lock.status();
  const absl::StatusOr<std::vector<uint64_t>> numbers = Numbers(directory);
  if (!numbers.ok()) return numbers.status();
  absl::StatusOr<std::optional<BackupList>> earlier = NewestOf(directory, *numbers);
  if (!earlier.ok()) return earlier.status();

  absl::StatusOr<std::unique_ptr<BookCut>> cut = TakeCut(book);
  if (!cut.ok()) return cut.status();
  BackupList list{(*cut)->identity.name,
                  SeedOf((*cut)->identity),
                  (*cut)->store_identity,
                  (*cut)->sequence,
                  (*cut)->hash,
                  now_nanos,
                  {}};
  if (earlier->has_value() && (*earlier)->seed != list.seed) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "the backups there are of another book",
                     directory + ": of " + (*earlier)->book, "name a directory of this book's own with --to");
  }
  const uint64_t number = numbers->empty() ? 1 : numbers->back() + 1;
  return std::make_unique<StoredBackup>(directory, *std::move(lock), number, *std::move(earlier), *std::move(cut),
                                        std::move(list));
}

absl::StatusOr<BackupReport> BackUp(Book& book, const std::string& directory, int64_t now_nanos) {
  const absl::StatusOr<std::unique_ptr<BackupUnderWay>> backup = BackupUnderWay::Begin(book, directory, now_nanos);
  if (!backup.ok()) return backup.status();
  return (*backup)->Copy();
}

absl::StatusOr<BackupReport> Restore(const RestoreOptions& options) {
  std::string directory = options.directory;
  while (directory.size() > 1 && directory.ends_with('/')) directory.pop_back();  // the other name goes beside it
  std::error_code error;
  if (fs::exists(directory, error) && !fs::is_empty(directory, error)) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "the directory is not empty", directory,
                     "name a new directory with --books");
  }
  if (LiesIn(directory, options.backups)) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "the book would lie among its backups", directory,
                     "name a directory elsewhere with --books");
  }
  const absl::StatusOr<std::vector<uint64_t>> numbers = Numbers(options.backups);
  if (!numbers.ok()) return numbers.status();
  if (numbers->empty()) {
    return MakeError(absl::StatusCode::kNotFound, "there is no backup", options.backups,
                     "name the directory that `tollbook backup --to` wrote");
  }
  const uint64_t number = options.number == 0 ? numbers->back() : options.number;
  const absl::StatusOr<BackupList> list = ReadList(options.backups, number);
  if (!list.ok()) return list.status();

  const std::string path = directory + ".restoring";
  absl::StatusOr<Unfinished> unfinished = Unfinished::Make(path);
  if (!unfinished.ok()) return unfinished.status();
  TOLLBOOK_RETURN_IF_ERROR(LayOut(options.backups, *list, path));
  TOLLBOOK_RETURN_IF_ERROR(CheckAndMark(options, path, *list, number));
  TOLLBOOK_RETURN_IF_ERROR(unfinished->BecomeBook(directory));
  return Report(number, *list);
}

}  // namespace tollbook
