// Amendment: what a charge costs in a billing period in which one version of the subscription follows another.
//
// The usage of each version is a slice, priced by its own plan. A slice that goes on has the position of those before
// it: what they used is used. All that was used before a slice, up to its end, and in all slices that go on from one
// another is what the slice's own charge makes of it: by its own cells or limits, converted, and less what is included.
//
//   volume       what was used up to the end less what was before, at the price of the tier that all falls in; that
//                tier's flat amount once, of the plan that the last usage fell in. So usage of a later slice may change
//                what an earlier one is worth
//   all others   what all up to the end costs less what all before costs: graduated units in the tiers behind those
//                that are used up, flat amounts of the tiers that are newly entered, packages that are newly started,
//                what a higher step costs more, transactions behind the free ones
//
// Each part (PartOf) is priced so. Buckets (per_bucket) are of one slice each, and priced alone. Where the meter's
// quantity does not grow with usage (Grows), all slices have the same quantity, that of the period, and each plan has
// its share by days (SharedDays) of what that would cost in it.
//
// Included    units that were used stay used: of the bound that the slice's own plan has, what is left. Those that
//             rolled over from earlier periods go first.
// Commitment  the slice's own; what slices before were worth counts towards it. What is missing is due of the last.
// Discount    of the slice's own plan.
// Maximum     slices before count towards the maximum of the slice at hand; what they came to above it stands. A slice
//             that is worth less than nothing first takes back what those before had above theirs, which is not due.
// Minimum     of all slices that go on from one another, on the last of them: each plan's by its days, summed; where
//             the last one's is not prorated, that one alone.
// Errors      OutOfRange when a quantity or an amount does not fit.
#ifndef TOLLBOOK_RATING_AMENDMENT_H_
#define TOLLBOOK_RATING_AMENDMENT_H_

#include <cstdint>
#include <span>
#include <vector>

#include "rating/calendar.h"
#include "rating/error.h"
#include "rating/meter.h"
#include "rating/plan.h"
#include "rating/price.h"
#include "rating/running_usage.h"

namespace tollbook {

// Which of the days of all slices that go on from one another a slice has, of a quantity that is the same in all.
struct SharedDays {
  int32_t from = 0;  // days of those before it
  int32_t to = 0;    // and its own; of the last that has begun, also those to come
  int32_t of = 0;    // 0: the quantity grows, and is not shared
};

// The usage of one version of a subscription in a billing period, up to a day.
struct UsageSlice {
  const Charge* charge = nullptr;  // of its plan
  Day start;                       // its first day in the period
  bool goes_on = false;            // from the slice before it
  Quantity to_date;                // as metered: its own, and of those that it goes on from
  uint64_t events = 0;             // its own
  DayShare minimum_share;          // of its charge's minimum
  Quantity rolled_over;            // priced units from earlier periods; the same in all that go on from one another
  SharedDays shared = {};
  const Zone* zone = nullptr;    // the subscription's, borrowed; not needed by one quantity
  const Meter* meter = nullptr;  // likewise its charge's: slices that start again may be of several
};

// The same where its charge prices more than one quantity (IsOfParts): by the charge's parts. Borrowed.
struct SliceParts {
  std::span<const UsagePart> before;   // all that it goes on from
  std::span<const UsagePart> to_date;  // and its own. Of buckets only its own
  std::span<const UsagePart> whole;    // and of the slices that go on from it
};

// Cells, limits, buckets, or a price of each event.
[[nodiscard]] bool IsOfParts(const Charge& charge);

// Whether a larger aggregate is more usage, whatever comes; so that what was used before can be told from what comes.
[[nodiscard]] bool Grows(const Meter& meter);

// Whether a slice of the charge shares the quantity of all that go on from one another, instead of having its own.
[[nodiscard]] bool SharesQuantity(const Charge& charge, const Meter& meter);

// Whether a charge may be rated by slices at all; whether these are of usage: bounds have slices of their own
// (bound_slices.h), and fees none; and whether any of a plan's is.
[[nodiscard]] inline bool MayBeSliced(const Charge& charge) {
  return charge.on_amendment != OnAmendment::kByPlan || charge.rollover.has_value();
}
[[nodiscard]] bool HasSlicedUsage(const Charge& charge);
[[nodiscard]] bool HasSlicedCharge(const Plan& plan);

// What those of the slices that are of `charge` come to; `slices` are all of the period, by time. `complete`: minimums
// are due. `steps` may be null; they are appended to. `parts`: one for each slice, those IsOfParts filled; may be empty
// where none of them is.
[[nodiscard]] absl::StatusOr<Worth> PriceSlices(std::span<const UsageSlice> slices, const Charge& charge, bool complete,
                                                std::vector<PriceStep>* steps, std::span<const SliceParts> parts = {});

// The parts of slices, while a period grows day by day: a day costs its own events, and each part once more.
class SliceTallies {
 public:
  // Borrows charges, zones and meters. What was used of the slices does not matter.
  explicit SliceTallies(std::span<const UsageSlice> slices);

  // Usage as the charge of slice `as` takes it, which is of that slice, or of one that it goes on from or that goes on
  // from it. By day. False: it does not fit.
  [[nodiscard]] bool Add(size_t as, const PartTotal& added);
  // The day is over. False: a quantity does not fit.
  [[nodiscard]] bool EndDay();
  // Up to then.
  std::span<const SliceParts> parts() const { return parts_; }

 private:
  struct Tally {
    Day start, end;  // half-open
    bool is_of_parts = false, has_buckets = false;
    bool has_whole = false;  // what later slices use matters
    RunningParts before, to_date, whole;
  };
  std::vector<Tally> tallies_;
  std::vector<SliceParts> parts_;
};

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
