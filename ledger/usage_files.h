// UsageFiles: where the usage log lies on disk: files that are only ever appended to, in `usage/` of the book. Each is
// zstd frames, one behind the other: what a person can unpack by hand.
//
// Order     bytes are appended and synced BEFORE the commit that refers to them, and given back AFTER the purge that
//           says so was acknowledged. So a crash leaves bytes that nothing refers to: the next writer cuts them off.
// Damage    Nothing that is booked depends on these files, so a book opens without them. Who reads a segment, and
//           CheckStore, finds that it is missing, cut or changed; what is written goes behind what was acknowledged, or
//           into a new file when that is gone.
// Threads   one writer; Read from any thread.
#ifndef TOLLBOOK_LEDGER_USAGE_FILES_H_
#define TOLLBOOK_LEDGER_USAGE_FILES_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/records.h"
#include "rating/error.h"

namespace tollbook {

// Where a segment is, and what it must be.
struct SegmentPlace {
  uint32_t file = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  Hash256 hash{};  // SHA-256
  friend bool operator==(const SegmentPlace&, const SegmentPlace&) = default;
};

class UsageFiles {
 public:
  // `directory`: the book's.
  explicit UsageFiles(const std::string& directory, uint64_t file_bytes = 256 << 20);
  ~UsageFiles();
  UsageFiles(const UsageFiles&) = delete;
  UsageFiles& operator=(const UsageFiles&) = delete;

  // What the book refers to, and the largest number that a file ever had; once, before all else.
  void Open(std::span<const SegmentPlace> live, uint32_t last_file);

  // Not durable before Sync.
  absl::StatusOr<SegmentPlace> Append(std::string_view bytes);
  absl::Status Sync();

  // DataLoss, with the file's name: it is not what was written.
  absl::StatusOr<std::string> Read(const SegmentPlace& place) const;

  // Gives back all but what lives.
  absl::Status Reclaim(std::span<const SegmentPlace> live);

  // By name in the book's directory, with what of each is referred to.
  std::map<std::string, uint64_t> Extents() const;

 private:
  std::string PathOf(uint32_t number) const;
  absl::Status Prepare();
  absl::Status RemoveForeign();
  absl::Status NewFile();

  const std::string directory_;
  const uint64_t file_bytes_;
  std::map<uint32_t, uint64_t> ends_;  // of each file that something lives in
  uint32_t last_file_ = 0;
  int fd_ = -1;  // of last_file_, once something is to be written
  uint64_t at_ = 0;
  bool unsynced_ = false;
  bool unsynced_name_ = false;  // a file was made and the directory not synced since
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_USAGE_FILES_H_
