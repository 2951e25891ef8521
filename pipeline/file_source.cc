#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "pipeline/byte_source.h"

namespace tollbook {
namespace {

using Clock = std::chrono::steady_clock;

// How long a stop may go unseen while a pipe gives nothing.
constexpr int kStopSeenMillis = 50;
// The most that a pipe may hold without a privilege.
constexpr int kPipeBytes = 1 << 20;

class FileSource final : public ByteSource {
 public:
  FileSource(int descriptor, std::string path, const Waiting& waiting)
      : descriptor_(descriptor), path_(std::move(path)), waiting_(waiting) {
    struct stat info;
    may_wait_ = ::fstat(descriptor_, &info) == 0 && !S_ISREG(info.st_mode);
    // A pipe holds 64 KiB unless it is told to hold more: a reader and a writer would wait for each other at each turn.
    if (may_wait_) (void)::fcntl(descriptor_, F_SETPIPE_SZ, kPipeBytes);
  }
  ~FileSource() override {
    if (descriptor_ != STDIN_FILENO) ::close(descriptor_);
  }

  absl::StatusOr<size_t> Read(char* into, size_t bytes) override {
    for (;;) {
      if (may_wait_) TOLLBOOK_RETURN_IF_ERROR(WaitForBytes());
      const ssize_t got = ::read(descriptor_, into, bytes);
      if (got >= 0) {
        bytes_read_ += static_cast<uint64_t>(got);
        return static_cast<size_t>(got);
      }
      if (errno == EINTR || errno == EAGAIN) continue;
      return MakeError(absl::StatusCode::kUnavailable, "cannot be read",
                       path_ + " at byte " + std::to_string(bytes_read_),
                       std::string(std::strerror(errno)) + "; check the disk or the mount, then run again");
    }
  }
  uint64_t bytes_read() const override { return bytes_read_; }
  std::chrono::nanoseconds waited() const override { return waited_; }

 private:
  // A signal may go to any thread, so it is not enough that it interrupts a read: the stop is looked at now and then.
  absl::Status WaitForBytes() {
    if (IsReady(0)) return absl::OkStatus();
    const Clock::time_point begin = Clock::now();
    for (;;) {
      if (waiting_.stop != nullptr && waiting_.stop->load(std::memory_order_relaxed)) {
        return MakeError(absl::StatusCode::kCancelled, "stopped while waiting for input", path_, "run again");
      }
      const bool patient = waiting_.idle_millis < 0;
      const bool ready = IsReady(patient ? kStopSeenMillis : std::min(kStopSeenMillis, waiting_.idle_millis));
      const Clock::duration waited = Clock::now() - begin;
      if (ready || (!patient && waited >= std::chrono::milliseconds(waiting_.idle_millis))) waited_ += waited;
      if (ready) return absl::OkStatus();
      if (!patient && waited >= std::chrono::milliseconds(waiting_.idle_millis)) {
        return MakeError(absl::StatusCode::kDeadlineExceeded, "nothing came yet", path_, "read again");
      }
    }
  }
  bool IsReady(int millis) const {
    struct pollfd wait = {descriptor_, POLLIN, 0};
    const int ready = ::poll(&wait, 1, millis);
    return ready > 0 || (ready < 0 && errno != EINTR);  // read() says what is wrong
  }

  const int descriptor_;
  const std::string path_;
  const Waiting waiting_;
  bool may_wait_ = false;
  uint64_t bytes_read_ = 0;
  Clock::duration waited_{};
};

class PrefixedSource final : public ByteSource {
 public:
  PrefixedSource(std::string first, std::unique_ptr<ByteSource> rest)
      : first_(std::move(first)), rest_(std::move(rest)) {}

  absl::StatusOr<size_t> Read(char* into, size_t bytes) override {
    if (given_ == first_.size()) return rest_->Read(into, bytes);
    const size_t take = std::min(bytes, first_.size() - given_);
    std::memcpy(into, first_.data() + given_, take);
    given_ += take;
    return take;
  }
  // What was read before and is not given yet counts as not read, so that a message names the right place.
  uint64_t bytes_read() const override { return rest_->bytes_read() - (first_.size() - given_); }
  std::chrono::nanoseconds waited() const override { return rest_->waited(); }

 private:
  const std::string first_;
  size_t given_ = 0;
  std::unique_ptr<ByteSource> rest_;
};

// A pipe may give the first bytes one by one.
absl::StatusOr<std::string> ReadFirstBytes(ByteSource& source) {
  std::string first(kMagicBytes, '\0');
  size_t size = 0;
  while (size < first.size()) {
    absl::StatusOr<size_t> got = source.Read(first.data() + size, first.size() - size);
    if (absl::IsDeadlineExceeded(got.status())) continue;
    if (!got.ok()) return got.status();
    if (*got == 0) break;
    size += *got;
  }
  first.resize(size);
  return first;
}

}  // namespace

Compression CompressionOf(std::string_view first_bytes) {
  if (first_bytes.starts_with("\x1f\x8b")) return Compression::kGzip;
  if (first_bytes.starts_with("\x28\xb5\x2f\xfd")) return Compression::kZstd;
  // A zstd file may begin with a skippable frame: 0x184D2A50 to 0x184D2A5F, little-endian.
  if (first_bytes.size() >= 4 && (first_bytes[0] & 0xf0) == 0x50 && first_bytes.substr(1, 3) == "\x2a\x4d\x18") {
    return Compression::kZstd;
  }
  return Compression::kNone;
}

absl::StatusOr<std::unique_ptr<ByteSource>> OpenFileSource(const std::string& path, const Waiting& waiting) {
  if (path == "-") return std::make_unique<FileSource>(STDIN_FILENO, "standard input", waiting);
  int descriptor = -1;
  do {
    // Not blocking: to open a pipe that nobody writes to yet would wait where no stop is seen.
    descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) {
    const auto code = errno == ENOENT ? absl::StatusCode::kNotFound : absl::StatusCode::kPermissionDenied;
    return MakeError(code, "cannot be opened", path,
                     std::string(std::strerror(errno)) + "; check that it is there and that you may read it");
  }
  ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);  // a hint; pipes refuse it, which is fine
  return std::make_unique<FileSource>(descriptor, path, waiting);
}

std::unique_ptr<ByteSource> MakePrefixedSource(std::string first, std::unique_ptr<ByteSource> rest) {
  return std::make_unique<PrefixedSource>(std::move(first), std::move(rest));
}

absl::StatusOr<std::unique_ptr<ByteSource>> OpenSource(const std::string& path, const Waiting& waiting,
                                                       size_t threads) {
  absl::StatusOr<std::unique_ptr<ByteSource>> file = OpenFileSource(path, waiting);
  if (!file.ok()) return file;
  absl::StatusOr<std::string> first = ReadFirstBytes(**file);
  if (!first.ok()) return first.status();
  const Compression compression = CompressionOf(*first);
  std::unique_ptr<ByteSource> source = MakePrefixedSource(*std::move(first), *std::move(file));
  switch (compression) {
    case Compression::kNone:
      return source;
    case Compression::kGzip:
      return MakeGzipSource(std::move(source), path);
    case Compression::kZstd:
      return threads > 1 ? MakeZstdFramesSource(std::move(source), path, threads)
                         : MakeZstdSource(std::move(source), path);
  }
  return source;
}

}  // namespace tollbook
