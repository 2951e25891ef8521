#include "pipeline/series.h"

#define XXH_INLINE_ALL  // on the path of every event
#include <xxhash.h>

#include <algorithm>

namespace tollbook {
namespace {

uint64_t HashValues(DimensionValues values, uint64_t seed) {
  if (values.empty()) return 0;
  uint64_t hash = seed;
  for (const std::string_view value : values) hash = XXH3_64bits_withSeed(value.data(), value.size(), hash);
  return hash;
}

uint64_t HashSeries(uint32_t meter, uint64_t dimensions_hash) {
  return XXH3_64bits_withSeed(&meter, sizeof meter, dimensions_hash);
}

bool Is(const Series& series, uint32_t meter, DimensionValues values) {
  return series.meter == meter && std::ranges::equal(series.dimension_values, values);
}

}  // namespace

const Series* SeriesTable::Intern(uint32_t meter, DimensionValues values) {
  const uint64_t dimensions_hash = HashValues(values, book_seed_);
  const uint64_t hash = HashSeries(meter, dimensions_hash);
  const std::lock_guard lock(mutex_);
  const auto [begin, end] = ids_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    if (Is(series_[it->second], meter, values)) return &series_[it->second];
  }
  auto* kept = reinterpret_cast<std::string_view*>(
      arena_.AllocateAligned(values.size() * sizeof(std::string_view) + 1, alignof(std::string_view)));
  for (size_t i = 0; i < values.size(); ++i) new (&kept[i]) std::string_view(arena_.Copy(values[i]));
  const auto id = static_cast<uint32_t>(series_.size());
  series_.push_back({meter, id, {kept, values.size()}, dimensions_hash});
  ids_.emplace(hash, id);
  return &series_.back();
}

void SeriesTable::Clear() {
  const std::lock_guard lock(mutex_);
  series_.clear();
  ids_.clear();
  arena_.Clear();
  ++generation_;
}

const Series& SeriesCache::Find(uint32_t meter, DimensionValues values) {
  if (generation_ != table_->generation()) {
    known_.clear();
    generation_ = table_->generation();
  }
  const uint64_t hash = HashSeries(meter, HashValues(values, table_->book_seed()));
  const auto known = known_.find(hash);
  if (known != known_.end() && Is(*known->second, meter, values)) return *known->second;
  const Series* series = table_->Intern(meter, values);
  known_.insert_or_assign(hash, series);
  return *series;
}

}  // namespace tollbook
