// TimeTally: events of a duration, by a TimeRate: how many increments of each step of each window they have.
//
// Nothing that an event costs depends on the others, so a tally is their sum, and a period goes on from the day before.
// Cost: for each event a search for its window, its step and the zone's offset wherever one of them changes: a call of
// a few minutes once, one of a year some times a day.
#ifndef TOLLBOOK_RATING_TIME_TALLY_H_
#define TOLLBOOK_RATING_TIME_TALLY_H_

#include <cstdint>
#include <vector>

#include "rating/arithmetic.h"
#include "rating/plan.h"
#include "rating/usage_total.h"

namespace tollbook {

class TimeTally {
 public:
  TimeTally(const Pricing& pricing, const Zone& zone);  // both borrowed

  // False: it ends after 2262, or a number does not fit.
  [[nodiscard]] bool Add(const UsageTotal& element);

  void Price(Arithmetic* sum) const;

 private:
  struct Counts {
    std::vector<uint64_t> increments;  // of each step, window by window
    std::vector<uint64_t> connects;    // of each window
  };
  [[nodiscard]] size_t WindowAt(const ClockTime& time) const;
  [[nodiscard]] size_t StepAt(const TimeWindow& window, int64_t elapsed) const;
  [[nodiscard]] bool Walk(Instant start, int64_t duration, Counts* counts) const;
  [[nodiscard]] bool CostOf(const Counts& counts, Wide* cost) const;
  void PriceWindow(size_t window, Arithmetic* sum) const;

  const Pricing* pricing_;
  const Zone* zone_;
  std::vector<size_t> first_step_;  // of each window, in `increments`
  Counts counts_;                   // of all events but those at the maximum
  uint64_t at_maximum_ = 0;
  Counts of_event_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_TIME_TALLY_H_
