#include "rating/catalog_commitment.h"

#include "rating/catalog_exact.h"

namespace tollbook {
namespace {

constexpr Quantity kOverageMax = Quantity::Units(1'000'000);  // so that no worth that is booked leaves its range by it

// How much is committed: `amount` or `quantity`.
void ReadCommitted(YamlMap& map, const Charge& charge, Commitment& commitment, FileErrors& errors) {
  const bool has_amount = map.Find("amount") != nullptr, has_quantity = map.Find("quantity") != nullptr;
  if (has_amount == has_quantity) {
    errors.Add(map.line(),
               Join({map.what(), has_amount ? " has both an \"amount\" and a \"quantity\""
                                            : " has neither an \"amount\" nor a \"quantity\""}),
               "write one of the two");
  }
  commitment.amount = ReadPrice(map, "amount", errors).value_or(Price());
  if (!has_quantity) return;
  commitment.quantity = ReadQuantity(map, "quantity", Sign::kNotNegative, errors);
  if (charge.cells.empty() && charge.pricing.limits_by.empty() && !IsOfEvents(charge)) return;
  errors.Add(map.LineOf("quantity"), Join({map.what(), " is a quantity, and the charge has several prices for one"}),
             "write the \"amount\" that is committed");
}

void ReadOverage(YamlMap& map, Commitment& commitment, FileErrors& errors) {
  const std::optional<Quantity> factor = ReadQuantity(map, "overage_factor", Sign::kNotNegative, errors);
  if (!factor) return;
  commitment.overage_factor = {factor->attos};
  if (*factor >= Quantity::Units(1) && *factor <= kOverageMax) return;
  errors.Add(map.LineOf("overage_factor"), Join({"\"overage_factor\" of ", map.what(), " is ", ToString(*factor)}),
             "write a number from 1 to 1000000: 1 for the same price");
}

}  // namespace

void ReadCommitment(YamlMap& charge_map, Charge& charge, FileErrors& errors) {
  const YamlNode* node = charge_map.Find("commitment");
  if (node == nullptr) return;
  YamlMap map(*node, Join({"the commitment of ", charge_map.what()}), errors);
  if (!map.ok()) return;
  Commitment commitment;
  ReadCommitted(map, charge, commitment, errors);
  ReadOverage(map, commitment, errors);
  commitment.true_up = map.Bool("true_up", false);
  map.RefuseOtherKeys();
  // The committed amount is multiplied as the prices are: so it is looked at among them, once.
  charge.commitment = Commitment{commitment.amount, commitment.quantity, {kOneUnit}, commitment.true_up};
  CheckExactFactor(map, "overage_factor", commitment.overage_factor, charge, errors);
  charge.commitment = commitment;
}

}  // namespace tollbook
