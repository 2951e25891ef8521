// posting.yaml: which accounts an amount is booked to.
#include <algorithm>
#include <array>
#include <tuple>

#include "rating/billing_cycle.h"
#include "rating/catalog_draft.h"

namespace tollbook {
namespace {

constexpr std::array<std::pair<std::string_view, SummaryPolicy>, 2> kSummaries = {{
    {"daily", SummaryPolicy::kDaily},
    {"period", SummaryPolicy::kPeriod},
}};

constexpr std::array<std::pair<std::string_view, bool>, 2> kLines = {{
    {"by_account", false},
    {"by_subscription", true},
}};

constexpr std::array<std::pair<std::string_view, Recognition>, 2> kRecognitions = {{
    {"point", Recognition::kPoint},
    {"ratable", Recognition::kRatable},
}};

constexpr std::array<std::pair<std::string_view, bool>, 2> kUnmapped = {{
    {"hold", false},
    {"refuse", true},
}};

std::string RuleName(const PostingRule& rule) {
  return "the posting rule for " + ScopeText(rule);
}

void ReadAccounts(YamlMap& map, PostingRule& rule, const CatalogDraft& draft, FileErrors& errors) {
  rule.debit = map.RequiredText("debit").value_or("");
  rule.credit = map.RequiredText("credit").value_or("");
  if (!rule.debit.empty()) {
    (void)draft.accounts.Refer(rule.debit, map.what(), map.LineOf("debit"), errors);
  }
  if (!rule.credit.empty()) {
    (void)draft.accounts.Refer(rule.credit, map.what(), map.LineOf("credit"), errors);
  }
  if (!rule.debit.empty() && rule.debit == rule.credit) {
    errors.Add(map.LineOf("credit"), Join({map.what(), " debits and credits account ", Quoted(rule.debit)}),
               "name two accounts: an amount booked to one account twice says nothing");
  }
}

// The line of a charge, or of what is taken off it, pays for it or is lost of what was to pay: "discount calls",
// "discount calls (coupons)", "credit welcome", "breakage welcome".
bool IsLineName(const CatalogDraft& draft, std::string_view name) {
  for (const Grant& grant : draft.catalog.grants) {
    if (name == grant.credit.name || (grant.breakage && name == grant.breakage->name)) return true;
  }
  for (const Plan& plan : draft.catalog.plans) {
    for (const Charge& charge : plan.charges) {
      if (name == charge.name) return true;
      for (const std::string& product : draft.catalog.discount_products) {
        if (name == DiscountLineName(charge.name, product)) return true;
      }
    }
  }
  return false;
}

// A wrong name here would not be noticed later: a more general rule would quietly book the amount elsewhere. What a
// class or a region may be called is up to whoever exports the subscriptions.
void ReadScope(YamlMap& map, PostingRule& rule, const CatalogDraft& draft, FileErrors& errors) {
  rule.charge = map.Text("charge").value_or("");
  rule.plan = map.Text("plan").value_or("");
  rule.product = map.Text("product").value_or("");
  rule.customer_class = map.Text("class").value_or("");
  rule.region = map.Text("region").value_or("");
  rule.entity = map.Text("entity").value_or("");
  if (map.Find("currency") != nullptr) {
    if (const std::optional<Currency> currency = ReadCurrency(map, "currency", errors))
      rule.currency = currency->code();
  }
  map.SayAs(RuleName(rule));
  if (!rule.charge.empty() && !draft.catalog.plans.empty() && !IsLineName(draft, rule.charge)) {
    errors.Add(map.LineOf("charge"), Join({map.what(), " names charge ", Quoted(rule.charge), ", which no plan has"}),
               "name a charge of plans.yaml, or a line such as `discount calls` or `credit welcome`");
  }
  if (!rule.plan.empty()) (void)draft.plans.Refer(rule.plan, map.what(), map.LineOf("plan"), errors);
  if (!rule.product.empty()) {
    (void)draft.products.Refer(rule.product, map.what(), map.LineOf("product"), errors);
  }
  if (!rule.entity.empty()) {
    (void)draft.entities.Refer(rule.entity, map.what(), map.LineOf("entity"), errors);
  }
}

// The tax code and the partner within the group are dimensions of the journal line, like a cost centre.
void ReadDimensions(YamlMap& map, PostingRule& rule, FileErrors& errors) {
  for (auto& [name, value] : map.TextsByName("dimensions")) {
    rule.dimensions.emplace(name, std::move(value));
  }
  for (const std::string_view key : {"tax_code", "partner"}) {
    const std::optional<std::string> value = map.Text(key);
    if (!value || rule.dimensions.emplace(key, *value).second) continue;
    errors.Add(map.LineOf(key), Join({map.what(), " has a dimension ", Quoted(key), " too"}), "say it once");
  }
}

void ReadRecognition(YamlMap& map, PostingRule& rule, const CatalogDraft& draft, FileErrors& errors) {
  rule.recognition = map.Choice<Recognition>("recognition", kRecognitions, Recognition::kPoint);
  const std::optional<std::string> over = map.Text("recognised_over");
  const std::optional<std::string> deferred = map.Text("deferred");
  if (rule.recognition == Recognition::kPoint) {
    for (const std::string_view key : {"deferred", "recognised_over"}) {
      if (map.Find(key) == nullptr) continue;
      errors.Add(map.LineOf(key), Join({map.what(), " has ", Quoted(key), ", and recognises nothing day by day"}),
                 "remove it, or add `recognition: ratable`");
    }
    return;
  }
  if (map.Required("deferred") != nullptr && deferred) {
    rule.deferred = *deferred;
    (void)draft.accounts.Refer(rule.deferred, map.what(), map.LineOf("deferred"), errors);
    if (rule.deferred == rule.debit || rule.deferred == rule.credit) {
      errors.Add(map.LineOf("deferred"), Join({map.what(), " names account ", Quoted(rule.deferred), " twice"}),
                 "defer to an account of its own, a liability");
    }
  }
  if (!over) return;
  rule.recognised_over = ParseBillingCycle(*over);
  if (!rule.recognised_over) {
    errors.Add(map.LineOf("recognised_over"), Join({"\"recognised_over\" of ", map.what(), " is ", Quoted(*over)}),
               "write a time such as `12 months`");
  }
}

// An account that stands beside debit and credit.
std::string ReadOwnAccount(YamlMap& map, std::string_view key, const PostingRule& rule, const CatalogDraft& draft,
                           FileErrors& errors) {
  const std::optional<std::string> code = map.Text(key);
  if (!code) return "";
  (void)draft.accounts.Refer(*code, map.what(), map.LineOf(key), errors);
  if (*code == rule.debit || *code == rule.credit || *code == rule.deferred) {
    errors.Add(map.LineOf(key), Join({map.what(), " names account ", Quoted(*code), " twice"}),
               Join({"give ", Quoted(key), " an account of its own"}));
  }
  return *code;
}

// Who delivers owes nothing to itself, so the rule then takes no part: it may stand for all entities that sell.
void ReadDelivery(YamlMap& map, PostingRule& rule, const CatalogDraft& draft, FileErrors& errors) {
  const std::optional<std::string> by = map.Text("delivered_by");
  if (!by) {
    for (const std::string_view key : {"due_to", "due_from"}) {
      if (map.Find(key) == nullptr) continue;
      errors.Add(map.LineOf(key), Join({map.what(), " has ", Quoted(key), ", and no other entity delivers"}),
                 "remove it, or add `delivered_by`");
    }
    return;
  }
  rule.delivered_by = *by;
  (void)draft.entities.Refer(*by, map.what(), map.LineOf("delivered_by"), errors);
  if (*by == rule.entity) {
    errors.Add(map.LineOf("delivered_by"), Join({map.what(), " has ", Quoted(*by), " deliver to itself"}),
               "name another entity, or leave `delivered_by` out");
  }
  if (rule.dimensions.contains("partner")) {
    errors.Add(map.LineOf("delivered_by"), Join({map.what(), " has a dimension \"partner\" too"}),
               "leave it out: the entity on the other side is the partner of each line");
  }
  if (map.Required("due_to") != nullptr) rule.due_to = ReadOwnAccount(map, "due_to", rule, draft, errors);
  if (map.Required("due_from") != nullptr) rule.due_from = ReadOwnAccount(map, "due_from", rule, draft, errors);
}

void ReadRule(const YamlNode& node, CatalogDraft& draft, FileErrors& errors) {
  YamlMap map(node, "a posting rule", errors);
  if (!map.ok()) {
    draft.posting_complete = false;
    return;
  }
  PostingRule rule;
  rule.line = node.line;
  ReadScope(map, rule, draft, errors);
  ReadAccounts(map, rule, draft, errors);
  ReadDimensions(map, rule, errors);
  rule.summary = map.Choice<SummaryPolicy>("summary", kSummaries, SummaryPolicy::kDaily);
  rule.by_subscription = map.Choice<bool>("lines", kLines, false);
  ReadRecognition(map, rule, draft, errors);
  ReadDelivery(map, rule, draft, errors);
  rule.accrued = ReadOwnAccount(map, "accrued", rule, draft, errors);
  map.RefuseOtherKeys();
  std::vector<PostingRule>& rules = draft.catalog.posting_rules;
  const auto names = [](const PostingRule& of) {
    return std::tie(of.charge, of.plan, of.product, of.customer_class, of.region, of.currency, of.entity);
  };
  const auto twin =
      std::find_if(rules.begin(), rules.end(), [&](const PostingRule& other) { return names(other) == names(rule); });
  if (twin != rules.end()) {
    errors.Add(rule.line, Join({RuleName(rule), " stands at line ", std::to_string(twin->line), " already"}),
               "keep one of the two");
  }
  rules.push_back(std::move(rule));
}

// Whether there is a rule for all of the product in the entity's books, whatever else the line is.
bool HasRule(const Catalog& catalog, std::string_view product, std::string_view entity) {
  return std::any_of(catalog.posting_rules.begin(), catalog.posting_rules.end(), [&](const PostingRule& rule) {
    return rule.charge.empty() && rule.plan.empty() && rule.customer_class.empty() && rule.region.empty() &&
           rule.currency.empty() && (rule.product.empty() || rule.product == product) &&
           (rule.entity.empty() || rule.entity == entity);
  });
}

// A policy that no rule of the entity's can follow would quietly book late usage at once.
void CheckAccruals(const Catalog& catalog, FileErrors& errors) {
  for (const Entity& entity : catalog.entities) {
    if (entity.late_usage != LateUsage::kAccrue) continue;
    const bool has_account = std::ranges::any_of(catalog.posting_rules, [&](const PostingRule& rule) {
      return !rule.accrued.empty() && (rule.entity.empty() || rule.entity == entity.name);
    });
    if (has_account) continue;
    errors.Add(0, Join({"no posting rule says where late usage of entity ", Quoted(entity.name), " is accrued"}),
               "add `accrued: ...` to a rule, the account of what is accrued");
  }
}

}  // namespace

void ReadPosting(CatalogDraft& draft) {
  FileErrors errors("posting.yaml", &draft.errors);
  const std::optional<YamlNode> root = ReadRequiredYaml(draft, errors);
  if (!root) {
    draft.posting_complete = false;
    return;
  }
  YamlMap map(*root, "posting.yaml", errors);
  const YamlNode* list = map.Find("posting");
  draft.posting_complete = list != nullptr && list->kind == YamlNode::Kind::kList;
  for (const YamlNode& node : map.RequiredList("posting")) {
    ReadRule(node, draft, errors);
  }
  if (draft.posting_complete) CheckAccruals(draft.catalog, errors);
  draft.refuses_unmapped = map.Choice<bool>("unmapped", kUnmapped, false);
  map.RefuseOtherKeys();
}

void CheckPostingReached(CatalogDraft& draft) {
  if (!draft.posting_complete || !draft.refuses_unmapped) {
    return;
  }
  FileErrors errors("posting.yaml", &draft.errors);
  std::map<std::pair<std::string_view, std::string_view>, int> missing;
  for (const auto& [plan_and_entity, line] : draft.reached) {
    const std::string& entity = draft.catalog.entities[plan_and_entity.second].name;
    for (const Charge& charge : draft.catalog.plans[plan_and_entity.first].charges) {
      if (!charge.product.empty() && !HasRule(draft.catalog, charge.product, entity)) {
        missing.try_emplace({charge.product, entity}, line);
      }
    }
  }
  for (const auto& [product_and_entity, line] : draft.granted) {
    const std::string& entity = draft.catalog.entities[product_and_entity.second].name;
    if (!HasRule(draft.catalog, product_and_entity.first, entity)) {
      missing.try_emplace({product_and_entity.first, entity}, line);
    }
  }
  for (const auto& [product_and_entity, line] : missing) {
    errors.Add(
        0,
        Join({"no posting rule for product ", Quoted(product_and_entity.first), " and entity ",
              Quoted(product_and_entity.second), ", which subscriptions.csv:", std::to_string(line), " reaches"}),
        "add a rule for them, or one without a product or an entity, that names nothing else");
  }
}

}  // namespace tollbook
