#include "rating/grant_balances.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "rating/error.h"

namespace tollbook {
namespace {

template <typename Time>
bool BurnsBefore(const GrantTermsBy<Time>& a, const GrantTermsBy<Time>& b) {
  const bool a_is_open = !a.ends_on, b_is_open = !b.ends_on;  // what never ends comes last
  return std::tie(a.priority, a_is_open, a.ends_on, a.id) < std::tie(b.priority, b_is_open, b.ends_on, b.id);
}

template <typename Time>
std::optional<Time> EndOf(const GrantTermsBy<Time>& terms) {
  return terms.voided_on && terms.ends_on ? std::min(terms.voided_on, terms.ends_on)
                                          : (terms.ends_on ? terms.ends_on : terms.voided_on);
}

template <typename Time>
bool IsWithin(const GrantTermsBy<Time>& terms, Time time) {
  const std::optional<Time> end = EndOf(terms);
  return terms.starts_on <= time && (!end || time < *end);
}

}  // namespace

template <typename Time>
GrantBalancesBy<Time>::GrantBalancesBy(std::span<const GrantTerms> terms, size_t debtors)
    : terms_(terms), states_(terms.size()), overages_(debtors), shares_(terms.size() * debtors), order_(terms.size()) {
  std::iota(order_.begin(), order_.end(), size_t{0});
  std::ranges::sort(order_, [&](size_t a, size_t b) { return BurnsBefore(terms_[a], terms_[b]); });
  for (size_t rank = 0; rank < order_.size(); ++rank) {
    const GrantTerms& one = terms[order_[rank]];
    TOLLBOOK_ASSERT(one.amount >= 0 && one.rollover >= 0);
    if (!IsWithin(one, one.starts_on)) continue;  // it never was
    moments_.push_back({one.starts_on, What::kStart, rank});
    if (const std::optional<Time> end = EndOf(one)) moments_.push_back({*end, What::kEnd, rank});
    for (const Time refill : one.refills) {
      if (IsWithin(one, refill)) moments_.push_back({refill, What::kRefill, rank});
    }
    for (const Time reset : one.resets) {
      if (one.starts_on < reset && IsWithin(one, reset)) moments_.push_back({reset, What::kReset, rank});
    }
  }
  std::sort(moments_.begin(), moments_.end());
}

template <typename Time>
void GrantBalancesBy<Time>::AdvanceTo(Time day) {
  while (next_moment_ < moments_.size() && moments_[next_moment_].day <= day) Happen(moments_[next_moment_++]);
}

template <typename Time>
bool GrantBalancesBy<Time>::AddTo(Int128* sum, Int128 amount) {
  if (!__builtin_add_overflow(*sum, amount, sum)) return true;
  *sum = static_cast<Int128>(~Uint128{0} >> 1);
  return false;
}

template <typename Time>
void GrantBalancesBy<Time>::Happen(const Moment& moment) {
  const size_t grant = order_[moment.rank];
  const GrantTerms& terms = terms_[grant];
  State& state = states_[grant];
  Int128 kept = 0;
  if (moment.what == What::kRefill) kept = std::max(terms.refill_min, std::min(state.balance, terms.rollover));
  if (moment.what == What::kReset) kept = std::max(terms.rollover_min, std::min(terms.rollover, state.balance));
  if (kept < state.balance) lost_fits_ = AddTo(&state.lost, state.balance - kept) && lost_fits_;
  state.balance = kept;
  for (Share& share : SharesOf(grant)) share.returnable = 0;
  state.open = moment.what != What::kEnd;  // a reset is within the grant's time, behind its start
  if (!state.open) return;
  if (moment.what != What::kReset) AddOf(grant, &state.balance, terms.amount);
  if (moment.what == What::kReset && !terms.keeps_overage) std::ranges::fill(overages_, 0);
  for (size_t debtor = 0; debtor < overages_.size() && terms.pays_earlier; ++debtor) {
    overages_[debtor] -= BurnFrom(grant, overages_[debtor], debtor);
  }
}

template <typename Time>
Int128 GrantBalancesBy<Time>::BurnFrom(size_t grant, Int128 amount, size_t debtor) {
  State& state = states_[grant];
  Share& share = SharesOf(grant)[debtor];
  const Int128 taken = state.open ? std::min(state.balance, amount) : 0;
  state.balance -= taken;
  AddOf(grant, &share.burned, taken);
  share.returnable += taken;
  return taken;
}

template <typename Time>
bool GrantBalancesBy<Time>::Burn(Int128 amount, size_t debtor) {
  TOLLBOOK_ASSERT(amount >= 0);
  Int128 most = 0;
  if (__builtin_add_overflow(overages_[debtor], amount, &most)) return false;
  for (const size_t grant : order_) amount -= BurnFrom(grant, amount, debtor);
  overages_[debtor] += amount;
  return true;
}

template <typename Time>
Int128 GrantBalancesBy<Time>::GiveBackTo(size_t grant, Int128 amount, size_t debtor) {
  State& state = states_[grant];
  Share& share = SharesOf(grant)[debtor];
  const Int128 returned = state.open ? std::min(share.returnable, amount) : 0;
  state.balance += returned;
  share.burned -= returned;
  share.returnable -= returned;
  return returned;
}

template <typename Time>
void GrantBalancesBy<Time>::GiveBack(Int128 amount, size_t debtor) {
  TOLLBOOK_ASSERT(amount >= 0);
  const Int128 of_overage = std::min(overages_[debtor], amount);
  overages_[debtor] -= of_overage;
  amount -= of_overage;
  for (auto grant = order_.rbegin(); grant != order_.rend(); ++grant) amount -= GiveBackTo(*grant, amount, debtor);
  for (auto grant = order_.rbegin(); grant != order_.rend(); ++grant) {
    Share& share = SharesOf(*grant)[debtor];
    const Int128 lapsed = std::min(share.burned, amount);
    share.burned -= lapsed;
    lost_fits_ = AddTo(&states_[*grant].lost, lapsed) && lost_fits_;
    amount -= lapsed;
  }
}

template class GrantBalancesBy<Day>;
template class GrantBalancesBy<Instant>;

}  // namespace tollbook
