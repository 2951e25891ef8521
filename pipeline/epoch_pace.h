// EpochPace: when an epoch is committed, and when a round of it is.
//
// An epoch is what one commit absorbs; a round is what is decoded, deduplicated and added up in one go. Rounds are
// short, so that what was read and decoded is still in the third-level cache when it is used, and so that little memory
// serves all of them. While the commit before is still being written a round goes on, up to four times as long: what
// comes next would have to wait for it. Epochs are long, for a commit has its price: until the input is slower than we
// are. Then what came is committed soon, at once when nothing comes any more. A stream of several hundred thousand
// events a second that we still wait for is between the two: nobody waits for one of its events, and each commit writes
// the totals that it touched again, so its epochs grow with what they hold, up to eight times as long.
#ifndef TOLLBOOK_PIPELINE_EPOCH_PACE_H_
#define TOLLBOOK_PIPELINE_EPOCH_PACE_H_

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "pipeline/input.h"

namespace tollbook {

struct PaceLimits {
  uint64_t epoch_bytes = UINT64_MAX;
  uint64_t epoch_events = UINT64_MAX;
  uint64_t round_bytes = UINT64_MAX;
  uint64_t round_blocks = UINT64_MAX;
  std::chrono::nanoseconds epoch_time = std::chrono::nanoseconds::max();
  std::chrono::nanoseconds slow_epoch_time = std::chrono::nanoseconds::max();  // of an input that we wait for
  uint64_t slow_epoch_events = UINT64_MAX;  // one that brings more in this time: see below
};

class EpochPace {
 public:
  using Clock = std::chrono::steady_clock;
  explicit EpochPace(const PaceLimits& limits) : limits_(limits) {}

  void BeginEpoch() { *this = EpochPace(limits_); }
  void BeginRound() { round_bytes_ = round_blocks_ = 0; }

  // A block was read; an empty one says that nothing came for a while.
  void OnBlock(const Block& block) {
    uint64_t bytes = block.bytes;
    for (const Block::LongLine& cut : block.long_lines) bytes += cut.bytes;
    idle_ = bytes == 0;
    if (idle_ && bytes_ == 0) return;  // nothing has begun
    if (bytes_ == 0) begin_ = Clock::now();
    waited_ += block.waited;
    bytes_ += bytes;
    round_bytes_ += bytes;
    ++round_blocks_;
  }

  // `busy`: the commit before is still being written.
  bool RoundIsDue(bool busy) const {
    const uint64_t stretch = busy ? kBusyStretch : 1;
    return round_bytes_ / stretch >= limits_.round_bytes || round_blocks_ / stretch >= limits_.round_blocks;
  }

  // `events` of this epoch so far; `busy` as above.
  bool EpochIsDue(uint64_t events, bool busy) const {
    if (bytes_ == 0) return false;
    if (bytes_ >= limits_.epoch_bytes || events >= limits_.epoch_events) return true;
    const Clock::duration age = Clock::now() - begin_;
    if (age >= limits_.epoch_time) return true;
    // An input that waits for us now and then is not a slow one: a quarter of the time is ours.
    const bool slow = waited_ * 4 >= age;
    const uint64_t stretch = std::clamp<uint64_t>(events / limits_.slow_epoch_events, 1, kStretchMax);
    return !busy && slow && (idle_ || age / stretch >= limits_.slow_epoch_time);
  }

  uint64_t bytes() const { return bytes_; }

 private:
  static constexpr uint64_t kStretchMax = 8;
  static constexpr uint64_t kBusyStretch = 4;
  PaceLimits limits_;
  Clock::time_point begin_{};  // of the epoch's first block
  Clock::duration waited_{};
  uint64_t bytes_ = 0;
  uint64_t round_bytes_ = 0;
  uint64_t round_blocks_ = 0;
  bool idle_ = false;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EPOCH_PACE_H_
