#include "rating/amendment.h"

#include <algorithm>
#include <string>
#include <utility>

#include "rating/arithmetic.h"
#include "rating/charge_models.h"
#include "rating/charge_words.h"
#include "rating/conversion.h"

namespace tollbook {
namespace {

Quantity TakenOf(Quantity units, Quantity bound) {
  return std::clamp(units, Quantity(), bound);
}

// How the units up to some point are priced: those of earlier periods first, then the included ones, then the rest.
struct Billable {
  Quantity rolled_over, included, priced;
};

// By what the slice's plan says. False: it does not fit.
bool BillableUpTo(const UsageSlice& slice, Quantity metered, Billable* billable) {
  Quantity units = metered;
  const Charge& charge = *slice.charge;
  if (charge.conversion && !Convert(*charge.conversion, metered, &units)) return false;
  billable->rolled_over = TakenOf(units, slice.rolled_over);
  units.attos -= billable->rolled_over.attos;
  billable->included = TakenOf(units, charge.included);
  billable->priced = {units.attos - billable->included.attos};
  return true;
}

bool IsVolume(const Charge& charge) {
  return charge.pricing.model == ChargeModel::kVolume;
}

// The steps of `to` less those of `from`; a step that is the same in both is none.
bool LessSteps(std::vector<PriceStep> to, const std::vector<PriceStep>& from, std::vector<PriceStep>* steps) {
  for (const PriceStep& before : from) {
    const auto same = std::ranges::find_if(
        to, [&](const PriceStep& step) { return step.what == before.what && step.unit_price == before.unit_price; });
    if (same == to.end()) {
      to.push_back({"used before: " + before.what, {-before.quantity.attos}, before.unit_price, {}});
    } else if (__builtin_sub_overflow(same->quantity.attos, before.quantity.attos, &same->quantity.attos)) {
      return false;
    }
  }
  std::erase_if(to, [](const PriceStep& step) { return step.quantity == Quantity(); });
  *steps = std::move(to);
  return true;
}

// What the units behind `from` cost: all models but volume.
void PriceBehind(const Charge& charge, Quantity from, Quantity to, uint64_t events, Arithmetic* sum) {
  std::vector<PriceStep> steps_to, steps_from, steps;
  Arithmetic of_to(&steps_to), of_from(&steps_from);
  PriceByModel(charge.pricing, to, events, &of_to);
  PriceByModel(charge.pricing, from, 0, &of_from);
  if (!of_to.fits() || !of_from.fits() || !LessSteps(std::move(steps_to), steps_from, &steps)) {
    return sum->DoesNotFit();
  }
  for (const PriceStep& step : steps) sum->Step(step.quantity, step.unit_price, [&] { return step.what; });
}

// The slices of a billing period that go on from one another, priced one after the other.
class SlicesInOne {
 public:
  SlicesInOne(std::span<const UsageSlice> slices, bool complete) : slices_(slices), complete_(complete) {
    for (size_t i = 0; i < slices.size(); ++i) {
      if (slices[i].events > 0) last_used_ = i;
    }
  }

  // The next one.
  void Add(size_t at, Arithmetic* sum) {
    const UsageSlice& slice = slices_[at];
    if (slice.events > 0) PriceUnits(at, sum);
    AddDiscount(*slice.charge, sum);
    AddMaximum(*slice.charge, sum);
    if (!sum->fits() || !Wide::Add(total_.amount, sum->total().amount, &total_.amount)) return sum->DoesNotFit();
    if (complete_ && at + 1 == slices_.size()) AddMinimum(sum);
    has_usage_ = has_usage_ || slice.events > 0;
  }

 private:
  void PriceUnits(size_t at, Arithmetic* sum) {
    const UsageSlice& slice = slices_[at];
    const Quantity used_before = at == 0 ? Quantity() : slices_[at - 1].to_date;
    Billable from, to, whole;
    if (!BillableUpTo(slice, used_before, &from) || !BillableUpTo(slice, slice.to_date, &to) ||
        !BillableUpTo(slice, slices_.back().to_date, &whole)) {
      return sum->DoesNotFit();
    }
    if (has_usage_) sum->Step(used_before, {}, [] { return std::string("used before, by the plan of its days"); });
    AddConversion(*slice.charge, slice.to_date, sum);
    AddFree({to.rolled_over.attos - from.rolled_over.attos}, "rolled over from earlier periods", sum);
    AddFree({to.included.attos - from.included.attos}, "included", sum);
    if (IsVolume(*slice.charge)) {
      PriceVolumeSlice(slice.charge->pricing, from.priced, to.priced, whole.priced, at == last_used_, sum);
    } else if (has_usage_) {
      PriceBehind(*slice.charge, from.priced, to.priced, slice.events, sum);
    } else {
      PriceByModel(slice.charge->pricing, to.priced, slice.events, sum);
    }
  }

  static void AddConversion(const Charge& charge, Quantity metered, Arithmetic* sum) {
    Quantity converted;
    if (!charge.conversion || !Convert(*charge.conversion, metered, &converted)) return;
    sum->Step(converted, {}, [&] { return "converted: " + ToString(metered) + " " + ToString(*charge.conversion); });
  }

  static void AddFree(Quantity units, std::string_view what, Arithmetic* sum) {
    if (units != Quantity()) sum->Step(units, {}, [&] { return std::string(what); });
  }

  static void AddDiscount(const Charge& charge, Arithmetic* sum) {
    Worth discount;
    if (charge.discount == Price{} || sum->total().amount.zero()) return;
    if (!TakeShare(sum->total(), charge.discount, &discount)) return sum->DoesNotFit();
    sum->Amount({discount.amount.Negated()},
                [&] { return "discount of " + FormatDecimal(charge.discount.attos, kPriceScale - 2) + " %"; });
  }

  void AddMaximum(const Charge& charge, Arithmetic* sum) const {
    if (!charge.maximum) return;
    Worth bound{Wide::Product(kOneUnit, charge.maximum->attos)}, all, above;
    bound.amount = std::max(bound.amount, total_.amount);
    if (!Wide::Add(total_.amount, sum->total().amount, &all.amount) ||
        !Wide::Subtract(all.amount, bound.amount, &above.amount)) {
      return sum->DoesNotFit();
    }
    if (above.amount.negative() || above.amount.zero()) return;
    sum->Amount({above.amount.Negated()}, [&] {
      const std::string before = total_.amount.zero() ? "" : ", with " + ToString(total_) + " before";
      return "above the maximum of " + ToString(*charge.maximum) + before;
    });
  }

  void AddMinimum(Arithmetic* sum) {
    Worth due, missing;
    std::string of;
    const bool prorates = slices_.back().charge->prorates_bound;
    for (const UsageSlice& slice : prorates ? slices_ : slices_.last(1)) {
      const DayShare share = slice.minimum_share;
      Worth part;
      if (!slice.charge->minimum || share.days == 0) continue;
      if (!ShareByDays(*slice.charge->minimum, share, &part) || !Wide::Add(due.amount, part.amount, &due.amount)) {
        return sum->DoesNotFit();
      }
      of += (of.empty() ? "" : " and ") + ToString(*slice.charge->minimum);
      if (share.days != share.of)
        of += " for " + std::to_string(share.days) + " of " + std::to_string(share.of) + " days";
    }
    if (total_.amount >= due.amount) return;
    if (!Wide::Subtract(due.amount, total_.amount, &missing.amount)) return sum->DoesNotFit();
    sum->Amount(missing, [&] { return "up to the minimum of " + of; });
  }

  std::span<const UsageSlice> slices_;
  bool complete_ = false;
  size_t last_used_ = 0;
  bool has_usage_ = false;  // some slice before the one at hand has
  Worth total_;             // of the slices before it
};

// The first that does not go on from the one before it.
size_t CountInOne(std::span<const UsageSlice> slices) {
  size_t count = 1;
  while (count < slices.size() && slices[count].goes_on) ++count;
  return count;
}

}  // namespace

bool HasSlicedCharge(const Plan& plan) {
  return std::ranges::any_of(plan.charges, MayBeSliced);
}

absl::StatusOr<Worth> PriceSlices(std::span<const UsageSlice> slices, const Charge& charge, bool complete,
                                  std::vector<PriceStep>* steps) {
  const bool several = slices.size() > 1;
  Worth worth;
  bool fits = true;
  for (std::span<const UsageSlice> rest = slices; !rest.empty();) {
    const size_t count = CountInOne(rest);
    SlicesInOne in_one(rest.first(count), complete);
    for (size_t i = 0; i < count; ++i) {
      const bool is_asked = rest[i].charge == &charge;
      Arithmetic sum(is_asked ? steps : nullptr);
      if (several) sum.Of([&] { return "from " + ToString(rest[i].start); });
      in_one.Add(i, &sum);
      fits = fits && sum.fits();
      if (is_asked) fits = fits && Wide::Add(worth.amount, sum.total().amount, &worth.amount);
    }
    rest = rest.subspan(count);
  }
  if (fits) return worth;
  return MakeError(absl::StatusCode::kOutOfRange, "the worth of the usage does not fit", ChargeInWords(charge),
                   "check the charge's prices and the meter's unit");
}

bool RolledOver::Sum(Quantity* sum) const {
  *sum = {};
  return std::ranges::all_of(left_, [&](const Left& left) { return Add(*sum, left.units, sum); });
}

bool RolledOver::EndPeriod(const Charge& charge, Quantity used) {
  Quantity units = used;
  if (charge.conversion && !Convert(*charge.conversion, used, &units)) return false;
  const auto take = [&](Quantity* of) {
    const Quantity taken = TakenOf(units, *of);
    of->attos -= taken.attos;
    units.attos -= taken.attos;
  };
  for (Left& left : left_) take(&left.units);
  Quantity of_period = charge.included, sum;
  take(&of_period);
  for (Left& left : left_) --left.periods;
  left_.push_back({of_period, charge.rollover->periods});
  std::erase_if(left_, [](const Left& left) { return left.periods <= 0 || left.units == Quantity(); });
  if (!Sum(&sum)) return false;
  if (!charge.rollover->most) return true;
  Int128 too_many = sum.attos - charge.rollover->most->attos;
  for (Left& left : left_) {
    const Int128 lost = std::clamp(too_many, Int128{0}, left.units.attos);
    left.units.attos -= lost;
    too_many -= lost;
  }
  return true;
}

}  // namespace tollbook
