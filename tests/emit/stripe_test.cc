// Stripe after it forgot the keys: what may be there is settled by its sums, and nothing is told twice or left out.
//
// A Stripe of the test's own, which drops an identifier for 24 hours and adds up by the minute; the outbox and its
// passes are the real ones, by a clock that is moved by hand.
#include "pipeline/emit/stripe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <random>

#include "pipeline/emit/deliver.h"
#include "pipeline/emit/usage_report.h"
#include "tests/ledger/clocked_book.h"

namespace tollbook {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kDay = 86'400;
constexpr int64_t kStart = 20'089 * kDay + 12 * 3'600;  // 2025-01-01T12:00:00Z

std::string FieldOf(const std::string& form, const std::string& name) {
  const size_t at = ("&" + form).find("&" + name + "=");
  if (at == std::string::npos) return "";
  const size_t begin = at + name.size() + 1;
  return form.substr(begin, form.find('&', begin) - begin);
}

class FakeStripe {
 public:
  enum class Fault { kNone, kLost, kDropped, kBusy };  // its answer; the request; 429
  using Faults = std::function<Fault(const HttpRequest&)>;
  using Place = std::tuple<std::string, std::string, int64_t>;  // meter, customer, seconds

  explicit FakeStripe(const int64_t* now_nanos) : now_(*now_nanos) {}

  HttpAnswer Do(const HttpRequest& request) {
    const Fault fault = faults_ ? faults_(request) : Fault::kNone;
    HttpAnswer answer;
    answer.came = HttpAnswer::Came::kUnclear;
    answer.error = "no answer came";
    if (fault == Fault::kDropped) return answer;
    HttpAnswer truth;
    truth.came = HttpAnswer::Came::kAnswer;
    truth.content_type = "application/json";
    if (fault == Fault::kBusy) {
      truth.status = 429;
      return truth;
    }
    if (request.method == "GET") {
      Sum(request.url, &truth);
    } else {
      Take(std::string(request.body), &truth);
    }
    return fault == Fault::kLost ? answer : truth;
  }

  void Take(const std::string& form, HttpAnswer* answer) {
    const std::string key = FieldOf(form, "identifier");
    const auto known = taken_.find(key);
    if (known != taken_.end() && now_ - known->second < kDay * kSecond) {
      answer->status = 400;
      answer->body = "{\"error\":{\"message\":\"An event already exists with identifier " + key + ".\"}}";
      return;
    }
    twice_ += known != taken_.end() ? 1 : 0;
    taken_[key] = now_;
    const Place place(FieldOf(form, "event_name"), FieldOf(form, "payload%5Bstripe_customer_id%5D"),
                      std::stoll(FieldOf(form, "timestamp")));
    sums_[place] += std::stoll(FieldOf(form, "payload%5Bvalue%5D"));
    answer->status = 200;
    answer->body = "{\"identifier\":\"" + key + "\"}";
  }

  void Sum(const std::string& url, HttpAnswer* answer) {
    ++asked_;
    constexpr std::string_view kHead = "https://api.stripe.example/v1/billing/meters/mtr_calls/event_summaries?";
    ASSERT_TRUE(url.starts_with(kHead)) << url;
    const std::string query = url.substr(kHead.size());
    const int64_t begin = std::stoll(FieldOf(query, "start_time")), end = std::stoll(FieldOf(query, "end_time"));
    EXPECT_EQ(begin % 60, 0);
    EXPECT_EQ(end % 60, 0);
    int64_t sum = 0;
    for (const auto& [place, value] : sums_) {
      const auto& [meter, customer, seconds] = place;
      if (meter == "calls" && customer == FieldOf(query, "customer") && seconds >= begin && seconds < end) sum += value;
    }
    answer->status = 200;
    answer->body = summary_.empty() ? "{\"data\":[{\"aggregated_value\":" + std::to_string(sum) +
                                          ".0}],\"has_more\":false,\"object\":\"list\"}"
                                    : summary_;
  }

  // All that it was told.
  void Forget() {
    taken_.clear();
    sums_.clear();
  }

  Faults faults_;
  std::map<Place, int64_t> sums_;
  std::string summary_;  // what it says in place of a sum
  int asked_ = 0, twice_ = 0;

 private:
  const int64_t& now_;
  std::map<std::string, int64_t> taken_;  // identifier -> when
};

class ToFake final : public HttpClient {
 public:
  explicit ToFake(FakeStripe* fake) : fake_(*fake) {}
  HttpAnswer Do(const HttpRequest& request) override { return fake_.Do(request); }
  HttpAnswer Post(const std::vector<std::string>&, std::string_view) override { return {}; }

 private:
  FakeStripe& fake_;
};

class StripeTest : public ClockedBookTest {
 protected:
  StripeTest() : stripe_(&now_) {
    now_ = kStart * kSecond;
    target_.name = "billing";
    target_.kind = TargetKind::kStripe;
    target_.http.url = "https://api.stripe.example";
    target_.charges = {{"calls", "calls"}};
    target_.meters = {{"calls", "mtr_calls"}};
    target_.same_ids = true;
    target_.quiet_seconds = 1;
  }

  std::unique_ptr<Emitter> MakeEmitter() {
    EmitterContext context;
    context.book_name = "small";
    context.now_nanos = [this] { return now_; };
    return MakeStripeEmitter(target_, context, Secret("sk"), std::make_unique<ToFake>(&stripe_));
  }

  // A seal after which the customers used so much on the first day, on top of what they had.
  void Seal(const std::map<std::string, int64_t>& more) {
    SealCommit commit;
    commit.record.number = book_->next_seal();
    const uint64_t seal = commit.record.number;
    ASSERT_TRUE(book_->CommitSeal(commit).ok());
    const std::vector<UsageDay> before = Days();
    for (const auto& [customer, quantity] : more) used_[customer] += quantity;
    absl::StatusOr<std::vector<PlannedDelivery>> planned = MakeEmitter()->MakeUsage({seal, before, Days()});
    ASSERT_TRUE(planned.ok()) << planned.status();
    for (PlannedDelivery& one : *planned) one.target = "billing";
    ASSERT_TRUE(OutboxOf(*book_).PlanUsage(*planned, {"billing", seal}).ok());
  }
  std::vector<UsageDay> Days() const {
    std::vector<UsageDay> days;
    for (const auto& [customer, quantity] : used_) {
      if (quantity == 0) continue;
      UsageDay day;
      day.subscription = day.account = customer;
      day.plan = "starter";
      day.charge = "calls";
      day.entity = "us";
      day.day = {20'088};
      day.period = MonthOf(day.day);
      day.start = {20'088 * kDay * kSecond};
      day.quantity.attos = ParseDecimal(std::to_string(quantity), kQuantityScale).value;
      days.push_back(std::move(day));
    }
    return days;
  }

  void Pass() {
    std::vector<EmitterOf> targets(1);
    targets[0].target = target_;
    targets[0].emitter = MakeEmitter();
    DeliverOptions options;
    options.now_nanos = [this] { return now_; };
    options.chance = [] { return uint64_t{0}; };
    const absl::StatusOr<DeliverReport> report = Deliver(*book_, targets, options);
    ASSERT_TRUE(report.ok()) << report.status();
    by_state_ = report->targets[0].by_state;
  }
  uint64_t Count(DeliveryState state) const { return by_state_[static_cast<size_t>(state)]; }
  Delivery Of(const std::string& report) {
    const absl::StatusOr<std::optional<Delivery>> found = OutboxOf(*book_).Find("billing", report);
    return found.ok() && found->has_value() ? **found : Delivery();
  }
  void After(int64_t seconds) { now_ += seconds * kSecond; }

  std::map<std::string, int64_t> SumsThere() const {
    std::map<std::string, int64_t> sums;
    for (const auto& [place, sum] : stripe_.sums_) sums[std::get<1>(place)] += sum;
    return sums;
  }
  // The nth event's answer is lost, or the event itself.
  void FaultOf(int nth, FakeStripe::Fault fault) {
    stripe_.faults_ = [nth, fault, seen = 0](const HttpRequest& request) mutable {
      return request.method == "POST" && ++seen == nth ? fault : FakeStripe::Fault::kNone;
    };
  }

  Target target_;
  FakeStripe stripe_;
  std::map<std::string, int64_t> used_;
  std::array<uint64_t, kDeliveryStates> by_state_{};
};

// Whether the event or its answer was lost; whatever Stripe knew of the day before.
TEST_F(StripeTest, WhatMayBeThereIsSettledByTheSumAfterItsKeysAreForgotten) {
  for (const FakeStripe::Fault fault : {FakeStripe::Fault::kLost, FakeStripe::Fault::kDropped}) {
    Seal({{"s1", 10}, {"s2", 20}, {"s3", 30}});
    FaultOf(2, fault);
    Pass();
    EXPECT_EQ(Count(DeliveryState::kUncertain), 1u);
    stripe_.faults_ = nullptr;
    After(23 * 3'600);
    stripe_.asked_ = 0;
    Pass();
    EXPECT_EQ(Count(DeliveryState::kUncertain) + Count(DeliveryState::kParked), 0u);
    EXPECT_EQ(stripe_.asked_, 2) << "of what was not told";
    EXPECT_EQ(SumsThere(), used_);
  }
  EXPECT_EQ(stripe_.twice_, 0);
}

TEST_F(StripeTest, WithinItsWindowItIsToldAgainAndNotAsked) {
  Seal({{"s1", 10}});
  FaultOf(1, FakeStripe::Fault::kLost);
  Pass();
  After(23 * 3'600 - 1);
  Pass();
  EXPECT_EQ(Count(DeliveryState::kConfirmed), 1u);
  EXPECT_EQ(stripe_.asked_, 0);
  EXPECT_EQ(SumsThere(), used_);
}

// Killed among the items: nobody knows of any of them.
TEST_F(StripeTest, AReportOfAProcessThatWasKilledIsSettledItemByItem) {
  Seal({{"s1", 10}, {"s2", 20}, {"s3", 30}});
  Delivery delivery = Of("usage:0001-001");
  DeliveryStep send;
  send.event = DeliveryEvent::kSend;
  ASSERT_TRUE(OutboxOf(*book_).Step(send, &delivery).ok());
  const absl::StatusOr<std::string> body = OutboxOf(*book_).BodyOf(delivery);
  ASSERT_TRUE(body.ok());
  HttpAnswer answer;
  stripe_.Take(DecodeItems(*body)[1].body, &answer);
  Open();
  After(2 * kDay);
  Pass();
  EXPECT_EQ(Count(DeliveryState::kConfirmed), 1u);
  EXPECT_EQ(stripe_.asked_, 3);
  EXPECT_EQ(stripe_.twice_, 0);
  EXPECT_EQ(SumsThere(), used_);
}

// A person is asked where the sum says neither; and it can be settled again, once it does.
TEST_F(StripeTest, ASumThatIsNeitherIsForAPerson) {
  Seal({{"s1", 10}, {"s2", 20}});
  FaultOf(1, FakeStripe::Fault::kLost);
  Pass();
  FakeStripe::Place place("calls", "s1", 20'088 * kDay);
  stripe_.sums_[place] += 7;  // of somebody else
  stripe_.faults_ = nullptr;
  After(kDay);
  Pass();
  const Delivery parked = Of("usage:0001-001");
  EXPECT_EQ(parked.state, DeliveryState::kParked);
  EXPECT_EQ(parked.problem, DeliveryProblem::kAmbiguous);
  EXPECT_THAT(parked.last_error,
              AllOf(HasSubstr("1 items may be there, and Stripe no longer remembers their keys: tb-"),
                    HasSubstr("its minute has 17 there, and was told 0 but for it, which is 10")));
  stripe_.sums_[place] -= 7;
  Delivery delivery = parked;
  DeliveryStep retry;
  retry.event = DeliveryEvent::kRetry;
  ASSERT_TRUE(OutboxOf(*book_).Step(retry, &delivery).ok());
  After(1);
  Pass();
  EXPECT_EQ(Count(DeliveryState::kConfirmed), 1u);
  EXPECT_EQ(SumsThere(), used_);
  EXPECT_EQ(stripe_.twice_, 0);
}

TEST_F(StripeTest, WhatCannotBeSettledIsForAPerson) {
  struct Case {
    const char* name;
    std::function<void()> change;
    const char* why;
  };
  const Case cases[] = {
      {"no meters", [&] { target_.meters.clear(); }, "1 items may be there, and Stripe no longer remembers their keys"},
      {"not its meter",
       [&] {
         target_.meters = {{"mails", "mtr_mails"}};
       },
       "`meters` has no id of its meter"},
  };
  Seal({{"s1", 10}});
  FaultOf(1, FakeStripe::Fault::kLost);
  Pass();
  After(kDay);
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    target_.meters = {{"calls", "mtr_calls"}};
    c.change();
    After(1);
    Pass();
    Delivery parked = Of("usage:0001-001");
    EXPECT_EQ(parked.state, DeliveryState::kParked);
    EXPECT_THAT(parked.last_error, HasSubstr(c.why));
    DeliveryStep retry;
    retry.event = DeliveryEvent::kRetry;
    ASSERT_TRUE(OutboxOf(*book_).Step(retry, &parked).ok());
  }
  EXPECT_EQ(stripe_.asked_, 0);
}

// Two reports of one day, neither of which anybody knows the end of: the sum does not say which.
TEST_F(StripeTest, TwoReportsOfADayThatMayBeThereAreForAPerson) {
  Seal({{"s1", 10}});
  FaultOf(1, FakeStripe::Fault::kLost);
  Pass();
  target_.meters.clear();
  After(kDay);
  Pass();
  EXPECT_EQ(Of("usage:0001-001").state, DeliveryState::kParked);
  target_.meters = {{"calls", "mtr_calls"}};
  Seal({{"s1", 10}});
  FaultOf(1, FakeStripe::Fault::kDropped);
  Pass();
  After(kDay);
  Pass();
  const Delivery parked = Of("usage:0002-001");
  EXPECT_EQ(parked.state, DeliveryState::kParked);
  EXPECT_THAT(parked.last_error, HasSubstr("its minute has 10 there, and another report may have told that"));
  EXPECT_EQ(SumsThere().at("s1"), 10) << "nothing more was sent";
}

// Two reports of one day again; but of these the sum says which.
TEST_F(StripeTest, TwoReportsOfADayAreSettledWhereTheSumTellsThemApart) {
  Seal({{"s1", 10}});
  FaultOf(1, FakeStripe::Fault::kLost);
  Pass();
  target_.meters.clear();
  After(kDay);
  Pass();
  target_.meters = {{"calls", "mtr_calls"}};
  Seal({{"s1", 3}});
  FaultOf(1, FakeStripe::Fault::kDropped);
  Pass();
  stripe_.faults_ = nullptr;
  After(kDay);
  Pass();
  EXPECT_EQ(Of("usage:0002-001").state, DeliveryState::kConfirmed);
  Delivery first = Of("usage:0001-001");
  DeliveryStep retry;
  retry.event = DeliveryEvent::kRetry;
  ASSERT_TRUE(OutboxOf(*book_).Step(retry, &first).ok());
  After(1);
  Pass();
  EXPECT_EQ(Of("usage:0001-001").state, DeliveryState::kConfirmed);
  EXPECT_EQ(stripe_.twice_, 0);
  EXPECT_EQ(SumsThere(), used_);
}

TEST_F(StripeTest, AnAnswerThatSaysNoSumIsNoWordOfIt) {
  for (const char* summary :
       {"", "[]", "{\"data\":{},\"has_more\":false}", "{\"data\":[{\"aggregated_value\":10}],\"has_more\":true}",
        "{\"data\":[{\"aggregated_value\":10}]}", "{\"data\":[{\"aggregated_value\":10.5}],\"has_more\":false}",
        "{\"data\":[{}],\"has_more\":false}"}) {
    SCOPED_TRACE(summary);
    if (used_.empty()) {
      Seal({{"s1", 10}});
      FaultOf(1, FakeStripe::Fault::kLost);
      Pass();
      After(kDay);
    }
    stripe_.summary_ = *summary == '\0' ? "no JSON" : summary;
    After(3'600);
    Pass();
    EXPECT_EQ(Of("usage:0001-001").state, DeliveryState::kUncertain);
    EXPECT_THAT(Of("usage:0001-001").last_error, HasSubstr("Stripe does not say what meter mtr_calls has"));
  }
  stripe_.summary_.clear();
  After(3'600);
  Pass();
  EXPECT_EQ(Of("usage:0001-001").state, DeliveryState::kConfirmed);
  EXPECT_EQ(SumsThere(), used_);
}

// Behind an event whose end nobody knows the target says to come later, for longer than it remembers: that says nothing
// of the event before.
TEST_F(StripeTest, AWaitBehindAnUnclearEndOutlastsNoMemory) {
  Seal({{"s1", 10}});
  FaultOf(1, FakeStripe::Fault::kLost);
  Pass();
  After(3'600);
  FaultOf(1, FakeStripe::Fault::kBusy);
  Pass();
  EXPECT_EQ(Of("usage:0001-001").state, DeliveryState::kUncertain);
  stripe_.faults_ = nullptr;
  After(kDay);
  Pass();
  EXPECT_EQ(Of("usage:0001-001").state, DeliveryState::kConfirmed);
  EXPECT_EQ(stripe_.twice_, 0);
  EXPECT_EQ(SumsThere(), used_);
}

// What was surely not taken may go at any time.
TEST_F(StripeTest, WhatWasSurelyNotTakenIsSentHoweverLate) {
  Seal({{"s1", 10}, {"s2", 20}});
  FaultOf(2, FakeStripe::Fault::kBusy);
  Pass();
  EXPECT_EQ(Of("usage:0001-001").state, DeliveryState::kRetryWait);
  EXPECT_EQ(Of("usage:0001-001").job, "told 1, tried to 1 by send 1");
  stripe_.faults_ = nullptr;
  After(2 * kDay);
  Pass();
  EXPECT_EQ(Count(DeliveryState::kConfirmed), 1u);
  EXPECT_EQ(stripe_.asked_, 0);
  EXPECT_EQ(SumsThere(), used_);
}

// That the report was sent before does not make that its own which it surely did not send.
TEST_F(StripeTest, AnIdentifierThatItHasBeforeItWasSentIsAnothers) {
  Seal({{"s1", 10}, {"s2", 20}});
  std::string second;
  int events = 0;
  stripe_.faults_ = [&](const HttpRequest& request) {
    if (++events != 2) return FakeStripe::Fault::kNone;
    second = request.body;
    return FakeStripe::Fault::kBusy;
  };
  Pass();
  stripe_.faults_ = nullptr;
  HttpAnswer taken;
  stripe_.Take(second, &taken);  // another book of this name tells it
  ASSERT_EQ(taken.status, 200);
  After(3'600);
  Pass();
  const Delivery parked = Of("usage:0001-001");
  EXPECT_EQ(parked.state, DeliveryState::kParked);
  EXPECT_EQ(parked.problem, DeliveryProblem::kDifferent);
  EXPECT_EQ(parked.job, "told 1, another's 2");
  EXPECT_THAT(parked.last_error, AllOf(HasSubstr("1 of 2 items refused, the others are told: tb-"),
                                       HasSubstr("Stripe has its identifier, and this book has not sent it")));
}

// Any row of faults, restarts and days between: told is used, and nobody is asked.
TEST_F(StripeTest, ToldIsUsedWhateverIsLostAndHoweverLateItIsAskedFor) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 chance(seed);
  for (int round = 0; round < 10; ++round) {
    name_ = "book-" + std::to_string(round);
    Open();
    now_ = kStart * kSecond;
    used_.clear();
    stripe_.Forget();
    for (int pass = 0;; ++pass) {
      const bool is_calm = pass >= 40;
      ASSERT_LT(pass, 100);
      if (pass < 30 && chance() % 4 == 0) {
        // No two rows of these have the same sum: where they had, and some of each may be there, a person is asked.
        const int64_t quantity = int64_t{1} << book_->next_seal();
        std::map<std::string, int64_t> more;
        for (const char* customer : {"s1", "s2", "s3"}) {
          if (chance() % 3 > 0) more[customer] = chance() % 4 == 0 ? -quantity : quantity;
        }
        Seal(more);
      }
      stripe_.faults_ = [&](const HttpRequest&) {
        using Fault = FakeStripe::Fault;
        const uint32_t dice = chance() % 8;
        return is_calm || dice > 2 ? Fault::kNone : std::array{Fault::kLost, Fault::kDropped, Fault::kBusy}[dice];
      };
      if (chance() % 4 == 0) Open();
      Pass();
      if (HasFatalFailure()) return;
      ASSERT_EQ(Count(DeliveryState::kParked), 0u);
      const uint64_t reports = std::accumulate(by_state_.begin(), by_state_.end(), uint64_t{0});
      if (is_calm && Count(DeliveryState::kConfirmed) == reports) break;
      After(chance() % 6 == 0 ? kDay + 1 : 700);
    }
    for (const auto& [customer, quantity] : used_) EXPECT_EQ(SumsThere()[customer], quantity) << customer;
    EXPECT_EQ(stripe_.twice_, 0);
  }
  EXPECT_GT(stripe_.asked_, 0);
}

}  // namespace
}  // namespace tollbook
