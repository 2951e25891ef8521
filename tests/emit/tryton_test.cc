// A batch in Tryton's codes: those of targets.yaml at the time, put into ours; and bodies of before, which had them.
#include "pipeline/emit/tryton.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/emit/erp_journal.h"

namespace tollbook {
namespace {

using testing::HasSubstr;

Target Codes() {
  Target target;
  target.kind = TargetKind::kTryton;
  target.journal = "USAGE";
  target.companies = {{"us", "Acme US"}};
  target.accounts = {{"4000", "410"}};
  return target;
}

std::string Stored() {
  ErpJournal journal{"tb-key", "us-USD-2025-01-0001", "us", "USD", "2025-01-31", {}};
  journal.lines.push_back({"1200", true, "118.50", "api, 2025-01-31", {{"region", "eu"}}});
  journal.lines.push_back({"4000", false, "118.50", "api, 2025-01-31", {}});
  return Encode(journal);
}

std::unique_ptr<Emitter> EmitterFor(const Target& target) {
  EmitterContext context;
  context.with_secrets = false;
  absl::StatusOr<std::unique_ptr<Emitter>> emitter = MakeEmitter(target, context);
  EXPECT_TRUE(emitter.ok()) << emitter.status();
  return *std::move(emitter);
}
Parcel Of(const std::string& body) {
  Parcel parcel;
  parcel.body = body;
  return parcel;
}
std::string Shown(const Target& target, const std::string& body) {
  return EmitterFor(target)->Show(Of(body));
}
std::string Wire(const Target& target, const std::string& body) {
  const absl::StatusOr<std::string> wire = EmitterFor(target)->Wire(Of(body));
  return wire.ok() ? *wire : wire.status().ToString();
}

constexpr const char* kMove =
    R"({"company":"Acme US","journal":"USAGE","currency":"USD","date":"2025-01-31",)"
    R"("description":"tb-key us-USD-2025-01-0001","lines":[)"
    R"({"account":"1200","debit":"118.50","credit":"0.00","description":"api, 2025-01-31, region=eu"},)"
    R"({"account":"410","debit":"0.00","credit":"118.50","description":"api, 2025-01-31"}]})";

TEST(TrytonMove, HasTheCodesOfTargetsYaml) {
  EXPECT_EQ(Wire(Codes(), Stored()), kMove);
  Target mended = Codes();
  mended.accounts["4000"] = "420";
  EXPECT_THAT(Wire(mended, Stored()), HasSubstr(R"({"account":"420","debit":"0.00")")) << "of the same stored bytes";
  mended.companies.clear();
  EXPECT_THAT(Shown(mended, Stored()), HasSubstr("entity \"us\" has no code in Tryton"));
}

// As bodies were stored before: they say what they said.
TEST(TrytonMove, OfABodyWithTrytonsCodesIsThatBody) {
  Target other = Codes();
  other.accounts["410"] = "999";
  EXPECT_EQ(Wire(other, kMove), kMove);
  EXPECT_THAT(Shown(other, kMove), HasSubstr(R"("account":"<account 410>")"));
  EXPECT_THAT(Shown(other, "{}"), HasSubstr("the stored journal cannot be read"));
}

// What `post --dry-run` prints of a move with a customer: what goes over the wire, but for what only Tryton knows.
TEST(TrytonMove, IsShownRequestByRequest) {
  Target target = Codes();
  target.http.url = "https://erp.example.com/ledger/";
  target.user = "tollbook";
  target.customer_accounts = {"1200"};
  target.ids = {{"s1", "C7"}};
  ErpJournal journal{"tb-key", "us-USD-2025-01-0001", "us", "USD", "2025-01-31", {}};
  journal.lines.push_back({"1200", true, "118.50", "api, 2025-01-31", {{"subscription", "s1"}}});
  journal.lines.push_back({"4000", false, "118.50", "api, 2025-01-31", {{"subscription", "s1"}}});
  const char* const kRequests[] = {
      R"({"id":0,"method":"common.db.login","params":["tollbook",{"password":"****"}]})",
      R"({"id":1,"method":"model.company.company.search_read","params":[[["party.name","=","Acme US"]],0,10000,)"
      R"([["id","ASC"]],["currency.code"],{}]})",
      R"({"id":1,"method":"model.account.move.search_read","params":[[["description","=","tb-key us-USD-2025-01-0001"]],)"
      R"(0,100,[["id","ASC"]],["company","state","number","post_number"],)"
      R"({"company":"<company Acme US>"}]})",
      R"({"id":1,"method":"model.account.journal.search_read","params":[[["code","=","USAGE"]],0,10000,)"
      R"([["id","ASC"]],["code"],{"company":"<company Acme US>"}]})",
      R"({"id":1,"method":"model.account.period.search_read","params":[[["company","=","<company Acme US>"],)"
      R"(["start_date","<=",{"__class__":"date","year":2025,"month":1,"day":31}],)"
      R"(["end_date",">=",{"__class__":"date","year":2025,"month":1,"day":31}],["type","=","standard"]],0,10000,)"
      R"([["id","ASC"]],["name","state"],{"company":"<company Acme US>"}]})",
      R"({"id":1,"method":"model.account.account.search_read","params":[[["company","=","<company Acme US>"],)"
      R"(["code","in",["1200","410"]]],0,10000,[["id","ASC"]],["code","party_required"],)"
      R"({"company":"<company Acme US>"}]})",
      R"({"id":1,"method":"model.party.party.search_read","params":[[["code","in",["C7"]]],0,10000,[["id","ASC"]],)"
      R"(["code"],{"company":"<company Acme US>"}]})",
      R"({"id":1,"method":"model.account.move.create","params":[[{"journal":"<journal USAGE>",)"
      R"("company":"<company Acme US>","period":"<period of 2025-01-31>",)"
      R"("date":{"__class__":"date","year":2025,"month":1,"day":31},"description":"tb-key us-USD-2025-01-0001",)"
      R"("lines":[["create",[{"account":"<account 1200>","debit":{"__class__":"Decimal","decimal":"118.50"},)"
      R"("credit":{"__class__":"Decimal","decimal":"0.00"},"description":"api, 2025-01-31, subscription=s1",)"
      R"("party":"<party C7>"},{"account":"<account 410>","debit":{"__class__":"Decimal","decimal":"0.00"},)"
      R"("credit":{"__class__":"Decimal","decimal":"118.50"},"description":"api, 2025-01-31, subscription=s1"}]]]}],)"
      R"({"company":"<company Acme US>"}]})",
      R"({"id":1,"method":"model.account.move.search_read","params":[[["id","=","<the move that was made>"]],0,10000,)"
      R"([["id","ASC"]],["date","journal.code"],{"company":"<company Acme US>"}]})",
      R"({"id":1,"method":"model.account.move.line.search_read","params":[[["move","=","<the move that was made>"]],)"
      R"(0,10000,[["id","ASC"]],["account.code","party.code","debit","credit"],{"company":"<company Acme US>"}]})",
      R"({"id":1,"method":"model.account.move.post","params":[["<the move that was made>"],)"
      R"({"company":"<company Acme US>"}]})"};
  std::string expected;
  const std::string head = "POST https://erp.example.com/ledger/\nContent-Type: application/json\n";
  for (const char* const request : kRequests) {
    const bool logs_in = expected.empty();
    expected += (logs_in ? "" : "\n") + head + (logs_in ? "" : "Authorization: Session ****\n") + "\n" + request + "\n";
  }
  EXPECT_EQ(Shown(target, Encode(journal)), expected);

  target.ids.clear();
  EXPECT_THAT(Shown(target, Encode(journal)), HasSubstr("subscription \"s1\" has no customer in Tryton"));
}

}  // namespace
}  // namespace tollbook
