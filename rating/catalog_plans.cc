// plans.yaml: which meter costs what.
#include <algorithm>

#include "rating/catalog_billing.h"
#include "rating/catalog_draft.h"
#include "rating/catalog_fees.h"
#include "rating/catalog_filters.h"
#include "rating/catalog_pricing.h"
#include "rating/plan_extension.h"

namespace tollbook {
namespace {

// Null: not known.
const Meter* ReadMeterOfCharge(YamlMap& map, Charge& charge, CatalogDraft& draft, FileErrors& errors) {
  const Meter* meter = nullptr;
  if (const std::optional<std::string> name = map.RequiredText("meter")) {
    charge.meter = *name;
    const NameTable::Entry* entry = draft.meters.Refer(*name, map.what(), map.LineOf("meter"), errors);
    meter = entry == nullptr ? nullptr : &draft.catalog.meters[entry->index];
  }
  if (std::optional<Filter> filter = ReadFilter(map, "filter", meter, errors)) {
    charge.filter = *std::move(filter);
  } else {
    charge.meter.clear();  // with a wrong filter nothing can be said about which other charges take the same usage
  }
  return meter;
}

void DefineProduct(const std::string& product, int line, CatalogDraft& draft, FileErrors& errors) {
  if (draft.products.Find(product) == nullptr) draft.products.Define(product, 0, line, errors);
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
  const bool is_fee = IsFee(map, node);
  const Meter* meter = is_fee ? nullptr : ReadMeterOfCharge(map, charge, draft, errors);
  if (const std::optional<std::string> product = map.RequiredText("product")) {
    charge.product = *product;
    DefineProduct(*product, map.LineOf("product"), draft, errors);
  } else {
    draft.products.SetIncomplete();
  }
  charge.billing = ReadBillingTerms(map, plan.billing, errors);
  if (is_fee) {
    ReadFee(map, charge.billing.value_or(plan.billing), charge, errors);
  } else {
    ReadPricing(map, meter, charge, errors);
    ReadAround(map, meter, charge, errors);
  }
  map.RefuseOtherKeys();
  plan.charges.push_back(std::move(charge));
}

// A minimum or maximum of all charges is a charge itself: it has a line, and a product to post it by.
void ReadBounds(YamlMap& map, NameTable& charges, Plan& plan, CatalogDraft& draft, FileErrors& errors) {
  for (const std::string_view key : {"minimum", "maximum"}) {
    std::optional<Charge> bound = ReadPlanBound(map, key, errors);
    if (!bound) continue;
    charges.Define(bound->name, static_cast<uint32_t>(plan.charges.size()), bound->line, errors);
    if (!bound->product.empty()) DefineProduct(bound->product, bound->line, draft, errors);
    plan.charges.push_back(*std::move(bound));
  }
}

// The first of a minimum above a maximum.
void CheckBounds(const YamlMap& map, const Plan& plan, FileErrors& errors) {
  const Charge *minimum = nullptr, *maximum = nullptr;
  for (const Charge& charge : plan.charges) {
    if (charge.bound) (charge.bound->is_maximum ? maximum : minimum) = &charge;
  }
  if (minimum == nullptr || maximum == nullptr || minimum->bound->amount.attos <= maximum->bound->amount.attos) return;
  errors.Add(minimum->line,
             Join({"the minimum of ", map.what(), " (", ToString(minimum->bound->amount), ") is above its maximum (",
                   ToString(maximum->bound->amount), ")"}),
             "lower the one or raise the other");
}

// What matches both a and b may be taken by a third, more specific charge; then there is no doubt.
bool IsSettledByAnother(const Plan& plan, const Charge& a, const Charge& b) {
  return std::any_of(plan.charges.begin(), plan.charges.end(),
                     [&](const Charge& c) { return c.meter == a.meter && Settles(c.filter, a.filter, b.filter); });
}

// Two charges that could take the same usage with equal right: the first such pair of each charge is named.
void CheckSpecificity(const Plan& plan, FileErrors& errors) {
  std::map<std::string_view, std::vector<const Charge*>> of_meter;
  for (const Charge& charge : plan.charges) {
    std::vector<const Charge*>& earlier = of_meter[charge.meter];
    const auto rival = std::find_if(earlier.begin(), earlier.end(), [&](const Charge* other) {
      return HaveEqualRight(other->filter, charge.filter) && !IsSettledByAnother(plan, *other, charge);
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
  (void)map.Find("extends");  // it is written out
  const std::optional<std::string> name = map.RequiredText("name");
  if (name) {
    map.SayAs(Join({"plan ", Quoted(*name)}));
    plan.name = *name;
    draft.plans.Define(*name, static_cast<uint32_t>(draft.catalog.plans.size()), map.LineOf("name"), errors);
  } else {
    draft.plans.SetIncomplete();
  }
  plan.currency = ReadCurrency(map, "currency", errors).value_or(Currency());
  plan.billing = ReadBillingTerms(map, {}, errors).value_or(BillingTerms());
  NameTable charges("charge", "this plan");
  for (const YamlNode& charge : map.RequiredList("charges")) {
    ReadCharge(charge, charges, plan, draft, errors);
  }
  ReadTrial(map, plan, errors);
  ReadBounds(map, charges, plan, draft, errors);
  CheckBounds(map, plan, errors);
  map.RefuseOtherKeys();
  CheckSpecificity(plan, errors);
  draft.catalog.plans.push_back(std::move(plan));
}

// Plans in the order of the file: one that extends another stands behind it.
class PlanReader {
 public:
  PlanReader(CatalogDraft& draft, FileErrors& errors) : draft_(draft), errors_(errors) {}

  void Read(const YamlNode& node) {
    YamlMap map(node, "a plan", errors_);
    const size_t errors_before = draft_.errors.size();
    const std::optional<std::string> base = map.Text("extends");
    const std::string name = map.ok() ? map.Text("name").value_or("") : "";
    if (!base) {
      ReadPlan(node, draft_, errors_);
      return Keep(name, node, errors_before);
    }
    const auto found = std::ranges::find(plans_, *base, &WrittenPlan::name);
    if (found == plans_.end()) {
      errors_.Add(map.LineOf("extends"),
                  Join({"plan ", Quoted(name), " extends plan ", Quoted(*base), ", which does not stand before it"}),
                  "name a plan that does, or move this one behind it");
    }
    // What is wrong with the base was said there.
    if (found == plans_.end() || !found->good) {
      draft_.plans.SetIncomplete();
      draft_.products.SetIncomplete();
      return;
    }
    const YamlNode written = Extended(node, found->node);
    ReadPlan(written, draft_, errors_);
    Keep(name, written, errors_before);
  }

 private:
  struct WrittenPlan {
    std::string name;
    YamlNode node;
    bool good = false;
  };
  void Keep(const std::string& name, const YamlNode& node, size_t errors_before) {
    plans_.push_back({name, node, draft_.errors.size() == errors_before});
  }

  CatalogDraft& draft_;
  FileErrors& errors_;
  std::vector<WrittenPlan> plans_;
};

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
  PlanReader plans(draft, errors);
  for (const YamlNode& node : ReadEntries(map, "plans", draft.plans)) plans.Read(node);
  map.RefuseOtherKeys();
}

}  // namespace tollbook
