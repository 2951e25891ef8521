// Verify finds what is not as the laws say: here amounts that the catalog does not give.
#include "pipeline/verify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "ledger/anchor.h"
#include "ledger/purge.h"
#include "pipeline/audit.h"
#include "pipeline/charges.h"
#include "pipeline/seal.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/small_book.h"

namespace tollbook {
namespace {

CatalogTexts OneCharge() {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", ""}};
  CatalogTexts::Meter meter;
  meter.name = meter.event_type = "calls";
  meter.aggregation = "sum";
  meter.value = "value";
  texts.meters = {meter};
  texts.plans = {{"starter", "USD"}};
  CatalogTexts::Charge charge;
  charge.plan = "starter";
  charge.name = charge.meter = charge.product = "calls";
  charge.model = "per_unit";
  charge.price = "0.10";
  texts.charges = {charge};
  texts.postings = {{"calls", "acme-us", "1200", "4000"}};
  texts.subscriptions = {{"s1", "starter", "acme-us", "USD", "2025-01-01", "", "", ""}};
  return texts;
}

class VerifyTest : public testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<Catalog> parsed = Parse(OneCharge());
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    catalog_ = *std::move(parsed);
    EventText event;
    event.id = "e1";
    event.type = "calls";
    event.subject = "s1";
    event.time = "2025-01-02T12:00:00Z";
    event.value = "7";
    const InputList inputs = Inputs({book_.Write("usage.ndjson", ToJson(event))});
    ASSERT_TRUE(Absorb(*book_, catalog_, inputs, {}).ok());
  }
  void SealIt() {
    const absl::StatusOr<SealReport> sealed = Seal(*book_, catalog_, {});
    ASSERT_TRUE(sealed.ok()) << sealed.status();
    ASSERT_EQ(sealed->differences, 1u);
  }

  Catalog catalog_;
  SmallBook book_;
};

TEST_F(VerifyTest, RightAmountsAreFine) {
  SealIt();
  EXPECT_TRUE(BrokenLaws(*book_).empty());
}

// The prices in memory are not those of the files that the seal stores: amounts no one can derive from them.
TEST_F(VerifyTest, AnAmountThatTheCatalogDoesNotGiveIsFound) {
  catalog_.plans.at(0).charges.at(0).pricing.unit_price.attos *= 3;
  SealIt();
  EXPECT_EQ(BrokenLaws(*book_),
            (std::vector<std::string>{"law 3, booked = worth: s1 calls on 2025-01-02 differs by -1.40"}));
}

TEST_F(VerifyTest, AnAmountRoundedAnotherWayIsFound) {
  catalog_.plans.at(0).charges.at(0).pricing.unit_price.attos = kOneUnit / 10 + kOneUnit / 10'000;  // 0.7007
  catalog_.book.rounding = Rounding::kUp;
  SealIt();
  EXPECT_EQ(BrokenLaws(*book_),
            (std::vector<std::string>{"law 3, booked = worth: s1 calls on 2025-01-02 differs by -0.01"}));
}

// s1 is on a plan by which it is worth more than can be held. s2 has the seal made that sets it aside.
TEST_F(VerifyTest, ASubjectThatWasSetAsideIsNamedWithWhyAndWhatToDo) {
  SealIt();
  CatalogTexts texts = OneCharge();
  texts.plans.push_back({"dear", "USD"});
  texts.charges.push_back(texts.charges.front());
  texts.charges.back().plan = "dear";
  texts.charges.back().price = "10000000000000000";
  texts.subscriptions = {{"s1", "dear", "acme-us", "USD", "2025-01-01", "", "", ""},
                         {"s2", "starter", "acme-us", "USD", "2025-01-01", "", "", ""}};
  catalog_ = *Parse(texts);
  const std::string usage = ToJson({"e2", "gateway", "calls", "s1", "2025-01-03T12:00:00Z", "999999999999999", {}}) +
                            "\n" + ToJson({"e3", "gateway", "calls", "s2", "2025-01-03T12:00:00Z", "5", {}}) + "\n";
  ASSERT_TRUE(Absorb(*book_, catalog_, Inputs({book_.Write("huge.ndjson", usage)}), {}).ok());
  SealIt();
  for (const bool deep : {false, true}) {
    const std::vector<LawCheck> checks = Verify(*book_, 1, {deep});
    const auto law = std::ranges::find(checks, 3, &LawCheck::law);
    ASSERT_NE(law, checks.end());
    EXPECT_TRUE(law->holds);
    EXPECT_EQ(law->detail, "1 charges as of seal 2; but for 1 subject set aside, whose worth cannot be held");
    EXPECT_TRUE(law->unlike.empty());
    EXPECT_EQ(
        law->not_rated,
        (std::vector<std::string>{
            "the worth of the period does not fit: subscription s1, charge calls, plans.yaml:5, billing period "
            "2025-01-01 to 2025-02-01, quantity 1000000000000006: check the charge's prices and the meter's unit"}));
    EXPECT_EQ(law->not_rated, Seal(*book_, catalog_, {})->not_rated);
    std::vector<std::string> of_charges;
    ASSERT_TRUE(Charges(*book_, catalog_, {}, 1, &of_charges).ok());
    EXPECT_EQ(law->not_rated, of_charges);
  }
}

TEST_F(VerifyTest, APurgeIsToldAndAnAnchorOfBeforeItIsNotVouchedFor) {
  ASSERT_TRUE(Absorb(*book_, catalog_, Inputs({book_.Write("more.ndjson", "a line of somebody's\n")}), {}).ok());
  SealIt();
  const absl::StatusOr<Anchor> before = AnchorOf(*book_);
  ASSERT_TRUE(before.ok());
  const absl::StatusOr<PurgeReport> purged = PurgePayloads(*book_, {1, {20'421}, "Ann", "policy"});
  ASSERT_TRUE(purged.ok()) << purged.status();
  EXPECT_EQ(purged->payloads, 1u);
  EXPECT_TRUE(BrokenLaws(*book_).empty());
  EXPECT_EQ(KeptExceptions(*book_).at(0).payload.substr(0, 20), "purged on 2025-11-29");

  const absl::StatusOr<AuditLog> log = Audit(*book_);
  ASSERT_TRUE(log.ok());
  EXPECT_EQ(log->rows.back().what, "purge");
  EXPECT_EQ(log->rows.back().by, "Ann");

  const absl::StatusOr<Anchor> after = AnchorOf(*book_);
  ASSERT_TRUE(after.ok());
  const std::vector<LawCheck> checks = VerifyAudit(*book_, {*before, *after});
  ASSERT_EQ(checks.size(), 3u);
  EXPECT_FALSE(checks[1].holds);
  EXPECT_EQ(checks[1].detail.substr(0, 56), "commit 4 purged payloads that it vouches for: it cannot ");
  EXPECT_TRUE(checks[2].holds);
}

// No law is broken by it, and nothing that is booked; who reads the log by its times is told.
TEST(VerifyAuditTest, SaysWhereAClockWasPutBack) {
  SmallBook book;
  const auto commit = [&](const char* day) {
    book.SetNow("UTC", *ParseDay(day));
    ASSERT_TRUE(book->CommitEpoch({}).ok());
  };
  const auto remark = [&] {
    const std::vector<LawCheck> checks = VerifyAudit(*book, {});
    EXPECT_TRUE(checks.at(0).holds);
    const size_t at = checks[0].detail.find(';', checks[0].detail.find("its anchor"));
    return at == std::string::npos ? "" : checks[0].detail.substr(at);
  };
  commit("2025-03-01");
  commit("2025-03-02");
  EXPECT_EQ(remark(), "");
  commit("2025-02-01");
  EXPECT_EQ(remark(), "; commit 3 is dated before the one before it: a clock was put back");
  commit("2025-03-01");
  commit("2025-01-01");
  EXPECT_EQ(remark(), "; commit 3 is dated before the one before it, and so are 1 more: a clock was put back");
}

}  // namespace
}  // namespace tollbook
