#include "ledger/seen_entry.h"

#define XXH_INLINE_ALL  // 20 bytes are hashed faster than a function is called
#include <xxhash.h>

namespace tollbook {

void SeenSum::Add(const SeenEntry& entry) {
  const XXH128_hash_t hash = XXH3_128bits(&entry, sizeof entry);
  ++entries;
  hashes += static_cast<Uint128>(hash.high64) << 64 | hash.low64;
}

SeenSum SumOf(std::span<const SeenEntry> entries) {
  SeenSum sum;
  for (const SeenEntry& entry : entries) sum.Add(entry);
  return sum;
}

}  // namespace tollbook
