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

// Negative totals (a meter that allows them): per unit and package price them as they are; a graduated or volume charge
// prices them in its first tier; included units never make a quantity negative.
// Errors: OutOfRange when an amount does not fit; the message names charge and quantity.
// `steps` may be null.
[[nodiscard]] absl::StatusOr<Worth> PriceQuantity(const Charge& charge, Quantity quantity,
                                                  std::vector<PriceStep>* steps = nullptr);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_PRICE_H_
