#include "rating/price.h"

#include <algorithm>
#include <string>

#include "rating/arithmetic.h"
#include "rating/charge_models.h"
#include "rating/charge_words.h"
#include "rating/conversion.h"
#include "rating/event_tally.h"
#include "rating/price_parts.h"
#include "rating/rounded_quotient.h"

namespace tollbook {
namespace {

bool HasWhatItsModelNeeds(const Pricing& pricing) {
  switch (pricing.model) {
    case ChargeModel::kPerUnit:
    case ChargeModel::kPercentage:
    case ChargeModel::kDynamic:
      return true;
    case ChargeModel::kGraduated:
    case ChargeModel::kVolume:
    case ChargeModel::kGraduatedPercentage:
    case ChargeModel::kProratedGraduated:
      return !pricing.tiers.empty();
    case ChargeModel::kPackage:
      return pricing.package_size.attos > 0;
    case ChargeModel::kStairstep:
      return !pricing.steps.empty();
    case ChargeModel::kMatrix:
      return false;
    case ChargeModel::kTimeRate:
      return !pricing.time.windows.empty();
  }
  return false;
}

bool HasWhatItNeeds(const Charge& charge) {
  if (charge.cells.empty()) return HasWhatItsModelNeeds(charge.pricing);
  return std::ranges::all_of(charge.cells, [](const Cell& cell) { return HasWhatItsModelNeeds(cell.pricing); });
}

std::string NameOf(const Charge& charge, PricedTime time) {
  if (charge.per_bucket == PerBucket::kNone) return "";
  if (charge.per_bucket == PerBucket::kDay) return ToString(time.day);
  return ToString(time.day) + " hour " + std::to_string(time.hour);
}

}  // namespace

bool HasLimits(const Charge& charge) {
  return !charge.pricing.limits_by.empty();
}

std::string NameOfPart(const Charge& charge, uint32_t part) {
  if (!charge.cells.empty()) {
    const Filter& when = charge.cells[part].when;
    return when.empty() ? "default" : ToString(when);
  }
  if (!HasLimits(charge)) return "";
  return part < charge.pricing.limited.size() ? charge.pricing.limits_by + "=" + charge.pricing.limited[part]
                                              : "no limit";
}

namespace {

// The price and commitment of the buckets that begin as this one does; null: those of the charge.
const BucketWindow* WindowOf(const Charge& charge, PricedTime time, const Zone& zone) {
  if (charge.bucket_windows.empty()) return nullptr;
  constexpr int64_t kHourNanos = 3'600'000'000'000;
  const ClockTime clock = zone.ClockAt({zone.StartOf(time.day).nanos + time.hour * kHourNanos});
  const auto at =
      std::ranges::find_if(charge.bucket_windows, [&](const BucketWindow& window) { return window.when.Has(clock); });
  return at == charge.bucket_windows.end() ? nullptr : &*at;
}

std::string NameOf(const Charge& charge, PricedTime time, const BucketWindow* window) {
  return window == nullptr ? NameOf(charge, time) : NameOf(charge, time) + " (" + ToString(window->when) + ")";
}

std::string NameOf(const Charge& charge, const UsagePart& usage, const BucketWindow* window) {
  const std::string time = NameOf(charge, usage.time, window), part = NameOfPart(charge, usage.part);
  return time.empty() || part.empty() ? time + part : time + ", " + part;
}

Quantity ConvertUnits(const Charge& charge, Quantity quantity, Arithmetic* sum) {
  if (!charge.conversion) return quantity;
  Quantity converted;
  if (!Convert(*charge.conversion, quantity, &converted)) return sum->DoesNotFit(), quantity;
  sum->Step(converted, {}, [&] { return "converted: " + ToString(quantity) + " " + ToString(*charge.conversion); });
  return converted;
}

// What is left to price once the included units are off; usage below zero has none to take off.
Quantity TakeIncluded(Quantity quantity, Quantity* included, Arithmetic* sum) {
  if (included->attos <= 0 || quantity.attos <= 0) return quantity;
  const Quantity taken = std::min(quantity, *included);
  included->attos -= taken.attos;
  sum->Step(taken, {}, [] { return std::string("included"); });
  return {quantity.attos - taken.attos};
}

// And once what grants of units paid is off.
Quantity TakeGranted(Quantity quantity, std::span<const UnitsPaid> granted, Arithmetic* sum) {
  for (const UnitsPaid& units : granted) {
    const Quantity taken = std::min(quantity, units.paid);
    if (taken.attos <= 0) continue;
    sum->Step(taken, {}, [&] { return "paid by grant " + units.grant->id + ", " + ToString(units.left) + " left"; });
    quantity.attos -= taken.attos;
  }
  return quantity;
}

// Each of its events; included units and a conversion do not go with them.
void PriceEvents(const Pricing& pricing, const UsagePart& part, const Zone& zone, Arithmetic* sum) {
  if (part.tally != nullptr) return part.tally->Price(sum);
  EventTally tally(pricing, zone);
  for (const PricedElement& element : part.elements) {
    if (!tally.Add(element)) return sum->DoesNotFit();
  }
  tally.Price(sum);
}

// The parts of one bucket.
void PriceBucket(const Charge& charge, const BucketWindow* window, std::span<const UsagePart> parts, const Zone& zone,
                 std::span<const UnitsPaid> granted, Arithmetic* sum) {
  Quantity included = charge.included;
  std::vector<LimitedQuantity> limited;
  for (const UsagePart& part : parts) {
    sum->Of([&] { return NameOf(charge, part, window); });
    const Pricing& pricing = window == nullptr ? PricingOf(charge, part.part) : window->pricing;
    if (IsOfEvents(pricing)) {
      PriceEvents(pricing, part, zone, sum);
      continue;
    }
    const Quantity unpaid = TakeIncluded(ConvertUnits(charge, part.quantity, sum), &included, sum);
    const Quantity billable = TakeGranted(unpaid, granted, sum);
    if (HasLimits(charge)) {
      limited.push_back({part.part, billable});
    } else {
      PriceByModel(pricing, billable, part.events, sum);
    }
  }
  if (HasLimits(charge)) {
    sum->Of([&] { return NameOf(charge, parts.front().time); });
    PriceLimits(charge.pricing, limited, sum);
  }
}

// worth * factor, likewise; the factor is not below zero, and fits 64 bits without its decimals.
bool TakeTimes(const Worth& worth, Price factor, Worth* taken) {
  Worth share;
  Wide times;
  return TakeShare(worth, {factor.attos % kOneUnit}, &share) &&
         Wide::Multiply(worth.amount, static_cast<uint64_t>(factor.attos / kOneUnit), &times) &&
         Wide::Add(share.amount, times, &taken->amount);
}

Worth WorthOf(Price price) {
  return {Wide::Product(kOneUnit, price.attos)};
}

// What is committed, as an amount. False: it does not fit.
bool CommittedWorth(const Commitment& commitment, const Pricing& pricing, Worth* worth) {
  *worth = WorthOf(commitment.amount);
  if (!commitment.quantity) return true;
  Arithmetic priced(nullptr);
  PriceByModel(pricing, *commitment.quantity, 0, &priced);
  *worth = priced.total();
  return priced.fits();
}

// How much of `cost` lies above; none that is negative. False: it does not fit.
bool Above(const Worth& bound, const Worth& cost, Wide* above) {
  if (!Wide::Subtract(cost.amount, bound.amount, above)) return false;
  if (above->negative()) *above = {};
  return true;
}

// A bucket that is priced is over, so its true-up is due.
void AddCommitmentOfBucket(const Charge& charge, const BucketWindow* window, PricedTime time, const Worth& before,
                           Arithmetic* sum) {
  const std::optional<Commitment>& commitment = window == nullptr ? charge.commitment : window->commitment;
  if (charge.per_bucket == PerBucket::kNone || !commitment) return;
  Worth cost;
  if (!Wide::Subtract(sum->total().amount, before.amount, &cost.amount)) return sum->DoesNotFit();
  sum->Of([&] { return NameOf(charge, time, window); });
  AddCommitment(*commitment, window == nullptr ? charge.pricing : window->pricing, std::nullopt, cost, true, sum);
}

}  // namespace

void AddCommitment(const Commitment& commitment, const Pricing& pricing, const std::optional<Worth>& before,
                   const Worth& cost, bool is_due, Arithmetic* sum) {
  const Worth was = before.value_or(Worth());
  Worth committed, all, missing, more;
  Wide above_before, above;
  if (!CommittedWorth(commitment, pricing, &committed) || !Wide::Add(was.amount, cost.amount, &all.amount) ||
      (before && !Above(committed, was, &above_before)) || !Above(committed, all, &above) ||
      !Wide::Subtract(above, above_before, &above) ||
      !TakeTimes({above}, {commitment.overage_factor.attos - kOneUnit}, &more) ||
      !Wide::Subtract(committed.amount, all.amount, &missing.amount)) {
    return sum->DoesNotFit();
  }
  const auto with_before = [&] { return was.amount.zero() ? "" : ", with " + ToString(was) + " before"; };
  if (!more.amount.zero()) {
    sum->Amount(more, [&] {
      return "above the commitment of " + ToString(committed) + ", " + ToString(commitment.overage_factor) + " times" +
             with_before();
    });
  }
  const bool is_missing = !missing.amount.negative() && !missing.amount.zero();
  if (commitment.true_up && is_due && is_missing) {
    sum->Amount(missing, [&] { return "up to the commitment of " + ToString(committed) + with_before(); });
  }
}

bool PriceCommitted(const Charge& charge, Worth* worth) {
  TOLLBOOK_ASSERT(charge.commitment && charge.per_bucket == PerBucket::kNone);
  Worth committed;
  return CommittedWorth(*charge.commitment, charge.pricing, &committed) &&
         PriceAround(charge, committed, /*complete=*/false, worth);
}

void PriceEachBucket(const Charge& charge, std::span<const UsagePart> parts, const Zone& zone,
                     std::span<const UnitsPaid> granted, Arithmetic* sum) {
  while (!parts.empty()) {
    size_t count = 1;
    while (count < parts.size() && parts[count].time == parts.front().time) ++count;
    const BucketWindow* window = WindowOf(charge, parts.front().time, zone);
    const Worth before = sum->total();
    PriceBucket(charge, window, parts.first(count), zone, granted, sum);
    AddCommitmentOfBucket(charge, window, parts.front().time, before, sum);
    parts = parts.subspan(count);
  }
  sum->Of([] { return std::string(); });
}

namespace {

void AddDifference(const Worth& to, const Worth& from, std::string_view what, Price bound, Arithmetic* sum) {
  Worth difference;
  if (!Wide::Subtract(to.amount, from.amount, &difference.amount)) return sum->DoesNotFit();
  sum->Amount(difference, [&] { return std::string(what) + ToString(bound); });
}

void AddMinimum(Price minimum, DayShare share, Arithmetic* sum) {
  Worth due;
  if (!ShareByDays(minimum, share, &due)) return sum->DoesNotFit();
  if (sum->total().amount >= due.amount) return;
  Worth difference;
  if (!Wide::Subtract(due.amount, sum->total().amount, &difference.amount)) return sum->DoesNotFit();
  sum->Amount(difference, [&] {
    const std::string days = share.days == share.of
                                 ? ""
                                 : " for " + std::to_string(share.days) + " of " + std::to_string(share.of) + " days";
    return "up to the minimum of " + ToString(minimum) + days;
  });
}

void AddAround(const Charge& charge, bool is_used, bool complete, DayShare minimum_share, Arithmetic* sum) {
  if (charge.commitment && charge.per_bucket == PerBucket::kNone && is_used) {
    AddCommitment(*charge.commitment, charge.pricing, std::nullopt, sum->total(), complete, sum);
  }
  AddDiscount(charge, sum);
  if (charge.maximum && sum->total().amount > WorthOf(*charge.maximum).amount) {
    AddDifference(WorthOf(*charge.maximum), sum->total(), "above the maximum of ", *charge.maximum, sum);
  }
  if (charge.minimum && complete) AddMinimum(*charge.minimum, minimum_share, sum);
}

}  // namespace

void AddDiscount(const Charge& charge, Arithmetic* sum) {
  Worth discount;
  if (charge.discount == Price{}) return;
  TOLLBOOK_ASSERT(charge.discount.attos > 0 && charge.discount.attos <= kOneUnit);
  if (!TakeShare(sum->total(), charge.discount, &discount)) return sum->DoesNotFit();
  sum->Amount({discount.amount.Negated()},
              [&] { return "discount of " + FormatDecimal(charge.discount.attos, kPriceScale - 2) + " %"; });
}

namespace {

std::string QuantityInWords(std::span<const UsagePart> parts) {
  Quantity total;
  for (const UsagePart& part : parts) {
    if (!Add(total, part.quantity, &total)) return "beyond all quantities";
  }
  return ToString(total);
}

absl::StatusOr<Worth> PriceUsage(const Charge& charge, std::span<const UsagePart> parts, bool complete,
                                 const Zone& zone, DayShare minimum_share, std::span<const UnitsPaid> granted,
                                 std::vector<PriceStep>* steps) {
  TOLLBOOK_ASSERT(HasWhatItNeeds(charge));  // the catalog's check promises it
  if (steps != nullptr) steps->clear();
  Arithmetic sum(steps);
  PriceEachBucket(charge, parts, zone, granted, &sum);
  AddAround(charge, !parts.empty(), complete, minimum_share, &sum);
  if (!sum.fits()) {
    return MakeError(absl::StatusCode::kOutOfRange, "the worth of the usage does not fit",
                     ChargeInWords(charge) + ", quantity " + QuantityInWords(parts),
                     "check the charge's prices and the meter's unit");
  }
  return sum.total();
}

}  // namespace

std::optional<uint32_t> PartOf(const Charge& charge, const Meter& meter, DimensionValues values) {
  if (!charge.cells.empty()) {
    std::optional<uint32_t> best;
    for (uint32_t i = 0; i < charge.cells.size(); ++i) {
      const Filter& when = charge.cells[i].when;
      if (Matches(when, meter, values) && (!best || IsMoreSpecific(when, charge.cells[*best].when))) best = i;
    }
    return best;
  }
  if (!HasLimits(charge)) return 0;
  const auto dimension = std::ranges::find(meter.dimensions, charge.pricing.limits_by) - meter.dimensions.begin();
  const std::vector<std::string>& limited = charge.pricing.limited;
  const auto none = static_cast<uint32_t>(limited.size());
  if (static_cast<size_t>(dimension) >= values.size()) return none;
  const auto at = std::ranges::lower_bound(limited, values[static_cast<size_t>(dimension)]);
  return at != limited.end() && *at == values[static_cast<size_t>(dimension)]
             ? static_cast<uint32_t>(at - limited.begin())
             : none;
}

absl::StatusOr<Worth> PricePeriod(const Charge& charge, const PeriodUsage& usage, std::vector<PriceStep>* steps) {
  return PriceUsage(charge, usage.parts, usage.complete, usage.zone, usage.minimum_share, usage.granted, steps);
}

absl::StatusOr<Worth> PriceQuantity(const Charge& charge, Quantity quantity, std::vector<PriceStep>* steps) {
  const UsagePart all = {{}, 0, quantity, 0};
  return PriceUsage(charge, {&all, 1}, true, Zone(), {}, {}, steps);
}

bool BillableUnits(const Charge& charge, Quantity metered, Quantity* units) {
  TOLLBOOK_ASSERT(TakesUnitGrants(charge));
  Arithmetic sum(nullptr);
  Quantity included = charge.included;
  const Quantity billable = TakeIncluded(ConvertUnits(charge, metered, &sum), &included, &sum);
  *units = std::max(billable, Quantity());
  return sum.fits();
}

bool TakeShare(const Worth& worth, Price share, Worth* taken) {
  Wide whole, rest, of_whole;
  worth.amount.DivideByPowerOfTen(kPriceScale, &whole, &rest);
  const Wide of_rest = Wide::FromInt128(rest.ToInt128() * share.attos);  // 10^18 * 10^18 at most
  Wide rounded;
  return RoundedQuotient(of_rest, static_cast<uint64_t>(kOneUnit), Rounding::kHalfEven, &rounded) &&
         Wide::Multiply(whole, static_cast<uint64_t>(share.attos), &of_whole) &&
         Wide::Add(of_whole, rounded, &taken->amount);
}

bool PriceBuckets(const Charge& charge, std::span<const UsagePart> parts, const Zone& zone, Worth* worth) {
  TOLLBOOK_ASSERT(HasWhatItNeeds(charge));
  Arithmetic sum(nullptr);
  PriceEachBucket(charge, parts, zone, {}, &sum);
  *worth = sum.total();
  return sum.fits();
}

bool ShareOfWorth(const Worth& worth, DayShare share, Worth* taken) {
  TOLLBOOK_ASSERT(share.days >= 0 && share.of > 0);
  if (share.days == share.of) return *taken = worth, true;
  Wide days;
  return Wide::Multiply(worth.amount, static_cast<uint64_t>(share.days), &days) &&
         RoundedQuotient(days, static_cast<uint64_t>(share.of), Rounding::kHalfEven, &taken->amount);
}

bool ShareByDays(Price amount, DayShare share, Worth* worth) {
  return ShareOfWorth(WorthOf(amount), share, worth);
}

bool PriceAround(const Charge& charge, const Worth& before, bool complete, Worth* worth, DayShare minimum_share) {
  Arithmetic sum(nullptr);
  sum.Amount(before, [] { return std::string(); });
  AddAround(charge, /*is_used=*/true, complete, minimum_share, &sum);
  *worth = sum.total();
  return sum.fits();
}

bool PriceUnused(const Charge& charge, DayShare minimum_share, Worth* worth) {
  Arithmetic sum(nullptr);
  AddAround(charge, /*is_used=*/false, /*complete=*/true, minimum_share, &sum);
  *worth = sum.total();
  return sum.fits();
}

}  // namespace tollbook
