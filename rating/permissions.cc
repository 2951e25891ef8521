#include "rating/permissions.h"

#include <algorithm>

#include "rating/catalog.h"
#include "rating/catalog_permissions.h"

namespace tollbook {
namespace {

constexpr std::string_view kAccount = "account:";

// By Act: the key, and what it lets somebody do.
struct ActWords {
  std::string_view key;
  std::string_view what;
};
constexpr std::array<ActWords, kActs> kActWords = {{
    {"adjust", "adjust soft-closed periods"},
    {"reopen", "open periods"},
    {"approve", "approve or reject batches"},
    {"close", "close periods"},
}};

std::optional<Permissions::Rule> ReadRule(YamlMap& map, std::string_view key, FileErrors& errors) {
  const YamlNode* const node = map.Find(key);
  if (node == nullptr) return std::nullopt;
  Permissions::Rule rule{map.Texts(key), map.LineOf(key)};
  if (node->kind == YamlNode::Kind::kNull || (node->kind == YamlNode::Kind::kList && node->items.empty())) {
    errors.Add(rule.line, "\"" + std::string(key) + "\" of " + map.what() + " names nobody",
               "name who may, or leave it out to let everybody");
  }
  for (const std::string& name : rule.names) {
    if (name != kAccount) continue;
    errors.Add(rule.line, "\"" + std::string(key) + "\" of " + map.what() + " has \"" + name + "\"",
               "name the account of the operating system, such as account:ann");
  }
  return rule;
}

bool Names(const Permissions::Rule& rule, const Actor& actor) {
  return std::ranges::any_of(rule.names, [&](std::string_view name) {
    if (name.starts_with(kAccount)) return !actor.account.empty() && name.substr(kAccount.size()) == actor.account;
    return !actor.by.empty() && name == actor.by;
  });
}

}  // namespace

Permissions ReadPermissions(YamlMap& entity, FileErrors& errors) {
  Permissions permissions;
  const YamlNode* const node = entity.Find("may");
  if (node == nullptr || node->kind == YamlNode::Kind::kNull) return permissions;
  YamlMap map(*node, "who may, of " + entity.what(), errors);
  for (int act = 0; act < kActs; ++act) permissions.rules[act] = ReadRule(map, kActWords[act].key, errors);
  map.RefuseOtherKeys();
  return permissions;
}

absl::Status CheckPermission(const Catalog& catalog, std::string_view entity, Act act, const Actor& actor) {
  const auto of_entity = std::ranges::find(catalog.entities, entity, &Entity::name);
  if (of_entity == catalog.entities.end()) return absl::OkStatus();
  const std::optional<Permissions::Rule>& rule = of_entity->permissions.rules[static_cast<int>(act)];
  if (!rule || Names(*rule, actor)) return absl::OkStatus();
  const ActWords& words = kActWords[static_cast<int>(act)];
  std::string who(actor.by.empty() ? "nobody by name" : actor.by);
  if (!actor.account.empty()) who.append(", by the account ").append(actor.account);
  std::string may;
  for (const std::string& name : rule->names) may += (may.empty() ? "" : ", ") + name;
  return MakeError(absl::StatusCode::kPermissionDenied,
                   "not one of those who may " + std::string(words.what) + " of " + std::string(entity), who,
                   "entities.yaml:" + std::to_string(rule->line) + " has " + std::string(words.key) + ": [" + may +
                       "]; have one of them decide it");
}

}  // namespace tollbook
