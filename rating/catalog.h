// Catalog: all that people decide: meters, plans, subscriptions, legal entities, accounts, posting rules.
//
// A Catalog is checked when it is made (ParseCatalog): references exist, ranges do not overlap, prices are exact. Code
// that holds one need not check again. It does not change; a new version is a new Catalog.
#ifndef TOLLBOOK_RATING_CATALOG_H_
#define TOLLBOOK_RATING_CATALOG_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "rating/accounting_period.h"
#include "rating/calendar.h"
#include "rating/discount.h"
#include "rating/grant.h"
#include "rating/meter.h"
#include "rating/money.h"
#include "rating/name_index.h"
#include "rating/permissions.h"
#include "rating/plan.h"
#include "rating/unit_grant.h"
#include "rating/usage_total.h"

namespace tollbook {

// One row of subscriptions.csv: a customer on a plan for a time. Several rows may share an id (versions); their times
// do not overlap, and neither do those of two subscriptions of one subject. The texts are those of the catalog's files:
// copied, a million rows cost 50 to 200 MB and as many allocations.
struct Subscription {
  std::string_view subject;  // the CloudEvents `subject` of its usage; the id unless the file has a `subject` column
  std::string_view id;
  uint32_t plan = 0;            // index into Catalog::plans
  uint32_t entity = 0;          // index into Catalog::entities
  Zone zone;                    // the row's `zone`, else the entity's, else the book's
  Day valid_from;               // civil, in `zone`
  std::optional<Day> valid_to;  // exclusive; none: open
  uint32_t later = 0;           // rows behind it of the same subject; CountLater fills it
  int line = 0;
  std::string_view account;
  uint32_t terms = 0;  // index into Catalog::subscription_terms; 0: the usual ones
};

// What few rows of subscriptions.csv say, so that a million of them need not have room for it.
struct SubscriptionTerms {
  std::optional<Day> billing_anchor = {};  // a billing period begins on it, whatever the plan says
  Quantity quantity = Quantity::Units(1);  // of fees: how many seats, sites …
  uint32_t kind = 0;                       // index into Catalog::customer_kinds
  friend auto operator<=>(const SubscriptionTerms&, const SubscriptionTerms&) = default;
};

// What a subscription's customer is to finance: posting rules tell them apart.
struct CustomerKind {
  std::string customer_class;  // "reseller"; empty: nothing is said
  std::string region;
  friend auto operator<=>(const CustomerKind&, const CustomerKind&) = default;
};

// Of subscriptions in the order of their subjects.
void CountLater(std::span<Subscription> subscriptions);

// What a catalog was read from. Its copies share it.
struct CatalogFiles {
  std::map<std::string, std::string> texts;  // by file name
  std::deque<std::string> unescaped;         // fields of subscriptions.csv that stand otherwise in the file
};

// What becomes of a difference whose usage date lies in a closed accounting period.
enum class LateUsage : uint8_t {
  kOpenPeriod,  // booked in the first open period behind it, on that period's first day
  kRefuse,      // not booked until the period is opened again
  kAccrue,      // accrued there, and in the open period behind that one reversed and booked
};

// Which journal batches of an entity are not delivered before a named person has approved them.
struct ApprovalPolicy {
  bool every_batch = false;
  bool first_of_period = false;             // the first one of an accounting period and currency
  std::map<std::string, Money> above;       // by currency code: whose debits come to more than this
  std::map<std::string, Money> late_above;  // likewise: whose late usage of one accounting period does, either way
};

struct Entity {
  std::string name;
  std::optional<Zone> zone;
  Currency functional_currency;
  FiscalCalendar fiscal_calendar = {};
  PeriodState new_periods = PeriodState::kOpen;  // of those that nobody has changed: open or future
  LateUsage late_usage = LateUsage::kOpenPeriod;
  uint32_t batch_lines_max = UINT32_MAX;  // a batch of more lines is cut into several
  ApprovalPolicy approval = {};
  Permissions permissions = {};
};

struct Account {
  std::string code;  // "4000" or "revenue:usage"
  std::string name;
  std::string type;  // asset, liability, equity, revenue, expense
};

enum class SummaryPolicy : uint8_t {
  kDaily,   // one journal line per usage date
  kPeriod,  // one per billing period, dated at its last day
};

// When the amount of a fee is revenue.
enum class Recognition : uint8_t {
  kPoint,    // on the day on which it is due
  kRatable,  // day by day from then on: until then it is deferred
};

// What a line is, to the posting rules.
struct PostingScope {
  std::string_view charge = {}, plan = {}, product = {}, customer_class = {}, region = {}, currency = {}, entity = {};
};

// Names of a scope -> accounts. An empty name means any. Of two rules that fit, the one that has the first name, in the
// order of the members, that only one of them has: so no two that differ in their names are equally specific.
struct PostingRule {
  std::string charge;
  std::string plan;
  std::string product;
  std::string customer_class;
  std::string region;
  std::string currency;
  std::string entity;
  std::string debit;                              // account code
  std::string credit;                             // account code
  std::map<std::string, std::string> dimensions;  // cost centre, department, tax code …: carried to the journal
  std::string dimensions_text;                    // "cost_center=100,region=eu"; BuildIndex fills it
  SummaryPolicy summary = SummaryPolicy::kDaily;
  bool by_subscription = false;  // a journal line for each subscription and charge
  Recognition recognition = Recognition::kPoint;
  std::string deferred;                              // where it is ratable: the account of what is not recognised yet
  std::optional<BillingCycle> recognised_over = {};  // from the day on which it is due; none: to its period's end
  // Who delivers what the subscription's entity sells, where that is another entity: `credit` (and `deferred`) is then
  // in its books. Empty: who sells.
  std::string delivered_by = {};
  std::string due_to = {};    // the seller's account of what it owes to who delivers
  std::string due_from = {};  // that of who delivers, of what the seller owes
  std::string accrued = {};   // what late usage that is accrued debits instead of `debit`; empty: it is not accrued
  int line = 0;
};

// Its names, as far as it has any: "product \"tokens\" and entity \"acme-eu\"", in the order of their weight.
std::string ScopeText(const PostingRule& rule);

struct BookPolicy {
  std::string name;  // part of every posting key
  Zone zone;
  Rounding rounding = Rounding::kHalfUp;
};

class Catalog {
 public:
  BookPolicy book;
  std::vector<Entity> entities;
  std::vector<Account> accounts;
  std::vector<Meter> meters;  // sorted by name
  std::vector<Plan> plans;
  std::vector<PostingRule> posting_rules;
  std::vector<Subscription> subscriptions;  // sorted by (subject, valid_from)
  std::vector<Grant> grants;                // sorted by (account, subscription, id): accounts' come last
  std::vector<UnitGrant> unit_grants;       // sorted by (subscription, charge, id)
  std::vector<Discount> discounts;          // sorted by (of, name)
  std::vector<std::string> discount_products = {""};
  std::vector<SubscriptionTerms> subscription_terms =
      std::vector<SubscriptionTerms>(1);                                    // the first are the usual ones
  std::vector<CustomerKind> customer_kinds = std::vector<CustomerKind>(1);  // the first says nothing
  std::shared_ptr<const CatalogFiles> read_from;
  std::string digest;  // hex of a hash over `files`; equal digests, equal catalogs

  // File name -> text, as read: the catalog's own record, kept in the book. None in a catalog that was not read.
  const std::map<std::string, std::string>& files() const;

  // Indices into `meters` that an event type feeds; empty when none.
  const std::vector<uint32_t>& MetersOfType(std::string_view event_type) const;
  const Meter* FindMeter(std::string_view name) const;
  // The subscriptions of a subject, by valid_from; an empty range when it has none.
  struct SubscriptionRange {
    const Subscription* first;
    const Subscription* last;
    const Subscription* begin() const { return first; }
    const Subscription* end() const { return last; }
  };
  SubscriptionRange SubscriptionsOf(std::string_view subject) const;
  // The first day of all versions of one of `subscriptions`; and that of this version without its days of trial.
  Day FirstDayOf(const Subscription& subscription) const;
  Day FirstPaidDayOf(const Subscription& subscription) const;
  // The billing periods of one of `subscriptions`, by what its plan or charge says.
  BillingCycle CycleOf(const BillingTerms& terms, const Subscription& subscription) const {
    if (subscription.terms == 0 && !terms.by_subscription) return terms.cycle;  // most
    return AnchoredCycleOf(terms, subscription);
  }
  // Which charge of the plan takes a total with these dimension values (in the meter's order)? The one with the most
  // specific filter; null: none, or that one is a matrix without a cell for them.
  const Charge* ChargeFor(const Plan& plan, const Meter& meter, DimensionValues dimension_values) const;
  // Of one subscription; empty when it has none.
  std::span<const Grant> GrantsOf(std::string_view subscription) const;
  std::span<const Grant> AccountGrantsOf(std::string_view account) const;
  bool has_account_grants() const { return !grants.empty() && !grants.back().account.empty(); }
  // Indices into `subscriptions` of an account that has grants, ascending; of others none.
  std::span<const uint32_t> RowsOfGrantedAccount(std::string_view account) const;
  std::span<const UnitGrant> UnitGrantsOf(std::string_view subscription) const;
  std::span<const UnitGrant> UnitGrantsOf(std::string_view subscription, std::string_view charge) const;
  std::span<const Discount> DiscountsOf(Discount::Of of, std::string_view name) const;
  // Null: no rule fits.
  const PostingRule* PostingFor(const PostingScope& scope) const;
  // The same of a line of one of `subscriptions`.
  const PostingRule* PostingOf(const Subscription& subscription, const Charge& charge) const;

  void BuildIndex();  // after the vectors are filled; ParseCatalog does

 private:
  BillingCycle AnchoredCycleOf(const BillingTerms& terms, const Subscription& subscription) const;
  void BuildDiscountLines(Plan* plan) const;
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
  };
  std::unordered_map<std::string, std::vector<uint32_t>, Hash, std::equal_to<>> meters_of_type_;
  NameIndex first_of_subject_;  // subject -> the first of its subscriptions
  std::map<std::string, std::vector<uint32_t>, std::less<>> rows_of_granted_account_;
};

// "discount calls", "discount calls (coupons)".
std::string DiscountLineName(std::string_view charge, std::string_view product);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_H_
