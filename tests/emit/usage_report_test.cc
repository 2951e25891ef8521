// What billing systems are sent, byte by byte, under which keys; and how far a report is told.
#include "pipeline/emit/usage_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/emit/gainsight.h"
#include "pipeline/emit/stripe.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

UsageDay Used(const char* subscription, const char* charge, const char* day, const char* quantity) {
  UsageDay used;
  used.subscription = subscription;
  used.plan = "starter";
  used.charge = charge;
  used.day = *ParseDay(day);
  used.period = MonthOf(used.day);
  used.quantity.attos = ParseDecimal(quantity, kQuantityScale).value;
  used.start = Zone::FromName("Europe/Berlin")->StartOf(used.day);
  used.account = subscription;
  used.entity = "acme-us";
  used.meter = "api.calls";
  return used;
}

Target TargetOf(TargetKind kind) {
  Target target;
  target.name = "billing";
  target.kind = kind;
  target.http.url = "https://billing.example";
  target.charges = {{"calls", "api calls"}, {"eu-calls", "api calls"}, {"starter/mails", "mails"}};
  target.ids = {{"s1", "cus_1"}};
  target.same_ids = true;
  return target;
}

std::unique_ptr<Emitter> EmitterOfKind(TargetKind kind) {
  EmitterContext context;
  context.book_name = "small";
  context.with_secrets = false;
  context.now_nanos = [] { return Instant{1'793'600'000'000'000'000}.nanos; };  // 2026-11-02
  return *MakeEmitter(TargetOf(kind), context);
}

absl::StatusOr<std::string> BodyOf(TargetKind kind, const std::vector<UsageDay>& before,
                                   const std::vector<UsageDay>& after) {
  const absl::StatusOr<std::vector<PlannedDelivery>> reports = EmitterOfKind(kind)->MakeUsage({3, before, after});
  if (!reports.ok()) return reports.status();
  std::string text;
  for (const PlannedDelivery& report : *reports) {
    EXPECT_EQ(report.key, report.body.substr(0, 35));
    text += report.batch + "\n" + report.body;
  }
  return text;
}

// Keys: "tb-" and the first 16 bytes of SHA-256 over "usage", book, seal, customer, code and day, each text behind its
// length and the seal as 8 bytes; worked out apart from the program.
//
// Two charges of one code are one item; what did not change is none; a day goes by its first instant in Berlin.
const std::vector<UsageDay> kBefore = {Used("s1", "calls", "2026-11-01", "100"), Used("s1", "mails", "2026-11-01", "4"),
                                       Used("s2", "calls", "2026-11-02", "7")};
const std::vector<UsageDay> kAfter = {Used("s1", "calls", "2026-11-01", "80"),
                                      Used("s1", "eu-calls", "2026-11-01", "5"), Used("s1", "mails", "2026-11-01", "4"),
                                      Used("s2", "mails", "2026-11-03", "2"), Used("s2", "unknown", "2026-11-03", "2")};

// Who adds up, and drops a key that it has seen or takes it twice, must not drop this for what a lost life of the book
// told of a seal of that number. Who finds the key and compares must find it.
TEST(UsageKey, IsOfTheChangeSinceARestoreWhereNobodyCompares) {
  const auto keys = [](TargetKind kind, bool since_restore, const char* quantity, const char* key_field = "") {
    Target target = TargetOf(kind);
    target.key_field = key_field;
    const std::vector<UsageDay> after = {Used("s1", "calls", "2026-11-01", quantity)};
    return (*ItemsOf(target, "small", {3, {}, after, since_restore})).front().key;
  };
  for (const TargetKind kind : {TargetKind::kStripe, TargetKind::kMaxio, TargetKind::kZuora}) {
    SCOPED_TRACE(Word(kind));
    EXPECT_EQ(keys(kind, false, "100"), keys(kind, false, "80"));
    EXPECT_NE(keys(kind, true, "100"), keys(kind, true, "80"));
    EXPECT_NE(keys(kind, true, "100"), keys(kind, false, "100"));
    EXPECT_EQ(keys(kind, true, "100"), keys(kind, true, "100"));
  }
  EXPECT_EQ(keys(TargetKind::kChargebee, true, "100"), keys(TargetKind::kChargebee, false, "80"));
  EXPECT_EQ(keys(TargetKind::kZuora, true, "100", "Key__c"), keys(TargetKind::kZuora, false, "80", "Key__c"));
}

TEST(StripeReport, IsAMeterEventADifference) {
  EXPECT_EQ(*BodyOf(TargetKind::kStripe, kBefore, kAfter),
            "usage:0003-001\n"
            "tb-e91e8216856471c7b0c66c31a18c4649\t1793487600\t/v1/billing/meter_events\t"
            "event_name=api%20calls&identifier=tb-e91e8216856471c7b0c66c31a18c4649&timestamp=1793487600"
            "&payload%5Bstripe_customer_id%5D=cus_1&payload%5Bvalue%5D=-15\n"
            "tb-170ddae470d86a0d271f1e61581fb86b\t1793574000\t/v1/billing/meter_events\t"
            "event_name=api%20calls&identifier=tb-170ddae470d86a0d271f1e61581fb86b&timestamp=1793574000"
            "&payload%5Bstripe_customer_id%5D=s2&payload%5Bvalue%5D=-7\n"
            "tb-e61833a6227211581f0c850dcd1c70a8\t1793660400\t/v1/billing/meter_events\t"
            "event_name=mails&identifier=tb-e61833a6227211581f0c850dcd1c70a8&timestamp=1793660400"
            "&payload%5Bstripe_customer_id%5D=s2&payload%5Bvalue%5D=2\n");
}

TEST(ChargebeeReport, IsARecordADayWithAllOfIt) {
  EXPECT_EQ(*BodyOf(TargetKind::kChargebee, kBefore, kAfter),
            "usage:0003-001\n"
            "tb-e91e8216856471c7b0c66c31a18c4649\t1793487600\t/subscriptions/cus_1/usages\t"
            "id=tb-e91e8216856471c7b0c66c31a18c4649&item_price_id=api%20calls&quantity=85&usage_date=1793487600&note="
            "tollbook%20seal%203\n"
            "tb-170ddae470d86a0d271f1e61581fb86b\t1793574000\t/subscriptions/s2/usages\t"
            "id=tb-170ddae470d86a0d271f1e61581fb86b&item_price_id=api%20calls&quantity=0&usage_date=1793574000&note="
            "tollbook%20seal%203\n"
            "tb-e61833a6227211581f0c850dcd1c70a8\t1793660400\t/subscriptions/s2/usages\t"
            "id=tb-e61833a6227211581f0c850dcd1c70a8&item_price_id=mails&quantity=2&usage_date=1793660400&note=tollbook%"
            "20seal%203\n");
}

TEST(MaxioReport, IsAnEventADifference) {
  EXPECT_EQ(*BodyOf(TargetKind::kMaxio, kBefore, kAfter),
            "usage:0003-001\n"
            "tb-e91e8216856471c7b0c66c31a18c4649\t1793487600\t/events/api%20calls/bulk.json\t"
            R"({"chargify":{"subscription_reference":"cus_1","timestamp":"2026-10-31T23:00:00Z",)"
            R"("uniqueness_token":"tb-e91e8216856471c7b0c66c31a18c4649"},"quantity":-15})"
            "\n"
            "tb-170ddae470d86a0d271f1e61581fb86b\t1793574000\t/events/api%20calls/bulk.json\t"
            R"({"chargify":{"subscription_reference":"s2","timestamp":"2026-11-01T23:00:00Z",)"
            R"("uniqueness_token":"tb-170ddae470d86a0d271f1e61581fb86b"},"quantity":-7})"
            "\n"
            "tb-e61833a6227211581f0c850dcd1c70a8\t1793660400\t/events/mails/bulk.json\t"
            R"({"chargify":{"subscription_reference":"s2","timestamp":"2026-11-02T23:00:00Z",)"
            R"("uniqueness_token":"tb-e61833a6227211581f0c850dcd1c70a8"},"quantity":2})"
            "\n");
}

TEST(MaxioReport, KnowsASubscriptionByItsNumberOrItsReference) {
  const std::vector<UsageDay> used = {Used("4711", "calls", "2026-11-01", "0.5"),
                                      Used("0815", "calls", "2026-11-01", "1")};
  const std::string body = *BodyOf(TargetKind::kMaxio, {}, used);
  EXPECT_THAT(body, HasSubstr(R"("subscription_id":4711,)"));
  EXPECT_THAT(body, HasSubstr(R"("subscription_reference":"0815",)"));
  EXPECT_THAT(body, HasSubstr(R"("quantity":0.5})"));
}

TEST(ZuoraReport, IsAUsageRecordADifference) {
  Target target = TargetOf(TargetKind::kZuora);
  target.same_ids = false;
  target.ids = {{"s1", "A-1/S-1"}, {"s2", "A-2/S-2"}};
  target.key_field = "Key__c";
  EmitterContext context;
  context.book_name = "small";
  context.with_secrets = false;
  const std::unique_ptr<Emitter> emitter = *MakeEmitter(target, context);
  const std::vector<PlannedDelivery> reports = *emitter->MakeUsage({3, kBefore, kAfter});
  ASSERT_EQ(reports.size(), 1u);
  const std::vector<StoredItem> items = DecodeItems(reports[0].body);
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(items[0].path, "/v1/object/usage");
  EXPECT_EQ(items[0].body, R"({"AccountNumber":"A-1","SubscriptionNumber":"S-1","UOM":"api calls","Quantity":-15,)"
                           R"("StartDateTime":"2026-10-31T23:00:00.000+00:00","Description":")" +
                               items[0].key + R"(","Key__c":")" + items[0].key + "\"}");
  EXPECT_THAT(emitter->Show({reports[0].batch, reports[0].key, reports[0].body, ""}),
              HasSubstr("POST https://billing.example/v1/object/usage\nContent-Type: application/json\n"
                        "Idempotency-Key: " +
                        items[0].key + "\n"));
}

TEST(WebhookReport, IsTheChangesOfEachChargeAndDay) {
  Target target = TargetOf(TargetKind::kWebhook);
  const std::vector<UsageChange> changes = *ChangesOf(target, {3, kBefore, kAfter});
  std::vector<std::string> rows;
  for (const UsageChange& change : changes) {
    rows.push_back(change.day->subscription + " " + change.day->charge + " " + ToString(change.before) + " " +
                   ToString(change.after) + " " + ToString(change.change));
  }
  EXPECT_THAT(rows, ElementsAre("s1 calls 100 80 -20", "s1 eu-calls 0 5 5", "s2 calls 7 0 -7", "s2 mails 0 2 2",
                                "s2 unknown 0 2 2"));
  target.from = "2026-12";
  EXPECT_THAT(*ChangesOf(target, {3, kBefore, kAfter}), IsEmpty());
}

TEST(UsageReport, IsTheSameEachTimeAndOfEachSealAnother) {
  const std::unique_ptr<Emitter> emitter = EmitterOfKind(TargetKind::kStripe);
  const PlannedDelivery third = emitter->MakeUsage({3, kBefore, kAfter})->front();
  EXPECT_EQ(third.body, emitter->MakeUsage({3, kBefore, kAfter})->front().body);
  EXPECT_NE(third.key, emitter->MakeUsage({4, kBefore, kAfter})->front().key);
  EXPECT_EQ(SealOfUsageReport(third.batch), 3u);
}

TEST(UsageReport, NothingChangedIsNoReport) {
  EXPECT_THAT(*EmitterOfKind(TargetKind::kStripe)->MakeUsage({3, kBefore, kBefore}), IsEmpty());
}

// Of us, before anything is sent: there is nobody at the target's url.
TEST(UsageReport, WhatASystemDoesNotTakeIsRefusedAlone) {
  struct Case {
    TargetKind kind;
    const char* quantity;
    const char* why;
  };
  const Case cases[] = {
      {TargetKind::kStripe, "0.5", "Stripe takes whole numbers only, and the day changed by 0.5"},
      {TargetKind::kStripe, "-1.25", "Stripe takes whole numbers only, and the day changed by -1.25"},
      {TargetKind::kChargebee, "-1", "Chargebee takes no negative usage, and the day's is -1"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.why);
    const std::vector<UsageDay> used = {Used("s1", "calls", "2026-11-01", c.quantity)};
    const std::unique_ptr<Emitter> emitter = EmitterOfKind(c.kind);
    const absl::StatusOr<std::vector<PlannedDelivery>> planned = emitter->MakeUsage({3, {}, used});
    ASSERT_TRUE(planned.ok()) << planned.status();
    const PlannedDelivery& report = planned->front();
    const Attempt attempt = emitter->Send({report.batch, report.key, report.body, ""});
    EXPECT_EQ(attempt.step.event, DeliveryEvent::kRefused);
    EXPECT_EQ(attempt.step.problem, DeliveryProblem::kValidation);
    EXPECT_THAT(attempt.step.error, HasSubstr(c.why));
    EXPECT_FALSE(attempt.pause_target);
  }
}

// 403 to what has such a word in it; the others are taken.
class Forbids final : public HttpClient {
 public:
  Forbids(std::string word, int* came) : word_(std::move(word)), came_(*came) {}
  HttpAnswer Do(const HttpRequest& request) override {
    ++came_;
    HttpAnswer answer;
    answer.came = HttpAnswer::Came::kAnswer;
    answer.status = request.body.find(word_) != std::string_view::npos ? 403 : 200;
    const size_t key = request.body.find("identifier=k");
    answer.body = "{\"result\":true";
    if (key != std::string_view::npos)
      answer.body += ",\"identifier\":\"" + std::string(request.body.substr(key + 11, 3)) + "\"";
    answer.body += "}";
    return answer;
  }
  HttpAnswer Post(const std::vector<std::string>&, std::string_view) override { return {}; }

 private:
  const std::string word_;
  int& came_;
};

// Of one it may be that customer's; of some from here and there in a row it is who asks, and neither the rest nor half
// of a request is tried.
TEST(UsageReport, AnItemThatIsForbiddenKeepsBackNoOther) {
  const char* const kStripe = "payload%5Bvalue%5D=1&identifier=";
  struct Case {
    const char* name;
    TargetKind kind;
    const char* forbidden;
    int items, requests;
    const char* told;
    bool is_denied;
    const char* error;
  };
  const Case cases[] = {
      {"one of three", TargetKind::kStripe, "k11", 3, 3, "told 1 3", false,
       "1 of 3 items refused, the others are told: "},
      {"all", TargetKind::kStripe, "identifier", 3, 3, "told none", true, "3 of 3 items refused: "},
      {"all, of one request", TargetKind::kGainsight, "records", 3, 1, "told none", true, "3 of 3 items refused: "},
      {"all of many", TargetKind::kStripe, "identifier", 90, 3, "told none, tried 1 46 90 by send 1", true,
       "3 of 90 items refused and 87 not sent, for they would be, too: "},
      // A customer's items stand together.
      {"many in a row", TargetKind::kStripe, "k3", 90, 90, "told 1-20 31-90", false,
       "10 of 90 items refused, the others are told: "},
      {"the last ones", TargetKind::kStripe, "k9", 90, 83, "told 1-80, tried 1-81 86 90 by send 1", true,
       "3 of 90 items refused and 7 not sent, for they would be, too, the others are told: "},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    std::vector<StoredItem> items;
    for (int number = 10; number < 10 + c.items; ++number) {
      const std::string key = "k" + std::to_string(number);
      items.push_back({key, 1, "/path", kStripe + key});
    }
    EmitterContext context;
    context.now_nanos = [] { return int64_t{1'000'000'000}; };
    int came = 0;
    auto http = std::make_unique<Forbids>(c.forbidden, &came);
    const std::unique_ptr<Emitter> emitter =
        c.kind == TargetKind::kStripe ? MakeStripeEmitter(TargetOf(c.kind), context, Secret("sk"), std::move(http))
                                      : MakeGainsightEmitter(TargetOf(c.kind), context, std::move(http));
    Parcel parcel{"usage:0001-001", "k10", Encode(items), ""};
    parcel.sends = 1;
    const Attempt attempt = emitter->Send(parcel);
    EXPECT_EQ(came, c.requests);
    EXPECT_THAT(attempt.step.error, testing::StartsWith(c.error));
    EXPECT_EQ(attempt.step.event, DeliveryEvent::kRefused);
    EXPECT_EQ(attempt.step.problem, DeliveryProblem::kAuthentication);
    EXPECT_EQ(attempt.step.job, c.told);
    EXPECT_EQ(attempt.is_denied, c.is_denied);
    EXPECT_FALSE(attempt.pause_target);
  }
}

TEST(UsageReport, SumsThatCannotBeHeldAreSaid) {
  const std::vector<UsageDay> most = {Used("s1", "calls", "2026-11-01", "170000000000000000000"),
                                      Used("s1", "eu-calls", "2026-11-01", "170000000000000000000")};
  EXPECT_TRUE(absl::IsOutOfRange(ItemsOf(TargetOf(TargetKind::kStripe), "small", {1, {}, most}).status()));
}

TEST(UsageReport, IsCutIntoParts) {
  const std::vector<StoredItem> items(250, {"key", 1, "/path", "body"});
  std::vector<std::string> parts;
  for (const PlannedDelivery& report : ReportsOf(12, items, 100)) {
    parts.push_back(report.batch + " " + std::to_string(DecodeItems(report.body).size()));
  }
  EXPECT_THAT(parts, ElementsAre("usage:0012-001 100", "usage:0012-002 100", "usage:0012-003 50"));
}

TEST(ReportProgress, IsWordsThatCanBeReadBack) {
  struct Case {
    std::vector<bool> told;
    const char* words;
  };
  const Case cases[] = {{{false, false}, "since 7, told"},
                        {{true, false, false}, "since 7, told 1"},
                        {{true, true, false, true}, "since 7, told 1-2 4"},
                        {{false, true, true, true}, "since 7, told 2-4"}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.words);
    EXPECT_EQ(ToString(ReportProgress{7, c.told}), c.words);
    const ReportProgress read = ProgressOf(c.words, c.told.size());
    EXPECT_EQ(read.since_seconds, 7);
    EXPECT_EQ(read.told, c.told);
  }
  EXPECT_EQ(ToString(ProgressOf("", 3)), "told none") << "and nothing may be there that is not told";
  for (const char* words : {"told none", "told 2-3"}) {
    EXPECT_EQ(ToString(ProgressOf(words, 4)), words);
    EXPECT_EQ(ProgressOf(words, 4).since_seconds, 0);
  }
  EXPECT_EQ(ProgressOf("since 7, told 2-9", 3).left(), 1u) << "no more than there are";
  for (const char* words : {"told none, another's 2 4", "told 1, another's 2", "since 7, told 1, tried to 3 by send 2",
                            "told none, another's 1-2, tried to 3 by send 1", "told 1 4, tried 1-2 4 by send 2"}) {
    EXPECT_EQ(ToString(ProgressOf(words, 4)), words);
  }
  EXPECT_EQ(ToString(ProgressOf("told none, tried to 4 by send 2", 4)), "told none") << "all may have been sent";
  const ReportProgress read = ProgressOf("since 7, told 1 3, another's 2, tried to 3 by send 12", 4);
  EXPECT_EQ(read.since_seconds, 7);
  EXPECT_THAT(read.told, ElementsAre(true, false, true, false));
  EXPECT_THAT(read.anothers, ElementsAre(false, true, false, false));
  EXPECT_THAT(read.tried, ElementsAre(true, true, true, false));
  EXPECT_EQ(read.send, 12u);
}

}  // namespace
}  // namespace tollbook
