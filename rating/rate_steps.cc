#include "rating/rate_steps.h"

#include <string>

namespace tollbook {
namespace {

std::string Which(const RatedCharge& rated) {
  return "subscription " + std::string(rated.subscription->id) + ", charge " + rated.charge->name +
         ", billing period " + ToString(rated.period.start) + " to " + ToString(rated.period.end);
}

}  // namespace

absl::Status TotalOutOfRange(const RatedCharge& rated) {
  return MakeError(absl::StatusCode::kOutOfRange, "the usage of the period does not fit a quantity", Which(rated),
                   "check the meter's unit and the values of its events");
}

absl::Status WorthOutOfRange(const RatedCharge& rated, Quantity quantity) {
  return MakeError(absl::StatusCode::kOutOfRange, "the worth of the period does not fit",
                   Which(rated) + ", quantity " + ToString(quantity), "check the charge's prices and the meter's unit");
}

}  // namespace tollbook
