// The steps of a delivery, as a table; and that the book keeps them, whatever becomes of the process.
#include "ledger/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <thread>

#include "ledger/book.h"
#include "ledger/store.h"
#include "ledger/unsettled.h"
#include "tests/ledger/clocked_book.h"

namespace tollbook {
namespace {

using testing::HasSubstr;
using State = DeliveryState;
using Event = DeliveryEvent;

// Rows: events. Columns: the state before. "-": cannot happen in it.
//   P pending, S sending, A accepted, C confirmed, U uncertain, W retry-wait, K parked, D superseded,
//   R reconciled
struct Row {
  Event event;
  const char* becomes;
};
constexpr char kLetters[] = "PSACUWKDR";
constexpr Row kTable[] = {
    //                        PSACUWKDR
    {Event::kSend, "S----S---"},          {Event::kRestarted, "-U-------"},  {Event::kAccepted, "AA--AA---"},
    {Event::kConfirmed, "CCC-CC---"},     {Event::kNotApplied, "WWA--W---"}, {Event::kUnclear, "-UA------"},
    {Event::kCannotAsk, "W-ACUW--R"},     {Event::kNotThere, "--KKP---K"},   {Event::kMayRepeat, "----P----"},
    {Event::kRefused, "KKKCKK--R"},       {Event::kDifferent, "K-KKKK--K"},  {Event::kPark, "K-K-KK---"},
    {Event::kRetry, "-----PU--"},         {Event::kSayPosted, "C-C-CCC--"},  {Event::kSayNotPosted, "---PP-P--"},
    {Event::kSaySuperseded, "D-D-DDD--"}, {Event::kOutdated, "D----DD--"},   {Event::kStillRuns, "--A-U----"},
    {Event::kNotShown, "--A------"},      {Event::kReconciled, "---R----R"},
};

TEST(Delivery, StepsAsTheTableSays) {
  ASSERT_EQ(std::size(kTable), kDeliveryEvents);
  for (const Row& row : kTable) {
    for (size_t from = 0; from < kDeliveryStates; ++from) {
      SCOPED_TRACE(std::string(Word(row.event)) + " in " + std::string(Word(static_cast<State>(from))));
      const std::optional<State> next = Next(static_cast<State>(from), row.event);
      EXPECT_EQ(next ? kLetters[static_cast<size_t>(*next)] : '-', row.becomes[from]);
    }
  }
}

// Law 7 in one sentence: what may be there is not sent again before somebody said that it is not, or that it may.
TEST(Delivery, UncertainIsLeftOnlyByAnAnswerOrAPerson) {
  for (size_t event = 0; event < kDeliveryEvents; ++event) {
    const std::optional<State> next = Next(State::kUncertain, static_cast<Event>(event));
    if (next != State::kPending) continue;
    EXPECT_THAT(static_cast<Event>(event), testing::AnyOf(Event::kNotThere, Event::kMayRepeat, Event::kSayNotPosted));
  }
  EXPECT_EQ(Next(State::kUncertain, Event::kSend), std::nullopt);
  EXPECT_EQ(Next(State::kConfirmed, Event::kSend), std::nullopt);
  EXPECT_EQ(Next(State::kReconciled, Event::kSend), std::nullopt);
}

// Whatever is wrong has somebody who acts, and something to do; what is over, or goes well, has neither.
TEST(Delivery, EachProblemSaysWhoActsAndHow) {
  for (size_t state = 0; state < kDeliveryStates; ++state) {
    for (size_t problem = 0; problem < kDeliveryProblems; ++problem) {
      const State in = static_cast<State>(state);
      SCOPED_TRACE(std::string(Word(in)) + ", " + std::string(Word(static_cast<DeliveryProblem>(problem))));
      const Remedy remedy = RemedyOf(in, static_cast<DeliveryProblem>(problem));
      const bool is_wrong = !IsFinal(in) && (in == State::kParked || problem != 0);
      EXPECT_EQ(!remedy.owner.empty(), is_wrong);
      EXPECT_EQ(!remedy.next_step.empty(), is_wrong);
      if (in == State::kParked) {
        EXPECT_NE(remedy.next_step.find("`tollbook deliveries re"), remedy.next_step.npos)
            << "it does not go on by itself";
        EXPECT_EQ(remedy.owner.find("nobody"), remedy.owner.npos);
      }
    }
  }
}

TEST(Delivery, IsStoredInTheseBytes) {
  Delivery delivery;
  delivery.target = "erp";
  delivery.batch = "b1";
  delivery.state = State::kAccepted;
  delivery.key = "k";
  delivery.body_hash.fill(0xab);
  delivery.job = "7";
  delivery.attempts = 1;
  delivery.problem = DeliveryProblem::kAmbiguous;
  delivery.last_error = "e";
  delivery.planned_at_nanos = 1;
  delivery.changed_at_nanos = 2;
  delivery.not_before_nanos = 3;
  delivery.since_nanos = 4;
  delivery.over_nanos = 5;
  delivery.polls = 2;
  delivery.may_be_there = true;
  delivery.entities = {"us"};
  delivery.first_period = "p";
  const std::string unsent = Encode(delivery);
  delivery.sent_hash.emplace().fill(0xcd);
  const std::string nowhere = Encode(delivery);
  delivery.sent_to = "p";
  const std::string bytes = Encode(delivery);
  EXPECT_EQ(ToHex(bytes), "02016b" + ToHex(delivery.body_hash) +
                              "0137"
                              "00"
                              "01"
                              "00"
                              "06"
                              "0165"
                              "02"
                              "04"
                              "06"
                              "08"
                              "0a"
                              "02"
                              "01"
                              "01027573"
                              "0170" +
                              ToHex(*delivery.sent_hash) + "0170");
  EXPECT_EQ(*DecodeDelivery("erp", "b1", bytes), delivery);
  const size_t earlier = unsent.size() - 10;  // as it was before there was more behind `not_before`
  for (size_t size = 0; size < bytes.size(); ++size) {
    if (size == earlier || size == unsent.size() || size == nowhere.size()) continue;
    EXPECT_TRUE(absl::IsDataLoss(DecodeDelivery("erp", "b1", bytes.substr(0, size)).status())) << size;
  }
  const absl::StatusOr<Delivery> of_earlier = DecodeDelivery("erp", "b1", bytes.substr(0, earlier));
  ASSERT_TRUE(of_earlier.ok());
  EXPECT_EQ(of_earlier->since_nanos, of_earlier->changed_at_nanos);
  EXPECT_FALSE(of_earlier->may_be_there) << "accepted";
  Delivery of_nowhere = delivery;
  of_nowhere.sent_to.clear();
  EXPECT_EQ(*DecodeDelivery("erp", "b1", nowhere), of_nowhere);
  Delivery of_unsent = of_nowhere;
  of_unsent.sent_hash.reset();
  EXPECT_EQ(*DecodeDelivery("erp", "b1", unsent), of_unsent);
  EXPECT_TRUE(absl::IsDataLoss(DecodeDelivery("erp", "b1", bytes + "x").status()));
}

class OutboxTest : public ClockedBookTest {
 protected:
  OutboxTest() { now_ = 100; }
  Outbox& outbox() { return OutboxOf(*book_); }
  Delivery Only() {
    const absl::StatusOr<std::vector<Delivery>> deliveries = outbox().Deliveries();
    EXPECT_TRUE(deliveries.ok()) << deliveries.status();
    EXPECT_EQ(deliveries->size(), 1u);
    return deliveries->empty() ? Delivery() : deliveries->front();
  }
  absl::Status Plan(const std::string& target, const std::string& batch, const std::string& key,
                    const std::string& body) {
    const PlannedDelivery planned{target, batch, key, body};
    return outbox().Plan({&planned, 1});
  }
};

TEST_F(OutboxTest, FindsTheOneOfThatNameAndNoneThatBeginsWithIt) {
  ASSERT_TRUE(Plan("erp", "usage:0001-1000", "tb-1", "longer").ok());
  EXPECT_FALSE(outbox().Find("erp", "usage:0001-100")->has_value());
  ASSERT_TRUE(Plan("erp", "usage:0001-100", "tb-2", "bytes").ok());
  EXPECT_EQ((*outbox().Find("erp", "usage:0001-100"))->key, "tb-2");
  EXPECT_EQ((*outbox().Find("erp", "usage:0001-1000"))->key, "tb-1");
  EXPECT_FALSE(outbox().Find("erp", "usage:0001")->has_value());
  EXPECT_FALSE(outbox().Find("er", "usage:0001-100")->has_value());
}

TEST_F(OutboxTest, KeepsKeyAndBodyBeforeAnythingIsSent) {
  ASSERT_TRUE(Plan("erp", "b1", "tb-1", "bytes").ok());
  Open();
  const Delivery planned = Only();
  EXPECT_EQ(planned.state, State::kPending);
  EXPECT_EQ(planned.key, "tb-1");
  EXPECT_EQ(planned.attempts, 0u);
  EXPECT_EQ(planned.planned_at_nanos, 100);
  EXPECT_EQ(*outbox().BodyOf(planned), "bytes");
}

TEST_F(OutboxTest, RefusesAnotherBodyUnderTheSameKey) {
  ASSERT_TRUE(Plan("erp", "b1", "tb-1", "bytes").ok());
  EXPECT_TRUE(Plan("erp", "b1", "tb-1", "bytes").ok()) << "the same again changes nothing";
  EXPECT_TRUE(absl::IsFailedPrecondition(Plan("erp", "b1", "tb-1", "other")));
  EXPECT_TRUE(absl::IsFailedPrecondition(Plan("erp", "b1", "tb-2", "bytes")));
  EXPECT_TRUE(absl::IsFailedPrecondition(Plan("erp", "b2", "tb-1", "bytes"))) << "the key is another delivery's";
  const PlannedDelivery good_and_bad[] = {{"erp", "b3", "tb-3", "x"}, {"erp", "b4", "tb-3", "y"}};
  EXPECT_TRUE(absl::IsFailedPrecondition(outbox().Plan(good_and_bad)));
  EXPECT_EQ(*outbox().BodyOf(Only()), "bytes") << "nothing of it was written";
  EXPECT_TRUE(Plan("copy", "b1", "tb-1", "another form").ok()) << "each target has keys of its own";
}

// Every step is one write that another process finds.
TEST_F(OutboxTest, KeepsEachStep) {
  ASSERT_TRUE(Plan("erp", "b1", "tb-1", "bytes").ok());
  Delivery delivery = Only();
  now_ = 200;
  ASSERT_TRUE(outbox().Step({Event::kSend}, &delivery).ok());
  EXPECT_EQ(Only().state, State::kSending) << "this process knows that it sends";
  ASSERT_TRUE(
      outbox().Step({Event::kNotApplied, DeliveryProblem::kRateLimit, "come again", "", "", 900}, &delivery).ok());
  Open();
  delivery = Only();
  EXPECT_EQ(delivery.state, State::kRetryWait);
  EXPECT_EQ(delivery.attempts, 1u);
  EXPECT_EQ(delivery.failures, 1u);
  EXPECT_EQ(delivery.problem, DeliveryProblem::kRateLimit);
  EXPECT_EQ(delivery.not_before_nanos, 900) << "a wait survives a restart";
  EXPECT_EQ(delivery.changed_at_nanos, 200);
  ASSERT_TRUE(outbox().Step({Event::kSend}, &delivery).ok());
  ASSERT_TRUE(outbox().Step({Event::kAccepted, DeliveryProblem::kNone, "", "draft 7"}, &delivery).ok());
  Open();
  EXPECT_EQ(Only().job, "draft 7");
  delivery = Only();
  ASSERT_TRUE(outbox().Step({Event::kConfirmed, DeliveryProblem::kNone, "", "", "P1"}, &delivery).ok());
  Open();
  EXPECT_EQ(Only().state, State::kConfirmed);
  EXPECT_EQ(Only().document, "P1");
  EXPECT_EQ(Only().last_error, "") << "it is over";
  EXPECT_EQ(Only().attempts, 2u);
  delivery = Only();
  EXPECT_TRUE(absl::IsFailedPrecondition(outbox().Step({Event::kSend}, &delivery))) << "it is final";
}

// Written with the decision to send, so that a crash leaves no doubt of what went under the key.
TEST_F(OutboxTest, KeepsTheHashOfWhatWasSentLast) {
  ASSERT_TRUE(Plan("erp", "b1", "tb-1", "bytes").ok());
  Delivery delivery = Only();
  EXPECT_EQ(delivery.sent_hash, std::nullopt);
  for (const char* sent : {"in one code", "in another"}) {
    DeliveryStep send{Event::kSend};
    send.sent_hash = HashOfBody(sent);
    ASSERT_TRUE(outbox().Step(send, &delivery).ok());
    Open();
    delivery = Only();
    EXPECT_EQ(delivery.state, State::kUncertain);
    EXPECT_EQ(delivery.sent_hash, HashOfBody(sent));
    ASSERT_TRUE(outbox().Step({Event::kNotThere}, &delivery).ok());
    EXPECT_EQ(Only().sent_hash, HashOfBody(sent)) << "until something else is sent";
  }
}

// From the decision to send until somebody says that it is not there: what the target says, or a person.
TEST_F(OutboxTest, KeepsWhereItWasSentUntilItIsSurelyNotThere) {
  struct Case {
    std::vector<DeliveryStep> steps;
    const char* sent_to;
  };
  DeliveryStep refused{Event::kRefused}, not_taken{Event::kRefused};
  not_taken.is_nowhere = true;
  DeliveryStep rest_not_taken = not_taken, rest_not_there{Event::kNotThere}, rest_said_missing{Event::kSayNotPosted};
  for (DeliveryStep* step : {&rest_not_taken, &rest_not_there, &rest_said_missing}) step->is_told_in_part = true;
  const Case cases[] = {
      {{}, "the first"},
      {{{Event::kUnclear}, {Event::kCannotAsk}}, "the first"},
      {{{Event::kUnclear}, {Event::kMayRepeat}}, "the first"},
      {{{Event::kUnclear}, {Event::kNotThere}}, ""},
      {{{Event::kUnclear}, {Event::kPark}, {Event::kRetry}}, "the first"},
      {{{Event::kUnclear}, {Event::kPark}, {Event::kSayNotPosted}}, ""},
      {{{Event::kAccepted}, refused}, "the first"},
      {{{Event::kAccepted}, not_taken}, ""},
      {{{Event::kConfirmed}, {Event::kReconciled}}, "the first"},
      {{{Event::kConfirmed}, {Event::kNotThere}}, ""},
      {{not_taken}, ""},
      {{rest_not_taken}, "the first"},
      {{{Event::kUnclear}, rest_not_there}, "the first"},
      {{{Event::kUnclear}, {Event::kPark}, rest_said_missing}, "the first"},
  };
  int number = 0;
  for (const Case& c : cases) {
    const std::string batch = "b" + std::to_string(++number);
    SCOPED_TRACE(batch);
    ASSERT_TRUE(Plan("erp", batch, "tb-" + batch, "bytes").ok());
    Delivery delivery = **outbox().Find("erp", batch);
    DeliveryStep send{Event::kSend};
    send.sent_hash = HashOfBody("bytes");
    send.sent_to = "the first";
    ASSERT_TRUE(outbox().Step(send, &delivery).ok());
    for (const DeliveryStep& step : c.steps) ASSERT_TRUE(outbox().Step(step, &delivery).ok());
    Open();
    EXPECT_EQ((*outbox().Find("erp", batch))->sent_to, c.sent_to);
  }
}

// Only the target's word, or a person's, ends that it may be there or is different there.
TEST_F(OutboxTest, WhatIsOpenStaysOpenUntilSomebodySays) {
  DeliveryStep down{Event::kNotApplied}, denied{Event::kRefused};
  down.earlier_unclear = denied.earlier_unclear = true;
  const DeliveryStep different{Event::kDifferent, DeliveryProblem::kDifferent};
  const DeliveryStep refused{Event::kRefused, DeliveryProblem::kValidation};
  const DeliveryStep elsewhere{Event::kRefused, DeliveryProblem::kConfiguration};
  const DeliveryStep send{Event::kSend}, unclear{Event::kUnclear}, again{Event::kMayRepeat}, retry{Event::kRetry},
      park{Event::kPark}, cannot_ask{Event::kCannotAsk, DeliveryProblem::kAvailability},
      never_shown{Event::kNotThere, DeliveryProblem::kAmbiguous},
      gone{Event::kNotThere, DeliveryProblem::kValidation};  // the target says that it has it no more
  struct Case {
    std::vector<DeliveryStep> steps;
    bool is_open;
  };
  const Case cases[] = {
      {{send, {Event::kNotApplied}}, false},
      {{send, refused}, false},
      {{send, unclear, again, send, down}, true},
      {{send, unclear, again, send, down, park}, true},
      {{send, unclear, again, send, {Event::kNotApplied}}, false},
      {{send, unclear, again, send, denied}, true},
      {{send, unclear, again, send, denied, retry, park}, true},
      {{send, unclear, again, send, refused}, false},
      {{send, unclear, again, send, down, send, {Event::kConfirmed}}, false},
      {{send, {Event::kAccepted}, unclear, {Event::kNotApplied}}, true},
      {{different}, true},
      {{different, retry}, true},
      {{different, retry, park}, true},
      {{different, retry, park, retry, park}, true},
      {{different, retry, cannot_ask, park}, true},
      {{different, retry, elsewhere}, true},
      {{different, retry, again}, true},
      {{different, retry, again, park}, true},
      {{different, retry, again, send, down}, true},
      {{different, retry, {Event::kNotThere}, park}, false},
      {{different, {Event::kSayNotPosted}, park}, false},
      {{send, refused, retry, park}, false},
      {{send, {Event::kAccepted}, {Event::kNotShown}, never_shown}, true},
      {{send, {Event::kAccepted}, never_shown, retry}, true},
      {{send, {Event::kAccepted}, never_shown, retry, {Event::kNotThere}, park}, false},
      {{send, {Event::kAccepted}, never_shown, {Event::kSayNotPosted}}, false},
      {{send, {Event::kAccepted}, never_shown, retry, {Event::kConfirmed}}, false},
      {{send, {Event::kAccepted}, gone}, false},
  };
  int number = 0;
  for (const Case& c : cases) {
    const std::string batch = "b" + std::to_string(++number);
    SCOPED_TRACE(batch);
    ASSERT_TRUE(Plan("erp", batch, "tb-" + batch, "bytes").ok());
    Delivery delivery = **outbox().Find("erp", batch);
    for (const DeliveryStep& step : c.steps) ASSERT_TRUE(outbox().Step(step, &delivery).ok());
    Open();
    delivery = **outbox().Find("erp", batch);
    EXPECT_EQ(IsUnclear(delivery) || IsDifferent(delivery), c.is_open);
  }
}

// Earlier versions kept of it no more than why it is parked: a retry, which clears that, keeps that it may be there.
TEST_F(OutboxTest, ARetryOfWhatAnEarlierVersionParkedAsUnclearStaysUnclear) {
  for (const bool is_ambiguous : {true, false}) {
    const std::string batch = is_ambiguous ? "never shown" : "refused";
    SCOPED_TRACE(batch);
    ASSERT_TRUE(Plan("erp", batch, "tb-" + batch, "bytes").ok());
    Delivery delivery = **outbox().Find("erp", batch);
    DeliveryStep parked{is_ambiguous ? Event::kNotThere : Event::kRefused, DeliveryProblem::kValidation};
    for (const DeliveryStep& step : {DeliveryStep{Event::kSend}, DeliveryStep{Event::kAccepted}, parked}) {
      ASSERT_TRUE(outbox().Step(step, &delivery).ok());
    }
    if (is_ambiguous) delivery.problem = DeliveryProblem::kAmbiguous;  // as those versions left it
    ASSERT_EQ(delivery.state, State::kParked);
    ASSERT_FALSE(delivery.may_be_there);
    ASSERT_TRUE(delivery.sent_to.empty());
    ASSERT_TRUE(outbox().Step({Event::kRetry}, &delivery).ok());
    EXPECT_EQ(delivery.may_be_there, is_ambiguous);
    Open();
    delivery = **outbox().Find("erp", batch);
    EXPECT_EQ(delivery.state, State::kUncertain);
    EXPECT_EQ(delivery.may_be_there, is_ambiguous);
    ASSERT_TRUE(outbox().Step({Event::kRefused, DeliveryProblem::kConfiguration}, &delivery).ok());
    EXPECT_EQ(delivery.may_be_there, is_ambiguous) << "of what was not asked";
    ASSERT_TRUE(outbox().Step({Event::kSayNotPosted}, &delivery).ok());
    EXPECT_FALSE(delivery.may_be_there);
  }
}

TEST_F(OutboxTest, WhatWasSendingIsUncertainAfterARestart) {
  ASSERT_TRUE(Plan("erp", "b1", "tb-1", "bytes").ok());
  Delivery delivery = Only();
  ASSERT_TRUE(outbox().Step({Event::kSend}, &delivery).ok());
  Open();
  EXPECT_EQ(Only().state, State::kUncertain);
  EXPECT_EQ(Only().problem, DeliveryProblem::kAmbiguous);
  delivery = Only();
  ASSERT_TRUE(outbox().Step({Event::kNotThere}, &delivery).ok());
  Open();
  EXPECT_EQ(Only().state, State::kPending);
}

// A child that dies without a word right after each step: the parent finds that step.
TEST_F(OutboxTest, AStepThatReturnedSurvivesTheProcess) {
  ASSERT_TRUE(Plan("erp", "b1", "tb-1", "bytes").ok());
  const std::pair<Event, State> kSteps[] = {{Event::kSend, State::kUncertain}, {Event::kConfirmed, State::kConfirmed}};
  for (const auto& [event, found] : kSteps) {
    SCOPED_TRACE(Word(event));
    book_.reset();
    const pid_t child = fork();
    if (child == 0) {
      Open();
      Delivery delivery = Only();
      _exit(outbox().Step({event}, &delivery).ok() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    Open();
    EXPECT_EQ(Only().state, found);
  }
}

TEST(Delivery, ReportsHaveNamesOfTheirOwn) {
  EXPECT_EQ(AccountReportName(3, 1), "accounts:0003-001");
  EXPECT_EQ(NumberOfAccountReport("accounts:0003-001"), 3u);
  EXPECT_EQ(NumberOfAccountReport("usage:0003-001"), std::nullopt);
  EXPECT_EQ(NumberOfAccountReport("accounts:-001"), std::nullopt);
  EXPECT_EQ(SealOfUsageReport("accounts:0003-001"), std::nullopt);
}

TEST_F(OutboxTest, AReportOfAccountsMayBeOutdated) {
  ASSERT_TRUE(Plan("crm", AccountReportName(1, 1), "tb-0", "bytes").ok());
  EXPECT_EQ(*outbox().Check({}, 0, 0), 1u);
  Delivery report = Only();
  ASSERT_TRUE(outbox().Step({Event::kOutdated}, &report).ok());
  EXPECT_EQ(Only().state, State::kSuperseded);
}

TEST_F(OutboxTest, CheckFindsWhatIsNotAsPlanned) {
  ASSERT_TRUE(Plan("erp", "b1", "tb-1", "bytes").ok());
  EXPECT_EQ(*outbox().Check({"b1"}, 0, 0), 1u);
  EXPECT_TRUE(absl::IsDataLoss(outbox().Check({"b2"}, 0, 0).status())) << "of no batch of the book";
  book_.reset();
  {
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(path(), StoreAccess::kWhole);
    ASSERT_TRUE(store.ok());
    std::unique_ptr<StoreWrite> write = (*store)->NewWrite(0);
    write->Put(Family::kJournal, "delivery_body/erp/b1", "bytez");
    ASSERT_TRUE((*store)->Write(std::move(write)).ok());
  }
  Open();
  const absl::Status damaged = outbox().BodyOf(Only()).status();
  EXPECT_TRUE(absl::IsDataLoss(damaged));
  EXPECT_THAT(std::string(Std(damaged.message())), HasSubstr("b1 to erp"));
  EXPECT_TRUE(absl::IsDataLoss(outbox().Check({"b1"}, 0, 0).status()));
}

// As when several deliveries go at a time: no step is lost, and none is another's.
TEST_F(OutboxTest, StepsOfSeveralThreadsAreAllKept) {
  constexpr int kThreads = 16, kEach = 15;
  std::vector<PlannedDelivery> planned;
  for (int i = 0; i < kThreads * kEach; ++i) {
    planned.push_back({"erp", "b" + std::to_string(i), "tb-" + std::to_string(i), "body " + std::to_string(i)});
  }
  ASSERT_TRUE(outbox().Plan(planned).ok());
  std::vector<Delivery> deliveries = *outbox().Deliveries();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = thread * kEach; i < (thread + 1) * kEach; ++i) {
        Delivery& delivery = deliveries[static_cast<size_t>(i)];
        EXPECT_EQ(*outbox().BodyOf(delivery), "body " + delivery.batch.substr(1));
        EXPECT_TRUE(outbox().Step({Event::kSend}, &delivery).ok());
        if (i % 3 == 0) continue;
        const DeliveryStep done{Event::kConfirmed, DeliveryProblem::kNone, "", "", "P-" + delivery.batch};
        EXPECT_TRUE(outbox().Step(done, &delivery).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(*outbox().Deliveries(), deliveries);
  Open();
  const std::vector<Delivery> found = *outbox().Deliveries();
  ASSERT_EQ(found.size(), deliveries.size());
  for (size_t i = 0; i < found.size(); ++i) {
    SCOPED_TRACE(found[i].batch);
    EXPECT_EQ(found[i].state, i % 3 == 0 ? State::kUncertain : State::kConfirmed);
    EXPECT_EQ(found[i].document, i % 3 == 0 ? "" : "P-" + found[i].batch);
  }
}

// What is planned of events, and up to which commit, is one write.
TEST_F(OutboxTest, KnowsUpToWhichCommitEventsArePlanned) {
  EXPECT_EQ(*outbox().EventsPlannedThrough("hook"), 0u);
  const PlannedDelivery event{"hook", EventName(3, 1), "tb-e", "{}"};
  EXPECT_EQ(event.batch, "event:000003-001");
  EXPECT_EQ(CommitOfEvent(event.batch), 3u);
  EXPECT_EQ(SealOfUsageReport(event.batch), std::nullopt);
  ASSERT_TRUE(outbox().PlanEvents({&event, 1}, {"hook", 4}).ok());
  ASSERT_TRUE(outbox().PlanEvents({}, {"other", 2}).ok());
  Open();
  EXPECT_EQ(*outbox().EventsPlannedThrough("hook"), 4u);
  EXPECT_EQ(*outbox().EventsPlannedThrough("other"), 2u);
  EXPECT_EQ(Only().batch, event.batch);
  EXPECT_EQ(*outbox().Check({}, 0, 3), 1u);
  EXPECT_TRUE(absl::IsDataLoss(outbox().Check({}, 0, 2).status())) << "of no commit of the book";
  const PlannedDelivery conflicting{"hook", EventName(5, 1), "tb-e", "{\"other\":1}"};
  EXPECT_FALSE(outbox().PlanEvents({&conflicting, 1}, {"hook", 6}).ok());
  EXPECT_EQ(*outbox().EventsPlannedThrough("hook"), 4u) << "nothing of it was written";
}

TEST_F(OutboxTest, CutsALongErrorAtACharacter) {
  ASSERT_TRUE(Plan("erp", "b1", "tb-1", "bytes").ok());
  Delivery delivery = Only();
  std::string error(kLastErrorBytes - 1, 'e');
  ASSERT_TRUE(outbox().Step({Event::kRefused, DeliveryProblem::kValidation, error + "\u00e9\u00e9"}, &delivery).ok());
  EXPECT_EQ(delivery.last_error, error);
}

}  // namespace
}  // namespace tollbook
