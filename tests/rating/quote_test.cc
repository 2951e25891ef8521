#include "rating/quote.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "rating/catalog_text.h"
#include "tests/rating/in_words.h"

namespace tollbook {
namespace {

constexpr std::string_view kMeters = R"(meters:
  - {name: tokens, aggregation: sum, value: tokens, dimensions: [model]}
  - {name: calls, aggregation: count}
  - {name: seats, aggregation: max, value: seats, dimensions: [size]}
  - {name: areas, aggregation: sum, value: area, dimensions: [region]}
  - {name: credit, aggregation: sum, value: amount, allow_negative: true}
  - {name: kept, event_type: calls, aggregation: count, keep: events}
  - {name: rate, aggregation: percentile, percentile: 50, value: rate}
  - {name: users, aggregation: unique_count, value: user}
  - {name: payments, aggregation: sum, value: amount, keep: events}
  - {name: level, aggregation: weighted_sum, value: gb}
)";

constexpr std::string_view kPlans = R"(plans:
  - name: basic
    currency: USD
    charges:
      - {name: tokens, meter: tokens, product: p, model: per_unit, price: 0.005, included: 10}
      - name: tokens-large
        meter: tokens
        product: p
        model: graduated
        filter: {model: large}
        tiers: [{up_to: 100, price: 0.10}, {price: 0.05, flat: 2}]
      - {name: calls, meter: calls, product: p, model: package, package_size: 10, price: 15}
      - {name: kept, meter: kept, product: p, model: per_unit, price: 1}
      - {name: rate, meter: rate, product: p, model: per_unit, price: 1}
      - {name: users, meter: users, product: p, model: per_unit, price: 1}
      - {name: seats, meter: seats, product: p, model: per_unit, price: 3}
      - name: bounded
        meter: seats
        product: p
        model: per_unit
        filter: {size: big}
        price: 10
        discount_percent: 50
        maximum: 100
        minimum: 30
      - {name: converted, meter: credit, product: p, model: per_unit, price: 2,
         convert: {divide: 1000, rounding: up, places: 0}}
      - name: cells
        meter: areas
        product: p
        model: matrix
        cells: [{when: {region: [eu, us]}, price: 1}, {when: {region: asia}, price: 2}]
  - name: single
    currency: EUR
    charges: [{name: calls, meter: calls, product: p, model: per_unit, price: 0.333}]
  - name: rolling
    currency: USD
    charges:
      - {name: calls, meter: calls, product: p, model: per_unit, price: 1, included: 100, included_rollover: {max: 60}}
  - name: events
    currency: USD
    charges:
      - {name: fee, meter: payments, product: p, model: percentage, percent: 1, free_transactions: 1}
      - {name: storage, meter: level, product: p, model: per_unit, price: 1}
      - {name: reserved, meter: calls, product: p, model: per_unit, price: 1, commitment: {amount: 10, true_up: true}}
)";

Catalog CatalogOfTest() {
  ParsedCatalog parsed = ParseCatalog({
      {"book.yaml", "name: test\nzone: UTC\n"},
      {"entities.yaml", "entities:\n  - {name: acme, functional_currency: USD}\n"},
      {"chart.yaml", "accounts:\n  - {code: \"1\", name: a, type: asset}\n  - {code: \"2\", name: b, type: revenue}\n"},
      {"meters.yaml", std::string(kMeters)},
      {"plans.yaml", std::string(kPlans)},
      {"posting.yaml", "posting:\n  - {debit: \"1\", credit: \"2\"}\n"},
      {"subscriptions.csv",
       "subscription,account,plan,entity,currency,valid_from,valid_to,subject\n"
       "s1,a,basic,acme,USD,2025-01-01,2025-02-01,tenant-1\n"
       "s1,a,single,acme,EUR,2025-02-01,,tenant-1\n"
       "s2,b,basic,acme,USD,2025-01-01,,\n"},
  });
  for (const CatalogError& error : parsed.errors) ADD_FAILURE() << ToString(error);
  return *std::move(parsed.catalog);
}

class QuoteOfPlan : public testing::Test {
 protected:
  const Plan& plan() const { return catalog_.plans[catalog_.subscriptions.front().plan]; }

  absl::Status Use(std::string_view name, std::string_view quantity, std::string_view at = "2025-01-15T12:00:00Z",
                   const SaidUsage::Dimensions& dimensions = {}) {
    return usage_.Add(plan(), name, Units(quantity), At(at), dimensions);
  }

  QuoteRequest Request() const {
    QuoteRequest request;
    request.subject = kQuotedSubject;
    request.usage = usage_.totals();
    return request;
  }

  QuotedCharge One(const QuoteRequest& request) const {
    const absl::StatusOr<Quote> quote = MakeQuote(catalog_, request);
    EXPECT_TRUE(quote.ok()) << quote.status();
    EXPECT_TRUE(quote.ok() && quote->charges.size() == 1);
    return quote.ok() && quote->charges.size() == 1 ? quote->charges.front() : QuotedCharge();
  }

  Catalog catalog_ = *WithPlanOnly(CatalogOfTest(), "basic");
  SaidUsage usage_{catalog_};
};

class QuoteOfEvents : public QuoteOfPlan {
 protected:
  QuoteOfEvents() { catalog_ = *WithPlanOnly(CatalogOfTest(), "events"); }
};

TEST_F(QuoteOfEvents, OneQuantityBeforeDoesNotSayWhichEvents) {
  ASSERT_TRUE(Use("fee", "100", "2025-01-15T12:00:00Z").ok());
  ASSERT_TRUE(Use("fee", "300", "2025-01-15T13:00:00Z").ok());
  QuoteRequest request = Request();
  EXPECT_EQ(ToString(One(request).due), "3.00");
  request.previous_quantity = Units("5");
  EXPECT_EQ(MakeQuote(catalog_, request).status().message(),
            "a quantity used before, of a charge with a price for each event: fee: give all usage of the period with "
            "--usage");
}

TEST_F(QuoteOfEvents, AnAmountBilledBeforeDoesNotSayHowFarACommitmentIsUsed) {
  ASSERT_TRUE(Use("reserved", "4").ok());
  QuoteRequest request = Request();
  request.through = On("2025-01-31");
  EXPECT_EQ(ToString(One(request).due), "10.00");
  request.previous_quantity = Units("12");
  EXPECT_EQ(ToString(One(request).due), "4.00");  // 16, less 12
  request.previous_quantity.reset();
  request.previous_billed = Worth();
  EXPECT_EQ(MakeQuote(catalog_, request).status().message(),
            "only what was billed before, of a charge with a commitment: reserved: say what was used before too, or "
            "give all usage of the period");
}

// 10 from before the period, and 31 more for one day of its 31.
TEST_F(QuoteOfEvents, WhatWasThereBeforeThePeriodGoesOn) {
  ASSERT_TRUE(Use("storage", "10", "2024-12-20T00:00:00Z").ok());
  ASSERT_TRUE(Use("storage", "31", "2025-01-31T00:00:00Z").ok());
  ASSERT_TRUE(Use("storage", "5", "2025-02-01T00:00:00Z").ok());
  QuoteRequest request = Request();
  request.period = {On("2025-01-01"), On("2025-02-01")};
  const QuotedCharge charge = One(request);
  EXPECT_EQ(ToString(charge.period.start), "2025-01-01");
  EXPECT_EQ(charge.quantity, Units("11"));
  EXPECT_EQ(MakeQuote(catalog_, request)->events_left_out, 1u);
}

TEST_F(QuoteOfPlan, ShowsTheStepsOfWhatASealWouldBook) {
  ASSERT_TRUE(Use("tokens", "12.5").ok());
  const QuotedCharge charge = One(Request());
  EXPECT_EQ(charge.charge->name, "tokens");
  EXPECT_EQ(ToString(charge.period.start), "2025-01-01");
  EXPECT_EQ(charge.quantity, Units("12.5"));
  EXPECT_EQ(charge.events, 1u);
  ASSERT_EQ(charge.steps.size(), 2u);
  EXPECT_EQ(charge.steps[0].what, "included");
  EXPECT_EQ(charge.steps[0].quantity, Units("10"));
  EXPECT_EQ(ToString(charge.exact), "0.0125");
  EXPECT_EQ(ToString(charge.rounded), "0.01");
  EXPECT_EQ(ToString(charge.residue), "0.0025");
  EXPECT_FALSE(charge.is_slice);
  EXPECT_EQ(charge.due, charge.rounded);
  EXPECT_EQ(charge.due_exact, charge.exact);
}

TEST_F(QuoteOfPlan, ATotalIsTheSumOfRoundedAmounts) {
  ASSERT_TRUE(Use("tokens", "11").ok());
  ASSERT_TRUE(Use("tokens-large", "0.05").ok());
  ASSERT_TRUE(Use("seats", "1").ok());
  const absl::StatusOr<Quote> quote = MakeQuote(catalog_, Request());
  ASSERT_TRUE(quote.ok()) << quote.status();
  ASSERT_EQ(quote->charges.size(), 3u);
  const absl::StatusOr<std::vector<QuoteTotal>> totals = TotalsOf(*quote);
  ASSERT_TRUE(totals.ok() && totals->size() == 1);
  EXPECT_EQ(ToString(totals->front().due_exact), "3.01");  // 3 + 0.005 + 0.005
  EXPECT_EQ(ToString(totals->front().due), "3.02");
}

TEST_F(QuoteOfPlan, SaidUsageIsMergedAsItsMeterMerges) {
  ASSERT_TRUE(Use("seats", "5").ok());
  ASSERT_TRUE(Use("seats", "3").ok());
  ASSERT_TRUE(Use("seats", "4", "2025-01-20T00:00:00Z").ok());
  EXPECT_EQ(usage_.totals().size(), 2u);
  const QuotedCharge charge = One(Request());
  EXPECT_EQ(charge.quantity, Units("5"));
  EXPECT_EQ(charge.events, 3u);
}

TEST_F(QuoteOfPlan, AMeterThatCountsCountsEvents) {
  ASSERT_TRUE(Use("calls", "21").ok());
  const QuotedCharge charge = One(Request());
  EXPECT_EQ(charge.events, 21u);
  EXPECT_EQ(ToString(charge.due), "45.00");
  EXPECT_FALSE(Use("calls", "1.5").ok());
}

TEST_F(QuoteOfPlan, SaidUsageOfAMeterThatKeepsEachEvent) {
  for (const char* events : {"12", "3"}) ASSERT_TRUE(Use("kept", events).ok());
  for (const char* value : {"7", "5", "5"}) ASSERT_TRUE(Use("rate", value).ok());
  QuoteRequest request = Request();
  request.charge = "kept";
  EXPECT_EQ(One(request).quantity, Units("15"));
  EXPECT_EQ(One(request).events, 15u);
  request.charge = "rate";
  EXPECT_EQ(One(request).quantity, Units("5"));
  EXPECT_FALSE(Use("users", "2").ok()) << "how many were different cannot be said so";
}

TEST_F(QuoteOfPlan, AChargeTakesWhatItsFilterSays) {
  ASSERT_TRUE(Use("tokens-large", "150").ok());
  EXPECT_EQ(One(Request()).charge->name, "tokens-large");
  // By the meter, the dimensions decide.
  SaidUsage by_meter(catalog_);
  ASSERT_TRUE(by_meter.Add(plan(), "tokens", Units("150"), At("2025-01-15T12:00:00Z"), {{"model", "small"}}).ok());
  EXPECT_EQ(by_meter.totals().front().dimension_values[0], "small");
  const absl::Status other = Use("tokens", "1", "2025-01-15T12:00:00Z", {{"model", "large"}});
  EXPECT_EQ(other.message(),
            "the charge does not take such usage: tokens: say the dimensions that its filter or cells ask for, with "
            "--dimension");
}

TEST_F(QuoteOfPlan, ADimensionIsOneOfTheQuantitiesMeters) {
  ASSERT_TRUE(Use("calls", "1").ok());
  EXPECT_EQ(usage_.CheckDimensions({{"q", "1"}}).message(), "the quantities have no such dimension: q: leave it out");
  ASSERT_TRUE(Use("tokens", "1").ok());
  ASSERT_TRUE(Use("areas", "1", "2025-01-15T12:00:00Z", {{"region", "eu"}}).ok());
  EXPECT_TRUE(usage_.CheckDimensions({}).ok());
  EXPECT_TRUE(usage_.CheckDimensions({{"region", "eu"}}).ok());  // of one of them
  EXPECT_EQ(usage_.CheckDimensions({{"region", "eu"}, {"size", "big"}}).message(),
            "the quantities have no such dimension: size: they have model, region");
}

TEST_F(QuoteOfPlan, WhatCannotBeUsedIsSaid) {
  EXPECT_EQ(Use("mails", "1").message(),
            "neither a charge of the plan nor a meter: mails: plan basic has the charges tokens, tokens-large, calls, "
            "kept, rate, users, seats, bounded, converted, cells");
  EXPECT_EQ(Use("seats", "-1").message(),
            "a negative quantity: meter seats, -1: the meter needs allow_negative: true for it");
  // No cell takes it.
  ASSERT_TRUE(Use("areas", "1", "2025-01-15T12:00:00Z", {{"region", "moon"}}).ok());
  EXPECT_FALSE(Use("cells", "1", "2025-01-15T12:00:00Z", {{"region", "moon"}}).ok());
  const absl::StatusOr<Quote> quote = MakeQuote(catalog_, Request());
  ASSERT_TRUE(quote.ok());
  ASSERT_EQ(quote->unrated.size(), 1u);
  EXPECT_EQ(quote->unrated.front().why, UnratedUsage::Why::kUnpriced);
}

TEST_F(QuoteOfPlan, UsageOutsideThePeriodIsLeftOut) {
  ASSERT_TRUE(Use("seats", "9", "2024-12-31T23:59:59Z").ok());
  ASSERT_TRUE(Use("seats", "2", "2025-01-01T00:00:00Z").ok());
  ASSERT_TRUE(Use("seats", "7", "2025-01-31T23:59:59Z").ok());
  ASSERT_TRUE(Use("seats", "8", "2025-02-01T00:00:00Z").ok());
  QuoteRequest request = Request();
  request.period = {On("2025-01-01"), On("2025-02-01")};
  request.charge = "seats";  // another has a minimum without usage
  EXPECT_EQ(One(request).quantity, Units("7"));
  request.through = On("2025-01-30");
  EXPECT_EQ(One(request).quantity, Units("2"));
  EXPECT_EQ(MakeQuote(catalog_, request)->events_left_out, 3u);
}

TEST_F(QuoteOfPlan, OnlyTheChargeThatIsAskedFor) {
  ASSERT_TRUE(Use("calls", "3").ok());
  ASSERT_TRUE(Use("seats", "2").ok());
  QuoteRequest request = Request();
  request.charge = "seats";
  EXPECT_EQ(One(request).charge->name, "seats");
  EXPECT_EQ(MakeQuote(catalog_, request)->events_left_out, 3u);
}

// 15 for each started ten; 17 were used before, 5 are now: 22 are 3 packages.
struct Slice {
  const char* name;
  const char* previous_quantity;  // null: not said
  const char* previous_billed;    // null: not said
  const char* exact;
  const char* due;
};
constexpr Slice kSlices[] = {
    {"of both, less what was billed", "17", "30", "45", "15.00"},
    {"billed as the previous quantity is worth", "17", nullptr, "45", "15.00"},
    {"billed otherwise", "17", "20", "45", "25.00"},
    {"more was billed than is due", "17", "60", "45", "-15.00"},
    {"nothing was used, so nothing was billed", "0", nullptr, "15", "15.00"},
    {"only the amount is known", nullptr, "30", "45", "15.00"},
    {"what was billed is an amount", "17", "29.996", "45", "15.00"},
};

TEST_F(QuoteOfPlan, ALaterSliceOwesTheDifference) {
  ASSERT_TRUE(Use("calls", "5").ok());
  for (const Slice& slice : kSlices) {
    SCOPED_TRACE(slice.name);
    QuoteRequest request = Request();
    if (slice.previous_quantity != nullptr) request.previous_quantity = Units(slice.previous_quantity);
    if (slice.previous_billed != nullptr)
      request.previous_billed = Worth{Wide::Product(Attos(slice.previous_billed), kOneUnit)};
    const QuotedCharge charge = One(request);
    EXPECT_TRUE(charge.is_slice);
    EXPECT_EQ(charge.events, 5u);  // of this usage
    EXPECT_EQ(ToString(charge.exact), slice.exact);
    EXPECT_EQ(ToString(charge.due), slice.due);
    Worth sum;
    for (const PriceStep& step : charge.steps) ASSERT_TRUE(Wide::Add(sum.amount, step.worth.amount, &sum.amount));
    EXPECT_EQ(sum, charge.exact);
  }
}

// 10 each, half of it taken off; at most 100 and, once the period is complete, at least 30.
struct BoundedSlice {
  const char* name;
  const char* quantity;
  const char* previous_quantity;
  const char* previous_billed;
  const char* through;
  const char* exact;
  const char* due;
};
constexpr BoundedSlice kBoundedSlices[] = {
    {"below the cap with what was billed", "5", nullptr, "70", "2025-01-31", "95", "25.00"},
    {"the cap counts what was billed", "9", nullptr, "70", "2025-01-31", "100", "30.00"},
    {"nothing is left below the cap", "9", nullptr, "100", "2025-01-31", "100", "0.00"},
    {"the minimum counts what was billed", "1", nullptr, "10", "2025-01-31", "30", "20.00"},
    {"no minimum before the period is complete", "1", nullptr, "10", "2025-01-30", "15", "5.00"},
    {"the larger of both is used up to now", "9", "30", nullptr, "2025-01-31", "100", "0.00"},
    {"a first slice without the minimum", "3", "1", nullptr, "2025-01-31", "30", "25.00"},
};

TEST_F(QuoteOfPlan, BoundsHoldForAllOfThePeriod) {
  for (const BoundedSlice& slice : kBoundedSlices) {
    SCOPED_TRACE(slice.name);
    SaidUsage usage(catalog_);
    ASSERT_TRUE(usage.Add(plan(), "bounded", Units(slice.quantity), At("2025-01-15T12:00:00Z"), {}).ok());
    QuoteRequest request;
    request.subject = kQuotedSubject;
    request.usage = usage.totals();
    request.through = On(slice.through);
    if (slice.previous_quantity != nullptr) request.previous_quantity = Units(slice.previous_quantity);
    if (slice.previous_billed != nullptr)
      request.previous_billed = Worth{Wide::Product(Attos(slice.previous_billed), kOneUnit)};
    const QuotedCharge charge = One(request);
    EXPECT_EQ(ToString(charge.exact), slice.exact);
    EXPECT_EQ(ToString(charge.due), slice.due);
    Worth sum;
    for (const PriceStep& step : charge.steps) ASSERT_TRUE(Wide::Add(sum.amount, step.worth.amount, &sum.amount));
    EXPECT_EQ(sum, charge.exact);
  }
}

TEST_F(QuoteOfPlan, ShowsWhatIsPricedWhereUnitsAreConverted) {
  ASSERT_TRUE(Use("converted", "1400").ok());
  const QuotedCharge charge = One(Request());
  EXPECT_EQ(charge.quantity, Units("1400"));
  EXPECT_EQ(charge.converted, Units("2"));
  EXPECT_EQ(ToString(charge.due), "4.00");
}

TEST_F(QuoteOfPlan, OneQuantityBeforeDoesNotSayOfWhichCell) {
  ASSERT_TRUE(Use("cells", "1", "2025-01-15T12:00:00Z", {{"region", "eu"}}).ok());
  QuoteRequest request = Request();
  request.previous_quantity = Units("3");
  EXPECT_EQ(ToString(One(request).due), "1.00");  // one cell: of that
  ASSERT_TRUE(Use("cells", "1", "2025-01-15T12:00:00Z", {{"region", "asia"}}).ok());
  request.usage = usage_.totals();
  EXPECT_EQ(MakeQuote(catalog_, request).status().message(),
            "one quantity used before, of a charge that prices several apart: cells: give all usage of the period "
            "with --usage");
}

TEST_F(QuoteOfPlan, ASliceIsOfOneCharge) {
  ASSERT_TRUE(Use("calls", "5").ok());
  ASSERT_TRUE(Use("seats", "5").ok());
  QuoteRequest request = Request();
  request.previous_billed = Worth();
  const absl::StatusOr<Quote> quote = MakeQuote(catalog_, request);
  EXPECT_EQ(quote.status().message(),
            "what was used or billed before is of one charge and billing period: the usage is of 2: ask for one "
            "charge with --charge, and for one period");
  request.charge = "seats";
  EXPECT_TRUE(MakeQuote(catalog_, request).ok());
}

TEST_F(QuoteOfPlan, WhatDoesNotFitIsAnAnswer) {
  ASSERT_TRUE(Use("seats", "100000000000000000000").ok());
  const absl::StatusOr<Quote> quote = MakeQuote(catalog_, Request());
  EXPECT_TRUE(quote.ok()) << quote.status();
  ASSERT_TRUE(Use("tokens", "100000000000000000000").ok());
  const absl::Status beyond = Use("tokens", "100000000000000000000");
  EXPECT_EQ(beyond.code(), absl::StatusCode::kOutOfRange);
}

// Of January's 100 calls 30 were used, and 60 of what is left go on.
TEST(QuoteOfRollover, ShowsWhatEarlierPeriodsLeave) {
  const Catalog catalog = *WithPlanOnly(CatalogOfTest(), "rolling", On("2025-01-01"));
  const Plan& plan = catalog.plans[catalog.subscriptions.front().plan];
  SaidUsage usage(catalog);
  ASSERT_TRUE(usage.Add(plan, "calls", Units("30"), At("2025-01-15T12:00:00Z"), {}).ok());
  ASSERT_TRUE(usage.Add(plan, "calls", Units("165"), At("2025-02-15T12:00:00Z"), {}).ok());
  QuoteRequest request;
  request.subject = kQuotedSubject;
  request.usage = usage.totals();
  request.period = {On("2025-02-01"), On("2025-03-01")};
  const absl::StatusOr<Quote> quote = MakeQuote(catalog, request);
  ASSERT_TRUE(quote.ok()) << quote.status();
  EXPECT_EQ(quote->events_left_out, 0u);
  ASSERT_EQ(quote->charges.size(), 1u);
  std::vector<std::string> steps;
  for (const PriceStep& step : quote->charges.front().steps) steps.push_back(step.what + " " + ToString(step.quantity));
  EXPECT_EQ(steps, (std::vector<std::string>{"rolled over from earlier periods 60", "included 100", "per unit 5"}));
  EXPECT_EQ(quote->charges.front().due, (Money{In("USD"), 500}));
  request.previous_quantity = Units("1");
  EXPECT_EQ(MakeQuote(catalog, request).status().message(),
            "a quantity used before, of a charge that other versions or periods go on into: calls: give all usage with "
            "--usage");
}

TEST(QuoteOfSubscription, PricesByItsPlans) {
  const absl::StatusOr<Catalog> catalog = WithSubscriptionOnly(CatalogOfTest(), "s1");
  ASSERT_TRUE(catalog.ok()) << catalog.status();
  EXPECT_EQ(catalog->subscriptions.size(), 2u);
  SaidUsage usage(*catalog);
  ASSERT_TRUE(usage.Add(catalog->plans[0], "calls", Units("1"), At("2025-01-31T23:59:59Z"), {}).ok());
  ASSERT_TRUE(usage.Add(catalog->plans[1], "calls", Units("1"), At("2025-02-01T00:00:00Z"), {}).ok());
  QuoteRequest request;
  request.subject = "tenant-1";
  request.usage = usage.totals();
  const absl::StatusOr<Quote> quote = MakeQuote(*catalog, request);
  ASSERT_TRUE(quote.ok() && quote->charges.size() == 2) << quote.status();
  const absl::StatusOr<std::vector<QuoteTotal>> totals = TotalsOf(*quote);
  ASSERT_TRUE(totals.ok() && totals->size() == 2);
  EXPECT_EQ(totals->front().due, (Money{In("EUR"), 33}));
  EXPECT_EQ(totals->back().due, (Money{In("USD"), 1500}));
}

TEST(QuoteOfSubscription, WhatTheCatalogDoesNotHaveIsSaid) {
  EXPECT_EQ(WithSubscriptionOnly(CatalogOfTest(), "s9").status().message(),
            "the catalog has no such subscription: s9: look it up in subscriptions.csv");
  EXPECT_EQ(WithPlanOnly(CatalogOfTest(), "gold").status().message(),
            "the catalog has no such plan: gold: it has basic, single, rolling, events");
}

}  // namespace
}  // namespace tollbook
