#include "ledger/book_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "ledger/durable_file.h"

namespace tollbook {

namespace {

std::string TextOf(int fd) {
  char text[256];
  const ssize_t size = pread(fd, text, sizeof text, 0);
  return size > 0 ? std::string(text, static_cast<size_t>(size)) : "";
}

}  // namespace

absl::StatusOr<BookLock> BookLock::Take(const std::string& directory, std::string_view holder, Of of) {
  const std::string path = directory + "/BOOKLOCK";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0 && errno == EROFS) {
    if (of == Of::kBackups) {
      return MakeError(absl::StatusCode::kUnavailable, "the backups are where nothing can be written", directory,
                       "mount this for writing, or name another directory with --to");
    }
    return MakeError(absl::StatusCode::kUnavailable, "the book is where nothing can be written", directory,
                     "copy its directory to where it can be and name the copy, or mount this one for writing");
  }
  if (fd < 0) return FileError("cannot open", path);
  BookLock lock(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return FileError("cannot lock", path);
    const std::string holder = TextOf(fd);
    return MakeError(absl::StatusCode::kAborted, of == Of::kBook ? "the book is in use" : "the backups are in use",
                     directory, "wait for " + (holder.empty() ? "the other process" : holder) + " to end, or end it");
  }
  if (ftruncate(fd, 0) != 0) return FileError("cannot write", path);
  TOLLBOOK_RETURN_IF_ERROR(WriteAll(fd, holder, 0, path));
  return lock;
}

BookLock::~BookLock() {
  if (fd_ >= 0) close(fd_);
}

std::string HolderOf(const std::string& directory) {
  const int fd = open((directory + "/BOOKLOCK").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  std::string holder = TextOf(fd);
  close(fd);
  return holder;
}

int64_t LastTaken(const std::string& directory) {
  struct stat status = {};
  if (stat((directory + "/BOOKLOCK").c_str(), &status) != 0) return 0;
  return int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

absl::StatusOr<WatchLock> WatchLock::Take(const std::string& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError("cannot open", directory);
  WatchLock lock(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return FileError("cannot lock", directory);
  return MakeError(absl::StatusCode::kAborted, "the book is watched already", directory,
                   "let the other `tollbook post --watch` deliver, or end it");
}

bool WatchLock::IsTaken(const std::string& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  // Shared, so that two who look at the same time see no lock of each other's.
  const bool is_taken = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  close(fd);
  return is_taken;
}

WatchLock::~WatchLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace tollbook
