// contracts.yaml: which fees of a plan are obligations of one contract.
#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <tuple>

#include "rating/catalog_draft.h"
#include "rating/contract.h"

namespace tollbook {
namespace {

constexpr std::string_view kFile = "contracts.yaml";

constexpr std::array<std::pair<std::string_view, bool>, 2> kSatisfied = {{{"over_time", false}, {"at_point", true}}};

// Finds a plan by its name; null: there is none, and that was said.
using PlanIndex = std::function<std::optional<uint32_t>(std::string_view name, const YamlMap& map)>;

class ContractReader {
 public:
  ContractReader(const std::vector<Plan>& plans, PlanIndex plan_index, FileErrors& errors)
      : plans_(plans), plan_index_(std::move(plan_index)), errors_(errors) {}

  Contracts Read(const std::string& text) {
    Contracts contracts;
    const std::optional<YamlNode> root = ReadYaml(text, errors_);
    if (!root) return contracts;
    YamlMap map(*root, kFile, errors_);
    for (const YamlNode& node : map.RequiredList("contracts")) {
      const std::optional<Contract> contract = ReadContract(node);
      if (!contract) continue;
      if (const Contract* const twin = contracts.Of(contract->plan)) {
        errors_.Add(contract->line,
                    Join({"plan ", Quoted(plans_[contract->plan].name), " has a contract at line ",
                          std::to_string(twin->line), " already"}),
                    "keep one of the two");
        continue;
      }
      contracts.Add(*contract);
    }
    map.RefuseOtherKeys();
    return contracts;
  }

 private:
  std::optional<Contract> ReadContract(const YamlNode& node) {
    YamlMap map(node, "a contract", errors_);
    Contract contract;
    contract.line = node.line;
    const std::optional<std::string> name = map.RequiredText("plan");
    const std::optional<uint32_t> plan = name ? plan_index_(*name, map) : std::nullopt;
    if (name) map.SayAs(Join({"the contract of plan ", Quoted(*name)}));
    const bool has_term = ReadTerm(map, &contract.term);
    const std::span<const YamlNode> obligations = map.RequiredList("obligations");
    if (plan) {
      contract.plan = *plan;
      for (const YamlNode& obligation : obligations) ReadObligation(obligation, has_term, contract);
      CheckPlan(map, contract.plan);
    }
    if (map.ok() && obligations.empty() && map.Find("obligations") != nullptr) {
      errors_.Add(map.LineOf("obligations"), Join({map.what(), " promises nothing"}), "name the fees that it is of");
    }
    map.RefuseOtherKeys();
    return plan && has_term ? std::optional(contract) : std::nullopt;
  }

  bool ReadTerm(YamlMap& map, BillingCycle* term) {
    const std::optional<std::string> text = map.RequiredText("term");
    if (!text) return false;
    const std::optional<BillingCycle> cycle = ParseBillingCycle(*text);
    if (cycle && cycle->unit == BillingCycle::Unit::kMonth) {
      *term = *cycle;
      return true;
    }
    errors_.Add(map.LineOf("term"), Join({"\"term\" of ", map.what(), " is ", Quoted(*text), ", not a term"}),
                "write months, quarters or years, such as 12 months");
    return false;
  }

  void ReadObligation(const YamlNode& node, bool has_term, Contract& contract) {
    const Plan& plan = plans_[contract.plan];
    YamlMap map(node, "an obligation", errors_);
    Obligation obligation;
    obligation.line = node.line;
    const std::optional<std::string> name = map.RequiredText("charge");
    if (name) map.SayAs(Join({"obligation ", Quoted(*name), " of plan ", Quoted(plan.name)}));
    if (map.Required("stand_alone_price") != nullptr) {
      const std::optional<Price> price = ReadPrice(map, "stand_alone_price", errors_);
      if (price && price->attos == 0) {
        errors_.Add(map.LineOf("stand_alone_price"), Join({"\"stand_alone_price\" of ", map.what(), " is 0"}),
                    "estimate what it would be sold for on its own: a market price, or cost and a margin");
      }
      obligation.stand_alone_price = price.value_or(Price());
    }
    obligation.at_point = map.Choice<bool>("satisfied", kSatisfied, false);
    map.RefuseOtherKeys();
    if (!name) return;
    const auto charge = std::ranges::find(plan.charges, *name, &Charge::name);
    if (charge == plan.charges.end() || !charge->fee) {
      errors_.Add(map.LineOf("charge"), Join({map.what(), " is no fee of that plan"}),
                  "name a charge of `model: fee`: usage and bounds stay with their own price");
      return;
    }
    obligation.charge = static_cast<uint32_t>(charge - plan.charges.begin());
    if (std::ranges::find(contract.obligations, obligation.charge, &Obligation::charge) != contract.obligations.end()) {
      errors_.Add(obligation.line, Join({map.what(), " stands there twice"}), "keep one of the two");
      return;
    }
    CheckFee(map, plan, *charge, obligation, has_term ? std::optional(contract.term) : std::nullopt);
    contract.obligations.push_back(obligation);
  }

  // What is billed for one term must be that of whole billing periods, or the price of a term would not be known.
  void CheckFee(const YamlMap& map, const Plan& plan, const Charge& charge, const Obligation& obligation,
                const std::optional<BillingCycle>& term) {
    const BillingTerms billing = charge.billing.value_or(plan.billing);
    if (charge.on_amendment != OnAmendment::kByPlan) {
      errors_.Add(obligation.line, Join({map.what(), " may have been due on an earlier plan, by its \"on_amendment\""}),
                  "leave \"on_amendment\" out of the fee: each contract has its own price");
    }
    if (!charge.fee->once && obligation.at_point) {
      errors_.Add(map.LineOf("satisfied"), Join({map.what(), " is due again and again, so it is satisfied over time"}),
                  "leave \"satisfied\" out, or make the fee `once: true`");
    }
    if (!charge.fee->in_advance) {
      errors_.Add(obligation.line, Join({map.what(), " is due in arrears"}), "make the fee due in advance");
    }
    if (charge.fee->once) return;
    const bool divides = !term || (billing.cycle.unit == BillingCycle::Unit::kMonth && billing.by_subscription &&
                                   term->count % billing.cycle.count == 0);
    if (divides) return;
    errors_.Add(obligation.line,
                Join({map.what(), " has billing periods that do not make up the term of ", std::to_string(term->count),
                      " months"}),
                "give its plan `billing_anchor: subscription` and a billing_period of months that divide the term");
  }

  void CheckPlan(const YamlMap& map, uint32_t number) {
    const Plan& plan = plans_[number];
    if (plan.trial_days > 0) {
      errors_.Add(map.line(), Join({map.what(), " has trial_days"}), "begin the subscription when its trial is over");
    }
    const bool has_maximum = std::ranges::any_of(
        plan.charges, [](const Charge& charge) { return charge.bound && charge.bound->is_maximum; });
    if (has_maximum) {
      errors_.Add(map.line(), Join({map.what(), " has a maximum of all its charges, which may take off its price"}),
                  "leave the maximum out, or the contract");
    }
  }

  const std::vector<Plan>& plans_;
  const PlanIndex plan_index_;
  FileErrors& errors_;
};

// Looks at each subscription to a plan that has a contract.
class ReachedContracts {
 public:
  ReachedContracts(const Catalog& catalog, const Contracts& contracts, FileErrors& errors)
      : catalog_(catalog), contracts_(contracts), errors_(errors) {}

  void Check() {
    for (const Subscription& subscription : catalog_.subscriptions) {
      const Contract* const contract = contracts_.Of(subscription.plan);
      if (contract == nullptr || errors_.full()) continue;
      CheckVersions(subscription, *contract);
      CheckDiscounts(subscription, *contract);
      const uint32_t kind = catalog_.subscription_terms[subscription.terms].kind;
      if (posted_.insert({subscription.plan, subscription.entity, kind}).second) CheckPosting(subscription, *contract);
    }
  }

 private:
  std::string PlanText(const Contract& contract) const {
    return Join({"the contract of plan ", Quoted(catalog_.plans[contract.plan].name)});
  }
  static std::string Where(const Subscription& subscription) {
    return "subscriptions.csv:" + std::to_string(subscription.line);
  }
  const PostingRule* RuleOf(const Subscription& subscription, const Obligation& obligation) const {
    return catalog_.PostingOf(subscription, catalog_.plans[subscription.plan].charges[obligation.charge]);
  }

  // What is billed of one obligation and recognised of another meets in one account, or it would never come to nothing.
  void CheckPosting(const Subscription& subscription, const Contract& contract) {
    const std::string& entity = catalog_.entities[subscription.entity].name;
    const PostingRule* first = nullptr;
    for (const Obligation& obligation : contract.obligations) {
      const std::string& charge = catalog_.plans[contract.plan].charges[obligation.charge].name;
      const std::string what =
          Join({"charge ", Quoted(charge), " of ", PlanText(contract), ", which ", Where(subscription), " reaches,"});
      const PostingRule* const rule = RuleOf(subscription, obligation);
      if (rule == nullptr || rule->recognition != Recognition::kRatable) {
        errors_.Add(obligation.line, Join({"no posting rule defers ", what, " for entity ", Quoted(entity)}),
                    "add a rule for it with `recognition: ratable` and `deferred`");
        return;
      }
      if (rule->recognised_over || (!rule->delivered_by.empty() && rule->delivered_by != entity)) {
        errors_.Add(obligation.line,
                    Join({"the posting rule for ", what, " says ",
                          rule->recognised_over ? "recognised_over" : "that another entity delivers it"}),
                    rule->recognised_over ? "leave it out: the contract's term says how long"
                                          : "leave the obligation out, or give it a rule without `delivered_by`");
        return;
      }
      if (first == nullptr) first = rule;
      if (rule->deferred == first->deferred) continue;
      errors_.Add(obligation.line,
                  Join({"the posting rule for ", what, " defers to account ", Quoted(rule->deferred),
                        ", and that for the first obligation to ", Quoted(first->deferred)}),
                  "defer all obligations of a contract to one account");
      return;
    }
  }

  // Versions on several plans amend one contract.
  void CheckVersions(const Subscription& subscription, const Contract& contract) {
    // Those of a subject stand together, by valid_from.
    for (const Subscription* other = &subscription; other != catalog_.subscriptions.data();) {
      --other;
      if (other->subject != subscription.subject) return;
      const Contract* const earlier = contracts_.Of(other->plan);
      if (other->id != subscription.id || earlier == nullptr || earlier == &contract) continue;
      const PostingRule* const rule = RuleOf(subscription, contract.obligations.front());
      const PostingRule* const before = RuleOf(*other, earlier->obligations.front());
      const bool same_account = rule == nullptr || before == nullptr || rule->deferred == before->deferred;
      if (contract.term == earlier->term && same_account) continue;
      errors_.Add(contract.line,
                  Join({PlanText(contract), " has another ", same_account ? "term" : "deferred account", " than plan ",
                        Quoted(catalog_.plans[other->plan].name), ", which it amends at ", Where(subscription)}),
                  "give both the same, or begin a new subscription");
      return;
    }
  }

  void CheckDiscounts(const Subscription& subscription, const Contract& contract) {
    const Plan& plan = catalog_.plans[subscription.plan];
    const std::array<std::pair<Discount::Of, std::string_view>, 3> owners = {
        {{Discount::Of::kSubscription, subscription.id},
         {Discount::Of::kAccount, subscription.account},
         {Discount::Of::kPlan, plan.name}}};
    for (const auto& [of, name] : owners) {
      for (const Discount& discount : catalog_.DiscountsOf(of, name)) {
        const bool is_of_it =
            discount.charge.empty() || std::ranges::any_of(contract.obligations, [&](const Obligation& obligation) {
              return plan.charges[obligation.charge].name == discount.charge;
            });
        if (!is_of_it || !discounted_.insert({contract.plan, discount.id}).second) continue;
        errors_.Add(
            contract.line,
            Join({"discount ", Quoted(discount.id), " (discounts.csv:", std::to_string(discount.line),
                  ") may take something off an obligation of ", PlanText(contract), ", at ", Where(subscription)}),
            "lower the fees' prices instead, or name another charge in the discount");
      }
    }
  }

  const Catalog& catalog_;
  const Contracts& contracts_;
  FileErrors& errors_;
  std::set<std::tuple<uint32_t, uint32_t, uint32_t>> posted_;  // plan, entity, kind of customer
  std::set<std::pair<uint32_t, std::string>> discounted_;      // plan, discount
};

}  // namespace

bool Contracts::HasObligation(uint32_t plan, size_t charge) const {
  const Contract* const contract = Of(plan);
  return contract != nullptr &&
         std::ranges::find(contract->obligations, charge, &Obligation::charge) != contract->obligations.end();
}

Contracts ContractsOf(const Catalog& catalog) {
  const auto file = catalog.files().find(std::string(kFile));
  if (file == catalog.files().end()) return {};
  std::vector<CatalogError> wrong;
  FileErrors errors(std::string(kFile), &wrong);
  const PlanIndex plan_index = [&](std::string_view name, const YamlMap&) -> std::optional<uint32_t> {
    const auto plan = std::ranges::find(catalog.plans, name, &Plan::name);
    return static_cast<uint32_t>(plan - catalog.plans.begin());
  };
  Contracts contracts = ContractReader(catalog.plans, plan_index, errors).Read(file->second);
  TOLLBOOK_ASSERT(wrong.empty());  // the catalog was checked
  return contracts;
}

void CheckContracts(CatalogDraft& draft) {
  const auto file = draft.files->texts.find(std::string(kFile));
  if (file == draft.files->texts.end()) return;
  FileErrors errors(std::string(kFile), &draft.errors);
  const PlanIndex plan_index = [&](std::string_view name, const YamlMap& map) -> std::optional<uint32_t> {
    const NameTable::Entry* const plan = draft.plans.Refer(name, map.what(), map.LineOf("plan"), errors);
    return plan == nullptr ? std::nullopt : std::optional(plan->index);
  };
  const Contracts contracts = ContractReader(draft.catalog.plans, plan_index, errors).Read(file->second);
  if (draft.errors.empty()) ReachedContracts(draft.catalog, contracts, errors).Check();
}

}  // namespace tollbook
