#include "ledger/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace tollbook {
namespace {

// Closes when it goes; errno is kept for the message.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    const int error = errno;
    if (fd_ >= 0) close(fd_);
    errno = error;
  }
  int get() const { return fd_; }

 private:
  const int fd_;
};

absl::Status WriteSynced(const std::string& path, std::string_view bytes) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (file.get() < 0) return FileError("cannot open", path);
  if (write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    return FileError("cannot write", path);
  return fsync(file.get()) == 0 ? absl::OkStatus() : FileError("cannot sync", path);
}

absl::Status SyncDirectory(const std::string& directory) {
  const Descriptor file(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.get() < 0) return FileError("cannot open", directory);
  return fsync(file.get()) == 0 ? absl::OkStatus() : FileError("cannot sync", directory);
}

}  // namespace

absl::Status FileError(std::string_view what, const std::string& path) {
  return MakeError(absl::StatusCode::kUnavailable, what, path + ": " + std::strerror(errno),
                   "check the disk and the permissions of the book's directory");
}

absl::Status WriteFileAtomically(const std::string& directory, std::string_view name, std::string_view bytes) {
  const std::string path = directory + "/" + std::string(name);
  const std::string temporary = path + ".new";
  TOLLBOOK_RETURN_IF_ERROR(WriteSynced(temporary, bytes));
  if (std::rename(temporary.c_str(), path.c_str()) != 0) return FileError("cannot rename", temporary);
  return SyncDirectory(directory);
}

}  // namespace tollbook
