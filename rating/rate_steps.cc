#include "rating/rate_steps.h"

#include <string>

#include "rating/charge_words.h"

namespace tollbook {
namespace {

std::string Which(const RatedCharge& rated) {
  return "subscription " + std::string(rated.subscription->id) + ", " + ChargeInWords(*rated.charge) +
         ", billing period " + ToString(rated.period.start) + " to " + ToString(rated.period.end);
}

}  // namespace

void PointToDays(RatedSubject* rated) {
  size_t days = 0, parts = 0, slices = 0, bounded = 0, amended = 0, sliced = 0, granted = 0, taken = 0;
  for (RatedCharge& charge : rated->charges) {
    charge.days = std::span(rated->days).subspan(days, charge.days.size());
    charge.parts = std::span(rated->parts).subspan(parts, charge.parts.size());
    charge.slices = std::span(rated->slices).subspan(slices, charge.slices.size());
    charge.bounded = std::span(rated->bounded).subspan(bounded, charge.bounded.size());
    charge.amended = std::span(rated->amended).subspan(amended, charge.amended.size());
    charge.sliced = std::span(rated->sliced).subspan(sliced, charge.sliced.size());
    charge.granted = std::span(rated->granted).subspan(granted, charge.granted.size());
    charge.taken = std::span(rated->taken).subspan(taken, charge.taken.size());
    days += charge.days.size();
    parts += charge.parts.size();
    slices += charge.slices.size();
    bounded += charge.bounded.size();
    amended += charge.amended.size();
    sliced += charge.sliced.size();
    granted += charge.granted.size();
    taken += charge.taken.size();
  }
}

absl::Status TotalOutOfRange(const RatedCharge& rated) {
  return MakeError(absl::StatusCode::kOutOfRange, "the usage of the period does not fit a quantity", Which(rated),
                   "check the meter's unit and the values of its events");
}

absl::Status WorthOutOfRange(const RatedCharge& rated, Quantity quantity) {
  return MakeError(absl::StatusCode::kOutOfRange, "the worth of the period does not fit",
                   Which(rated) + ", quantity " + ToString(quantity), "check the charge's prices and the meter's unit");
}

}  // namespace tollbook
