#include "ledger/decision.h"

#include <gtest/gtest.h>

#include "ledger/anchor.h"
#include "ledger/book.h"
#include "ledger/outbox.h"
#include "tests/ledger/damage.h"
#include "tests/ledger/scratch_directory.h"

namespace tollbook {
namespace {

Decision Approve() {
  return {DecisionKind::kApproval, "acme-us-USD-2025-01-0001", "Ann", "it ties", "held", "approved"};
}

Decision Deliver(std::string document) {
  return {DecisionKind::kDelivery, "erp acme-us-USD-2025-01-0001", "", std::move(document), "", "confirmed"};
}

class DecisionTest : public testing::Test {
 protected:
  std::unique_ptr<Book> Open() {
    BookOptions options;
    options.directory = directory_.path() + "/book";
    options.create = true;
    options.identity = {kFormatVersion, "demo", "UTC", {1, 2}};
    options.now_nanos = [this] { return now_nanos_; };
    absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(options);
    EXPECT_TRUE(book.ok()) << book.status();
    return *std::move(book);
  }
  // A seal of one batch, held.
  static SealCommit HoldingSeal(Book& book) {
    SealCommit seal;
    seal.record.number = book.next_seal();
    seal.record.held = {{0, "first of 2025-01"}};
    JournalBatch batch;
    batch.id = "acme-us-USD-2025-01-0001";
    batch.seal = seal.record.number;
    batch.entity = "acme-us";
    batch.accounting_period = "2025-01";
    batch.currency = *Currency::FromCode("USD");
    batch.posting_key = "tb-1";
    batch.lines = {{1, {"acme-us", batch.currency, "2025-01", {20'089}, "api", "1200", "4000", ""}, 120, 1}};
    seal.batches.push_back(batch);
    return seal;
  }
  ScratchDirectory directory_;
  int64_t now_nanos_ = 0;
};

TEST_F(DecisionTest, ComesBackAsItWas) {
  const DecisionCommit commit{7, {Approve(), Deliver("as P17")}};
  const absl::StatusOr<DecisionCommit> back = DecodeDecisionCommit(Encode(commit));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, commit);
  TryDamage(Encode(commit), [](std::string_view stored) { return DecodeDecisionCommit(stored).ok(); });
}

TEST_F(DecisionTest, ATargetIsPausedUntilItIsResumed) {
  const std::unique_ptr<Book> book = Open();
  const auto decide = [&](const char* target, const char* by, std::string_view after) {
    const Decision decision{DecisionKind::kTarget, target, by, "their maintenance", "", std::string(after)};
    ASSERT_TRUE(CommitDecisions(*book, {&decision, 1}).ok());
  };
  EXPECT_TRUE(PausedTargets(*book)->empty());
  decide("erp", "Ann", kPaused);
  now_nanos_ = 1'738'317'600'500'000'000;
  decide("hook", "Ben", kPaused);
  now_nanos_ += 1'000'000'000;
  decide("erp", "Ann", kDelivering);
  const auto paused = *PausedTargets(*book);
  ASSERT_EQ(paused.size(), 1u);
  EXPECT_EQ(paused.at("hook"), (Pause{"Ben", "their maintenance", 1'738'317'600'500'000'000}));
  EXPECT_EQ(ToString(paused.at("hook")), "by Ben since 2025-01-31T10:00:00Z: their maintenance");
}

TEST_F(DecisionTest, IsACommitOfTheChain) {
  {
    const std::unique_ptr<Book> book = Open();
    ASSERT_TRUE(book->CommitSeal(HoldingSeal(*book)).ok());
    EXPECT_EQ(Approvals(*book)->at("acme-us-USD-2025-01-0001").state, kHeldForApproval);
    const PlannedDelivery planned{"erp", "acme-us-USD-2025-01-0001", "tb-1", "body"};
    ASSERT_TRUE(OutboxOf(*book).Plan({&planned, 1}).ok());
    Delivery delivery = OutboxOf(*book).Deliveries()->front();
    DeliveryStep step;
    step.event = DeliveryEvent::kSayPosted;
    ASSERT_TRUE(OutboxOf(*book).Step(step, &delivery).ok());
    ASSERT_TRUE(CommitDecisions(*book, std::vector<Decision>{Approve(), Deliver("as P17")}).ok());
    EXPECT_EQ(book->last_sequence(), 2u);
  }
  const std::unique_ptr<Book> book = Open();
  const std::vector<DecisionCommit> commits = *Decisions(*book);
  ASSERT_EQ(commits.size(), 1u);
  EXPECT_EQ(commits[0].sequence, 2u);
  EXPECT_EQ(commits[0].decisions, (std::vector<Decision>{Approve(), Deliver("as P17")}));
  const Approval approval = Approvals(*book)->at("acme-us-USD-2025-01-0001");
  EXPECT_EQ(approval.state, kApproved);
  EXPECT_EQ(approval.held_because, "first of 2025-01");
  EXPECT_EQ(approval.by + ": " + approval.why, "Ann: it ties");
  for (const Book::Check& check : book->CheckStore()) EXPECT_TRUE(check.holds) << check.name << ": " << check.detail;
}

// The same commits have the same anchor; another word in one of them, another.
TEST_F(DecisionTest, AnchorsCoverWhatWasStored) {
  const std::unique_ptr<Book> book = Open();
  ASSERT_TRUE(book->CommitSeal(HoldingSeal(*book)).ok());
  const Anchor of_one = *AnchorOf(*book);
  ASSERT_TRUE(CommitDecisions(*book, std::vector<Decision>{Approve()}).ok());
  const Anchor of_two = *AnchorOf(*book);
  EXPECT_NE(of_one.hash, of_two.hash);
  EXPECT_EQ(*AnchorOf(*book, 1), of_one) << "as the book was then";
  EXPECT_EQ(ParseAnchor(ToString(of_two)), of_two);
  EXPECT_TRUE(absl::IsOutOfRange(AnchorOf(*book, 3).status())) << "a book that was cut";

  ScratchDirectory other;
  BookOptions options;
  options.directory = other.path() + "/book";
  options.create = true;
  options.identity = {kFormatVersion, "demo", "UTC", {1, 2}};
  const std::unique_ptr<Book> forged = *Book::Open(options);
  ASSERT_TRUE(forged->CommitSeal(HoldingSeal(*forged)).ok());
  EXPECT_EQ(*AnchorOf(*forged), of_one);
  Decision by_bob = Approve();
  by_bob.by = "Bob";
  ASSERT_TRUE(CommitDecisions(*forged, std::vector<Decision>{by_bob}).ok());
  EXPECT_NE(*AnchorOf(*forged), of_two);
}

TEST(ParseAnchor, RefusesOtherTexts) {
  const std::string hash(64, 'a');
  EXPECT_TRUE(ParseAnchor("12:" + hash).has_value());
  EXPECT_EQ(ParseAnchor("12:" + std::string(64, 'A')), ParseAnchor("12:" + hash));
  const std::vector<std::string> others = {"",
                                           hash,
                                           ":" + hash,
                                           "12:",
                                           "12 " + hash,
                                           "x:" + hash,
                                           "12:" + hash + "a",
                                           "12:" + std::string(64, 'G'),
                                           "12:" + std::string(63, 'a')};
  for (const std::string& text : others) {
    EXPECT_FALSE(ParseAnchor(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace tollbook
