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
  kSubscription,
  kAmount,
  kCurrency,
  kProduct,
  kStartsOn,
  kEndsOn,
  kPriority,
  kRefill,
  kRollover,
  kPaysEarlier,
  kBreakageProduct,
  kColumns
};
constexpr std::array<std::string_view, kColumns> kColumnNames = {
    "grant",   "subscription", "amount", "currency", "product",      "starts_on",
    "ends_on", "priority",     "refill", "rollover", "pays_earlier", "breakage_product"};
constexpr size_t kRequiredColumns = kEndsOn;

class GrantRows : public CatalogRows {
 public:
  GrantRows(CatalogDraft& draft, FileErrors& errors)
      : CatalogRows(kColumnNames, kRequiredColumns, errors), draft_(draft) {}

 private:
  void ReadRow() override {
    Grant grant;
    grant.line = line();
    grant.id = Text(kId);
    grant.subscription = Text(kSubscription);
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
    grant->rollover = Has(kRollover) ? Amount(kRollover, *currency) : Money{*currency, 0};
    if (Has(kRollover) && !Has(kRefill)) {
      Wrong(kRollover, "and nothing refills the grant", "leave it empty, or say when the grant is refilled");
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
                    [](const Grant& grant) { return std::tie(grant.subscription, grant.id); });
}

namespace {

// One that the subscription is on at some time.
void CheckPlan(const Grant& grant, const Plan& plan, const std::string& user, FileErrors& errors) {
  if (grant.amount.currency != plan.currency) {
    errors.Add(
        grant.line,
        Join({user, " is in ", grant.amount.currency.code(), ", and its subscription in ", plan.currency.code()}),
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

}  // namespace

// A grant pays a subscription that there is, in its currency.
void CheckGrants(CatalogDraft& draft) {
  if (draft.catalog.grants.empty()) return;
  FileErrors errors("grants.csv", &draft.errors);
  std::map<std::string_view, std::vector<const Subscription*>> subscriptions;  // all versions
  for (const Grant& grant : draft.catalog.grants) subscriptions.try_emplace(grant.subscription);
  for (const Subscription& subscription : draft.catalog.subscriptions) {
    const auto wanted = subscriptions.find(subscription.id);
    if (wanted != subscriptions.end()) wanted->second.push_back(&subscription);
  }
  for (const Grant& grant : draft.catalog.grants) {
    const std::vector<const Subscription*>& versions = subscriptions.at(grant.subscription);
    const std::string user = Join({"grant ", Quoted(grant.id)});
    if (versions.empty()) {
      errors.Add(
          grant.line,
          Join({user, " names subscription ", Quoted(grant.subscription), ", which subscriptions.csv does not have"}),
          "add it there, or name one that is there");
      continue;
    }
    std::set<uint32_t> plans;
    for (const Subscription* version : versions) plans.insert(version->plan);
    for (const uint32_t plan : plans) CheckPlan(grant, draft.catalog.plans[plan], user, errors);
    const Subscription* subscription = versions.front();
    draft.granted.try_emplace({grant.credit.product, subscription->entity}, subscription->line);
    if (grant.breakage) draft.granted.try_emplace({grant.breakage->product, subscription->entity}, subscription->line);
  }
}

}  // namespace tollbook
