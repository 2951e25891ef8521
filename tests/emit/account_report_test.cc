// Which records are told when, as a table; and what systems of accounts are sent, byte by byte.
#include "pipeline/emit/account_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using State = DeliveryState;

std::string Line(const char* id, const char* value) {
  return Encode({{id, 0, "/path", value}});
}

StoredReport Report(uint64_t number, State state, const std::string& body, int64_t planned_at = 10) {
  StoredReport report;
  report.delivery.batch = AccountReportName(number, 1);
  report.delivery.state = state;
  report.delivery.planned_at_nanos = planned_at;
  report.body = body;
  return report;
}

std::vector<AccountLine> AccountLines(const std::vector<std::string>& lines) {
  std::vector<AccountLine> made;
  for (const std::string& line : lines) made.push_back({line, {"us"}});
  return made;
}

// "2: a b; without 1": the number of what is planned, whose records it has, and which are superseded.
std::string Planned(const std::vector<std::string>& lines, const std::vector<StoredReport>& stored,
                    int64_t restored_at = 0) {
  const AccountPlan plan = PlanRecords("small", AccountLines(lines), stored, restored_at);
  std::string text;
  for (const PlannedDelivery& part : plan.planned) {
    text += std::to_string(*NumberOfAccountReport(part.batch)) + ":";
    for (const StoredItem& item : DecodeItems(part.body)) text += " " + item.key;
  }
  for (const Delivery& delivery : plan.outdated) {
    text += "; without " + std::to_string(*NumberOfAccountReport(delivery.batch));
  }
  return text;
}

TEST(AccountReport, HasWhatIsNewAndWhatIsNotConfirmed) {
  const std::string a1 = Line("a", "1"), a2 = Line("a", "2"), b1 = Line("b", "1"), b2 = Line("b", "2");
  struct Case {
    const char* name;
    std::vector<std::string> lines;
    std::vector<StoredReport> stored;  // newest first
    const char* planned;
  };
  const Case cases[] = {
      {"all is new", {a1, b1}, {}, "1: a b"},
      {"nothing is", {a1, b1}, {Report(1, State::kConfirmed, a1 + b1)}, ""},
      {"one is", {a1, b2}, {Report(1, State::kConfirmed, a1 + b1)}, "2: b"},
      {"the newest statement counts",
       {a1},
       {Report(2, State::kConfirmed, a2), Report(1, State::kConfirmed, a1)},
       "3: a"},
      {"it is on its way", {a1, b1}, {Report(1, State::kRetryWait, a1 + b1)}, ""},
      {"on its way, and one is new", {a1, b2}, {Report(1, State::kPending, a1 + b1)}, "2: a b; without 1"},
      {"refused, and nothing is new", {a1, b1}, {Report(1, State::kParked, a1 + b1)}, ""},
      {"refused, and one is new", {a1, b2}, {Report(1, State::kParked, a1 + b1)}, "2: a b; without 1"},
      {"back to what was told before a refusal",
       {a1},
       {Report(2, State::kParked, a2), Report(1, State::kConfirmed, a1)},
       "3: a; without 2"},
      {"by a person's word", {a1}, {Report(1, State::kSuperseded, a1)}, ""},
      {"a crash came before one was superseded",
       {a2},
       {Report(2, State::kPending, a2), Report(1, State::kRetryWait, a1)},
       "; without 1"},
      {"an account is gone", {a1}, {Report(1, State::kConfirmed, a1 + b1)}, ""},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(Planned(c.lines, c.stored), c.planned);
  }
}

// What it says of the others is told anew, and nothing of the entity that the target is not to be told of any more.
TEST(AccountReport, WhatIsNotForTheTargetAnyMoreIsOutdated) {
  const std::string a = Line("a", "1"), b = Line("b", "1");
  StoredReport before = Report(1, State::kRetryWait, a + b);
  before.is_still_for = false;
  EXPECT_EQ(Planned({b}, {before}), "2: b; without 1");
  EXPECT_EQ(Planned({}, {before}), "; without 1");
  before.delivery.state = State::kConfirmed;
  EXPECT_EQ(Planned({b}, {before}), "") << "it was told then";
}

TEST(AccountReport, EachPartHasTheEntitiesOfItsRecords) {
  const AccountPlan plan = PlanRecords(
      "small", std::vector<AccountLine>{{Line("a", "1"), {"eu", "us"}}, {Line("b", "1"), {"de", "us"}}}, {}, 0);
  ASSERT_EQ(plan.planned.size(), 1u);
  EXPECT_THAT(plan.planned[0].entities, ElementsAre("de", "eu", "us"));
}

TEST(AccountReport, ABookOutOfABackupTellsAllAgain) {
  const std::string a = Line("a", "1"), b = Line("b", "1");
  const StoredReport before = Report(1, State::kConfirmed, a + b, 10);
  EXPECT_EQ(Planned({a, b}, {before}, 20), "2: a b");
  EXPECT_EQ(Planned({a, b}, {Report(2, State::kConfirmed, a + b, 30), before}, 20), "");
}

TEST(AccountReport, IsCutIntoParts) {
  std::vector<std::string> lines;
  for (int i = 0; i < 2500; ++i) lines.push_back(Line(("a" + std::to_string(i)).c_str(), "1"));
  std::vector<std::string> parts;
  for (const PlannedDelivery& part : PlanRecords("small", AccountLines(lines), {}, 0).planned) {
    parts.push_back(part.batch + " " + std::to_string(DecodeItems(part.body).size()));
  }
  EXPECT_THAT(parts, ElementsAre("accounts:0001-001 1000", "accounts:0001-002 1000", "accounts:0001-003 500"));
}

TEST(AccountReport, ItsKeysAreOfTheBook) {
  const std::vector<std::string> lines = {Line("a", "1")};
  EXPECT_EQ(PlanRecords("small", AccountLines(lines), {}, 0).planned[0].key,
            PlanRecords("small", AccountLines(lines), {}, 0).planned[0].key);
  EXPECT_NE(PlanRecords("small", AccountLines(lines), {}, 0).planned[0].key,
            PlanRecords("other", AccountLines(lines), {}, 0).planned[0].key);
}

AccountRecord Record() {
  using Kind = AccountValue::Kind;
  return {"A-1",
          {{"Month__c", Kind::kText, "2025-03"},
           {"Spend__c", Kind::kNumber, "-12.50"},
           {"Posted_At__c", Kind::kNothing, ""}}};
}

std::unique_ptr<Emitter> EmitterOf(Target target) {
  target.name = "crm";
  target.http.url = "https://crm.example";
  target.auth.kind = AuthKind::kBearer;
  EmitterContext context;
  context.book_name = "small";
  context.with_secrets = false;
  return *MakeEmitter(target, context);
}

TEST(SalesforceReport, IsAnUpsertByExternalId) {
  Target target;
  target.kind = TargetKind::kSalesforce;
  target.api_version = "v60.0";
  target.object = "Account";
  target.external_id = "Tollbook_Id__c";
  const std::unique_ptr<Emitter> emitter = EmitterOf(target);
  const std::string line = emitter->MakeAccount(Record());
  EXPECT_EQ(line,
            "A-1\t0\t/services/data/v60.0/composite/sobjects/Account/Tollbook_Id__c\t"
            R"({"attributes":{"type":"Account"},"Tollbook_Id__c":"A-1","Month__c":"2025-03",)"
            R"("Spend__c":-12.50,"Posted_At__c":null})"
            "\n");
  const std::string shown = emitter->Show({"accounts:0001-001", "tb-1", line + line, ""});
  EXPECT_THAT(shown, HasSubstr("PATCH https://crm.example/services/data/v60.0/composite/sobjects/Account/"
                               "Tollbook_Id__c\nContent-Type: application/json\nAuthorization: Bearer ****\n\n"
                               R"({"allOrNone":false,"records":[{"attributes":{"type":"Account"},)"));
}

TEST(GainsightReport, IsAnUpsertByKeys) {
  Target target;
  target.kind = TargetKind::kGainsight;
  target.object = "Usage__gc";
  target.external_id = "Id__gc";
  const std::unique_ptr<Emitter> emitter = EmitterOf(target);
  const std::string line = emitter->MakeAccount(Record());
  EXPECT_EQ(line,
            "A-1\t0\t/v1/data/objects/Usage__gc?keys=Id__gc\t"
            R"({"Id__gc":"A-1","Month__c":"2025-03","Spend__c":-12.50,"Posted_At__c":null})"
            "\n");
  EXPECT_THAT(emitter->Show({"accounts:0001-001", "tb-1", line, ""}),
              HasSubstr("PUT https://crm.example/v1/data/objects/Usage__gc?keys=Id__gc\n"));
}

TEST(TotangoReport, IsAttributesOfAnAccount) {
  Target target;
  target.kind = TargetKind::kTotango;
  target.service_id = "SP-1234-11";
  EXPECT_EQ(EmitterOf(target)->MakeAccount(Record()),
            "A-1\t0\t/pixel.gif\tsdr_s=SP-1234-11&sdr_o=A-1&sdr_o.Month__c=2025-03&sdr_o.Spend__c=-12.50"
            "&sdr_o.Posted_At__c=\n");
}

}  // namespace
}  // namespace tollbook
