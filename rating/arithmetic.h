// Arithmetic: the price of a usage so far: what it is worth, whether it still fits, and the steps when someone asked.
#ifndef TOLLBOOK_RATING_ARITHMETIC_H_
#define TOLLBOOK_RATING_ARITHMETIC_H_

#include <string>
#include <utility>
#include <vector>

#include "rating/price.h"

namespace tollbook {

class Arithmetic {
 public:
  explicit Arithmetic(std::vector<PriceStep>* steps) : steps_(steps) {}

  // `what` is only called when the steps are wanted: rating millions of subjects makes no texts.
  template <typename What>
  void Step(Quantity quantity, Price unit_price, const What& what) {
    AddStep(quantity, unit_price, {Wide::Product(quantity.attos, unit_price.attos)}, what);
  }
  // A worth that is not a quantity times a price: a discount, a cap.
  template <typename What>
  void Amount(const Worth& worth, const What& what) {
    AddStep({}, {}, worth, what);
  }
  // Whose usage the next steps are of: "region=eu", "2025-01-03". `name` as `what`.
  template <typename Name>
  void Of(const Name& name) {
    if (steps_ != nullptr) of_ = name();
  }

  bool has_words() const { return steps_ != nullptr; }
  void DoesNotFit() { fits_ = false; }
  bool fits() const { return fits_; }
  const Worth& total() const { return total_; }

 private:
  template <typename What>
  void AddStep(Quantity quantity, Price unit_price, const Worth& worth, const What& what) {
    fits_ = fits_ && Wide::Add(total_.amount, worth.amount, &total_.amount);
    if (steps_ != nullptr) steps_->push_back({of_.empty() ? what() : of_ + ": " + what(), quantity, unit_price, worth});
  }

  std::vector<PriceStep>* steps_;
  std::string of_;
  Worth total_;
  bool fits_ = true;
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_ARITHMETIC_H_
