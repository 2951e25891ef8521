// HighWater: the newest commit that was acknowledged, kept outside RocksDB.
//
// RocksDB drops what it cannot read at the end of a damaged log and opens all the same. This file knows better: it is
// written and synced after each commit and before anything that depends on it, so a book that opens with less has lost
// acknowledged commits and is refused.
//
// Two slots are written in turn, each with its own checksum. A slot that cannot be read was being written when the
// power went: for the commit after the other slot's, which the store had by then. So it costs nothing, and the store
// must show that commit.
#ifndef TOLLBOOK_LEDGER_HIGH_WATER_H_
#define TOLLBOOK_LEDGER_HIGH_WATER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "ledger/records.h"
#include "rating/error.h"

namespace tollbook {

struct HighWaterMark {
  uint64_t sequence = 0;  // 0: nothing committed yet
  Hash256 hash{};
};

class HighWater {
 public:
  static constexpr std::string_view kFileName = "HIGHWATER";

  static bool Exists(const std::string& directory);
  // For a new book: nothing committed yet.
  static absl::Status Create(const std::string& directory);
  // What the file of a book with this mark can hold: the mark in both slots. A copy of a book gets this.
  static std::string BytesOf(const HighWaterMark& mark);
  // Of a book that is there. DataLoss when the file is missing or neither slot can be read.
  static absl::StatusOr<HighWater> Open(const std::string& directory);

  HighWater(HighWater&& other) noexcept;
  HighWater& operator=(HighWater&&) = delete;
  ~HighWater();

  const HighWaterMark& mark() const { return mark_; }
  // Does a store whose newest commit is this one have all that was acknowledged? It may be one ahead: a crash came
  // between the commit and the raising of the mark.
  bool Admits(const CommitRecord& newest) const;

  absl::Status Raise(const HighWaterMark& mark);  // durable when it returns ok

 private:
  HighWater(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  int fd_;
  std::string path_;
  HighWaterMark mark_;
  bool torn_ = false;  // the other slot cannot be read
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_HIGH_WATER_H_
