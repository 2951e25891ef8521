#include "rating/bound_slices.h"

#include <algorithm>
#include <optional>
#include <string>

#include "rating/arithmetic.h"
#include "rating/minor_unit.h"

namespace tollbook {
namespace {

const Charge* BoundNamed(const Plan& plan, const std::string& name) {
  const auto at =
      std::ranges::find_if(plan.charges, [&](const Charge& one) { return one.bound.has_value() && one.name == name; });
  return at == plan.charges.end() || at->on_amendment == OnAmendment::kByPlan ? nullptr : &*at;
}

// The slices that go on from one another, one after the other.
class BoundsInOne {
 public:
  BoundsInOne(std::span<const UsageSlice> slices, std::span<const Int128> amounts, Currency currency)
      : slices_(slices), amounts_(amounts), currency_(currency) {}

  // The next one. `name`: of the steps.
  void Add(size_t at, const std::string& name, Arithmetic* sum) {
    sum->Of([&] { return name; });
    const Worth amount = ExactWorth({currency_, amounts_[at]});
    const bool is_maximum = slices_[at].charge->bound->is_maximum;
    if (is_maximum) AddMaximum(at, amount, sum);
    if (!Wide::Add(total_.amount, amount.amount, &total_.amount) ||
        !Wide::Add(total_.amount, sum->total().amount, &total_.amount)) {
      return sum->DoesNotFit();
    }
    if (!is_maximum && at + 1 == slices_.size()) AddMinimum(sum);
  }

 private:
  // Those whose bounds sum to that of the slice: up to it, each one's for its days; alone where it is not prorated.
  std::span<const UsageSlice> BoundWith(size_t at) const {
    return slices_[at].charge->prorates_bound ? slices_.first(at + 1) : slices_.subspan(at, 1);
  }
  bool BoundUpTo(size_t at, Worth* bound) const {
    return std::ranges::all_of(BoundWith(at), [&](const UsageSlice& slice) {
      Worth part;
      return ShareByDays(slice.charge->bound->amount, slice.minimum_share, &part) &&
             Wide::Add(bound->amount, part.amount, &bound->amount);
    });
  }
  std::string BoundInWords(size_t at) const {
    std::string words;
    for (const UsageSlice& slice : BoundWith(at)) {
      const DayShare share = slice.minimum_share;
      words += (words.empty() ? "" : " and ") + ToString(slice.charge->bound->amount);
      if (share.days == share.of) continue;
      words += " for " + std::to_string(share.days) + " of " + std::to_string(share.of) + " days";
    }
    return words;
  }

  std::string OthersInWords(size_t at) const {
    const std::string before = total_.amount.zero() ? "" : ", with " + ToString(total_) + " before";
    return before + ", others " + ToString(Money{currency_, amounts_[at]});
  }

  void AddMaximum(size_t at, const Worth& amount, Arithmetic* sum) {
    if (amount.amount.negative()) return TakeBack(at, amount, sum);
    Worth bound, all, above;
    if (!BoundUpTo(at, &bound) || !Wide::Add(total_.amount, amount.amount, &all.amount) ||
        !Wide::Subtract(all.amount, std::max(bound.amount, total_.amount), &above.amount) ||
        (!above.amount.negative() && !Wide::Add(waived_.amount, above.amount, &waived_.amount))) {
      return sum->DoesNotFit();
    }
    if (above.amount.negative() || above.amount.zero()) return;
    sum->Amount({above.amount.Negated()},
                [&] { return "above the maximum of " + BoundInWords(at) + OthersInWords(at); });
  }

  void TakeBack(size_t at, const Worth& amount, Arithmetic* sum) {
    const Worth of_waived{std::min(waived_.amount, amount.amount.Negated())};
    if (!Wide::Subtract(waived_.amount, of_waived.amount, &waived_.amount)) return sum->DoesNotFit();
    if (of_waived.amount.zero()) return;
    sum->Amount(of_waived, [&] { return "taken back of what was above the maximum before" + OthersInWords(at); });
  }

  void AddMinimum(Arithmetic* sum) const {
    const size_t last = slices_.size() - 1;
    Worth bound, missing;
    if (!BoundUpTo(last, &bound) || !Wide::Subtract(bound.amount, total_.amount, &missing.amount)) {
      return sum->DoesNotFit();
    }
    if (missing.amount.negative() || missing.amount.zero()) return;
    sum->Amount(missing, [&] { return "up to the minimum of " + BoundInWords(last) + ", others " + ToString(total_); });
  }

  std::span<const UsageSlice> slices_;
  std::span<const Int128> amounts_;
  const Currency currency_;
  Worth total_;   // of those that were added, with what a maximum took off
  Worth waived_;  // of those, what was above a maximum and not taken back
};

}  // namespace

BoundSlices BoundSlicesOf(const Catalog& catalog, const Subscription& subscription, const Charge& bound,
                          const BillingPeriod& period) {
  BoundSlices found;
  const auto cycle_of = [&](const Subscription& version) {
    return catalog.CycleOf(catalog.plans[version.plan].billing, version);
  };
  for (const Subscription& version : catalog.SubscriptionsOf(subscription.subject)) {
    const Day start = std::max(version.valid_from, period.start);
    const Day end = std::min(version.valid_to.value_or(period.end), period.end);
    const int32_t paid = end.number - std::max(catalog.FirstPaidDayOf(version), start).number;
    if (version.id != subscription.id || paid <= 0) continue;
    const Charge* const own = BoundNamed(catalog.plans[version.plan], bound.name);
    if (own == nullptr || cycle_of(version) != cycle_of(subscription)) continue;
    UsageSlice slice;
    slice.charge = own;
    slice.start = start;
    slice.goes_on = !found.slices.empty() && own->on_amendment == OnAmendment::kContinue;
    slice.minimum_share = {own->prorates_bound ? paid : DaysIn(period), DaysIn(period)};
    const auto before = std::find_if(found.days.rbegin(), found.days.rend(),
                                     [&](const PlanDays& one) { return one.plan == version.plan; });
    const bool is_first = before == found.days.rend();
    if (!is_first) before->to = start;
    found.slices.push_back(slice);
    found.days.push_back({version.plan, is_first ? period.start : start, period.end});
  }
  return found;
}

namespace {

// `visit`(slice, its sum): false where it does not fit. `steps`: of the slices that are of `bound`; both may be null.
template <typename Visit>
bool VisitBoundSlices(std::span<const UsageSlice> slices, std::span<const Int128> amounts, const Charge* bound,
                      Currency currency, std::vector<PriceStep>* steps, const Visit& visit) {
  for (size_t first = 0; first < slices.size();) {
    size_t count = 1;
    while (first + count < slices.size() && slices[first + count].goes_on) ++count;
    BoundsInOne in_one(slices.subspan(first, count), amounts.subspan(first, count), currency);
    for (size_t i = 0; i < count; ++i) {
      const UsageSlice& slice = slices[first + i];
      Arithmetic sum(slice.charge == bound ? steps : nullptr);
      in_one.Add(i, slices.size() > 1 && sum.has_words() ? "from " + ToString(slice.start) : "", &sum);
      if (!sum.fits() || !visit(slice, sum.total())) return false;
    }
    first += count;
  }
  return true;
}

}  // namespace

bool PriceEachBoundSlice(std::span<const UsageSlice> slices, std::span<const Int128> amounts, Currency currency,
                         std::vector<Worth>* each) {
  each->clear();
  return VisitBoundSlices(slices, amounts, nullptr, currency, nullptr, [&](const UsageSlice&, const Worth& added) {
    each->push_back(added);
    return true;
  });
}

bool PriceBoundSlices(std::span<const UsageSlice> slices, std::span<const Int128> amounts, const Charge& bound,
                      Currency currency, Worth* worth, std::vector<PriceStep>* steps) {
  *worth = {};
  return VisitBoundSlices(slices, amounts, &bound, currency, steps, [&](const UsageSlice& slice, const Worth& added) {
    return slice.charge != &bound || Wide::Add(worth->amount, added.amount, &worth->amount);
  });
}

}  // namespace tollbook
