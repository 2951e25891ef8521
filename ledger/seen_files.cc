#include "ledger/seen_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <new>
#include <string>
#include <tuple>
#include <vector>

#include "ledger/durable_file.h"
#include "ledger/records.h"

namespace tollbook {
namespace {

constexpr uint64_t kBlockBytes = 4096;  // what direct writing and holes are aligned to
constexpr size_t kBufferBytes = 1 << 20;

uint64_t WholeBlocks(uint64_t bytes) {
  return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}

}  // namespace

SeenFile::~SeenFile() {
  if (writing_fd_ >= 0 && writing_fd_ != fd_) close(writing_fd_);
  close(fd_);
}

absl::Status SeenFile::Read(uint64_t offset, size_t bytes, char* into) const {
  while (bytes > 0) {
    const ssize_t got = pread(fd_, into, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError("cannot read", path_);
    if (got == 0) return DamagedError(path_ + " is too short");
    into += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

bool SeenFile::ReadIfCached(uint64_t offset, size_t bytes, char* into) const {
  const iovec whole = {into, bytes};
  return preadv2(fd_, &whole, 1, static_cast<off_t>(offset), RWF_NOWAIT) == static_cast<ssize_t>(bytes);
}

void SeenFile::WillNeed(uint64_t offset, size_t bytes) const {
  (void)posix_fadvise(fd_, static_cast<off_t>(offset), static_cast<off_t>(bytes), POSIX_FADV_WILLNEED);
}

SeenFiles::SeenFiles(std::string directory, std::string extension, SeenWriting writing, uint64_t file_bytes)
    : directory_(std::move(directory)),
      extension_(std::move(extension)),
      writing_(writing),
      file_bytes_(file_bytes),
      buffer_(nullptr, std::free) {}

SeenFiles::~SeenFiles() = default;

std::string SeenFiles::PathOf(uint32_t number) const {
  return directory_ + "/" + std::to_string(number) + "." + extension_;
}

absl::StatusOr<std::shared_ptr<const SeenFile>> SeenFiles::OpenFile(uint32_t number, bool create) const {
  const std::string path = PathOf(number);
  const int flags = O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_TRUNC : 0);
  const int fd = open(path.c_str(), flags, 0640);
  if (fd < 0 && errno == ENOENT) return DamagedError(path + " is missing");
  if (fd < 0) return FileError("cannot open", path);
  const int direct = writing_ == SeenWriting::kDirect ? open(path.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC) : -1;
  return std::make_shared<const SeenFile>(fd, direct >= 0 ? direct : fd, path);
}

absl::Status SeenFiles::Open(std::span<const SeenPlace> live) {
  opened_with_.assign(live.begin(), live.end());
  for (const SeenPlace& place : live) {
    Held& held = files_[place.file];
    held.live_bytes += WholeBlocks(place.bytes);
    held.end = std::max(held.end, place.offset + WholeBlocks(place.bytes));
  }
  for (auto& [number, held] : files_) {
    absl::StatusOr<std::shared_ptr<const SeenFile>> file = OpenFile(number, false);
    if (!file.ok()) return file.status();
    held.file = *std::move(file);
    struct stat facts = {};
    if (fstat(held.file->fd(), &facts) != 0) return FileError("cannot read", held.file->path());
    if (static_cast<uint64_t>(facts.st_size) < held.end) return DamagedError(held.file->path() + " is too short");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const SeenFile>> SeenFiles::File(uint32_t number) const {
  const auto held = files_.find(number);
  if (held == files_.end()) return DamagedError(PathOf(number) + " is missing");
  return held->second.file;
}

namespace {

// 12.log, and not what somebody else put there.
bool IsNumbered(const std::filesystem::path& path, const std::string& extension) {
  const std::string stem = path.stem().string();
  return path.extension() == "." + extension && stem.find_first_not_of("0123456789") == std::string::npos;
}

// Where the file system cannot, the space comes back with the file.
void Punch(int fd, uint64_t offset, uint64_t bytes) {
  (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                  static_cast<off_t>(bytes));
}

}  // namespace

// Between what lives there may be stretches that were to be freed when a crash came, and holes that a copy has filled.
void SeenFiles::PunchGaps() {
  std::sort(opened_with_.begin(), opened_with_.end(), [](const SeenPlace& a, const SeenPlace& b) {
    return std::tie(a.file, a.offset) < std::tie(b.file, b.offset);
  });
  SeenPlace before;
  for (const SeenPlace& place : opened_with_) {
    const auto held = files_.find(place.file);
    if (held == files_.end()) continue;  // freed meanwhile: a commit that accepts nothing writes nothing here
    const uint64_t end = place.file == before.file ? before.offset + WholeBlocks(before.bytes) : 0;
    if (end < place.offset) Punch(held->second.file->fd(), end, place.offset - end);
    before = place;
  }
  opened_with_ = {};
}

// What a commit that did not come about had written.
absl::Status SeenFiles::RemoveForeign() {
  TOLLBOOK_RETURN_IF_ERROR(MakeDirectorySynced(directory_));
  std::error_code error;
  std::vector<std::string> foreign;
  for (std::filesystem::directory_iterator entry(directory_, error), end; !error && entry != end;
       entry.increment(error)) {
    if (!IsNumbered(entry->path(), extension_)) continue;
    const auto named = [&](const auto& held) { return PathOf(held.first) == entry->path().string(); };
    if (std::none_of(files_.begin(), files_.end(), named)) foreign.push_back(entry->path().string());
  }
  for (const std::string& path : foreign) {
    if (unlink(path.c_str()) != 0) return FileError("cannot remove", path);
  }
  if (!files_.empty()) {
    current_ = files_.rbegin()->first;
    const Held& held = files_.rbegin()->second;
    at_ = held.end;
    if (ftruncate(held.file->fd(), static_cast<off_t>(at_)) != 0) return FileError("cannot cut", held.file->path());
  }
  PunchGaps();
  buffer_.reset(static_cast<char*>(std::aligned_alloc(kBlockBytes, kBufferBytes)));
  if (buffer_ == nullptr) throw std::bad_alloc();
  ready_to_write_ = true;
  return absl::OkStatus();
}

absl::Status SeenFiles::NewFile() {
  absl::StatusOr<std::shared_ptr<const SeenFile>> file = OpenFile(current_ + 1, true);
  if (!file.ok()) return file.status();
  // The file before stays for what lives in it.
  if (const auto before = files_.find(current_); before != files_.end() && before->second.live_bytes == 0) {
    (void)unlink(PathOf(current_).c_str());  // else the next writer does
    files_.erase(before);
  }
  ++current_;
  at_ = 0;
  files_[current_].file = *std::move(file);
  unsynced_name_ = true;
  return absl::OkStatus();
}

absl::Status SeenFiles::Begin() {
  if (!ready_to_write_) TOLLBOOK_RETURN_IF_ERROR(RemoveForeign());
  if (!files_.contains(current_) || at_ >= file_bytes_) TOLLBOOK_RETURN_IF_ERROR(NewFile());
  begun_at_ = at_;
  appended_ = 0;
  return absl::OkStatus();
}

absl::Status SeenFiles::Append(std::string_view bytes) {
  appended_ += bytes.size();
  while (!bytes.empty()) {
    const size_t part = std::min(bytes.size(), kBufferBytes - buffered_);
    std::memcpy(buffer_.get() + buffered_, bytes.data(), part);
    buffered_ += part;
    bytes.remove_prefix(part);
    if (buffered_ == kBufferBytes) TOLLBOOK_RETURN_IF_ERROR(WriteBuffer());
  }
  return absl::OkStatus();
}

// A write that failed for another reason fails again.
absl::Status SeenFiles::WriteAt(const SeenFile& file, uint64_t offset, std::string_view blocks) {
  const auto at = static_cast<int64_t>(offset);
  if (writing_ == SeenWriting::kDirect && WriteAll(file.writing_fd(), blocks, at, file.path()).ok())
    return absl::OkStatus();
  writing_ = SeenWriting::kCached;
  return WriteAll(file.fd(), blocks, at, file.path());
}

absl::Status SeenFiles::WriteBuffer() {
  const Held& held = files_.at(current_);
  const size_t whole = WholeBlocks(buffered_);
  std::memset(buffer_.get() + buffered_, 0, whole - buffered_);
  TOLLBOOK_RETURN_IF_ERROR(WriteAt(*held.file, at_, {buffer_.get(), whole}));
  at_ += whole;
  buffered_ = 0;
  return absl::OkStatus();
}

absl::StatusOr<SeenPlace> SeenFiles::End() {
  if (buffered_ > 0) TOLLBOOK_RETURN_IF_ERROR(WriteBuffer());
  Held& held = files_.at(current_);
  held.live_bytes += at_ - begun_at_;
  held.end = at_;
  unsynced_[current_] = held.file;
  return SeenPlace{current_, begun_at_, appended_};
}

absl::Status SeenFiles::Sync() {
  for (const auto& [number, file] : unsynced_) {
    TOLLBOOK_RETURN_IF_ERROR(SyncData(file->fd(), file->path()));
  }
  unsynced_.clear();
  if (unsynced_name_) TOLLBOOK_RETURN_IF_ERROR(SyncDirectory(directory_));
  unsynced_name_ = false;
  return absl::OkStatus();
}

void SeenFiles::Free(const SeenPlace& place) {
  const auto held = files_.find(place.file);
  TOLLBOOK_ASSERT(held != files_.end() && held->second.live_bytes >= WholeBlocks(place.bytes));
  held->second.live_bytes -= WholeBlocks(place.bytes);
  if (held->second.live_bytes == 0 && place.file != current_) {
    (void)unlink(PathOf(place.file).c_str());  // else the next writer does
    files_.erase(held);
    return;
  }
  Punch(held->second.file->fd(), place.offset, WholeBlocks(place.bytes));
}

}  // namespace tollbook
