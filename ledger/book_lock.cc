#include "ledger/book_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "ledger/durable_file.h"

namespace tollbook {

absl::StatusOr<BookLock> BookLock::Take(const std::string& directory, std::string_view holder) {
  const std::string path = directory + "/BOOKLOCK";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return FileError("cannot open", path);
  BookLock lock(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return FileError("cannot lock", path);
    char first[256] = {};
    const ssize_t size = pread(fd, first, sizeof first - 1, 0);
    return MakeError(
        absl::StatusCode::kFailedPrecondition, "the book is in use", directory,
        "wait for " + (size > 0 ? std::string(first, size) : std::string("the other process")) + " to end, or end it");
  }
  if (ftruncate(fd, 0) != 0) return FileError("cannot write", path);
  TOLLBOOK_RETURN_IF_ERROR(WriteAll(fd, holder, 0, path));
  return lock;
}

BookLock::~BookLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace tollbook
