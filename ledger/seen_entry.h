// SeenEntry: one accepted usage event, as the book remembers it: who it is and what it said, 20 bytes.
//
// Identity  96 bits of a hash of (source, id) under the book's random seed: at 10^10 events the chance of one false
//           duplicate is below 10^-9. 64 bits would lose an event every few billion.
// Content   64 bits of a hash of the canonical fields. Equal: a duplicate. Other: a conflict; the first stays.
#ifndef TOLLBOOK_LEDGER_SEEN_ENTRY_H_
#define TOLLBOOK_LEDGER_SEEN_ENTRY_H_

#include <bit>
#include <cstdint>
#include <span>

#include "rating/calendar.h"
#include "rating/decimal.h"

namespace tollbook {

// As stored: 20 bytes, little-endian, no padding.
struct SeenEntry {
  uint32_t key_high = 0;  // its top kSeenShardBits choose the shard
  uint32_t key_middle = 0;
  uint32_t key_low = 0;
  uint32_t content_high = 0;
  uint32_t content_low = 0;
  friend bool operator==(const SeenEntry&, const SeenEntry&) = default;
};
static_assert(sizeof(SeenEntry) == 20 && std::endian::native == std::endian::little);

inline constexpr int kSeenKeyBits = 96;
inline constexpr int kSeenShardBits = 8;
inline constexpr int kSeenShards = 1 << kSeenShardBits;
inline int SeenShardOf(const SeenEntry& entry) {
  return static_cast<int>(entry.key_high >> (32 - kSeenShardBits));
}

// The identity as one number; its order is the order of sorted runs.
inline Uint128 KeyOf(const SeenEntry& entry) {
  return static_cast<Uint128>(entry.key_high) << 64 | static_cast<uint64_t>(entry.key_middle) << 32 | entry.key_low;
}
inline uint64_t ContentOf(const SeenEntry& entry) {
  return static_cast<uint64_t>(entry.content_high) << 32 | entry.content_low;
}
inline SeenEntry MakeSeenEntry(Uint128 key, uint64_t content) {
  return {static_cast<uint32_t>(key >> 64), static_cast<uint32_t>(key >> 32), static_cast<uint32_t>(key),
          static_cast<uint32_t>(content >> 32), static_cast<uint32_t>(content)};
}

enum class Seen : uint8_t { kFresh, kDuplicate, kConflict };

// What entries are all together, whatever their order: how many, and the sum of a hash of each modulo 2^128. So
// entries can move from file to file for as long as the book lives, and still be checked against what each commit said
// that it accepted. A hash and not the entry itself: two contents that changed places must show.
struct SeenSum {
  uint64_t entries = 0;
  Uint128 hashes = 0;
  void Add(const SeenEntry& entry);
  SeenSum& operator+=(const SeenSum& other) {
    entries += other.entries;
    hashes += other.hashes;
    return *this;
  }
  SeenSum& operator-=(const SeenSum& other) {
    entries -= other.entries;
    hashes -= other.hashes;
    return *this;
  }
  friend bool operator==(const SeenSum&, const SeenSum&) = default;
};
SeenSum SumOf(std::span<const SeenEntry> entries);

// The latest usage date among some entries, which themselves have none: what is before a day may be forgotten then
// (cut_off.h). Dates are compared, so of several parts the latest is the largest.
inline constexpr Day kNoUsage{INT32_MIN};        // of no entries
inline constexpr Day kLatestUnknown{INT32_MAX};  // it was not kept: they are never forgotten

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_SEEN_ENTRY_H_
