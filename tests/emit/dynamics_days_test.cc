// A journal of many lines, and a target that may be asked few things a day: each day its requests, and each line once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "pipeline/emit/deliver.h"
#include "pipeline/emit/dynamics.h"
#include "pipeline/json_text.h"
#include "pipeline/json_tree.h"
#include "tests/ledger/clocked_book.h"

namespace tollbook {
namespace {

using testing::Each;
using testing::HasSubstr;
using testing::Le;

constexpr int64_t kSecond = 1'000'000'000, kDay = 86'400 * kSecond;
constexpr int64_t kStart = 20'089 * kDay;  // 2025-01-01T00:00:00Z

// As much of Dynamics as is asked of it; it remembers what it was sent, and on which day.
class Dynamics {
 public:
  HttpAnswer Do(const HttpRequest& request, int64_t day) {
    ++requests_of_day[day];
    if (request.method == "GET") return Rows(request.url);
    const JsonTree row = *ReadJsonTree(request.body, "a request");
    if (request.url.ends_with("/LedgerJournalHeaders")) {
      ++headers_sent;
      header = "{\"JournalBatchNumber\":\"GJ1\",\"IsPosted\":\"No\"," + std::string(request.body.substr(1));
      return Answer(201, header);
    }
    EXPECT_EQ(row.Find("JournalBatchNumber")->text, "GJ1");
    const int number = std::stoi(row.Find("LineNumber")->text);
    ++lines_sent[number];
    lines[number] = request.body;
    return Answer(201, lines[number]);
  }

  std::map<int64_t, int> requests_of_day;
  int headers_sent = 0;
  std::string header;
  std::map<int, int> lines_sent;     // by line number: how often
  std::map<int, std::string> lines;  // likewise: as it is there

 private:
  static HttpAnswer Answer(long status, const std::string& body) {
    HttpAnswer answer;
    answer.came = HttpAnswer::Came::kAnswer;
    answer.status = status;
    answer.content_type = "application/json";
    answer.body = body;
    return answer;
  }
  static size_t ParameterOf(const std::string& url, const std::string& name) {
    return std::stoul(url.substr(url.find("&$" + name + "=") + name.size() + 3));
  }
  HttpAnswer Rows(const std::string& url) const {
    std::string rows;
    if (url.find("/LedgerJournalHeaders?") != std::string::npos) {
      rows = header;
    } else {
      size_t place = 0;
      const size_t skip = ParameterOf(url, "skip"), top = ParameterOf(url, "top");
      for (const auto& [number, line] : lines) {
        if (place++ < skip || place > skip + top) continue;
        rows += (rows.empty() ? "" : ",") + line;
      }
    }
    return Answer(200, "{\"value\":[" + rows + "]}");
  }
};

class Client final : public HttpClient {
 public:
  Client(Dynamics* dynamics, const int64_t* now) : dynamics_(*dynamics), now_(*now) {}
  HttpAnswer Do(const HttpRequest& request) override { return dynamics_.Do(request, now_ / kDay); }
  HttpAnswer Post(const std::vector<std::string>&, std::string_view) override {
    ADD_FAILURE() << "it has paths";
    return {};
  }

 private:
  Dynamics& dynamics_;
  const int64_t& now_;
};

class DynamicsDays : public ClockedBookTest {
 protected:
  DynamicsDays() {
    now_ = kStart;
    target_.name = "erp";
    target_.kind = TargetKind::kDynamics;
    target_.http.url = "https://erp.example";
    target_.quiet_seconds = 0;
    target_.journal = "GenJrn";
    target_.companies = {{"us", "usmf"}};
    target_.accounts = {{"1200", "130100"}, {"4000", "401000"}};
  }

  // A batch of so many lines there; two are a line of ours.
  void Seal(const std::string& id, int lines) {
    SealCommit seal;
    seal.record.number = book_->next_seal();
    JournalBatch batch;
    batch.id = id;
    batch.seal = seal.record.number;
    batch.entity = "us";
    batch.accounting_period = "2025-01";
    batch.currency = *Currency::FromCode("USD");
    batch.posting_key = "tb-" + id;
    for (uint32_t line = 1; line <= static_cast<uint32_t>(lines) / 2; ++line) {
      batch.lines.push_back(
          {line, {batch.entity, batch.currency, "2025-01", {20'089}, "api", "1200", "4000", ""}, 100 + line, 1});
    }
    seal.batches.push_back(batch);
    ASSERT_TRUE(book_->CommitSeal(seal).ok());
  }

  // Another process, which may send so many requests a day: until it waits.
  void Post(uint32_t per_day) {
    Open();
    std::vector<EmitterOf> targets(1);
    targets[0].target = target_;
    targets[0].target.requests.per_day = per_day;
    targets[0].pace = std::make_shared<RequestPace>(
        RequestLimits{0, per_day}, [this] { return now_; }, [](int64_t) {});
    targets[0].emitter =
        MakeDynamicsEmitter(targets[0].target, Paced(std::make_unique<Client>(&dynamics_, &now_), targets[0].pace));
    DeliverOptions options;
    options.now_nanos = [this] { return now_; };
    options.chance = [] { return uint64_t{0}; };
    absl::StatusOr<DeliverReport> report = Deliver(*book_, targets, options);
    ASSERT_TRUE(report.ok()) << report.status();
    report_ = *std::move(report);
  }
  Delivery Of(const std::string& batch) {
    const absl::StatusOr<std::optional<Delivery>> found = OutboxOf(*book_).Find("erp", batch);
    return found.ok() && found->has_value() ? **found : Delivery();
  }
  std::vector<int> RequestsOfDays() const {
    std::vector<int> counts;
    for (const auto& [day, count] : dynamics_.requests_of_day) counts.push_back(count);
    return counts;
  }
  void ExpectEachLineOnce(size_t lines) {
    EXPECT_EQ(dynamics_.headers_sent, 1);
    EXPECT_EQ(dynamics_.lines.size(), lines);
    for (const auto& [number, times] : dynamics_.lines_sent) EXPECT_EQ(times, 1) << "line " << number;
  }

  Target target_;
  Dynamics dynamics_;
  DeliverReport report_;
};

// Looked for (1), its header (1), looked for anew (2): the first day has 396 lines, the others 398 each.
TEST_F(DynamicsDays, GoesOnTheNextDayWhereTheDaysRequestsEnded) {
  Seal("us-1", 1'200);
  Post(400);
  EXPECT_EQ(Of("us-1").state, DeliveryState::kAccepted);
  EXPECT_THAT(Of("us-1").last_error, HasSubstr("line 397 of 1200 of journal GJ1: "));
  EXPECT_THAT(Of("us-1").last_error, HasSubstr("the 400 requests of the day are used up"));
  EXPECT_EQ(report_.next_due_nanos, kStart + kDay);
  now_ += kDay - kSecond;
  Post(400);
  EXPECT_THAT(RequestsOfDays(), testing::ElementsAre(400)) << "it is the same day";
  for (int day = 1; day < 4; ++day) {
    now_ = kStart + day * kDay;
    Post(400);
    Post(400);
  }
  EXPECT_EQ(Of("us-1").state, DeliveryState::kConfirmed);
  EXPECT_EQ(Of("us-1").document, "GJ1");
  EXPECT_THAT(RequestsOfDays(), testing::ElementsAre(400, 400, 400, 2 + 8 + 2));
  ExpectEachLineOnce(1'200);
}

// The limit is lowered to three when the journal is nearly there: to look for it takes two of them, whatever its size.
TEST_F(DynamicsDays, ThreeRequestsADayAreALineADay) {
  constexpr int kLines = 1'200, kFirstDay = kLines + 4 - 5;
  Seal("us-1", kLines);
  Post(kFirstDay);
  EXPECT_EQ(dynamics_.lines.size(), kLines - 5u);
  Seal("us-2", 2);  // it comes behind what was begun
  for (int day = 1; day <= 5; ++day) {
    now_ = kStart + day * kDay;
    Post(3);
    Post(3);
    EXPECT_EQ(dynamics_.lines.size(), kLines - 5u + static_cast<size_t>(day)) << "day " << day;
    EXPECT_EQ(Of("us-2").state, DeliveryState::kPending);
  }
  EXPECT_EQ(Of("us-1").state, DeliveryState::kAccepted) << "nobody has looked whether all are there";
  now_ = kStart + 6 * kDay;
  Post(3);
  EXPECT_EQ(Of("us-1").state, DeliveryState::kConfirmed);
  ExpectEachLineOnce(kLines);
  std::vector<int> requests = RequestsOfDays();
  EXPECT_EQ(requests.front(), kFirstDay);
  requests.erase(requests.begin());
  EXPECT_THAT(requests, Each(Le(3)));
}

TEST_F(DynamicsDays, WhatADayIsNeverEnoughForIsNotBegun) {
  Seal("us-1", 5'000);
  Post(3);
  EXPECT_EQ(Of("us-1").state, DeliveryState::kParked);
  EXPECT_EQ(Of("us-1").problem, DeliveryProblem::kConfiguration);
  EXPECT_THAT(Of("us-1").last_error,
              HasSubstr("a journal of 5000 lines takes 4 requests in a row, and per_day allows 3: raise it"));
  EXPECT_THAT(RequestsOfDays(), testing::IsEmpty());
}

}  // namespace
}  // namespace tollbook
