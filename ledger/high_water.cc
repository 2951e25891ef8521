#include "ledger/high_water.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "ledger/bytes.h"

namespace tollbook {
namespace {

constexpr size_t kSlotBytes = 512;  // a sector: slots never tear together
constexpr std::string_view kMagic = "tollhwm1";

absl::Status FileError(std::string_view what, const std::string& path) {
  return MakeError(absl::StatusCode::kUnavailable, what, path + ": " + std::strerror(errno),
                   "check the disk and the permissions of the book's directory");
}

std::string EncodeSlot(const HighWaterMark& mark) {
  ByteWriter slot;
  slot.Raw(kMagic);
  slot.Fixed64(mark.sequence);
  slot.Raw({reinterpret_cast<const char*>(mark.hash.data()), mark.hash.size()});
  slot.Fixed64(XXH3_64bits(slot.bytes().data(), slot.size()));
  std::string bytes = slot.Take();
  bytes.resize(kSlotBytes, '\0');
  return bytes;
}

std::optional<HighWaterMark> DecodeSlot(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.Raw(kMagic.size()) != kMagic) return std::nullopt;
  HighWaterMark mark;
  mark.sequence = in.Fixed64();
  const std::string_view hash = in.Raw(mark.hash.size());
  const size_t checked = kMagic.size() + 8 + mark.hash.size();
  const uint64_t checksum = in.Fixed64();
  if (!in.ok() || checksum != XXH3_64bits(bytes.data(), checked)) return std::nullopt;
  std::memcpy(mark.hash.data(), hash.data(), hash.size());
  return mark;
}

absl::Status SyncDirectory(const std::string& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError("cannot open", directory);
  const bool synced = fsync(fd) == 0;
  close(fd);
  return synced ? absl::OkStatus() : FileError("cannot sync", directory);
}

}  // namespace

absl::StatusOr<HighWater> HighWater::Open(const std::string& directory) {
  const std::string path = directory + "/HIGHWATER";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return FileError("cannot open", path);
  HighWater file(fd, path);
  char bytes[2 * kSlotBytes] = {};
  const ssize_t size = pread(fd, bytes, sizeof bytes, 0);
  if (size < 0) return FileError("cannot read", path);
  if (size == 0) {
    TOLLBOOK_RETURN_IF_ERROR(SyncDirectory(directory));
    TOLLBOOK_RETURN_IF_ERROR(file.Raise({}));
    return file;
  }
  std::optional<HighWaterMark> newest;
  for (const size_t slot : {size_t{0}, kSlotBytes}) {
    const std::optional<HighWaterMark> mark = DecodeSlot({bytes + slot, kSlotBytes});
    if (mark && (!newest || mark->sequence > newest->sequence)) newest = mark;
  }
  if (!newest) return DamagedError(path);
  file.mark_ = *newest;
  return file;
}

HighWater::HighWater(HighWater&& other) noexcept : fd_(other.fd_), path_(std::move(other.path_)), mark_(other.mark_) {
  other.fd_ = -1;
}

HighWater::~HighWater() {
  if (fd_ >= 0) close(fd_);
}

absl::Status HighWater::Raise(const HighWaterMark& mark) {
  const std::string slot = EncodeSlot(mark);
  const off_t at = static_cast<off_t>(mark.sequence % 2 * kSlotBytes);
  if (pwrite(fd_, slot.data(), slot.size(), at) != static_cast<ssize_t>(slot.size()))
    return FileError("cannot write", path_);
  if (fdatasync(fd_) != 0) return FileError("cannot sync", path_);
  mark_ = mark;
  return absl::OkStatus();
}

}  // namespace tollbook
