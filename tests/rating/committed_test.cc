// What was agreed on for a billing period, and whose lines count towards it, as a table.
#include "rating/committed.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/rating/small_catalog.h"

namespace tollbook {
namespace {

std::string PlanText(const std::string& name, const std::string& more, const std::string& of_charge) {
  return "  - name: " + name + "\n    currency: USD\n" + more + "    charges:\n" +
         "      - {name: calls, meter: calls, product: api, model: per_unit, price: 0.1" + of_charge + "}\n";
}

// "calls 100.00 of 2025-01-01 to 2025-02-01: p from 2025-01-01", one after the other.
std::string CommittedText(const std::string& plans, const std::string& rows, const char* day) {
  const Catalog catalog = SmallCatalog(
      "", {{"plans.yaml", "plans:\n" + plans},
           {"subscriptions.csv", "subscription,account,plan,entity,currency,valid_from,valid_to\n" + rows}});
  const absl::StatusOr<std::vector<Committed>> all = CommittedOn(catalog, On(day));
  if (!all.ok()) return std::string(Std(all.status().message()));
  std::string text;
  for (const Committed& one : *all) {
    text += (text.empty() ? "" : "; ") + one.charge->name + " " + ToString(one.amount) + " of " +
            ToString(one.period.start) + " to " + ToString(one.period.end) + ":";
    for (const PlanDays& days : one.days) text += " " + catalog.plans[days.plan].name + " from " + ToString(days.from);
  }
  return text;
}

constexpr char kSince[] = "s1,buyer,p,acme,USD,2025-01-01,\n";
constexpr char kChange[] = "s1,buyer,p,acme,USD,2025-01-01,2025-01-16\ns1,buyer,q,acme,USD,2025-01-16,\n";
constexpr char kKept[] = "s1,buyer,p,acme,USD,2025-01-01,2025-01-16\ns1,buyer,p,acme,USD,2025-01-16,\n";

TEST(Committed, IsWhatTheLinesComeToAtTheLeast) {
  struct Case {
    const char* name;
    std::string plans, rows;
    const char* day;
    const char* want;
  };
  const std::string minimum = "    minimum: {amount: 31, product: m";
  const Case cases[] = {
      {"nothing", PlanText("p", "", ", minimum: 5"), kSince, "2025-01-10", ""},
      {"an amount", PlanText("p", "", ", commitment: {amount: 100}"), kSince, "2025-01-10",
       "calls 100.00 of 2025-01-01 to 2025-02-01: p from 2025-01-01"},
      {"before it begins", PlanText("p", "", ", commitment: {amount: 100}"), kSince, "2024-12-31", ""},
      {"on the day behind its last", PlanText("p", "", ", commitment: {amount: 100}"),
       "s1,buyer,p,acme,USD,2025-01-01,2025-01-10\n", "2025-01-10", ""},
      {"a quantity, behind what is included", PlanText("p", "", ", included: 50, commitment: {quantity: 500}"), kSince,
       "2025-01-10", "calls 50.00 of 2025-01-01 to 2025-02-01: p from 2025-01-01"},
      {"less its discount", PlanText("p", "", ", discount_percent: 10, commitment: {amount: 100, true_up: true}"),
       kSince, "2025-02-28", "calls 90.00 of 2025-02-01 to 2025-03-01: p from 2025-02-01"},
      {"at most its maximum", PlanText("p", "", ", maximum: 80, commitment: {amount: 100}"), kSince, "2025-01-10",
       "calls 80.00 of 2025-01-01 to 2025-02-01: p from 2025-01-01"},
      {"of each day", PlanText("p", "", ", per_bucket: day, commitment: {amount: 100}"), kSince, "2025-01-10", ""},
      {"of a year", PlanText("p", "    billing_period: 1 year\n", ", commitment: {amount: 1200}"), kSince, "2025-07-10",
       "calls 1200.00 of 2025-01-01 to 2026-01-01: p from 2025-01-01"},
      {"a plan's minimum", PlanText("p", minimum + "}\n", ""), kSince, "2025-01-10",
       "minimum 31.00 of 2025-01-01 to 2025-02-01: p from 2025-01-01"},
      {"a plan's maximum", PlanText("p", "    maximum: {amount: 31, product: m}\n", ""), kSince, "2025-01-10", ""},
      {"a minimum of 16 days", PlanText("p", minimum + "}\n", ""), "s1,buyer,p,acme,USD,2025-01-16,\n", "2025-01-20",
       "minimum 16.00 of 2025-01-01 to 2025-02-01: p from 2025-01-01"},
      {"all of it", PlanText("p", minimum + ", proration: none}\n", ""), "s1,buyer,p,acme,USD,2025-01-16,\n",
       "2025-01-20", "minimum 31.00 of 2025-01-01 to 2025-02-01: p from 2025-01-01"},
      {"a month of trial", PlanText("p", minimum + "}\n    trial_days: 31\n", ""), kSince, "2025-01-10", ""},
      {"both versions on the plan", PlanText("p", minimum + "}\n", ""), kKept, "2025-01-20",
       "minimum 31.00 of 2025-01-01 to 2025-02-01: p from 2025-01-01"},
      {"each plan's own",
       PlanText("p", minimum + "}\n", "") + PlanText("q", "    minimum: {amount: 62, product: m}\n", ""), kChange,
       "2025-01-20", "minimum 32.00 of 2025-01-01 to 2025-02-01: q from 2025-01-01"},
      {"goes on from the plan before",
       PlanText("p", minimum + ", on_amendment: continue}\n", "") +
           PlanText("q", "    minimum: {amount: 62, product: m, on_amendment: continue}\n", ""),
       kChange, "2025-01-20", "minimum 47.00 of 2025-01-01 to 2025-02-01: p from 2025-01-01 q from 2025-01-01"},
      {"starts again",
       PlanText("p", minimum + ", on_amendment: restart}\n", "") +
           PlanText("q", "    minimum: {amount: 62, product: m, on_amendment: restart}\n", ""),
       kChange, "2025-01-20", "minimum 32.00 of 2025-01-01 to 2025-02-01: q from 2025-01-01"},
      {"a commitment that goes on",
       PlanText("p", "", ", on_amendment: continue, commitment: {amount: 100}") +
           PlanText("q", "", ", on_amendment: continue, commitment: {amount: 120}"),
       kChange, "2025-01-20", "calls 120.00 of 2025-01-01 to 2025-02-01: q from 2025-01-01 p from 2025-01-01"},
      {"and is another's in the month behind",
       PlanText("p", "", ", on_amendment: continue, commitment: {amount: 100}") +
           PlanText("q", "", ", on_amendment: continue, commitment: {amount: 120}"),
       kChange, "2025-02-20", "calls 120.00 of 2025-02-01 to 2025-03-01: q from 2025-02-01"},
      {"a commitment that starts again", PlanText("p", "", ", on_amendment: restart, commitment: {amount: 100}"), kKept,
       "2025-01-20", "calls 100.00 of 2025-01-01 to 2025-02-01: p from 2025-01-16"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(CommittedText(c.plans, c.rows, c.day), c.want);
  }
}

TEST(Committed, CountsTheLinesOfItsChargeOrPlan) {
  const std::string terms = "    minimum: {amount: 31, product: m}\n    maximum: {amount: 900, product: m}\n";
  const Catalog catalog =
      SmallCatalog("", {{"plans.yaml", "plans:\n" + PlanText("p", terms, ", commitment: {amount: 5}") +
                                           "      - {name: seat, product: s, model: fee, price: 5}\n"}});
  const absl::StatusOr<std::vector<Committed>> all = CommittedOn(catalog, On("2025-01-10"));
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->size(), 2u);
  const Committed& of_charge = (*all)[0].charge->bound ? (*all)[1] : (*all)[0];
  const Committed& of_plan = (*all)[0].charge->bound ? (*all)[0] : (*all)[1];
  struct Case {
    const char *plan, *charge, *day;
    bool for_charge, for_plan;
  };
  const Case cases[] = {
      {"p", "calls", "2025-01-01", true, true},
      {"p", "calls", "2025-01-31", true, true},
      {"p", "calls", "2025-02-01", false, false},
      {"p", "calls", "2024-12-31", false, false},
      {"p", "seat", "2025-01-01", false, true},
      {"p", "minimum", "2025-01-31", false, false},
      {"p", "maximum", "2025-01-31", false, true},
      {"q", "calls", "2025-01-01", false, false},
      {"p", "discount calls", "2025-01-01", false, false},
      {"p", "credit prepaid", "2025-01-01", false, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.plan) + "/" + c.charge + " " + c.day);
    EXPECT_EQ(CountsTowards(catalog, of_charge, c.plan, c.charge, On(c.day)), c.for_charge);
    EXPECT_EQ(CountsTowards(catalog, of_plan, c.plan, c.charge, On(c.day)), c.for_plan);
  }
}

}  // namespace
}  // namespace tollbook
