// targets.yaml: what it says, what is wrong with it, by line; and which batches concern a target.
#include "pipeline/targets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace tollbook {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kGood[] = R"(targets:
  - name: archive
    kind: files
    directory: out
    format: csv
  - name: hook
    kind: webhook
    entities: [us]
    url: https://Events.example.com/tollbook
    secret: env:HOOK
    deduplicates: true
    answer_names_key: true
    retry: {first_seconds: 1, cap_seconds: 60}
  - name: erp
    kind: tryton
    entities: [us]
    from: "2025-02"
    url: https://erp.example.com/ledger/
    user: tollbook
    password: file:/etc/secret
    journal: USAGE
    companies: {us: Acme US Inc}
    accounts: {"1200": "1100"}
    limits: {lines: 3, amount: {USD: 12.50}}
  - name: billing
    kind: stripe
    url: https://api.stripe.example
    api_key: env:STRIPE
    charges: {starter/calls: api_calls, calls: other_calls}
)";
constexpr char kCustomers[] = "target,subscription,id\nbilling,s1,cus_1\n";

Catalog SmallCatalog() {
  Catalog catalog;
  catalog.entities = {{"us", {}, *Currency::FromCode("USD")}, {"eu", {}, *Currency::FromCode("EUR")}};
  catalog.accounts = {{"1200", "Unbilled", "asset"}, {"4000", "Revenue", "revenue"}};
  Charge calls, fee;
  calls.name = "calls";
  calls.meter = "api.calls";
  fee.name = "seats";
  for (const char* name : {"starter", "team"}) catalog.plans.emplace_back().name = name;
  for (Plan& plan : catalog.plans) plan.charges = {calls, fee};
  catalog.subscriptions.emplace_back().id = "s1";
  catalog.subscriptions.back().account = "acme";
  catalog.subscriptions.emplace_back().id = "s2";
  return catalog;
}

TEST(ParseTargets, ReadsEachKind) {
  const Catalog catalog = SmallCatalog();
  const ParsedTargets parsed = ParseTargets(kGood, &catalog, kCustomers);
  ASSERT_THAT(parsed.errors, IsEmpty()) << ToString(parsed.errors[0]);
  ASSERT_EQ(parsed.targets.size(), 4u);
  EXPECT_EQ(parsed.targets[0].directory, "out");
  EXPECT_EQ(parsed.targets[0].quiet_seconds, 0u);
  EXPECT_EQ(parsed.targets[1].kind, TargetKind::kWebhook);
  EXPECT_EQ(parsed.targets[1].secret.kind, SecretReference::Kind::kEnvironment);
  EXPECT_EQ(parsed.targets[1].secret.name, "HOOK");
  EXPECT_TRUE(parsed.targets[1].deduplicates);
  EXPECT_TRUE(parsed.targets[1].answer_names_key);
  EXPECT_EQ(parsed.targets[1].retry_cap_seconds, 60u);
  const Target& erp = parsed.targets[2];
  EXPECT_EQ(erp.secret.name, "/etc/secret");
  EXPECT_EQ(erp.companies.at("us"), "Acme US Inc");
  EXPECT_EQ(erp.accounts.at("1200"), "1100");
  EXPECT_EQ(erp.amount_max.at("USD"), 1250);
  EXPECT_EQ(erp.quiet_seconds, 60u);
  Target billing = parsed.targets[3];
  EXPECT_TRUE(TakesUsage(billing) && !TakesJournal(billing));
  EXPECT_EQ(CodeOf(billing, "starter", "calls"), "api_calls");
  EXPECT_EQ(CodeOf(billing, "team", "calls"), "other_calls");
  EXPECT_EQ(CodeOf(billing, "team", "mails"), std::nullopt);
  EXPECT_EQ(IdOf(billing, "s1"), "cus_1");
  EXPECT_EQ(IdOf(billing, "s2"), std::nullopt);
  billing.same_ids = true;
  EXPECT_EQ(IdOf(billing, "s2"), "s2");
}

TEST(ParseTargets, ReadsPriorities) {
  const Catalog catalog = SmallCatalog();
  const std::string archive = "targets:\n  - {name: archive, kind: files, directory: out, format: csv";
  const Target plain = ParseTargets(archive + "}\n", &catalog).targets.at(0);
  EXPECT_EQ(plain.priority, Priority::kNormal);
  EXPECT_EQ(PriorityOf(plain, "us"), Priority::kNormal);
  const Target target =
      ParseTargets(archive + ", priority: low, entity_priorities: {us: high}}\n", &catalog).targets.at(0);
  EXPECT_EQ(target.priority, Priority::kLow);
  EXPECT_EQ(PriorityOf(target, "us"), Priority::kHigh);
  EXPECT_EQ(PriorityOf(target, "eu"), Priority::kNormal);
  EXPECT_EQ(PriorityOf(target, ""), Priority::kNormal) << "what is of several entities";
}

TEST(ParseTargets, ReadsHowLongAReceiverRemembers) {
  const std::string hook =
      "targets:\n  - {name: hook, kind: webhook, url: 'https://x.example', secret: env:S, deduplicates: true, "
      "answer_names_key: false";
  const auto seconds = [&](const std::string& window) {
    return ParseTargets(hook + ", deduplicates_for: " + window + "}\n", nullptr).targets.at(0).deduplicates_for_seconds;
  };
  EXPECT_EQ(seconds("24h"), 86'400u);
  EXPECT_EQ(seconds("366d"), 366u * 86'400);
  const ParsedTargets plain = ParseTargets(hook + "}\n", nullptr);
  EXPECT_EQ(plain.targets.at(0).deduplicates_for_seconds, 0u);
  EXPECT_FALSE(plain.targets.at(0).answer_names_key);
}

TEST(ParseTargets, ReadsTheMetersThatCanBeAsked) {
  std::string text(kGood);
  text += "    meters: {api_calls: mtr_1}\n";
  const ParsedTargets parsed = ParseTargets(text, nullptr);
  ASSERT_THAT(parsed.errors, IsEmpty()) << ToString(parsed.errors[0]);
  EXPECT_EQ(parsed.targets.back().meters.at("api_calls"), "mtr_1");
}

TEST(ParseTargets, TheOneThatIsDescribedIsFine) {
  std::ifstream in(TOLLBOOK_SOURCE_DIR "/docs/catalog.md");
  const std::string page{std::istreambuf_iterator<char>(in), {}};
  const size_t section = page.find("\n## targets.yaml\n");
  ASSERT_NE(section, std::string::npos);
  const size_t begin = page.find("```yaml\n", section) + 8;
  const ParsedTargets parsed = ParseTargets(page.substr(begin, page.find("```", begin) - begin), nullptr);
  EXPECT_THAT(parsed.errors, IsEmpty()) << ToString(parsed.errors[0]);
  EXPECT_EQ(parsed.targets.size(), 6u) << "one of each kind but the ERPs with an `auth`";
  for (const TargetKind kind :
       {TargetKind::kNetsuite, TargetKind::kDynamics, TargetKind::kSap, TargetKind::kOracle, TargetKind::kZuora}) {
    const size_t erp = page.rfind("```yaml\n", page.find("kind: " + std::string(Word(kind)), section)) + 8;
    const ParsedTargets other = ParseTargets("targets:\n" + page.substr(erp, page.find("```", erp) - erp), nullptr);
    EXPECT_THAT(other.errors, IsEmpty()) << ToString(other.errors[0]);
    ASSERT_EQ(other.targets.size(), 1u);
    EXPECT_EQ(other.targets[0].kind, kind);
  }
  const size_t crm = page.rfind("```yaml\n", page.find("kind: salesforce", section)) + 8;
  const ParsedTargets accounts = ParseTargets("targets:\n" + page.substr(crm, page.find("```", crm) - crm), nullptr);
  EXPECT_THAT(accounts.errors, IsEmpty()) << ToString(accounts.errors[0]);
  EXPECT_EQ(accounts.targets.size(), 4u) << "one of each kind, and the ERP";
}

TEST(ParseTargets, WhatStaysInARegionGoesToTargetsThere) {
  const std::string archive = "  - {name: archive, kind: files, directory: out, format: csv";
  const Catalog catalog = SmallCatalog();
  const auto errors = [&](const std::string& more) {
    return ParseTargets("regions: {eu: frankfurt}\ntargets:\n" + archive + more + "}\n", &catalog).errors.size();
  };
  EXPECT_EQ(errors(", region: frankfurt"), 0u);
  EXPECT_EQ(errors(", entities: [us]"), 0u) << "the other entity may go anywhere";
  EXPECT_EQ(errors(", region: dublin"), 1u);
  EXPECT_EQ(errors(", region: dublin, entities: [us, eu]"), 1u);
  EXPECT_EQ(errors(""), 1u) << "a target that does not say where it is";
}

TEST(ParseTargets, NoTextIsNoTarget) {
  EXPECT_THAT(ParseTargets("", nullptr).errors, IsEmpty());
  EXPECT_THAT(ParseTargets("", nullptr).targets, IsEmpty());
}

TEST(ParseTargets, EachMistakeOfCustomersIsToldWithItsLine) {
  struct Case {
    const char* row;
    const char* error;
  };
  const Case cases[] = {
      {"billig,s1,c", "customers.csv:3: \"billig\" is no target of usage or of accounts"},
      {"hook,s1,c",
       "customers.csv:3: \"hook\" is no target of usage or of accounts, and no tryton, netsuite or dynamics"},
      {"erp,s9,c", "customers.csv:3: subscription \"s9\" is not in subscriptions.csv"},
      {"billing,,c", "customers.csv:3: target \"billing\" has an id of each subscription and of nothing else"},
      {"billing,s9,c", "customers.csv:3: subscription \"s9\" is not in subscriptions.csv"},
      {"billing,s2,", "customers.csv:3: \"\" is not taken as an id"},
      {"billing,s2,a b", "customers.csv:3: \"a b\" is not taken as an id"},
      {"billing,s1,cus_2", "customers.csv:3: subscription \"s1\" has an id in target \"billing\" already"},
  };
  const Catalog catalog = SmallCatalog();
  for (const Case& c : cases) {
    SCOPED_TRACE(c.row);
    const ParsedTargets parsed = ParseTargets(kGood, &catalog, kCustomers + std::string(c.row) + "\n");
    EXPECT_THAT(parsed.targets, IsEmpty());
    ASSERT_EQ(parsed.errors.size(), 1u);
    EXPECT_THAT(ToString(parsed.errors[0]), HasSubstr(c.error));
  }
}

TEST(ParseTargets, EachMistakeIsToldWithItsLine) {
  struct Case {
    const char* name;
    const char *from, *to;
    const char* error;
  };
  const Case cases[] = {
      {"unknown kind", "kind: files", "kind: gopher",
       "targets.yaml:3: \"kind\" of target \"archive\" is \"gopher\": use one of files, webhook, tryton, netsuite, "
       "dynamics, sap, oracle, stripe, chargebee, maxio"},
      {"a key of another kind", "format: csv", "format: csv\n    url: https://x",
       "targets.yaml:6: target \"archive\" has an unknown key \"url\""},
      {"the same name twice", "name: hook", "name: archive",
       "targets.yaml:6: two targets are named \"archive\": rename one of the two: what was delivered is remembered by "
       "the name"},
      {"a secret that stands there", "env:HOOK", "hunter2",
       "targets.yaml:10: the secret of target \"hook\" is no reference: write file:PATH or env:NAME, and keep the "
       "secret there; if it stood here, replace it"},
      {"no encryption", "https://Events", "http://Events",
       "targets.yaml:9: target \"hook\" would be spoken to without encryption: write https://, or `plain_http: true` "
       "where nobody else is on the line"},
      {"a password in the url", "https://erp", "https://tollbook:pw@erp",
       "targets.yaml:18: target \"erp\" has a url that is not taken: write https://host/path, without a user or "
       "password"},
      {"a proxy with a path", "deduplicates: true", "deduplicates: true\n    proxy: http://proxy.example:3128/x",
       "targets.yaml:12: target \"hook\" has a proxy that is not taken: write its scheme, host and port, without a "
       "user, "
       "password or path: http://proxy.example:3128"},
      {"a proxy with a password", "deduplicates: true", "deduplicates: true\n    proxy: http://me:pw@proxy.example",
       "targets.yaml:12: target \"hook\" has a proxy that is not taken"},
      {"a proxy of no kind", "deduplicates: true", "deduplicates: true\n    proxy: socks5://proxy.example",
       "targets.yaml:12: target \"hook\" has a proxy that is not taken"},
      {"a proxy that would read all", "deduplicates: true",
       "deduplicates: true\n    plain_http: true\n    proxy: http://proxy.example",
       "targets.yaml:13: target \"hook\" is reached by plain http and by a proxy, which would read all: use a url with "
       "https://, and leave out `plain_http`"},
      {"a proxy of files", "format: csv", "format: csv\n    proxy: http://proxy.example",
       "targets.yaml:6: target \"archive\" has an unknown key \"proxy\""},
      {"no url at all", "https://erp", "ftp://erp", "targets.yaml:18: target \"erp\" has a url that is not taken"},
      {"an unknown entity", "entities: [us]\n    url", "entities: [uk]\n    url",
       "targets.yaml:8: target \"hook\" names entity \"uk\", which entities.yaml does not have"},
      {"an entity without a company", "companies: {us: Acme US Inc}", "companies: {eu: Acme EU}",
       "targets.yaml:22: target \"erp\" has no company for entity \"us\""},
      {"an unknown account", "{\"1200\"", "{\"1201\"",
       "targets.yaml:23: target \"erp\" names account \"1201\", which chart.yaml does not have"},
      {"no period", "\"2025-02\"", "\"2025-13\"",
       "targets.yaml:17: target \"erp\" begins with \"2025-13\", no accounting period"},
      {"too many decimals", "12.50", "12.505",
       "targets.yaml:24: the limits of target \"erp\" have \"12.505\", no amount of USD"},
      {"no currency", "USD: 12", "USX: 12", "targets.yaml:24: the limits of target \"erp\" name \"USX\", no currency"},
      {"no number", "lines: 3", "lines: 0",
       "targets.yaml:24: \"0\" as lines of the limits of target \"erp\" is not taken: write a whole number from 1 to "
       "1000000"},
      {"a cap below the first wait", "cap_seconds: 60", "cap_seconds: 1\n      , first_second: 2",
       "targets.yaml:14: the retry of target \"hook\" has an unknown key \"first_second\""},
      {"it must be said whose answer is believed", "    answer_names_key: true\n", "",
       "targets.yaml:6: target \"hook\" does not say whether its receiver's answers name the webhook-id: write "
       "`answer_names_key: true`, and only an answer that does is believed; `false` where whatever answers 2xx is the "
       "receiver"},
      {"it must be said whether it deduplicates", "    deduplicates: true\n", "", "\"deduplicates\""},
      {"no directory", "    directory: out\n", "", "\"directory\""},
      {"an unknown charge", "starter/calls", "starter/cals",
       "targets.yaml:29: target \"billing\" names \"starter/cals\", no charge of usage in plans.yaml: did you mean "
       "\"starter/calls\"?"},
      {"a fee", "starter/calls", "seats",
       "targets.yaml:29: target \"billing\" names \"seats\", no charge of usage in plans.yaml"},
      {"an unknown event", "deduplicates: true", "deduplicates: true\n    events: [usage.rate]",
       "targets.yaml:12: target \"hook\" names \"usage.rate\", no event: use journal.sealed, usage.rated, "
       "journal.posted, journal.failed, exception.raised, period.closed"},
      {"an unknown zone", "    format: csv\n",
       "    format: csv\n    windows:\n      - {from: \"22:00\", zone: New York}\n",
       "targets.yaml:7: a window of target \"archive\" names the zone \"New York\", which is not known: write its IANA "
       "name, such as America/New_York"},
      {"data that stays elsewhere", "targets:\n", "regions: {us: us-east}\ntargets:\n",
       "targets.yaml:3: target \"archive\" would get the data of \"us\", which stays in region \"us-east\": list its "
       "`entities` without that one; or, where it is there, write so as its `region`"},
      {"data of no entity", "targets:\n", "regions: {uk: london}\ntargets:\n",
       "targets.yaml:1: targets.yaml names entity \"uk\", which entities.yaml does not have"},
      {"a pace of no requests", "deduplicates: true", "deduplicates: true\n    requests: {per_day: 0}",
       "targets.yaml:12: \"0\" as per_day of the request limits of target \"hook\" is not taken: write a whole number "
       "from 1 to "
       "1000000000"},
      {"a day in which nothing ends", "    journal: USAGE\n", "    journal: USAGE\n    requests: {per_day: 9}\n",
       "may be sent 9 a day, and one delivery takes 10 requests in a row, for it is looked for before it is sent: let "
       "`per_day` be 10 at least, or leave it out"},
      {"a pace of what is no unit", "deduplicates: true", "deduplicates: true\n    requests: {per_minute: 3}",
       "targets.yaml:12: the request limits of target \"hook\" has an unknown key \"per_minute\""},
      {"more at a time than are taken", "deduplicates: true", "deduplicates: true\n    requests: {concurrency: 17}",
       "targets.yaml:12: \"17\" as concurrency of the request limits of target \"hook\" is not taken: write a whole "
       "number from 1 to 16"},
      {"a pace of files", "    format: csv\n", "    format: csv\n    requests: {per_day: 5}\n",
       "targets.yaml:6: target \"archive\" has an unknown key \"requests\""},
      {"no zone", "    format: csv\n", "    format: csv\n    windows: [{from: \"22:00\"}]\n", "\"zone\""},
      {"past midnight", "    format: csv\n",
       "    format: csv\n    windows: [{from: \"22:00\", to: \"05:00\", zone: UTC}]\n",
       "targets.yaml:6: a window of target \"archive\" ends where it begins, or before: write two windows"},
      {"an unknown entity of a window", "    format: csv\n",
       "    format: csv\n    windows: [{entities: [uk], zone: UTC}]\n",
       "targets.yaml:6: target \"archive\" names entity \"uk\", which entities.yaml does not have"},
      {"a window for what it does not get", "    format: csv\n",
       "    format: csv\n    entities: [us]\n    windows: [{entities: [eu], zone: UTC}]\n",
       "targets.yaml:7: target \"archive\" has a window for \"eu\", of which it gets nothing"},
      {"too many close days", "    format: csv\n",
       "    format: csv\n    windows: [{zone: UTC, close_days: {last: 11, first: 10}}]\n",
       "targets.yaml:6: the close days of a window of target \"archive\" are 21: leave them at 20 together"},
      {"no number of close days", "    format: csv\n",
       "    format: csv\n    windows: [{zone: UTC, close_days: {last: one}}]\n",
       "targets.yaml:6: \"last\" of the close days of a window of target \"archive\" is \"one\": write how many days"},
      {"an unknown priority", "    format: csv\n", "    format: csv\n    priority: urgent\n",
       "targets.yaml:6: \"priority\" of target \"archive\" is \"urgent\": use one of high, normal, low"},
      {"an unknown priority of an entity", "    format: csv\n", "    format: csv\n    entity_priorities: {us: 1}\n",
       "targets.yaml:6: target \"archive\" has \"1\" as the priority of \"us\": use one of high, normal, low"},
      {"the priority of an unknown entity", "    format: csv\n", "    format: csv\n    entity_priorities: {uk: high}\n",
       "targets.yaml:6: target \"archive\" names entity \"uk\", which entities.yaml does not have"},
      {"priorities of what has no batches", "api_key: env:STRIPE",
       "api_key: env:STRIPE\n    entity_priorities: {us: high}",
       "targets.yaml:29: target \"billing\" gets no journal batches, whose priorities these would be"},
      {"no time", "deduplicates: true", "deduplicates: true\n    deduplicates_for: a day",
       "targets.yaml:12: target \"hook\" has \"a day\" as its deduplicates_for: write a whole number of hours or days, "
       "a "
       "year at most: 24h, 30d"},
      {"more than a year", "deduplicates: true", "deduplicates: true\n    deduplicates_for: 367d",
       "targets.yaml:12: target \"hook\" has \"367d\" as its deduplicates_for"},
      {"parts of an hour", "deduplicates: true", "deduplicates: true\n    deduplicates_for: 1.5h",
       "targets.yaml:12: target \"hook\" has \"1.5h\" as its deduplicates_for"},
      {"a window of nothing", "deduplicates: true", "deduplicates: false\n    deduplicates_for: 24h",
       "targets.yaml:12: target \"hook\" does not deduplicate, and says for how long it does"},
      {"a window in which nothing can go", "deduplicates: true",
       "deduplicates: true\n    deduplicates_for: 1h\n    quiet_seconds: 3600",
       "targets.yaml:12: target \"hook\" forgets what it has seen before its quiet_seconds and timeout_seconds are "
       "over"},
      {"the meter of no charge", "    charges: {starter", "    meters: {calls: mtr_1}\n    charges: {starter",
       "targets.yaml:29: target \"billing\" has the meter of \"calls\", the code of no charge"},
      {"no meter's id", "    charges: {starter", "    meters: {api_calls: a/b}\n    charges: {starter",
       "targets.yaml:29: target \"billing\" has \"a/b\" as the meter of \"api_calls\": write the meter's id there: "
       "mtr_"},
      {"a day in which a report is not settled", "    charges: {starter",
       "    meters: {api_calls: mtr_1}\n    requests: {per_day: 99}\n    charges: {starter",
       "may be sent 99 a day, and one delivery takes 100 requests in a row"},
      {"no charges", "    charges: {starter/calls: api_calls, calls: other_calls}\n", "", "\"charges\""},
      {"limits of usage", "api_key: env:STRIPE", "api_key: env:STRIPE\n    limits: {lines: 3}",
       "targets.yaml:29: target \"billing\" has an unknown key \"limits\""},
  };
  const Catalog catalog = SmallCatalog();
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    std::string text(kGood);
    const size_t at = text.find(c.from);
    ASSERT_NE(at, std::string::npos);
    text.replace(at, std::string_view(c.from).size(), c.to);
    const ParsedTargets parsed = ParseTargets(text, &catalog);
    EXPECT_THAT(parsed.targets, IsEmpty());
    std::string all;
    for (const CatalogError& error : parsed.errors) all += ToString(error) + "\n";
    EXPECT_THAT(all, HasSubstr(c.error));
    EXPECT_THAT(all, testing::Not(HasSubstr("hunter2"))) << "it may be the secret itself";
  }
}

constexpr char kErp[] = R"(targets:
  - name: erp
    entities: [us]
    url: https://erp.example.com
    auth: {kind: bearer, token: env:ERP}
    accounts: {"1200": "0012100000"}
)";
constexpr char kDynamics[] = R"(    kind: dynamics
    companies: {us: usmf}
    journal_name: GenJrn
    segments: [region]
    dimensions: {"region=eu": "002"}
)";
constexpr char kSap[] = R"(    kind: sap
    company_codes: {us: "1010"}
    document_type: SA
    created_by: TOLLBOOK
    dimensions: {"region=eu": "CostCenter=10101"}
)";

constexpr char kOracle[] = R"(    kind: oracle
    ledgers: {us: "300000046975971"}
    data_access_set: "300000046975980"
    journal_source: Tollbook
    journal_category: Usage
    dimensions: {"region=eu": "002", "region=": "000"}
)";

constexpr char kCrm[] = R"(targets:
  - {name: archive, kind: files, directory: out, format: csv}
  - name: crm
    kind: salesforce
    url: https://acme.my.salesforce.example
    auth: {kind: bearer, token: env:CRM}
    api_version: v60.0
    object: Account
    external_id: Id__c
    posted_by: archive
    fields: {month: Month__c, usage/starter/calls: Calls__c, spend/USD: Spend__c, posting_status: Posting__c}
  - name: success
    kind: gainsight
    url: https://acme.gainsight.example
    auth: {kind: api_key, header: accesskey, key: env:KEY}
    object: Company
    external_id: Id__gc
    per: subscription
    fields: {overage/USD: Overage__gc}
  - name: health
    kind: totango
    url: https://sdr.totango.example
    service_id: SP-1234-11
    fields: {credit_left/EUR: Credit Left}
  - name: zuora
    kind: zuora
    url: https://rest.zuora.example
    auth: {kind: bearer, token: env:ZUORA}
    charges: {calls: API calls}
    key_field: Key__c
)";

TEST(ParseTargets, ReadsWhoIsToldOfAccounts) {
  const Catalog catalog = SmallCatalog();
  const ParsedTargets parsed =
      ParseTargets(kCrm, &catalog, "target,id,account,subscription\ncrm,A-1,acme,\nsuccess,S-1,,s1\nzuora,A/S,,s1\n");
  ASSERT_THAT(parsed.errors, IsEmpty()) << ToString(parsed.errors[0]);
  ASSERT_EQ(parsed.targets.size(), 5u);
  const Target& crm = parsed.targets[1];
  EXPECT_TRUE(TakesAccounts(crm) && !TakesUsage(crm) && !TakesJournal(crm));
  EXPECT_EQ(crm.poster->name, "archive");
  EXPECT_EQ(crm.object + " " + crm.external_id + " " + crm.api_version, "Account Id__c v60.0");
  ASSERT_EQ(crm.fields.size(), 4u);
  EXPECT_EQ(crm.fields[1].fact, AccountFact::kUsage);
  EXPECT_EQ(crm.fields[1].of + " " + crm.fields[1].field, "starter/calls Calls__c");
  EXPECT_EQ(crm.quiet_seconds, 30u);
  EXPECT_EQ(IdOf(crm, "acme"), "A-1");
  const Target& success = parsed.targets[2];
  EXPECT_TRUE(success.per_subscription && success.poster == nullptr);
  EXPECT_EQ(success.requests.per_second, 1u);
  EXPECT_EQ(IdOf(success, "s1"), "S-1");
  EXPECT_EQ(parsed.targets[3].service_id, "SP-1234-11");
  const Target& zuora = parsed.targets[4];
  EXPECT_TRUE(TakesUsage(zuora) && !TakesAccounts(zuora));
  EXPECT_EQ(zuora.key_field, "Key__c");
}

TEST(ParseTargets, EachMistakeOfAccountsIsToldWithItsLine) {
  struct Case {
    const char *from, *to, *error;
  };
  constexpr Case kCases[] = {
      {"month:", "mont:",
       "targets.yaml:11: target \"crm\" maps \"mont\", no fact of an account: use month, posting_status, posted_at, "
       "usage/CHARGE, usage_before/CHARGE, spend/CURRENCY"},
      {"month:", "month/USD:", "targets.yaml:11: target \"crm\" maps \"month/USD\", no fact of an account"},
      {"spend/USD", "spend", "targets.yaml:11: target \"crm\" maps \"spend\", no fact of an account"},
      {"spend/USD", "spend/", "targets.yaml:11: target \"crm\" maps \"spend/\", no fact of an account"},
      {"spend/USD", "spend/USX", "targets.yaml:11: target \"crm\" names \"USX\", no currency"},
      {"starter/calls", "starter/cals",
       "targets.yaml:11: target \"crm\" names \"starter/cals\", no charge of usage in plans.yaml: did you mean"},
      {"spend/USD", "committed/starter/calls",
       "targets.yaml:11: target \"crm\" names \"starter/calls\", no charge with a commitment and no plan's minimum in "
       "plans.yaml: write a charge"},
      {"spend/USD", "committed/USD",
       "targets.yaml:11: target \"crm\" names \"USD\", no charge with a commitment and no plan's minimum in "
       "plans.yaml"},
      {"Spend__c", "Spend c", "targets.yaml:11: target \"crm\" has \"Spend c\" as the field of \"spend/USD\""},
      {"Spend__c", "Calls__c", "targets.yaml:11: target \"crm\" has two facts, or a fact and the id, in \"Calls__c\""},
      {"Spend__c", "Id__c", "targets.yaml:11: target \"crm\" has two facts, or a fact and the id, in \"Id__c\""},
      {"    posted_by: archive\n", "",
       "targets.yaml:10: target \"crm\" tells where postings stand, and not whose: name under `posted_by`"},
      {"posted_by: archive", "posted_by: zuora",
       "targets.yaml:3: target \"crm\" has posted_by \"zuora\", no target that gets journal batches"},
      {"posted_by: archive", "posted_by: nobody", "targets.yaml:3: target \"crm\" has posted_by \"nobody\""},
      {"v60.0", "60",
       "targets.yaml:7: target \"crm\" has \"60\" as its api_version: write the version of the REST API"},
      {"object: Account", "object: Account/1", "targets.yaml:8: target \"crm\" has \"Account/1\" as its object"},
      {"external_id: Id__c", "external_id: 1d", "targets.yaml:9: target \"crm\" has \"1d\" as its external_id"},
      {"object: Company", "object: Companies",
       "targets.yaml:16: target \"success\" has \"Companies\" as its object: write Company, or"},
      {"per: subscription", "per: order", "targets.yaml:18:"},
      {"SP-1234-11", "SP-1234", "targets.yaml:23: target \"health\" has \"SP-1234\" as its service_id"},
      {"Credit Left", "Credit=Left", "targets.yaml:24: target \"health\" has \"Credit=Left\" as the field of"},
      {"key_field: Key__c", "key_field: \"Key '\"", "targets.yaml:30: target \"zuora\" has \"Key '\" as its key_field"},
      {"key_field: Key__c", "same_ids: true", "targets.yaml:30: target \"zuora\" has an unknown key \"same_ids\""},
      {"    auth: {kind: bearer, token: env:CRM}\n", "", "\"auth\""},
  };
  const Catalog catalog = SmallCatalog();
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.to);
    std::string text(kCrm);
    const size_t at = text.find(c.from);
    ASSERT_NE(at, std::string::npos);
    text.replace(at, std::string_view(c.from).size(), c.to);
    const ParsedTargets parsed = ParseTargets(text, &catalog);
    EXPECT_THAT(parsed.targets, IsEmpty());
    std::string all;
    for (const CatalogError& error : parsed.errors) all += ToString(error) + "\n";
    EXPECT_THAT(all, HasSubstr(c.error));
  }
  constexpr std::pair<const char*, const char*> kRows[] = {
      {"crm,A-1,s1,", "customers.csv:2: target \"crm\" has an id of each account and of nothing else"},
      {"crm,A-1,s1,acme", "customers.csv:2: target \"crm\" has an id of each account and of nothing else"},
      {"crm,A-1,,nobody", "customers.csv:2: account \"nobody\" is not in subscriptions.csv"},
      {"success,A-1,,acme", "customers.csv:2: target \"success\" has an id of each subscription and of nothing else"},
      {"zuora,S-1,s1,", "customers.csv:2: \"S-1\" is not taken as an id of Zuora: write the numbers of account and"},
      {"zuora,A/S/1,s1,", "customers.csv:2: \"A/S/1\" is not taken as an id of Zuora"},
  };
  for (const auto& [row, error] : kRows) {
    const ParsedTargets parsed =
        ParseTargets(kCrm, &catalog, "target,id,subscription,account\n" + std::string(row) + "\n");
    ASSERT_EQ(parsed.errors.size(), 1u) << row;
    EXPECT_THAT(ToString(parsed.errors[0]), HasSubstr(error));
  }
}

// With an account of Oracle's, unless the kind has its own.
std::string ErpOf(std::string_view kind) {
  std::string text = kErp;
  const std::string_view accounts = "    accounts: {\"1200\": \"0012100000\"}\n";
  const size_t at = text.find(accounts);
  if (kind.find("accounts:") != kind.npos) {
    text.replace(at, accounts.size(), "    timeout_seconds: 120\n");
  } else if (kind.find("kind: oracle") != kind.npos) {
    text.replace(at, accounts.size(), "    accounts: {\"1200\": \"130100.{region}\"}\n");
  }
  return text.append(kind);
}

TEST(ParseTargets, ReadsTheCodesOfErps) {
  const Catalog catalog = SmallCatalog();
  const ParsedTargets dynamics = ParseTargets(std::string(kErp) + kDynamics, &catalog);
  ASSERT_THAT(dynamics.errors, IsEmpty()) << ToString(dynamics.errors[0]);
  EXPECT_EQ(dynamics.targets[0].companies.at("us"), "usmf");
  EXPECT_EQ(dynamics.targets[0].journal, "GenJrn");
  EXPECT_EQ(dynamics.targets[0].segments, std::vector<std::string>{"region"});
  EXPECT_EQ(dynamics.targets[0].dimensions.at("region=eu"), "002");
  EXPECT_EQ(dynamics.targets[0].quiet_seconds, 120u);
  const ParsedTargets sap = ParseTargets(std::string(kErp) + kSap, &catalog);
  ASSERT_THAT(sap.errors, IsEmpty()) << ToString(sap.errors[0]);
  EXPECT_EQ(sap.targets[0].companies.at("us"), "1010");
  EXPECT_EQ(sap.targets[0].journal, "SA");
  EXPECT_EQ(sap.targets[0].user, "TOLLBOOK");
  EXPECT_THAT(sap.targets[0].items_path, HasSubstr("/sap/opu/odata/sap/"));
  EXPECT_EQ(sap.targets[0].quiet_seconds, 300u);
  const ParsedTargets oracle = ParseTargets(ErpOf(kOracle), &catalog);
  ASSERT_THAT(oracle.errors, IsEmpty()) << ToString(oracle.errors[0]);
  EXPECT_EQ(oracle.targets[0].companies.at("us"), "300000046975971");
  EXPECT_EQ(oracle.targets[0].data_access_set, "300000046975980");
  EXPECT_EQ(oracle.targets[0].journal, "Tollbook");
  EXPECT_EQ(oracle.targets[0].category, "Usage");
  EXPECT_EQ(oracle.targets[0].dimensions.at("region="), "000");
  EXPECT_EQ(oracle.targets[0].quiet_seconds, 600u);
  for (const ParsedTargets* parsed : {&dynamics, &sap, &oracle}) {
    EXPECT_TRUE(TakesJournal(parsed->targets[0]));
    EXPECT_FALSE(TakesUsage(parsed->targets[0]));
  }
}

TEST(ParseTargets, EachMistakeOfAnErpIsToldWithItsLine) {
  struct Case {
    const char *kind, *from, *to, *error;
  };
  constexpr Case kCases[] = {
      {kDynamics, "us: usmf", "eu: demf", "targets.yaml:8: target \"erp\" has no company for entity \"us\""},
      {kDynamics, "    journal_name: GenJrn\n", "", "\"journal_name\""},
      {kDynamics, "region=eu", "team=eu",
       "targets.yaml:11: target \"erp\" maps \"team=eu\", of no segment: write \"name=value\", and list the name under "
       "`segments`"},
      {kDynamics, "region=eu", "region", "targets.yaml:11: target \"erp\" maps \"region\", of no segment"},
      {kDynamics, "kind: dynamics", "kind: dynamics\n    created_by: T", "has an unknown key \"created_by\""},
      {kSap, "us: \"1010\"", "eu: \"1010\"", "targets.yaml:8: target \"erp\" has no company for entity \"us\""},
      {kSap, "    document_type: SA\n", "", "\"document_type\""},
      {kSap, "    created_by: TOLLBOOK\n", "", "\"created_by\""},
      {kSap, "CostCenter=10101", "Department=7",
       "targets.yaml:11: target \"erp\" maps \"region=eu\" to \"Department=7\": write \"name=value\": "
       "\"CostCenter=ID\", or ProfitCenter or WBSElement in its place"},
      {kSap, "CostCenter=10101", "CostCenter=", "targets.yaml:11: target \"erp\" maps"},
      {kOracle, "us: \"300", "us: \"x300",
       "targets.yaml:8: target \"erp\" has \"x300000046975971\" as the ledger of \"us\": write the ledger's id there"},
      {kOracle, "us: \"300000046975971\"", "eu: \"1\"",
       "targets.yaml:8: target \"erp\" has no ledger for entity \"us\": add its id in the ERP"},
      {kOracle, "region=eu", "regoin=eu",
       "targets.yaml:12: target \"erp\" maps \"regoin=eu\", of no segment of its accounts"},
      {kOracle, "kind: oracle", "kind: oracle\n    accounts: {\"1200\": \"130100.{region\"}",
       "targets.yaml:8: target \"erp\" has no account of 1 to 30 segments for \"1200\""},
      {kOracle, "kind: oracle", "kind: oracle\n    accounts: {\"1200\": \"130100..1\"}",
       "targets.yaml:8: target \"erp\" has no account of 1 to 30 segments for \"1200\""},
      {kOracle, "kind: oracle", "kind: oracle\n    accounts: {\"1200\": \"1.{regoin}.{region}\"}",
       "targets.yaml:8: target \"erp\" has a segment {regoin}, and no value of it: write its values under "
       "`dimensions`"},
      {kOracle, "source: Tollbook", "source: 'Toll,book'",
       "targets.yaml:10: \"Toll,book\" as journal_source of target \"erp\" has a comma"},
      {kOracle, "    journal_category: Usage\n", "", "\"journal_category\""},
      {kOracle, "region=eu", "eu", "targets.yaml:12: target \"erp\" maps \"eu\", no dimension's value"},
      {kSap, "kind: sap", "kind: sap\n    items_path: /a?b", "targets.yaml:8: target \"erp\" has an items_path"},
  };
  const Catalog catalog = SmallCatalog();
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.to);
    std::string kind(c.kind);
    kind.replace(kind.find(c.from), std::string_view(c.from).size(), c.to);
    const ParsedTargets parsed = ParseTargets(ErpOf(kind), &catalog);
    EXPECT_THAT(parsed.targets, IsEmpty());
    std::string all;
    for (const CatalogError& error : parsed.errors) all += ToString(error) + "\n";
    EXPECT_THAT(all, HasSubstr(c.error));
  }
}

PostingRule RuleOf(bool by_subscription) {
  PostingRule rule;
  rule.debit = "1200";
  rule.credit = "4000";
  rule.by_subscription = by_subscription;
  return rule;
}

TEST(ParseTargets, ReadsWhoTheCustomersOfAnErpAre) {
  Catalog catalog = SmallCatalog();
  catalog.subscriptions.emplace_back().id = "s3";
  catalog.subscriptions.back().account = "acme";
  catalog.posting_rules = {RuleOf(true)};
  const std::string text = std::string(kErp) + kDynamics +
                           "    customer_accounts: [\"1200\"]\n    tax_codes: {VAT19: DOM/FULL}\n"
                           "    tax_accounts: [\"4000\"]\n";
  const ParsedTargets parsed =
      ParseTargets(text, &catalog, "target,subscription,account,id\nerp,,acme,US-027\nerp,s2,,US-028\n");
  ASSERT_THAT(parsed.errors, IsEmpty()) << ToString(parsed.errors[0]);
  const Target& target = parsed.targets[0];
  EXPECT_TRUE(target.customer_accounts.contains("1200"));
  EXPECT_EQ(target.tax_codes.at("VAT19"), std::pair(std::string("DOM"), std::string("FULL")));
  EXPECT_TRUE(target.tax_accounts.contains("4000"));
  EXPECT_EQ(IdOf(target, "s1"), "US-027") << "of its account";
  EXPECT_EQ(IdOf(target, "s3"), "US-027");
  EXPECT_EQ(IdOf(target, "s2"), "US-028");
  const ParsedTargets twice =
      ParseTargets(text, &catalog, "target,subscription,account,id\nerp,s1,,US-1\nerp,,acme,US-027\n");
  ASSERT_EQ(twice.errors.size(), 1u);
  EXPECT_EQ(ToString(twice.errors[0]),
            "customers.csv:3: subscription \"s1\" of account \"acme\" has an id in target \"erp\" already: leave one "
            "of the two rows out, or name its subscriptions in place of the account");
}

TEST(ParseTargets, EachMistakeOfCustomersAndTaxIsToldWithItsLine) {
  struct Case {
    const char* more;
    bool by_subscription;
    const char* error;
  };
  constexpr Case kCases[] = {
      {"    customer_accounts: [\"9999\"]\n", true, "names account \"9999\", which chart.yaml does not have"},
      {"    customer_accounts: [\"1200\"]\n", false,
       "wants the customer of each line of account \"1200\", which a posting rule adds up for all of them: write "
       "`lines: by_subscription` in that rule of posting.yaml, or leave the account out"},
      {"    tax_codes: {VAT19: DOM}\n    tax_accounts: [\"4000\"]\n", true,
       "maps tax code \"VAT19\" to \"DOM\": write the sales tax group and the item sales tax group there"},
      {"    tax_codes: {VAT19: DOM/FULL}\n", true, "has tax_codes, and no tax_accounts"},
      {"    tax_accounts: [\"4000\"]\n", true, "has tax_accounts, and no tax_codes"},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.more);
    Catalog catalog = SmallCatalog();
    catalog.posting_rules = {RuleOf(c.by_subscription)};
    const ParsedTargets parsed = ParseTargets(std::string(kErp) + kDynamics + c.more, &catalog);
    ASSERT_EQ(parsed.errors.size(), 1u);
    EXPECT_THAT(ToString(parsed.errors[0]), HasSubstr(c.error));
  }
}

JournalBatch BatchOf(std::vector<Int128> amounts) {
  std::map<LineKey, LineSum> sums;
  int32_t day = 20'120;  // 2025-02-01
  for (const Int128 minor : amounts) {
    sums[{"us", *Currency::FromCode("USD"), "2025-02", {day++}, "api", "1200", "4000", ""}] = {minor, 1};
  }
  return Summarise(sums, "demo", 1).batches.at(0);
}

TEST(TargetAuth, ReadsEachKind) {
  struct Case {
    const char* text;
    AuthKind kind;
    const char* secret;
  };
  constexpr Case kCases[] = {
      {"{kind: basic, user: u, password: env:P}", AuthKind::kBasic, "P"},
      {"{kind: bearer, token: env:T}", AuthKind::kBearer, "T"},
      {"{kind: api_key, header: X-Api-Key, key: env:K}", AuthKind::kApiKey, "K"},
      {"{kind: client_secret, token_url: https://l/t, client_id: c, client_secret: env:S, send: body}",
       AuthKind::kClientSecret, "S"},
      {"{kind: client_assertion, token_url: https://l/t, client_id: c, private_key: env:E, algorithm: ES256}",
       AuthKind::kClientAssertion, "E"},
      {"{kind: jwt_bearer, token_url: https://l/t, client_id: c, subject: s, private_key: env:J, algorithm: RS256}",
       AuthKind::kJwtBearer, "J"},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.text);
    std::string text(kGood);
    text.insert(text.find("    retry:"), "    auth: " + std::string(c.text) + "\n");
    const ParsedTargets parsed = ParseTargets(text, nullptr);
    ASSERT_THAT(parsed.errors, IsEmpty()) << ToString(parsed.errors[0]);
    const TargetAuth& auth = parsed.targets[1].auth;
    EXPECT_EQ(auth.kind, c.kind);
    EXPECT_EQ(auth.secret.name, c.secret);
    if (c.kind == AuthKind::kClientSecret) {
      EXPECT_TRUE(auth.secret_in_body);
    }
    if (c.kind == AuthKind::kClientAssertion) {
      EXPECT_EQ(auth.audience, "https://l/t");
      EXPECT_EQ(auth.subject, "c");
    }
  }
}

TEST(TargetAuth, TellsWhatIsWrong) {
  struct Case {
    const char* text;
    const char* error;
  };
  constexpr Case kCases[] = {
      {"{kind: digest}", "targets.yaml:13: "},
      {"{user: u}", "\"kind\""},
      {"{kind: basic, user: u, password: hunter2}",
       "targets.yaml:13: the password of the auth of target \"hook\" is no reference"},
      {"{kind: basic, user: 'a:b', password: env:P}", "has a user with a colon"},
      {"{kind: api_key, header: 'X: y', key: env:K}", "\"X: y\" of the auth of target \"hook\" is no name of a header"},
      {"{kind: bearer, token: env:T, user: u}", "unknown key \"user\""},
      {"{kind: client_secret, token_url: http://l/t, client_id: c, client_secret: env:S}",
       "targets.yaml:13: the auth of target \"hook\" would be spoken to without encryption"},
      {"{kind: client_secret, token_url: https://u:hunter2@l/t, client_id: c, client_secret: env:S}",
       "has a token_url that is not taken"},
      {"{kind: client_assertion, token_url: https://l/t, client_id: c, private_key: env:E}", "\"algorithm\""},
      {"{kind: client_assertion, token_url: https://l/t, client_id: c, private_key: env:E, algorithm: HS256}", "HS256"},
      {"{kind: jwt_bearer, token_url: https://l/t, client_id: c, private_key: env:E, algorithm: RS256}", "\"subject\""},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.text);
    std::string text(kGood);
    text.insert(text.find("    retry:"), "    auth: " + std::string(c.text) + "\n");
    const ParsedTargets parsed = ParseTargets(text, nullptr);
    EXPECT_THAT(parsed.targets, IsEmpty());
    std::string all;
    for (const CatalogError& error : parsed.errors) all += ToString(error) + "\n";
    EXPECT_THAT(all, HasSubstr(c.error));
    EXPECT_THAT(all, testing::Not(HasSubstr("hunter2")));
  }
}

TEST(Target, TakesItsEntitiesAndPeriods) {
  struct Case {
    std::vector<std::string> entities;
    const char* from;
    bool concerns;
  };
  const Case cases[] = {{{}, "", true},      {{"us"}, "", true},     {{"eu", "us"}, "2025-02", true},
                        {{"eu"}, "", false}, {{}, "2025-03", false}, {{}, "2024-12", true}};
  for (const Case& c : cases) {
    Target target;
    target.entities = c.entities;
    target.from = c.from;
    EXPECT_EQ(Concerns(target, BatchOf({100})), c.concerns) << c.from << c.entities.size();
  }
}

TEST(Target, TellsWhatIsBeyondItsLimits) {
  Target target;
  EXPECT_EQ(BeyondLimits(target, BatchOf({100, 200, 300, 400})), "") << "no limits";
  target.lines_max = 3;
  target.amount_max["USD"] = 1250;
  EXPECT_EQ(BeyondLimits(target, BatchOf({1000, 200, 50})), "") << "both are reached, and not passed";
  EXPECT_EQ(BeyondLimits(target, BatchOf({1000, 200, 51})), "12.51 USD, and the limit is 12.50");
  EXPECT_EQ(BeyondLimits(target, BatchOf({1000, -251})), "12.51 USD, and the limit is 12.50") << "both are posted";
  EXPECT_EQ(BeyondLimits(target, BatchOf({1, 1, 1, 1})), "4 lines, and the limit is 3");
}

TEST(HeadOf, TakesSchemeAndHost) {
  struct Case {
    const char *url, *scheme, *host;
  };
  constexpr Case kCases[] = {
      {"https://Erp.Example.com/a?b", "https", "erp.example.com"},
      {"http://127.0.0.1:8069/ledger/", "http", "127.0.0.1:8069"},
      {"http://[::1]:80", "http", "[::1]:80"},
      {"https://user:pw@host/", "https", ""},
      {"https:///path", "https", ""},
      {"https://host/#part", "https", ""},
      {"ftp://host/", "", ""},
      {"HTTPS://host/", "", ""},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.url);
    EXPECT_EQ(HeadOf(c.url).scheme, c.scheme);
    EXPECT_EQ(HeadOf(c.url).host, c.host);
  }
}

}  // namespace
}  // namespace tollbook
