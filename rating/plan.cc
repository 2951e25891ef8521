#include "rating/plan.h"

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
  }
  TOLLBOOK_ASSERT(!"a charge model of the list");
  return "";
}

}  // namespace tollbook
