// DeliveryTold: what the chain of commits was last told of each delivery, and the outbox held against it.
//
// The steps of a delivery lie beside the chain, and where it ended is told to the chain afterwards. So the outbox may
// be ahead of the chain, never behind it. A delivery that the chain has as ended, and the outbox as still to be sent,
// was changed by something else than a step: sending it would post it again.
#ifndef TOLLBOOK_LEDGER_DELIVERY_TOLD_H_
#define TOLLBOOK_LEDGER_DELIVERY_TOLD_H_

#include <functional>
#include <map>
#include <span>
#include <string>

#include "ledger/decision.h"
#include "ledger/delivery.h"

namespace tollbook {

// What the chain calls a delivery: "erp acme-us-USD-2025-01-0001".
std::string NameOf(const Delivery& delivery);

// By that name the word of the state that the chain was last told.
using ToldStates = std::map<std::string, std::string, std::less<>>;
ToldStates ToldStatesOf(std::span<const DecisionCommit> commits);

// `deliveries`: all that the outbox has. DataLoss: one that the chain knows is missing, or would be sent though the
// chain has it as ended, or has ended otherwise; the message names it. What is parked is sent only when a person says
// so.
absl::Status CheckTold(const ToldStates& told, std::span<const Delivery> deliveries);
// The same of one of them.
absl::Status CheckToldOf(const ToldStates& told, const Delivery& delivery);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_DELIVERY_TOLD_H_
