// Aggregate: the usage totals of one charge to its quantity: up to the end of each day of a billing period.
//
//   sum, count      the sum of values; of events
//   max, min        the largest, the smallest value
//   latest          the value with the latest time; of two at the same instant the larger; with floor_at_zero not below
//                   zero
//   mean            the sum of the values by the number of events
//   percentile      of all values of the period so far, each as often as it came. nearest_rank: the value of the rank
//                   percentile / 100 * n, rounded up, from 1. interpolated: on the straight line between the two values
//                   around the rank percentile / 100 * (n - 1), from 0
//   unique_count    how many different values the period has so far
//     operation     how many were added and not removed up to the day's end, earlier days and periods included. Adding
//                   what is there, or removing what is not, changes nothing. Of an add and a remove of one value at one
//                   instant the add comes first
//     proration     for each value the calendar days of the period on which it was there, be it for an instant, by the
//                   days of the period: their sum
//   weighted_sum    level * time since the period's start, by the time of the whole period, in nanoseconds and true
//                   across daylight saving. The level goes on from earlier days and periods and is zero at first; where
//                   values are levels, of two at one instant the larger counts, and each set of dimension values has a
//                   level of its own: the charge has their sum
//     proration     the level by days instead: a change counts from the beginning of its day on
//
// Rounding  A quotient (mean, interpolated, prorated, weighted) is exact until it is rounded once, here: as the meter's
//           `rounding` says, else half to even at the 18th decimal. Other quantities are exact, and rounded here if the
//           meter says so. To date: the days of a period are differences of rounded quantities.
// Order     Numbers and the elements of a percentile or a count may come in any order; CarriedUsage puts its own into
//           the order of time and value. So no order of arrival matters.
// Cost      percentile, unique_count: 48 bytes for each different value of the period, sorted; a day costs one pass
//           over them. unique_count with an operation: 64 bytes for each value that ever was, a look-up for each event.
//           weighted_sum: a multiplication for each event and day. The others: nothing.
// Errors    False when a number does not fit; nothing wraps.
#ifndef TOLLBOOK_RATING_AGGREGATE_H_
#define TOLLBOOK_RATING_AGGREGATE_H_

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "rating/calendar.h"
#include "rating/meter.h"
#include "rating/usage_total.h"
#include "rating/wide.h"

namespace tollbook {

// Is what Merge makes of the totals the quantity itself? True of most meters, and then nothing below is needed.
[[nodiscard]] bool IsMergeAlone(const Meter& meter);

// The quantity of the totals of one charge, part of a charge or bucket, as they are added. Of a meter that carries over
// it is what these totals do, whatever was there: the sum of the changes, the latest level, the adds less the removals.
class RunningAggregate {
 public:
  // Begins another one in the memory of the last.
  void Begin(const Meter& meter);
  [[nodiscard]] bool Add(const UsageTotal& total);
  // Of all that was added; without events zero.
  [[nodiscard]] bool ToDate(Quantity* quantity);
  uint64_t events() const { return total_.events; }

 private:
  void SortIn();
  bool Percentile(Quantity* quantity) const;

  const Meter* meter_ = nullptr;
  Aggregation merged_ = Aggregation::kSum;  // how total_ is
  bool of_values_ = false;                  // a list is what counts, and not its sum
  bool unfolds_ = false;                    // an element stands for several events
  UsageTotal total_;                        // merged; of a list only its events
  std::vector<UsageTotal> by_value_;        // of a list: each value once
  std::vector<UsageTotal> new_;             // not among them yet
};

// A level, or a set with removals, of one charge (or part) of one subject, through all its billing periods.
//
//   usage.Begin(meter, zone); usage.Add(series, element) for all of the subject's elements of the charge, any order
//   for each period: usage.BeginPeriod(period); usage.AddDay(day, &to_date) for each day that counts
// Periods and days ascend. What lies between the days that were added is carried, not counted.
class CarriedUsage {
 public:
  struct ToDate {
    Quantity quantity;
    uint64_t events = 0;  // of the days added, in this period
  };

  void Begin(const Meter& meter, const Zone& zone);
  // For the days and periods that come. Where its days begin earlier, no time counts twice.
  void SetZone(const Zone& zone) { zone_ = zone; }
  // `series`: a number for each set of dimension values, from 0 without large gaps.
  void Add(uint32_t series, const UsageTotal& element);
  void BeginPeriod(const BillingPeriod& period);
  [[nodiscard]] bool AddDay(Day day, ToDate* to_date);
  // The instants of the first and the last element; not without any.
  Instant first_at();
  Instant last_at();
  // Nothing is there any more, and nothing comes: the periods that follow have nothing.
  bool is_over() const { return next_ == elements_.size() && level_ == 0 && active_ == 0; }

 private:
  struct Element {
    UsageTotal total;
    uint32_t series;
  };
  struct Member {
    bool active = false;
    Day touched{INT32_MIN};  // the last day on which it was there and this was counted
  };
  void Sort();
  [[nodiscard]] bool Carry(const Element& element);
  [[nodiscard]] bool Accrue(Instant until);
  [[nodiscard]] bool SetLevel(const Element& element);
  void Operate(const UsageTotal& element, Day day);
  [[nodiscard]] bool Quotient(Quantity* quantity) const;

  const Meter* meter_ = nullptr;
  Zone zone_;
  std::vector<Element> elements_;
  bool sorted_ = true;
  size_t next_ = 0;  // of elements_

  // The period at hand.
  BillingPeriod period_;
  int64_t period_nanos_ = 0;
  uint64_t events_ = 0;
  // A weighted sum.
  Int128 level_ = 0;
  std::vector<Int128> level_of_;  // each series'; where values are levels
  Instant accrued_until_;         // no day before it is added again
  Wide accrued_;                  // attos * nanoseconds; by days attos * days
  // A unique count.
  struct HashOfIdentifier {
    size_t operator()(Int128 identifier) const { return static_cast<size_t>(identifier); }  // it is a hash
  };
  std::unordered_map<Int128, Member, HashOfIdentifier> members_;
  uint64_t active_ = 0;
  uint64_t touched_days_ = 0;  // of all members, in this period
};

// `quotient` rounded as the meter says; exactly: the fraction is never rounded twice. The denominator is above 0.
[[nodiscard]] bool RoundUnits(const Meter& meter, const Wide& numerator, Int128 denominator, Quantity* quantity);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_AGGREGATE_H_
