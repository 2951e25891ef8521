// EventTally: the events of a part of a charge that prices each event (IsOfEvents), in their order, and what they cost
// together.
//
// It only grows: a period goes on from the day before, so a day costs its own events and not those of the period.
#ifndef TOLLBOOK_RATING_EVENT_TALLY_H_
#define TOLLBOOK_RATING_EVENT_TALLY_H_

#include <variant>

#include "rating/prorated_tally.h"
#include "rating/time_tally.h"
#include "rating/transaction_tally.h"

namespace tollbook {

class EventTally {
 public:
  EventTally(const Pricing& pricing, const Zone& zone) : tally_(Of(pricing, zone)) {}  // both borrowed

  // By day, then time, value and prorated value. False: what it adds does not fit.
  [[nodiscard]] bool Add(const PricedElement& element) {
    if (auto* const prorated = std::get_if<ProratedTally>(&tally_)) return prorated->Add(element);
    if (auto* const time = std::get_if<TimeTally>(&tally_)) return time->Add(element.total);
    return std::get<TransactionTally>(tally_).Add(element.total);
  }
  void Price(Arithmetic* sum) const {
    std::visit([&](const auto& tally) { tally.Price(sum); }, tally_);
  }

 private:
  using Tally = std::variant<TransactionTally, TimeTally, ProratedTally>;
  static Tally Of(const Pricing& pricing, const Zone& zone) {
    if (pricing.model == ChargeModel::kTimeRate) return TimeTally(pricing, zone);
    if (pricing.model == ChargeModel::kProratedGraduated) return ProratedTally(pricing);
    return TransactionTally(pricing);
  }
  Tally tally_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_EVENT_TALLY_H_
