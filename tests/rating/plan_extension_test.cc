// A plan that extends another is that plan with other prices: it must be the same as one that is written out.
#include "rating/plan_extension.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "rating/catalog_text.h"
#include "rating/price.h"

namespace tollbook {
namespace {

constexpr std::string_view kBase = R"(
  - name: base
    currency: USD
    charges:
      - name: calls
        meter: calls
        product: api
        filter: {region: eu}
        included: 10
        maximum: 100
        model: graduated
        tiers: [{up_to: 100, price: 0.10}, {price: 0.05}]
      - {name: other, meter: calls, product: api, model: per_unit, price: 1}
)";

std::map<std::string, std::string> Files(std::string_view plans) {
  return {
      {"book.yaml", "name: test\nzone: UTC\n"},
      {"entities.yaml", "entities: [{name: acme, functional_currency: USD}]\n"},
      {"chart.yaml", "accounts: [{code: a, name: A, type: asset}, {code: r, name: R, type: revenue}]\n"},
      {"meters.yaml", "meters: [{name: calls, aggregation: sum, value: n, dimensions: [region]}]\n"},
      {"plans.yaml", "plans:" + std::string(kBase) + std::string(plans)},
      {"posting.yaml", "posting: [{debit: a, credit: r}]\n"},
      {"subscriptions.csv", "subscription,account,plan,entity,currency,valid_from,valid_to\n"},
  };
}

Catalog CatalogOf(std::string_view plans) {
  ParsedCatalog parsed = ParseCatalog(Files(plans));
  for (const CatalogError& error : parsed.errors) ADD_FAILURE() << ToString(error);
  return parsed.catalog ? *std::move(parsed.catalog) : Catalog();
}

// What 300 units cost by the charges of the last plan: "calls 20, other 300".
std::string WorthsOf(std::string_view plans) {
  const Catalog catalog = CatalogOf(plans);
  std::string text;
  for (const Charge& charge : catalog.plans.back().charges) {
    const absl::StatusOr<Worth> worth = PriceQuantity(charge, Quantity::Units(300));
    text += (text.empty() ? "" : ", ") + charge.name + " " + (worth.ok() ? ToString(*worth) : "?");
  }
  return text;
}

TEST(PlanExtension, IsItsBaseWithoutAWordOfItsOwn) {
  EXPECT_EQ(WorthsOf(""), "calls 19.5, other 300");
  EXPECT_EQ(WorthsOf("  - {name: own, extends: base}\n"), "calls 19.5, other 300");
}

TEST(PlanExtension, TakesEachKeyThatItSays) {
  EXPECT_EQ(WorthsOf("  - {name: own, extends: base, charges: [{name: other, price: 0.5}]}\n"),
            "calls 19.5, other 150");
  EXPECT_EQ(WorthsOf("  - {name: own, extends: base, charges: [{name: calls, included: 290}]}\n"),
            "calls 1, other 300");
  EXPECT_EQ(WorthsOf("  - {name: own, extends: base, charges: [{name: calls, tiers: [{price: 1}]}]}\n"),
            "calls 100, other 300");  // the base's maximum
}

TEST(PlanExtension, LeavesOutAnEmptyKey) {
  EXPECT_EQ(WorthsOf("  - {name: own, extends: base, charges: [{name: calls, maximum: , tiers: [{price: 1}]}]}\n"),
            "calls 290, other 300");
}

TEST(PlanExtension, WithAModelOfItsOwnTakesNoneOfTheBasesPrices) {
  const std::string_view own =
      "  - {name: own, extends: base, charges: [{name: calls, model: package, package_size: 100, price: 7}]}\n";
  EXPECT_EQ(WorthsOf(own), "calls 21, other 300");  // 290 units: three packages; still included, and at most 100
  const Catalog catalog = CatalogOf(own);
  EXPECT_EQ(ToString(catalog.plans.back().charges.front().filter), "region=eu");
}

TEST(PlanExtension, HasMoreChargesBehindTheBases) {
  const std::string_view own =
      "  - name: own\n    extends: base\n    charges:\n"
      "      - {name: us, meter: calls, product: api, filter: {region: us}, model: per_unit, price: 2}\n";
  EXPECT_EQ(WorthsOf(own), "calls 19.5, other 300, us 600");
}

TEST(PlanExtension, MayBeExtended) {
  EXPECT_EQ(WorthsOf("  - {name: first, extends: base, charges: [{name: other, price: 0.5}]}\n"
                     "  - {name: second, extends: first, charges: [{name: calls, included: 290}]}\n"),
            "calls 1, other 150");
}

TEST(PlanExtension, SaysWhereEachChargeWasWritten) {
  const Catalog catalog =
      CatalogOf("  - name: own\n    extends: base\n    charges:\n      - {name: other, price: 2}\n");
  const Plan& base = catalog.plans.front();
  const Plan& own = catalog.plans.back();
  EXPECT_EQ(own.charges[0].line, base.charges[0].line);
  EXPECT_GT(own.charges[1].line, base.charges[1].line);
}

}  // namespace
}  // namespace tollbook
