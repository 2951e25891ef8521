// HighWater: the newest commit that was acknowledged, kept outside RocksDB.
//
// RocksDB drops what it cannot read at the end of a damaged log and opens all the same. This file knows better: it is
// written and synced after each commit and before anything that depends on it, so a book that opens with less has lost
// acknowledged commits and is refused. Two slots are written in turn, each with its own checksum: a torn write leaves
// the other.
#ifndef TOLLBOOK_LEDGER_HIGH_WATER_H_
#define TOLLBOOK_LEDGER_HIGH_WATER_H_

#include <cstdint>
#include <string>

#include "ledger/records.h"
#include "rating/error.h"

namespace tollbook {

struct HighWaterMark {
  uint64_t sequence = 0;  // 0: nothing committed yet
  Hash256 hash{};
};

class HighWater {
 public:
  // Opens or makes `path`. `directory` is synced when the file is made.
  static absl::StatusOr<HighWater> Open(const std::string& directory);
  HighWater(HighWater&& other) noexcept;
  HighWater& operator=(HighWater&&) = delete;
  ~HighWater();

  const HighWaterMark& mark() const { return mark_; }
  absl::Status Raise(const HighWaterMark& mark);  // durable when it returns ok

 private:
  HighWater(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  int fd_ = -1;
  std::string path_;
  HighWaterMark mark_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_HIGH_WATER_H_
