#include "rating/amendment.h"

#include <algorithm>
#include <string>
#include <utility>

#include "rating/arithmetic.h"
#include "rating/charge_models.h"
#include "rating/charge_words.h"
#include "rating/conversion.h"
#include "rating/event_tally.h"
#include "rating/price_parts.h"

namespace tollbook {
namespace {

Quantity TakenOf(Quantity units, Quantity bound) {
  return std::clamp(units, Quantity(), bound);
}

// How the units of a part up to some point are priced: those of earlier periods first, then the included ones, then the
// rest.
struct Billable {
  Quantity metered, rolled_over, included, priced;
  uint64_t events = 0;
  bool IsAsUsed(const Billable& other) const { return events == other.events && metered == other.metered; }
};
using Billables = std::vector<Billable>;

// By what the slice's charge says, of one part after the other. False: it does not fit.
bool BillableOf(const UsageSlice& slice, std::span<const UsagePart> parts, Billables* billables) {
  const Charge& charge = *slice.charge;
  Quantity rolled_over = slice.rolled_over, included = charge.included;
  const auto take = [](Quantity* units, Quantity* left) {
    const Quantity taken = TakenOf(*units, *left);
    units->attos -= taken.attos;
    left->attos -= taken.attos;
    return taken;
  };
  for (const UsagePart& part : parts) {
    Billable& billable = billables->emplace_back();
    billable.metered = billable.priced = part.quantity;
    billable.events = part.events;
    if (charge.conversion && !Convert(*charge.conversion, part.quantity, &billable.priced)) return false;
    billable.rolled_over = take(&billable.priced, &rolled_over);
    billable.included = take(&billable.priced, &included);
  }
  return true;
}

// The steps of `to` less those of `from`; a step that is the same in both is none.
bool LessSteps(std::vector<PriceStep> to, const std::vector<PriceStep>& from, std::vector<PriceStep>* steps) {
  for (const PriceStep& before : from) {
    const auto same = std::ranges::find_if(to, [&](const PriceStep& step) {
      return step.what == before.what && step.unit_price == before.unit_price &&
             IsOnlyWorth(step) == IsOnlyWorth(before);
    });
    if (same == to.end()) {
      to.push_back({"used before: " + before.what,
                    {-before.quantity.attos},
                    before.unit_price,
                    {before.worth.amount.Negated()}});
    } else if (__builtin_sub_overflow(same->quantity.attos, before.quantity.attos, &same->quantity.attos) ||
               !Wide::Subtract(same->worth.amount, before.worth.amount, &same->worth.amount)) {
      return false;
    }
  }
  std::erase_if(to, [](const PriceStep& step) { return step.quantity == Quantity() && step.worth.amount.zero(); });
  *steps = std::move(to);
  return true;
}

// What `price_to` adds to the arithmetic less what `price_from` does.
template <typename PriceTo, typename PriceFrom>
void PriceBehind(const PriceTo& price_to, const PriceFrom& price_from, Arithmetic* sum) {
  std::vector<PriceStep> steps_to, steps_from, steps;
  Arithmetic to(sum->has_words() ? &steps_to : nullptr), from(sum->has_words() ? &steps_from : nullptr);
  price_to(&to);
  price_from(&from);
  Worth more;
  if (!to.fits() || !from.fits() || !Wide::Subtract(to.total().amount, from.total().amount, &more.amount) ||
      !LessSteps(std::move(steps_to), steps_from, &steps)) {
    return sum->DoesNotFit();
  }
  if (!sum->has_words()) return sum->Amount(more, [] { return std::string(); });
  for (const PriceStep& step : steps) {
    const auto what = [&] { return step.what; };
    IsOnlyWorth(step) ? sum->Amount(step.worth, what) : sum->Step(step.quantity, step.unit_price, what);
  }
}

// Not of buckets: of a part there is one.
const UsagePart* Find(std::span<const UsagePart> parts, uint32_t part) {
  const auto at = std::ranges::lower_bound(parts, part, {}, &UsagePart::part);
  return at == parts.end() || at->part != part ? nullptr : &*at;
}

std::string ShareInWords(const SharedDays& shared) {
  return "for " + std::to_string(shared.to - shared.from) + " of " + std::to_string(shared.of) +
         " days, of what all of the period's usage costs";
}

// The slices of a billing period that go on from one another, priced one after the other.
class SlicesInOne {
 public:
  SlicesInOne(std::span<const UsageSlice> slices, std::span<const SliceParts> parts, bool complete)
      : slices_(slices), parts_(parts), complete_(complete) {
    for (const UsageSlice& slice : slices) events_ += slice.events;  // they fit, or their totals had not merged
  }

  // The next one. `name`: of the steps.
  void Add(size_t at, const std::string& name, Arithmetic* sum) {
    const UsageSlice& slice = slices_[at];
    const bool is_used = IsUsed(at);
    if (slice.shared.of > 0) {
      PriceShare(at, name, sum);
    } else {
      if (is_used || IsThere(at)) PriceUsage(at, name, sum);
      sum->Of([&] { return name; });
      PriceCommitment(at, sum);
      PriceDiscount(*slice.charge, sum);
    }
    AddMaximum(*slice.charge, sum);
    if (!sum->fits() || !Wide::Add(total_.amount, sum->total().amount, &total_.amount)) return sum->DoesNotFit();
    if (complete_ && at + 1 == slices_.size()) AddMinimum(sum);
    events_before_ += slice.events;
    is_used_before_ = is_used_before_ || is_used;
  }

 private:
  // What carries over may be there without an event.
  static bool IsAny(const UsagePart& part) { return part.events > 0 || part.quantity != Quantity(); }
  bool IsUsed(size_t at) const {
    if (slices_[at].events > 0) return true;
    const Parts held = PartsOf(at);
    return std::ranges::any_of(held.of.to_date, [&](const UsagePart& part) {
      const UsagePart* const before = Find(held.of.before, part.part);
      return before == nullptr ? IsAny(part) : before->quantity != part.quantity || before->events != part.events;
    });
  }
  // What carries over has parts that may be new with nothing in them, and cost something nevertheless.
  bool IsThere(size_t at) const {
    const UsageSlice& slice = slices_[at];
    return IsOfParts(*slice.charge) && CarriesOver(*slice.meter) && std::ranges::any_of(PartsOf(at).of.to_date, IsAny);
  }
  // By whatever slice's parts: a set that counts for one by regions may be empty for another that takes all in one.
  bool IsAnyUsed() const {
    const auto is_used = [](const UsageSlice& slice) { return slice.events > 0; };
    if (std::ranges::any_of(slices_, is_used)) return true;
    for (size_t at = 0; at < slices_.size(); ++at) {
      if (std::ranges::any_of(PartsOf(at).of.whole, IsAny)) return true;
    }
    return false;
  }

  // One quantity is one part.
  struct Parts {
    Parts(UsagePart before, UsagePart to_date, UsagePart whole)
        : one{std::move(before), std::move(to_date), std::move(whole)},
          of{{&one[0], IsAny(one[0]) ? 1U : 0U}, {&one[1], 1}, {&one[2], 1}} {}
    // Parts of what carries over may be there with nothing in them. A line begins with the first that has something.
    explicit Parts(const SliceParts& parts) : of(parts) {
      if (std::ranges::none_of(of.before, IsAny)) of.before = {};
    }
    Parts(const Parts&) = delete;
    UsagePart one[3];
    SliceParts of;
  };
  Parts PartsOf(size_t at) const {
    if (IsOfParts(*slices_[at].charge)) return Parts(parts_[at]);
    const auto part = [](Quantity quantity, uint64_t events) {
      return UsagePart{{}, 0, quantity, events, {}, nullptr};
    };
    return Parts(part(at == 0 ? Quantity() : slices_[at - 1].to_date, events_before_),
                 part(slices_[at].to_date, events_before_ + slices_[at].events), part(slices_.back().to_date, events_));
  }

  void PriceUsage(size_t at, const std::string& name, Arithmetic* sum) {
    const UsageSlice& slice = slices_[at];
    const Charge& charge = *slice.charge;
    const Parts held = PartsOf(at);
    const SliceParts& parts = held.of;
    if (charge.per_bucket != PerBucket::kNone) {
      return PriceEachBucket(charge, parts.to_date, *slice.zone, {}, sum);
    }
    Billables before, to_date, whole;
    if (!BillableOf(slice, parts.before, &before) || !BillableOf(slice, parts.to_date, &to_date) ||
        !BillableOf(slice, parts.whole, &whole)) {
      return sum->DoesNotFit();
    }
    for (size_t i = 0; i < parts.to_date.size(); ++i) {
      const UsagePart& part = parts.to_date[i];
      const UsagePart* const used_before = Find(parts.before, part.part);
      const Billable* from =
          used_before == nullptr ? nullptr : &before[static_cast<size_t>(used_before - parts.before.data())];
      const auto of_whole = static_cast<size_t>(Find(parts.whole, part.part) - parts.whole.data());
      // Another part may have taken what is included.
      const bool is_same = from != nullptr && from->IsAsUsed(to_date[i]) && from->priced == to_date[i].priced;
      if (is_same) continue;
      Name(charge, part.part, name, sum);
      if (IsOfEvents(PricingOf(charge, part.part))) {
        PriceEvents(used_before, part, sum);
        continue;
      }
      AddFreeUnits(charge, from, to_date[i], sum);
      if (!HasLimits(charge)) PriceUnits(PricingOf(charge, part.part), from, to_date[i], whole[of_whole], sum);
    }
    if (HasLimits(charge)) {
      sum->Of([&] { return name; });
      PriceBehind([&](Arithmetic* to) { PriceByLimits(charge.pricing, parts.to_date, to_date, to); },
                  [&](Arithmetic* from) { PriceByLimits(charge.pricing, parts.before, before, from); }, sum);
    }
  }

  static void Name(const Charge& charge, uint32_t part, const std::string& name, Arithmetic* sum) {
    sum->Of([&] {
      const std::string of_part = NameOfPart(charge, part);
      return name.empty() || of_part.empty() ? name + of_part : name + ", " + of_part;
    });
  }

  static void PriceEvents(const UsagePart* before, const UsagePart& to_date, Arithmetic* sum) {
    if (before == nullptr) return to_date.tally->Price(sum);
    PriceBehind([&](Arithmetic* to) { to_date.tally->Price(to); },
                [&](Arithmetic* from) { before->tally->Price(from); }, sum);
  }

  static void PriceUnits(const Pricing& pricing, const Billable* before, const Billable& to_date, const Billable& whole,
                         Arithmetic* sum) {
    if (pricing.model == ChargeModel::kVolume) {
      const bool is_last_used = whole.IsAsUsed(to_date) && (before == nullptr || !before->IsAsUsed(to_date));
      const Quantity from = before == nullptr ? Quantity() : before->priced;
      return PriceVolumeSlice(pricing, from, to_date.priced, whole.priced, is_last_used, sum);
    }
    if (before == nullptr) return PriceByModel(pricing, to_date.priced, to_date.events, sum);
    PriceBehind([&](Arithmetic* to) { PriceByModel(pricing, to_date.priced, to_date.events, to); },
                [&](Arithmetic* from) { PriceByModel(pricing, before->priced, before->events, from); }, sum);
  }

  // Not without any: what was not used has no step.
  static void PriceByLimits(const Pricing& pricing, std::span<const UsagePart> parts, const Billables& billables,
                            Arithmetic* sum) {
    std::vector<LimitedQuantity> quantities;
    for (size_t i = 0; i < parts.size(); ++i) quantities.push_back({parts[i].part, billables[i].priced});
    if (!quantities.empty()) PriceLimits(pricing, quantities, sum);
  }

  static void AddFreeUnits(const Charge& charge, const Billable* before, const Billable& to_date, Arithmetic* sum) {
    if (before != nullptr) {
      sum->Step(before->metered, {}, [] { return std::string("used before, by the plan of its days"); });
    }
    AddConversion(charge, to_date.metered, sum);
    const Billable from = before == nullptr ? Billable() : *before;
    AddFree({to_date.rolled_over.attos - from.rolled_over.attos}, "rolled over from earlier periods", sum);
    AddFree({to_date.included.attos - from.included.attos}, "included", sum);
  }

  static void AddConversion(const Charge& charge, Quantity metered, Arithmetic* sum) {
    Quantity converted;
    if (!charge.conversion || !Convert(*charge.conversion, metered, &converted)) return;
    sum->Step(converted, {}, [&] { return "converted: " + ToString(metered) + " " + ToString(*charge.conversion); });
  }

  static void AddFree(Quantity units, std::string_view what, Arithmetic* sum) {
    if (units != Quantity()) sum->Step(units, {}, [&] { return std::string(what); });
  }

  // What the slice's plan alone would ask for all that was used, but for bounds, and of it the share of its days.
  void PriceShare(size_t at, const std::string& name, Arithmetic* sum) {
    const UsageSlice& slice = slices_[at];
    const Charge& charge = *slice.charge;
    const SharedDays days = slice.shared;
    if (days.from == days.to || !IsAnyUsed()) return;
    const Parts held = PartsOf(at);
    const std::span<const UsagePart> parts = held.of.whole;
    Billables whole;
    if (!BillableOf(slice, parts, &whole)) return sum->DoesNotFit();
    for (size_t i = 0; i < parts.size(); ++i) {
      const Pricing& pricing = PricingOf(charge, parts[i].part);
      Name(charge, parts[i].part, name, sum);
      if (IsOfEvents(pricing)) {
        PriceEvents(nullptr, parts[i], sum);
        continue;
      }
      AddFreeUnits(charge, nullptr, whole[i], sum);
      if (!HasLimits(charge)) PriceByModel(pricing, whole[i].priced, whole[i].events, sum);
    }
    sum->Of([&] { return name; });
    if (HasLimits(charge)) PriceByLimits(charge.pricing, parts, whole, sum);
    if (charge.commitment)
      AddCommitment(*charge.commitment, charge.pricing, std::nullopt, sum->total(), complete_, sum);
    PriceDiscount(charge, sum);
    if (days.from == 0 && days.to == days.of) return;
    // From one slice to the next, so that the shares of one price sum to it.
    Worth from, to, others;
    if (!ShareOfWorth(sum->total(), {days.from, days.of}, &from) ||
        !ShareOfWorth(sum->total(), {days.to, days.of}, &to) || !Wide::Subtract(to.amount, from.amount, &to.amount) ||
        !Wide::Subtract(to.amount, sum->total().amount, &others.amount)) {
      return sum->DoesNotFit();
    }
    sum->Amount(others, [&] { return ShareInWords(days); });
  }

  // Before what the factor adds, slices before count as they are worth; after it, of the last one, what is missing.
  void PriceCommitment(size_t at, Arithmetic* sum) {
    const Charge& charge = *slices_[at].charge;
    const Worth cost = sum->total();
    const std::optional<Worth> before = is_used_before_ ? std::optional(cost_) : std::nullopt;
    if (!Wide::Add(cost_.amount, cost.amount, &cost_.amount)) return sum->DoesNotFit();
    const bool is_due = complete_ && at + 1 == slices_.size() && IsAnyUsed();
    if (charge.commitment && charge.per_bucket == PerBucket::kNone && (is_due || IsUsed(at))) {
      AddCommitment(*charge.commitment, charge.pricing, before, cost, is_due, sum);
    }
  }

  static void PriceDiscount(const Charge& charge, Arithmetic* sum) {
    if (!sum->total().amount.zero()) AddDiscount(charge, sum);
  }

  // What is taken back was first never asked for: that which a maximum kept from being due.
  void AddWaived(Arithmetic* sum) {
    const Wide own = sum->total().amount;
    if (!own.negative() || waived_.amount.zero()) return;
    const Worth again{std::min(waived_.amount, own.Negated())};
    if (!Wide::Subtract(waived_.amount, again.amount, &waived_.amount)) return sum->DoesNotFit();
    sum->Amount(again,
                [] { return std::string("taken back of what was above the maximum before, and not asked for"); });
  }

  void AddMaximum(const Charge& charge, Arithmetic* sum) {
    AddWaived(sum);
    if (!charge.maximum) return;
    Worth bound{Wide::Product(kOneUnit, charge.maximum->attos)}, all, above;
    bound.amount = std::max(bound.amount, total_.amount);
    if (!Wide::Add(total_.amount, sum->total().amount, &all.amount) ||
        !Wide::Subtract(all.amount, bound.amount, &above.amount)) {
      return sum->DoesNotFit();
    }
    if (above.amount.negative() || above.amount.zero()) return;
    if (!Wide::Add(waived_.amount, above.amount, &waived_.amount)) return sum->DoesNotFit();
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
    if (of.empty() || total_.amount >= due.amount) return;
    if (!Wide::Subtract(due.amount, total_.amount, &missing.amount)) return sum->DoesNotFit();
    sum->Amount(missing, [&] { return "up to the minimum of " + of; });
  }

  std::span<const UsageSlice> slices_;
  std::span<const SliceParts> parts_;
  bool complete_ = false;
  uint64_t events_ = 0;
  uint64_t events_before_ = 0;  // of the slices before the one at hand
  bool is_used_before_ = false;
  Worth cost_;    // of those, before what stands around their prices
  Worth total_;   // of those
  Worth waived_;  // of those, above their maximums
};

// The first that does not go on from the one before it.
size_t CountInOne(std::span<const UsageSlice> slices) {
  size_t count = 1;
  while (count < slices.size() && slices[count].goes_on) ++count;
  return count;
}

}  // namespace

bool HasSlicedUsage(const Charge& charge) {
  return MayBeSliced(charge) && !charge.bound && !charge.fee;
}

bool HasSlicedCharge(const Plan& plan) {
  return std::ranges::any_of(plan.charges, HasSlicedUsage);
}

bool IsOfParts(const Charge& charge) {
  return !charge.cells.empty() || HasLimits(charge) || charge.per_bucket != PerBucket::kNone || IsOfEvents(charge);
}

bool Grows(const Meter& meter) {
  // Of what carries over that which is a sum over days.
  if (CarriesOver(meter)) {
    return meter.aggregation == Aggregation::kWeightedSum || meter.reading.proration == Proration::kDay;
  }
  return meter.aggregation == Aggregation::kSum || meter.aggregation == Aggregation::kCount ||
         meter.aggregation == Aggregation::kMax || meter.aggregation == Aggregation::kUniqueCount;
}

bool SharesQuantity(const Charge& charge, const Meter& meter) {
  if (Grows(meter) || charge.per_bucket != PerBucket::kNone) return false;
  if (charge.cells.empty()) return !IsOfEvents(charge.pricing);
  return !std::ranges::all_of(charge.cells, [](const Cell& cell) { return IsOfEvents(cell.pricing); });
}

absl::StatusOr<Worth> PriceSlices(std::span<const UsageSlice> slices, const Charge& charge, bool complete,
                                  std::vector<PriceStep>* steps, std::span<const SliceParts> parts) {
  const bool several = slices.size() > 1;
  Worth worth;
  bool fits = true;
  for (size_t first = 0; first < slices.size();) {
    const std::span<const UsageSlice> rest = slices.subspan(first);
    const size_t count = CountInOne(rest);
    SlicesInOne in_one(rest.first(count), parts.empty() ? parts : parts.subspan(first, count), complete);
    for (size_t i = 0; i < count; ++i) {
      const bool is_asked = rest[i].charge == &charge;
      Arithmetic sum(is_asked ? steps : nullptr);
      in_one.Add(i, several && sum.has_words() ? "from " + ToString(rest[i].start) : "", &sum);
      fits = fits && sum.fits();
      if (is_asked) fits = fits && Wide::Add(worth.amount, sum.total().amount, &worth.amount);
    }
    first += count;
  }
  if (fits) return worth;
  return MakeError(absl::StatusCode::kOutOfRange, "the worth of the usage does not fit", ChargeInWords(charge),
                   "check the charge's prices and the meter's unit");
}

namespace {

bool HasVolume(const Charge& charge) {
  const auto is_volume = [](const Pricing& pricing) { return pricing.model == ChargeModel::kVolume; };
  return is_volume(charge.pricing) ||
         std::ranges::any_of(charge.cells, [&](const Cell& cell) { return is_volume(cell.pricing); });
}

}  // namespace

SliceTallies::SliceTallies(std::span<const UsageSlice> slices) : tallies_(slices.size()), parts_(slices.size()) {
  for (size_t i = 0; i < slices.size(); ++i) {
    const Charge& charge = *slices[i].charge;
    Tally& tally = tallies_[i];
    tally.start = slices[i].start;
    tally.end = i + 1 < slices.size() ? slices[i + 1].start : Day{INT32_MAX};
    tally.is_of_parts = IsOfParts(charge);
    if (!tally.is_of_parts) continue;
    tally.has_buckets = charge.per_bucket != PerBucket::kNone;
    tally.has_whole = !tally.has_buckets && (SharesQuantity(charge, *slices[i].meter) || HasVolume(charge));
    for (RunningParts* parts : {&tally.before, &tally.to_date, &tally.whole}) {
      parts->Begin(charge, *slices[i].meter, *slices[i].zone);
    }
  }
}

bool SliceTallies::Add(size_t as, const PartTotal& added) {
  Tally& tally = tallies_[as];
  const bool is_before = added.time.day < tally.start, is_behind = tally.end <= added.time.day;
  if (!tally.is_of_parts || (tally.has_buckets && (is_before || is_behind))) return true;
  if (is_before && !tally.before.Add(added)) return false;
  if (!is_behind && !tally.to_date.Add(added)) return false;
  return !tally.has_whole || tally.whole.Add(added);
}

bool SliceTallies::EndDay() {
  for (size_t i = 0; i < tallies_.size(); ++i) {
    Tally& tally = tallies_[i];
    if (!tally.before.EndDay() || !tally.to_date.EndDay() || !tally.whole.EndDay()) return false;
    parts_[i] = {tally.before.parts(), tally.to_date.parts(),
                 tally.has_whole ? tally.whole.parts() : tally.to_date.parts()};
  }
  return true;
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
