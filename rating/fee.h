// Fee: a charge for time, not for usage: so much for each unit (a seat, a site) and billing period.
//
// The time of a fee in a period is a list of slices: whole days on which the subscription is on the plan with one
// quantity. A slice that fills its period is one; any other is a share of it, by days. The worth is
//
//   price * sum of (quantity * share)     over the slices
//
// as one quotient, half to even at the 36th decimal, so that it is never rounded twice.
//
// Due        in advance: a slice on its first day, as if it went on to the period's end, since nobody knows then that
//            it will not; what it did not last is credited on the first day after it. In arrears: on its last day. So
//            what is due on a day does not depend on what happens after it.
// Days       period: those of the true period. 30_360: months of 30 days, as bonds in the US count (30/360 US). 365 and
//            360: true days by a year of so many. The last three are of periods of months only.
// Goes on    a fee without proration may count what earlier plans were due in the period (fee_amended.h): of what it
//            comes to only the rest is due.
// Errors     False when a number does not fit.
// Source     30/360 US: the SIA's Standard Securities Calculation Methods, with its rule for the end of February.
#ifndef TOLLBOOK_RATING_FEE_H_
#define TOLLBOOK_RATING_FEE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "rating/billing_cycle.h"
#include "rating/money.h"
#include "rating/quantity.h"

namespace tollbook {

enum class DayCount : uint8_t { kPeriod, kThirty360, kActual365, kActual360 };
std::string_view ToString(DayCount days);  // "period", "30_360": as the catalog has it

struct FeeProration {
  bool by_day = true;  // else a period that has begun is due in full, by the quantity it began with
  DayCount days = DayCount::kPeriod;
  std::optional<Rounding> rounding;  // of each share to `places`; none: exact
  int places = 0;                    // 0 to 18
  // A slice that does not begin with its period: by the days of one period counted back from the period's end, clamped
  // to a month's end (from February 28th: January 28th). Else by the true period's.
  bool count_back = false;
};

struct Fee {
  Price price;        // of one unit for a whole period
  bool once = false;  // in full, and of the first period alone: in advance on its first day, in arrears on its last
  bool in_advance = true;
  FeeProration proration;
  // In advance: what a slice did not last is credited. Else what was due stays so, and a later slice costs only the
  // units that it has more than any before it.
  bool credits_rest = true;
};

struct FeeSlice {
  Day start;
  Day end;  // exclusive; both within the period
  Quantity quantity;
};

// The slices of one period: ascending, apart or of other quantities. At least one.
struct FeePeriod {
  BillingPeriod period;
  int32_t months = 0;  // of the billing cycle; 0: it counts days
  std::span<const FeeSlice> slices;
  Worth due_before = {};  // of a fee in full each period: what counts of earlier plans; it takes off its worth
};

// Without proration: a period that has begun is due in full.
inline bool IsInFullEachPeriod(const Fee& fee) {
  return !fee.once && !fee.proration.by_day;
}

// The days on which something of it is due, or is credited: ascending.
void AppendDueDays(const Fee& fee, const FeePeriod& of, std::vector<Day>* days);

// Up to the end of a day. `units`: the sum of quantity * share, half to even at 18 decimals, for people.
[[nodiscard]] bool PriceFee(const Fee& fee, const FeePeriod& of, Day day, Worth* worth, Quantity* units);

// The slices that count up to the day: their worths sum to what PriceFee says.
struct FeeStep {
  std::string what;  // "2025-01-10 to 2025-02-01, 22 of 31 days"
  Quantity units;
  Worth worth;
};
[[nodiscard]] bool PriceFeeInSteps(const Fee& fee, const FeePeriod& of, Day day, std::vector<FeeStep>* steps);

// What PriceFee says, reckoned again in another way: day after day of the period, by the plain rules. For verify.
[[nodiscard]] bool PriceFeeByDays(const Fee& fee, const FeePeriod& of, Day day, Worth* worth);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_FEE_H_
