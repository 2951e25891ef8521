#include "ledger/usage_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "ledger/backup_list.h"
#include "ledger/durable_file.h"

namespace tollbook {
namespace {

constexpr std::string_view kDirectory = "usage";

absl::Status LogDamagedError(std::string_view which) {
  return MakeError(absl::StatusCode::kDataLoss, "the usage log is damaged", which,
                   "nothing that is booked depends on it; put `usage/` back from a backup");
}
constexpr std::string_view kExtension = ".zst";

std::string NameOf(uint32_t number) {
  return std::to_string(number) + std::string(kExtension);
}

// The number of 12.zst; 0: it is none of ours.
uint32_t NumberOf(const std::filesystem::path& path) {
  const std::string stem = path.stem().string();
  const bool is_number = !stem.empty() && stem.size() <= 9 && stem.find_first_not_of("0123456789") == std::string::npos;
  return is_number && path.extension() == kExtension ? static_cast<uint32_t>(std::stoul(stem)) : 0;
}

// A hole; where the file system has none, zeros.
absl::Status Clear(int fd, const std::string& path, uint64_t at, uint64_t bytes) {
  if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(at), static_cast<off_t>(bytes)) == 0)
    return absl::OkStatus();
  const std::string zeros(std::min<uint64_t>(bytes, 1 << 20), '\0');
  while (bytes > 0) {
    const std::string_view part = std::string_view(zeros).substr(0, bytes);
    TOLLBOOK_RETURN_IF_ERROR(WriteAll(fd, part, static_cast<int64_t>(at), path));
    at += part.size();
    bytes -= part.size();
  }
  return absl::OkStatus();
}

// All of a file but these places, which are in order.
absl::Status ClearGaps(int fd, const std::string& path, std::span<const SegmentPlace> places) {
  uint64_t at = 0;
  for (const SegmentPlace& place : places) {
    if (at < place.offset) TOLLBOOK_RETURN_IF_ERROR(Clear(fd, path, at, place.offset - at));
    at = place.offset + place.bytes;
  }
  struct stat facts = {};
  if (fstat(fd, &facts) != 0) return FileError("cannot read", path);
  if (static_cast<uint64_t>(facts.st_size) > at && ftruncate(fd, static_cast<off_t>(at)) != 0)
    return FileError("cannot cut", path);
  return SyncData(fd, path);
}

}  // namespace

UsageFiles::UsageFiles(const std::string& directory, uint64_t file_bytes)
    : directory_(directory + "/" + std::string(kDirectory)), file_bytes_(file_bytes) {}

UsageFiles::~UsageFiles() {
  if (fd_ >= 0) close(fd_);
}

std::string UsageFiles::PathOf(uint32_t number) const {
  return directory_ + "/" + NameOf(number);
}

void UsageFiles::Open(std::span<const SegmentPlace> live, uint32_t last_file) {
  for (const SegmentPlace& place : live) {
    uint64_t& end = ends_[place.file];
    end = std::max(end, place.offset + place.bytes);
  }
  last_file_ = last_file;
}

absl::StatusOr<std::string> UsageFiles::Read(const SegmentPlace& place) const {
  const std::string path = PathOf(place.file);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return LogDamagedError(path + " is missing");
  if (fd < 0) return FileError("cannot open", path);
  struct stat facts = {};
  // Before memory is taken for it.
  const bool is_there = fstat(fd, &facts) == 0 && place.offset <= static_cast<uint64_t>(facts.st_size) &&
                        place.bytes <= static_cast<uint64_t>(facts.st_size) - place.offset;
  if (!is_there) {
    close(fd);
    return LogDamagedError(path + " is too short");
  }
  std::string bytes(place.bytes, '\0');
  size_t got = 0;
  absl::Status status;
  while (got < bytes.size() && status.ok()) {
    const ssize_t part = pread(fd, bytes.data() + got, bytes.size() - got, static_cast<off_t>(place.offset + got));
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) status = FileError("cannot read", path);
    if (part == 0) status = LogDamagedError(path + " is too short");
    if (part > 0) got += static_cast<size_t>(part);
  }
  close(fd);
  TOLLBOOK_RETURN_IF_ERROR(status);
  if (Sha256(bytes) == place.hash) return bytes;
  return LogDamagedError(path + ": the segment at byte " + std::to_string(place.offset) + " is not what was written");
}

// What an epoch that did not come about, or a purge that was cut short, has left.
absl::Status UsageFiles::RemoveForeign() {
  std::error_code error;
  std::vector<std::string> foreign;
  for (std::filesystem::directory_iterator entry(directory_, error), end; !error && entry != end;
       entry.increment(error)) {
    const uint32_t number = NumberOf(entry->path());
    if (number != 0 && !ends_.contains(number)) foreign.push_back(entry->path().string());
  }
  for (const std::string& path : foreign) {
    if (unlink(path.c_str()) != 0) return FileError("cannot remove", path);
  }
  return foreign.empty() ? absl::OkStatus() : SyncDirectory(directory_);
}

absl::Status UsageFiles::Prepare() {
  TOLLBOOK_RETURN_IF_ERROR(MakeDirectorySynced(directory_));
  TOLLBOOK_RETURN_IF_ERROR(RemoveForeign());
  const auto last = ends_.find(last_file_);
  if (last == ends_.end()) return NewFile();
  const std::string path = PathOf(last_file_);
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return NewFile();
  if (fd < 0) return FileError("cannot open", path);
  fd_ = fd;
  at_ = last->second;
  struct stat facts = {};
  if (fstat(fd_, &facts) != 0) return FileError("cannot read", path);
  if (static_cast<uint64_t>(facts.st_size) < at_) return NewFile();  // nothing is to look whole that is not
  return ftruncate(fd_, static_cast<off_t>(at_)) == 0 ? absl::OkStatus() : FileError("cannot cut", path);
}

absl::Status UsageFiles::NewFile() {
  if (fd_ >= 0) close(fd_);
  const std::string path = PathOf(last_file_ + 1);
  fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd_ < 0) return FileError("cannot make", path);
  ++last_file_;
  at_ = 0;
  unsynced_name_ = true;
  return absl::OkStatus();
}

absl::StatusOr<SegmentPlace> UsageFiles::Append(std::string_view bytes) {
  if (fd_ < 0) TOLLBOOK_RETURN_IF_ERROR(Prepare());
  if (at_ >= file_bytes_) {
    TOLLBOOK_RETURN_IF_ERROR(Sync());  // its descriptor goes
    TOLLBOOK_RETURN_IF_ERROR(NewFile());
  }
  const SegmentPlace place{last_file_, at_, bytes.size(), Sha256(bytes)};
  TOLLBOOK_RETURN_IF_ERROR(WriteAll(fd_, bytes, static_cast<int64_t>(at_), PathOf(last_file_)));
  at_ += bytes.size();
  ends_[last_file_] = at_;
  unsynced_ = true;
  return place;
}

absl::Status UsageFiles::Sync() {
  if (unsynced_) TOLLBOOK_RETURN_IF_ERROR(SyncData(fd_, PathOf(last_file_)));
  unsynced_ = false;
  if (unsynced_name_) TOLLBOOK_RETURN_IF_ERROR(SyncDirectory(directory_));
  unsynced_name_ = false;
  return absl::OkStatus();
}

// Within a file that something else lives in, holes: the disk has the space back where its file system can, and what
// was purged reads as zeros. What comes between two purges and a crash is done by the next.
absl::Status UsageFiles::Reclaim(std::span<const SegmentPlace> live) {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  ends_.clear();
  std::map<uint32_t, std::vector<SegmentPlace>> by_file;
  for (const SegmentPlace& place : live) by_file[place.file].push_back(place);
  Open(live, last_file_);
  TOLLBOOK_RETURN_IF_ERROR(RemoveForeign());
  for (auto& [number, places] : by_file) {
    const std::string path = PathOf(number);
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) continue;  // CheckStore says so
    if (fd < 0) return FileError("cannot open", path);
    std::ranges::sort(places, {}, &SegmentPlace::offset);
    const absl::Status cleared = ClearGaps(fd, path, places);
    close(fd);
    TOLLBOOK_RETURN_IF_ERROR(cleared);
  }
  return absl::OkStatus();
}

std::map<std::string, uint64_t> UsageFiles::Extents() const {
  std::map<std::string, uint64_t> extents;
  for (const auto& [number, end] : ends_) extents.emplace(std::string(kDirectory) + "/" + NameOf(number), end);
  return extents;
}

}  // namespace tollbook
