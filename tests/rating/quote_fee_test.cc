// Quotes of what is due without usage: fees, minimums, and a plan's bounds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rating/catalog_text.h"
#include "rating/quote.h"
#include "tests/rating/in_words.h"

namespace tollbook {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view kPlans = R"(plans:
  - name: team
    currency: USD
    trial_days: 14
    minimum: {amount: 100, product: p}
    charges:
      - {name: calls, meter: calls, product: p, model: per_unit, price: 0.10}
      - {name: platform, product: p, model: fee, price: 31}
      - {name: support, product: p, model: fee, price: 365, billing_period: 1 year, due: arrears}
      - {name: setup, product: p, model: fee, price: 9, once: true}
)";

Catalog CatalogOfTest() {
  ParsedCatalog parsed = ParseCatalog({
      {"book.yaml", "name: test\nzone: UTC\n"},
      {"entities.yaml", "entities:\n  - {name: acme, functional_currency: USD}\n"},
      {"chart.yaml", "accounts:\n  - {code: \"1\", name: a, type: asset}\n  - {code: \"2\", name: b, type: revenue}\n"},
      {"meters.yaml", "meters:\n  - {name: calls, aggregation: sum, value: value}\n"},
      {"plans.yaml", std::string(kPlans)},
      {"posting.yaml", "posting:\n  - {debit: \"1\", credit: \"2\"}\n"},
      {"subscriptions.csv",
       "subscription,account,plan,entity,currency,valid_from,valid_to,quantity\n"
       "s1,a,team,acme,USD,2024-06-01,2025-01-16,2\n"
       "s1,a,team,acme,USD,2025-01-16,,5\n"},
  });
  for (const CatalogError& error : parsed.errors) ADD_FAILURE() << ToString(error);
  return *std::move(parsed.catalog);
}

// "platform 2025-01: 1 at 31.00"
std::vector<std::string> LinesOf(const absl::StatusOr<Quote>& quote) {
  std::vector<std::string> lines;
  EXPECT_TRUE(quote.ok()) << quote.status();
  if (!quote.ok()) return lines;
  for (const QuotedCharge& charge : quote->charges) {
    lines.push_back(charge.charge->name + " " + ToString(charge.period) + ": " + ToString(charge.quantity) + " at " +
                    ToString(charge.due));
    Worth sum;
    for (const PriceStep& step : charge.steps) EXPECT_TRUE(Wide::Add(sum.amount, step.worth.amount, &sum.amount));
    EXPECT_EQ(sum, charge.exact) << lines.back();
  }
  return lines;
}

TEST(QuoteOfFees, APlanIsForWhoComesOnThePeriodsFirstDay) {
  const Catalog catalog = *WithPlanOnly(CatalogOfTest(), "team", On("2025-01-16"));
  SaidUsage usage(catalog);
  ASSERT_TRUE(usage.Add(catalog.plans[0], "calls", Units("50"), At("2025-01-20T12:00:00Z"), {}).ok());
  QuoteRequest request;
  request.subject = kQuotedSubject;
  request.usage = usage.totals();
  request.period = {On("2025-01-16"), On("2025-02-01")};
  // 16 of 31 days of the fee and of the minimum, which is 51.61; the yearly fee is not due yet.
  EXPECT_THAT(LinesOf(MakeQuote(catalog, request)),
              ElementsAre("calls 2025-01: 50 at 5.00", "minimum 2025-01: 0 at 21.61",
                          "platform 2025-01: 0.516129032258064516 at 16.00", "setup 2025-01: 1 at 9.00"));
  request.charge = "platform";
  const absl::StatusOr<Quote> platform = MakeQuote(catalog, request);
  EXPECT_THAT(LinesOf(platform), ElementsAre("platform 2025-01: 0.516129032258064516 at 16.00"));
  ASSERT_EQ(platform->charges.front().steps.size(), 1u);
  EXPECT_EQ(platform->charges.front().steps.front().what, "2025-01-16 to 2025-02-01, 16 of 31 days");
  // Without a period nothing is due but for usage.
  request.charge = "";
  request.period.reset();
  EXPECT_THAT(LinesOf(MakeQuote(catalog, request)), ElementsAre("calls 2025-01: 50 at 5.00"));
}

TEST(QuoteOfFees, ASubscriptionOwesWhatItsVersionsDo) {
  const Catalog catalog = *WithSubscriptionOnly(CatalogOfTest(), "s1");
  QuoteRequest request;
  request.subject = "s1";
  request.period = {On("2025-01-01"), On("2025-02-01")};
  // 62, and from the 16th on 16 of 31 days of three more. In arrears the first slice of the year is due on its last
  // day.
  const std::string support = "support 2025-01-01 to 2026-01-01: 0.082191780821917808 at 30.00";
  EXPECT_THAT(LinesOf(MakeQuote(catalog, request)),
              ElementsAre("platform 2025-01: 3.548387096774193548 at 110.00", support));
  request.through = On("2025-01-15");
  EXPECT_THAT(LinesOf(MakeQuote(catalog, request)), ElementsAre("platform 2025-01: 2 at 62.00", support));
  // The trial is over on June 15th: 16 of 30 days of two, and what is due once.
  request.period = {On("2024-06-01"), On("2024-07-01")};
  request.through.reset();
  EXPECT_THAT(LinesOf(MakeQuote(catalog, request)),
              ElementsAre("minimum 2024-06: 0 at 2.26", "platform 2024-06: 1.066666666666666667 at 33.07",
                          "setup 2024-06: 2 at 18.00"));
  request.period = {On("2024-05-01"), On("2024-06-01")};
  EXPECT_THAT(LinesOf(MakeQuote(catalog, request)), IsEmpty());
}

TEST(QuoteOfFees, AFeeHasNoUsage) {
  const Catalog catalog = *WithPlanOnly(CatalogOfTest(), "team", On("2025-01-16"));
  SaidUsage usage(catalog);
  EXPECT_EQ(Std(usage.Add(catalog.plans[0], "platform", Units("5"), At("2025-01-20T12:00:00Z"), {}).message()),
            "a quantity of a charge that has no usage: platform: ask for a period instead: a fee's units are the "
            "subscription's quantity");
}

TEST(QuoteOfFees, NothingWasUsedOfAFeeBefore) {
  const Catalog catalog = *WithSubscriptionOnly(CatalogOfTest(), "s1");
  QuoteRequest request;
  request.subject = "s1";
  request.charge = "platform";
  request.period = {On("2025-01-01"), On("2025-02-01")};
  request.previous_quantity = Units("1");
  EXPECT_EQ(Std(MakeQuote(catalog, request).status().message()),
            "what was used or billed before, of a charge without usage: platform: ask for a charge that has some with "
            "--charge");
}

}  // namespace
}  // namespace tollbook
