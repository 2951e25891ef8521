// GrantBalances: what is left of grants, prepaid units or money, as usage burns them day by day.
//
// Pure. Amounts are in whatever unit the grants have; they are never rounded and never wrap: what 128 bits do not hold
// is an answer (Burn, overflowed).
//
// Burn order  the lower priority number first; of those the grant that ends first; then by id.
// Start       a grant has its whole amount from `starts_on` on.
// End         on `ends_on`, exclusive: usage of that day finds it gone, and what was left is lost (breakage).
//             A grant that ends where it starts, or before, never was.
// Refill      at each of its refills a grant has its whole amount again, and on top of it at most `rollover` of
//             what was left, and at least `refill_min`, be less left; what was left above that is lost.
// Overage     usage that no grant paid. A grant that `pays_earlier` pays it first, when it starts or is refilled.
// Given back  usage that was less after all (a volume price may fall): first the overage shrinks, then the grants, the
//             last in the burn order first, have back what they burned since their start or refill. What they burned
//             before, or have burned and ended, is not burned any more and lost, in the same order: an expired credit
//             is paid out to nobody.
// Reset       what is left of a grant becomes max(rollover_min, min(rollover, left)). The overage so far is forgotten
//             unless the grant keeps it; one that also pays earlier usage then pays it.
// Debtors     several may use the same grants. Each has an overage of its own, and is given back what was burned for it
//             alone. Earlier overage is paid by their numbers.
// At one time ends come first, then resets, starts and refills, each in the burn order, and usage last.
// Time is days for grants of money, instants for grants of units.
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

template <typename Time>
struct GrantTermsBy {
  std::string id;
  Int128 amount = 0;     // not negative
  int32_t priority = 0;  // the lower one burns first
  Time starts_on;
  std::optional<Time> ends_on;  // none: never
  std::vector<Time> refills;    // ascending; those before the start, and at the end and after, do nothing
  Int128 rollover = 0;          // not negative; of a refill, or of a reset
  bool pays_earlier = false;
  std::optional<Time> voided_on = {};  // ends it before, and no place in the burn order comes of it
  std::vector<Time> resets = {};       // likewise as refills
  Int128 rollover_min = 0;             // of a reset
  bool keeps_overage = false;
  Int128 refill_min = 0;  // of a refill; not above `rollover`
};
using GrantTerms = GrantTermsBy<Day>;

template <typename Time>
class GrantBalancesBy {
 public:
  using GrantTerms = GrantTermsBy<Time>;
  // Borrows the terms. Before any day: every grant is still to start.
  explicit GrantBalancesBy(std::span<const GrantTerms> terms, size_t debtors = 1);

  // Days ascend. All that happens up to this one happens, its own ends, starts and refills included.
  void AdvanceTo(Time day);
  // On the day reached. False: the overage does not fit, and nothing is burned.
  [[nodiscard]] bool Burn(Int128 amount, size_t debtor = 0);
  // Usage that is taken back, on the day reached. What is more than all usage was has nowhere to go and is dropped.
  void GiveBack(Int128 amount, size_t debtor = 0);
  // The same to one grant: how much of it that takes, of what it burned since its start, refill or reset.
  Int128 GiveBackTo(size_t grant, Int128 amount, size_t debtor = 0);
  // So much of the first debtor's overage, at most all, is not to be paid any more.
  void ForgetOverage(Int128 amount) { overages_[0] -= amount < overages_[0] ? amount : overages_[0]; }
  std::span<const size_t> burn_order() const { return order_; }

  Int128 balance(size_t grant) const { return states_[grant].balance; }
  Int128 overage(size_t debtor = 0) const { return overages_[debtor]; }
  // Over all time, each grant's: paid by it for one debtor, and lost at its end or to a refill.
  Int128 burned(size_t grant, size_t debtor = 0) const { return shares_[grant * overages_.size() + debtor].burned; }
  Int128 lost(size_t grant) const { return states_[grant].lost; }
  // False: one of all these left its range at some time, and is not to be used.
  bool fits() const { return !overflowed_ && lost_fits_; }
  // The first grant whose balance, or what it burned, did so. Who does not ask for what was lost need not care for the
  // rest: a large allowance that nobody uses is lost again and again.
  std::optional<size_t> overflowed() const { return overflowed_; }

 private:
  enum class What : uint8_t { kEnd, kReset, kStart, kRefill };  // in this order at one instant
  struct Moment {
    Time day;
    What what;
    size_t rank;  // in which they burn
    friend auto operator<=>(const Moment&, const Moment&) = default;
  };
  struct State {
    Int128 balance = 0;
    Int128 lost = 0;
    bool open = false;  // started, and not ended
  };
  // What a grant burned for a debtor.
  struct Share {
    Int128 burned = 0;
    Int128 returnable = 0;  // of it: since the grant's last start or refill
  };

  void Happen(const Moment& moment);
  // What does not fit stays at the end of the range: never below zero.
  [[nodiscard]] static bool AddTo(Int128* sum, Int128 amount);
  void AddOf(size_t grant, Int128* sum, Int128 amount) {
    if (!AddTo(sum, amount) && !overflowed_) overflowed_ = grant;
  }
  Int128 BurnFrom(size_t grant, Int128 amount, size_t debtor);
  std::span<Share> SharesOf(size_t grant) {
    return std::span(shares_).subspan(grant * overages_.size(), overages_.size());
  }

  std::span<const GrantTerms> terms_;
  std::vector<State> states_;
  std::vector<Int128> overages_;  // of each debtor
  std::vector<Share> shares_;     // of each grant and debtor
  std::vector<size_t> order_;     // in which they burn
  std::vector<Moment> moments_;
  size_t next_moment_ = 0;
  std::optional<size_t> overflowed_;
  bool lost_fits_ = true;
};
using GrantBalances = GrantBalancesBy<Day>;

extern template class GrantBalancesBy<Day>;
extern template class GrantBalancesBy<Instant>;

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_GRANT_BALANCES_H_
