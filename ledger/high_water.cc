#include "ledger/high_water.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "ledger/bytes.h"
#include "ledger/durable_file.h"

namespace tollbook {
namespace {

constexpr size_t kSlotBytes = 4096;  // a block of the disk: the slots never tear together
constexpr std::string_view kMagic = "tollhwm1";

std::string PathIn(const std::string& directory) {
  return directory + "/" + std::string(HighWater::kFileName);
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

}  // namespace

bool HighWater::Exists(const std::string& directory) {
  return access(PathIn(directory).c_str(), F_OK) == 0;
}

std::string HighWater::BytesOf(const HighWaterMark& mark) {
  const std::string slot = EncodeSlot(mark);
  return slot + slot;
}

absl::Status HighWater::Create(const std::string& directory) {
  return WriteFileAtomically(directory, kFileName, BytesOf({}));
}

absl::StatusOr<HighWater> HighWater::Open(const std::string& directory) {
  const std::string path = PathIn(directory);
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return DamagedError(path + " is missing");
  if (fd < 0) return FileError("cannot open", path);
  HighWater file(fd, path);
  std::string bytes(2 * kSlotBytes, '\0');
  if (pread(fd, bytes.data(), bytes.size(), 0) < 0) return FileError("cannot read", path);
  const std::optional<HighWaterMark> even = DecodeSlot(std::string_view(bytes).substr(0, kSlotBytes));
  const std::optional<HighWaterMark> odd = DecodeSlot(std::string_view(bytes).substr(kSlotBytes));
  if (!even && !odd) return DamagedError(path);
  file.torn_ = !even || !odd;
  file.mark_ = !odd || (even && even->sequence > odd->sequence) ? *even : *odd;
  return file;
}

bool HighWater::Admits(const CommitRecord& newest) const {
  const bool one_ahead = newest.sequence == mark_.sequence + 1 && newest.previous == mark_.hash;
  const bool level = newest.sequence == mark_.sequence && newest.hash == mark_.hash;
  return one_ahead || (level && !torn_);
}

HighWater::HighWater(HighWater&& other) noexcept
    : fd_(other.fd_), path_(std::move(other.path_)), mark_(other.mark_), torn_(other.torn_) {
  other.fd_ = -1;
}

HighWater::~HighWater() {
  if (fd_ >= 0) close(fd_);
}

absl::Status HighWater::Raise(const HighWaterMark& mark) {
  const std::string slot = EncodeSlot(mark);
  TOLLBOOK_RETURN_IF_ERROR(WriteAll(fd_, slot, static_cast<int64_t>(mark.sequence % 2 * kSlotBytes), path_));
  TOLLBOOK_RETURN_IF_ERROR(SyncData(fd_, path_));
  mark_ = mark;
  torn_ = false;
  return absl::OkStatus();
}

}  // namespace tollbook
