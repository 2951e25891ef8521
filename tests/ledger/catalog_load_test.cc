#include "ledger/catalog_load.h"

#include <gtest/gtest.h>

#include "ledger/anchor.h"
#include "ledger/book.h"
#include "ledger/decision.h"
#include "tests/ledger/damage.h"
#include "tests/ledger/scratch_directory.h"

namespace tollbook {
namespace {

CatalogLoad Load(std::string after, std::string by = "ann") {
  return {0, std::move(by), "absorb", "prices", "", std::move(after)};
}

class CatalogLoadTest : public testing::Test {
 protected:
  CatalogLoadTest() : book_(Open(directory_)) {}

  static std::unique_ptr<Book> Open(const ScratchDirectory& directory) {
    BookOptions options;
    options.directory = directory.path() + "/book";
    options.create = true;
    options.identity = {kFormatVersion, "demo", "UTC", {1, 2}};
    absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(options);
    EXPECT_TRUE(book.ok()) << book.status();
    return *std::move(book);
  }

  static void Absorb(Book& book) { ASSERT_TRUE(book.CommitEpoch({}).ok()); }
  static void Seal(Book& book, const std::string& digest) {
    SealCommit seal;
    seal.record.number = book.next_seal();
    seal.record.catalog_digest = digest;
    seal.catalog_files = {{"book.yaml", "of " + digest}};
    ASSERT_TRUE(book.CommitSeal(seal).ok());
  }
  // "1 a->b": the commit, and the digests before and after.
  static std::vector<std::string> Loads(const Book& book) {
    std::vector<std::string> texts;
    const std::vector<CatalogLoad> loads = *CatalogLoads(book);
    for (const CatalogLoad& load : loads) {
      texts.push_back(std::to_string(load.sequence) + " " + load.before + "->" + load.after);
    }
    return texts;
  }
  static void ExpectSound(const Book& book) {
    for (const Book::Check& check : book.CheckStore()) EXPECT_TRUE(check.holds) << check.name << ": " << check.detail;
  }

  ScratchDirectory directory_;
  std::unique_ptr<Book> book_;
};

TEST_F(CatalogLoadTest, ComesBackAsItWas) {
  const CatalogLoad load{7, "ann", "exceptions retry", "prices/2025", "old", "new"};
  const absl::StatusOr<CatalogLoad> back = DecodeCatalogLoad(Encode(load));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, load);
  TryDamage(Encode(load), [](std::string_view stored) { return DecodeCatalogLoad(stored).ok(); });
}

// It is in the commit of what changed, whatever that is; another catalog is one, the same again is none.
TEST_F(CatalogLoadTest, StandsInTheNextCommit) {
  ASSERT_TRUE(NoteCatalogLoad(*book_, Load("a")).ok());
  EXPECT_TRUE(Loads(*book_).empty()) << "nothing was changed yet";
  Absorb(*book_);
  ASSERT_TRUE(NoteCatalogLoad(*book_, Load("a")).ok());
  Absorb(*book_);
  ASSERT_TRUE(NoteCatalogLoad(*book_, Load("b")).ok());
  const Decision decision{DecisionKind::kTarget, "erp", "Ann", "their maintenance", "", std::string(kPaused)};
  ASSERT_TRUE(CommitDecisions(*book_, {&decision, 1}).ok());
  ASSERT_TRUE(NoteCatalogLoad(*book_, Load("c")).ok());
  ASSERT_TRUE(NoteCatalogLoad(*book_, Load("b")).ok()) << "the one that is read in the end";
  Absorb(*book_);
  ASSERT_TRUE(NoteCatalogLoad(*book_, Load("c")).ok());
  Seal(*book_, "c");
  Absorb(*book_);
  EXPECT_EQ(Loads(*book_), (std::vector<std::string>{"1 ->a", "3 a->b", "5 b->c"}));
  EXPECT_EQ(Decisions(*book_)->size(), 1u);
  ExpectSound(*book_);
  book_.reset();
  book_ = Open(directory_);
  EXPECT_EQ(Loads(*book_).size(), 3u);
  ExpectSound(*book_);
}

// A seal records its catalog itself, as those of a book without any loads do.
TEST_F(CatalogLoadTest, GoesOnFromTheNewestSeal) {
  Seal(*book_, "a");
  ASSERT_TRUE(NoteCatalogLoad(*book_, Load("a")).ok());
  Absorb(*book_);
  ASSERT_TRUE(NoteCatalogLoad(*book_, Load("b")).ok());
  Absorb(*book_);
  Seal(*book_, "c");
  ASSERT_TRUE(NoteCatalogLoad(*book_, Load("b")).ok());
  Absorb(*book_);
  EXPECT_EQ(Loads(*book_), (std::vector<std::string>{"3 a->b", "4 b->b", "5 c->b"}));
}

// Nobody signs a plain seal, or a retry of what was held: whose account ran it is kept with each of them.
TEST_F(CatalogLoadTest, SaysWhoseAccountRanEachSealAndRetry) {
  ASSERT_TRUE(NoteCatalogLoad(*book_, Load("a", "ann")).ok());
  Absorb(*book_);
  Seal(*book_, "a");
  book_.reset();
  book_ = Open(directory_);
  ASSERT_TRUE(NoteCatalogLoad(*book_, Load("a", "bob")).ok());
  Absorb(*book_);
  EpochCommit retry;
  retry.retires_held = true;
  ASSERT_TRUE(book_->CommitEpoch(retry).ok());
  Seal(*book_, "a");
  std::vector<std::string> by;
  const std::vector<CatalogLoad> loads = *CatalogLoads(*book_);
  for (const CatalogLoad& load : loads) by.push_back(std::to_string(load.sequence) + " " + load.by);
  EXPECT_EQ(by, (std::vector<std::string>{"1 ann", "2 ann", "4 bob", "5 bob"}));
  ExpectSound(*book_);
}

// Nor what became of a delivery. What a person says of it is signed, and keeps no load of the same catalog.
TEST_F(CatalogLoadTest, SaysWhoseAccountDelivered) {
  ASSERT_TRUE(NoteCatalogLoad(*book_, Load("a", "ann")).ok());
  Absorb(*book_);
  const Decision told{DecisionKind::kDelivery, "erp B1", "", "as P17", "pending", "confirmed"};
  ASSERT_TRUE(CommitDecisions(*book_, {&told, 1}).ok());
  const Decision said{DecisionKind::kDelivery, "erp B2", "Bea", "seen there", "parked", "confirmed"};
  ASSERT_TRUE(CommitDecisions(*book_, {&said, 1}).ok());
  ASSERT_TRUE(CommitDecisions(*book_, std::vector<Decision>{said, told}).ok());
  std::vector<std::string> by;
  const std::vector<CatalogLoad> loads = *CatalogLoads(*book_);
  for (const CatalogLoad& load : loads) by.push_back(std::to_string(load.sequence) + " " + load.by);
  EXPECT_EQ(by, (std::vector<std::string>{"1 ann", "2 ann", "4 ann"}));
  for (const Book::Check& check : book_->CheckStore()) {
    if (check.name == "chain of commits") EXPECT_TRUE(check.holds) << check.detail;  // there are no such deliveries
  }
}

// Unless somebody decides it: that is kept with the retry and its seal, and with nothing else of the process.
TEST_F(CatalogLoadTest, SaysWhoDecidedARetryAndItsSeal) {
  CatalogLoad load = Load("a", "ann");
  load.decided_by = "Bea";
  load.decided_why = "the meter is there";
  const absl::StatusOr<CatalogLoad> back = DecodeCatalogLoad(Encode(load));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, load);
  // Cut right before the two texts it is one that nobody decided; the chain tells them apart.
  TryDamage(Encode(load), [](std::string_view stored) {
    const absl::StatusOr<CatalogLoad> read = DecodeCatalogLoad(stored);
    return read.ok() && !read->decided_by.empty();
  });
  ASSERT_TRUE(NoteCatalogLoad(*book_, load).ok());
  Absorb(*book_);
  EpochCommit retry;
  retry.retires_held = true;
  ASSERT_TRUE(book_->CommitEpoch(retry).ok());
  Seal(*book_, "a");
  std::vector<std::string> decided;
  const std::vector<CatalogLoad> loads = *CatalogLoads(*book_);
  for (const CatalogLoad& kept : loads)
    decided.push_back(std::to_string(kept.sequence) + " " + kept.decided_by + ": " + kept.decided_why);
  EXPECT_EQ(decided, (std::vector<std::string>{"1 : ", "2 Bea: the meter is there", "3 Bea: the meter is there"}));
  ExpectSound(*book_);
}

// Corrections that were held are tried again by an absorb, too, which nobody has decided.
TEST_F(CatalogLoadTest, SaysWhoDecidedARetryOfCorrections) {
  EpochCommit corrections;
  corrections.retires_corrections = true;
  ASSERT_TRUE(NoteCatalogLoad(*book_, Load("a", "ann")).ok());
  Absorb(*book_);
  ASSERT_TRUE(book_->CommitEpoch(corrections).ok());  // of the absorb
  CatalogLoad load = Load("a", "bob");
  load.command = kRetryCommand;
  ASSERT_TRUE(NoteCatalogLoad(*book_, load).ok());
  ASSERT_TRUE(book_->CommitEpoch(corrections).ok());
  load.decided_by = "Bea";
  load.decided_why = "the source is back";
  ASSERT_TRUE(NoteCatalogLoad(*book_, load).ok());
  ASSERT_TRUE(book_->CommitEpoch(corrections).ok());
  load.after = "b";
  ASSERT_TRUE(NoteCatalogLoad(*book_, load).ok());
  ASSERT_TRUE(book_->CommitEpoch(corrections).ok());
  std::vector<std::string> decided;
  const std::vector<CatalogLoad> loads = *CatalogLoads(*book_);
  for (const CatalogLoad& kept : loads) {
    decided.push_back(std::to_string(kept.sequence) + " " + kept.by + ", " + kept.decided_by + ": " + kept.decided_why);
  }
  EXPECT_EQ(decided, (std::vector<std::string>{"1 ann, : ", "3 bob, : ", "4 bob, Bea: the source is back",
                                               "5 bob, Bea: the source is back"}));
  ExpectSound(*book_);
}

// Another name in it is another book.
TEST_F(CatalogLoadTest, IsVouchedForByTheChain) {
  ScratchDirectory other;
  const std::unique_ptr<Book> forged = Open(other);
  ASSERT_TRUE(NoteCatalogLoad(*book_, Load("a", "ann")).ok());
  ASSERT_TRUE(NoteCatalogLoad(*forged, Load("a", "bob")).ok());
  Absorb(*book_);
  Absorb(*forged);
  EXPECT_NE(*AnchorOf(*book_), *AnchorOf(*forged));
  EXPECT_NE(book_->Commits()->back().body, forged->Commits()->back().body);
}

}  // namespace
}  // namespace tollbook
