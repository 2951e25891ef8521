#include "pipeline/targets.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "rating/catalog_draft.h"
#include "rating/catalog_errors.h"
#include "rating/yaml_text.h"

namespace tollbook {
namespace {

constexpr std::array<std::pair<std::string_view, TargetKind>, 4> kKinds = {{{"files", TargetKind::kFiles},
                                                                            {"webhook", TargetKind::kWebhook},
                                                                            {"tryton", TargetKind::kTryton},
                                                                            {"netsuite", TargetKind::kNetsuite}}};
constexpr std::array<std::pair<std::string_view, FileFormat>, 3> kFormats = {
    {{"csv", FileFormat::kCsv}, {"json", FileFormat::kJson}, {"ledger", FileFormat::kLedger}}};

bool IsAccountingPeriod(std::string_view text) {
  return text.size() == 7 && ParseDay(std::string(text) + "-01").has_value();
}

class TargetReader {
 public:
  TargetReader(const Catalog* catalog, FileErrors& errors) : catalog_(catalog), errors_(errors) {}

  std::vector<Target> ReadAll(const YamlNode& root) {
    std::vector<Target> targets;
    YamlMap map(root, std::string(kTargetsFile), errors_);
    for (const YamlNode& node : map.RequiredList("targets")) targets.push_back(ReadTarget(node));
    map.RefuseOtherKeys();
    return targets;
  }

 private:
  Target ReadTarget(const YamlNode& node) {
    Target target;
    target.line = node.line;
    YamlMap map(node, "a target", errors_);
    if (const std::optional<std::string> name = RequiredKeyName(map, "name", errors_)) {
      target.name = *name;
      map.SayAs("target " + Quoted(*name));
      if (!names_.insert(*name).second) {
        errors_.Add(map.LineOf("name"), "two targets are named " + Quoted(*name),
                    "rename one of the two: what was delivered is remembered by the name");
      }
    }
    map.Required("kind");
    target.kind = map.Choice<TargetKind>("kind", kKinds, TargetKind::kFiles);
    ReadScope(map, &target);
    ReadLimits(map, &target);
    ReadPace(map, &target);
    if (map.Find("kind") != nullptr) ReadKind(map, &target);
    map.RefuseOtherKeys();
    return target;
  }

  void ReadKind(YamlMap& map, Target* target) {
    if (target->kind == TargetKind::kFiles) {
      target->directory = map.RequiredText("directory").value_or("");
      map.Required("format");
      target->quiet_seconds = 0;  // a directory says at once what is in it
      target->format = map.Choice<FileFormat>("format", kFormats, FileFormat::kCsv);
      return;
    }
    ReadHttp(map, target);
    if (target->kind == TargetKind::kWebhook) {
      target->secret = ReadSecretReference(map, "secret", errors_);
      map.Required("deduplicates");
      target->deduplicates = map.Bool("deduplicates", false);
      target->auth = ReadAuth(map, map.Bool("plain_http", false), errors_);
      return;
    }
    if (target->kind == TargetKind::kNetsuite) return ReadNetsuite(map, target);
    target->user = map.RequiredText("user").value_or("");
    target->secret = ReadSecretReference(map, "password", errors_);
    target->journal = map.RequiredText("journal").value_or("");
    ReadCompanies(map, target, "companies");
    ReadAccounts(map, target);
  }

  void ReadNetsuite(YamlMap& map, Target* target) {
    map.Required("auth");
    target->auth = ReadAuth(map, map.Bool("plain_http", false), errors_);
    ReadCompanies(map, target, "subsidiaries");
    map.Required("accounts");
    ReadAccounts(map, target);
    map.Required("currencies");
    for (auto& [code, id] : map.TextsByName("currencies")) {
      if (!Currency::FromCode(code)) {
        errors_.Add(map.LineOf("currencies"), map.what() + " names " + Quoted(code) + ", no currency",
                    std::string(kCurrencyAdvice));
      }
      target->currencies.emplace(code, std::move(id));
    }
    for (auto& [ours, theirs] : map.TextsByName("dimensions")) {
      const std::string_view field = std::string_view(theirs).substr(0, theirs.find('='));
      const bool is_field = field == "department" || field == "class" || field == "location";
      if (!is_field || theirs.size() < field.size() + 2 || ours.find('=') == std::string::npos) {
        errors_.Add(map.LineOf("dimensions"), map.what() + " maps " + Quoted(ours) + " to " + Quoted(theirs),
                    "write \"name=value\": \"department=ID\", or class or location in its place");
      }
      target->dimensions.emplace(ours, std::move(theirs));
    }
  }

  void ReadAccounts(YamlMap& map, Target* target) {
    for (auto& [ours, theirs] : map.TextsByName("accounts")) {
      CheckAccount(ours, map, "accounts");
      target->accounts.emplace(ours, std::move(theirs));
    }
  }

  void ReadScope(YamlMap& map, Target* target) {
    target->entities = map.Texts("entities");
    for (const std::string& entity : target->entities) CheckEntity(entity, map, "entities");
    target->from = map.Text("from").value_or("");
    if (!target->from.empty() && !IsAccountingPeriod(target->from)) {
      errors_.Add(map.LineOf("from"), map.what() + " begins with " + Quoted(target->from) + ", no accounting period",
                  "write the first period that it gets, such as \"2025-01\"");
    }
  }

  void ReadLimits(YamlMap& map, Target* target) {
    const YamlNode* node = map.Find("limits");
    if (node == nullptr) return;
    YamlMap limits(*node, "the limits of " + map.what(), errors_);
    target->lines_max = ReadWhole(limits, "lines", 0, 1, 1'000'000);
    for (const auto& [code, text] : limits.TextsByName("amount")) {
      const std::optional<Currency> currency = Currency::FromCode(code);
      const ParsedDecimal amount = ParseDecimal(text, currency ? currency->minor_digits() : 0);
      if (!currency) {
        errors_.Add(limits.LineOf("amount"), limits.what() + " name " + Quoted(code) + ", no currency",
                    std::string(kCurrencyAdvice));
      } else if (amount.error != DecimalError::kNone || amount.value <= 0) {
        errors_.Add(limits.LineOf("amount"), limits.what() + " have " + Quoted(text) + ", no amount of " + code,
                    "write a positive number with no more decimals than the currency has");
      } else {
        target->amount_max[code] = amount.value;
      }
    }
    limits.RefuseOtherKeys();
  }

  void ReadPace(YamlMap& map, Target* target) {
    if (const YamlNode* node = map.Find("retry")) {
      YamlMap retry(*node, "the retry of " + map.what(), errors_);
      target->retry_first_seconds = ReadWhole(retry, "first_seconds", target->retry_first_seconds, 1, 3600);
      target->retry_cap_seconds = ReadWhole(retry, "cap_seconds", target->retry_cap_seconds, 1, 86'400);
      retry.RefuseOtherKeys();
      if (target->retry_cap_seconds < target->retry_first_seconds) {
        errors_.Add(retry.line(), retry.what() + " ends below where it begins", "make cap_seconds the larger one");
      }
    }
  }

  void ReadHttp(YamlMap& map, Target* target) {
    const bool plain = map.Bool("plain_http", false);
    target->http.url = ReadUrl(map, "url", plain, errors_);
    target->http.ca_file = map.Text("ca_file").value_or("");
    target->http.timeout_seconds = ReadWhole(map, "timeout_seconds", target->http.timeout_seconds, 1, 3600);
    if (target->kind == TargetKind::kNetsuite) target->quiet_seconds = 900;  // a request there ends after 15 minutes
    target->quiet_seconds = ReadWhole(map, "quiet_seconds", target->quiet_seconds, 0, 86'400);
  }

  void ReadCompanies(YamlMap& map, Target* target, std::string_view key) {
    map.Required(key);
    for (auto& [entity, company] : map.TextsByName(key)) {
      CheckEntity(entity, map, key);
      target->companies.emplace(entity, std::move(company));
    }
    if (catalog_ == nullptr || map.Find(key) == nullptr) return;
    for (const Entity& entity : catalog_->entities) {
      const bool concerned = target->entities.empty() || std::find(target->entities.begin(), target->entities.end(),
                                                                   entity.name) != target->entities.end();
      if (concerned && !target->companies.contains(entity.name)) {
        errors_.Add(map.LineOf(key),
                    map.what() + " has no " + (key == "companies" ? "company" : "subsidiary") + " for entity " +
                        Quoted(entity.name),
                    "add its name in the ERP, or list under `entities` those that the target is for");
      }
    }
  }

  void CheckEntity(const std::string& name, YamlMap& map, std::string_view key) {
    if (catalog_ == nullptr) return;
    const bool known = std::any_of(catalog_->entities.begin(), catalog_->entities.end(),
                                   [&](const Entity& entity) { return entity.name == name; });
    if (known) return;
    std::vector<std::string_view> names;
    for (const Entity& entity : catalog_->entities) names.push_back(entity.name);
    errors_.Add(map.LineOf(key), map.what() + " names entity " + Quoted(name) + ", which entities.yaml does not have",
                DidYouMean(name, names));
  }

  void CheckAccount(const std::string& code, YamlMap& map, std::string_view key) {
    if (catalog_ == nullptr) return;
    const bool known = std::any_of(catalog_->accounts.begin(), catalog_->accounts.end(),
                                   [&](const Account& account) { return account.code == code; });
    if (known) return;
    errors_.Add(map.LineOf(key), map.what() + " names account " + Quoted(code) + ", which chart.yaml does not have",
                "write our code first, then the one of the target");
  }

  uint32_t ReadWhole(YamlMap& map, std::string_view key, uint32_t otherwise, uint32_t least, uint32_t most) {
    const std::optional<std::string> text = map.Text(key);
    if (!text) return otherwise;
    const ParsedDecimal number = ParseDecimal(*text, 0);
    if (number.error == DecimalError::kNone && number.value >= least && number.value <= most) {
      return static_cast<uint32_t>(number.value);
    }
    errors_.Add(map.LineOf(key), Quoted(*text) + " as " + std::string(key) + " of " + map.what() + " is not taken",
                "write a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    return otherwise;
  }

  const Catalog* catalog_;
  FileErrors& errors_;
  std::set<std::string> names_;
};

}  // namespace

std::string_view Word(TargetKind kind) {
  return kKinds[static_cast<size_t>(kind)].first;
}

ParsedTargets ParseTargets(std::string_view text, const Catalog* catalog) {
  ParsedTargets parsed;
  FileErrors errors{std::string(kTargetsFile), &parsed.errors};
  const std::optional<YamlNode> root = ReadYaml(text, errors);
  if (root && root->kind != YamlNode::Kind::kNull) parsed.targets = TargetReader(catalog, errors).ReadAll(*root);
  if (!parsed.errors.empty()) parsed.targets.clear();
  return parsed;
}

std::vector<Target> TargetsOf(const Catalog& catalog) {
  const auto file = catalog.files().find(std::string(kTargetsFile));
  if (file == catalog.files().end()) return {};
  return ParseTargets(file->second, &catalog).targets;
}

bool Concerns(const Target& target, const JournalBatch& batch) {
  const std::vector<std::string>& entities = target.entities;
  if (!entities.empty() && std::find(entities.begin(), entities.end(), batch.entity) == entities.end()) return false;
  return batch.accounting_period >= target.from;
}

std::string BeyondLimits(const Target& target, const JournalBatch& batch) {
  if (target.lines_max > 0 && batch.lines.size() > target.lines_max) {
    return std::to_string(batch.lines.size()) + " lines, and the limit is " + std::to_string(target.lines_max);
  }
  const auto limit = target.amount_max.find(std::string(batch.currency.code()));
  if (limit == target.amount_max.end()) return "";
  Int128 debits = 0;
  for (const JournalLine& line : batch.lines) {
    if (__builtin_add_overflow(debits, line.amount().minor, &debits)) return "more than can be added up";
  }
  if (debits <= limit->second) return "";
  return ToString(Money{batch.currency, debits}) + " " + limit->first + ", and the limit is " +
         ToString(Money{batch.currency, limit->second});
}

UrlHead HeadOf(std::string_view url) {
  UrlHead head;
  for (const std::string_view scheme : {std::string_view("https"), std::string_view("http")}) {
    const std::string prefix = std::string(scheme) + "://";
    if (url.starts_with(prefix)) {
      head.scheme = scheme;
      url.remove_prefix(prefix.size());
      break;
    }
  }
  if (head.scheme.empty()) return head;
  const std::string_view authority = url.substr(0, url.find_first_of("/?#"));
  const bool plain =
      authority.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]") ==
      std::string_view::npos;
  if (!plain || url.find('#') != std::string_view::npos) return head;  // a user or password, among others
  for (const char c : authority) head.host += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return head;
}

}  // namespace tollbook
