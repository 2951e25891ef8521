#include "tests/pipeline/catalog_texts.h"

#include <algorithm>
#include <set>

#include "rating/catalog_text.h"

namespace tollbook {
namespace {

std::string Quoted(const std::string& text) {
  return "\"" + text + "\"";
}

// One YAML flow mapping: {name: "s1", price: 0.10}.
class FlowMap {
 public:
  FlowMap& Text(const char* key, const std::string& value) { return value.empty() ? *this : Add(key, Quoted(value)); }
  FlowMap& Bare(const char* key, const std::string& value) { return value.empty() ? *this : Add(key, value); }
  FlowMap& Members(const std::string& members) {
    if (!members.empty()) members_ += (members_.empty() ? "" : ", ") + members;
    return *this;
  }
  std::string str() const { return "{" + members_ + "}"; }

 private:
  FlowMap& Add(const std::string& key, const std::string& value) {
    members_ += (members_.empty() ? "" : ", ") + key + ": " + value;
    return *this;
  }
  std::string members_;
};

std::string EntitiesYaml(const CatalogTexts& texts) {
  std::string yaml = "entities:\n";
  for (const CatalogTexts::Entity& e : texts.entities) {
    FlowMap map;
    map.Text("name", e.name).Text("functional_currency", e.currency).Text("zone", e.zone).Members(e.more);
    yaml += "  - " + map.str() + "\n";
  }
  return yaml;
}

// The account that `KEY: "CODE"` names, if the members of a map have it.
void InsertAccountIn(const std::string& members, const std::string& key, std::set<std::string>* accounts) {
  const size_t at = members.find(key + ": \"");
  if (at == std::string::npos) return;
  const size_t begin = at + key.size() + 3;
  accounts->insert(members.substr(begin, members.find('"', begin) - begin));
}

std::string ChartYaml(const CatalogTexts& texts) {
  std::set<std::string> assets, revenues, liabilities;
  for (const CatalogTexts::Posting& p : texts.postings) {
    assets.insert(p.debit);
    revenues.insert(p.credit);
    if (!p.deferred.empty()) liabilities.insert(p.deferred);
    for (const char* key : {"accrued", "due_from"}) InsertAccountIn(p.more, key, &assets);
    InsertAccountIn(p.more, "due_to", &liabilities);
  }
  // What is prepaid: that grants pay from, or lose, and nothing else is posted to.
  std::set<std::string> prepaid;
  for (const CatalogTexts::Posting& p : texts.postings) {
    if (p.product == "credits") prepaid.insert(p.credit);
    if (p.product == "breakage") prepaid.insert(p.debit);
  }
  for (const CatalogTexts::Posting& p : texts.postings) {
    if (p.product != "breakage") prepaid.erase(p.debit);
    if (p.product != "credits") prepaid.erase(p.credit);
  }
  for (const std::string& code : prepaid) {
    assets.erase(code);
    liabilities.insert(code);
  }
  std::string yaml = "accounts:\n";
  for (const std::string& code : assets) yaml += "  - {code: " + Quoted(code) + ", name: Receivable, type: asset}\n";
  for (const std::string& code : assets) revenues.erase(code);
  for (const std::string& code : assets) liabilities.erase(code);
  for (const std::string& code : liabilities) revenues.erase(code);
  for (const std::string& code : liabilities)
    yaml += "  - {code: " + Quoted(code) + ", name: Deferred revenue, type: liability}\n";
  for (const std::string& code : revenues) yaml += "  - {code: " + Quoted(code) + ", name: Revenue, type: revenue}\n";
  return yaml;
}

std::string MetersYaml(const CatalogTexts& texts) {
  std::string yaml = "meters:\n";
  for (const CatalogTexts::Meter& m : texts.meters) {
    std::string dimensions;
    for (const std::string& name : m.dimensions) dimensions += (dimensions.empty() ? "" : ", ") + name;
    FlowMap map;
    map.Text("name", m.name).Text("event_type", m.event_type).Bare("aggregation", m.aggregation);
    map.Text("value", m.value).Bare("granularity", m.granularity);
    if (!dimensions.empty()) map.Bare("dimensions", "[" + dimensions + "]");
    if (m.allow_negative) map.Bare("allow_negative", "true");
    for (const auto& [key, value] : m.more) map.Bare(key.c_str(), value);
    yaml += "  - " + map.str() + "\n";
  }
  return yaml;
}

std::string TiersFlow(const std::vector<CatalogTexts::Tier>& tiers) {
  std::string list;
  for (const CatalogTexts::Tier& t : tiers) {
    list +=
        (list.empty() ? "" : ", ") + FlowMap().Bare("up_to", t.up_to).Bare("price", t.price).Bare("flat", t.flat).str();
  }
  return "[" + list + "]";
}

std::string ChargeFlow(const CatalogTexts::Charge& c) {
  FlowMap map;
  map.Text("name", c.name).Text("meter", c.meter).Text("product", c.product).Bare("model", c.model);
  map.Bare("included", c.included).Bare("per", c.per).Bare("price", c.price).Bare("package_size", c.package_size);
  FlowMap filter;
  for (const auto& [name, value] : c.filter) filter.Text(name.c_str(), value);
  if (!c.filter.empty()) map.Bare("filter", filter.str());
  if (!c.tiers.empty()) map.Bare("tiers", TiersFlow(c.tiers));
  if (c.flat_at_zero) map.Bare("flat_at_zero", "true");
  return map.Members(c.more).str();
}

std::string PlansYaml(const CatalogTexts& texts) {
  std::string yaml = "plans:\n";
  for (const CatalogTexts::Plan& plan : texts.plans) {
    std::string charges;
    for (const CatalogTexts::Charge& c : texts.charges) {
      if (c.plan == plan.name) charges += (charges.empty() ? "\n      " : ",\n      ") + ChargeFlow(c);
    }
    FlowMap map;
    map.Text("name", plan.name).Bare("currency", plan.currency).Members(plan.more);
    yaml += "  - " + map.Bare("charges", "[" + charges + "]").str() + "\n";
  }
  return yaml;
}

std::string PostingYaml(const CatalogTexts& texts) {
  std::string yaml = "posting:\n";
  for (const CatalogTexts::Posting& p : texts.postings) {
    FlowMap map;
    map.Text("product", p.product).Text("entity", p.entity).Text("debit", p.debit).Text("credit", p.credit);
    map.Bare("summary", p.by_period ? "period" : "daily");
    for (const auto& [key, value] : p.scope) map.Text(key.c_str(), value);
    if (!p.deferred.empty()) map.Bare("recognition", "ratable").Text("deferred", p.deferred);
    yaml += "  - " + map.Members(p.more).str() + "\n";
  }
  return yaml;
}

std::string ContractsYaml(const CatalogTexts& texts) {
  std::string yaml = "contracts:\n";
  for (const CatalogTexts::Contract& contract : texts.contracts) {
    std::string obligations;
    for (const std::string& one : contract.obligations) obligations += (obligations.empty() ? "" : ", ") + one;
    FlowMap map;
    map.Text("plan", contract.plan).Text("term", contract.term).Bare("obligations", "[" + obligations + "]");
    yaml += "  - " + map.str() + "\n";
  }
  return yaml;
}

std::string SubscriptionsCsv(const CatalogTexts& texts) {
  std::string csv =
      "subscription,account,plan,entity,currency,valid_from,valid_to,subject,zone,billing_anchor,quantity,class,"
      "region\n";
  for (const CatalogTexts::Subscription& s : texts.subscriptions) {
    const std::string account = s.account.empty() ? "account-of-" + s.id : s.account;
    csv += s.id + "," + account + "," + s.plan + "," + s.entity + "," + s.currency + "," + s.from + "," + s.to + "," +
           s.subject + "," + s.zone + "," + s.billing_anchor + "," + s.quantity + "," + s.customer_class + "," +
           s.region + "\n";
  }
  return csv;
}

constexpr std::string_view kGrantColumns =
    "grant,subscription,amount,currency,product,starts_on,ends_on,priority,refill,rollover,pays_earlier,"
    "breakage_product,account";
constexpr std::string_view kUnitGrantColumns =
    "grant,subscription,charge,units,starts,ends,voided,priority,refill,refill_on,reset,reset_on,rollover_min,"
    "rollover_max,pays_earlier,keeps_overage";
constexpr std::string_view kDiscountColumns =
    "discount,subscription,account,plan,charge,percent,amount,currency,product,starts_on,ends_on,order,reaches_back";
constexpr std::string_view kExchangeRateColumns = "date,from,to,rate";

void AddCsv(const std::string& name, std::string_view columns, const std::vector<std::string>& rows,
            std::map<std::string, std::string>* files) {
  if (rows.empty()) return;
  std::string& csv = (*files)[name] = std::string(columns) + "\n";
  for (const std::string& row : rows) {
    const std::ptrdiff_t left_out = std::ranges::count(columns, ',') - std::ranges::count(row, ',');
    csv += row + std::string(static_cast<size_t>(std::max<std::ptrdiff_t>(left_out, 0)), ',') + "\n";
  }
}

}  // namespace

std::map<std::string, std::string> CatalogTexts::Files() const {
  std::map<std::string, std::string> files = {{"book.yaml", std::string("name: ") + kTestBook + "\nzone: " + zone +
                                                                "\nrounding: " + rounding + "\n" + book_more},
                                              {"entities.yaml", EntitiesYaml(*this)},
                                              {"chart.yaml", ChartYaml(*this)},
                                              {"meters.yaml", MetersYaml(*this)},
                                              {"plans.yaml", PlansYaml(*this)},
                                              {"posting.yaml", PostingYaml(*this)},
                                              {"subscriptions.csv", SubscriptionsCsv(*this)}};
  if (!targets.empty()) files["targets.yaml"] = "targets:\n" + targets;
  if (!contracts.empty()) files["contracts.yaml"] = ContractsYaml(*this);
  AddCsv("grants.csv", kGrantColumns, grants, &files);
  AddCsv("unit_grants.csv", kUnitGrantColumns, unit_grants, &files);
  AddCsv("discounts.csv", kDiscountColumns, discounts, &files);
  AddCsv("fx.csv", kExchangeRateColumns, exchange_rates, &files);
  return files;
}

absl::StatusOr<Catalog> Parse(const CatalogTexts& texts) {
  ParsedCatalog parsed = ParseCatalog(texts.Files());
  if (parsed.catalog) return *std::move(parsed.catalog);
  std::string all = "the catalog is refused";
  for (const CatalogError& error : parsed.errors) all += "\n  " + ToString(error);
  return absl::InvalidArgumentError(Abs(all));
}

}  // namespace tollbook
