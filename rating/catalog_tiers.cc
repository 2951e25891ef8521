#include "rating/catalog_tiers.h"

#include <algorithm>

namespace tollbook {
namespace {

std::string Numbered(std::string_view thing, size_t index) {
  return Join({thing, " ", std::to_string(index + 1)});
}

Price ReadPriceOfTier(YamlMap& map, ChargeModel model, int64_t per, FileErrors& errors) {
  if (model != ChargeModel::kGraduatedPercentage) return ReadUnitPrice(map, per, errors).value_or(Price());
  if (map.Required("percent") == nullptr) return {};
  return ReadPercent(map, "percent", errors).value_or(Price());
}

Tier ReadTier(const YamlNode& node, std::string_view charge, size_t index, ChargeModel model, int64_t per,
              FileErrors& errors) {
  YamlMap map(node, Join({Numbered("tier", index), " of ", charge}), errors);
  Tier tier;
  tier.up_to = ReadQuantity(map, "up_to", Sign::kPositive, errors);
  tier.unit_price = ReadPriceOfTier(map, model, per, errors);
  tier.flat = ReadPrice(map, "flat", errors).value_or(Price());
  if (model != ChargeModel::kGraduatedPercentage && model != ChargeModel::kProratedGraduated) {
    tier.block_size = ReadQuantity(map, "block_size", Sign::kPositive, errors).value_or(Quantity());
    if (tier.block_size.attos > 0 && per != 1) {
      errors.Add(map.LineOf("block_size"), Join({map.what(), " has a \"block_size\", and the charge a \"per\""}),
                 "leave \"per\" out: the price of a tier with blocks is that of one block");
    }
  }
  map.RefuseOtherKeys();
  return tier;
}

// Whether a tier or step was written without an end; one with a wrong end is complained about elsewhere.
bool IsOpen(const YamlNode& node, std::string_view end) {
  const YamlNode* found = node.kind == YamlNode::Kind::kMap ? node.Find(end) : nullptr;
  return node.kind == YamlNode::Kind::kMap && (found == nullptr || found->kind == YamlNode::Kind::kNull);
}

// `end` is the key, `ends` how it is spoken of: "an up_to", "limits".
struct End {
  std::string_view key, with, without;
};
constexpr End kUpTo = {"up_to", "an up_to", "no up_to"};
constexpr End kLimits = {"limits", "limits", "no limits"};

void CheckEnd(const YamlNode& node, std::string_view thing, const End& end, size_t index, bool is_last,
              std::string_view charge, FileErrors& errors) {
  if (is_last && node.kind == YamlNode::Kind::kMap && !IsOpen(node, end.key)) {
    errors.Add(
        node.line, Join({"the last ", thing, " of ", charge, " has ", end.with}),
        Join({"leave its ", end.key, " out, or add a ", thing, " without one: usage above it would have no price"}));
  }
  if (!is_last && IsOpen(node, end.key)) {
    errors.Add(node.line, Join({Numbered(thing, index), " of ", charge, " has ", end.without, " and is not the last"}),
               Join({"give it ", end.with, ", or make it the last"}));
  }
}

template <typename TierOrStep>
void CheckOrder(std::string_view thing, const TierOrStep& tier, size_t index, const TierOrStep& before, int line,
                FileErrors& errors) {
  if (!tier.up_to || !before.up_to || *tier.up_to > *before.up_to) {
    return;
  }
  const bool equal = *tier.up_to == *before.up_to;
  errors.Add(line,
             Join({Numbered(thing, index), " ends at ", ToString(*tier.up_to), equal ? ", where " : ", below ",
                   Numbered(thing, index - 1), equal ? " ends" : Join({" (", ToString(*before.up_to), ")"})}),
             equal ? "remove one of the two" : Join({"order the ", thing, "s by up_to"}));
}

// The items of a required list with one item at least.
std::span<const YamlNode> ReadItems(YamlMap& charge, std::string_view key, std::string_view thing,
                                    std::string_view advice, FileErrors& errors) {
  const std::span<const YamlNode> nodes = charge.RequiredList(key);
  const YamlNode* list = charge.Find(key);
  if (list != nullptr && list->kind == YamlNode::Kind::kList && nodes.empty()) {
    errors.Add(charge.LineOf(key), Join({charge.what(), " has no ", thing}), std::string(advice));
  }
  return nodes;
}

void ReadLimits(YamlMap& map, Step& step, FileErrors& errors) {
  const YamlNode* node = map.Find("limits");
  if (node == nullptr) return;
  YamlMap limits(*node, Join({"\"limits\" of ", map.what()}), errors);
  if (!limits.ok()) return;
  if (node->keys.empty()) {
    errors.Add(node->line, Join({limits.what(), " names no value"}), "write {value: limit}, or leave limits out");
  }
  for (const std::string& value : node->keys) {
    if (limits.Required(value) == nullptr) continue;
    step.limits[value] = ReadQuantity(limits, value, Sign::kNotNegative, errors).value_or(Quantity());
  }
}

Step ReadStep(const YamlNode& node, std::string_view charge, size_t index, bool by_limits, FileErrors& errors) {
  YamlMap map(node, Join({Numbered("step", index), " of ", charge}), errors);
  Step step;
  if (by_limits) {
    ReadLimits(map, step, errors);
  } else {
    step.up_to = ReadQuantity(map, "up_to", Sign::kPositive, errors);
  }
  if (map.Required("price") != nullptr) step.price = ReadPrice(map, "price", errors).value_or(Price());
  map.RefuseOtherKeys();
  return step;
}

void CheckLimitsBy(YamlMap& charge, const Meter* meter, const std::string& dimension, FileErrors& errors) {
  if (meter == nullptr || std::ranges::find(meter->dimensions, dimension) != meter->dimensions.end()) return;
  const std::vector<std::string_view> known(meter->dimensions.begin(), meter->dimensions.end());
  errors.Add(charge.LineOf("limits_by"),
             Join({"\"limits_by\" of ", charge.what(), " names dimension ", Quoted(dimension), ", which meter ",
                   Quoted(meter->name), " does not have"}),
             known.empty() ? "add it to the meter's dimensions" : DidYouMean(dimension, known));
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

std::optional<Price> ReadPercent(YamlMap& map, std::string_view key, FileErrors& errors) {
  const std::optional<Quantity> percent = ReadQuantity(map, key, Sign::kNotNegative, errors);
  if (!percent) return std::nullopt;
  if (percent->attos % 100 != 0) {
    errors.Add(map.LineOf(key),
               Join({Quoted(key), " of ", map.what(), " is ", ToString(*percent), ", with more than 16 decimals"}),
               "write at most 16 decimals");
    return std::nullopt;
  }
  return Price{percent->attos / 100};
}

std::vector<Tier> ReadTiers(YamlMap& charge, ChargeModel model, FileErrors& errors) {
  const int64_t per = model == ChargeModel::kGraduatedPercentage ? 1 : ReadPer(charge, errors);
  const std::string_view advice =
      model == ChargeModel::kGraduatedPercentage ? "add at least `- {percent: ...}`" : "add at least `- {price: ...}`";
  const std::span<const YamlNode> nodes = ReadItems(charge, "tiers", "tier", advice, errors);
  std::vector<Tier> tiers;
  for (size_t i = 0; i < nodes.size(); ++i) {
    tiers.push_back(ReadTier(nodes[i], charge.what(), i, model, per, errors));
    CheckEnd(nodes[i], "tier", kUpTo, i, i + 1 == nodes.size(), charge.what(), errors);
    if (i > 0) CheckOrder("tier", tiers[i], i, tiers[i - 1], nodes[i].line, errors);
  }
  return tiers;
}

void ReadSteps(YamlMap& charge, const Meter* meter, Pricing& pricing, FileErrors& errors) {
  if (const std::optional<std::string> dimension = charge.Text("limits_by")) {
    pricing.limits_by = *dimension;
    CheckLimitsBy(charge, meter, *dimension, errors);
  }
  const bool by_limits = charge.Find("limits_by") != nullptr;
  const End& end = by_limits ? kLimits : kUpTo;
  const std::span<const YamlNode> nodes = ReadItems(charge, "steps", "step", "add at least `- {price: ...}`", errors);
  std::vector<Step>& steps = pricing.steps;
  for (size_t i = 0; i < nodes.size(); ++i) {
    steps.push_back(ReadStep(nodes[i], charge.what(), i, by_limits, errors));
    CheckEnd(nodes[i], "step", end, i, i + 1 == nodes.size(), charge.what(), errors);
    if (i > 0) CheckOrder("step", steps[i], i, steps[i - 1], nodes[i].line, errors);
    for (const auto& [value, limit] : steps[i].limits) pricing.limited.push_back(value);
  }
  std::ranges::sort(pricing.limited);
  pricing.limited.erase(std::unique(pricing.limited.begin(), pricing.limited.end()), pricing.limited.end());
}

}  // namespace tollbook
