#include "rating/price.h"

#include <algorithm>
#include <string>

#include "rating/arithmetic.h"
#include "rating/charge_models.h"
#include "rating/conversion.h"
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
      return !pricing.tiers.empty();
    case ChargeModel::kPackage:
      return pricing.package_size.attos > 0;
    case ChargeModel::kStairstep:
      return !pricing.steps.empty();
    case ChargeModel::kMatrix:
      return false;
  }
  return false;
}

bool HasWhatItNeeds(const Charge& charge) {
  if (charge.cells.empty()) return HasWhatItsModelNeeds(charge.pricing);
  return std::ranges::all_of(charge.cells, [](const Cell& cell) { return HasWhatItsModelNeeds(cell.pricing); });
}

bool HasLimits(const Charge& charge) {
  return !charge.pricing.limits_by.empty();
}

std::string NameOf(const Charge& charge, PricedTime time) {
  if (charge.per_bucket == PerBucket::kNone) return "";
  if (charge.per_bucket == PerBucket::kDay) return ToString(time.day);
  return ToString(time.day) + " hour " + std::to_string(time.hour);
}

std::string NameOf(const Charge& charge, uint32_t part) {
  if (!charge.cells.empty()) {
    const Filter& when = charge.cells[part].when;
    return when.empty() ? "default" : ToString(when);
  }
  if (!HasLimits(charge)) return "";
  return part < charge.pricing.limited.size() ? charge.pricing.limits_by + "=" + charge.pricing.limited[part]
                                              : "no limit";
}

std::string NameOf(const Charge& charge, const UsagePart& usage) {
  const std::string time = NameOf(charge, usage.time), part = NameOf(charge, usage.part);
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

// The parts of one bucket.
void PriceBucket(const Charge& charge, std::span<const UsagePart> parts, Arithmetic* sum) {
  Quantity included = charge.included;
  std::vector<LimitedQuantity> limited;
  for (const UsagePart& part : parts) {
    sum->Of([&] { return NameOf(charge, part); });
    const Quantity billable = TakeIncluded(ConvertUnits(charge, part.quantity, sum), &included, sum);
    if (HasLimits(charge)) {
      limited.push_back({part.part, billable});
    } else {
      const Pricing& pricing = charge.cells.empty() ? charge.pricing : charge.cells[part.part].pricing;
      PriceByModel(pricing, billable, part.events, sum);
    }
  }
  if (HasLimits(charge)) {
    sum->Of([&] { return NameOf(charge, parts.front().time); });
    PriceLimits(charge.pricing, limited, sum);
  }
}

void PriceEachBucket(const Charge& charge, std::span<const UsagePart> parts, Arithmetic* sum) {
  while (!parts.empty()) {
    size_t count = 1;
    while (count < parts.size() && parts[count].time == parts.front().time) ++count;
    PriceBucket(charge, parts.first(count), sum);
    parts = parts.subspan(count);
  }
  sum->Of([] { return std::string(); });
}

// worth * share, where that is exact at the worth's 36 decimals; the share is at most 1.
bool TakeShare(const Worth& worth, Price share, Worth* taken) {
  Wide whole, rest, of_whole;
  worth.amount.DivideByPowerOfTen(kPriceScale, &whole, &rest);
  const Int128 of_rest = rest.ToInt128() * share.attos;  // 10^18 * 10^18 at most
  if (of_rest % kOneUnit != 0) return false;
  return Wide::Multiply(whole, static_cast<uint64_t>(share.attos), &of_whole) &&
         Wide::Add(of_whole, Wide::FromInt128(of_rest / kOneUnit), &taken->amount);
}

Worth WorthOf(Price price) {
  return {Wide::Product(kOneUnit, price.attos)};
}

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

void AddAround(const Charge& charge, bool complete, DayShare minimum_share, Arithmetic* sum) {
  if (charge.discount != Price{}) {
    Worth discount;
    TOLLBOOK_ASSERT(charge.discount.attos > 0 && charge.discount.attos <= kOneUnit);
    if (!TakeShare(sum->total(), charge.discount, &discount)) return sum->DoesNotFit();
    sum->Amount({discount.amount.Negated()},
                [&] { return "discount of " + FormatDecimal(charge.discount.attos, kPriceScale - 2) + " %"; });
  }
  if (charge.maximum && sum->total().amount > WorthOf(*charge.maximum).amount) {
    AddDifference(WorthOf(*charge.maximum), sum->total(), "above the maximum of ", *charge.maximum, sum);
  }
  if (charge.minimum && complete) AddMinimum(*charge.minimum, minimum_share, sum);
}

std::string QuantityInWords(std::span<const UsagePart> parts) {
  Quantity total;
  for (const UsagePart& part : parts) {
    if (!Add(total, part.quantity, &total)) return "beyond all quantities";
  }
  return ToString(total);
}

absl::StatusOr<Worth> PriceUsage(const Charge& charge, std::span<const UsagePart> parts, bool complete,
                                 DayShare minimum_share, std::vector<PriceStep>* steps) {
  TOLLBOOK_ASSERT(HasWhatItNeeds(charge));  // the catalog's check promises it
  if (steps != nullptr) steps->clear();
  Arithmetic sum(steps);
  PriceEachBucket(charge, parts, &sum);
  AddAround(charge, complete, minimum_share, &sum);
  if (!sum.fits()) {
    return MakeError(absl::StatusCode::kOutOfRange, "the worth of the usage does not fit",
                     "charge " + charge.name + ", quantity " + QuantityInWords(parts),
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
  return PriceUsage(charge, usage.parts, usage.complete, usage.minimum_share, steps);
}

absl::StatusOr<Worth> PriceQuantity(const Charge& charge, Quantity quantity, std::vector<PriceStep>* steps) {
  const UsagePart all = {{}, 0, quantity, 0};
  return PriceUsage(charge, {&all, 1}, true, {}, steps);
}

bool PriceBuckets(const Charge& charge, std::span<const UsagePart> parts, Worth* worth) {
  TOLLBOOK_ASSERT(HasWhatItNeeds(charge));
  Arithmetic sum(nullptr);
  PriceEachBucket(charge, parts, &sum);
  *worth = sum.total();
  return sum.fits();
}

bool ShareByDays(Price amount, DayShare share, Worth* worth) {
  TOLLBOOK_ASSERT(share.days >= 0 && share.of > 0);
  if (share.days == share.of) return *worth = WorthOf(amount), true;
  Wide days;
  return Wide::Multiply(WorthOf(amount).amount, static_cast<uint64_t>(share.days), &days) &&
         RoundedQuotient(days, static_cast<uint64_t>(share.of), Rounding::kHalfEven, &worth->amount);
}

bool PriceAround(const Charge& charge, const Worth& before, bool complete, Worth* worth, DayShare minimum_share) {
  Arithmetic sum(nullptr);
  sum.Amount(before, [] { return std::string(); });
  AddAround(charge, complete, minimum_share, &sum);
  *worth = sum.total();
  return sum.fits();
}

}  // namespace tollbook
