// Series: a meter with one set of dimension values, known by a small number while an epoch lasts. Records on the hot
// path carry the number; what it stands for is looked up once per series and not once per event.
#ifndef TOLLBOOK_PIPELINE_SERIES_H_
#define TOLLBOOK_PIPELINE_SERIES_H_

#include <cstdint>
#include <deque>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "pipeline/arena.h"
#include "rating/usage_total.h"

namespace tollbook {

struct Series {
  uint32_t meter = 0;                // index into Catalog::meters
  uint32_t id = 0;                   // its own number
  DimensionValues dimension_values;  // kept by the table
  uint64_t dimensions_hash = 0;      // of the values, under the book's seed; 0 for a meter without dimensions
};

// Shared by the threads of one absorb. Numbers run from 0 without gaps, in no particular order: what is stored must not
// depend on them.
class SeriesTable {
 public:
  explicit SeriesTable(uint64_t book_seed) : book_seed_(book_seed) {}
  // From any thread. Takes a lock: a thread remembers what it has asked for (SeriesCache). The series stays where it is
  // until Clear.
  const Series* Intern(uint32_t meter, DimensionValues values);
  // Not beside Intern.
  const Series& at(uint32_t id) const { return series_[id]; }
  size_t size() const { return series_.size(); }
  // Between epochs: all numbers end, and caches notice by the generation. Keeps a source whose dimensions never repeat
  // from filling the memory.
  void Clear();
  uint64_t generation() const { return generation_; }
  uint64_t book_seed() const { return book_seed_; }

 private:
  const uint64_t book_seed_;
  std::mutex mutex_;  // guards all below
  std::deque<Series> series_;
  std::unordered_multimap<uint64_t, uint32_t> ids_;  // by a hash of meter and values
  Arena arena_;
  uint64_t generation_ = 0;
};

// One thread's way to the table; no lock for what it has asked before.
class SeriesCache {
 public:
  explicit SeriesCache(SeriesTable& table) : table_(&table) {}
  // Exact: what is found by a hash is compared by its values. Stays valid until the table's generation ends.
  const Series& Find(uint32_t meter, DimensionValues values);
  uint64_t generation() const { return table_->generation(); }

 private:
  SeriesTable* table_;
  uint64_t generation_ = 0;
  std::unordered_map<uint64_t, const Series*> known_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_SERIES_H_
