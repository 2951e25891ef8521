#include "rating/prepared_charge.h"

#include <algorithm>
#include <limits>

#include "rating/price.h"

namespace tollbook {
namespace {

constexpr Int128 kNoLimit = static_cast<Int128>(~Uint128{0} >> 1);

}  // namespace

PreparedCharge::PreparedCharge(const Charge& charge) : charge_(&charge) {
  switch (charge.model) {
    case ChargeModel::kPerUnit:
      steps_ = {{kNoLimit, 0, charge.unit_price.attos, {}}};
      at_most_zero_ = steps_.front();
      return;
    case ChargeModel::kPackage:
      plain_ = charge.package_size.attos <= 0;
      if (plain_) return;
      steps_ = {{kNoLimit, 0, charge.package_price.attos, {}}};
      at_most_zero_ = steps_.front();
      return;
    case ChargeModel::kGraduated:
    case ChargeModel::kVolume:
      plain_ = !PrepareTiers();
      if (plain_) steps_.clear();
      return;
  }
  plain_ = true;
}

bool PreparedCharge::PrepareTiers() {
  const std::vector<Tier>& tiers = charge_->tiers;
  Wide below;
  Int128 lower = 0;
  for (size_t i = 0; i < tiers.size(); ++i) {
    const bool last = i + 1 == tiers.size();
    if (!last && (!tiers[i].up_to || tiers[i].up_to->attos <= lower)) return false;
    const Int128 upper = last ? kNoLimit : tiers[i].up_to->attos;
    const Int128 price = tiers[i].unit_price.attos;
    const Wide flat = Wide::Product(kOneUnit, tiers[i].flat.attos);
    if (i == 0) at_most_zero_ = {0, 0, price, charge_->flat_at_zero ? flat : Wide()};
    if (charge_->model == ChargeModel::kVolume) {
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
  const Int128 size = charge_->package_size.attos;
  const Int128 whole = *billable / size;
  const Int128 rest = *billable - whole * size;
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
