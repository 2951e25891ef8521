#include "ledger/delivery_told.h"

#include <set>

namespace tollbook {
namespace {

bool IsEnd(std::string_view word) {
  for (size_t number = 0; number < kDeliveryStates; ++number) {
    const auto state = static_cast<DeliveryState>(number);
    if (IsFinal(state) && word == Word(state)) return true;
  }
  return false;
}

absl::Status Behind(const std::string& which, const std::string& told, std::string_view is) {
  return MakeError(absl::StatusCode::kDataLoss, "the outbox is damaged",
                   which + ": the audit log has it as " + told + ", the outbox as " + std::string(is),
                   "look what the target has, then say it with `tollbook deliveries resolve`; or restore a backup");
}

}  // namespace

std::string NameOf(const Delivery& delivery) {
  return delivery.target + " " + delivery.batch;
}

ToldStates ToldStatesOf(std::span<const DecisionCommit> commits) {
  ToldStates told;
  for (const DecisionCommit& commit : commits) {
    for (const Decision& decision : commit.decisions) {
      if (decision.kind == DecisionKind::kDelivery) told.insert_or_assign(decision.which, decision.after);
    }
  }
  return told;
}

absl::Status CheckToldOf(const ToldStates& told, const Delivery& delivery) {
  const std::string which = NameOf(delivery);
  const auto known = told.find(which);
  if (known == told.end() || !IsEnd(known->second) || delivery.state == DeliveryState::kParked) {
    return absl::OkStatus();
  }
  const bool told_superseded = known->second == Word(DeliveryState::kSuperseded);
  const bool is_superseded = delivery.state == DeliveryState::kSuperseded;
  if (IsFinal(delivery.state) && told_superseded == is_superseded) return absl::OkStatus();
  return Behind(which, known->second, Word(delivery.state));
}

absl::Status CheckTold(const ToldStates& told, std::span<const Delivery> deliveries) {
  std::set<std::string, std::less<>> there;
  for (const Delivery& delivery : deliveries) {
    const absl::Status checked = CheckToldOf(told, delivery);
    if (!checked.ok()) return checked;
    there.insert(NameOf(delivery));
  }
  for (const auto& [which, state] : told) {
    if (!there.contains(which)) return Behind(which, state, "nothing");
  }
  return absl::OkStatus();
}

}  // namespace tollbook
