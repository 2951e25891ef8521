#include "rating/catalog_amendments.h"

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

namespace tollbook {
namespace {

// Why the usage of a charge is no one quantity that leaves units to the next period; empty: it is.
std::string_view ReasonNotOneQuantity(const Charge& charge) {
  if (!charge.cells.empty() || charge.pricing.model == ChargeModel::kMatrix) return "prices cells";
  if (!charge.pricing.limits_by.empty()) return "has limits by a dimension";
  if (IsOfEvents(charge)) return "prices each event";
  if (charge.per_bucket != PerBucket::kNone) return "prices buckets alone";
  return "";
}

void ReadRollover(YamlMap& charge_map, Charge& charge, FileErrors& errors) {
  const YamlNode* node = charge_map.Find("included_rollover");
  if (node == nullptr) return;
  YamlMap map(*node, Join({"\"included_rollover\" of ", charge_map.what()}), errors);
  if (!map.ok()) return;
  Rollover rollover;
  rollover.most = ReadQuantity(map, "max", Sign::kPositive, errors);
  constexpr int32_t kPeriodsMax = 1000;
  if (const std::optional<Quantity> periods = ReadQuantity(map, "periods", Sign::kPositive, errors)) {
    const bool is_whole = periods->attos % kOneUnit == 0 && *periods <= Quantity::Units(kPeriodsMax);
    if (is_whole) {
      rollover.periods = static_cast<int32_t>(periods->attos / kOneUnit);
    } else {
      errors.Add(map.LineOf("periods"), Join({"\"periods\" of ", map.what(), " is ", ToString(*periods)}),
                 "write a whole number of billing periods from 1 to " + std::to_string(kPeriodsMax));
    }
  }
  map.RefuseOtherKeys();
  if (charge.included.attos <= 0) {
    errors.Add(map.line(), Join({charge_map.what(), " has an \"included_rollover\" and no included units"}),
               "add included units, or leave it out");
  }
  charge.rollover = rollover;
}

// What keeps a charge from going on from the one of its name in an earlier plan; empty: nothing.
struct Obstacle {
  std::string what, what_to_do;
};

// Whether two lists hold the same filters, in any order.
bool HaveSameFilters(const std::vector<Filter>& a, const std::vector<Filter>& b) {
  return std::ranges::is_permutation(a, b);
}

// Of all charges of the plan that price the meter.
std::vector<Filter> FiltersOf(const Plan& plan, std::string_view meter) {
  std::vector<Filter> filters;
  for (const Charge& charge : plan.charges) {
    if (charge.meter == meter) filters.push_back(charge.filter);
  }
  return filters;
}

// Of the cells, where no default takes the rest; of a charge that takes all none.
std::vector<Filter> CellsOf(const Charge& charge) {
  std::vector<Filter> filters;
  for (const Cell& cell : charge.cells) {
    if (cell.when.empty()) return {};
    filters.push_back(cell.when);
  }
  return filters;
}

// What is there goes on without usage, so both charges must take the same of it.
Obstacle ObstacleOfLevel(const Plan& from, const Charge& before, const Plan& to, const Charge& charge) {
  const std::string restart = ", or say `on_amendment: restart`";
  if (!HaveSameFilters(FiltersOf(from, charge.meter), FiltersOf(to, charge.meter))) {
    return {"takes other parts of what is there, as the charges of its meter have other filters",
            "give the charges of that meter the same filters in both plans" + restart};
  }
  if (!HaveSameFilters(CellsOf(before), CellsOf(charge))) {
    return {"takes other parts of what is there by its cells", "give both the same cells, or a default" + restart};
  }
  return {};
}

// Of a fee that is due in full in each period.
Obstacle ObstacleOfFeeInFull(const Plan& from, const Charge& before, const Plan& to, const Charge& charge) {
  const std::string otherwise = ", or say `on_amendment: restart`";
  if (!before.fee || !IsInFullEachPeriod(*before.fee)) {
    return {"is no fee that is due in full in each period",
            "give one of the two charges another name, or both `proration: none`" + otherwise};
  }
  if (before.billing.value_or(from.billing) != charge.billing.value_or(to.billing)) {
    return {"has other billing periods", "give both the same billing_period and billing_anchor" + otherwise};
  }
  if (from.currency != to.currency) {
    return {Join({"is in ", from.currency.code(), " and not in ", to.currency.code()}),
            "give one of the two charges another name" + otherwise};
  }
  if (before.on_amendment != OnAmendment::kByPlan) return {};
  return {"does not say `on_amendment`",
          "say it there, too: `continue`, or `restart` if it starts again where one changes to it"};
}

// Of a fee that is due once.
Obstacle ObstacleOfFee(const Plan& from, const Charge& before, const Plan& to) {
  const std::string otherwise = "or leave `on_amendment` out: then it is due once for each of the plans";
  if (!before.fee || !before.fee->once) {
    return {"is no fee that is due once", "give one of the two charges another name, " + otherwise};
  }
  if (from.currency != to.currency) {
    return {Join({"is in ", from.currency.code(), " and not in ", to.currency.code()}),
            "give one of the two charges another name, " + otherwise};
  }
  if (before.on_amendment == OnAmendment::kContinue) return {};
  return {"does not say `on_amendment`", "say `on_amendment: continue` there, too, " + otherwise};
}

Obstacle ObstacleOf(const Plan& from, const Charge& before, const Plan& to, const Charge& charge) {
  if (charge.fee) {
    return charge.fee->once ? ObstacleOfFee(from, before, to) : ObstacleOfFeeInFull(from, before, to, charge);
  }
  const std::string rename = "give one of the two charges another name, or say `on_amendment: restart`";
  if (before.bound.has_value() != charge.bound.has_value()) {
    return {before.bound ? "bounds all charges of its plan" : "does not bound all charges of its plan",
            "give the one that is no bound another name, or say `on_amendment: restart`"};
  }
  if (before.fee) return {"is a fee", rename};
  if (before.meter != charge.meter) {
    return {Join({"prices meter ", Quoted(before.meter), " and not ", Quoted(charge.meter)}), rename};
  }
  if (before.filter != charge.filter) return {"takes other usage by its filter", rename};
  if (before.billing.value_or(from.billing) != charge.billing.value_or(to.billing)) {
    return {"has other billing periods",
            "give both the same billing_period and billing_anchor, or say "
            "`on_amendment: restart`"};
  }
  if (from.currency != to.currency) {
    return {Join({"is in ", from.currency.code(), " and not in ", to.currency.code()}), "say `on_amendment: restart`"};
  }
  if (before.on_amendment == OnAmendment::kByPlan) {
    return {"does not say `on_amendment`",
            "say it there, too: `continue`, or `restart` if it starts again where one changes to it"};
  }
  return {};
}

const Charge* FindCharge(const Plan& plan, std::string_view name) {
  const auto at = std::ranges::find(plan.charges, name, &Charge::name);
  return at == plan.charges.end() ? nullptr : &*at;
}

class AmendmentCheck {
 public:
  AmendmentCheck(const Catalog& catalog, FileErrors& errors) : catalog_(catalog), errors_(errors) {}

  // `earlier` are those of its subject before it.
  void Check(std::span<const Subscription> earlier, const Subscription& version) {
    const Plan& plan = catalog_.plans[version.plan];
    for (const Charge& charge : plan.charges) {
      if (charge.on_amendment != OnAmendment::kContinue) continue;
      for (size_t i = earlier.size(); i-- > 0;) {
        if (earlier[i].id != version.id) continue;
        const Charge* before = FindCharge(catalog_.plans[earlier[i].plan], charge.name);
        if (before == nullptr) continue;
        CheckPair(earlier[i].plan, *before, version, charge);
        break;
      }
    }
  }

 private:
  // Each pair of plans is told of once, with the first subscription that goes from the one to the other.
  void CheckPair(uint32_t from, const Charge& before, const Subscription& version, const Charge& charge) {
    if (from == version.plan || !known_.insert({from, version.plan, charge.name}).second) return;
    const Plan &plan_before = catalog_.plans[from], &plan = catalog_.plans[version.plan];
    const auto meter = std::ranges::find(catalog_.meters, charge.meter, &Meter::name);
    Obstacle obstacle = ObstacleOf(plan_before, before, plan, charge);
    if (obstacle.what.empty() && meter != catalog_.meters.end() && CarriesOver(*meter)) {
      obstacle = ObstacleOfLevel(plan_before, before, plan, charge);
    }
    if (obstacle.what.empty()) return;
    errors_.Add(version.line,
                Join({"subscription ", Quoted(version.id), " changes from plan ", Quoted(plan_before.name), " to ",
                      Quoted(plan.name), charge.bound ? ", whose " : ", whose charge ", Quoted(charge.name),
                      " cannot continue: that of the earlier plan (plans.yaml:", std::to_string(before.line), ") ",
                      obstacle.what}),
                obstacle.what_to_do);
  }

  const Catalog& catalog_;
  FileErrors& errors_;
  std::set<std::tuple<uint32_t, uint32_t, std::string_view>> known_;
};

}  // namespace

OnAmendment ReadOnAmendment(YamlMap& map) {
  constexpr std::array<std::pair<std::string_view, OnAmendment>, 2> kWords = {
      {{"continue", OnAmendment::kContinue}, {"restart", OnAmendment::kRestart}}};
  return map.Choice<OnAmendment>("on_amendment", kWords, OnAmendment::kByPlan);
}

void ReadAmendment(YamlMap& map, const Meter* meter, Charge& charge, FileErrors& errors) {
  charge.on_amendment = ReadOnAmendment(map);
  ReadRollover(map, charge, errors);
  if (map.Find("included_rollover") == nullptr) return;
  const int line = map.LineOf("included_rollover");
  const std::string_view reason = ReasonNotOneQuantity(charge);
  if (meter != nullptr && CarriesOver(*meter)) {
    errors.Add(line,
               Join({map.what(), " has an \"included_rollover\", and meter ", Quoted(meter->name), " carries over"}),
               "leave \"included_rollover\" out: what is there goes on by itself, and leaves no units");
  } else if (!reason.empty()) {
    errors.Add(line, Join({map.what(), " has an \"included_rollover\", and ", reason}),
               "leave \"included_rollover\" out, or price one quantity of the period");
  }
}

void CheckAmendments(const Catalog& catalog, FileErrors& errors) {
  const bool any = std::ranges::any_of(catalog.plans, [](const Plan& plan) {
    return std::ranges::any_of(plan.charges,
                               [](const Charge& charge) { return charge.on_amendment == OnAmendment::kContinue; });
  });
  if (!any) return;
  AmendmentCheck check(catalog, errors);
  const std::span<const Subscription> all = catalog.subscriptions;
  for (size_t first = 0; first < all.size(); first += 1 + all[first].later) {
    for (size_t i = 1; i <= all[first].later; ++i) check.Check(all.subspan(first, i), all[first + i]);
  }
}

}  // namespace tollbook
