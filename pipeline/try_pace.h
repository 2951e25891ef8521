// TryPace: when a short cut is tried. It may cost little where it does not help: there, soon only one line in hundreds
// is tried.
#ifndef TOLLBOOK_PIPELINE_TRY_PACE_H_
#define TOLLBOOK_PIPELINE_TRY_PACE_H_

#include <algorithm>
#include <cstdint>
#include <optional>

namespace tollbook {

class TryPace {
 public:
  static constexpr uint32_t kStretch = 128;  // lines that are tried before it is said whether that helps

  // `matched_min`: so many of a stretch must match, or trying costs more than it saves.
  explicit TryPace(uint32_t matched_min) : matched_min_(matched_min) {}

  bool TriesNext() { return rest_ == 0 || --rest_ == 0; }
  bool rests() const { return rest_ != 0; }
  // At the end of a stretch: how much of it matched. Where that was too little, a rest begins, each longer than the one
  // before.
  std::optional<uint32_t> OnTried(bool matched) {
    matched_ += matched;
    if (++tried_ < kStretch) return std::nullopt;
    const uint32_t of_stretch = matched_;
    const bool poor = of_stretch < matched_min_;
    rest_ = poor ? next_rest_ : 0;
    next_rest_ = poor ? std::min(next_rest_ * 2, kRestMax) : kRestMin;
    tried_ = matched_ = 0;
    return of_stretch;
  }

 private:
  static constexpr uint32_t kRestMin = 2048, kRestMax = 64 << 10;

  uint32_t matched_min_;
  uint32_t tried_ = 0, matched_ = 0;  // in this stretch
  uint32_t rest_ = 0;                 // lines not to be tried
  uint32_t next_rest_ = kRestMin;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_TRY_PACE_H_
