#include "rating/plan.h"

#include <algorithm>

#include "rating/error.h"

namespace tollbook {

std::string_view ToString(ChargeModel model) {
  switch (model) {
    case ChargeModel::kPerUnit:
      return "per_unit";
    case ChargeModel::kGraduated:
      return "graduated";
    case ChargeModel::kVolume:
      return "volume";
    case ChargeModel::kPackage:
      return "package";
    case ChargeModel::kStairstep:
      return "stairstep";
    case ChargeModel::kPercentage:
      return "percentage";
    case ChargeModel::kGraduatedPercentage:
      return "graduated_percentage";
    case ChargeModel::kDynamic:
      return "dynamic";
    case ChargeModel::kMatrix:
      return "matrix";
    case ChargeModel::kTimeRate:
      return "time_rate";
    case ChargeModel::kProratedGraduated:
      return "prorated_graduated";
  }
  TOLLBOOK_ASSERT(!"a charge model of the list");
  return "";
}

bool IsOfEvents(const Charge& charge) {
  return IsOfEvents(charge.pricing) ||
         std::ranges::any_of(charge.cells, [](const Cell& cell) { return IsOfEvents(cell.pricing); });
}

bool TakesUnitGrants(const Charge& charge) {
  return !charge.meter.empty() && charge.cells.empty() && charge.pricing.limits_by.empty() &&
         charge.per_bucket == PerBucket::kNone && charge.pricing.price_per_event == Price{} &&
         !IsOfEvents(charge.pricing);
}

bool IsDueAtEnd(const Charge& charge) {
  const bool of_period = charge.per_bucket == PerBucket::kNone;
  return charge.minimum || (of_period && charge.commitment && charge.commitment->true_up);
}

bool IsDueWithoutUsage(const Charge& charge) {
  const bool has_minimum = charge.minimum.has_value() && *charge.minimum != Price{};
  return charge.fee.has_value() || charge.bound.has_value() || has_minimum;
}

bool IsOfQuantityAlone(const Charge& charge) {
  return charge.cells.empty() && charge.pricing.limits_by.empty() && charge.per_bucket == PerBucket::kNone &&
         charge.pricing.price_per_event == Price{} && !IsOfEvents(charge.pricing) && !IsDueAtEnd(charge);
}

}  // namespace tollbook
