#include "rating/prepared_charge.h"

#include <algorithm>
#include <limits>

#include "rating/price.h"

namespace tollbook {
namespace {

constexpr Int128 kNoLimit = static_cast<Int128>(~Uint128{0} >> 1);

// A quantity and its price, and nothing around them.
bool IsBare(const Charge& charge) {
  return IsOfQuantityAlone(charge) && !charge.conversion && !charge.commitment && charge.discount == Price{} &&
         !charge.maximum;
}

}  // namespace

PreparedCharge::PreparedCharge(const Charge& charge) : charge_(&charge), included_(charge.included.attos) {
  plain_ = !IsBare(charge) || !Prepare();
  if (plain_) steps_.clear();
}

bool PreparedCharge::Prepare() {
  switch (charge_->pricing.model) {
    case ChargeModel::kPerUnit:
    case ChargeModel::kPercentage:
    case ChargeModel::kDynamic:
      PrepareUnits(charge_->pricing.unit_price);
      return true;
    case ChargeModel::kPackage:
      return PreparePackages();
    case ChargeModel::kGraduated:
    case ChargeModel::kVolume:
    case ChargeModel::kGraduatedPercentage:
      return PrepareTiers();
    case ChargeModel::kStairstep:
      return PrepareStairstep();
    case ChargeModel::kMatrix:
    case ChargeModel::kTimeRate:
    case ChargeModel::kProratedGraduated:
      return false;
  }
  return false;
}

void PreparedCharge::PrepareUnits(tollbook::Price price) {
  steps_ = {{kNoLimit, 0, price.attos, {}}};
  at_most_zero_ = steps_.front();
}

bool PreparedCharge::PreparePackages() {
  const Pricing& pricing = charge_->pricing;
  if (pricing.package_size.attos <= 0 || pricing.package_rounding != Rounding::kUp) return false;
  package_size_ = pricing.package_size.attos;
  in_packages_ = true;
  PrepareUnits(pricing.package_price);
  return true;
}

bool PreparedCharge::PrepareStairstep() {
  const std::vector<tollbook::Step>& fixed = charge_->pricing.steps;
  Int128 lower = 0;
  for (size_t i = 0; i < fixed.size(); ++i) {
    const bool last = i + 1 == fixed.size();
    if (!last && (!fixed[i].up_to || fixed[i].up_to->attos <= lower)) return false;
    lower = last ? kNoLimit : fixed[i].up_to->attos;
    steps_.push_back({lower, 0, 0, Wide::Product(kOneUnit, fixed[i].price.attos)});
  }
  if (charge_->pricing.flat_at_zero && !fixed.empty()) at_most_zero_ = steps_.front();
  return !fixed.empty();
}

bool PreparedCharge::PrepareTiers() {
  const Pricing& pricing = charge_->pricing;
  const std::vector<Tier>& tiers = pricing.tiers;
  Wide below;
  Int128 lower = 0;
  for (size_t i = 0; i < tiers.size(); ++i) {
    const bool last = i + 1 == tiers.size();
    if (tiers[i].block_size.attos > 0) return false;
    if (!last && (!tiers[i].up_to || tiers[i].up_to->attos <= lower)) return false;
    const Int128 upper = last ? kNoLimit : tiers[i].up_to->attos;
    const Int128 price = tiers[i].unit_price.attos;
    const Wide flat = Wide::Product(kOneUnit, tiers[i].flat.attos);
    if (i == 0) at_most_zero_ = {0, 0, price, pricing.flat_at_zero ? flat : Wide()};
    if (pricing.model == ChargeModel::kVolume) {
      steps_.push_back({upper, 0, price, flat});
    } else {
      // The flat amounts of all tiers that were entered stand; what a tier is worth in full is in the base of the next.
      if (!Wide::Add(below, flat, &below)) return false;
      steps_.push_back({upper, lower, price, below});
      if (!Wide::Add(below, Wide::Product(upper - lower, price), &below)) return false;
    }
    lower = upper;
  }
  return !tiers.empty();
}

// Started packages, as PriceQuantity counts them. False when their number does not fit a quantity.
bool PreparedCharge::Packages(Int128* billable) const {
  const Int128 whole = *billable / package_size_;
  const Int128 rest = *billable - whole * package_size_;
  const Int128 started = whole + (rest > 0 ? 1 : rest < 0 ? -1 : 0);
  return !__builtin_mul_overflow(started, kOneUnit, billable);
}

bool PreparedCharge::Price(Quantity quantity, Worth* worth) const {
  if (plain_) {
    const absl::StatusOr<Worth> priced = PriceQuantity(*charge_, quantity);
    if (priced.ok()) *worth = *priced;
    return priced.ok();
  }
  Int128 billable = 0;
  if (!Billable(quantity, &billable)) return false;
  const Step* step = &at_most_zero_;
  if (billable > 0) {
    for (step = steps_.data(); billable > step->up_to;) ++step;
  }
  return Wide::Add(step->base, Wide::Product(billable - step->from, step->price), &worth->amount);
}

}  // namespace tollbook
