// posting.yaml: which accounts an amount is booked to.
#include <algorithm>
#include <array>

#include "rating/catalog_draft.h"

namespace tollbook {
namespace {

constexpr std::array<std::pair<std::string_view, SummaryPolicy>, 2> kSummaries = {{
    {"daily", SummaryPolicy::kDaily},
    {"period", SummaryPolicy::kPeriod},
}};

std::string RuleName(const PostingRule& rule) {
  return Join({"the posting rule for ", rule.product.empty() ? "any product" : "product " + Quoted(rule.product),
               " and ", rule.entity.empty() ? "any entity" : "entity " + Quoted(rule.entity)});
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

// A wrong name here would not be noticed later: a more general rule would quietly book the amount elsewhere.
void ReadScope(YamlMap& map, PostingRule& rule, const CatalogDraft& draft, FileErrors& errors) {
  rule.product = map.Text("product").value_or("");
  rule.entity = map.Text("entity").value_or("");
  map.SayAs(RuleName(rule));
  if (!rule.product.empty()) {
    (void)draft.products.Refer(rule.product, map.what(), map.LineOf("product"), errors);
  }
  if (!rule.entity.empty()) {
    (void)draft.entities.Refer(rule.entity, map.what(), map.LineOf("entity"), errors);
  }
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
  for (auto& [name, value] : map.TextsByName("dimensions")) {
    rule.dimensions.emplace(name, std::move(value));
  }
  rule.summary = map.Choice<SummaryPolicy>("summary", kSummaries, SummaryPolicy::kDaily);
  map.RefuseOtherKeys();
  std::vector<PostingRule>& rules = draft.catalog.posting_rules;
  const auto twin = std::find_if(rules.begin(), rules.end(), [&](const PostingRule& other) {
    return other.product == rule.product && other.entity == rule.entity;
  });
  if (twin != rules.end()) {
    errors.Add(rule.line, Join({RuleName(rule), " stands at line ", std::to_string(twin->line), " already"}),
               "keep one of the two");
  }
  rules.push_back(std::move(rule));
}

bool HasRule(const Catalog& catalog, std::string_view product, std::string_view entity) {
  return std::any_of(catalog.posting_rules.begin(), catalog.posting_rules.end(), [&](const PostingRule& rule) {
    return (rule.product.empty() || rule.product == product) && (rule.entity.empty() || rule.entity == entity);
  });
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
  map.RefuseOtherKeys();
}

void CheckPostingReached(CatalogDraft& draft) {
  if (!draft.posting_complete) {
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
        "add a rule for them, or one without a product or an entity");
  }
}

}  // namespace tollbook
