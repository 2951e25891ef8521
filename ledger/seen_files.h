// SeenFiles: where a book's seen entries lie on disk: a row of files that are only ever appended to, and freed by the
// stretch.
//
// Why not RocksDB: a seen entry is 20 bytes that are written once, never looked up by key, and freed by the hundred
// thousand. There they would go through a write batch, a log, a memory table and a blob file; here they are written once.
//
// Order     bytes are appended and synced BEFORE the commit that refers to them; what it no longer refers to is freed
//           AFTER it was acknowledged. So a crash leaves bytes that nothing refers to, never the reverse: the next writer
//           gives their space back.
// Freeing   punches holes (the disk has the space back at once, where its file system can), and removes a file in which
//           nothing lives.
// Direct    writes past the page cache, for what is read only after a restart. A file system may refuse that when the
//           file is opened or at the write; then it is written through the cache.
// Threads   one writer; Read from any thread.
#ifndef TOLLBOOK_LEDGER_SEEN_FILES_H_
#define TOLLBOOK_LEDGER_SEEN_FILES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rating/error.h"

namespace tollbook {

// A stretch of a file. Its offset is a whole number of disk blocks.
struct SeenPlace {
  uint32_t file = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

class SeenFile {
 public:
  SeenFile(int fd, int writing_fd, std::string path) : fd_(fd), writing_fd_(writing_fd), path_(std::move(path)) {}
  SeenFile(const SeenFile&) = delete;
  SeenFile& operator=(const SeenFile&) = delete;
  ~SeenFile();

  // DataLoss when the file ends before.
  absl::Status Read(uint64_t offset, size_t bytes, char* into) const;
  // The same, when all of it is in memory; else false.
  bool ReadIfCached(uint64_t offset, size_t bytes, char* into) const;
  // Asks the disk for it, and does not wait.
  void WillNeed(uint64_t offset, size_t bytes) const;

  const std::string& path() const { return path_; }
  int writing_fd() const { return writing_fd_; }
  int fd() const { return fd_; }

 private:
  const int fd_;
  const int writing_fd_;  // the same as fd_, or one that goes past the page cache
  const std::string path_;
};

enum class SeenWriting : uint8_t { kCached, kDirect };

class SeenFiles {
 public:
  // `directory` need not be there until something is written. Files are named 1.<extension>, 2.<extension> …
  SeenFiles(std::string directory, std::string extension, SeenWriting writing, uint64_t file_bytes = 256 << 20);
  ~SeenFiles();

  // What the book refers to; once, before all else. DataLoss when it is not there.
  absl::Status Open(std::span<const SeenPlace> live);
  absl::StatusOr<std::shared_ptr<const SeenFile>> File(uint32_t number) const;

  // One stretch at a time: Begin, Append as often as needed, End. None of it is durable before Sync.
  absl::Status Begin();
  absl::Status Append(std::string_view bytes);
  absl::StatusOr<SeenPlace> End();
  absl::Status Sync();
  // Gives back what lies between what lives, as the first Begin does. Once.
  absl::Status Reclaim() { return ready_to_write_ ? absl::OkStatus() : RemoveForeign(); }

  // Nothing refers to it any more, durably.
  void Free(const SeenPlace& place);

 private:
  struct Held {
    std::shared_ptr<const SeenFile> file;
    uint64_t live_bytes = 0;
    uint64_t end = 0;  // of what lives
  };
  std::string PathOf(uint32_t number) const;
  absl::StatusOr<std::shared_ptr<const SeenFile>> OpenFile(uint32_t number, bool create) const;
  absl::Status RemoveForeign();
  void PunchGaps();
  absl::Status NewFile();
  absl::Status WriteBuffer();
  absl::Status WriteAt(const SeenFile& file, uint64_t offset, std::string_view blocks);

  const std::string directory_;
  const std::string extension_;
  SeenWriting writing_;
  const uint64_t file_bytes_;
  std::map<uint32_t, Held> files_;
  std::vector<SeenPlace> opened_with_;  // until the first write
  bool ready_to_write_ = false;
  bool unsynced_name_ = false;  // a file was made and the directory not synced since
  uint32_t current_ = 0;        // file appended to
  uint64_t at_ = 0;             // its end
  uint64_t begun_at_ = 0;
  uint64_t appended_ = 0;
  std::map<uint32_t, std::shared_ptr<const SeenFile>> unsynced_;
  std::unique_ptr<char, void (*)(void*)> buffer_;
  size_t buffered_ = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_SEEN_FILES_H_
