// SeenSet: the usage events that one dedup shard has accepted, in memory, and with what content (SeenEntry).
//
// Layout    an index of 4-byte slots over entries in order of arrival. A fresh event, the common case, touches one
//           slot and appends; an entry is looked at only when its tag matches. A slot has as many bits of position as
//           the index has of size, and the others are its tag: 12 bits at a million slots, 8 at sixteen million.
//           uncommitted() is, byte for byte, what the next epoch stores.
// Threads   none: a shard has one owner at a time.
#ifndef TOLLBOOK_LEDGER_SEEN_SET_H_
#define TOLLBOOK_LEDGER_SEEN_SET_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ledger/growing_array.h"
#include "ledger/seen_entry.h"

namespace tollbook {

class SeenSet {
 public:
  SeenSet();
  // Remembers a fresh entry; says what it is to those before.
  Seen Insert(const SeenEntry& entry);
  // The content kept for the entry's identity.
  std::optional<uint64_t> Find(const SeenEntry& entry) const;
  // Brings the slot that Insert will touch into the cache.
  void Prefetch(const SeenEntry& entry) const { __builtin_prefetch(&slots_[SlotOf(entry)], 1); }

  // The stored bytes of an earlier commit's entries. False, and nothing is loaded, when they are not a whole number of
  // entries.
  [[nodiscard]] bool Load(std::string_view run);
  void Reserve(size_t entries);

  size_t size() const { return entries_.size(); }
  std::span<const SeenEntry> entries() const { return entries_.all(); }
  std::span<const SeenEntry> uncommitted() const { return entries_.all().subspan(committed_); }
  void MarkCommitted() { committed_ = entries_.size(); }
  // At most: what was never written is in no memory.
  size_t bytes_in_memory() const {
    return slots_.capacity() * sizeof(uint32_t) + entries_.capacity() * sizeof(SeenEntry);
  }

 private:
  // The shard takes the high bits of the key; the slot and the tag come from the others.
  size_t SlotOf(const SeenEntry& entry) const { return (entry.key_high * 0x9E3779B1u ^ entry.key_middle) & mask_; }
  uint32_t TagOf(const SeenEntry& entry) const { return entry.key_low & ~static_cast<uint32_t>(mask_); }
  void Grow(size_t slots);

  std::vector<uint32_t> slots_;  // tag | position + 1, which the mask has room for; 0: free
  GrowingArray<SeenEntry> entries_;
  size_t mask_ = 0;
  size_t committed_ = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_SEEN_SET_H_
