// TransactionTally: transactions by a percentage of each, with an allowance and bounds.
//
// They count one after the other, by time and value; equal ones are alike, so it does not matter which of them is free.
//   allowance   `free_events` transactions and `free_amount` of money cost nothing; it ends where the first of the two
//               is used up. A transaction that the money covers only in part pays the fixed amount and the percentage
//               of the rest
//   price       percentage of the amount, and the fixed amount; then at most `max_per_event`, at least `min_per_event`.
//               A free transaction has no minimum
//   zero        a transaction: it takes one of the free ones, and behind the allowance pays the fixed amount or minimum
//   negative    (a meter that allows it) a refund: it neither takes from the allowance nor gives to it. It gives back
//               its percentage, pays the fixed amount as every event of the plain percentage does, gives back no more
//               than the maximum, and has no minimum
//
// A tally is a fold over the events: what it has after n of them does not depend on how they were cut into days. So a
// period goes on from the day before, and an event that comes late is only another fold.
#ifndef TOLLBOOK_RATING_TRANSACTION_TALLY_H_
#define TOLLBOOK_RATING_TRANSACTION_TALLY_H_

#include <cstdint>

#include "rating/arithmetic.h"
#include "rating/plan.h"
#include "rating/usage_total.h"

namespace tollbook {

class TransactionTally {
 public:
  explicit TransactionTally(const Pricing& pricing);  // borrowed

  // In their order. False: a sum does not fit.
  [[nodiscard]] bool Add(const UsageTotal& element);

  // What all of them cost, and how: which were free, what the bounds added and took away.
  void Price(Arithmetic* sum) const;

 private:
  // What a bound changed, and in how many transactions.
  struct Change {
    Wide worth;
    uint64_t events = 0;
  };
  [[nodiscard]] uint64_t Covered(Int128 value, uint64_t events) const;
  [[nodiscard]] bool Cover(const UsageTotal& element, uint64_t events);
  [[nodiscard]] bool CoverInPart(const UsageTotal& element);
  [[nodiscard]] bool AddPriced(Int128 value, uint64_t events);
  [[nodiscard]] bool Bound(Int128 value, uint64_t events);
  [[nodiscard]] static bool AddChange(const Wide& worth, uint64_t events, Change* change);
  [[nodiscard]] bool has_allowance() const;

  const Pricing* pricing_;
  uint64_t free_events_left_;
  Int128 free_amount_left_;
  // What was free.
  uint64_t free_events_ = 0;
  Wide free_amount_;
  Instant last_free_at_;
  Int128 free_in_part_ = 0;  // of the one transaction at which the money ended; 0: there is none
  Instant in_part_at_;
  // What was not.
  uint64_t priced_events_ = 0;
  Wide priced_amount_;
  Change raised_;     // to the minimum
  Change capped_;     // to the maximum
  Change held_back_;  // of refunds
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_TRANSACTION_TALLY_H_
