// PreparedCharge: a charge made ready to price one running total after the other.
//
// PriceQuantity walks the tiers and adds up; here the worth of everything below each tier is summed once, so that a
// quantity costs one product and one sum wherever it falls (`Rate` and `RateInSteps` of bench/parts.cc).
// The sums are of whole numbers, so the order of adding does not show. PriceQuantity is the plain twin, and prices what
// has no such steps: tiers of blocks, cells, time, and charges with a conversion, commitment, discount, maximum or
// minimum; and what no catalog accepts (tiers that do not rise).
#ifndef TOLLBOOK_RATING_PREPARED_CHARGE_H_
#define TOLLBOOK_RATING_PREPARED_CHARGE_H_

#include <algorithm>
#include <vector>

#include "rating/money.h"
#include "rating/plan.h"
#include "rating/quantity.h"

namespace tollbook {

class PreparedCharge {
 public:
  explicit PreparedCharge(const Charge& charge);  // borrowed

  // What PriceQuantity(charge, quantity) answers; false where that is OutOfRange.
  [[nodiscard]] bool Price(Quantity quantity, Worth* worth) const;

  // A billable quantity of at most `up_to` is worth `base` and the price of what lies above `from`.
  struct Step {
    Int128 up_to = 0;
    Int128 from = 0;
    Int128 price = 0;
    Wide base;
  };
  // For quantities above zero, ascending, the last one without an end; empty when the charge is left to PriceQuantity.
  const std::vector<Step>& steps() const { return steps_; }
  // What the steps price: less what is included, in packages when it is sold so. False when it does not fit, or the
  // charge is left to PriceQuantity.
  [[nodiscard]] bool Billable(Quantity quantity, Int128* billable) const {
    *billable = quantity.attos;
    if (included_ > 0 && *billable > 0) *billable -= std::min(*billable, included_);
    if (!in_packages_) return !plain_;
    return !plain_ && Packages(billable);
  }

 private:
  [[nodiscard]] bool Prepare();
  void PrepareUnits(tollbook::Price price);
  [[nodiscard]] bool PreparePackages();
  [[nodiscard]] bool PrepareTiers();
  [[nodiscard]] bool PrepareStairstep();
  [[nodiscard]] bool Packages(Int128* billable) const;

  const Charge* charge_;
  Int128 included_ = 0;
  Int128 package_size_ = 0;
  bool in_packages_ = false;  // sold in packages
  bool plain_ = false;        // left to PriceQuantity
  Step at_most_zero_;         // a billable quantity of zero or less enters no tier
  std::vector<Step> steps_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_PREPARED_CHARGE_H_
