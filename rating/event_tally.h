// EventTally: the events of a part of a charge that prices each event (IsOfEvents), in their order, and what they cost
// together.
//
// It only grows: a period goes on from the day before, so a day costs its own events and not those of the period.
#ifndef TOLLBOOK_RATING_EVENT_TALLY_H_
#define TOLLBOOK_RATING_EVENT_TALLY_H_

#include <variant>

#include "rating/time_tally.h"
#include "rating/transaction_tally.h"

namespace tollbook {

class EventTally {
 public:
  EventTally(const Pricing& pricing, const Zone& zone) : tally_(Of(pricing, zone)) {}  // both borrowed

  // By day, then time and value. False: what it adds does not fit.
  [[nodiscard]] bool Add(const UsageTotal& element) {
    return std::visit([&](auto& tally) { return tally.Add(element); }, tally_);
  }
  void Price(Arithmetic* sum) const {
    std::visit([&](const auto& tally) { tally.Price(sum); }, tally_);
  }

 private:
  using Tally = std::variant<TransactionTally, TimeTally>;
  static Tally Of(const Pricing& pricing, const Zone& zone) {
    if (pricing.model == ChargeModel::kTimeRate) return TimeTally(pricing, zone);
    return TransactionTally(pricing);
  }
  Tally tally_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_EVENT_TALLY_H_
