// Measure: a well-formed usage event to its identity and to its share in the totals of the meters that its type feeds.
#ifndef TOLLBOOK_PIPELINE_MEASURE_H_
#define TOLLBOOK_PIPELINE_MEASURE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/records.h"
#include "ledger/seen_set.h"
#include "ledger/totals_run.h"
#include "pipeline/decode.h"
#include "pipeline/layout.h"
#include "pipeline/layout_values.h"
#include "pipeline/series.h"
#include "pipeline/series_memo.h"
#include "rating/catalog.h"
#include "rating/expression.h"
#include "rating/usage_total.h"

namespace tollbook {

// One event's share in one total, which (subject, series, bucket) names. One cache line; the name lives as long as the
// event's block.
struct alignas(64) Measurement {
  Quantity value;
  SubjectHash subject_hash;
  Instant time;
  const char* subject = nullptr;
  uint32_t series = 0;  // of the run's SeriesTable
  Bucket bucket;
  uint32_t event = 0;  // of its block
  uint16_t subject_bytes = 0;
  bool is_element = false;  // of its meter's lists: it merges with none but its equals
  int8_t events = 1;        // -1: a correction takes it back; a number's value has its sign turned then
  std::string_view subject_name() const { return {subject, subject_bytes}; }
};
static_assert(sizeof(Measurement) == 64);

// One event carries at most this much of a meter; far above any real event, and low enough that 10^5 of them fit a
// total.
inline constexpr int64_t kValueUnitsMax = 1'000'000'000'000'000;

// What one meter of a layout's type takes from a matched line.
struct MeterPlan {
  struct Dimension {
    int slot = -1;  // -1: the same text on every line
    Property::Kind kind = Property::Kind::kString;
    const char* text = "";  // then; readable like a slot
    uint32_t bytes = 0;
  };
  uint32_t meter = 0;
  Granularity granularity = Granularity::kDay;
  bool accepts_negative = false;
  bool is_element = false;
  int value = -1;  // its slot; -1: the meter counts events
  bool in_quotes = false;
  std::vector<Dimension> dimensions;
};

// What a layout means to the catalog, worked out once.
struct LayoutPlan {
  uint16_t id = 0, source = 0, subject = 0, time = 0;  // slots
  uint64_t type_hash = 0;
  std::vector<MeterPlan> meters;
  bool general_way = false;     // a meter of the type takes more from an event than a number of its data
  bool time_in_utc = false;     // where it names no zone; a mapping says so
  bool time_is_offset = false;  // seconds from the base, likewise
  Instant time_base{};
};

// Three identities that must agree for a correction to be applied, and then change together.
struct MeasuredCorrection {
  SeenEntry identity;         // its own. Content: what it counts from now on; a void's is such that nothing restates it
  SeenEntry original;         // of the event that it names, with the content that it restates
  SeenEntry claim;            // that event is corrected; content: by whom. Its key is no event's
  bool can_take_back = true;  // from every meter that counted the original otherwise than it counts now
};

// Not thread-safe: one per thread. Borrows all three.
class Measurer {
 public:
  Measurer(const Catalog& catalog, const BookIdentity& book, SeriesTable& series);
  // Appends one Measurement for each meter of the event's type. When the answer is not kNone, nothing is appended.
  Reason Measure(const UsageEvent& event, Arena& arena, SeenEntry* identity, std::vector<Measurement>* out);

  // Of an event with a correction: appends what is taken back and what comes instead. What a meter counts of both
  // alike is left as it is. When the answer is not kNone, nothing is appended.
  Reason MeasureCorrection(const UsageEvent& event, Arena& arena, MeasuredCorrection* correction,
                           std::vector<Measurement>* out);

  // The usage date: in the book's zone.
  Day DayOf(Instant time) {
    if (time < day_start_ || !(time < day_end_)) FindDay(time);
    return {day_.number};
  }

  // The plan of a layout that was learnt from `event`, which was measured.
  LayoutPlan PlanOf(const LineShape& shape, const UsageEvent& event);
  // The same as Measure on the event that a matched line stands for. False, and nothing is appended: the general way
  // must tell, be it only why not.
  bool MeasureSlots(const LayoutPlan& plan, const Slots& slots, uint32_t event, Arena& arena, SeenEntry* identity,
                    std::vector<Measurement>* out);

 private:
  struct EventType {
    std::string name;
    const std::vector<uint32_t>* meters = nullptr;  // null: this place is free
    uint64_t hash = 0;
  };
  const EventType& TypeNamed(std::string_view name);
  Reason ValueOf(uint32_t meter, const UsageEvent& event, Arena& arena, Quantity* value);
  Reason Reckon(uint32_t meter, const UsageEvent& event, Quantity* value);
  Reason Identifier(const Meter& meter, const UsageEvent& event, Arena& arena, Quantity* value) const;
  Reason MeasureOne(const UsageEvent& event, uint32_t meter, Arena& arena, Measurement* into,
                    uint64_t* dimensions_hash);
  bool SlotValue(const MeterPlan& plan, const Slot& slot, Quantity* value) const;
  bool SlotSeries(const MeterPlan& plan, const Slots& slots, Arena& arena, SeriesMemo::Known* series);
  [[gnu::noinline]] bool LookUpSeries(const MeterPlan& plan, const Slots& slots, Arena& arena,
                                      SeriesMemo::Known* series);
  void FindDay(Instant time);
  Bucket BucketOfCached(Granularity granularity, Instant time);
  SeenEntry IdentityOf(std::string_view source, std::string_view id, uint64_t content) const;
  SeenEntry ClaimOf(const SeenEntry& original, const SeenEntry& by) const;

  const Catalog& catalog_;
  const BookIdentity& book_;
  SeriesCache series_;
  const Zone book_zone_;
  std::vector<SeriesMemo> memos_;                       // by meter
  std::vector<std::optional<Expression>> expressions_;  // by meter; none: a property, or no value
  std::vector<Quantity> operands_;                      // of the expression at hand
  std::vector<Fraction> stack_;
  std::vector<std::string_view> values_;  // of the measurement at hand
  static constexpr size_t kTypes = 256;   // a power of two
  std::vector<EventType> types_;          // by hash; a newcomer takes the place
  InstantReader instants_;
  Instant day_start_, day_end_;  // neighbouring events mostly share the day
  Bucket day_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_MEASURE_H_
