// What the chain of commits tells of a book, event by event.
#include "pipeline/emit/book_event.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ledger/decision.h"
#include "ledger/delivery.h"
#include "tests/ledger/scratch_directory.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int64_t kStart = 20'089 * 86'400ll * 1'000'000'000;  // 2025-01-01T00:00:00Z

class BookEventTest : public testing::Test {
 protected:
  BookEventTest() {
    target_.name = "hook";
    target_.kind = TargetKind::kWebhook;
    target_.journal_posted = target_.journal_failed = target_.exception_raised = target_.period_closed = true;
    BookOptions options;
    options.directory = directory_.path() + "/book";
    options.create = true;
    options.identity = {kFormatVersion, "demo", "UTC", {1, 2}};
    options.now_nanos = [] { return kStart; };
    absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(options);
    EXPECT_TRUE(book.ok()) << book.status();
    book_ = *std::move(book);
    batches_ = {{"us-1", BatchOf("us-1", "us", "2025-01")}, {"eu-1", BatchOf("eu-1", "eu", "2025-02")}};
  }

  static JournalBatch BatchOf(const std::string& id, const std::string& entity, const std::string& period) {
    JournalBatch batch;
    batch.id = id;
    batch.entity = entity;
    batch.accounting_period = period;
    batch.posting_key = "tb-" + id;
    batch.currency = *Currency::FromCode("USD");
    return batch;
  }

  void Absorb(uint64_t accepted, uint64_t held, uint64_t conflict, uint64_t rejected) {
    EpochCommit epoch;
    epoch.delta = {accepted + held + conflict + rejected, accepted, 0, conflict, held, rejected};
    ASSERT_TRUE(book_->CommitEpoch(epoch).ok());
  }
  void Close(const std::string& entity, const std::string& period, PeriodState after) {
    PeriodChange change;
    change.entity = entity;
    change.period = {period, {20'089}, {20'119}};
    change.before = after == PeriodState::kClosed ? PeriodState::kOpen : PeriodState::kClosed;
    change.after = after;
    change.by = "Ann";
    change.why = "the \"month\" is over";
    ASSERT_TRUE(book_->CommitPeriodChange(change).ok());
  }
  void Hand(const std::string& which, DeliveryState after, const std::string& why, const std::string& by = "") {
    const Decision decision{DecisionKind::kDelivery, which, by, why, "", std::string(Word(after))};
    ASSERT_TRUE(CommitDecisions(*book_, {&decision, 1}).ok());
  }

  std::vector<BookEvent> Events(uint64_t after = 0) const {
    const absl::StatusOr<std::vector<BookEvent>> events = EventsOf(*book_, target_, batches_, after);
    EXPECT_TRUE(events.ok()) << events.status();
    return events.ok() ? *events : std::vector<BookEvent>();
  }
  std::vector<std::string> Told(uint64_t after = 0) const {
    std::vector<std::string> told;
    for (const BookEvent& event : Events(after)) {
      told.push_back(std::to_string(event.commit) + " " + event.type + " " + event.subject);
    }
    return told;
  }

  ScratchDirectory directory_;
  std::unique_ptr<Book> book_;
  Target target_;
  std::map<std::string, JournalBatch, std::less<>> batches_;
};

TEST_F(BookEventTest, EachKindInTheOrderOfCommits) {
  Absorb(5, 1, 2, 3);                                                     // 1
  Hand("erp us-1", DeliveryState::kUncertain, "no answer came");          // 2: not its end
  Hand("erp us-1", DeliveryState::kConfirmed, "as P17");                  // 3
  Hand("erp eu-1", DeliveryState::kParked, "account 4000 is not there");  // 4
  Close("us", "2025-01", PeriodState::kClosed);                           // 5
  Close("us", "2025-01", PeriodState::kOpen);                             // 6: nobody asked for that
  Hand("erp eu-1", DeliveryState::kConfirmed, "seen there", "Bob");       // 7
  EXPECT_THAT(Told(), ElementsAre("1 exception.raised commit 1", "3 journal.posted us-1", "4 journal.failed eu-1",
                                  "5 period.closed us 2025-01", "7 journal.posted eu-1"));
  EXPECT_THAT(Told(4), ElementsAre("5 period.closed us 2025-01", "7 journal.posted eu-1"));
  EXPECT_THAT(Told(7), IsEmpty());
  EXPECT_EQ(Events(), Events()) << "the same each time, and so under the same keys";
}

TEST_F(BookEventTest, SaysWhatItIsAbout) {
  Absorb(5, 1, 2, 3);
  Hand("erp us-1", DeliveryState::kConfirmed, "as P17");
  Hand("erp eu-1", DeliveryState::kParked, "account 4000 is not there");
  Close("us", "2025-01", PeriodState::kClosed);
  Hand("erp eu-1", DeliveryState::kConfirmed, "seen there", "Bob");
  const std::string at = R"("at":"2025-01-01T00:00:00Z",)";
  const std::string us = R"("entity":"us","accounting_period":"2025-01",)";
  const std::string eu = R"("batch_id":"eu-1","posting_key":"tb-eu-1","entity":"eu","accounting_period":"2025-02",)";
  const std::vector<std::string> data = {
      R"({"commit":1,)" + at + R"("held":1,"conflict":2,"rejected":3})",
      R"({"commit":2,)" + at + R"("target":"erp","batch_id":"us-1","posting_key":"tb-us-1",)" + us +
          R"("currency":"USD","document":"P17"})",
      R"({"commit":3,)" + at + R"("target":"erp",)" + eu + R"("currency":"USD","error":"account 4000 is not there"})",
      R"({"commit":4,)" + at + us + R"("first_day":"2025-01-01","last_day":"2025-01-31","by":"Ann",)" +
          R"("why":"the \"month\" is over"})",
      R"({"commit":5,)" + at + R"("target":"erp",)" + eu + R"("currency":"USD","by":"Bob","why":"seen there"})",
  };
  std::vector<std::string> said;
  for (const BookEvent& event : Events()) said.push_back(event.data);
  EXPECT_EQ(said, data);
}

TEST_F(BookEventTest, LinesThatAreHeldAgainAreNoNews) {
  Absorb(0, 3, 0, 0);
  EpochCommit retry;  // one of the three has its meter now
  retry.delta = {0, 1, 0, 0, static_cast<uint64_t>(-1), 0};
  retry.retires_held = true;
  ASSERT_TRUE(book_->CommitEpoch(retry).ok());
  Absorb(4, 0, 0, 0);
  EXPECT_THAT(Told(), ElementsAre("1 exception.raised commit 1"));
}

TEST_F(BookEventTest, OnlyWhatItAskedForAndWhatConcernsIt) {
  Absorb(0, 0, 0, 1);
  Hand("erp us-1", DeliveryState::kConfirmed, "as P1");
  Hand("erp eu-1", DeliveryState::kConfirmed, "as P2");
  Hand("hook us-1", DeliveryState::kConfirmed, "as HTTP 200");               // its own: it knows
  Hand("billing usage:0001-001", DeliveryState::kConfirmed, "as told");      // no batch
  Hand("other event:000001-001", DeliveryState::kConfirmed, "as HTTP 200");  // or events about events would not end
  EXPECT_THAT(Told(), ElementsAre("1 exception.raised commit 1", "2 journal.posted us-1", "3 journal.posted eu-1"));
  target_.exception_raised = false;
  target_.entities = {"eu"};
  EXPECT_THAT(Told(), ElementsAre("3 journal.posted eu-1"));
  target_.entities = {};
  target_.from = "2025-02";
  EXPECT_THAT(Told(), ElementsAre("3 journal.posted eu-1"));
  target_.journal_posted = false;
  EXPECT_THAT(Told(), IsEmpty());
}

}  // namespace
}  // namespace tollbook
