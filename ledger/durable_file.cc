#include "ledger/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

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

// Calls again what a signal interrupted.
template <typename Call>
auto Uninterrupted(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

absl::Status WriteSynced(const std::string& path, std::string_view bytes) {
  const Descriptor file(
      Uninterrupted([&] { return open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640); }));
  if (file.get() < 0) return FileError("cannot open", path);
  TOLLBOOK_RETURN_IF_ERROR(WriteAll(file.get(), bytes, 0, path));
  return Uninterrupted([&] { return fsync(file.get()); }) == 0 ? absl::OkStatus() : FileError("cannot sync", path);
}

}  // namespace

absl::Status FileError(std::string_view what, const std::string& path) {
  if (errno == ENOSPC) {
    return MakeError(
        absl::StatusCode::kUnavailable, "the disk is full", path,
        "make space and run the same command again; what was acknowledged is kept, the rest is read again");
  }
  return MakeError(absl::StatusCode::kUnavailable, what, path + ": " + std::strerror(errno),
                   "check the disk and the permissions of its directory");
}

absl::Status SyncDirectory(const std::string& directory) {
  const Descriptor file(Uninterrupted([&] { return open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (file.get() < 0) return FileError("cannot open", directory);
  return Uninterrupted([&] { return fsync(file.get()); }) == 0 ? absl::OkStatus() : FileError("cannot sync", directory);
}

absl::Status MakeDirectorySynced(const std::string& directory,
                                 const std::function<absl::Status(const std::string&)>& sync) {
  namespace fs = std::filesystem;
  const auto is_directory = [](const fs::path& path) {
    std::error_code ignored;  // what cannot be looked at is made, and that says why not
    return fs::is_directory(path, ignored);
  };
  // By "..", so that the parent of what a symbolic link names is meant.
  const auto parent = [](const fs::path& path) { return (path / "..").string(); };
  fs::path innermost = ".";
  std::vector<fs::path> missing;
  fs::path path;
  for (const fs::path& part : fs::path(directory)) {
    path /= part;
    if (is_directory(path))
      innermost = path;
    else if (!part.empty())
      missing.push_back(path);
  }
  if (access(parent(innermost).c_str(), R_OK) == 0) TOLLBOOK_RETURN_IF_ERROR(sync(parent(innermost)));
  for (const fs::path& made : missing) {
    if (mkdir(made.c_str(), 0777) != 0 && !(errno == EEXIST && is_directory(made)))
      return FileError("cannot make the directory", made.string());
    TOLLBOOK_RETURN_IF_ERROR(sync(parent(made)));
  }
  return absl::OkStatus();
}

absl::Status WriteAll(int fd, std::string_view bytes, int64_t at, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = Uninterrupted([&] { return pwrite(fd, bytes.data(), bytes.size(), at); });
    if (written == 0) errno = EIO;
    if (written <= 0) return FileError("cannot write", path);
    bytes.remove_prefix(static_cast<size_t>(written));
    at += written;
  }
  return absl::OkStatus();
}

absl::Status SyncData(int fd, const std::string& path) {
  return Uninterrupted([&] { return fdatasync(fd); }) == 0 ? absl::OkStatus() : FileError("cannot sync", path);
}

absl::Status WriteFileAtomically(const std::string& directory, std::string_view name, std::string_view bytes) {
  const std::string path = directory + "/" + std::string(name);
  const std::string temporary = path + ".new";
  TOLLBOOK_RETURN_IF_ERROR(WriteSynced(temporary, bytes));
  if (std::rename(temporary.c_str(), path.c_str()) != 0) return FileError("cannot rename", temporary);
  return SyncDirectory(directory);
}

}  // namespace tollbook
