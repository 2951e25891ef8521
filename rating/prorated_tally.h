// ProratedTally: graduated prices of prorated units: the tier goes by one number, the price by another.
//
// An event has units, which move the position in the tiers, and prorated units, which are priced there: seats that are
// added behind the beginning of a period count in full, and cost their days alone.
//   order       of events, as of all that are priced each: another order can be another price
//   split       the prorated units of an event that crosses tiers are in each by the share of its units there, half to
//               even at the 18th decimal; in the last one that it reaches is what is left, so none is lost
//   flat        due in full for each tier whose lower bound the position was ever above
//   negative    (a meter that allows it) walks back through the tiers that its units leave; below zero is the first
//   no units    move nothing: the prorated units cost what the position costs
// All together cost nothing less than zero.
#ifndef TOLLBOOK_RATING_PRORATED_TALLY_H_
#define TOLLBOOK_RATING_PRORATED_TALLY_H_

#include <cstdint>
#include <vector>

#include "rating/arithmetic.h"
#include "rating/plan.h"
#include "rating/usage_total.h"

namespace tollbook {

class ProratedTally {
 public:
  explicit ProratedTally(const Pricing& pricing) : pricing_(&pricing), prorated_(pricing.tiers.size()) {}  // borrowed

  // In their order. False: a sum does not fit.
  [[nodiscard]] bool Add(const PricedElement& element);

  // What all of them cost, tier by tier.
  void Price(Arithmetic* sum) const;

 private:
  // The tier that the next units from the position on are in, and how many it has room for; at the end none is named.
  struct Room {
    size_t tier = 0;
    bool is_endless = false;
    Int128 units = 0;
  };
  [[nodiscard]] bool RoomBehind(bool up, Room* room) const;
  [[nodiscard]] bool Move(Int128 units);
  [[nodiscard]] bool AddTo(size_t tier, Int128 prorated, uint64_t events);
  [[nodiscard]] bool Split(const PricedElement& element);
  [[nodiscard]] bool IsEntered(size_t tier) const;

  const Pricing* pricing_;
  Int128 position_ = 0;
  Int128 highest_ = 0;            // that the position ever was
  std::vector<Int128> prorated_;  // of each tier
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_PRORATED_TALLY_H_
