#include "pipeline/app/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tollbook {
namespace {

absl::Status CannotWrite(const std::string& path) {
  return MakeError(absl::StatusCode::kUnavailable, "cannot write", path + ": " + std::strerror(errno),
                   "check the path, its permissions and the space on the disk");
}

}  // namespace

absl::StatusOr<OutputFile> OutputFile::Open(const std::string& path) {
  if (path == "-") return OutputFile(STDOUT_FILENO, "standard output");
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return CannotWrite(path);
  return OutputFile(fd, path);
}

OutputFile::~OutputFile() {
  if (fd_ > STDOUT_FILENO) close(fd_);
}

absl::Status OutputFile::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return CannotWrite(path_);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status OutputFile::Close() {
  if (fd_ <= STDOUT_FILENO) return absl::OkStatus();
  const int closed = close(fd_);
  fd_ = -1;
  return closed == 0 ? absl::OkStatus() : CannotWrite(path_);
}

}  // namespace tollbook
