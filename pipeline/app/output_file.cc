#include "pipeline/app/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "ledger/durable_file.h"

namespace tollbook {
namespace {

absl::Status CannotWrite(const std::string& path) {
  return MakeError(absl::StatusCode::kUnavailable, "cannot write", path + ": " + std::strerror(errno),
                   "check the path, its permissions and the space on the disk");
}

// A symbolic link stays one: the file that it names is the one replaced.
std::string LinkTarget(const std::string& path) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::canonical(path, error);
  return error ? path : target.string();
}

}  // namespace

absl::StatusOr<OutputFile> OutputFile::Open(const std::string& path) {
  if (path == "-") return OutputFile(STDOUT_FILENO, "standard output", "");
  struct stat there = {};
  const bool exists = stat(path.c_str(), &there) == 0;
  if (exists && !S_ISREG(there.st_mode)) {
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return CannotWrite(path);
    return OutputFile(fd, path, "");
  }
  // Renaming would get around the file's own permission.
  if (exists && access(path.c_str(), W_OK) != 0) return CannotWrite(path);
  const std::string target = exists ? LinkTarget(path) : path;
  std::string unfinished = target + ".tmp-" + std::to_string(getpid());
  const int fd = open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0) return CannotWrite(path);
  OutputFile file(fd, target, std::move(unfinished));
  if (exists && fchmod(fd, there.st_mode & 07777) != 0) return CannotWrite(path);
  return file;
}

OutputFile::~OutputFile() {
  if (fd_ > STDOUT_FILENO) close(fd_);
  if (!unfinished_.empty()) unlink(unfinished_.c_str());
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
  const bool kept = unfinished_.empty() || fsync(fd_) == 0;
  if (!kept) return CannotWrite(path_);
  const int closed = close(fd_);
  fd_ = -1;
  if (closed != 0) return CannotWrite(path_);
  if (unfinished_.empty()) return absl::OkStatus();
  if (rename(unfinished_.c_str(), path_.c_str()) != 0) return CannotWrite(path_);
  unfinished_.clear();
  // One that may be written to and not read cannot be synced.
  const std::string directory = std::filesystem::path(path_).parent_path().string();
  const std::string synced = directory.empty() ? "." : directory;
  return access(synced.c_str(), R_OK) == 0 ? SyncDirectory(synced) : absl::OkStatus();
}

}  // namespace tollbook
