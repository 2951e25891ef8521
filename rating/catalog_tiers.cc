#include "rating/catalog_tiers.h"

#include <algorithm>

namespace tollbook {
namespace {

std::string TierName(size_t index) {
  return "tier " + std::to_string(index + 1);
}

Tier ReadTier(const YamlNode& node, std::string_view charge, size_t index, int64_t per, FileErrors& errors) {
  YamlMap map(node, Join({TierName(index), " of ", charge}), errors);
  Tier tier;
  tier.up_to = ReadQuantity(map, "up_to", Sign::kPositive, errors);
  tier.unit_price = ReadUnitPrice(map, per, errors).value_or(Price());
  tier.flat = ReadPrice(map, "flat", errors).value_or(Price());
  map.RefuseOtherKeys();
  return tier;
}

// Whether the tier was written without an end; one with a wrong end is complained about elsewhere.
bool IsOpen(const YamlNode& node) {
  const YamlNode* up_to = node.kind == YamlNode::Kind::kMap ? node.Find("up_to") : nullptr;
  return node.kind == YamlNode::Kind::kMap && (up_to == nullptr || up_to->kind == YamlNode::Kind::kNull);
}

void CheckEnd(const YamlNode& node, size_t index, bool is_last, std::string_view charge, FileErrors& errors) {
  if (is_last && node.kind == YamlNode::Kind::kMap && !IsOpen(node)) {
    errors.Add(node.line, Join({"the last tier of ", charge, " has an up_to"}),
               "leave its up_to out, or add a tier without one: usage above it would have no price");
  }
  if (!is_last && IsOpen(node)) {
    errors.Add(node.line, Join({TierName(index), " of ", charge, " has no up_to and is not the last"}),
               "give it an up_to, or make it the last");
  }
}

void CheckOrder(const Tier& tier, size_t index, const Tier& before, int line, FileErrors& errors) {
  if (!tier.up_to || !before.up_to || *tier.up_to > *before.up_to) {
    return;
  }
  const bool equal = *tier.up_to == *before.up_to;
  errors.Add(line,
             Join({TierName(index), " ends at ", ToString(*tier.up_to), equal ? ", where " : ", below ",
                   TierName(index - 1), equal ? " ends" : Join({" (", ToString(*before.up_to), ")"})}),
             equal ? "remove one of the two" : "order the tiers by up_to");
}

}  // namespace

int64_t ReadPer(YamlMap& map, FileErrors& errors) {
  const std::optional<Quantity> per = ReadQuantity(map, "per", Sign::kPositive, errors);
  if (!per) {
    return 1;
  }
  constexpr int64_t kPerMax = 1'000'000'000'000'000'000;
  if (per->attos % kOneUnit != 0 || per->attos / kOneUnit > kPerMax) {
    errors.Add(map.LineOf("per"), Join({"\"per\" of ", map.what(), " is ", ToString(*per)}),
               "write a whole number of units up to 10^18, such as 1000");
    return 1;
  }
  return static_cast<int64_t>(per->attos / kOneUnit);
}

std::optional<Price> ReadUnitPrice(YamlMap& map, int64_t per, FileErrors& errors) {
  if (map.Required("price") == nullptr) {
    return std::nullopt;
  }
  const std::optional<Price> price = ReadPrice(map, "price", errors);
  if (!price) {
    return std::nullopt;
  }
  if (price->attos % per != 0) {
    errors.Add(map.LineOf("price"),
               Join({"the price of ", map.what(), ", ", ToString(*price), " per ", std::to_string(per),
                     ", is not exact at 18 decimals for one unit"}),
               "use a `per` that divides it, such as a power of ten, or model package");
    return std::nullopt;
  }
  return Price{price->attos / per};
}

std::vector<Tier> ReadTiers(YamlMap& charge, int64_t per, FileErrors& errors) {
  std::vector<Tier> tiers;
  const std::span<const YamlNode> nodes = charge.RequiredList("tiers");
  const YamlNode* list = charge.Find("tiers");
  if (list != nullptr && list->kind == YamlNode::Kind::kList && nodes.empty()) {
    errors.Add(charge.LineOf("tiers"), Join({charge.what(), " has no tier"}), "add at least `- {price: ...}`");
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    tiers.push_back(ReadTier(nodes[i], charge.what(), i, per, errors));
    CheckEnd(nodes[i], i, i + 1 == nodes.size(), charge.what(), errors);
    if (i > 0) {
      CheckOrder(tiers[i], i, tiers[i - 1], nodes[i].line, errors);
    }
  }
  return tiers;
}

}  // namespace tollbook
