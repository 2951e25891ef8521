// BoundSlices: what a plan's minimum or maximum adds in a billing period in which versions of the subscription follow
// one another, where it says `on_amendment`.
//
// Each version is a slice, bound as its own plan says. What it comes to is what came due of lines of its plan on its
// days, less what was credited of that later (due_parts.h). What comes due of an earlier plan on a later day (another
// tier for all units) is of that plan's last slice before it, and on an earlier day of its first.
//
// Minimum    one for all slices that go on from one another, on the last of them: each plan's by its days, summed; the
//            last one's alone where that is not prorated. The lines of maximums count.
// Maximum    slices before count towards the maximum of the slice at hand, which is summed likewise up to it; what they
//            came to above it stands. What is below zero takes first what was above a maximum before.
// Errors     False when an amount does not fit.
//
// In the line that comes of it (RatedCharge in rate.h) `amended` are the slices and `bounded` what each of them comes
// to, for each of the line's days.
#ifndef TOLLBOOK_RATING_BOUND_SLICES_H_
#define TOLLBOOK_RATING_BOUND_SLICES_H_

#include <span>
#include <vector>

#include "rating/amendment.h"
#include "rating/catalog.h"
#include "rating/price.h"

namespace tollbook {

// Days on which the lines of one plan count.
struct PlanDays {
  uint32_t plan = 0;
  Day from, to;  // half-open
};

struct BoundSlices {
  std::vector<UsageSlice> slices;  // by time; the charge is the bound of the version's plan
  std::vector<PlanDays> days;      // of each of them
};

// Those of the versions of the subscription whose plans have a bound of that name with `on_amendment`, and the same
// billing periods; but for those that are all days of trial.
[[nodiscard]] BoundSlices BoundSlicesOf(const Catalog& catalog, const Subscription& subscription, const Charge& bound,
                                        const BillingPeriod& period);

// What each of the slices adds to its amount, in minor units of each slice.
[[nodiscard]] bool PriceEachBoundSlice(std::span<const UsageSlice> slices, std::span<const Int128> amounts,
                                       Currency currency, std::vector<Worth>* each);

// What those of the slices that are of `bound` add to their amounts, in minor units of each slice. `steps` may be null;
// they are appended to.
[[nodiscard]] bool PriceBoundSlices(std::span<const UsageSlice> slices, std::span<const Int128> amounts,
                                    const Charge& bound, Currency currency, Worth* worth,
                                    std::vector<PriceStep>* steps);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_BOUND_SLICES_H_
