// PriceParts: what the price of a billing period (price.cc) and that of its slices (amendment.cc) share.
#ifndef TOLLBOOK_RATING_PRICE_PARTS_H_
#define TOLLBOOK_RATING_PRICE_PARTS_H_

#include <optional>
#include <span>
#include <string>

#include "rating/arithmetic.h"
#include "rating/plan.h"
#include "rating/price.h"

namespace tollbook {

// By a dimension.
[[nodiscard]] bool HasLimits(const Charge& charge);

// Of a part (PartOf): "region=eu", "default"; empty where there is only one.
[[nodiscard]] std::string NameOfPart(const Charge& charge, uint32_t part);

// What the buckets are worth before what stands around the period; those that have one with their commitment.
void PriceEachBucket(const Charge& charge, std::span<const UsagePart> parts, const Zone& zone,
                     std::span<const UnitsPaid> granted, Arithmetic* sum);

// What stands against the commitment is worth `cost`, behind `before`, if there is any usage before: of what lies above
// it what the factor adds; and, once it `is_due`, what is missing up to it.
void AddCommitment(const Commitment& commitment, const Pricing& pricing, const std::optional<Worth>& before,
                   const Worth& cost, bool is_due, Arithmetic* sum);

// What a period comes to whose usage is worth just what the charge's commitment of the period says: less the charge's
// discount, at most its maximum. False: it does not fit.
[[nodiscard]] bool PriceCommitted(const Charge& charge, Worth* worth);

// Off all of the sum.
void AddDiscount(const Charge& charge, Arithmetic* sum);

// Half to even at the worth's last decimal. False: it does not fit.
[[nodiscard]] bool ShareOfWorth(const Worth& worth, DayShare share, Worth* taken);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_PRICE_PARTS_H_
