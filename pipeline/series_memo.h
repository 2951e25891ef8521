// SeriesMemo: the series of one meter that came last, by the dimensions' text as it stands in the line.
//
// Telemetry has few sets of dimension values, so nearly every event finds its series here by comparing at most 64
// bytes, and spares it hashing and a table lookup (SeriesCache, the plain way). What is longer, or of more dimensions,
// goes there. bench/tricks.cc: `series` 136 instructions a look-up, 252 plainly.
#ifndef TOLLBOOK_PIPELINE_SERIES_MEMO_H_
#define TOLLBOOK_PIPELINE_SERIES_MEMO_H_

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "pipeline/layout_scan.h"
#include "pipeline/layout_values.h"

namespace tollbook {

class SeriesMemo {
 public:
  static constexpr uint32_t kValues = 2;
  static constexpr uint32_t kValueBytes = 32;
  static constexpr uint32_t kBytesMask = 0xFF;  // of a value's size and kind, the size

  struct Known {
    uint32_t id = 0;
    uint64_t dimensions_hash = 0;
  };

  // Borrows the values; 32 bytes from where each begins may be read.
  class Key {
   public:
    explicit Key(uint64_t generation) : generation_(generation) {}
    // `is_number`: 1.0 and "1.0" are two values.
    void Add(std::string_view value, bool is_number) {
      if (count_ == kValues || value.size() > kValueBytes) {
        fits_ = false;
        return;
      }
      const auto bytes = static_cast<uint32_t>(value.size());
      values_[count_] = value.data();
      bytes_[count_] = bytes | static_cast<uint32_t>(is_number) << 31;
      ++count_;
      // Only to choose a place: its first and its last eight bytes.
      const uint64_t first = bytes >= 8 ? Load8(value.data()) : Load8(value.data()) & ((uint64_t{1} << 8 * bytes) - 1);
      const uint64_t last = bytes >= 8 ? Load8(value.data() + bytes - 8) : 0;
      mix_ = (mix_ ^ first) * kFactor + (last ^ bytes);
    }

   private:
    friend class SeriesMemo;
    static constexpr uint64_t kFactor = 0x9E3779B97F4A7C15;
    uint64_t generation_;
    uint64_t mix_ = 0;
    std::array<const char*, kValues> values_{};
    std::array<uint32_t, kValues> bytes_{};
    uint32_t count_ = 0;
    bool fits_ = true;
  };

  struct Entry {
    std::array<std::array<char, kValueBytes>, kValues> values{};
    std::array<uint32_t, kValues> bytes{};
    uint64_t generation = ~uint64_t{0};  // none
    Known series;

    bool Is(const Key& key) const {
      if (generation != key.generation_ || bytes[0] != key.bytes_[0] || bytes[1] != key.bytes_[1]) return false;
      static_assert(kValues == 2);
      for (uint32_t i = 0; i < key.count_; ++i) {
        if (!SameStart(key.values_[i], values[i].data(), bytes[i] & kBytesMask)) return false;
      }
      return true;
    }
    void Set(const Key& key, const Known& known) {
      for (uint32_t i = 0; i < key.count_; ++i)
        std::memcpy(values[i].data(), key.values_[i], key.bytes_[i] & kBytesMask);
      bytes = key.bytes_;
      generation = key.generation_;
      series = known;
    }
  };

  // Where the key's series is, or should be put; null: this key does not fit.
  Entry* Find(const Key& key) {
    if (!key.fits_) return nullptr;
    if (entries_.empty()) entries_.resize(kEntries);
    const uint64_t mixed = key.mix_ * Key::kFactor;
    return &entries_[(mixed ^ mixed >> 32) >> (64 - kEntryBits)];
  }

 private:
  static constexpr int kEntryBits = 6;
  static constexpr size_t kEntries = size_t{1} << kEntryBits;
  std::vector<Entry> entries_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_SERIES_MEMO_H_
