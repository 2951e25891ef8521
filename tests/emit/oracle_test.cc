// What Oracle says of an import, and what of that a delivery keeps: of one that an earlier version sent, too.
#include "pipeline/emit/oracle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

namespace tollbook {
namespace {

using testing::HasSubstr;
using Event = DeliveryEvent;

// It has no journal of ours, and says of each request what `jobs` has: the items of an answer.
class Scripted final : public HttpClient {
 public:
  explicit Scripted(const std::string* jobs) : jobs_(*jobs) {}
  HttpAnswer Do(const HttpRequest& request) override {
    HttpAnswer answer;
    answer.came = HttpAnswer::Came::kAnswer;
    answer.status = 200;
    const bool is_of_job = request.url.find("requestId=9000&") != std::string::npos;
    answer.body = R"({"items":[)" + (is_of_job ? jobs_ : "") + "]}";
    return answer;
  }
  HttpAnswer Post(const std::vector<std::string>&, std::string_view) override { return {}; }

 private:
  const std::string& jobs_;
};

class OracleJobTest : public testing::Test {
 protected:
  OracleJobTest() {
    target_.kind = TargetKind::kOracle;
    target_.http.url = "https://erp.example";
    target_.journal = "Tollbook";
    target_.category = "Usage";
    target_.companies = {{"us", "300000046975971"}};
    target_.accounts = {{"1200", "01.12100"}, {"4000", "01.41000"}};
    JournalBatch batch;
    batch.id = "us-1";
    batch.entity = "us";
    batch.accounting_period = "2025-01";
    batch.currency = *Currency::FromCode("USD");
    batch.posting_key = "tb-key";
    batch.lines = {{1, {"us", batch.currency, "2025-01", {20'119}, "api", "1200", "4000", ""}, 120, 1}};
    emitter_ = MakeOracleEmitter(target_, std::make_unique<Scripted>(&jobs_));
    parcel_.batch = batch.id;
    parcel_.key = batch.posting_key;
    parcel_.body = emitter_->Make(batch).body;
    parcel_.sends = 1;
  }
  Attempt Ask(const std::string& job, uint32_t sends) {
    parcel_.job = job;
    parcel_.sends = sends;
    parcel_.unclear_for_nanos = 1;
    return emitter_->Ask(parcel_);
  }

  Target target_;
  std::string jobs_;  // forgotten
  std::unique_ptr<Emitter> emitter_;
  Parcel parcel_;
};

const std::string kFirst = "9000 of group 393803763063143692";
const std::string kSecond = "9000 of group 334170908567241405";

// Only of the send that ended without a word nobody knows whether its import is over.
TEST_F(OracleJobTest, ARequestOfAnotherSendSaysNothingOfTheLast) {
  struct Case {
    const char* job;
    uint32_t sends;
    bool is_of_last;
    const char* why;  // where Oracle has forgotten it, or it is of another send
  };
  const Case cases[] = {
      {kFirst.c_str(), 1, true, "which no longer knows request 9000"},
      {kSecond.c_str(), 2, true, "which no longer knows request 9000"},
      {kFirst.c_str(), 2, false, "which named no request"},
      {"", 1, false, "which named no request"},
      {"9000", 1, true, "which no longer knows request 9000"},
      {"9000", 2, false, "which named request 9000 of this send or of one before"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.job) + ", sent " + std::to_string(c.sends));
    jobs_ = "";
    EXPECT_EQ(Ask(c.job, c.sends).step.event, Event::kRefused) << "nobody knows how it ended";
    EXPECT_THAT(Ask(c.job, c.sends).step.error, HasSubstr(c.why));
    jobs_ = R"({"RequestStatus":"SUCCEEDED"})";
    const Attempt over = Ask(c.job, c.sends);
    EXPECT_EQ(over.step.event, c.is_of_last ? Event::kNotThere : Event::kRefused);
    EXPECT_THAT(over.step.error, HasSubstr(c.is_of_last ? "" : c.why));
  }
}

// An earlier version kept the request alone; what is accepted is of the last send.
TEST_F(OracleJobTest, WhatIsAcceptedIsKeptWithItsGroup) {
  for (const char* word : {"", "SUCCEEDED", "RUNNING", "ERROR", "?"}) {
    SCOPED_TRACE(word);
    jobs_ = *word == 0 ? "" : R"({"RequestStatus":")" + std::string(word) + R"("})";
    parcel_.sends = 2;
    for (const std::string& job : {std::string("9000"), kSecond}) {
      parcel_.job = job;
      EXPECT_EQ(emitter_->Finish(parcel_).step.job, kSecond);
    }
  }
}

}  // namespace
}  // namespace tollbook
