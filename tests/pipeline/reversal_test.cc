// What scenarios cannot say of reversals: who and why, what an auditor reads, and what a broken book shows.
#include "pipeline/reversal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/audit.h"
#include "pipeline/explain.h"
#include "pipeline/seal.h"
#include "pipeline/verify.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/small_book.h"

namespace tollbook {
namespace {

using testing::Contains;
using testing::HasSubstr;

CatalogTexts Texts() {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", "", ""}};
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

// Four dollars of the 20th of January, sealed.
class ReversalTest : public testing::Test {
 protected:
  ReversalTest() : catalog_(*Parse(Texts())) {
    const std::string line =
        ToJson({.id = "k1", .type = "api.calls", .subject = "s1", .time = "2025-01-20T00:00:00Z", .value = "4"}) + "\n";
    EXPECT_TRUE(Absorb(*book_, catalog_, Inputs({book_.Write("k1.ndjson", line)}), {}).ok());
    EXPECT_EQ(Seal(*book_, catalog_, {1, std::nullopt})->batches.size(), 1u);
  }

  absl::StatusOr<SealReport> Reverse(const std::string& by, const std::string& why) {
    SealOptions options{1, std::nullopt};
    options.reversal = ReversalOrder{"acme-us-USD-2025-01-0001", by, why};
    return Seal(*book_, catalog_, options);
  }

  SmallBook book_;
  Catalog catalog_;
};

TEST_F(ReversalTest, NeedsANameAndAReasonAndElseWritesNothing) {
  const uint64_t before = book_->last_sequence();
  EXPECT_EQ(Reverse("", "another account").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Reverse("Ann", "").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(book_->last_sequence(), before);
}

TEST_F(ReversalTest, AnAuditorReadsWhoAndWhy) {
  ASSERT_TRUE(Reverse("Ann", "another account").ok());
  std::vector<std::string> rows;
  const AuditLog log = *Audit(*book_);
  for (const AuditRow& row : log.rows) {
    rows.push_back(row.what + " " + row.which + " by " + row.by + ": " + row.why + ", " + row.before + " -> " +
                   row.after);
  }
  EXPECT_THAT(rows,
              Contains("reversal acme-us-USD-2025-01-0001 by Ann: another account, booked -> reversed by seal 2"));
}

TEST_F(ReversalTest, TheLinesOfBothExplainEachOther) {
  ASSERT_TRUE(Reverse("Ann", "another account").ok());
  const absl::StatusOr<Explanation> taken_back = Explain(*book_, "acme-us-USD-2025-01-0002-reversal/1", 10);
  ASSERT_TRUE(taken_back.ok()) << taken_back.status();
  EXPECT_EQ(taken_back->reverses, "acme-us-USD-2025-01-0001/1");
  EXPECT_EQ(taken_back->largest.at(0).why_booked_back, "acme-us-USD-2025-01-0001/1 is reversed");
  EXPECT_EQ(ToString(taken_back->largest.at(0).booked_before), "4.00");
  const absl::StatusOr<Explanation> original = Explain(*book_, "acme-us-USD-2025-01-0001/1", 10);
  ASSERT_TRUE(original.ok() && original->reversed);
  EXPECT_EQ(original->reversed->number, 2u);
  // What is booked anew is explained as if the batch had not been.
  const absl::StatusOr<Explanation> anew = Explain(*book_, "acme-us-USD-2025-01-0002/1", 10);
  ASSERT_TRUE(anew.ok()) << anew.status();
  EXPECT_EQ(ToString(anew->largest.at(0).booked_before), "0.00");
}

// One cent off: no flow of ours makes such a reversal.
TEST_F(ReversalTest, VerifyFindsAReversalOfAnotherAmount) {
  SealCommit seal;
  seal.record.number = book_->next_seal();
  seal.record.catalog_digest = catalog_.digest;
  seal.record.reverses = "acme-us-USD-2025-01-0001";
  seal.record.reversed_by = "Ann";
  seal.record.reversed_why = "another account";
  seal.catalog_files = catalog_.files();
  LineKey key = book_->Batches()->at(0).lines.at(0).key;
  key.reverses = seal.record.reverses;
  constexpr int kMinor = -399;
  seal.batches = Summarise({{key, {kMinor, 1}}}, book_->identity().name, seal.record.number).batches;
  const BookedPlace place{"starter", "calls", "api", "acme-us", key.currency, "1200", "4000", ""};
  DifferenceRunWriter differences;
  differences.BeginSubject("s1", 1);
  differences.Add({"s1", &place, {*ParseDay("2025-01-01"), *ParseDay("2025-02-01")}, key.posting_date}, kMinor, 0);
  const LineRef line{0, 1};
  seal.differences = {{0, differences.Finish({&line, 1})}};
  ASSERT_TRUE(book_->CommitSeal(seal).ok());
  EXPECT_THAT(BrokenLaws(*book_),
              Contains(HasSubstr("acme-us-USD-2025-01-0002-reversal/1 is not a line of acme-us-USD-2025-01-0001")));
}

}  // namespace
}  // namespace tollbook
