// Unsettled: deliveries of which nobody knows what their target has, or that are not there as they were sent.
#ifndef TOLLBOOK_LEDGER_UNSETTLED_H_
#define TOLLBOOK_LEDGER_UNSETTLED_H_

#include <string_view>

#include "ledger/delivery.h"

namespace tollbook {

// It may or may not have arrived: the target is to be asked, or a person has to look.
inline bool IsUnclear(const Delivery& delivery) {
  const bool is_asked_for = delivery.state == DeliveryState::kUncertain || delivery.state == DeliveryState::kSending;
  // Earlier versions kept of what was never shown no more than why it is parked.
  const bool was_never_shown =
      delivery.state == DeliveryState::kParked && delivery.problem == DeliveryProblem::kAmbiguous;
  return is_asked_for || was_never_shown || (delivery.may_be_there && !IsFinal(delivery.state));
}

// What the target has of it is not what was sent, or is not there any more. A person decides.
inline bool IsDifferent(const Delivery& delivery) {
  return delivery.problem == DeliveryProblem::kDifferent && !IsFinal(delivery.state);
}

// Of usage, of accounts or of an event, by the name of what is delivered: no batch's id has a colon.
inline constexpr bool IsReport(std::string_view delivered) {
  return delivered.find(':') != std::string_view::npos;
}

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_UNSETTLED_H_
