// plans.yaml: which meter costs what.
#include <algorithm>
#include <array>

#include "rating/catalog_draft.h"
#include "rating/catalog_tiers.h"

namespace tollbook {
namespace {

constexpr std::array<std::pair<std::string_view, ChargeModel>, 4> kModels = {{
    {"per_unit", ChargeModel::kPerUnit},
    {"graduated", ChargeModel::kGraduated},
    {"volume", ChargeModel::kVolume},
    {"package", ChargeModel::kPackage},
}};

// Which models take a key; the other keys of a charge go with every model.
struct ModelKey {
  std::string_view key;
  std::vector<ChargeModel> models;
};
const std::vector<ModelKey>& ModelKeys() {
  static const auto* const keys = new std::vector<ModelKey>{
      {"price", {ChargeModel::kPerUnit, ChargeModel::kPackage}},
      {"per", {ChargeModel::kPerUnit, ChargeModel::kGraduated, ChargeModel::kVolume}},
      {"tiers", {ChargeModel::kGraduated, ChargeModel::kVolume}},
      {"flat_at_zero", {ChargeModel::kGraduated, ChargeModel::kVolume}},
      {"package_size", {ChargeModel::kPackage}},
  };
  return *keys;
}

void RefuseKeysOfOtherModels(YamlMap& map, ChargeModel model, FileErrors& errors) {
  for (const ModelKey& entry : ModelKeys()) {
    const bool taken = std::find(entry.models.begin(), entry.models.end(), model) != entry.models.end();
    if (map.Find(entry.key) == nullptr || taken) {
      continue;
    }
    std::string advice = "remove it, or use model ";
    for (size_t i = 0; i < entry.models.size(); ++i) {
      advice.append(i == 0 ? "" : " or ").append(ToString(entry.models[i]));
    }
    errors.Add(map.LineOf(entry.key),
               Join({map.what(), " of model ", ToString(model), " takes no ", Quoted(entry.key)}), advice);
  }
}

void ReadPrices(YamlMap& map, Charge& charge, FileErrors& errors) {
  switch (charge.model) {
    case ChargeModel::kPerUnit:
      charge.unit_price = ReadUnitPrice(map, ReadPer(map, errors), errors).value_or(Price());
      break;
    case ChargeModel::kGraduated:
    case ChargeModel::kVolume:
      charge.tiers = ReadTiers(map, ReadPer(map, errors), errors);
      charge.flat_at_zero = map.Bool("flat_at_zero", false);
      break;
    case ChargeModel::kPackage:
      if (map.Required("package_size") != nullptr) {
        charge.package_size = ReadQuantity(map, "package_size", Sign::kPositive, errors).value_or(Quantity());
      }
      if (map.Required("price") != nullptr) {
        charge.package_price = ReadPrice(map, "price", errors).value_or(Price());
      }
      break;
  }
  RefuseKeysOfOtherModels(map, charge.model, errors);
}

// Null: absent or none of the models, which is an error.
const std::pair<std::string_view, ChargeModel>* RequiredModel(YamlMap& map, FileErrors& errors) {
  const std::optional<std::string> word = map.RequiredText("model");
  if (!word) {
    return nullptr;
  }
  std::vector<std::string_view> words;
  for (const auto& model : kModels) {
    if (model.first == *word) {
      return &model;
    }
    words.push_back(model.first);
  }
  errors.Add(map.LineOf("model"), Join({"\"model\" of ", map.what(), " is ", Quoted(*word)}), DidYouMean(*word, words));
  return nullptr;
}

void ReadFilter(YamlMap& map, Charge& charge, const Meter* meter, FileErrors& errors) {
  for (auto& [dimension, value] : map.TextsByName("filter")) {
    if (meter != nullptr &&
        std::find(meter->dimensions.begin(), meter->dimensions.end(), dimension) == meter->dimensions.end()) {
      const std::vector<std::string_view> known(meter->dimensions.begin(), meter->dimensions.end());
      errors.Add(map.LineOf("filter"),
                 Join({"the filter of ", map.what(), " names dimension ", Quoted(dimension), ", which meter ",
                       Quoted(meter->name), " does not have"}),
                 known.empty() ? "add it to the meter's dimensions" : DidYouMean(dimension, known));
      continue;
    }
    charge.filter.emplace(dimension, std::move(value));
  }
  // With a wrong filter nothing can be said about which other charges take the same usage.
  const YamlNode* node = map.Find("filter");
  if (node != nullptr && (node->kind != YamlNode::Kind::kMap || node->items.size() != charge.filter.size())) {
    charge.meter.clear();
  }
}

void ReadMeterOfCharge(YamlMap& map, Charge& charge, CatalogDraft& draft, FileErrors& errors) {
  const Meter* meter = nullptr;
  if (const std::optional<std::string> name = map.RequiredText("meter")) {
    charge.meter = *name;
    const NameTable::Entry* entry = draft.meters.Refer(*name, map.what(), map.LineOf("meter"), errors);
    meter = entry == nullptr ? nullptr : &draft.catalog.meters[entry->index];
  }
  ReadFilter(map, charge, meter, errors);
}

void ReadCharge(const YamlNode& node, NameTable& charges, Plan& plan, CatalogDraft& draft, FileErrors& errors) {
  YamlMap map(node, "a charge", errors);
  Charge charge;
  charge.line = node.line;
  if (const std::optional<std::string> name = map.RequiredText("name")) {
    map.SayAs(Join({"charge ", Quoted(*name)}));
    charge.name = *name;
    charges.Define(*name, static_cast<uint32_t>(plan.charges.size()), map.LineOf("name"), errors);
  }
  ReadMeterOfCharge(map, charge, draft, errors);
  if (const std::optional<std::string> product = map.RequiredText("product")) {
    charge.product = *product;
    if (draft.products.Find(*product) == nullptr) {
      draft.products.Define(*product, 0, map.LineOf("product"), errors);
    }
  } else {
    draft.products.SetIncomplete();
  }
  charge.included = ReadQuantity(map, "included", Sign::kNotNegative, errors).value_or(Quantity());
  if (const auto* model = RequiredModel(map, errors)) {
    charge.model = model->second;
    ReadPrices(map, charge, errors);
  } else {
    for (const ModelKey& entry : ModelKeys()) {
      (void)map.Find(entry.key);  // which of them it takes depends on the model
    }
  }
  map.RefuseOtherKeys();
  plan.charges.push_back(std::move(charge));
}

bool IsWithin(const std::map<std::string, std::string>& filter, const Charge& a, const Charge& b) {
  const auto has = [](const Charge& charge, const auto& entry) {
    const auto found = charge.filter.find(entry.first);
    return found != charge.filter.end() && found->second == entry.second;
  };
  return std::all_of(filter.begin(), filter.end(), [&](const auto& entry) { return has(a, entry) || has(b, entry); });
}

// Could one total match both filters?
bool AreCompatible(const Charge& a, const Charge& b) {
  return std::all_of(a.filter.begin(), a.filter.end(), [&](const auto& entry) {
    const auto other = b.filter.find(entry.first);
    return other == b.filter.end() || other->second == entry.second;
  });
}

// What matches both a and b may be taken by a third, more specific charge; then there is no doubt.
bool IsSettledByAnother(const Plan& plan, const Charge& a, const Charge& b) {
  return std::any_of(plan.charges.begin(), plan.charges.end(), [&](const Charge& c) {
    return c.meter == a.meter && c.filter.size() > a.filter.size() && IsWithin(c.filter, a, b);
  });
}

// Two charges that could take the same usage with equal right: the first such pair of each charge is named.
void CheckSpecificity(const Plan& plan, FileErrors& errors) {
  std::map<std::pair<std::string_view, size_t>, std::vector<const Charge*>> rivals;
  for (const Charge& charge : plan.charges) {
    std::vector<const Charge*>& earlier = rivals[{charge.meter, charge.filter.size()}];
    const auto rival = std::find_if(earlier.begin(), earlier.end(), [&](const Charge* other) {
      return AreCompatible(*other, charge) && !IsSettledByAnother(plan, *other, charge);
    });
    if (rival != earlier.end() && !charge.meter.empty()) {
      errors.Add(charge.line,
                 Join({"charge ", Quoted(charge.name), " and charge ", Quoted((*rival)->name), " (line ",
                       std::to_string((*rival)->line), ") of plan ", Quoted(plan.name),
                       " could take the same usage of meter ", Quoted(charge.meter)}),
                 "give one of them a filter that the other has not, or one that names more dimensions");
    }
    earlier.push_back(&charge);
  }
}

void ReadPlan(const YamlNode& node, CatalogDraft& draft, FileErrors& errors) {
  YamlMap map(node, "a plan", errors);
  Plan plan;
  const std::optional<std::string> name = map.RequiredText("name");
  if (name) {
    map.SayAs(Join({"plan ", Quoted(*name)}));
    plan.name = *name;
    draft.plans.Define(*name, static_cast<uint32_t>(draft.catalog.plans.size()), map.LineOf("name"), errors);
  } else {
    draft.plans.SetIncomplete();
  }
  plan.currency = ReadCurrency(map, "currency", errors).value_or(Currency());
  NameTable charges("charge", "this plan");
  for (const YamlNode& charge : map.RequiredList("charges")) {
    ReadCharge(charge, charges, plan, draft, errors);
  }
  map.RefuseOtherKeys();
  CheckSpecificity(plan, errors);
  draft.catalog.plans.push_back(std::move(plan));
}

}  // namespace

void ReadPlans(CatalogDraft& draft) {
  FileErrors errors("plans.yaml", &draft.errors);
  const std::optional<YamlNode> root = ReadRequiredYaml(draft, errors);
  if (!root) {
    draft.plans.SetIncomplete();
    draft.products.SetIncomplete();
    return;
  }
  YamlMap map(*root, "plans.yaml", errors);
  for (const YamlNode& node : ReadEntries(map, "plans", draft.plans)) {
    ReadPlan(node, draft, errors);
  }
  map.RefuseOtherKeys();
}

}  // namespace tollbook
