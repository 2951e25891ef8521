// The charge models: what a quantity costs. Each adds its steps to the arithmetic.
//
// `quantity` is of a billing period, or of a bucket or cell of one, converted and less what is included.
// Zero      costs nothing, unless `flat_at_zero` makes the first tier's flat amount, or the first step, due.
// Negative  (a meter that allows it): units and packages give back what the same usage costs; tiers price it in the
//           first one, whose flat amount it enters no more than zero does; a stairstep takes it as zero.
// Rounding  none, but of a number of packages or blocks.
// Overflow  is told to the arithmetic; nothing wraps.
#ifndef TOLLBOOK_RATING_CHARGE_MODELS_H_
#define TOLLBOOK_RATING_CHARGE_MODELS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "rating/arithmetic.h"
#include "rating/plan.h"

namespace tollbook {

// "tier 2 (up to 1000)".
std::string NameOfTier(const std::vector<Tier>& tiers, size_t tier);

// By the model of `pricing`, which is neither a matrix nor of events, nor has limits by a dimension.
void PriceByModel(const Pricing& pricing, Quantity quantity, uint64_t events, Arithmetic* sum);

// per_unit, dynamic: quantity * unit price. percentage: likewise, and an amount for each event, also of negative ones.
void PriceUnits(const Pricing& pricing, Quantity quantity, uint64_t events, Arithmetic* sum);

// volume, of a slice of the period (amendment.h): the units from `from` to `to` at the price of the tier that `whole`
// falls in, and its flat amount `with_flat`.
void PriceVolumeSlice(const Pricing& pricing, Quantity from, Quantity to, Quantity whole, bool with_flat,
                      Arithmetic* sum);

// package: their number is rounded as `package_rounding` says: up, a started one is due in full.
void PricePackages(const Pricing& pricing, Quantity quantity, Arithmetic* sum);

// graduated, graduated_percentage: each unit in its tier, and the flat amount of each tier that is entered, by usage
// above its lower bound. A tier of blocks prices each started block of the units that fall in it.
void PriceGraduated(const Pricing& pricing, Quantity quantity, Arithmetic* sum);

// volume: all units, or all started blocks, at the price of the tier that holds the quantity, and its flat amount.
void PriceVolume(const Pricing& pricing, Quantity quantity, Arithmetic* sum);

// stairstep: the amount of the first step that holds the quantity.
void PriceStairstep(const Pricing& pricing, Quantity quantity, Arithmetic* sum);

// stairstep by limits: the amount of the first step whose limits hold for the quantity of each value.
struct LimitedQuantity {
  uint32_t value = 0;  // its place in `limited`; behind all: no step limits it
  Quantity quantity;
};
void PriceLimits(const Pricing& pricing, std::span<const LimitedQuantity> quantities, Arithmetic* sum);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CHARGE_MODELS_H_
