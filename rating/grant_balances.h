// GrantBalances: what is left of grants, prepaid units or money, as usage burns them day by day.
//
// Pure. Amounts are in whatever unit the grants have; they are never rounded and never wrap: usage beyond what 128 bits
// hold is an answer.
//
// Burn order  the lower priority number first; of those the grant that ends first; then by id.
// Start       a grant has its whole amount from `starts_on` on.
// End         on `ends_on`, exclusive: usage of that day finds it gone, and what was left is lost (breakage).
//             A grant that ends where it starts, or before, never was.
// Refill      at each of its refills a grant has its whole amount again, and on top of it at most `rollover` of
//             what was left; the rest is lost.
// Overage     usage that no grant paid. A grant that `pays_earlier` pays it first, when it starts or is refilled.
// Given back  usage that was less after all (a volume price may fall): first the overage shrinks, then the grants, the
//             last in the burn order first, have back what they burned since their start or refill.
// On one day ends come first, then starts and refills, each in the burn order, and usage last.
#ifndef TOLLBOOK_RATING_GRANT_BALANCES_H_
#define TOLLBOOK_RATING_GRANT_BALANCES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "rating/calendar.h"
#include "rating/wide.h"

namespace tollbook {

struct GrantTerms {
  std::string id;
  Int128 amount = 0;     // not negative
  int32_t priority = 0;  // the lower one burns first
  Day starts_on;
  std::optional<Day> ends_on;  // none: never
  std::vector<Day> refills;    // ascending; those before the start, and at the end and after, do nothing
  Int128 rollover = 0;         // not negative
  bool pays_earlier = false;
};

class GrantBalances {
 public:
  // Borrows the terms. Before any day: every grant is still to start.
  explicit GrantBalances(std::span<const GrantTerms> terms);

  // Days ascend. All that happens up to this one happens, its own ends, starts and refills included.
  void AdvanceTo(Day day);
  // On the day reached. False: the overage does not fit, and nothing is burned.
  [[nodiscard]] bool Burn(Int128 amount);
  // Usage that is taken back, on the day reached. What no overage and no grant takes has nowhere to go and is dropped.
  void GiveBack(Int128 amount);

  Int128 balance(size_t grant) const { return states_[grant].balance; }
  Int128 overage() const { return overage_; }
  // Over all time, each grant's: paid by it, and lost at its end or to a refill.
  Int128 burned(size_t grant) const { return states_[grant].burned; }
  Int128 lost(size_t grant) const { return states_[grant].lost; }
  bool fits() const { return fits_; }  // false: one of these two left its range at some time, and is not to be used

 private:
  enum class What : uint8_t { kEnd, kStart, kRefill };  // in this order at one instant
  struct Moment {
    Day day;
    What what;
    size_t rank;  // in which they burn
    friend auto operator<=>(const Moment&, const Moment&) = default;
  };
  struct State {
    Int128 balance = 0;
    Int128 burned = 0;
    Int128 lost = 0;
    Int128 returnable = 0;  // burned since the last start or refill
    bool open = false;      // started, and not ended
  };

  void Happen(const Moment& moment);
  void AddTo(Int128* sum, Int128 amount) { fits_ = !__builtin_add_overflow(*sum, amount, sum) && fits_; }
  Int128 BurnFrom(size_t grant, Int128 amount);

  std::span<const GrantTerms> terms_;
  std::vector<State> states_;
  std::vector<size_t> order_;  // in which they burn
  std::vector<Moment> moments_;
  size_t next_moment_ = 0;
  Int128 overage_ = 0;
  bool fits_ = true;
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_GRANT_BALANCES_H_
