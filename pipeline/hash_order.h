// HashOrder: sorts records by a hash.
//
// Hashes are spread evenly, so a record's place is nearly known: one counting pass by as many of the leading bits as
// there are records puts nearly all where they belong, and what shares these bits is sorted by comparison. However the
// hashes are chosen, it is no worse than std::sort and the pass. `hash-order` 116 instructions a record, 150 plainly.
#ifndef TOLLBOOK_PIPELINE_HASH_ORDER_H_
#define TOLLBOOK_PIPELINE_HASH_ORDER_H_

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace tollbook {

// `hash_of` gives 64 bits; `less` orders by them first, and tells all records apart. Keeps its memory.
template <typename Record>
class HashOrder {
 public:
  template <typename HashOf, typename Less>
  void Sort(std::vector<Record>* records, const HashOf& hash_of, const Less& less) {
    if (records->size() < 2) return;
    // The records of a shard share their first bits: count from the smallest hash.
    uint64_t smallest = UINT64_MAX, largest = 0;
    for (const Record& record : *records) {
      smallest = std::min(smallest, hash_of(record));
      largest = std::max(largest, hash_of(record));
    }
    const int wanted = std::min<int>(std::bit_width(records->size()), kBitsMax);
    const int shift = std::max<int>(0, std::bit_width(largest - smallest) - wanted);
    const auto place_of = [&](const Record& record) { return (hash_of(record) - smallest) >> shift; };

    ends_.assign(((largest - smallest) >> shift) + 1, 0);
    for (const Record& record : *records) ++ends_[place_of(record)];
    size_t sum = 0;
    for (size_t& end : ends_) {
      const size_t count = end;
      end = sum;  // where the place begins, until all are in it
      sum += count;
    }
    sorted_.resize(records->size());
    for (const Record& record : *records) sorted_[ends_[place_of(record)]++] = record;
    records->swap(sorted_);

    size_t begin = 0;
    for (const size_t end : ends_) {
      const auto first = records->begin() + begin, last = records->begin() + end;
      if (end - begin > 1 && !std::is_sorted(first, last, less)) std::sort(first, last, less);
      begin = end;
    }
  }

 private:
  static constexpr int kBitsMax = 16;  // of places: their counts stay in the second-level cache
  std::vector<size_t> ends_;
  std::vector<Record> sorted_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_HASH_ORDER_H_
