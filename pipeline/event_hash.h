// EventHash: the two hashes by which a usage event is known: who it is, and what it says.
#ifndef TOLLBOOK_PIPELINE_EVENT_HASH_H_
#define TOLLBOOK_PIPELINE_EVENT_HASH_H_

#define XXH_INLINE_ALL  // on the path of every event
#include <xxhash.h>

#include <array>
#include <cstdint>
#include <string_view>

#include "ledger/seen_entry.h"
#include "ledger/totals_run.h"
#include "rating/calendar.h"
#include "rating/quantity.h"

namespace tollbook {

inline uint64_t HashEventType(std::string_view type, const std::array<uint64_t, 2>& seeds) {
  return XXH3_64bits_withSeed(type.data(), type.size(), seeds[1]);
}

// What must be equal for a second arrival to be a duplicate. Every field has its fixed place, so no two contents spell
// the same bytes.
class EventContent {
 public:
  EventContent(Instant time, const SubjectHash& subject, uint64_t type_hash, uint64_t seed)
      : envelope_{static_cast<uint64_t>(time.nanos), subject.low, type_hash}, seed_(seed) {}
  // Of each meter that the type feeds, in their order.
  void Add(Quantity value, uint64_t dimensions_hash) {
    const auto low = static_cast<uint64_t>(value.attos);
    const auto high = static_cast<uint64_t>(value.attos >> 64);
    if (!begun_) {
      const std::array<uint64_t, 6> first = {envelope_[0], envelope_[1], envelope_[2], low, high, dimensions_hash};
      hash_ = XXH3_64bits_withSeed(first.data(), sizeof first, seed_);
      begun_ = true;
    } else {
      const std::array<uint64_t, 4> next = {hash_, low, high, dimensions_hash};
      hash_ = XXH3_64bits_withSeed(next.data(), sizeof next, seed_);
    }
  }
  uint64_t hash() const { return hash_; }

 private:
  std::array<uint64_t, 3> envelope_;
  uint64_t seed_;
  uint64_t hash_ = 0;
  bool begun_ = false;
};

// 128 bits of hash from source and id each, under the book's seeds. The source goes in with all of them, by the seed
// and by the sum, so that a feed whose sources all differ and whose ids repeat is as safe as the other way round.
inline SeenEntry EventIdentity(std::string_view source, std::string_view id, uint64_t content,
                               const std::array<uint64_t, 2>& seeds) {
  const XXH128_hash_t of_source = XXH3_128bits_withSeed(source.data(), source.size(), seeds[0]);
  XXH128_hash_t key = XXH3_128bits_withSeed(id.data(), id.size(), seeds[1] ^ of_source.low64);
  key.high64 += of_source.high64;
  return {static_cast<uint32_t>(key.high64 >> 32), static_cast<uint32_t>(key.high64),
          static_cast<uint32_t>(key.low64 >> 32), static_cast<uint32_t>(content >> 32), static_cast<uint32_t>(content)};
}

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EVENT_HASH_H_
