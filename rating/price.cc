#include "rating/price.h"

#include <algorithm>
#include <string>

namespace tollbook {
namespace {

// The arithmetic of one charge so far: what it is worth, whether it still fits, and the steps when someone asked.
class Arithmetic {
 public:
  explicit Arithmetic(std::vector<PriceStep>* steps) : steps_(steps) {}

  // `what` is only called when the steps are wanted: rating millions of subjects makes no texts.
  template <typename What>
  void Step(Quantity quantity, Price unit_price, const What& what) {
    const Worth worth = {Wide::Product(quantity.attos, unit_price.attos)};
    fits_ = fits_ && Wide::Add(total_.amount, worth.amount, &total_.amount);
    if (steps_ != nullptr) steps_->push_back({what(), quantity, unit_price, worth});
  }

  void DoesNotFit() { fits_ = false; }
  bool fits() const { return fits_; }
  const Worth& total() const { return total_; }

 private:
  std::vector<PriceStep>* steps_;
  Worth total_;
  bool fits_ = true;
};

std::string TierName(const std::vector<Tier>& tiers, size_t i) {
  std::string name = "tier " + std::to_string(i + 1);
  if (i + 1 < tiers.size()) return name + " (up to " + ToString(*tiers[i].up_to) + ")";
  return i == 0 ? name : name + " (above " + ToString(*tiers[i - 1].up_to) + ")";
}

bool ReachesBeyond(const std::vector<Tier>& tiers, size_t i, Quantity quantity) {
  return i + 1 < tiers.size() && quantity > *tiers[i].up_to;
}

// A tier is entered by usage above its lower bound. Nothing, or less, enters none: the first tier's flat amount is then
// due only where the charge says so.
void AddFlat(const Charge& charge, size_t i, Quantity quantity, Arithmetic* sum) {
  const Price flat = charge.tiers[i].flat;
  const bool due = quantity.attos > 0 || charge.flat_at_zero;
  if (!due || flat == Price{}) return;
  sum->Step(Quantity::Units(1), flat, [&] { return "flat amount of tier " + std::to_string(i + 1); });
}

void PricePerUnit(const Charge& charge, Quantity quantity, Arithmetic* sum) {
  sum->Step(quantity, charge.unit_price, [] { return std::string("per unit"); });
}

void PriceGraduated(const Charge& charge, Quantity quantity, Arithmetic* sum) {
  Quantity lower;
  for (size_t i = 0; i < charge.tiers.size(); ++i) {
    const bool beyond = ReachesBeyond(charge.tiers, i, quantity);
    const Quantity upper = beyond ? *charge.tiers[i].up_to : quantity;
    Quantity in_tier;  // bounds below zero, which no catalog has, can lie further apart than fits
    if (__builtin_sub_overflow(upper.attos, lower.attos, &in_tier.attos)) return sum->DoesNotFit();
    sum->Step(in_tier, charge.tiers[i].unit_price, [&] { return TierName(charge.tiers, i); });
    AddFlat(charge, i, quantity, sum);
    if (!beyond) return;
    lower = upper;
  }
}

void PriceVolume(const Charge& charge, Quantity quantity, Arithmetic* sum) {
  size_t i = 0;
  while (ReachesBeyond(charge.tiers, i, quantity)) ++i;
  sum->Step(quantity, charge.tiers[i].unit_price, [&] { return "all units in " + TierName(charge.tiers, i); });
  AddFlat(charge, i, quantity, sum);
}

// A started package is due in full. A negative total gives back what the same usage would have cost, so it counts
// started packages too.
void PricePackages(const Charge& charge, Quantity quantity, Arithmetic* sum) {
  const Int128 size = charge.package_size.attos;
  const Int128 whole = quantity.attos / size;
  const Int128 rest = quantity.attos % size;
  const Int128 packages = whole + (rest > 0 ? 1 : rest < 0 ? -1 : 0);
  Quantity count;
  if (__builtin_mul_overflow(packages, kOneUnit, &count.attos)) return sum->DoesNotFit();
  sum->Step(count, charge.package_price, [&] {
    const std::string_view packages_of = count == Quantity::Units(1) ? " package of " : " packages of ";
    return ToString(count).append(packages_of).append(ToString(charge.package_size));
  });
}

// What is left to price once the included units are off; usage below zero has none to take off.
Quantity TakeIncluded(const Charge& charge, Quantity quantity, Arithmetic* sum) {
  if (charge.included.attos <= 0 || quantity.attos <= 0) return quantity;
  const Quantity taken = std::min(quantity, charge.included);
  sum->Step(taken, Price{}, [] { return std::string("included"); });
  return {quantity.attos - taken.attos};
}

void PriceBillable(const Charge& charge, Quantity billable, Arithmetic* sum) {
  switch (charge.model) {
    case ChargeModel::kPerUnit:
      return PricePerUnit(charge, billable, sum);
    case ChargeModel::kGraduated:
      return PriceGraduated(charge, billable, sum);
    case ChargeModel::kVolume:
      return PriceVolume(charge, billable, sum);
    case ChargeModel::kPackage:
      return PricePackages(charge, billable, sum);
  }
  TOLLBOOK_ASSERT(!"a charge model of the list");
}

bool HasWhatItsModelNeeds(const Charge& charge) {
  switch (charge.model) {
    case ChargeModel::kPerUnit:
      return true;
    case ChargeModel::kGraduated:
    case ChargeModel::kVolume:
      return !charge.tiers.empty();
    case ChargeModel::kPackage:
      return charge.package_size.attos > 0;
  }
  return false;
}

}  // namespace

absl::StatusOr<Worth> PriceQuantity(const Charge& charge, Quantity quantity, std::vector<PriceStep>* steps) {
  TOLLBOOK_ASSERT(HasWhatItsModelNeeds(charge));  // the catalog's check promises it
  if (steps != nullptr) steps->clear();
  Arithmetic sum(steps);
  const Quantity billable = TakeIncluded(charge, quantity, &sum);
  PriceBillable(charge, billable, &sum);
  if (!sum.fits()) {
    return MakeError(absl::StatusCode::kOutOfRange, "the worth of the usage does not fit",
                     "charge " + charge.name + ", quantity " + ToString(quantity),
                     "check the charge's prices and the meter's unit");
  }
  return sum.total();
}

}  // namespace tollbook
