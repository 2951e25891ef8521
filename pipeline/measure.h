// Measure: a well-formed usage event to its identity and to its share in the totals of the meters that its type feeds.
#ifndef TOLLBOOK_PIPELINE_MEASURE_H_
#define TOLLBOOK_PIPELINE_MEASURE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/records.h"
#include "ledger/seen_set.h"
#include "ledger/totals_run.h"
#include "pipeline/decode.h"
#include "pipeline/series.h"
#include "rating/catalog.h"
#include "rating/usage_total.h"

namespace tollbook {

// One event's share in one total, which (subject, series, bucket) names. One cache line; the name lives as long as the
// event's block.
struct Measurement {
  Quantity value;
  SubjectHash subject_hash;
  Instant time;
  const char* subject = nullptr;
  uint32_t series = 0;  // of the run's SeriesTable
  Bucket bucket;
  uint32_t event = 0;  // of its block
  uint16_t subject_bytes = 0;
  std::string_view subject_name() const { return {subject, subject_bytes}; }
};
static_assert(sizeof(Measurement) == 64);

// One event carries at most this much of a meter; far above any real event, and low enough that 10^5 of them fit a
// total.
inline constexpr int64_t kValueUnitsMax = 1'000'000'000'000'000;

// Not thread-safe: one per thread. Borrows all three.
class Measurer {
 public:
  Measurer(const Catalog& catalog, const BookIdentity& book, SeriesTable& series);
  // Appends one Measurement for each meter of the event's type. When the answer is not kNone, nothing is appended.
  Reason Measure(const UsageEvent& event, Arena& arena, SeenEntry* identity, std::vector<Measurement>* out);

 private:
  Reason MeasureOne(const UsageEvent& event, uint32_t meter, Arena& arena, Measurement* into,
                    uint64_t* dimensions_hash);
  Bucket BucketOfCached(Granularity granularity, Instant time);
  SeenEntry IdentityOf(const UsageEvent& event, uint64_t content);

  const Catalog& catalog_;
  const BookIdentity& book_;
  SeriesCache series_;
  const Zone book_zone_;
  bool book_zone_is_utc_;
  std::vector<std::string_view> values_;  // of the measurement at hand
  // Neighbouring events mostly share type, source and day.
  std::string last_type_;
  const std::vector<uint32_t>* last_meters_ = nullptr;
  uint64_t last_type_hash_ = 0;
  std::string last_source_;
  uint64_t last_source_high_ = 0, last_source_low_ = 0;
  Instant day_start_, day_end_;
  Bucket day_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_MEASURE_H_
