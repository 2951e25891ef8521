#include "ledger/seen_set.h"

#include <cstring>

#include "ledger/first_touch.h"
#include "rating/error.h"

namespace tollbook {
namespace {

constexpr size_t kSlotsAtStart = 256;
constexpr size_t kSlotsMax = size_t{1} << 30;

bool SameKey(const SeenEntry& a, const SeenEntry& b) {
  return a.key_high == b.key_high && a.key_middle == b.key_middle && a.key_low == b.key_low;
}

bool SameContent(const SeenEntry& a, const SeenEntry& b) {
  return a.content_high == b.content_high && a.content_low == b.content_low;
}

}  // namespace

SeenSet::SeenSet() {
  Grow(kSlotsAtStart);
}

Seen SeenSet::Insert(const SeenEntry& entry) {
  const uint32_t tag = TagOf(entry);
  size_t slot = SlotOf(entry);
  for (; slots_[slot] != 0; slot = (slot + 1) & mask_) {
    if (((slots_[slot] ^ tag) & ~static_cast<uint32_t>(mask_)) != 0) continue;
    const SeenEntry& first = entries_[(slots_[slot] & mask_) - 1];
    if (SameKey(first, entry)) return SameContent(first, entry) ? Seen::kDuplicate : Seen::kConflict;
  }
  entries_.push_back(entry);
  slots_[slot] = tag | static_cast<uint32_t>(entries_.size());
  // Two thirds full: probes stay short, and the index stays at 6 to 12 bytes a key.
  if (entries_.size() * 3 > slots_.size() * 2) Grow(slots_.size() * 2);
  return Seen::kFresh;
}

std::optional<uint64_t> SeenSet::Find(const SeenEntry& entry) const {
  const uint32_t tag = TagOf(entry);
  for (size_t slot = SlotOf(entry); slots_[slot] != 0; slot = (slot + 1) & mask_) {
    if (((slots_[slot] ^ tag) & ~static_cast<uint32_t>(mask_)) != 0) continue;
    const SeenEntry& first = entries_[(slots_[slot] & mask_) - 1];
    if (SameKey(first, entry)) return ContentOf(first);
  }
  return std::nullopt;
}

bool SeenSet::Load(std::string_view run) {
  if (run.size() % sizeof(SeenEntry) != 0) return false;
  // Copied one by one: the store's bytes stand at any address.
  const auto entry_at = [&](size_t offset) {
    SeenEntry entry;
    std::memcpy(&entry, run.data() + offset, sizeof entry);
    return entry;
  };
  constexpr size_t kAhead = 16 * sizeof(SeenEntry);  // far enough for the memory to answer meanwhile
  for (size_t offset = 0; offset < run.size(); offset += sizeof(SeenEntry)) {
    if (offset + kAhead < run.size()) Prefetch(entry_at(offset + kAhead));
    (void)Insert(entry_at(offset));
  }
  MarkCommitted();
  return true;
}

void SeenSet::Reserve(size_t entries) {
  entries_.reserve(entries);
  size_t slots = slots_.size();
  while (entries * 3 > slots * 2) slots *= 2;
  if (slots > slots_.size()) Grow(slots);
}

void SeenSet::Grow(size_t slots) {
  TOLLBOOK_ASSERT(slots <= kSlotsMax);  // 10^11 events in memory
  slots_ = {};                          // all of it is in the entries: its memory may serve the new ones
  slots_.reserve(slots);
  TouchAhead(slots_.data(), slots * sizeof slots_[0]);
  slots_.assign(slots, 0);
  mask_ = slots - 1;
  for (size_t i = 0; i < entries_.size(); ++i) {
    size_t slot = SlotOf(entries_[i]);
    while (slots_[slot] != 0) slot = (slot + 1) & mask_;
    slots_[slot] = TagOf(entries_[i]) | static_cast<uint32_t>(i + 1);
  }
}

}  // namespace tollbook
