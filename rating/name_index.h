// NameIndex: which row of a table has a name. For millions of rows: 11 to 21 bytes a name, no allocation for each, and
// one cache miss to learn that a name is not there.
#ifndef TOLLBOOK_RATING_NAME_INDEX_H_
#define TOLLBOOK_RATING_NAME_INDEX_H_

#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace tollbook {

// Rows are below 2^32 - 1. `name_of(row)` gives the name of a row that was added; the names are not kept here, so
// copies of the table can share the numbers.
class NameIndex {
 public:
  static constexpr uint32_t kNone = ~uint32_t{0};

  // Forgets all, and makes room for so many names.
  void Reset(size_t names) { slots_.assign(std::bit_ceil(names + names / 3 + 2), Slot{}); }

  // The row that has the name; `row` itself where none had it until now. At most as many as Reset made room for.
  template <typename NameOf>
  uint32_t FindOrAdd(std::string_view name, uint32_t row, const NameOf& name_of) {
    const size_t at = PlaceOf(name, name_of);
    if (slots_[at].row == kNone) slots_[at] = {TagOf(name), row};
    return slots_[at].row;
  }

  // The same for rows whose names are known to differ from each other and from all that are here. Nothing is compared,
  // and the places are asked of memory well ahead: 10 ns a name instead of 21.
  template <typename NameOf>
  void AddDistinct(std::span<const uint32_t> rows, const NameOf& name_of) {
    std::array<uint64_t, kAhead> hashes;
    for (size_t i = 0; i < rows.size() + kAhead; ++i) {
      if (i >= kAhead) PutFirst(hashes[i % kAhead], rows[i - kAhead]);
      if (i >= rows.size()) continue;
      hashes[i % kAhead] = HashOf(name_of(rows[i]));
      __builtin_prefetch(&slots_[hashes[i % kAhead] & (slots_.size() - 1)], 1);
    }
  }

  template <typename NameOf>
  uint32_t Find(std::string_view name, const NameOf& name_of) const {
    return slots_.empty() ? kNone : slots_[PlaceOf(name, name_of)].row;
  }

 private:
  struct Slot {
    uint32_t tag = 0;  // of the name's hash: another name is seldom looked at
    uint32_t row = kNone;
  };
  static constexpr size_t kAhead = 16;

  void PutFirst(uint64_t hash, uint32_t row) {
    const size_t mask = slots_.size() - 1;
    size_t at = hash & mask;
    while (slots_[at].row != kNone) at = (at + 1) & mask;
    slots_[at] = {static_cast<uint32_t>(hash >> 32), row};
  }
  static uint64_t HashOf(std::string_view name) { return std::hash<std::string_view>()(name); }
  static uint32_t TagOf(std::string_view name) { return static_cast<uint32_t>(HashOf(name) >> 32); }

  // Where the name is, or the free slot that it would get.
  template <typename NameOf>
  size_t PlaceOf(std::string_view name, const NameOf& name_of) const {
    const uint64_t hash = HashOf(name);
    const auto tag = static_cast<uint32_t>(hash >> 32);
    const size_t mask = slots_.size() - 1;
    size_t at = hash & mask;
    while (slots_[at].row != kNone && (slots_[at].tag != tag || name_of(slots_[at].row) != name)) at = (at + 1) & mask;
    return at;
  }

  std::vector<Slot> slots_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_NAME_INDEX_H_
