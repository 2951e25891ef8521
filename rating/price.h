// Price a quantity by a charge: pure arithmetic, and the steps that a person can follow.
//
// `quantity` is the whole period's total, not one event's. Rated one by one, every event would start again in the first
// (often included) tier.
#ifndef TOLLBOOK_RATING_PRICE_H_
#define TOLLBOOK_RATING_PRICE_H_

#include <string>
#include <vector>

#include "rating/error.h"
#include "rating/plan.h"

namespace tollbook {

// One step of the arithmetic: `quantity` at `unit_price` gave `worth`.
struct PriceStep {
  std::string what;  // "included", "tier 1 (up to 100000000)", "flat amount of tier 2", "3 packages of 1000"
  Quantity quantity;
  Price unit_price;
  Worth worth;
};

// Negative totals (a meter that allows them): per unit prices them as they are; packages likewise, so that -n units give
// back what n units cost; a graduated or volume charge prices them in its first tier, whose flat amount they enter no
// more than zero does. Included units never make a quantity negative.
// Errors: OutOfRange when an amount does not fit; the message names charge and quantity.
// `steps` may be null; it is cleared first, and the worths in it sum to the result.
[[nodiscard]] absl::StatusOr<Worth> PriceQuantity(const Charge& charge, Quantity quantity,
                                                  std::vector<PriceStep>* steps = nullptr);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_PRICE_H_
