// RunningUsage: the usage of a charge's parts in a billing period, and its worth, while the period grows day by day.
//
// What a bucket is worth stands once its day is over, so it is priced once: a period of hours costs as many prices as
// it has hours. Without per_bucket all parts are priced anew each day, for a tier depends on the whole period. Events
// that are priced each go on in the order of days from the tally of the day before: a day costs its own events, sorted.
// UsageToDate and PricePeriod are the plain twin.
#ifndef TOLLBOOK_RATING_RUNNING_USAGE_H_
#define TOLLBOOK_RATING_RUNNING_USAGE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "rating/aggregate.h"
#include "rating/event_tally.h"
#include "rating/price.h"
#include "rating/usage_total.h"

namespace tollbook {

// What one day, or an hour of it, brought to one part of a charge (PartOf).
struct PartTotal {
  PricedTime time;  // per_bucket: hour has hours; else the hour is 0
  uint32_t part = 0;
  UsageTotal total;
  Quantity prorated = {};  // of each of its events, where the meter has it
};

// The bucket of the charge that a time lies in: all of them the same without per_bucket.
inline PricedTime BucketOf(const Charge& charge, PricedTime time) {
  return charge.per_bucket == PerBucket::kNone ? PricedTime{} : time;
}

// The parts themselves. Keeps its memory from one period to the next. Not thread-safe.
class RunningParts {
 public:
  // All borrowed; the zone is the subscription's.
  void Begin(const Charge& charge, const Meter& meter, const Zone& zone);

  // In the order of their days. False: the part's total does not fit.
  [[nodiscard]] bool Add(const PartTotal& added);

  // The day is over. False: a quantity does not fit.
  [[nodiscard]] bool EndDay();

  // Up to the last day that is over, by (bucket, part). They borrow what the next call changes.
  std::span<const UsagePart> parts() const { return parts_; }

  // Nothing is added any more to the buckets that there are, and they are forgotten.
  void CloseBuckets() { open_.clear(), parts_.clear(); }

 private:
  // Of a part whose pricing is of events.
  struct Events {
    EventTally tally;                   // of the days that are over
    std::vector<PricedElement> of_day;  // of the day at hand
  };
  struct OpenPart {
    PricedTime bucket;
    uint32_t part = 0;
    RunningAggregate aggregate;
    std::unique_ptr<Events> events;  // null: its pricing needs none
  };
  [[nodiscard]] static bool CloseDay(Events* events);

  const Charge* charge_ = nullptr;
  const Meter* meter_ = nullptr;
  const Zone* zone_ = nullptr;
  std::vector<OpenPart> open_;    // by (bucket, part)
  std::vector<UsagePart> parts_;  // the same, to be priced
  bool has_grown_ = false;        // since the last day that is over
};

// What they are worth. Likewise.
class RunningUsage {
 public:
  void Begin(const Charge& charge, const Meter& meter, const Zone& zone);
  [[nodiscard]] bool Add(const PartTotal& added) { return parts_.Add(added); }

  // The day is over: its buckets are closed. False: their quantity or worth does not fit.
  [[nodiscard]] bool EndDay();

  // Up to the last day that is over: the sum of all parts' quantities and events, and what they are worth without what
  // stands around the charge.
  Quantity quantity() const { return quantity_; }
  uint64_t events() const { return events_; }
  const Worth& worth() const { return worth_; }

 private:
  const Charge* charge_ = nullptr;
  const Zone* zone_ = nullptr;
  RunningParts parts_;
  Quantity quantity_;
  uint64_t events_ = 0;
  Worth worth_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_RUNNING_USAGE_H_
