#include "rating/charge_models.h"

#include <algorithm>

#include "rating/rounded_quotient.h"

namespace tollbook {
namespace {

std::string_view UnitsInWords(ChargeModel model) {
  switch (model) {
    case ChargeModel::kPercentage:
      return "percentage";
    case ChargeModel::kDynamic:
      return "price carried by the events";
    default:
      return "per unit";
  }
}

bool ReachesBeyond(const std::vector<Tier>& tiers, size_t i, Quantity quantity) {
  return i + 1 < tiers.size() && quantity > *tiers[i].up_to;
}

// How many packages or blocks; false when more than a Quantity counts.
bool CountOf(Quantity quantity, Quantity size, Rounding rounding, Quantity* count) {
  Int128 number = 0;
  return RoundedQuotient(Wide::FromInt128(quantity.attos), size.attos, rounding, &number) &&
         !__builtin_mul_overflow(number, kOneUnit, &count->attos);
}

std::string Counted(Quantity count, std::string_view thing, Quantity size) {
  const std::string number = ToString(count);
  const bool one = count == Quantity::Units(1);
  return number + " " + std::string(thing) + (one ? " of " : "s of ") + ToString(size);
}

// The units, or started blocks, that one tier prices.
template <typename Name>
void AddTier(const Tier& tier, Quantity quantity, const Name& name, Arithmetic* sum) {
  if (tier.block_size.attos <= 0) return sum->Step(quantity, tier.unit_price, name);
  Quantity blocks;
  if (!CountOf(quantity, tier.block_size, Rounding::kUp, &blocks)) return sum->DoesNotFit();
  sum->Step(blocks, tier.unit_price, [&] { return name() + ", " + Counted(blocks, "block", tier.block_size); });
}

// Nothing, or less, enters no tier: the first one's flat amount is then due only where the charge says so.
void AddFlat(const Pricing& pricing, size_t i, Quantity quantity, Arithmetic* sum) {
  const Price flat = pricing.tiers[i].flat;
  const bool due = quantity.attos > 0 || pricing.flat_at_zero;
  if (!due || flat == Price{}) return;
  sum->Step(Quantity::Units(1), flat, [&] { return "flat amount of tier " + std::to_string(i + 1); });
}

std::string StepName(const std::vector<Step>& steps, size_t i) {
  std::string name = "step " + std::to_string(i + 1);
  if (steps[i].up_to) return name + " (up to " + ToString(*steps[i].up_to) + ")";
  if (!steps[i].limits.empty()) {
    std::string limits;
    for (const auto& [value, limit] : steps[i].limits) {
      limits += (limits.empty() ? " (" : ", ") + value + " up to " + ToString(limit);
    }
    return name + limits + ")";
  }
  return name;
}

void AddStep(const Pricing& pricing, size_t i, Arithmetic* sum) {
  sum->Step(Quantity::Units(1), pricing.steps[i].price, [&] { return StepName(pricing.steps, i); });
}

bool Holds(const Step& step, const Pricing& pricing, const LimitedQuantity& used) {
  if (used.value >= pricing.limited.size()) return true;
  const auto limit = step.limits.find(pricing.limited[used.value]);
  return limit == step.limits.end() || used.quantity <= limit->second;
}

}  // namespace

std::string NameOfTier(const std::vector<Tier>& tiers, size_t tier) {
  std::string name = "tier " + std::to_string(tier + 1);
  if (tier + 1 < tiers.size()) return name + " (up to " + ToString(*tiers[tier].up_to) + ")";
  return tier == 0 ? name : name + " (above " + ToString(*tiers[tier - 1].up_to) + ")";
}

void PriceUnits(const Pricing& pricing, Quantity quantity, uint64_t events, Arithmetic* sum) {
  sum->Step(quantity, pricing.unit_price, [&] { return std::string(UnitsInWords(pricing.model)); });
  if (pricing.price_per_event == Price{}) return;
  // 64 bits of events times 10^18 attos: below 2^124.
  const Quantity count = {static_cast<Int128>(events) * kOneUnit};
  sum->Step(count, pricing.price_per_event, [] { return std::string("fixed amount per transaction"); });
}

void PricePackages(const Pricing& pricing, Quantity quantity, Arithmetic* sum) {
  Quantity count;
  if (!CountOf(quantity, pricing.package_size, pricing.package_rounding, &count)) return sum->DoesNotFit();
  sum->Step(count, pricing.package_price, [&] { return Counted(count, "package", pricing.package_size); });
}

void PriceGraduated(const Pricing& pricing, Quantity quantity, Arithmetic* sum) {
  Quantity lower;
  for (size_t i = 0; i < pricing.tiers.size(); ++i) {
    const bool beyond = ReachesBeyond(pricing.tiers, i, quantity);
    const Quantity upper = beyond ? *pricing.tiers[i].up_to : quantity;
    Quantity in_tier;  // bounds below zero, which no catalog has, can lie further apart than fits
    if (__builtin_sub_overflow(upper.attos, lower.attos, &in_tier.attos)) return sum->DoesNotFit();
    AddTier(
        pricing.tiers[i], in_tier, [&] { return NameOfTier(pricing.tiers, i); }, sum);
    AddFlat(pricing, i, quantity, sum);
    if (!beyond) return;
    lower = upper;
  }
}

void PriceVolume(const Pricing& pricing, Quantity quantity, Arithmetic* sum) {
  size_t i = 0;
  while (ReachesBeyond(pricing.tiers, i, quantity)) ++i;
  AddTier(
      pricing.tiers[i], quantity, [&] { return "all units in " + NameOfTier(pricing.tiers, i); }, sum);
  AddFlat(pricing, i, quantity, sum);
}

void PriceVolumeSlice(const Pricing& pricing, Quantity from, Quantity to, Quantity whole, bool with_flat,
                      Arithmetic* sum) {
  size_t i = 0;
  while (ReachesBeyond(pricing.tiers, i, whole)) ++i;
  const Tier& tier = pricing.tiers[i];
  const auto name = [&] { return "own units in " + NameOfTier(pricing.tiers, i); };
  Quantity first = from, last = to, own;
  const bool in_blocks = tier.block_size.attos > 0;
  if (in_blocks &&
      (!CountOf(from, tier.block_size, Rounding::kUp, &first) || !CountOf(to, tier.block_size, Rounding::kUp, &last))) {
    return sum->DoesNotFit();
  }
  if (__builtin_sub_overflow(last.attos, first.attos, &own.attos)) return sum->DoesNotFit();
  sum->Step(own, tier.unit_price,
            [&] { return in_blocks ? name() + ", " + Counted(own, "block", tier.block_size) : name(); });
  if (with_flat) AddFlat(pricing, i, whole, sum);
}

void PriceStairstep(const Pricing& pricing, Quantity quantity, Arithmetic* sum) {
  if (quantity.attos <= 0 && !pricing.flat_at_zero) return;
  size_t i = 0;
  while (i + 1 < pricing.steps.size() && quantity > *pricing.steps[i].up_to) ++i;
  AddStep(pricing, i, sum);
}

void PriceLimits(const Pricing& pricing, std::span<const LimitedQuantity> quantities, Arithmetic* sum) {
  const bool used = std::ranges::any_of(quantities, [](const LimitedQuantity& q) { return q.quantity.attos > 0; });
  if (!used && !pricing.flat_at_zero) return;
  const auto holds_all = [&](const Step& step) {
    return std::ranges::all_of(quantities, [&](const LimitedQuantity& q) { return Holds(step, pricing, q); });
  };
  size_t i = 0;
  while (i + 1 < pricing.steps.size() && !holds_all(pricing.steps[i])) ++i;
  AddStep(pricing, i, sum);
}

void PriceByModel(const Pricing& pricing, Quantity quantity, uint64_t events, Arithmetic* sum) {
  switch (pricing.model) {
    case ChargeModel::kPerUnit:
    case ChargeModel::kPercentage:
    case ChargeModel::kDynamic:
      return PriceUnits(pricing, quantity, events, sum);
    case ChargeModel::kGraduated:
    case ChargeModel::kGraduatedPercentage:
      return PriceGraduated(pricing, quantity, sum);
    case ChargeModel::kVolume:
      return PriceVolume(pricing, quantity, sum);
    case ChargeModel::kPackage:
      return PricePackages(pricing, quantity, sum);
    case ChargeModel::kStairstep:
      return PriceStairstep(pricing, quantity, sum);
    case ChargeModel::kMatrix:
    case ChargeModel::kTimeRate:
    case ChargeModel::kProratedGraduated:
      break;
  }
  TOLLBOOK_ASSERT(!"a charge model of the list that prices one quantity");
}

}  // namespace tollbook
