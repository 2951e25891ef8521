// A batch in NetSuite's words, to the byte, and its keys.
#include "pipeline/emit/netsuite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tollbook {
namespace {

using testing::HasSubstr;

JournalBatch Batch() {
  const Currency usd = *Currency::FromCode("USD");
  std::map<LineKey, LineSum> sums;
  sums[{"us", usd, "2025-01", {20'119}, "api", "1200", "4000", "cost_center=100,region=eu"}] = {11'850, 1};
  sums[{"us", usd, "2025-01", {20'100}, "api", "1200", "4000", ""}] = {-5, 1};
  return Summarise(sums, "demo", 1).batches.at(0);
}

Target Codes() {
  Target target;
  target.companies = {{"us", "1"}};
  target.currencies = {{"USD", "2"}};
  target.accounts = {{"1200", "58"}, {"4000", "4"}};
  target.dimensions = {{"cost_center=100", "department=7"}};
  return target;
}

TEST(ErpJournal, IsStoredInOurCodesAndReadBack) {
  const ErpJournal journal = ErpJournalOf(Batch());
  const std::string stored = Encode(journal);
  EXPECT_EQ(stored,
            R"({"key":")" + Batch().posting_key +
                R"(","batch":"us-USD-2025-01-0001","entity":"us","currency":"USD","date":"2025-01-31","lines":[)"
                R"({"account":"4000","debit":"0.05","memo":"api, 2025-01-12","product":"api","dimensions":{}},)"
                R"({"account":"1200","credit":"0.05","memo":"api, 2025-01-12","product":"api","dimensions":{}},)"
                R"({"account":"1200","debit":"118.50","memo":"api, 2025-01-31","product":"api",)"
                R"("dimensions":{"cost_center":"100","region":"eu"}},)"
                R"({"account":"4000","credit":"118.50","memo":"api, 2025-01-31","product":"api",)"
                R"("dimensions":{"cost_center":"100","region":"eu"}}]})");
  EXPECT_EQ(DecodeErpJournal(stored), journal);
  EXPECT_EQ(DecodeErpJournal(stored.substr(1)), std::nullopt);
  EXPECT_EQ(DecodeErpJournal("{}"), std::nullopt);
}

TEST(ErpJournal, ComparesAmountsByWhatTheyAre) {
  EXPECT_EQ(PlainAmount("118.50"), PlainAmount("118.5"));
  EXPECT_EQ(PlainAmount("118"), PlainAmount("118.000"));
  EXPECT_NE(PlainAmount("118.50"), PlainAmount("118.51"));
  EXPECT_EQ(PlainAmount("1e2"), PlainAmount("100")) << "exactly, however it is written";
  EXPECT_EQ(PlainAmount("none"), std::nullopt);
}

TEST(NetsuiteJournal, HasTheCodesOfTargetsYaml) {
  const absl::StatusOr<std::string> json = NetsuiteJournal(ErpJournalOf(Batch()), Codes());
  ASSERT_TRUE(json.ok()) << json.status();
  const std::string key = Batch().posting_key;
  EXPECT_EQ(
      *json,
      R"({"externalId":")" + key + R"(","subsidiary":{"id":"1"},"currency":{"id":"2"},"tranDate":"2025-01-31",)" +
          R"("memo":"us-USD-2025-01-0001 )" + key +
          R"(","line":{"items":[)"
          R"({"account":{"id":"4"},"debit":0.05,"memo":"api, 2025-01-12"},)"
          R"({"account":{"id":"58"},"credit":0.05,"memo":"api, 2025-01-12"},)"
          R"({"account":{"id":"58"},"debit":118.50,"department":{"id":"7"},"memo":"api, 2025-01-31, region=eu"},)"
          R"({"account":{"id":"4"},"credit":118.50,"department":{"id":"7"},"memo":"api, 2025-01-31, region=eu"}]}})");
}

TEST(NetsuiteJournal, NamesTheCustomerAndMapsTheProduct) {
  ErpJournal journal = ErpJournalOf(Batch());
  for (ErpLine& line : journal.lines) line.dimensions = {{"subscription", "s1"}};
  Target target = Codes();
  target.customer_accounts = {"1200"};
  target.dimensions = {{"product=api", "class=3"}};
  EXPECT_THAT(NetsuiteJournal(journal, target).status().ToString(),
              HasSubstr("subscription \"s1\" has no customer in NetSuite: customers.csv"));
  target.ids = {{"s1", "912"}};
  const absl::StatusOr<std::string> json = NetsuiteJournal(journal, target);
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_THAT(*json, HasSubstr(R"({"account":{"id":"58"},"debit":118.50,"class":{"id":"3"},"entity":{"id":"912"},)"
                               R"("memo":"api, 2025-01-31, subscription=s1"},)"
                               R"({"account":{"id":"4"},"credit":118.50,"class":{"id":"3"},)"
                               R"("memo":"api, 2025-01-31, subscription=s1"})"));
}

TEST(NetsuiteJournal, NamesTheCodeThatIsMissing) {
  struct Case {
    void (*forget)(Target&);
    const char* error;
  };
  constexpr Case kCases[] = {
      {[](Target& t) { t.companies.clear(); },
       "entity \"us\" has no code in NetSuite: targets.yaml: add it under "
       "`subsidiaries`"},
      {[](Target& t) { t.currencies.clear(); }, "currency \"USD\" has no code in NetSuite"},
      {[](Target& t) { t.accounts.erase("1200"); }, "account \"1200\" has no code in NetSuite"},
      {[](Target& t) {
         t.dimensions = {{"cost_center=200", "class=1"}};
       },
       "dimension \"cost_center=100\" has no code in NetSuite"},
  };
  for (const Case& c : kCases) {
    Target target = Codes();
    c.forget(target);
    EXPECT_THAT(NetsuiteJournal(ErpJournalOf(Batch()), target).status().ToString(), HasSubstr(c.error));
  }
}

// Python: uuid.uuid5(uuid.NAMESPACE_URL, "tb-1/" + hashlib.sha256(b"{}").hexdigest()), with "tb-1/70/", and of b"[]".
TEST(NetsuiteIdempotencyKey, IsOfTheKeyTheFailedJobAndTheBody) {
  EXPECT_EQ(NetsuiteIdempotencyKey("tb-1", "", "{}"), "9aa8578a-ed5a-583b-a71e-8b13e8e791a7");
  EXPECT_EQ(NetsuiteIdempotencyKey("tb-1", "70", "{}"), "f074ff81-4da1-57e3-b875-e139d4611c5f");
  EXPECT_EQ(NetsuiteIdempotencyKey("tb-1", "", "[]"), "99ccd2da-d2b3-5c57-8bca-0de6c1b6ca0c");
}

}  // namespace
}  // namespace tollbook
