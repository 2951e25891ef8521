// grants.csv: what was paid or promised ahead. The file is optional.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "rating/catalog_draft.h"
#include "rating/catalog_rows.h"

namespace tollbook {
namespace {

enum Column {
  kId,
  kAmount,
  kCurrency,
  kProduct,
  kStartsOn,
  kSubscription,
  kAccount,
  kEndsOn,
  kPriority,
  kRefill,
  kRollover,
  kRolloverMin,
  kPaysEarlier,
  kBreakageProduct,
  kColumns
};
constexpr std::array<std::string_view, kColumns> kColumnNames = {
    "grant",   "amount",   "currency", "product",  "starts_on",    "subscription", "account",
    "ends_on", "priority", "refill",   "rollover", "rollover_min", "pays_earlier", "breakage_product"};
constexpr size_t kRequiredColumns = kSubscription;

class GrantRows : public CatalogRows {
 public:
  GrantRows(CatalogDraft& draft, FileErrors& errors)
      : CatalogRows(kColumnNames, kRequiredColumns, errors), draft_(draft) {}

 private:
  void ReadRow() override {
    Grant grant;
    grant.line = line();
    grant.id = Text(kId);
    if (Has(kSubscription)) grant.subscription = Text(kSubscription);
    if (Has(kAccount)) grant.account = Text(kAccount);
    if (Has(kSubscription) == Has(kAccount)) {
      Wrong(kId, Has(kAccount) ? "and it is of two" : "and it is of nobody", "name one subscription, or one account");
    }
    if (!grant.id.empty() && !ids_.insert(grant.id).second)
      Wrong(kId, "which another row has", "give it an id of its own");
    ReadMoney(&grant);
    ReadTime(&grant);
    ReadLines(&grant);
    if (good()) draft_.catalog.grants.push_back(std::move(grant));
  }

  void ReadMoney(Grant* grant) {
    const std::optional<Currency> currency = CurrencyIn(kCurrency);
    if (!currency) return;
    grant->amount = Amount(kAmount, *currency);
    grant->rollover_min = Has(kRolloverMin) ? Amount(kRolloverMin, *currency) : Money{*currency, 0};
    grant->rollover = Has(kRollover) ? Amount(kRollover, *currency) : grant->rollover_min;
    for (const Column column : {kRollover, kRolloverMin}) {
      if (!Has(column) || Has(kRefill)) continue;
      Wrong(column, "and nothing refills the grant", "leave it empty, or say when the grant is refilled");
    }
    if (good() && grant->rollover.minor < grant->rollover_min.minor) {
      Wrong(kRollover, "less than the rollover_min", "write at least as much, or leave it empty");
    }
  }

  void ReadTime(Grant* grant) {
    grant->starts_on = DayIn(kStartsOn);
    if (Has(kEndsOn)) {
      grant->ends_on = DayIn(kEndsOn);
      if (good() && *grant->ends_on <= grant->starts_on) {
        Wrong(kEndsOn, "not after its start", "write the first day after its end, or leave it empty");
      }
    }
    grant->refill = CycleIn(kRefill);
    if (grant->refill) grant->refill->anchor = grant->starts_on;
    grant->pays_earlier = FlagIn(kPaysEarlier);
    grant->priority = RankIn(kPriority, "pays first");
  }

  void ReadLines(Grant* grant) {
    grant->credit = LineOf("credit " + grant->id, kProduct, *grant);
    if (Has(kBreakageProduct)) {
      grant->breakage = LineOf("breakage " + grant->id, kBreakageProduct, *grant);
    }
  }

  Charge LineOf(std::string name, Column product, const Grant& grant) {
    Charge one;
    one.is_of_grant = true;
    one.name = std::move(name);
    one.product = Text(product);
    one.line = grant.line;
    if (draft_.products.Find(one.product) == nullptr) draft_.products.Define(one.product, 0, line(), errors_);
    return one;
  }

  CatalogDraft& draft_;
  std::set<std::string> ids_;
};

}  // namespace

void ReadGrants(CatalogDraft& draft) {
  FileErrors errors("grants.csv", &draft.errors);
  if (!GrantRows(draft, errors).Read(draft, "grants.csv")) return;
  std::ranges::sort(draft.catalog.grants, {},
                    [](const Grant& grant) { return std::tie(grant.account, grant.subscription, grant.id); });
}

namespace {

// Of whom a grant is, and all versions of subscriptions that it pays for.
struct Payer {
  std::string_view thing;
  std::string_view name;
  friend auto operator<=>(const Payer&, const Payer&) = default;
};
using Paid = std::map<Payer, std::vector<const Subscription*>>;

Payer PayerOf(const Grant& grant) {
  return grant.account.empty() ? Payer{"subscription", grant.subscription} : Payer{"account", grant.account};
}

Paid PaidByAll(const Catalog& catalog) {
  Paid paid;
  for (const Grant& grant : catalog.grants) paid.try_emplace(PayerOf(grant));
  for (const Subscription& subscription : catalog.subscriptions) {
    for (const Payer& payer : {Payer{"subscription", subscription.id}, Payer{"account", subscription.account}}) {
      const auto wanted = paid.find(payer);
      if (wanted != paid.end()) wanted->second.push_back(&subscription);
    }
  }
  return paid;
}

// One that a subscription is on at some time.
void CheckPlan(const Grant& grant, const Subscription& subscription, const Plan& plan, const std::string& user,
               FileErrors& errors) {
  if (grant.amount.currency != plan.currency) {
    const std::string whose = grant.account.empty()
                                  ? "its subscription"
                                  : Join({"subscription ", Quoted(subscription.id), " of its account"});
    errors.Add(grant.line,
               Join({user, " is in ", grant.amount.currency.code(), ", and ", whose, " in ", plan.currency.code()}),
               "grant it in that currency");
  }
  for (const Charge& charge : plan.charges) {
    if (charge.name != grant.credit.name && (!grant.breakage || charge.name != grant.breakage->name)) continue;
    errors.Add(
        grant.line,
        Join({user, " has a line named ", Quoted(charge.name), ", as a charge of plan ", Quoted(plan.name), " has"}),
        "rename one of the two");
  }
}

// What an account's grants have paid already is not a debt any more, and a subscription's own grants pay before them.
void CheckEarlier(const Grant& grant, std::span<const Subscription* const> versions, std::span<const Grant> grants,
                  const std::string& user, FileErrors& errors) {
  if (!grant.pays_earlier || !grant.account.empty()) return;
  for (const Subscription* version : versions) {
    const auto of_account = std::ranges::find(grants, version->account, &Grant::account);
    if (version->account.empty() || of_account == grants.end()) continue;
    errors.Add(grant.line,
               Join({user, " pays what came due earlier, and account ", Quoted(version->account),
                     " of its subscription has grants, such as ", Quoted(of_account->id)}),
               "make it a grant of the account, or leave \"pays_earlier\" out");
    return;
  }
}

}  // namespace

// A grant pays subscriptions that there are, in their currency.
void CheckGrants(CatalogDraft& draft) {
  if (draft.catalog.grants.empty()) return;
  FileErrors errors("grants.csv", &draft.errors);
  const Paid paid = PaidByAll(draft.catalog);
  for (const Grant& grant : draft.catalog.grants) {
    const Payer payer = PayerOf(grant);
    const std::vector<const Subscription*>& versions = paid.at(payer);
    const std::string user = Join({"grant ", Quoted(grant.id)});
    if (versions.empty()) {
      errors.Add(
          grant.line,
          Join({user, " names ", payer.thing, " ", Quoted(payer.name), ", which subscriptions.csv does not have"}),
          "add it there, or name one that is there");
      continue;
    }
    std::set<uint32_t> plans;
    for (const Subscription* version : versions) {
      if (plans.insert(version->plan).second) {
        CheckPlan(grant, *version, draft.catalog.plans[version->plan], user, errors);
      }
      draft.granted.try_emplace({grant.credit.product, version->entity}, version->line);
      if (grant.breakage) draft.granted.try_emplace({grant.breakage->product, version->entity}, version->line);
    }
    CheckEarlier(grant, versions, draft.catalog.grants, user, errors);
  }
}

}  // namespace tollbook
