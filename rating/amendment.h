// Amendment: what a charge costs in a billing period in which one version of the subscription follows another.
//
// The usage of each version is a slice, priced by its own plan. A slice that goes on has the position of those before
// it: what they used is used. `from` and `to` are the units, converted and less what is included, that the slice's own
// plan makes of all that was used before it and up to its end; `whole` likewise of all slices that go on from one
// another.
//
//   volume       to - from at the price of the tier that `whole` falls in; that tier's flat amount once, of the plan
//                that the last usage fell in. So usage of a later slice may change what an earlier one is worth.
//   all others   what `to` costs less what `from` costs: graduated units in the tiers behind those that are used up,
//                flat amounts of the tiers that are newly entered, packages that are newly started, what a higher step
//                costs more
//
// Included   units that were used stay used: of the bound that the slice's own plan has, what is left. Those that
// rolled
//            over from earlier periods go first.
// Discount   of the slice's own plan.
// Maximum    slices before count towards the maximum of the slice at hand; what they came to above it stands.
// Minimum    of all slices that go on from one another, on the last of them: each plan's by its days, summed; where
//            the last one's is not prorated, that one alone.
// Errors     OutOfRange when a quantity or an amount does not fit.
#ifndef TOLLBOOK_RATING_AMENDMENT_H_
#define TOLLBOOK_RATING_AMENDMENT_H_

#include <cstdint>
#include <span>
#include <vector>

#include "rating/calendar.h"
#include "rating/error.h"
#include "rating/plan.h"
#include "rating/price.h"

namespace tollbook {

// The usage of one version of a subscription in a billing period, up to a day.
struct UsageSlice {
  const Charge* charge = nullptr;  // of its plan
  Day start;                       // its first day in the period
  bool goes_on = false;            // from the slice before it
  Quantity to_date;                // as metered: its own, and of those that it goes on from
  uint64_t events = 0;             // its own
  DayShare minimum_share;          // of its charge's minimum
  Quantity rolled_over;            // priced units from earlier periods; the same in all that go on from one another
};

// Whether a charge may be rated by slices at all, and whether any of a plan's is.
[[nodiscard]] inline bool MayBeSliced(const Charge& charge) {
  return charge.on_amendment != OnAmendment::kByPlan || charge.rollover.has_value();
}
[[nodiscard]] bool HasSlicedCharge(const Plan& plan);

// What those of the slices that are of `charge` come to; `slices` are all of the period, by time. `complete`: minimums
// are due. `steps` may be null; they are appended to.
[[nodiscard]] absl::StatusOr<Worth> PriceSlices(std::span<const UsageSlice> slices, const Charge& charge, bool complete,
                                                std::vector<PriceStep>* steps);

// Included units that are left of earlier periods. Those that may be used in the fewest periods go first.
class RolledOver {
 public:
  // Of all of them.
  [[nodiscard]] bool Sum(Quantity* sum) const;
  // A period of the charge is over, which has a rollover; `used`: as metered. False: a number does not fit.
  [[nodiscard]] bool EndPeriod(const Charge& charge, Quantity used);
  void Clear() { left_.clear(); }

 private:
  struct Left {
    Quantity units;
    int32_t periods = 0;
  };
  std::vector<Left> left_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_AMENDMENT_H_
