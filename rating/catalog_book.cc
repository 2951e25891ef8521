// book.yaml, entities.yaml, chart.yaml: whose books, and which accounts.
#include <algorithm>
#include <array>

#include "rating/catalog_draft.h"

namespace tollbook {
namespace {

constexpr std::array<std::string_view, 5> kAccountTypes = {"asset", "liability", "equity", "revenue", "expense"};

// A colon parts the levels of an account in plain-text accounting.
bool IsAccountCode(std::string_view code) {
  std::string without_colons(code);
  std::erase(without_colons, ':');
  return IsKeyName(without_colons) && code.front() != ':' && code.back() != ':';
}

void ReadEntity(const YamlNode& node, CatalogDraft& draft, FileErrors& errors) {
  YamlMap map(node, "an entity", errors);
  Entity entity;
  const std::optional<std::string> name = RequiredKeyName(map, "name", errors);
  if (name) {
    map.SayAs(Join({"entity ", Quoted(*name)}));
    entity.name = *name;
    draft.entities.Define(*name, static_cast<uint32_t>(draft.catalog.entities.size()), map.LineOf("name"), errors);
  } else {
    draft.entities.SetIncomplete();
  }
  entity.zone = ReadZone(map, "zone", errors);
  entity.functional_currency = ReadCurrency(map, "functional_currency", errors).value_or(Currency());
  map.RefuseOtherKeys();
  draft.catalog.entities.push_back(std::move(entity));
}

void ReadAccount(const YamlNode& node, CatalogDraft& draft, FileErrors& errors) {
  YamlMap map(node, "an account", errors);
  Account account;
  const std::optional<std::string> code = map.RequiredText("code");
  if (code) {
    map.SayAs(Join({"account ", Quoted(*code)}));
    account.code = *code;
    draft.accounts.Define(*code, static_cast<uint32_t>(draft.catalog.accounts.size()), map.LineOf("code"), errors);
    if (!IsAccountCode(*code)) {
      errors.Add(map.LineOf("code"), Join({"\"code\" of an account is ", Quoted(*code)}),
                 "use 1 to 40 of: letters, digits, '.', '_', '-', and ':' between them");
    }
  } else {
    draft.accounts.SetIncomplete();
  }
  account.name = map.RequiredText("name").value_or("");
  account.type = map.RequiredText("type").value_or(std::string(kAccountTypes.front()));
  if (std::find(kAccountTypes.begin(), kAccountTypes.end(), account.type) == kAccountTypes.end()) {
    errors.Add(map.LineOf("type"), Join({"\"type\" of ", map.what(), " is ", Quoted(account.type)}),
               DidYouMean(account.type, kAccountTypes));
  }
  map.RefuseOtherKeys();
  draft.catalog.accounts.push_back(std::move(account));
}

}  // namespace

void ReadBook(CatalogDraft& draft) {
  FileErrors errors("book.yaml", &draft.errors);
  const std::optional<YamlNode> root = ReadRequiredYaml(draft, errors);
  if (!root) {
    return;
  }
  YamlMap map(*root, "book.yaml", errors);
  BookPolicy& book = draft.catalog.book;
  book.name = RequiredKeyName(map, "name", errors).value_or("");
  if (map.Required("zone") != nullptr) {
    const std::optional<Zone> zone = ReadZone(map, "zone", errors);
    draft.has_book_zone = zone.has_value();
    book.zone = zone.value_or(Zone());
  }
  book.rounding = map.Choice<Rounding>("rounding", kRoundings, Rounding::kHalfUp);
  map.RefuseOtherKeys();
}

void ReadEntities(CatalogDraft& draft) {
  FileErrors errors("entities.yaml", &draft.errors);
  const std::optional<YamlNode> root = ReadRequiredYaml(draft, errors);
  if (!root) {
    draft.entities.SetIncomplete();
    return;
  }
  YamlMap map(*root, "entities.yaml", errors);
  for (const YamlNode& node : ReadEntries(map, "entities", draft.entities)) {
    ReadEntity(node, draft, errors);
  }
  map.RefuseOtherKeys();
}

void ReadChart(CatalogDraft& draft) {
  FileErrors errors("chart.yaml", &draft.errors);
  const std::optional<YamlNode> root = ReadRequiredYaml(draft, errors);
  if (!root) {
    draft.accounts.SetIncomplete();
    return;
  }
  YamlMap map(*root, "chart.yaml", errors);
  for (const YamlNode& node : ReadEntries(map, "accounts", draft.accounts)) {
    ReadAccount(node, draft, errors);
  }
  map.RefuseOtherKeys();
}

}  // namespace tollbook
