// Reconcile: what a controller compares, in amounts. That the two sides of a row agree proves little where both count
// something twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/change_period.h"
#include "pipeline/seal.h"
#include "pipeline/verify.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/small_book.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A fee of 31.00 a month, due on the first day, and revenue day by day.
CatalogTexts DeferredFee() {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", "", ""}, {"acme-eu", "EUR", "", ""}};
  texts.meters.emplace_back();
  texts.meters.back().name = "api.calls";
  texts.meters.back().aggregation = "count";
  texts.plans = {{"starter", "USD"}};
  texts.charges.emplace_back();
  texts.charges.back().plan = "starter";
  texts.charges.back().name = "platform";
  texts.charges.back().product = "platform";
  texts.charges.back().model = "fee";
  texts.charges.back().price = "31";
  texts.postings = {{"", "", "1200", "4500", false, {}, "2400"}};
  texts.subscriptions = {{"s1", "starter", "acme-us", "USD", "2025-01-01", "", "", ""}};
  return texts;
}

void SealThrough(const SmallBook& book, const CatalogTexts& texts, const std::string& day) {
  const absl::StatusOr<Catalog> catalog = Parse(texts);
  ASSERT_TRUE(catalog.ok()) << catalog.status();
  SealOptions options;
  options.through = ParseDay(day);
  const absl::StatusOr<SealReport> sealed = Seal(*book, *catalog, options);
  ASSERT_TRUE(sealed.ok()) << sealed.status();
}

// "acme-us 2025-01 worth, rounded: worth = booked: 31.00, 31.00": the rows of an entity's worth and booked amounts.
std::vector<std::string> AmountsIn(const SmallBook& book) {
  const absl::StatusOr<std::vector<ReconcileRow>> rows = Reconcile(*book, 1);
  EXPECT_TRUE(rows.ok()) << rows.status();
  std::vector<std::string> texts;
  for (const ReconcileRow& row : rows.ok() ? *rows : std::vector<ReconcileRow>()) {
    if (row.step != "worth, rounded" && row.step != "booked") continue;
    EXPECT_TRUE(row.equal) << row.entity << " " << row.step;
    texts.push_back(row.entity + " " + row.period + " " + row.step + ": " + row.what + ": " + row.left + ", " +
                    row.right);
  }
  return texts;
}

TEST(Reconcile, ADeferredFeeCountsOnce) {
  const SmallBook book;
  SealThrough(book, DeferredFee(), "2025-01-10");
  EXPECT_THAT(AmountsIn(book), ElementsAre("acme-us 2025-01 worth, rounded: worth = booked: 31.00, 31.00",
                                           "acme-us 2025-01 booked: booked = journal: 31.00, 31.00"));
  SealThrough(book, DeferredFee(), "2025-02-28");
  EXPECT_THAT(AmountsIn(book), ElementsAre("acme-us 2025-01 worth, rounded: worth = booked: 31.00, 31.00",
                                           "acme-us 2025-01 booked: booked = journal: 31.00, 31.00",
                                           "acme-us 2025-02 worth, rounded: worth = booked: 31.00, 31.00",
                                           "acme-us 2025-02 booked: booked = journal: 31.00, 31.00"));
}

// An adjustment of January after February has begun does not look at February, whose fee stands.
TEST(Reconcile, WhatAnEarlierSealBookedBehindTheNewestOnesDayStands) {
  const SmallBook book;
  CatalogTexts texts = DeferredFee();
  SealThrough(book, texts, "2025-02-01");
  texts.charges.back().price = "62";
  SealThrough(book, texts, "2025-01-31");
  EXPECT_THAT(AmountsIn(book), ElementsAre("acme-us 2025-01 worth, rounded: worth = booked: 62.00, 62.00",
                                           "acme-us 2025-01 booked: booked = journal: 62.00, 62.00",
                                           "acme-us 2025-02 worth, rounded: worth = booked: 31.00, 31.00",
                                           "acme-us 2025-02 booked: booked = journal: 31.00, 31.00"));
}

// Each entity has it in its books, once.
TEST(Reconcile, ADeferredFeeThatAnotherEntityDeliversCountsOnceInEachOfTheirBooks) {
  const SmallBook book;
  CatalogTexts texts = DeferredFee();
  texts.postings[0].more = "delivered_by: acme-eu, due_to: \"2500\", due_from: \"1500\"";
  SealThrough(book, texts, "2025-01-10");
  EXPECT_THAT(AmountsIn(book), ElementsAre("acme-eu 2025-01 worth, rounded: worth = booked: 31.00, 31.00",
                                           "acme-eu 2025-01 booked: booked = journal: 31.00, 31.00",
                                           "acme-us 2025-01 worth, rounded: worth = booked: 31.00, 31.00",
                                           "acme-us 2025-01 booked: booked = journal: 31.00, 31.00"));
}

// "acme-us due to acme-eu: due-to = due-from: 31.00, 31.00"
std::vector<std::string> DueBetweenIn(const SmallBook& book) {
  std::vector<std::string> texts;
  const absl::StatusOr<std::vector<ReconcileRow>> rows = Reconcile(*book, 1);
  EXPECT_TRUE(rows.ok()) << rows.status();
  for (const ReconcileRow& row : rows.ok() ? *rows : std::vector<ReconcileRow>()) {
    if (!row.step.starts_with("due to ")) continue;
    EXPECT_TRUE(row.equal) << row.step;
    texts.push_back(row.entity + " " + row.step + " " + row.currency + ": " + row.what + ": " + row.left + ", " +
                    row.right);
  }
  return texts;
}

// The partner's January is closed, and takes no late usage: what waits there is what lies between the two.
TEST(Reconcile, WhatOneEntityOwesIsWhatTheOtherIsOwed) {
  const SmallBook book;
  CatalogTexts texts = DeferredFee();
  texts.entities[1].more = "late_usage: refuse";
  texts.postings[0].more = "delivered_by: acme-eu, due_to: \"2500\", due_from: \"1500\"";
  SealThrough(book, texts, "2025-01-31");
  EXPECT_THAT(DueBetweenIn(book), ElementsAre("acme-us due to acme-eu USD: due-to = due-from: 31.00, 31.00"));
  const Catalog catalog = *Parse(texts);
  ASSERT_TRUE(
      ChangePeriod(*book, catalog, {PeriodAction::kClose, "acme-eu", "2025-01", "Ann", "the month is done", {}}, 1)
          .ok());
  texts.charges.back().price = "62";
  SealThrough(book, texts, "2025-01-31");
  EXPECT_THAT(DueBetweenIn(book), ElementsAre("acme-us due to acme-eu USD: due-to = due-from + waiting: 62.00, 62.00"));
  EXPECT_TRUE(
      ChangePeriod(*book, *Parse(texts), {PeriodAction::kClose, "acme-us", "2025-01", "Ann", "likewise", {}}, 1).ok());
  // A rule that delivers no more takes back both sides; what the partner cannot take back yet waits.
  texts.postings[0].more = "";
  texts.entities[0].more = "late_usage: open_period";
  SealThrough(book, texts, "2025-02-28");
  EXPECT_THAT(DueBetweenIn(book), ElementsAre("acme-us due to acme-eu USD: due-to = due-from + waiting: 0.00, 0.00"));
}

// A partner that a rule names without anybody else delivering is nobody's creditor.
TEST(Reconcile, APartnerOfARuleIsNoPair) {
  const SmallBook book;
  CatalogTexts texts = DeferredFee();
  texts.postings[0].more = "partner: acme-eu";
  SealThrough(book, texts, "2025-01-31");
  EXPECT_THAT(DueBetweenIn(book), IsEmpty());
}

// What is recognised by a contract is another amount than what is billed, and is no worth either.
TEST(Reconcile, AnAllocatedPriceCountsAsItIsBilled) {
  const SmallBook book;
  CatalogTexts texts = DeferredFee();
  texts.plans[0].more = "billing_anchor: subscription";
  texts.charges.push_back(texts.charges[0]);
  texts.charges.back().name = "handset";
  texts.charges.back().price = "0";
  texts.charges.back().more = "once: true";
  texts.contracts = {{"starter",
                      "12 months",
                      {"{charge: platform, stand_alone_price: 31}",
                       "{charge: handset, stand_alone_price: 372, satisfied: at_point}"}}};
  SealThrough(book, texts, "2025-01-10");
  EXPECT_THAT(AmountsIn(book), ElementsAre("acme-us 2025-01 worth, rounded: worth = booked: 31.00, 31.00",
                                           "acme-us 2025-01 booked: booked = journal: 31.00, 31.00"));
}

CatalogTexts::Charge PerUnit(const std::string& name, const std::string& meter, const std::string& price) {
  CatalogTexts::Charge charge;
  charge.plan = "starter";
  charge.name = name;
  charge.meter = meter;
  charge.product = "api";
  charge.model = "per_unit";
  charge.price = price;
  return charge;
}

// Calls are priced; of tokens the newest seal knew nothing, or another way to count them.
CatalogTexts CallsAndTokens(const std::string& tokens_are) {
  CatalogTexts texts = DeferredFee();
  texts.charges.push_back(PerUnit("calls", "api.calls", "1"));
  texts.postings.push_back({"api", "", "1200", "4000"});
  if (tokens_are.empty()) return texts;
  texts.meters.push_back({"tokens", "tokens", tokens_are, tokens_are == "sum" ? "value" : "", "", {}});
  return texts;
}

void AbsorbLine(const SmallBook& book, const CatalogTexts& texts, const EventText& event) {
  const absl::StatusOr<Catalog> catalog = Parse(texts);
  ASSERT_TRUE(catalog.ok()) << catalog.status();
  const std::string path = book.Write(event.id + ".ndjson", ToJson(event) + "\n");
  const absl::StatusOr<AbsorbReport> absorbed = Absorb(*book, *catalog, Inputs({path}), {});
  ASSERT_TRUE(absorbed.ok()) << absorbed.status();
  ASSERT_EQ(absorbed->counts.accepted, 1);
}

std::string MeteredIn(const SmallBook& book) {
  const absl::StatusOr<std::vector<ReconcileRow>> rows = Reconcile(*book, 1);
  EXPECT_TRUE(rows.ok()) << rows.status();
  for (const ReconcileRow& row : rows.ok() ? *rows : std::vector<ReconcileRow>()) {
    EXPECT_TRUE(row.equal) << row.step;
    if (row.step == "metered events") return row.left + " = " + row.right;
  }
  return "no row";
}

// Until a seal books by a catalog that has the meter, its usage is in the book and unpriced: nobody is told that the
// meter were gone.
TEST(Reconcile, UsageOfAMeterThatCameAfterTheNewestSealIsUnpriced) {
  for (const std::string before : {"", "count"}) {
    SCOPED_TRACE(before);
    const SmallBook book;
    CatalogTexts sealed = CallsAndTokens(before);
    if (!before.empty()) sealed.charges.push_back(PerUnit("tokens", "tokens", "5"));
    AbsorbLine(book, sealed, {"a1", "gateway", "api.calls", "s1", "2025-01-20T00:00:00Z", ""});
    SealThrough(book, sealed, "2025-01-31");
    const CatalogTexts now = CallsAndTokens("sum");
    AbsorbLine(book, now, {"t1", "gateway", "tokens", "s1", "2025-01-21T00:00:00Z", "3"});
    EXPECT_EQ(MeteredIn(book), "2 = 2");
    EXPECT_THAT(AmountsIn(book), ElementsAre("acme-us 2025-01 worth, rounded: worth = booked: 32.00, 32.00",
                                             "acme-us 2025-01 booked: booked = journal: 32.00, 32.00"));
    EXPECT_THAT(WhatIsWrong(*book), IsEmpty());
    // Nothing of it is due by the seal's catalog; a seal by the one of now books nothing either, for it has no price.
    SealThrough(book, now, "2025-01-31");
    EXPECT_THAT(AmountsIn(book), ElementsAre("acme-us 2025-01 worth, rounded: worth = booked: 32.00, 32.00",
                                             "acme-us 2025-01 booked: booked = journal: 32.00, 32.00"));
  }
}

}  // namespace
}  // namespace tollbook
