#include "rating/grant_balances.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "rating/error.h"

namespace tollbook {
namespace {

bool BurnsBefore(const GrantTerms& a, const GrantTerms& b) {
  constexpr Day kNever{INT32_MAX};
  const Day a_ends = a.ends_on.value_or(kNever), b_ends = b.ends_on.value_or(kNever);
  return std::tie(a.priority, a_ends, a.id) < std::tie(b.priority, b_ends, b.id);
}

bool NeverWas(const GrantTerms& terms) {
  return terms.ends_on && *terms.ends_on <= terms.starts_on;
}

bool IsWithin(const GrantTerms& terms, Day day) {
  return terms.starts_on <= day && (!terms.ends_on || day < *terms.ends_on);
}

}  // namespace

GrantBalances::GrantBalances(std::span<const GrantTerms> terms)
    : terms_(terms), states_(terms.size()), order_(terms.size()) {
  std::iota(order_.begin(), order_.end(), size_t{0});
  std::ranges::sort(order_, [&](size_t a, size_t b) { return BurnsBefore(terms_[a], terms_[b]); });
  for (size_t rank = 0; rank < order_.size(); ++rank) {
    const GrantTerms& one = terms[order_[rank]];
    TOLLBOOK_ASSERT(one.amount >= 0 && one.rollover >= 0);
    if (NeverWas(one)) continue;
    moments_.push_back({one.starts_on, What::kStart, rank});
    if (one.ends_on) moments_.push_back({*one.ends_on, What::kEnd, rank});
    for (const Day refill : one.refills) {
      if (IsWithin(one, refill)) moments_.push_back({refill, What::kRefill, rank});
    }
  }
  std::sort(moments_.begin(), moments_.end());
}

void GrantBalances::AdvanceTo(Day day) {
  while (next_moment_ < moments_.size() && moments_[next_moment_].day <= day) Happen(moments_[next_moment_++]);
}

void GrantBalances::Happen(const Moment& moment) {
  const size_t grant = order_[moment.rank];
  const GrantTerms& terms = terms_[grant];
  State& state = states_[grant];
  const Int128 kept = moment.what == What::kRefill ? std::min(state.balance, terms.rollover) : 0;
  AddTo(&state.lost, state.balance - kept);
  state.balance = kept;
  state.returnable = 0;
  state.open = moment.what != What::kEnd;
  if (!state.open) return;
  AddTo(&state.balance, terms.amount);
  if (terms.pays_earlier) overage_ -= BurnFrom(grant, overage_);
}

Int128 GrantBalances::BurnFrom(size_t grant, Int128 amount) {
  State& state = states_[grant];
  const Int128 taken = state.open ? std::min(state.balance, amount) : 0;
  state.balance -= taken;
  AddTo(&state.burned, taken);
  state.returnable += taken;
  return taken;
}

bool GrantBalances::Burn(Int128 amount) {
  TOLLBOOK_ASSERT(amount >= 0);
  Int128 most = 0;
  if (__builtin_add_overflow(overage_, amount, &most)) return false;
  for (const size_t grant : order_) amount -= BurnFrom(grant, amount);
  overage_ += amount;
  return true;
}

void GrantBalances::GiveBack(Int128 amount) {
  TOLLBOOK_ASSERT(amount >= 0);
  const Int128 of_overage = std::min(overage_, amount);
  overage_ -= of_overage;
  amount -= of_overage;
  for (auto grant = order_.rbegin(); grant != order_.rend(); ++grant) {
    State& state = states_[*grant];
    if (!state.open) continue;
    const Int128 returned = std::min(state.returnable, amount);
    state.balance += returned;
    state.burned -= returned;
    state.returnable -= returned;
    amount -= returned;
  }
}

}  // namespace tollbook
