#include "pipeline/targets.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <unordered_set>

#include "rating/catalog_csv.h"
#include "rating/catalog_draft.h"
#include "rating/catalog_errors.h"
#include "rating/committed.h"
#include "rating/yaml_text.h"

namespace tollbook {
namespace {

constexpr std::array<std::pair<std::string_view, TargetKind>, 14> kKinds = {{{"files", TargetKind::kFiles},
                                                                             {"webhook", TargetKind::kWebhook},
                                                                             {"tryton", TargetKind::kTryton},
                                                                             {"netsuite", TargetKind::kNetsuite},
                                                                             {"dynamics", TargetKind::kDynamics},
                                                                             {"sap", TargetKind::kSap},
                                                                             {"oracle", TargetKind::kOracle},
                                                                             {"stripe", TargetKind::kStripe},
                                                                             {"chargebee", TargetKind::kChargebee},
                                                                             {"maxio", TargetKind::kMaxio},
                                                                             {"zuora", TargetKind::kZuora},
                                                                             {"salesforce", TargetKind::kSalesforce},
                                                                             {"gainsight", TargetKind::kGainsight},
                                                                             {"totango", TargetKind::kTotango}}};
constexpr std::array<std::pair<std::string_view, FileFormat>, 4> kFormats = {{{"csv", FileFormat::kCsv},
                                                                              {"json", FileFormat::kJson},
                                                                              {"ledger", FileFormat::kLedger},
                                                                              {"parquet", FileFormat::kParquet}}};

// They are told what was used, and price it themselves.
bool IsBilling(TargetKind kind) {
  return kind == TargetKind::kStripe || kind == TargetKind::kChargebee || kind == TargetKind::kMaxio ||
         kind == TargetKind::kZuora;
}

// They may be told whose a journal's line is.
bool NamesCustomers(TargetKind kind) {
  return kind == TargetKind::kTryton || kind == TargetKind::kNetsuite || kind == TargetKind::kDynamics;
}

// They are told how accounts stand.
bool IsOfAccounts(TargetKind kind) {
  return kind == TargetKind::kSalesforce || kind == TargetKind::kGainsight || kind == TargetKind::kTotango;
}

// Where SAP shows the items of documents, by the entry view.
constexpr std::string_view kSapItems = "/sap/opu/odata/sap/API_OPLACCTGDOCITEMCUBE_SRV/A_OperationalAcctgDocItemCube";

constexpr std::array<std::pair<std::string_view, Priority>, kPriorities> kPriorityWords = {
    {{"high", Priority::kHigh}, {"normal", Priority::kNormal}, {"low", Priority::kLow}}};

constexpr size_t kCodeBytesMax = 100;  // of a code or an id there

// How many requests bring a delivery from one step that is kept, by the book or by the target, to the next: of a
// process that has no session yet. Those for OAuth tokens are not counted.
uint32_t RequestsInARow(const Target& target) {
  switch (target.kind) {
    case TargetKind::kTryton:
      // Login, company, its moves; journal, period and accounts, twice, and the parties; the move that is made.
      return target.customer_accounts.empty() ? 10 : 12;
    case TargetKind::kDynamics:
      return 3;  // of a journal that is there: it, its lines, and one line more
    case TargetKind::kOracle:
      return 3;  // its name, the request that was made before, and a new one
    case TargetKind::kNetsuite:
    case TargetKind::kSap:
    case TargetKind::kChargebee:
      return 2;
    case TargetKind::kZuora:
      return target.key_field.empty() ? 1 : 2;
    case TargetKind::kStripe:
      return target.meters.empty() ? 1 : 100;  // sums, of as many items as a report has
    default:
      return 1;
  }
}

bool IsAccountingPeriod(std::string_view text) {
  return text.size() == 7 && ParseDay(std::string(text) + "-01").has_value();
}

class TargetReader {
 public:
  TargetReader(const Catalog* catalog, FileErrors& errors) : catalog_(catalog), errors_(errors) {}

  std::vector<Target> ReadAll(const YamlNode& root) {
    std::vector<Target> targets;
    YamlMap map(root, std::string(kTargetsFile), errors_);
    ReadRegions(map);
    for (const YamlNode& node : map.RequiredList("targets")) targets.push_back(ReadTarget(node));
    map.RefuseOtherKeys();
    for (const auto& [target, poster] : posters_) FindPoster(targets[target], poster, targets);
    return targets;
  }

 private:
  Target ReadTarget(const YamlNode& node) {
    Target target;
    target.line = node.line;
    ++read_;
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
    ReadPriorities(map, &target);
    if (!IsBilling(target.kind) && !IsOfAccounts(target.kind)) ReadLimits(map, &target);
    ReadPace(map, &target);
    ReadWindows(map, &target);
    if (map.Find("kind") != nullptr) ReadKind(map, &target);
    CheckRequestsOfDay(map, target);
    map.RefuseOtherKeys();
    return target;
  }

  // What a day is too short for is begun anew every day, and never ends.
  void CheckRequestsOfDay(const YamlMap& map, const Target& target) {
    const uint32_t in_a_row = RequestsInARow(target), per_day = target.requests.per_day;
    if (per_day == 0 || per_day >= in_a_row) return;
    errors_.Add(map.LineOf("requests"),
                map.what() + " may be sent " + std::to_string(per_day) + " a day, and one delivery takes " +
                    std::to_string(in_a_row) + " requests in a row, for it is looked for before it is sent",
                "let `per_day` be " + std::to_string(in_a_row) + " at least, or leave it out");
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
      ReadWindow(map, target);
      if (map.Find("answer_names_key") == nullptr) {
        errors_.Add(map.line(), map.what() + " does not say whether its receiver's answers name the webhook-id",
                    "write `answer_names_key: true`, and only an answer that does is believed; `false` where whatever "
                    "answers 2xx is the receiver, and no proxy before it");
      }
      target->answer_names_key = map.Bool("answer_names_key", false);
      target->auth = ReadAuth(map, map.Bool("plain_http", false), errors_);
      ReadEvents(map, target);
      return;
    }
    if (target->kind == TargetKind::kZuora) return ReadZuora(map, target);
    if (IsBilling(target->kind)) {
      target->secret = ReadSecretReference(map, "api_key", errors_);
      target->same_ids = map.Bool("same_ids", false);
      ReadCharges(map, target);
      if (target->kind == TargetKind::kStripe) ReadMeters(map, target);
      return;
    }
    if (IsOfAccounts(target->kind)) return ReadAccountTarget(map, target);
    if (target->kind == TargetKind::kNetsuite) return ReadNetsuite(map, target);
    if (target->kind == TargetKind::kDynamics) return ReadDynamics(map, target);
    if (target->kind == TargetKind::kSap) return ReadSap(map, target);
    if (target->kind == TargetKind::kOracle) return ReadOracle(map, target);
    target->user = map.RequiredText("user").value_or("");
    target->secret = ReadSecretReference(map, "password", errors_);
    target->journal = map.RequiredText("journal").value_or("");
    ReadCompanies(map, target, "companies");
    ReadAccounts(map, target);
    ReadCustomerAccounts(map, target);
  }

  // Of lines that name whose they are there.
  void ReadCustomerAccounts(YamlMap& map, Target* target) {
    for (const std::string& account : map.Texts("customer_accounts")) {
      CheckAccount(account, map, "customer_accounts");
      CheckSaysCustomer(*target, account, map);
      target->customer_accounts.insert(account);
    }
  }

  // Each rule that posts to the account must say whose a line is, or its batches would be parked.
  void CheckSaysCustomer(const Target& target, const std::string& account, YamlMap& map) {
    if (catalog_ == nullptr) return;
    for (const PostingRule& rule : catalog_->posting_rules) {
      const auto accounts = {&rule.debit, &rule.credit, &rule.deferred, &rule.due_to, &rule.due_from, &rule.accrued};
      const bool posts =
          std::any_of(accounts.begin(), accounts.end(), [&](const std::string* one) { return *one == account; });
      const bool is_for = rule.entity.empty() || Gets(target, rule.entity);
      if (!posts || !is_for || rule.by_subscription) continue;
      errors_.Add(map.LineOf("customer_accounts"),
                  map.what() + " wants the customer of each line of account " + Quoted(account) +
                      ", which a posting rule adds up for all of them",
                  "write `lines: by_subscription` in that rule of posting.yaml, or leave the account out");
      return;
    }
  }

  // "sales tax group/item sales tax group" of our tax codes, and the accounts whose lines have them.
  void ReadTaxCodes(YamlMap& map, Target* target) {
    for (const auto& [ours, theirs] : map.TextsByName("tax_codes")) {
      const size_t slash = theirs.find('/');
      const bool is_pair = slash != std::string::npos && slash > 0 && slash + 1 < theirs.size() &&
                           theirs.find('/', slash + 1) == std::string::npos;
      if (!is_pair) {
        errors_.Add(map.LineOf("tax_codes"), map.what() + " maps tax code " + Quoted(ours) + " to " + Quoted(theirs),
                    "write the sales tax group and the item sales tax group there: \"DOM/FULL\"");
        continue;
      }
      target->tax_codes.emplace(ours, std::pair(theirs.substr(0, slash), theirs.substr(slash + 1)));
    }
    for (const std::string& account : map.Texts("tax_accounts")) {
      CheckAccount(account, map, "tax_accounts");
      target->tax_accounts.insert(account);
    }
    const bool has_codes = map.Find("tax_codes") != nullptr, has_accounts = map.Find("tax_accounts") != nullptr;
    if (has_codes == has_accounts) return;
    errors_.Add(
        map.LineOf(has_codes ? "tax_codes" : "tax_accounts"),
        map.what() + " has " + (has_codes ? "tax_codes, and no tax_accounts" : "tax_accounts, and no tax_codes"),
        "say both: what our codes are there, and which accounts' lines are taxed, as those of revenue are");
  }

  // `auth`, and a code there of every entity and account.
  void ReadErp(YamlMap& map, Target* target, std::string_view companies) {
    map.Required("auth");
    target->auth = ReadAuth(map, map.Bool("plain_http", false), errors_);
    ReadCompanies(map, target, companies);
    map.Required("accounts");
    ReadAccounts(map, target);
  }

  void ReadNetsuite(YamlMap& map, Target* target) {
    ReadErp(map, target, "subsidiaries");
    map.Required("currencies");
    for (auto& [code, id] : map.TextsByName("currencies")) {
      if (!Currency::FromCode(code)) {
        errors_.Add(map.LineOf("currencies"), map.what() + " names " + Quoted(code) + ", no currency",
                    std::string(kCurrencyAdvice));
      }
      target->currencies.emplace(code, std::move(id));
    }
    ReadDimensions(map, target, {"department", "class", "location"});
    ReadCustomerAccounts(map, target);
  }

  void ReadDynamics(YamlMap& map, Target* target) {
    ReadErp(map, target, "companies");
    ReadCustomerAccounts(map, target);
    ReadTaxCodes(map, target);
    target->journal = map.RequiredText("journal_name").value_or("");
    target->segments = map.Texts("segments");
    for (auto& [ours, theirs] : map.TextsByName("dimensions")) {
      const std::string name = ours.substr(0, ours.find('='));
      const std::vector<std::string>& segments = target->segments;
      if (name == ours || std::find(segments.begin(), segments.end(), name) == segments.end()) {
        errors_.Add(map.LineOf("dimensions"), map.what() + " maps " + Quoted(ours) + ", of no segment",
                    "write \"name=value\", and list the name under `segments`");
      }
      target->dimensions.emplace(ours, std::move(theirs));
    }
  }

  void ReadSap(YamlMap& map, Target* target) {
    ReadErp(map, target, "company_codes");
    target->user = map.RequiredText("created_by").value_or("");
    target->journal = map.RequiredText("document_type").value_or("");
    target->items_path = map.Text("items_path").value_or(std::string(kSapItems));
    if (!target->items_path.starts_with('/') || target->items_path.find_first_of("?# ") != std::string::npos) {
      errors_.Add(map.LineOf("items_path"), map.what() + " has an items_path that is not taken",
                  "write the path of the entity set, such as " + std::string(kSapItems));
    }
    ReadDimensions(map, target, {"CostCenter", "ProfitCenter", "WBSElement"});
  }

  void ReadOracle(YamlMap& map, Target* target) {
    ReadErp(map, target, "ledgers");
    target->data_access_set = ReadOracleName(map, "data_access_set");
    target->journal = ReadOracleName(map, "journal_source");
    target->category = ReadOracleName(map, "journal_category");
    target->resend_after_seconds = ReadWhole(map, "resend_after_seconds", 0, 1, 7 * 86'400);
    for (auto& [entity, ledger] : target->companies) {
      if (ledger.find_first_not_of("0123456789") == std::string::npos && !ledger.empty()) continue;
      errors_.Add(map.LineOf("ledgers"), map.what() + " has " + Quoted(ledger) + " as the ledger of " + Quoted(entity),
                  "write the ledger's id there, a whole number");
    }
    std::set<std::string> of_segments;  // the dimensions that its accounts name
    for (const auto& [ours, theirs] : target->accounts) {
      if (AddSegments(theirs, &of_segments)) continue;
      errors_.Add(map.LineOf("accounts"), map.what() + " has no account of 1 to 30 segments for " + Quoted(ours),
                  "write the segments in their order, with a dot between two: \"12.{region}.4000\"");
    }
    std::set<std::string> mapped;
    for (auto& [ours, theirs] : map.TextsByName("dimensions")) {
      const size_t sign = ours.find('=');
      const std::string name = ours.substr(0, sign);
      if (sign == std::string::npos) {
        errors_.Add(map.LineOf("dimensions"), map.what() + " maps " + Quoted(ours) + ", no dimension's value",
                    "write \"name=value\", or \"name=\" for lines that have none");
      } else if (!of_segments.contains(name)) {
        errors_.Add(map.LineOf("dimensions"), map.what() + " maps " + Quoted(ours) + ", of no segment of its accounts",
                    "write the segment as {" + name + "}, or leave the value out");
      } else {
        CheckDimension(name, map);
      }
      mapped.insert(name);
      target->dimensions.emplace(ours, std::move(theirs));
    }
    for (const std::string& name : of_segments) {
      if (mapped.contains(name)) continue;
      errors_.Add(map.LineOf("accounts"), map.what() + " has a segment {" + name + "}, and no value of it",
                  "write its values under `dimensions`: \"" + name + "=eu\": \"002\", or \"" + name +
                      "=\" for lines that have none");
    }
  }

  // The dimensions that the segments of an account of Oracle's name; false: it is none.
  static bool AddSegments(std::string_view account, std::set<std::string>* dimensions) {
    constexpr size_t kSegmentsMax = 30;
    for (size_t segments = 1; segments <= kSegmentsMax; ++segments) {
      const size_t dot = account.find('.');
      std::string_view segment = account.substr(0, dot);
      const bool is_named = segment.starts_with('{') && segment.ends_with('}');
      if (is_named) segment = segment.substr(1, segment.size() - 2);
      if (segment.empty() || segment.find_first_of("{}") != std::string_view::npos) return false;
      if (is_named) dimensions->emplace(segment);
      if (dot == std::string_view::npos) return true;
      account.remove_prefix(dot + 1);
    }
    return false;
  }

  // A name that no posting rule gives, and that is nearly one which some rule does.
  void CheckDimension(const std::string& name, YamlMap& map) {
    if (catalog_ == nullptr) return;
    std::set<std::string_view> known = {kProductDimension};
    for (const PostingRule& rule : catalog_->posting_rules) {
      for (const auto& [dimension, value] : rule.dimensions) known.insert(dimension);
    }
    const std::vector<std::string_view> names(known.begin(), known.end());
    if (known.contains(name) || NearestWord(name, names).empty()) return;
    errors_.Add(map.LineOf("dimensions"), map.what() + " names dimension " + Quoted(name) + ", which no line has",
                DidYouMean(name, names));
  }

  // A place of the import's list of parameters, whose places a comma ends.
  std::string ReadOracleName(YamlMap& map, std::string_view key) {
    std::string text = map.RequiredText(key).value_or("");
    if (text.find(',') != std::string::npos) {
      errors_.Add(map.LineOf(key), Quoted(text) + " as " + std::string(key) + " of " + map.what() + " has a comma",
                  "write the name or id that it has there");
    }
    return text;
  }

  // "name=value": "field=code" of one of three fields.
  void ReadDimensions(YamlMap& map, Target* target, const std::array<std::string_view, 3>& fields) {
    for (auto& [ours, theirs] : map.TextsByName("dimensions")) {
      const std::string_view field = std::string_view(theirs).substr(0, theirs.find('='));
      const bool is_field = std::find(fields.begin(), fields.end(), field) != fields.end();
      if (!is_field || theirs.size() < field.size() + 2 || ours.find('=') == std::string::npos) {
        errors_.Add(map.LineOf("dimensions"), map.what() + " maps " + Quoted(ours) + " to " + Quoted(theirs),
                    "write \"name=value\": \"" + std::string(fields[0]) + "=ID\", or " + std::string(fields[1]) +
                        " or " + std::string(fields[2]) + " in its place");
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

  void ReadZuora(YamlMap& map, Target* target) {
    map.Required("auth");
    target->auth = ReadAuth(map, map.Bool("plain_http", false), errors_);
    if (map.Find("key_field") != nullptr) target->key_field = ReadApiName(map, "key_field");
    ReadCharges(map, target);
  }

  void ReadAccountTarget(YamlMap& map, Target* target) {
    if (target->kind != TargetKind::kTotango) map.Required("auth");
    target->auth = ReadAuth(map, map.Bool("plain_http", false), errors_);
    target->same_ids = map.Bool("same_ids", false);
    constexpr std::array<std::pair<std::string_view, bool>, 2> kPer = {{{"account", false}, {"subscription", true}}};
    target->per_subscription = map.Choice<bool>("per", kPer, false);
    if (target->kind == TargetKind::kTotango) {
      ReadTotango(map, target);
    } else {
      target->object = ReadApiName(map, "object");
      target->external_id = ReadApiName(map, "external_id");
    }
    ReadFields(map, target);
    if (target->kind == TargetKind::kSalesforce) ReadSalesforce(map, target);
    if (target->kind == TargetKind::kGainsight) CheckGainsight(map, *target);
  }

  void CheckGainsight(YamlMap& map, const Target& target) {
    if (target.object == "Company" || target.object.ends_with("__gc") || target.object.empty()) return;
    errors_.Add(map.LineOf("object"), map.what() + " has " + Quoted(target.object) + " as its object",
                "write Company, or the name of a custom object, which ends with __gc");
  }

  void ReadTotango(YamlMap& map, Target* target) {
    target->service_id = map.RequiredText("service_id").value_or("");
    const std::string_view id = target->service_id;
    const bool is_id = id.starts_with("SP-") && std::count(id.begin(), id.end(), '-') == 2 && id.back() != '-' &&
                       id.find("--") == std::string_view::npos &&
                       id.substr(3).find_first_not_of("0123456789-") == std::string_view::npos;
    if (is_id || id.empty()) return;
    errors_.Add(map.LineOf("service_id"), map.what() + " has " + Quoted(id) + " as its service_id",
                "write the id of the service there, such as SP-1234-11");
  }

  void ReadSalesforce(YamlMap& map, Target* target) {
    target->api_version = map.RequiredText("api_version").value_or("v60.0");
    const std::string& version = target->api_version;
    const size_t dot = version.find('.');
    const auto is_number = [](std::string_view text) {
      return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
    };
    if (version.starts_with('v') && dot != std::string::npos && is_number(version.substr(1, dot - 1)) &&
        is_number(version.substr(dot + 1))) {
      return;
    }
    errors_.Add(map.LineOf("api_version"), map.what() + " has " + Quoted(version) + " as its api_version",
                "write the version of the REST API, such as v60.0");
  }

  // A name of the target's own that stands in paths: letters, digits and underscores.
  std::string ReadApiName(YamlMap& map, std::string_view key) {
    const std::string name = map.RequiredText(key).value_or("");
    if (!name.empty() && !IsApiName(name)) {
      errors_.Add(map.LineOf(key), map.what() + " has " + Quoted(name) + " as its " + std::string(key),
                  "write its API name there: letters, digits and underscores");
    }
    return name;
  }

  static bool IsApiName(std::string_view name, const std::string& more = "") {
    constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    return !name.empty() && name.size() <= kCodeBytesMax && kLetters.find(name.front()) != std::string_view::npos &&
           name.find_first_not_of(std::string(kLetters) + "0123456789_" + more) == std::string_view::npos;
  }

  void ReadFields(YamlMap& map, Target* target) {
    map.Required("fields");
    std::set<std::string> names = {target->external_id};
    bool has_posting = false;
    for (auto& [fact, name] : map.TextsByName("fields")) {
      const int line = map.LineOf("fields");
      std::optional<AccountField> field = ParseAccountFact(fact);
      if (!field) {
        std::string words;
        for (const AccountFactWord& known : kAccountFacts) {
          words.append(words.empty() ? "" : ", ").append(known.word);
          words += known.of == FactOf::kAccount ? "" : known.of == FactOf::kCurrency ? "/CURRENCY" : "/CHARGE";
        }
        errors_.Add(line, map.what() + " maps " + Quoted(fact) + ", no fact of an account", "use " + words);
        continue;
      }
      CheckFact(*field, map);
      const bool takes_blanks = target->kind == TargetKind::kTotango;
      if (!IsApiName(name, takes_blanks ? " " : "")) {
        errors_.Add(line, map.what() + " has " + Quoted(name) + " as the field of " + Quoted(fact),
                    takes_blanks ? "write its name there: letters, digits, blanks and underscores"
                                 : "write its API name there: letters, digits and underscores");
      } else if (!names.insert(name).second) {
        errors_.Add(line, map.what() + " has two facts, or a fact and the id, in " + Quoted(name),
                    "give each a field of its own");
      }
      has_posting = has_posting || IsOfPosting(field->fact);
      field->field = std::move(name);
      target->fields.push_back(*std::move(field));
    }
    if (const std::optional<std::string> poster = map.Text("posted_by")) {
      posters_.emplace_back(read_ - 1, *poster);
    } else if (has_posting) {
      errors_.Add(map.LineOf("fields"), map.what() + " tells where postings stand, and not whose",
                  "name under `posted_by` the target of journals whose word counts");
    }
  }

  void CheckFact(const AccountField& field, YamlMap& map) {
    const auto known = std::find_if(kAccountFacts.begin(), kAccountFacts.end(),
                                    [&](const AccountFactWord& word) { return word.fact == field.fact; });
    if (known->of == FactOf::kCharge) CheckCharge(field.of, map, "fields");
    if (known->of == FactOf::kCommitment) {
      CheckCharge(field.of, IsCommitted, "no charge with a commitment and no plan's minimum", map, "fields");
    }
    if (known->of == FactOf::kCurrency && !Currency::FromCode(field.of)) {
      errors_.Add(map.LineOf("fields"), map.what() + " names " + Quoted(field.of) + ", no currency",
                  std::string(kCurrencyAdvice));
    }
  }

  void FindPoster(Target& target, const std::string& name, const std::vector<Target>& targets) {
    const auto found =
        std::find_if(targets.begin(), targets.end(), [&](const Target& one) { return one.name == name; });
    if (found != targets.end() && TakesJournal(*found)) {
      target.poster = std::make_shared<Target>(*found);
      return;
    }
    errors_.Add(
        target.line,
        "target " + Quoted(target.name) + " has posted_by " + Quoted(name) + ", no target that gets journal batches",
        "name one of targets.yaml");
  }

  // "24h", "30d": how long the receiver drops what it has seen.
  void ReadWindow(YamlMap& map, Target* target) {
    const std::optional<std::string> text = map.Text("deduplicates_for");
    if (!text) return;
    constexpr uint32_t kSecondsMax = 366 * 86'400;
    const uint32_t unit = text->ends_with('h') ? 3'600 : text->ends_with('d') ? 86'400 : 0;
    const ParsedDecimal number = ParseDecimal(text->substr(0, text->empty() ? 0 : text->size() - 1), 0);
    const bool is_window = unit > 0 && number.error == DecimalError::kNone && number.value > 0 &&
                           number.value <= static_cast<Int128>(kSecondsMax / unit);
    if (!is_window) {
      errors_.Add(map.LineOf("deduplicates_for"), map.what() + " has " + Quoted(*text) + " as its deduplicates_for",
                  "write a whole number of hours or days, a year at most: 24h, 30d");
      return;
    }
    target->deduplicates_for_seconds = static_cast<uint32_t>(number.value) * unit;
    if (!target->deduplicates) {
      errors_.Add(map.LineOf("deduplicates_for"), map.what() + " does not deduplicate, and says for how long it does",
                  "write `deduplicates: true`, or leave it out");
    } else if (target->deduplicates_for_seconds <= target->http.timeout_seconds + target->quiet_seconds) {
      errors_.Add(map.LineOf("deduplicates_for"),
                  map.what() + " forgets what it has seen before its quiet_seconds and timeout_seconds are over",
                  "make these shorter: after an unclear end it is sent again between the two");
    }
  }

  void ReadEvents(YamlMap& map, Target* target) {
    if (map.Find("events") == nullptr) return;
    const std::array<std::pair<std::string_view, bool*>, 6> events = {{
        {"journal.sealed", &target->journal_sealed},
        {"usage.rated", &target->usage_rated},
        {"journal.posted", &target->journal_posted},
        {"journal.failed", &target->journal_failed},
        {"exception.raised", &target->exception_raised},
        {"period.closed", &target->period_closed},
    }};
    target->journal_sealed = false;
    for (const std::string& event : map.Texts("events")) {
      const auto named =
          std::find_if(events.begin(), events.end(), [&](const auto& one) { return one.first == event; });
      if (named != events.end()) {
        *named->second = true;
        continue;
      }
      errors_.Add(map.LineOf("events"), map.what() + " names " + Quoted(event) + ", no event",
                  "use journal.sealed, usage.rated, journal.posted, journal.failed, exception.raised, period.closed");
    }
  }

  void ReadMeters(YamlMap& map, Target* target) {
    for (auto& [code, id] : map.TextsByName("meters")) {
      const bool is_told = std::any_of(target->charges.begin(), target->charges.end(),
                                       [&code = code](const auto& charge) { return charge.second == code; });
      if (!is_told) {
        errors_.Add(map.LineOf("meters"), map.what() + " has the meter of " + Quoted(code) + ", the code of no charge",
                    "write the code as under `charges`, or leave it out");
      }
      if (!IsApiName(id)) {
        errors_.Add(map.LineOf("meters"), map.what() + " has " + Quoted(id) + " as the meter of " + Quoted(code),
                    "write the meter's id there: mtr_…");
      }
      target->meters.emplace(code, std::move(id));
    }
  }

  void ReadCharges(YamlMap& map, Target* target) {
    map.Required("charges");
    for (auto& [ours, theirs] : map.TextsByName("charges")) {
      if (theirs.size() > kCodeBytesMax) {
        errors_.Add(map.LineOf("charges"), map.what() + " has a code of more than 100 bytes for " + Quoted(ours),
                    "write the code that the charge has there");
      }
      CheckCharge(ours, map, "charges");
      target->charges.emplace(ours, std::move(theirs));
    }
  }

  void CheckCharge(const std::string& name, YamlMap& map, std::string_view key) {
    const auto has_usage = [](const Charge& charge) { return !charge.meter.empty(); };  // a fee has none
    CheckCharge(name, has_usage, "no charge of usage", map, key);
  }

  // `others`: what it is if none of the charges that `is_meant`.
  template <typename IsMeant>
  void CheckCharge(const std::string& name, const IsMeant& is_meant, std::string_view others, YamlMap& map,
                   std::string_view key) {
    if (catalog_ == nullptr) return;
    std::vector<std::string> names;
    for (const Plan& plan : catalog_->plans) {
      for (const Charge& charge : plan.charges) {
        if (!is_meant(charge)) continue;
        names.push_back(charge.name);
        names.push_back(plan.name + "/" + charge.name);
      }
    }
    if (std::find(names.begin(), names.end(), name) != names.end()) return;
    const std::vector<std::string_view> known(names.begin(), names.end());
    const bool is_near = !NearestWord(name, known).empty();
    errors_.Add(map.LineOf(key), map.what() + " names " + Quoted(name) + ", " + std::string(others) + " in plans.yaml",
                is_near ? DidYouMean(name, known) : "write a charge, or plan/charge where two plans name theirs alike");
  }

  void ReadScope(YamlMap& map, Target* target) {
    target->entities = map.Texts("entities");
    for (const std::string& entity : target->entities) CheckEntity(entity, map, "entities");
    target->region = map.Text("region").value_or("");
    CheckRegion(map, *target);
    target->from = map.Text("from").value_or("");
    if (!target->from.empty() && !IsAccountingPeriod(target->from)) {
      errors_.Add(map.LineOf("from"), map.what() + " begins with " + Quoted(target->from) + ", no accounting period",
                  "write the first period that it gets, such as \"2025-01\"");
    }
  }

  // Whose data stays where.
  void ReadRegions(YamlMap& map) {
    for (auto& [entity, region] : map.TextsByName("regions")) {
      if (CheckEntity(entity, map, "regions")) regions_.emplace(entity, std::move(region));
    }
  }

  void CheckRegion(YamlMap& map, const Target& target) {
    for (const auto& [entity, region] : regions_) {
      if (!Gets(target, entity) || target.region == region) continue;
      errors_.Add(map.line(),
                  map.what() + " would get the data of " + Quoted(entity) + ", which stays in region " + Quoted(region),
                  "list its `entities` without that one; or, where it is there, write so as its `region`");
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

  void ReadPriorities(YamlMap& map, Target* target) {
    target->priority = map.Choice<Priority>("priority", kPriorityWords, Priority::kNormal);
    constexpr std::string_view kKey = "entity_priorities";
    const bool has_batches = !IsBilling(target->kind) && !IsOfAccounts(target->kind);
    if (map.Find(kKey) != nullptr && !has_batches) {
      errors_.Add(map.LineOf(kKey), map.what() + " gets no journal batches, whose priorities these would be",
                  "leave them out: `priority` is the target's own");
    }
    for (const auto& [entity, word] : map.TextsByName(kKey)) {
      const auto known = std::find_if(kPriorityWords.begin(), kPriorityWords.end(),
                                      [&word = word](const auto& one) { return one.first == word; });
      if (known == kPriorityWords.end()) {
        errors_.Add(map.LineOf(kKey), map.what() + " has " + Quoted(word) + " as the priority of " + Quoted(entity),
                    "use one of high, normal, low");
      } else if (CheckEntity(entity, map, kKey)) {
        target->entity_priorities.emplace(entity, known->second);
      }
    }
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

  void ReadWindows(YamlMap& map, Target* target) {
    target->windows = ReadPostingWindows(map, errors_);
    for (const PostingWindow& window : target->windows) {
      for (const std::string& entity : window.entities) {
        if (!CheckEntity(entity, map, "windows") || Gets(*target, entity)) continue;
        errors_.Add(map.LineOf("windows"),
                    map.what() + " has a window for " + Quoted(entity) + ", of which it gets nothing",
                    "name one of its `entities`, or leave the window out");
      }
    }
    if (target->windows.empty() || catalog_ == nullptr) return;
    for (const Entity& entity : catalog_->entities) target->calendars.emplace(entity.name, entity.fiscal_calendar);
  }

  void ReadHttp(YamlMap& map, Target* target) {
    const bool plain = map.Bool("plain_http", false);
    target->http.url = ReadUrl(map, "url", plain, errors_);
    target->http.ca_file = map.Text("ca_file").value_or("");
    ReadProxy(map, plain, target);
    target->http.private_network = map.Bool("private_network", false) || plain;
    target->http.timeout_seconds = ReadWhole(map, "timeout_seconds", target->http.timeout_seconds, 1, 3600);
    if (target->kind == TargetKind::kNetsuite) target->quiet_seconds = 900;  // a request there ends after 15 minutes
    if (target->kind == TargetKind::kDynamics) target->quiet_seconds = 120;
    if (target->kind == TargetKind::kSalesforce) target->quiet_seconds = 30;
    if (target->kind == TargetKind::kGainsight) target->requests.per_second = 1;  // 100 calls a minute are taken
    if (target->kind == TargetKind::kSap) target->quiet_seconds = 300;
    if (target->kind == TargetKind::kOracle) target->quiet_seconds = 600;  // an import waits in a queue
    if (const YamlNode* node = map.Find("requests")) {
      YamlMap requests(*node, "the request limits of " + map.what(), errors_);
      target->requests.per_second = ReadWhole(requests, "per_second", target->requests.per_second, 1, 10'000);
      target->requests.per_day = ReadWhole(requests, "per_day", 0, 1, 1'000'000'000);
      target->requests.concurrency = ReadWhole(requests, "concurrency", 1, 1, 16);
      requests.RefuseOtherKeys();
    }
    target->quiet_seconds = ReadWhole(map, "quiet_seconds", target->quiet_seconds, 0, 86'400);
  }

  // It is to carry what it cannot read.
  void ReadProxy(YamlMap& map, bool plain_http, Target* target) {
    target->http.proxy = map.Text("proxy").value_or("");
    const std::string& proxy = target->http.proxy;
    if (proxy.empty()) return;
    const UrlHead head = HeadOf(proxy);
    if (head.host.empty() || proxy.size() != head.scheme.size() + 3 + head.host.size()) {
      errors_.Add(map.LineOf("proxy"), map.what() + " has a proxy that is not taken",
                  "write its scheme, host and port, without a user, password or path: http://proxy.example:3128");
    } else if (plain_http) {
      errors_.Add(map.LineOf("proxy"), map.what() + " is reached by plain http and by a proxy, which would read all",
                  "use a url with https://, and leave out `plain_http`");
    }
  }

  void ReadCompanies(YamlMap& map, Target* target, std::string_view key) {
    map.Required(key);
    for (auto& [entity, company] : map.TextsByName(key)) {
      CheckEntity(entity, map, key);
      target->companies.emplace(entity, std::move(company));
    }
    if (catalog_ == nullptr || map.Find(key) == nullptr) return;
    for (const Entity& entity : catalog_->entities) {
      if (!Gets(*target, entity.name) || target->companies.contains(entity.name)) continue;
      const bool is_id = key == "subsidiaries" || key == "ledgers";
      errors_.Add(map.LineOf(key),
                  map.what() + " has no " +
                      (key == "subsidiaries" ? "subsidiary"
                       : key == "ledgers"    ? "ledger"
                                             : "company") +
                      " for entity " + Quoted(entity.name),
                  std::string("add its ") + (is_id ? "id" : "name") +
                      " in the ERP, or list under `entities` those that the target is for");
    }
  }

  bool CheckEntity(const std::string& name, YamlMap& map, std::string_view key) {
    if (catalog_ == nullptr) return true;
    const bool known = std::any_of(catalog_->entities.begin(), catalog_->entities.end(),
                                   [&](const Entity& entity) { return entity.name == name; });
    if (known) return true;
    std::vector<std::string_view> names;
    for (const Entity& entity : catalog_->entities) names.push_back(entity.name);
    errors_.Add(map.LineOf(key), map.what() + " names entity " + Quoted(name) + ", which entities.yaml does not have",
                DidYouMean(name, names));
    return false;
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
  std::map<std::string, std::string> regions_;           // entity -> where its data stays
  size_t read_ = 0;                                      // targets so far
  std::vector<std::pair<size_t, std::string>> posters_;  // target -> its `posted_by`
};

// customers.csv: who is called what there.
class CustomerReader {
 public:
  CustomerReader(const Catalog* catalog, std::vector<Target>* targets, FileErrors& errors)
      : targets_(*targets), errors_(errors) {
    if (catalog == nullptr) return;
    known_.emplace();
    for (const Subscription& subscription : catalog->subscriptions) {
      known_->subscriptions.insert(subscription.id);
      known_->accounts.insert(subscription.account);
      known_->of_account[subscription.account].insert(subscription.id);
    }
  }

  void ReadAll(std::string_view text) {
    if (!CheckCsvBytes(text, errors_)) return;
    CsvReader reader(text);
    CsvColumns columns(kColumns, 2, errors_);
    CsvRow row;
    bool has_header = false;
    while (reader.Next(&row) && !errors_.full()) {
      if (!CheckCsvRow(row, errors_)) continue;
      if (!has_header) {
        if (!columns.ReadHeader(row)) return;
        has_header = true;
      } else if (columns.CheckWidth(row)) {
        ReadRow(row.line, columns.Field(row, 0), columns.Field(row, 1), columns.Field(row, 2), columns.Field(row, 3));
      }
    }
  }

 private:
  static constexpr std::array<std::string_view, 4> kColumns = {"target", "id", "subscription", "account"};

  void ReadRow(int line, std::string_view target, std::string_view id, std::string_view subscription,
               std::string_view account) {
    const auto found =
        std::find_if(targets_.begin(), targets_.end(), [&](const Target& one) { return one.name == target; });
    const bool names_customers = found != targets_.end() && NamesCustomers(found->kind);
    if (found == targets_.end() || !(IsBilling(found->kind) || IsOfAccounts(found->kind) || names_customers)) {
      return errors_.Add(line,
                         Quoted(target) + " is no target of usage or of accounts, and no tryton, netsuite or dynamics",
                         "name one of targets.yaml, or leave the row out");
    }
    // An ERP's row may be of either.
    const bool of_account =
        names_customers ? subscription.empty() : IsOfAccounts(found->kind) && !found->per_subscription;
    const std::string what = of_account ? "account " : "subscription ";
    const std::string_view name = of_account ? account : subscription;
    if (name.empty() || !(of_account ? subscription : account).empty()) {
      return errors_.Add(line, "target " + Quoted(target) + " has an id of each " + what + "and of nothing else",
                         "fill in the column `" + what.substr(0, what.size() - 1) + "` alone");
    }
    if (known_ && !(of_account ? known_->accounts : known_->subscriptions).contains(name)) {
      return errors_.Add(line, what + Quoted(name) + " is not in subscriptions.csv",
                         "add it there, or leave the row out");
    }
    if (!IsId(id)) {
      return errors_.Add(line, Quoted(id) + " is not taken as an id",
                         "write the id there: 1 to 100 visible characters");
    }
    const size_t slash = id.find('/');
    const bool is_pair = slash != std::string_view::npos && slash > 0 && slash + 1 < id.size() &&
                         id.find('/', slash + 1) == std::string_view::npos;
    if (found->kind == TargetKind::kZuora && !is_pair) {
      return errors_.Add(line, Quoted(id) + " is not taken as an id of Zuora",
                         "write the numbers of account and subscription there: A00000001/A-S00000001");
    }
    if (names_customers && of_account) return AddAccount(line, *found, name, id);
    if (!found->ids.emplace(name, id).second) {
      errors_.Add(line, what + Quoted(name) + " has an id in target " + Quoted(target) + " already",
                  "leave one of the two rows out");
    }
  }

  // Of all of its subscriptions.
  void AddAccount(int line, Target& target, std::string_view account, std::string_view id) {
    if (!known_) return;
    for (const std::string_view subscription : known_->of_account[account]) {
      if (target.ids.emplace(subscription, id).second) continue;
      errors_.Add(line,
                  "subscription " + Quoted(subscription) + " of account " + Quoted(account) + " has an id in target " +
                      Quoted(target.name) + " already",
                  "leave one of the two rows out, or name its subscriptions in place of the account");
    }
  }

  static bool IsId(std::string_view id) {
    return !id.empty() && id.size() <= kCodeBytesMax &&
           std::none_of(id.begin(), id.end(), [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 127; });
  }

  std::vector<Target>& targets_;
  FileErrors& errors_;
  struct Known {
    std::unordered_set<std::string_view> subscriptions, accounts;
    std::map<std::string_view, std::set<std::string_view>> of_account;  // its subscriptions
  };
  std::optional<Known> known_;  // none: any
};

}  // namespace

std::string_view Word(TargetKind kind) {
  return kKinds[static_cast<size_t>(kind)].first;
}

bool TakesUsage(const Target& target) {
  return IsBilling(target.kind) || (target.kind == TargetKind::kWebhook && target.usage_rated);
}

bool TakesAccounts(const Target& target) {
  return IsOfAccounts(target.kind);
}

bool TakesEvents(const Target& target) {
  return target.journal_posted || target.journal_failed || target.exception_raised || target.period_closed;
}

bool TakesJournal(const Target& target) {
  return !IsBilling(target.kind) && !IsOfAccounts(target.kind) &&
         (target.kind != TargetKind::kWebhook || target.journal_sealed);
}

ParsedTargets ParseTargets(std::string_view text, const Catalog* catalog, std::string_view customers) {
  ParsedTargets parsed;
  FileErrors errors{std::string(kTargetsFile), &parsed.errors};
  const std::optional<YamlNode> root = ReadYaml(text, errors);
  if (root && root->kind != YamlNode::Kind::kNull) parsed.targets = TargetReader(catalog, errors).ReadAll(*root);
  if (!customers.empty()) {
    FileErrors of_customers{std::string(kCustomersFile), &parsed.errors};
    CustomerReader(catalog, &parsed.targets, of_customers).ReadAll(customers);
  }
  if (!parsed.errors.empty()) parsed.targets.clear();
  return parsed;
}

std::vector<Target> TargetsOf(const Catalog& catalog) {
  const auto text = [&catalog](std::string_view name) {
    const auto file = catalog.files().find(std::string(name));
    return file == catalog.files().end() ? std::string_view() : std::string_view(file->second);
  };
  return ParseTargets(text(kTargetsFile), &catalog, text(kCustomersFile)).targets;
}

std::optional<std::string_view> CodeOf(const Target& target, const std::string& plan, const std::string& charge) {
  auto found = target.charges.find(plan + "/" + charge);
  if (found == target.charges.end()) found = target.charges.find(charge);
  if (found == target.charges.end()) return std::nullopt;
  return found->second;
}

std::optional<std::string_view> IdOf(const Target& target, std::string_view ours) {
  const auto found = target.ids.find(ours);
  if (found != target.ids.end()) return found->second;
  if (target.same_ids) return ours;
  return std::nullopt;
}

bool Gets(const Target& target, const std::string& entity) {
  const std::vector<std::string>& entities = target.entities;
  return entities.empty() || std::find(entities.begin(), entities.end(), entity) != entities.end();
}

bool Concerns(const Target& target, const JournalBatch& batch) {
  return Gets(target, batch.entity) && batch.accounting_period >= target.from;
}

Priority PriorityOf(const Target& target, std::string_view entity) {
  const auto found = target.entity_priorities.find(entity);
  return found == target.entity_priorities.end() ? Priority::kNormal : found->second;
}

Instant OpensAt(const Target& target, std::string_view entity, Instant from) {
  const auto calendar = target.calendars.find(entity);
  return OpensAt(target.windows, entity, calendar == target.calendars.end() ? FiscalCalendar{} : calendar->second,
                 from);
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
