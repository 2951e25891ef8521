// discounts.csv: what is taken off, and from when to when. The file is optional.
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
  kStartsOn,
  kSubscription,
  kAccount,
  kPlan,
  kCharge,
  kPercent,
  kAmount,
  kCurrency,
  kProduct,
  kEndsOn,
  kOrder,
  kReachesBack,
  kColumns
};
constexpr std::array<std::string_view, kColumns> kColumnNames = {
    "discount", "starts_on", "subscription", "account", "plan",  "charge",      "percent",
    "amount",   "currency",  "product",      "ends_on", "order", "reaches_back"};
constexpr size_t kRequiredColumns = kSubscription;
constexpr int kPercentPlaces = 16;  // so that a share has 18

class DiscountRows : public CatalogRows {
 public:
  DiscountRows(CatalogDraft& draft, FileErrors& errors)
      : CatalogRows(kColumnNames, kRequiredColumns, errors), draft_(draft) {}

 private:
  void ReadRow() override {
    Discount discount;
    discount.line = line();
    discount.id = Text(kId);
    ReadOf(&discount);
    if (Has(kCharge)) discount.charge = Text(kCharge);
    ReadHowMuch(&discount);
    discount.starts_on = DayIn(kStartsOn);
    if (Has(kEndsOn)) {
      discount.ends_on = DayIn(kEndsOn);
      if (good() && *discount.ends_on <= discount.starts_on)
        Wrong(kEndsOn, "not after its start", "write the first day after its end, or leave it empty");
    }
    discount.order = RankIn(kOrder, "comes first");
    discount.reaches_back = FlagIn(kReachesBack);
    if (Has(kProduct)) discount.product = ProductIn(kProduct);
    if (good() && !ids_.insert({discount.id, discount.of, discount.name, discount.charge}).second)
      Wrong(kId, "which another row has of the same", "give it an id of its own");
    if (good()) draft_.catalog.discounts.push_back(std::move(discount));
  }

  void ReadOf(Discount* discount) {
    constexpr std::array<std::pair<Column, Discount::Of>, 3> kOf = {{{kSubscription, Discount::Of::kSubscription},
                                                                     {kAccount, Discount::Of::kAccount},
                                                                     {kPlan, Discount::Of::kPlan}}};
    int said = 0;
    for (const auto& [column, of] : kOf) {
      if (!Has(column)) continue;
      ++said;
      discount->of = of;
      discount->name = Text(column);
    }
    if (said != 1)
      Wrong(kId, said == 0 ? "and it is of nobody" : "and it is of two", "name one subscription, account or plan");
  }

  void ReadHowMuch(Discount* discount) {
    if (Has(kPercent) == Has(kAmount)) {
      return Wrong(kId, Has(kPercent) ? "and it is a percentage and an amount" : "and it says not how much",
                   "write either a percent, or an amount and its currency");
    }
    if (Has(kPercent)) {
      const ParsedDecimal parsed = ParseDecimal(Field(kPercent), kPercentPlaces);
      const bool good = parsed.error == DecimalError::kNone && parsed.value >= 0;
      Int128 most = 100;
      for (int places = 0; places < kPercentPlaces; ++places) most *= 10;
      if (!good || parsed.value > most)
        return Wrong(kPercent, "not a percentage", "write a number from 0 to 100, with at most 16 decimals");
      discount->share = {parsed.value};  // of 10^-16 of a hundredth
      if (Has(kCurrency)) Wrong(kCurrency, "of a percentage", "leave it empty");
      return;
    }
    if (const std::optional<Currency> currency = CurrencyIn(kCurrency)) discount->amount = Amount(kAmount, *currency);
    if (Has(kAccount)) {
      Wrong(kAmount, "off an account, whose subscriptions are billed apart",
            "give it to one of them, or give the account a percentage");
    }
  }

  uint32_t ProductIn(size_t column) {
    const std::string product = Text(column);
    std::vector<std::string>& products = draft_.catalog.discount_products;
    const auto known = std::ranges::find(products, product);
    if (known != products.end()) return static_cast<uint32_t>(known - products.begin());
    if (draft_.products.Find(product) == nullptr) draft_.products.Define(product, 0, line(), errors_);
    products.push_back(product);
    return static_cast<uint32_t>(products.size() - 1);
  }

  CatalogDraft& draft_;
  std::set<std::tuple<std::string, Discount::Of, std::string, std::string>> ids_;
};

// The subscriptions and plans that discounts reach.
class DiscountCheck {
 public:
  DiscountCheck(CatalogDraft& draft, FileErrors& errors) : draft_(draft), errors_(errors) {
    std::set<std::pair<Discount::Of, std::string_view>> wanted;
    for (const Discount& discount : draft.catalog.discounts) wanted.insert({discount.of, discount.name});
    for (const Subscription& subscription : draft.catalog.subscriptions) {
      const std::pair<Discount::Of, std::string_view> names[] = {
          {Discount::Of::kSubscription, subscription.id},
          {Discount::Of::kAccount, subscription.account},
          {Discount::Of::kPlan, draft.catalog.plans[subscription.plan].name}};
      for (const auto& name : names) {
        if (wanted.contains(name)) {
          reached_[name].try_emplace({subscription.plan, subscription.entity}, subscription.line);
        }
      }
    }
  }

  void Check(const Discount& discount) {
    const std::string user = Join({"discount ", Quoted(discount.id)});
    const auto found = reached_.find({discount.of, discount.name});
    if (discount.of == Discount::Of::kPlan) {
      const auto plan = std::ranges::find(draft_.catalog.plans, discount.name, &Plan::name);
      if (plan == draft_.catalog.plans.end()) {
        return Wrong(discount, Join({user, " names plan ", Quoted(discount.name), ", which plans.yaml does not have"}),
                     "define it there, or name one that is there");
      }
      bool has_charge = false;
      CheckPlan(discount, *plan, user, &has_charge);
      CheckHasCharge(discount, has_charge, user);
    } else if (found == reached_.end()) {
      const std::string_view thing = discount.of == Discount::Of::kAccount ? " names account " : " names subscription ";
      return Wrong(discount, Join({user, thing, Quoted(discount.name), ", which subscriptions.csv does not have"}),
                   "add it there, or name one that is there");
    }
    if (found == reached_.end()) return;  // a plan that nobody is on
    bool has_charge = false;
    for (const auto& [plan_and_entity, line] : found->second) {
      if (discount.of != Discount::Of::kPlan) {
        CheckPlan(discount, draft_.catalog.plans[plan_and_entity.first], user, &has_charge);
      }
      if (discount.product == 0) continue;
      draft_.granted.try_emplace({draft_.catalog.discount_products[discount.product], plan_and_entity.second}, line);
    }
    if (discount.of != Discount::Of::kPlan) CheckHasCharge(discount, has_charge, user);
  }

 private:
  void Wrong(const Discount& discount, std::string what, std::string what_to_do) {
    errors_.Add(discount.line, std::move(what), std::move(what_to_do));
  }

  void CheckPlan(const Discount& discount, const Plan& plan, const std::string& user, bool* has_charge) {
    if (discount.amount && discount.amount->currency != plan.currency) {
      Wrong(discount,
            Join({user, " is in ", discount.amount->currency.code(), ", and plan ", Quoted(plan.name), " in ",
                  plan.currency.code()}),
            "write it in that currency");
    }
    for (const Charge& charge : plan.charges) {
      if (!discount.charge.empty() && charge.name != discount.charge) continue;
      if (!discount.charge.empty() && charge.bound && charge.bound->is_maximum) {
        Wrong(discount, Join({user, " is of the maximum of plan ", Quoted(plan.name), ", which takes off itself"}),
              "name the charge that is to cost less, or leave it empty for all");
      }
      *has_charge = true;
      const std::string line = DiscountLineName(charge.name, draft_.catalog.discount_products[discount.product]);
      if (std::ranges::find(plan.charges, line, &Charge::name) == plan.charges.end()) continue;
      Wrong(discount,
            Join({user, " has a line named ", Quoted(line), ", as a charge of plan ", Quoted(plan.name), " has"}),
            "rename the charge");
    }
  }

  void CheckHasCharge(const Discount& discount, bool has_charge, const std::string& user) {
    if (has_charge || discount.charge.empty()) return;
    Wrong(discount, Join({user, " is of charge ", Quoted(discount.charge), ", which no plan that it reaches has"}),
          "name a charge of the plan, or leave it empty for all");
  }

  CatalogDraft& draft_;
  FileErrors& errors_;
  // (plan, entity) -> the line of the first subscription of them.
  std::map<std::pair<Discount::Of, std::string_view>, std::map<std::pair<uint32_t, uint32_t>, int>> reached_;
};

}  // namespace

void ReadDiscounts(CatalogDraft& draft) {
  FileErrors errors("discounts.csv", &draft.errors);
  if (!DiscountRows(draft, errors).Read(draft, "discounts.csv")) return;
  std::ranges::sort(draft.catalog.discounts, {}, [](const Discount& discount) {
    return std::tie(discount.of, discount.name, discount.id, discount.line);
  });
}

void CheckDiscounts(CatalogDraft& draft) {
  if (draft.catalog.discounts.empty()) return;
  FileErrors errors("discounts.csv", &draft.errors);
  DiscountCheck check(draft, errors);
  for (const Discount& discount : draft.catalog.discounts) check.Check(discount);
}

}  // namespace tollbook
