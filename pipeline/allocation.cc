#include "pipeline/allocation.h"

#include <algorithm>

#include "rating/fee.h"
#include "rating/rounded_quotient.h"

namespace tollbook {
namespace {

constexpr Day kNever = {INT32_MAX};

// A time that the subscription is on a plan with a contract, with one quantity.
struct Stay {
  const Subscription* version = nullptr;
  Day start;
  Day end;  // exclusive
  Quantity quantity;
};

std::vector<Stay> StaysOf(const Catalog& catalog, const Contracts& contracts, std::string_view subscription,
                          const Catalog::SubscriptionRange& versions) {
  std::vector<Stay> stays;
  for (const Subscription& version : versions) {
    if (version.id != subscription || contracts.Of(version.plan) == nullptr) continue;
    const Stay stay{&version, version.valid_from, version.valid_to.value_or(kNever),
                    catalog.subscription_terms[version.terms].quantity};
    const bool goes_on = !stays.empty() && stays.back().end == stay.start &&
                         stays.back().version->plan == version.plan && stays.back().quantity == stay.quantity;
    if (goes_on) {
      stays.back().end = stay.end;
    } else {
      stays.push_back(stay);
    }
  }
  return stays;
}

BillingCycle TermOf(const Catalog& catalog, const Contracts& contracts, const Subscription& version) {
  return catalog.CycleOf({contracts.Of(version.plan)->term, true}, version);
}

// One contract of a subscription: what it promises, and when. Its price is at most kMinorMax, 10^30, so what is summed
// up of it is not checked: no term has the 10^8 amendments that would make it wrap.
class TermAllocation {
 public:
  TermAllocation(const Catalog& catalog, const Contracts& contracts, std::span<const Stay> stays,
                 const BillingPeriod& term)
      : catalog_(catalog), contracts_(contracts), all_stays_(stays), allocated_{term, {}} {
    for (Stay stay : stays) {
      stay.start = std::max(stay.start, term.start);
      stay.end = std::min(stay.end, term.end);
      if (stay.start < stay.end) stays_.push_back(stay);
    }
  }

  // False: a number does not fit.
  bool Run(Day last) {
    for (size_t i = 0; i < stays_.size() && stays_[i].start <= last; ++i) {
      if (!Begin(stays_[i].start, i, true)) return false;
      const bool is_followed = i + 1 < stays_.size() && stays_[i + 1].start == stays_[i].end;
      const bool ends = stays_[i].end < allocated_.term.end && !is_followed && stays_[i].end <= last;
      if (ends && !Begin(stays_[i].end, i, false)) return false;
    }
    return true;
  }

  AllocatedContract Take() && { return std::move(allocated_); }

 private:
  const Contract& ContractOf(const Stay& stay) const { return *contracts_.Of(stay.version->plan); }
  const Charge& ChargeOf(const Stay& stay, const Obligation& obligation) const {
    return catalog_.plans[stay.version->plan].charges[obligation.charge];
  }

  // A stretch: in which the stay is in force, or behind its end.
  bool Begin(Day from, size_t stay, bool in_force) {
    AllocationStretch stretch{from, allocated_.term.end, 0, 0, {}};
    if (!allocated_.stretches.empty() && !End(from)) return false;
    stretch.recognised = recognised_;
    if (!PriceKnownAt(from, stay, in_force, &stretch.price)) return false;
    if (in_force && !AddShares(stays_[stay], from, &stretch)) return false;
    // Nothing is left to be delivered by it: what ended takes what is left of the price.
    const size_t ended = in_force ? stay - 1 : stay;
    if (stretch.shares.empty() && (!in_force || stay > 0) && !AddEnded(stays_[ended], from, &stretch)) return false;
    if (!Spread(&stretch)) return false;
    allocated_.stretches.push_back(std::move(stretch));
    return true;
  }

  // The stretch before is over: what is recognised of it stays.
  bool End(Day to) {
    AllocationStretch& ended = allocated_.stretches.back();
    ended.to = to;
    for (const AllocatedShare& share : ended.shares) {
      Int128 minor = 0;
      if (!RecognisedBy(allocated_, ended, share, {to.number - 1}, catalog_.book.rounding, &minor)) return false;
      recognised_ += minor;
    }
    return true;
  }

  // The first day of a fee that is due once: that of the subscription on the plan. None: not in this contract, or
  // later.
  std::optional<Day> OnceDue(const Stay& of, Day by) const {
    const auto first =
        std::ranges::find_if(all_stays_, [&](const Stay& stay) { return stay.version->plan == of.version->plan; });
    const bool is_of_term = allocated_.term.start <= first->start && first->start <= by;
    return is_of_term ? std::optional(first->start) : std::nullopt;
  }
  Quantity OnceQuantity(const Stay& of) const {
    return std::ranges::find_if(all_stays_, [&](const Stay& stay) { return stay.version->plan == of.version->plan; })
        ->quantity;
  }

  // What all fees come to by the stays up to one, which goes on to the term's end where it is in force.
  bool PriceKnownAt(Day from, size_t stay, bool in_force, Int128* price) const {
    std::vector<Stay> known(stays_.begin(), stays_.begin() + static_cast<std::ptrdiff_t>(stay) + 1);
    if (in_force) known.back().end = allocated_.term.end;
    for (size_t i = 0; i < known.size(); ++i) {
      const bool is_first_of_plan =
          std::none_of(known.begin(), known.begin() + static_cast<std::ptrdiff_t>(i),
                       [&](const Stay& before) { return before.version->plan == known[i].version->plan; });
      if (!is_first_of_plan) continue;
      for (const Obligation& obligation : ContractOf(known[i]).obligations) {
        if (!AddBilled(known, known[i], obligation, from, price)) return false;
      }
    }
    return true;
  }

  bool AddBilled(std::span<const Stay> known, const Stay& first, const Obligation& obligation, Day from,
                 Int128* price) const {
    const Plan& plan = catalog_.plans[first.version->plan];
    const Charge& charge = ChargeOf(first, obligation);
    const Fee& fee = *charge.fee;
    const auto add = [&](const FeePeriod& of) {
      Worth worth;
      Quantity units;
      Rounded rounded;
      if (!PriceFee(fee, of, of.period.end, &worth, &units) ||
          !RoundToMinor(worth, plan.currency, catalog_.book.rounding, &rounded)) {
        return false;
      }
      *price += rounded.line.minor;
      return -kMinorMax <= *price && *price <= kMinorMax;
    };
    const BillingCycle cycle = catalog_.CycleOf(charge.billing.value_or(plan.billing), *first.version);
    if (fee.once) {
      const std::optional<Day> due = OnceDue(first, from);
      if (!due) return true;
      const FeeSlice slice{*due, {due->number + 1}, OnceQuantity(first)};
      return add({PeriodOf(cycle, *due), 0, {&slice, 1}});
    }
    std::vector<FeeSlice> slices;
    for (Day day = first.start; day < allocated_.term.end;) {
      const BillingPeriod period = PeriodOf(cycle, day);
      slices.clear();
      for (const Stay& stay : known) {
        const FeeSlice slice{std::max(stay.start, period.start), std::min(stay.end, period.end), stay.quantity};
        if (stay.version->plan == first.version->plan && slice.start < slice.end) slices.push_back(slice);
      }
      if (!slices.empty() && !add({period, cycle.count, slices})) return false;
      day = period.end;
    }
    return true;
  }

  // The stand-alone price of what is still to be delivered of an obligation from a day on, if the stay goes on.
  bool StandAlone(const Stay& stay, const Obligation& obligation, Day from, Int128* attos) const {
    const Plan& plan = catalog_.plans[stay.version->plan];
    const Charge& charge = ChargeOf(stay, obligation);
    Worth sum;
    if (charge.fee->once) {
      const std::optional<Day> due = OnceDue(stay, from);
      if (!due || (obligation.at_point && *due != from)) return true;
      const Wide all = Wide::Product(obligation.stand_alone_price.attos, OnceQuantity(stay).attos);
      const auto left = static_cast<uint64_t>(allocated_.term.end.number - from.number);
      const auto days = static_cast<uint64_t>(allocated_.term.end.number - due->number);
      Wide share;
      if (!Wide::Multiply(all, left, &share) || !RoundedQuotient(share, days, Rounding::kHalfEven, &sum.amount)) {
        return false;
      }
    } else {
      const Fee alone{.price = obligation.stand_alone_price, .proration = {}};
      const BillingCycle cycle = catalog_.CycleOf(charge.billing.value_or(plan.billing), *stay.version);
      for (Day day = from; day < allocated_.term.end;) {
        const BillingPeriod period = PeriodOf(cycle, day);
        const FeeSlice slice{day, period.end, stay.quantity};
        Worth worth;
        Quantity units;
        if (!PriceFee(alone, {period, cycle.count, {&slice, 1}}, period.end, &worth, &units) ||
            !Wide::Add(sum.amount, worth.amount, &sum.amount)) {
          return false;
        }
        day = period.end;
      }
    }
    return RoundedQuotient(sum.amount, kOneUnit, Rounding::kHalfEven, attos);
  }

  bool AddShares(const Stay& stay, Day from, AllocationStretch* stretch) const {
    for (const Obligation& obligation : ContractOf(stay).obligations) {
      AllocatedShare share{stay.version, &ChargeOf(stay, obligation), 0, 0, obligation.at_point};
      if (!StandAlone(stay, obligation, from, &share.stand_alone)) return false;
      if (share.stand_alone > 0) stretch->shares.push_back(share);
    }
    return true;
  }

  bool AddEnded(const Stay& stay, Day from, AllocationStretch* stretch) const {
    if (!AddShares(stay, from, stretch)) return false;
    if (stretch->shares.empty()) {
      stretch->shares.push_back({stay.version, &ChargeOf(stay, ContractOf(stay).obligations.back()), 1, 0, true});
    }
    for (AllocatedShare& share : stretch->shares) share.at_once = true;
    return true;
  }

  bool Spread(AllocationStretch* stretch) const {
    Int128 left = stretch->price - stretch->recognised, stand_alone = 0;
    for (const AllocatedShare& share : stretch->shares) {
      if (__builtin_add_overflow(stand_alone, share.stand_alone, &stand_alone)) return false;
    }
    const Int128 price = left;
    for (AllocatedShare& share : stretch->shares) {
      if (&share == &stretch->shares.back()) {
        share.minor = left;
      } else if (!RoundedQuotient(Wide::Product(price, share.stand_alone), stand_alone, catalog_.book.rounding,
                                  &share.minor)) {
        return false;
      }
      left -= share.minor;
    }
    return true;
  }

  const Catalog& catalog_;
  const Contracts& contracts_;
  const std::span<const Stay> all_stays_;  // of the subscription, whatever the term
  std::vector<Stay> stays_;                // within the term
  AllocatedContract allocated_;
  Int128 recognised_ = 0;  // before the last stretch
};

AllocatedLine& LineOf(const AllocatedShare& share, std::vector<AllocatedLine>* lines) {
  const auto found = std::ranges::find(*lines, share.charge, &AllocatedLine::charge);
  if (found != lines->end()) return *found;
  return lines->emplace_back(AllocatedLine{share.subscription, share.charge, {}});
}

}  // namespace

bool Allocate(const Catalog& catalog, const Contracts& contracts, std::string_view subscription,
              const Catalog::SubscriptionRange& versions, Day last, std::vector<AllocatedContract>* allocated) {
  const std::vector<Stay> stays = StaysOf(catalog, contracts, subscription, versions);
  if (stays.empty()) return true;
  const BillingCycle cycle = TermOf(catalog, contracts, *stays.front().version);
  for (Day day = stays.front().start; day <= last;) {
    const BillingPeriod term = PeriodOf(cycle, day);
    TermAllocation of_term(catalog, contracts, stays, term);
    if (!of_term.Run(last)) return false;
    allocated->push_back(std::move(of_term).Take());
    // Terms in which nothing of the subscription lies are passed over.
    const auto next = std::ranges::find_if(stays, [&](const Stay& stay) { return term.end < stay.end; });
    if (next == stays.end()) break;
    day = std::max(term.end, next->start);
  }
  return true;
}

bool RecognisedBy(const AllocatedContract& contract, const AllocationStretch& stretch, const AllocatedShare& share,
                  Day day, Rounding rounding, Int128* minor) {
  if (share.at_once) {
    *minor = share.minor;
    return true;
  }
  const Int128 days = contract.term.end.number - stretch.from.number;
  const Int128 passed = std::min(day, {stretch.to.number - 1}).number - stretch.from.number + 1;
  return RoundedQuotient(Wide::Product(share.minor, passed), days, rounding, minor);
}

bool LinesOf(const AllocatedContract& contract, Day last, Rounding rounding, std::vector<AllocatedLine>* lines) {
  for (const AllocationStretch& stretch : contract.stretches) {
    for (const AllocatedShare& share : stretch.shares) {
      AllocatedLine& line = LineOf(share, lines);
      const Int128 before = line.days.empty() ? 0 : line.days.back().to_date;
      const Day end = share.at_once ? stretch.from : std::min(last, {stretch.to.number - 1});
      for (Day day = stretch.from; day <= end; ++day.number) {
        Int128 minor = 0;
        if (!RecognisedBy(contract, stretch, share, day, rounding, &minor)) return false;
        const Int128 to_date = line.days.empty() ? 0 : line.days.back().to_date;
        if (before + minor != to_date) line.days.push_back({day, before + minor});
      }
    }
  }
  return true;
}

}  // namespace tollbook
