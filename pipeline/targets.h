// Targets: whom a book's journal batches are delivered to, from targets.yaml. No secret stands there: only where it is.
#ifndef TOLLBOOK_PIPELINE_TARGETS_H_
#define TOLLBOOK_PIPELINE_TARGETS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ledger/journal.h"
#include "pipeline/account_fact.h"
#include "pipeline/posting_window.h"
#include "pipeline/target_auth.h"
#include "rating/catalog.h"
#include "rating/catalog_text.h"

namespace tollbook {

inline constexpr std::string_view kTargetsFile = "targets.yaml";
inline constexpr std::string_view kCustomersFile = "customers.csv";
// Dimensions of a journal line that mean something to a target: whose it is, and its product, which is mapped like one.
inline constexpr std::string_view kSubscriptionDimension = "subscription";
inline constexpr std::string_view kProductDimension = "product";
inline constexpr std::string_view kTaxCodeDimension = "tax_code";

enum class TargetKind : uint8_t {
  kFiles,
  kWebhook,
  kTryton,
  kNetsuite,
  kDynamics,
  kSap,
  kOracle,
  kStripe,
  kChargebee,
  kMaxio,
  kZuora,
  kSalesforce,
  kGainsight,
  kTotango,
};
std::string_view Word(TargetKind kind);

enum class FileFormat : uint8_t { kCsv, kJson, kLedger, kParquet };

// What goes first, where not all can go at once.
enum class Priority : uint8_t { kHigh, kNormal, kLow };
inline constexpr size_t kPriorities = 3;

// How often it may be asked or sent to; 0: as often as there is something.
struct RequestLimits {
  uint32_t per_second = 0;
  uint32_t per_day = 0;      // of UTC
  uint32_t concurrency = 1;  // requests at a time, of different entities or accounting periods
};

struct HttpPolicy {
  std::string url;
  std::string ca_file;             // empty: the system's
  std::string proxy;               // scheme, host and port of the one that it is reached by; empty: by none
  uint32_t timeout_seconds = 120;  // of a whole request
  bool private_network = false;    // it, or its proxy, may be at a private address
};

struct Target {
  std::string name;
  TargetKind kind = TargetKind::kFiles;
  std::vector<std::string> entities;      // empty: all
  std::string region;                     // where it keeps what it gets; empty: not said
  std::string from;                       // accounting period, "2025-01": earlier batches are none of its; empty: all
  Priority priority = Priority::kNormal;  // among the targets
  std::map<std::string, Priority, std::less<>> entity_priorities;  // of their batches; who is not here is normal
  // Posting limits: what is beyond them waits for a person.
  uint64_t lines_max = 0;                    // 0: any
  std::map<std::string, Int128> amount_max;  // currency -> minor units of a batch's debits
  uint32_t retry_first_seconds = 2;          // the back-off's first step, doubled each time
  uint32_t retry_cap_seconds = 900;
  uint32_t quiet_seconds = 60;         // after an unclear end, before "not found" counts as "not there"
  std::vector<PostingWindow> windows;  // outside of them it hears nothing; empty: at all times
  std::map<std::string, FiscalCalendar, std::less<>> calendars;  // by entity, for the windows

  // files
  std::string directory;
  FileFormat format = FileFormat::kCsv;

  // all but files
  HttpPolicy http;
  RequestLimits requests;
  SecretReference secret;  // the webhook's signing key; Tryton's password; an API key; of the others none
  TargetAuth auth;         // webhook: optional, beside it; netsuite, dynamics, sap, oracle

  // webhook
  bool deduplicates = false;              // the receiver drops a key that it has seen
  uint32_t deduplicates_for_seconds = 0;  // so long after it was first sent; 0: for ever
  bool answer_names_key = false;          // its answer is believed only where the body has the key
  bool journal_sealed = true;             // the events that it gets
  bool usage_rated = false;
  bool journal_posted = false, journal_failed = false;  // by other targets
  bool exception_raised = false;
  bool period_closed = false;

  // tryton
  std::string user;     // sap: CreatedByUser
  std::string journal;  // its code there; dynamics: JournalName; sap: the document type; oracle: the source
  std::map<std::string, std::string> companies;  // entity -> the company's name there
  std::map<std::string, std::string> accounts;   // our code -> the code there; what is not here has the same

  // netsuite: internal ids; `companies` and `accounts` are its subsidiaries and accounts, and all must be there
  std::map<std::string, std::string> currencies;  // code -> id
  std::map<std::string, std::string> dimensions;  // "cost_center=100" -> "department=7"

  // tryton, netsuite, dynamics: our accounts whose lines name the customer there, by `ids` of the line's subscription
  std::set<std::string, std::less<>> customer_accounts;

  // dynamics: `companies` are its legal entities, all `accounts` must be there, `dimensions` have values alone
  std::vector<std::string> segments;  // our dimensions that follow the main account in its account structure, in order
  // Our tax code -> the sales tax group there, and the item's, on lines of our `tax_accounts`; empty: the text tells
  // it.
  std::map<std::string, std::pair<std::string, std::string>> tax_codes;
  std::set<std::string, std::less<>> tax_accounts;

  // sap: `companies` are its company codes, all `accounts` must be there, `dimensions` are "CostCenter=10101"
  std::string items_path;  // of the OData entity set by which posted items are read

  // oracle: `companies` are its ledgers' ids; an account is "12.{region}.4000", `dimensions` have values alone
  std::string data_access_set;
  std::string category;               // of its journals
  uint32_t resend_after_seconds = 0;  // no import waits there for longer; 0: nobody says so

  // of usage: stripe, chargebee, maxio; `secret` is the API key
  std::map<std::string, std::string> charges;  // "plan/charge", or "charge" of any plan -> the code there; no others
  bool same_ids = false;                       // who has no row in customers.csv has the same id there
  // Of customers.csv: our subscription, or account -> the id; of ERPs the subscription, whichever its row names.
  std::map<std::string, std::string, std::less<>> ids;

  std::map<std::string, std::string> meters;  // stripe: code -> id of the meter there, which can be asked; may be empty

  std::string key_field;  // zuora: of its usage there, for the key; empty: there is none

  // of accounts: salesforce, gainsight, totango
  std::vector<AccountField> fields;      // that are told, and where they stand there
  bool per_subscription = false;         // a record of each subscription, not of each account
  std::shared_ptr<const Target> poster;  // whose word the posting status is; null: no field tells it
  std::string object;                    // of which each is a record there
  std::string external_id;               // the field there that has the id
  std::string api_version;               // salesforce: "v60.0"
  std::string service_id;                // totango: "SP-1-11"
  int line = 0;
};
// Whether it gets journal batches, the usage that they are of, or how accounts stand.
[[nodiscard]] bool TakesJournal(const Target& target);
[[nodiscard]] bool TakesUsage(const Target& target);
[[nodiscard]] bool TakesAccounts(const Target& target);
// Whether it gets what happens to the book, beside them.
[[nodiscard]] bool TakesEvents(const Target& target);

struct ParsedTargets {
  std::vector<Target> targets;  // in the order of the file
  std::vector<CatalogError> errors;
};
// The texts of targets.yaml and customers.csv; empty text gives none. `catalog`: whose entities, accounts, charges and
// subscriptions they may name; null: any.
[[nodiscard]] ParsedTargets ParseTargets(std::string_view text, const Catalog* catalog,
                                         std::string_view customers = {});

// The targets of a catalog that was loaded, and so checked.
[[nodiscard]] std::vector<Target> TargetsOf(const Catalog& catalog);

// The code of a charge there; none: it is not told to the target.
[[nodiscard]] std::optional<std::string_view> CodeOf(const Target& target, const std::string& plan,
                                                     const std::string& charge);
// The id of a subscription, or an account, there; none: neither a row of customers.csv nor `same_ids` says it.
[[nodiscard]] std::optional<std::string_view> IdOf(const Target& target, std::string_view ours);

// Whether it is told of the entity.
[[nodiscard]] bool Gets(const Target& target, const std::string& entity);
// Whether the batch is to be delivered to it.
[[nodiscard]] bool Concerns(const Target& target, const JournalBatch& batch);
// Of what belongs to that entity (empty: to none), among what the target gets.
[[nodiscard]] Priority PriorityOf(const Target& target, std::string_view entity);
// When it may next be told of what belongs to that entity (empty: to none), from then on.
[[nodiscard]] Instant OpensAt(const Target& target, std::string_view entity, Instant from);
// What of the batch is beyond the target's limits, in words; empty: nothing.
[[nodiscard]] std::string BeyondLimits(const Target& target, const JournalBatch& batch);

// The part of a url that connects: scheme and host, in lower case; empty when it is none of ours ("ftp://", no host).
struct UrlHead {
  std::string scheme;
  std::string host;
};
[[nodiscard]] UrlHead HeadOf(std::string_view url);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_TARGETS_H_
