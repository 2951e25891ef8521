#include "ledger/seen_part.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "ledger/bytes.h"
#include "rating/error.h"

namespace tollbook {
namespace {

constexpr size_t kGroups = 256;
// Of an entry, as it is packed: two bytes of `key_high`, and all that comes behind it.
constexpr size_t kHighBytes = 2;
constexpr size_t kRestBytes = sizeof(SeenEntry) - sizeof(uint32_t);
constexpr size_t kPackedBytes = kHighBytes + kRestBytes;
constexpr int kGroupShift = 8 * kHighBytes;

size_t GroupOf(const SeenEntry& entry) {
  return entry.key_high >> kGroupShift & (kGroups - 1);
}

// What comes behind `key_high`.
const char* RestOf(const SeenEntry* entry) {
  return reinterpret_cast<const char*>(entry) + sizeof(uint32_t);
}
char* RestOf(SeenEntry* entry) {
  return reinterpret_cast<char*>(entry) + sizeof(uint32_t);
}

}  // namespace

void AppendSeenPart(std::span<const SeenEntry> entries, std::string* out) {
  if (entries.size() < kSeenPartPackedFrom) {
    out->append(reinterpret_cast<const char*>(entries.data()), entries.size_bytes());
    return;
  }
  std::array<size_t, kGroups> counts{};
  for (const SeenEntry& entry : entries) {
    TOLLBOOK_ASSERT(SeenShardOf(entry) == SeenShardOf(entries[0]));
    ++counts[GroupOf(entry)];
  }
  ByteWriter head;
  for (const size_t count : counts) head.Varint(count);
  out->append(head.bytes());
  size_t end = out->size();
  out->resize(end + entries.size() * kPackedBytes);
  std::array<size_t, kGroups> next{};
  for (size_t group = 0; group < kGroups; ++group) {
    next[group] = end;
    end += counts[group] * kPackedBytes;
  }
  for (const SeenEntry& entry : entries) {
    char* const at = out->data() + next[GroupOf(entry)];
    next[GroupOf(entry)] += kPackedBytes;
    std::memcpy(at, &entry.key_high, kHighBytes);
    std::memcpy(at + kHighBytes, RestOf(&entry), kRestBytes);
  }
}

bool DecodeSeenPart(int shard, size_t count, std::string_view stored, std::vector<SeenEntry>* entries) {
  entries->resize(count);
  if (count < kSeenPartPackedFrom) {
    if (stored.size() != count * sizeof(SeenEntry)) return false;
    if (count > 0) std::memcpy(entries->data(), stored.data(), stored.size());
    return true;
  }
  ByteReader in(stored);
  std::array<size_t, kGroups> counts{};
  size_t all = 0;
  for (size_t& of_group : counts) {
    of_group = in.Varint64();
    if (!in.ok() || of_group > count - all) return false;
    all += of_group;
  }
  if (all != count || in.left() != count * kPackedBytes) return false;
  const char* at = in.rest().data();
  SeenEntry* entry = entries->data();
  for (size_t group = 0; group < kGroups; ++group) {
    const uint32_t high = (static_cast<uint32_t>(shard) << 8 | static_cast<uint32_t>(group)) << kGroupShift;
    for (size_t i = 0; i < counts[group]; ++i, ++entry, at += kPackedBytes) {
      entry->key_high = 0;
      std::memcpy(&entry->key_high, at, kHighBytes);
      entry->key_high |= high;
      std::memcpy(RestOf(entry), at + kHighBytes, kRestBytes);
    }
  }
  return true;
}

}  // namespace tollbook
