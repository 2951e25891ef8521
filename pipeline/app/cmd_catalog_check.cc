#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "pipeline/app/commands.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/app/text.h"
#include "pipeline/catalog_dir.h"

namespace tollbook {
namespace {

size_t ChargesOf(const Catalog& catalog) {
  size_t charges = 0;
  for (const Plan& plan : catalog.plans) charges += plan.charges.size();
  return charges;
}

size_t SubjectsOf(const Catalog& catalog) {
  std::set<std::string_view> subjects;
  for (const Subscription& subscription : catalog.subscriptions) subjects.insert(subscription.subject);
  return subjects.size();
}

// File names and cells may hold any bytes; JSON may not.
std::string JsonText(const nlohmann::ordered_json& value) {
  return value.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// {"valid": false, "errors": ["catalog/plans.yaml:14: what: what to do", …]}
nlohmann::ordered_json ToJson(const absl::Status& wrong) {
  nlohmann::ordered_json errors = nlohmann::ordered_json::array();
  std::string_view rest = Std(wrong.message());
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    if (end != 0) errors.push_back(std::string(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {{"valid", false}, {"errors", std::move(errors)}};
}

nlohmann::ordered_json ToJson(const LoadedCatalog& loaded) {
  const Catalog& catalog = loaded.catalog;
  return {{"valid", true},
          {"book", catalog.book.name},
          {"entities", catalog.entities.size()},
          {"accounts", catalog.accounts.size()},
          {"meters", catalog.meters.size()},
          {"plans", catalog.plans.size()},
          {"charges", ChargesOf(catalog)},
          {"posting_rules", catalog.posting_rules.size()},
          {"subscriptions", catalog.subscriptions.size()},
          {"subjects", SubjectsOf(catalog)},
          {"sources", loaded.mappings.size()},
          {"digest", catalog.digest}};
}

std::string ToText(const LoadedCatalog& loaded) {
  const Catalog& catalog = loaded.catalog;
  Table table({{"in the catalog of " + catalog.book.name}, {"", true}});
  const auto add = [&](const std::string& what, size_t count) { table.Add({what, Grouped(uint64_t{count})}); };
  add("legal entities", catalog.entities.size());
  add("accounts", catalog.accounts.size());
  add("meters", catalog.meters.size());
  add("plans", catalog.plans.size());
  add("charges", ChargesOf(catalog));
  add("posting rules", catalog.posting_rules.size());
  add("subscription versions", catalog.subscriptions.size());
  add("subjects", SubjectsOf(catalog));
  add("source mappings", loaded.mappings.size());
  return table.ToText() + "No errors.\n";
}

}  // namespace

int CmdCatalogCheck(const CatalogCheckOptions& options) {
  const absl::StatusOr<LoadedCatalog> loaded = LoadCatalog(options.directory);
  if (!loaded.ok()) {
    if (!options.json) return Fail(loaded.status());
    const int printed = Print(JsonText(ToJson(loaded.status())));
    return printed == kDone ? kUsageOrCatalogError : printed;
  }
  return Print(options.json ? JsonText(ToJson(*loaded)) : ToText(*loaded));
}

}  // namespace tollbook
