// Simulate: a book small enough to work out in one's head, by another catalog. That a seal with it books what was said
// is shown on random books in tests/e2e/simulate_test.py.
#include "pipeline/simulate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/seal.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/small_book.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

CatalogTexts::Charge Calls(const char* plan, const char* price) {
  CatalogTexts::Charge charge;
  charge.plan = plan;
  charge.name = "calls";
  charge.meter = "api.calls";
  charge.product = "api";
  charge.model = "per_unit";
  charge.price = price;
  return charge;
}

// One plan at 0.10 a call, another at 0.05, one in yen; mails are counted and cost nothing.
CatalogTexts Before() {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", ""}, {"acme-jp", "JPY", ""}};
  texts.postings = {{"", "", "1200", "4000", false}};
  texts.meters = {{"api.calls", "", "sum", "value", "", {}, false, {}}, {"mails", "", "count", "", "", {}, false, {}}};
  texts.plans = {{"starter", "USD"}, {"pro", "USD"}, {"yen", "JPY"}};
  texts.charges = {Calls("starter", "0.10"), Calls("pro", "0.05"), Calls("yen", "15.5")};
  for (const char* id : {"s1", "s2", "s3"})
    texts.subscriptions.push_back({id, "starter", "acme-us", "USD", "2025-01-01", "", "", ""});
  return texts;
}

std::string Usage(const char* id, const char* subject, const char* type, const char* day, const char* value) {
  return ToJson({id, "gateway", type, subject, std::string(day) + "T08:00:00Z", value, {}}) + "\n";
}

std::string Text(Currency currency, Int128 minor) {
  return std::string(currency.code()) + " " + ToString(Money{currency, minor});
}

std::vector<std::string> TotalsIn(const Simulation& simulation) {
  std::vector<std::string> texts;
  for (const SimulatedTotal& total : simulation.totals) {
    texts.push_back(total.entity + ": " + Text(total.currency, total.amounts.before) + " to " +
                    Text(total.currency, total.amounts.after) + ", exactly " + ToString(total.amounts.before_exact) +
                    " to " + ToString(total.amounts.after_exact) + ", a seal books " +
                    Text(total.currency, total.seal_would_book));
  }
  return texts;
}

std::vector<std::string> RowsIn(const Simulation& simulation) {
  std::vector<std::string> texts;
  for (const SimulatedRow& row : simulation.rows) {
    std::string names;
    for (const std::string& name : {row.plan_before, row.plan, row.account, row.subscription, row.charge})
      names += name.empty() ? "" : name + " ";
    texts.push_back(names + Text(row.currency, row.amounts.before) + " to " + Text(row.currency, row.amounts.after) +
                    " of " + std::to_string(row.charge_periods));
  }
  return texts;
}

std::vector<std::string> MoversIn(const Simulation& simulation) {
  std::vector<std::string> texts;
  for (const SimulatedMover& mover : simulation.movers) {
    texts.push_back(mover.subscription + " " + mover.plan_before + ">" + mover.plan + "/" + mover.charge + " " +
                    ToString(mover.period.start) + " " + Text(mover.currency, mover.amounts.difference()) + " " +
                    ToString(mover.quantity_before) + ">" + ToString(mover.quantity_after));
  }
  return texts;
}

class SimulateTest : public testing::Test {
 protected:
  void SetUp() override {
    Absorbed("usage.ndjson",
             Usage("1", "s1", "api.calls", "2025-01-10", "100") + Usage("2", "s1", "api.calls", "2025-02-11", "7") +
                 Usage("3", "s2", "api.calls", "2025-01-11", "50") + Usage("4", "s3", "api.calls", "2025-01-12", "20") +
                 Usage("5", "s3", "mails", "2025-01-12", "") + Usage("6", "s3", "mails", "2025-01-13", "") +
                 Usage("7", "lost", "api.calls", "2025-01-13", "4"));
    const absl::StatusOr<SealReport> sealed = Seal(*book_, Of(Before()), {});
    ASSERT_TRUE(sealed.ok()) << sealed.status();
  }

  void Absorbed(const std::string& name, const std::string& lines) {
    ASSERT_TRUE(Absorb(*book_, Of(Before()), Inputs({book_.Write(name, lines)}), {}).ok());
  }

  static Catalog Of(const CatalogTexts& texts) {
    absl::StatusOr<Catalog> parsed = Parse(texts);
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    return *std::move(parsed);
  }

  Simulation By(const CatalogTexts& after, const SimulateOptions& options = {}) {
    const Catalog before_catalog = Of(Before()), after_catalog = Of(after);
    absl::StatusOr<Simulation> simulation = Simulate(*book_, before_catalog, after_catalog, options);
    EXPECT_TRUE(simulation.ok()) << simulation.status();
    return simulation.ok() ? *std::move(simulation) : Simulation{};
  }

  SmallBook book_;
};

TEST_F(SimulateTest, TheSameCatalogChangesNothing) {
  const Simulation same = By(Before());
  // 107 + 50 + 20 calls at 0.10.
  EXPECT_THAT(TotalsIn(same),
              ElementsAre("acme-us: USD 17.70 to USD 17.70, exactly 17.7 to 17.7, a seal books USD 0.00"));
  EXPECT_THAT(same.movers, IsEmpty());
  EXPECT_THAT(same.usage, IsEmpty());
  EXPECT_EQ(same.charge_periods_before, 4u);
  EXPECT_EQ(*EventsSinceSeal(*book_), 0u);
}

TEST_F(SimulateTest, APriceAnotherPlanAndANewChargeMoveWhatTheyTouch) {
  CatalogTexts after = Before();
  after.charges[0] = Calls("starter", "0.1225");       // s1 in January: 12.25, in February 0.8575
  after.subscriptions[1].plan = "pro";                 // s2: 2.50
  CatalogTexts::Charge mails = Calls("starter", "1");  // s3: 2.00
  mails.name = mails.meter = "mails";
  after.charges.push_back(mails);
  after.subscriptions.push_back({"lost", "pro", "acme-us", "USD", "2025-01-01", "", "", ""});  // 0.20
  const std::string journal = JournalBytes(*book_);

  Simulation plans = By(after);
  EXPECT_THAT(TotalsIn(plans),
              ElementsAre("acme-us: USD 17.70 to USD 20.26, exactly 17.7 to 20.2575, a seal books USD 2.56"));
  EXPECT_THAT(RowsIn(plans), ElementsAre("pro USD 0.00 to USD 0.20 of 1", "starter pro USD 5.00 to USD 2.50 of 1",
                                         "starter starter USD 12.70 to USD 17.56 of 4"));
  EXPECT_THAT(MoversIn(plans), ElementsAre("s2 starter>pro/calls 2025-01-01 USD -2.50 50>50",
                                           "s1 starter>starter/calls 2025-01-01 USD 2.25 100>100",
                                           "s3 starter>starter/mails 2025-01-01 USD 2.00 0>2",
                                           "s3 starter>starter/calls 2025-01-01 USD 0.45 20>20",
                                           "lost >pro/calls 2025-01-01 USD 0.20 0>4",
                                           "s1 starter>starter/calls 2025-02-01 USD 0.16 7>7"));
  ASSERT_EQ(plans.usage.size(), 2u);
  EXPECT_EQ(plans.usage[0].meter, "api.calls");
  EXPECT_EQ(ToString(plans.usage[0].before), "unattributed");
  EXPECT_EQ(plans.usage[0].events, 1u);
  EXPECT_EQ(plans.usage[1].meter, "mails");
  EXPECT_EQ(ToString(plans.usage[1].before), "unpriced");
  EXPECT_EQ(ToString(plans.usage[1].after), "priced");
  EXPECT_EQ(plans.usage[1].events, 2u);
  EXPECT_EQ(JournalBytes(*book_), journal);

  SimulateOptions options;
  options.movers = 2;
  options.threads = 3;
  options.by = SimulateBy::kSubscription;
  const Simulation subscriptions = By(after, options);
  EXPECT_THAT(
      RowsIn(subscriptions),
      ElementsAre("account-of-lost lost USD 0.00 to USD 0.20 of 1", "account-of-s1 s1 USD 10.70 to USD 13.11 of 2",
                  "account-of-s2 s2 USD 5.00 to USD 2.50 of 1", "account-of-s3 s3 USD 2.00 to USD 4.45 of 2"));
  EXPECT_THAT(MoversIn(subscriptions), ElementsAre("s2 starter>pro/calls 2025-01-01 USD -2.50 50>50",
                                                   "s1 starter>starter/calls 2025-01-01 USD 2.25 100>100"));
}

// s1 and s2 are one customer of the billing system, though of two accounts; s3 is nobody there, and its account stands
// in.
TEST_F(SimulateTest, ACustomerIsWhoPays) {
  CatalogTexts texts = Before();
  texts.charges[0] = Calls("starter", "0.20");
  std::map<std::string, std::string> files = texts.Files();
  files["targets.yaml"] =
      "targets:\n  - {name: crm, kind: chargebee, url: https://billing.example, api_key: env:KEY, charges: {calls: "
      "item}}\n"
      "  - {name: pay, kind: stripe, url: https://pay.example, api_key: env:KEY, charges: {calls: item}}\n";
  files["customers.csv"] = "target,subscription,id\ncrm,s1,sub_7\npay,s1,cus_1\npay,s2,cus_1\n";
  ParsedCatalog after = ParseCatalog(files);
  ASSERT_TRUE(after.catalog) << ToString(after.errors.front());
  SimulateOptions options;
  options.by = SimulateBy::kCustomer;
  for (const bool is_new : {true, false}) {  // the names may be in either catalog
    const Catalog other = Of(Before());
    const absl::StatusOr<Simulation> found =
        is_new ? Simulate(*book_, other, *after.catalog, options) : Simulate(*book_, *after.catalog, other, options);
    ASSERT_TRUE(found.ok()) << found.status();
    std::vector<std::string> rows;
    for (const SimulatedRow& row : found->rows) {
      rows.push_back(row.customer + " at " + row.target + " " + Text(row.currency, row.amounts.difference()) + " of " +
                     std::to_string(row.charge_periods));
    }
    EXPECT_THAT(rows, is_new ? ElementsAre("account-of-s3 at  USD 2.00 of 1", "cus_1 at pay USD 15.70 of 3")
                             : ElementsAre("account-of-s3 at  USD -2.00 of 1", "cus_1 at pay USD -15.70 of 3"));
  }
}

// A fee of 31.00 is dearer by 31.00 where it was sealed at 31.00, whatever of it is revenue by now, and in whose books.
TEST_F(SimulateTest, ADeferredFeeThatAnotherEntityDeliversCountsOnce) {
  CatalogTexts texts = Before();
  CatalogTexts::Charge fee = Calls("starter", "31");
  fee.name = "platform";
  fee.meter = "";
  fee.product = "platform";
  fee.model = "fee";
  texts.charges.push_back(fee);
  texts.entities.push_back({"acme-eu", "EUR", "", ""});
  texts.postings.push_back({"platform", "", "1200", "4500", false, {}, "2400"});
  texts.postings.back().more = "delivered_by: acme-eu, due_to: \"2500\", due_from: \"1500\"";
  const Catalog before = Of(texts);
  SealOptions sealing;
  sealing.through = ParseDay("2025-01-10");
  ASSERT_TRUE(Seal(*book_, before, sealing).ok());
  texts.charges.back().price = "62";
  SimulateOptions options;
  options.through = sealing.through;
  const absl::StatusOr<Simulation> found = Simulate(*book_, before, Of(texts), options);
  ASSERT_TRUE(found.ok()) << found.status();
  std::vector<std::string> booked;
  for (const SimulatedTotal& total : found->totals) {
    booked.push_back(total.entity + " " + Text(total.currency, total.amounts.difference()) + ", a seal books " +
                     Text(total.currency, total.seal_would_book));
  }
  EXPECT_THAT(booked, ElementsAre("acme-us USD 93.00, a seal books USD 93.00"));
}

TEST_F(SimulateTest, UsageThatATrialMakesFreeIsCounted) {
  CatalogTexts after = Before();
  after.plans[0].more = "trial_days: 365, trial_usage: free";
  const Simulation plans = By(after);
  ASSERT_EQ(plans.usage.size(), 2u);
  for (const SimulatedUsage& usage : plans.usage) EXPECT_EQ(ToString(usage.after), "trial");
  EXPECT_EQ(plans.usage[0].meter, "api.calls");
  EXPECT_EQ(ToString(plans.usage[0].before), "priced");
  EXPECT_EQ(plans.usage[0].events, 4u);
  EXPECT_EQ(plans.usage[1].meter, "mails");
  EXPECT_EQ(ToString(plans.usage[1].before), "unpriced");
  EXPECT_EQ(plans.usage[1].events, 2u);
}

TEST_F(SimulateTest, AmountsOfTwoCurrenciesStandApart) {
  CatalogTexts after = Before();
  after.subscriptions[0].plan = "yen";
  after.subscriptions[0].currency = "JPY";
  after.subscriptions[0].entity = "acme-jp";
  const Simulation plans = By(after);
  EXPECT_THAT(TotalsIn(plans),
              ElementsAre("acme-jp: JPY 0 to JPY 1659, exactly 0 to 1658.5, a seal books JPY 1659",
                          "acme-us: USD 17.70 to USD 7.00, exactly 17.7 to 7, a seal books USD -10.70"));
  EXPECT_THAT(RowsIn(plans),
              ElementsAre("starter starter USD 7.00 to USD 7.00 of 2", "starter yen JPY 0 to JPY 1659 of 2",
                          "starter yen USD 10.70 to USD 0.00 of 2"));
  EXPECT_THAT(
      MoversIn(plans),
      ElementsAre("s1 starter>yen/calls 2025-01-01 JPY 1550 0>100", "s1 starter>yen/calls 2025-02-01 JPY 109 0>7",
                  "s1 starter>yen/calls 2025-01-01 USD -10.00 100>0", "s1 starter>yen/calls 2025-02-01 USD -0.70 7>0"));
}

TEST_F(SimulateTest, UsageThatIsNotSealedYetIsOnBothSidesAndALastDayLeavesOutWhatIsLater) {
  Absorbed("late.ndjson", Usage("8", "s2", "api.calls", "2025-01-12", "10"));
  EXPECT_EQ(*EventsSinceSeal(*book_), 1u);
  CatalogTexts after = Before();
  after.charges[0] = Calls("starter", "0.20");
  EXPECT_THAT(TotalsIn(By(after)),
              ElementsAre("acme-us: USD 18.70 to USD 37.40, exactly 18.7 to 37.4, a seal books USD 19.70"));
  SimulateOptions january;
  january.through = ParseDay("2025-01-31");
  EXPECT_THAT(TotalsIn(By(after, january)),
              ElementsAre("acme-us: USD 18.00 to USD 36.00, exactly 18 to 36, a seal books USD 19.00"));
}

TEST_F(SimulateTest, AMeterThatIsNewIsNamedAndOneThatCountsOtherwiseIsRefusedAsByASeal) {
  CatalogTexts after = Before();
  after.meters.push_back({"seats", "", "max", "value", "", {}, false, {}});
  EXPECT_THAT(By(after).new_meters, ElementsAre("seats"));

  for (const char* aggregation : {"max", "latest"}) {
    CatalogTexts otherwise = Before();
    otherwise.meters[0].aggregation = aggregation;
    const absl::Status by_seal = Seal(*book_, Of(otherwise), {}).status();
    EXPECT_EQ(by_seal.code(), absl::StatusCode::kFailedPrecondition);
    const Catalog before = Of(Before()), refused = Of(otherwise);
    EXPECT_EQ(Simulate(*book_, before, refused, {}).status(), by_seal);
    EXPECT_EQ(Simulate(*book_, refused, before, {}).status(), by_seal);
  }
}

}  // namespace
}  // namespace tollbook
