// Quotes of what a plan has beside the price of usage: fees, minimums, bounds, and grants of money.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "rating/catalog_text.h"
#include "rating/quote.h"
#include "tests/rating/in_words.h"

namespace tollbook {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAreArray;

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

// `files`: plans.yaml, subscriptions.csv and what else there is.
Catalog CatalogOf(std::map<std::string, std::string> files) {
  files.insert({
      {"book.yaml", "name: test\nzone: UTC\n"},
      {"entities.yaml", "entities:\n  - {name: acme, functional_currency: USD}\n"},
      {"chart.yaml", "accounts:\n  - {code: \"1\", name: a, type: asset}\n  - {code: \"2\", name: b, type: revenue}\n"},
      {"meters.yaml",
       "meters:\n  - {name: calls, aggregation: sum, value: value}\n  - {name: mails, aggregation: sum, value: n}\n"},
      {"posting.yaml", "posting:\n  - {debit: \"1\", credit: \"2\"}\n"},
  });
  ParsedCatalog parsed = ParseCatalog(std::move(files));
  for (const CatalogError& error : parsed.errors) ADD_FAILURE() << ToString(error);
  return *std::move(parsed.catalog);
}

Catalog CatalogOfTest() {
  return CatalogOf({{"plans.yaml", std::string(kPlans)},
                    {"subscriptions.csv",
                     "subscription,account,plan,entity,currency,valid_from,valid_to,quantity\n"
                     "s1,a,team,acme,USD,2024-06-01,2025-01-16,2\n"
                     "s1,a,team,acme,USD,2025-01-16,,5\n"}});
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

// 30 used in January, 20 in February. At most 25 a month and at least 10, and 2 are paid ahead.
constexpr std::string_view kBoundedPlans = R"(plans:
  - name: team
    currency: USD
    minimum: {amount: 10, product: p}
    maximum: {amount: 25, product: p}
    charges:
      - {name: calls, meter: calls, product: p, model: per_unit, price: 1}
      - {name: mails, meter: mails, product: p, model: per_unit, price: 1, minimum: 3}
      - {name: platform, product: p, model: fee, price: 4}
)";

struct Picked {
  const char* name;
  const char* charge;
  const char* month;    // null: none
  const char* through;  // null: none
  const char* previous_quantity;
  std::vector<std::string> lines;
  std::vector<std::string> not_quoted;
};
const Picked kPicked[] = {
    {"without a day nothing is due by the calendar, but a cap and a grant go by usage",
     "",
     nullptr,
     nullptr,
     nullptr,
     {"calls 2025-01: 30 at 30.00", "calls 2025-02: 20 at 20.00", "credit ahead 2025-01: 0 at -2.00",
      "maximum 2025-01: 0 at -5.00"},
     {"mails by calendar", "minimum by calendar", "platform by calendar"}},
    {"through a day all is a seal's",
     "",
     nullptr,
     "2025-02-28",
     nullptr,
     {"calls 2025-01: 30 at 30.00", "calls 2025-02: 20 at 20.00", "credit ahead 2025-01: 0 at -2.00",
      "mails 2025-01: 0 at 3.00", "mails 2025-02: 0 at 3.00", "maximum 2025-01: 0 at -12.00",
      "maximum 2025-02: 0 at -2.00", "platform 2025-01: 1 at 4.00", "platform 2025-02: 1 at 4.00"},
     {}},
    {"months without usage owe the minimum, once they are over",
     "",
     nullptr,
     "2025-04-29",
     nullptr,
     {"calls 2025-01: 30 at 30.00", "calls 2025-02: 20 at 20.00", "credit ahead 2025-01: 0 at -2.00",
      "mails 2025-01: 0 at 3.00", "mails 2025-02: 0 at 3.00", "mails 2025-03: 0 at 3.00",
      "maximum 2025-01: 0 at -12.00", "maximum 2025-02: 0 at -2.00", "minimum 2025-03: 0 at 3.00",
      "platform 2025-01: 1 at 4.00", "platform 2025-02: 1 at 4.00", "platform 2025-03: 1 at 4.00",
      "platform 2025-04: 1 at 4.00"},
     {}},
    {"a period picks its lines; what was due by the calendar before it used the grant",
     "",
     "2025-02-01",
     nullptr,
     nullptr,
     {"calls 2025-02: 20 at 20.00", "mails 2025-02: 0 at 3.00", "maximum 2025-02: 0 at -2.00",
      "platform 2025-02: 1 at 4.00"},
     {}},
    {"a charge alone",
     "calls",
     nullptr,
     nullptr,
     nullptr,
     {"calls 2025-01: 30 at 30.00", "calls 2025-02: 20 at 20.00"},
     {"credit ahead by charge", "maximum by charge", "minimum by charge", "platform by charge"}},
    {"a charge alone that has no usage",
     "mails",
     nullptr,
     nullptr,
     nullptr,
     {},
     {"credit ahead by charge", "mails by calendar", "maximum by charge", "minimum by charge", "platform by charge"}},
    {"a later slice is of one charge",
     "",
     "2025-02-01",
     nullptr,
     "5",
     {"calls 2025-02: 25 at 20.00"},
     {"mails by slice", "maximum by slice", "minimum by slice", "platform by slice"}},
};

TEST(QuoteOfPlansTerms, AreThoseOfASealAndWhatIsLeftOutIsSaid) {
  const Catalog catalog = CatalogOf(
      {{"plans.yaml", std::string(kBoundedPlans)},
       {"subscriptions.csv",
        "subscription,account,plan,entity,currency,valid_from,valid_to\ns1,a,team,acme,USD,2025-01-01,\n"},
       {"grants.csv", "grant,subscription,amount,currency,product,starts_on\nahead,s1,2.00,USD,p,2025-01-01\n"}});
  SaidUsage usage(catalog);
  ASSERT_TRUE(usage.Add(catalog.plans[0], "calls", Units("30"), At("2025-01-05T00:00:00Z"), {}).ok());
  ASSERT_TRUE(usage.Add(catalog.plans[0], "calls", Units("20"), At("2025-02-05T00:00:00Z"), {}).ok());
  for (const Picked& picked : kPicked) {
    SCOPED_TRACE(picked.name);
    QuoteRequest request;
    request.subject = "s1";
    request.usage = usage.totals();
    request.charge = picked.charge;
    if (picked.month != nullptr) request.period = MonthOf(On(picked.month));
    if (picked.through != nullptr) request.through = On(picked.through);
    if (picked.previous_quantity != nullptr) request.previous_quantity = Units(picked.previous_quantity);
    const absl::StatusOr<Quote> quote = MakeQuote(catalog, request);
    EXPECT_EQ(LinesOf(quote), picked.lines);
    std::vector<std::string> not_quoted;
    constexpr const char* kWhy[] = {"charge", "slice", "calendar"};
    for (const NotQuoted& one : quote->not_quoted)
      not_quoted.push_back(one.charge->name + " by " + kWhy[static_cast<int>(one.why)]);
    EXPECT_THAT(not_quoted, UnorderedElementsAreArray(picked.not_quoted));
  }
}

// A minimum of 31 that goes on: what nothing was used of in the second half is the second plan's to make up.
TEST(QuoteOfPlansTerms, AChangedPlanKeepsItsMinimum) {
  const std::string plans =
      "plans:\n  - name: a\n    currency: USD\n    charges:\n"
      "      - {name: calls, meter: calls, product: p, model: per_unit, price: 1, minimum: 31, on_amendment: WORD}\n"
      "  - name: b\n    extends: a\n";
  for (const auto& [word, first, second] : {std::tuple("continue", "4.00", "27.00"), {"restart", "15.00", "16.00"}}) {
    std::string worded = plans;
    worded.replace(worded.find("WORD"), 4, word);
    const Catalog catalog = CatalogOf({{"plans.yaml", worded},
                                       {"subscriptions.csv",
                                        "subscription,account,plan,entity,currency,valid_from,valid_to\n"
                                        "s1,c,a,acme,USD,2025-01-01,2025-01-16\ns1,c,b,acme,USD,2025-01-16,\n"}});
    SaidUsage usage(catalog);
    ASSERT_TRUE(usage.Add(catalog.plans[0], "calls", Units("4"), At("2025-01-05T00:00:00Z"), {}).ok());
    QuoteRequest request;
    request.subject = "s1";
    request.usage = usage.totals();
    const std::vector<std::string> lines = {std::string("calls 2025-01: 4 at ") + first,
                                            std::string("calls 2025-01: 0 at ") + second};
    EXPECT_EQ(LinesOf(MakeQuote(catalog, request)), lines);
    request.through = On("2025-01-31");
    EXPECT_EQ(LinesOf(MakeQuote(catalog, request)), lines);
    request.through = On("2025-01-30");
    EXPECT_THAT(LinesOf(MakeQuote(catalog, request)), ElementsAre("calls 2025-01: 4 at 4.00"));
  }
}

TEST(QuoteOfPlansTerms, APlanBeginsWithTheBillingPeriodThatItsUsageIsIn) {
  Plan plan;
  plan.billing.cycle = *ParseBillingCycle("1 month");
  EXPECT_EQ(PeriodAround(plan, On("2025-01-16")), MonthOf(On("2025-01-16")));
  plan.billing.by_subscription = true;
  EXPECT_EQ(PeriodAround(plan, On("2025-01-16")), (BillingPeriod{On("2025-01-16"), On("2025-02-16")}));
}

}  // namespace
}  // namespace tollbook
