// What scenarios cannot say of accounting periods: who and why, the lists, the audit log, and what a broken book shows.
#include "pipeline/change_period.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/audit.h"
#include "pipeline/posting_periods.h"
#include "pipeline/seal.h"
#include "pipeline/verify.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/small_book.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

CatalogTexts Texts(const std::string& policy) {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", "", policy}};
  CatalogTexts::Meter meter;
  meter.name = "api.calls";
  meter.aggregation = "sum";
  meter.value = "value";
  texts.meters = {meter};
  texts.plans = {{"starter", "USD"}};
  CatalogTexts::Charge charge;
  charge.plan = "starter";
  charge.name = "calls";
  charge.meter = "api.calls";
  charge.product = "api";
  charge.model = "per_unit";
  charge.price = "1";
  texts.charges = {charge};
  texts.postings = {{"", "", "1200", "4000"}};
  texts.subscriptions = {{"s1", "starter", "acme-us", "USD", "2025-01-01", "", "", ""}};
  return texts;
}

class ChangePeriodTest : public testing::Test {
 protected:
  explicit ChangePeriodTest(const std::string& policy = "late_usage: refuse") : catalog_(*Parse(Texts(policy))) {}

  void Use(const std::string& id, const std::string& value, const std::string& time) {
    const std::string line =
        ToJson({.id = id, .type = "api.calls", .subject = "s1", .time = time, .value = value, .labels = {}}) + "\n";
    ASSERT_TRUE(Absorb(*book_, catalog_, Inputs({book_.Write(id + ".ndjson", line)}), {}).ok());
  }
  SealReport Sealed() { return *Seal(*book_, catalog_, {1, std::nullopt}); }
  absl::StatusOr<PeriodChange> Change(PeriodAction action, std::vector<std::string> waive = {}) {
    return ChangePeriod(*book_, catalog_, {action, "acme-us", "2025-01", "Ann", "the month is done", waive}, 1);
  }
  // Sealed, and closed.
  void CloseJanuary() {
    Use("k1", "4", "2025-01-20T00:00:00Z");
    ASSERT_EQ(Sealed().batches.size(), 1u);
    ASSERT_TRUE(Change(PeriodAction::kClose).ok());
  }

  SmallBook book_;
  const Catalog catalog_;
};

TEST_F(ChangePeriodTest, NobodyAndNothingAreNoNameAndNoReason) {
  PeriodOrder order{PeriodAction::kClose, "acme-us", "2025-01", "", "the month is done", {}};
  EXPECT_THAT(std::string(Std(ChangePeriod(*book_, catalog_, order, 1).status().message())),
              HasSubstr("nobody is named: --by"));
  order.by = "Ann";
  order.why = "";
  EXPECT_THAT(std::string(Std(ChangePeriod(*book_, catalog_, order, 1).status().message())),
              HasSubstr("no reason is given: --why"));
  EXPECT_EQ(book_->last_sequence(), 0u) << "nothing was written";
}

TEST_F(ChangePeriodTest, ARefusalWritesNothingAndTellsTheCommandThatMendsIt) {
  Use("k1", "4", "2025-01-20T00:00:00Z");
  const uint64_t before = book_->last_sequence();
  const absl::Status refused = Change(PeriodAction::kClose).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_EQ(std::string(Std(refused.message())),
            "acme-us 2025-01 cannot be closed: unsealed: 1 difference, 4.00 USD: seal them with `tollbook seal "
            "--through 2025-01-31`");
  EXPECT_EQ(book_->last_sequence(), before);
}

TEST_F(ChangePeriodTest, TheListShowsStateChangeAndWhatWaits) {
  CloseJanuary();
  Use("k2", "2", "2025-01-21T00:00:00Z");
  Use("k3", "8", "2025-02-21T00:00:00Z");
  const SealReport sealed = Sealed();
  ASSERT_EQ(sealed.waiting.size(), 1u);
  EXPECT_EQ(ToString(sealed.waiting[0].sum, sealed.waiting[0].currency), "1 difference, 2.00 USD");
  std::vector<std::string> rows;
  const absl::StatusOr<std::vector<PeriodRow>> listed = Periods(*book_, catalog_, 1);
  ASSERT_TRUE(listed.ok()) << listed.status();
  for (const PeriodRow& row : *listed) {
    rows.push_back(row.entity + " " + row.period.name + " " + std::string(ToString(row.state)) + " " +
                   std::to_string(row.batches) + " " + (row.last_change ? row.last_change->by : "-") + " " +
                   std::to_string(row.waiting.size()));
  }
  EXPECT_THAT(rows, ElementsAre("acme-us 2025-01 closed 1 Ann 1", "acme-us 2025-02 open 1 - 0"));
}

TEST_F(ChangePeriodTest, TheAuditLogTellsWhatWasDecidedInOrder) {
  CloseJanuary();
  ASSERT_TRUE(Change(PeriodAction::kReopen).ok());
  Use("k2", "2", "2025-01-21T00:00:00Z");
  ASSERT_TRUE(Change(PeriodAction::kSoftClose).ok());
  ASSERT_TRUE(Seal(*book_, catalog_, {1, std::nullopt, "Bea", "an accrual"}).ok());
  std::vector<std::string> rows;
  const AuditLog log = *Audit(*book_);
  for (const AuditRow& row : log.rows) {
    const std::string after = row.what == "catalog" ? std::string() : row.after;
    rows.push_back(std::to_string(row.commit) + " " + row.what + " " + row.which + " " + row.by + "|" + row.before +
                   "|" + after);
  }
  EXPECT_THAT(rows, ElementsAre("2 catalog seal 1 ||", "2 seal seal 1 ||1 difference in 1 batch",
                                "3 period acme-us 2025-01 Ann|open|closed", "4 period acme-us 2025-01 Ann|closed|open",
                                "6 period acme-us 2025-01 Ann|open|soft_closed",
                                "7 adjusting seal seal 2 Bea||1 difference in 1 batch"));
  EXPECT_EQ(log.commits, 7u);
  EXPECT_EQ(log.chain_hash, ToHex(book_->Commits()->back().hash));
}

LawCheck CheckOf(const Book& book, int law) {
  for (LawCheck& check : Verify(book, 1)) {
    if (check.law == law) return check;
  }
  return {};
}

TEST_F(ChangePeriodTest, VerifySaysWhatWaits) {
  CloseJanuary();
  Use("k2", "2", "2025-01-21T00:00:00Z");
  Use("k3", "8", "2025-02-21T00:00:00Z");
  ASSERT_EQ(Sealed().batches.size(), 1u);
  EXPECT_TRUE(CheckOf(*book_, 3).holds);
  EXPECT_EQ(CheckOf(*book_, 3).detail,
            "2 charges as of seal 2; but for what waits, as acme-us 2025-01 was closed: 1 difference, 2.00 USD");
  EXPECT_TRUE(CheckOf(*book_, 8).holds);
  EXPECT_EQ(CheckOf(*book_, 8).detail, "1 changes of periods, 2 batches");
  // Opened again, and not sealed since: the law is of what the newest seal saw.
  ASSERT_TRUE(Change(PeriodAction::kReopen).ok());
  EXPECT_TRUE(CheckOf(*book_, 3).holds);
}

// A batch in a period that was closed before its seal: no flow of ours makes one.
TEST_F(ChangePeriodTest, VerifyFindsABatchInAClosedPeriod) {
  CloseJanuary();
  SealCommit seal;
  seal.record.number = book_->next_seal();
  seal.record.catalog_digest = catalog_.digest;
  seal.catalog_files = catalog_.files();
  const LineKey key{"acme-us", *Currency::FromCode("USD"), "2025-01", {20'110}, "api", "1200", "4000", ""};
  seal.batches = Summarise({{key, {100, 1}}}, book_->identity().name, seal.record.number).batches;
  ASSERT_TRUE(book_->CommitSeal(seal).ok());
  EXPECT_FALSE(CheckOf(*book_, 8).holds);
  EXPECT_EQ(CheckOf(*book_, 8).detail, "acme-us-USD-2025-01-0002 was booked when its period was closed");
}

// An amount that is neither booked nor waits for a period is still found.
TEST_F(ChangePeriodTest, VerifyStillFindsAWrongAmount) {
  CloseJanuary();
  Use("k2", "2", "2025-02-21T00:00:00Z");
  SealCommit seal;
  seal.record.number = book_->next_seal();
  seal.record.catalog_digest = catalog_.digest;
  seal.catalog_files = catalog_.files();
  ASSERT_TRUE(book_->CommitSeal(seal).ok());
  EXPECT_FALSE(CheckOf(*book_, 3).holds);
}

}  // namespace
}  // namespace tollbook
