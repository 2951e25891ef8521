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
#include "rating/catalog.h"
#include "rating/usage_total.h"

namespace tollbook {

// One event's share in one total. Views live as long as the event's block.
struct Measurement {
  // Names the total: a 128-bit hash of subject, meter, dimension values and bucket under the book's seed.
  uint64_t cell_high = 0;
  uint64_t cell_low = 0;
  SubjectHash subject_hash;
  std::string_view subject;
  const std::string_view* dimension_values = nullptr;  // as many as the meter has dimensions
  Quantity value;
  Instant time;
  Bucket bucket;
  uint32_t meter = 0;  // index into Catalog::meters
  uint32_t event = 0;  // of its block
};

// One event carries at most this much of a meter; far above any real event, and low enough that 10^5 of them fit a
// total.
inline constexpr int64_t kValueUnitsMax = 1'000'000'000'000'000;

// Not thread-safe: one per thread. Borrows the catalog.
class Measurer {
 public:
  Measurer(const Catalog& catalog, const BookIdentity& book);
  // Appends one Measurement for each meter of the event's type. When the answer is not kNone, nothing is appended.
  Reason Measure(const UsageEvent& event, Arena& arena, SeenEntry* identity, std::vector<Measurement>* out);

 private:
  Reason MeasureOne(const UsageEvent& event, uint32_t meter, Arena& arena, Measurement* into,
                    uint64_t* dimensions_hash) const;
  Bucket BucketOfCached(Granularity granularity, Instant time);
  SeenEntry IdentityOf(const UsageEvent& event, uint64_t content);

  const Catalog& catalog_;
  const BookIdentity& book_;
  const Zone book_zone_;
  bool book_zone_is_utc_;
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
