// A batch in the words of Dynamics, SAP and Oracle, to the byte, and what of it is too short or too long for them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/emit/dynamics.h"
#include "pipeline/emit/erp_call.h"
#include "pipeline/emit/oracle.h"
#include "pipeline/emit/sap.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ErpJournal Journal() {
  ErpJournal journal{"tb-key", "us-USD-2025-01-0001", "us", "USD", "2025-01-31", {}};
  journal.lines.push_back({"1200", true, "118.50", "api, 2025-01-31", {{"cost_center", "100"}, {"region", "eu"}}});
  journal.lines.push_back({"4000", false, "118.50", "api <b> & \"c\"", {}});
  return journal;
}

Target DynamicsCodes() {
  Target target;
  target.journal = "GenJrn";
  target.companies = {{"us", "usmf"}};
  target.accounts = {{"1200", "130100"}, {"4000", "401000"}};
  target.segments = {"department", "cost_center"};
  target.dimensions = {{"cost_center=100", "007"}};
  return target;
}

Target SapCodes() {
  Target target;
  target.journal = "SA";
  target.user = "TOLLBOOK";
  target.companies = {{"us", "1010"}};
  target.accounts = {{"1200", "0012100000"}, {"4000", "0041000000"}};
  target.dimensions = {{"cost_center=100", "CostCenter=10101"}};
  return target;
}

TEST(DynamicsJournal, HasTheCodesOfTargetsYaml) {
  const absl::StatusOr<DynamicsJournal> there = DynamicsJournalOf(Journal(), DynamicsCodes());
  ASSERT_TRUE(there.ok()) << there.status();
  EXPECT_EQ(there->company, "usmf");
  EXPECT_EQ(there->header, R"({"dataAreaId":"usmf","JournalName":"GenJrn","Description":"us-USD-2025-01-0001",)"
                           R"("IntegrationKey":"tb-key"})");
  EXPECT_THAT(there->accounts, ElementsAre("130100--007", "401000--"));
  EXPECT_THAT(
      there->lines,
      ElementsAre(R"("dataAreaId":"usmf","LineNumber":1,"AccountType":"Ledger","AccountDisplayValue":"130100--007",)"
                  R"("DebitAmount":118.50,"CurrencyCode":"USD","TransDate":"2025-01-31T12:00:00Z",)"
                  R"("Voucher":"TBMUTX3KQAJEHOIRKO","Document":"TBMUTX3KQAJEHOIRKO",)"
                  R"("Text":"api, 2025-01-31, region=eu")",
                  R"("dataAreaId":"usmf","LineNumber":2,"AccountType":"Ledger","AccountDisplayValue":"401000--",)"
                  R"("CreditAmount":118.50,"CurrencyCode":"USD","TransDate":"2025-01-31T12:00:00Z",)"
                  R"("Voucher":"TBMUTX3KQAJEHOIRKO","Document":"TBMUTX3KQAJEHOIRKO",)"
                  R"("Text":"api <b> & \"c\"")"));
}

TEST(SapJournal, HasTheCodesOfTargetsYaml) {
  const absl::StatusOr<std::string> xml = SapJournal(Journal(), SapCodes());
  ASSERT_TRUE(xml.ok()) << xml.status();
  EXPECT_EQ(*xml, R"(<sfin:JournalEntryBulkCreateRequest xmlns:sfin="http://sap.com/xi/SAPSCORE/SFIN"><MessageHeader>)"
                  "<ID>MUTX3KQAJEHOIRKO</ID><CreationDateTime>2025-01-31T00:00:00Z</CreationDateTime></MessageHeader>"
                  "<JournalEntryCreateRequest><MessageHeader><ID>MUTX3KQAJEHOIRKO-1</ID>"
                  "<CreationDateTime>2025-01-31T00:00:00Z</CreationDateTime></MessageHeader><JournalEntry>"
                  "<OriginalReferenceDocumentType>BKPFF</OriginalReferenceDocumentType>"
                  "<OriginalReferenceDocument>MUTX3KQAJEHOIRKO</OriginalReferenceDocument>"
                  "<BusinessTransactionType>RFBU</BusinessTransactionType>"
                  "<AccountingDocumentType>SA</AccountingDocumentType>"
                  "<DocumentReferenceID>MUTX3KQAJEHOIRKO</DocumentReferenceID>"
                  "<DocumentHeaderText>us-USD-2025-01-0001</DocumentHeaderText><CreatedByUser>TOLLBOOK</CreatedByUser>"
                  "<CompanyCode>1010</CompanyCode><DocumentDate>2025-01-31</DocumentDate>"
                  "<PostingDate>2025-01-31</PostingDate>"
                  "<Item><ReferenceDocumentItem>1</ReferenceDocumentItem><GLAccount>0012100000</GLAccount>"
                  R"(<AmountInTransactionCurrency currencyCode="USD">118.50</AmountInTransactionCurrency>)"
                  "<DebitCreditCode>S</DebitCreditCode><DocumentItemText>api, 2025-01-31, region=eu</DocumentItemText>"
                  "<AccountAssignment><CostCenter>10101</CostCenter></AccountAssignment></Item>"
                  "<Item><ReferenceDocumentItem>2</ReferenceDocumentItem><GLAccount>0041000000</GLAccount>"
                  R"(<AmountInTransactionCurrency currencyCode="USD">-118.50</AmountInTransactionCurrency>)"
                  "<DebitCreditCode>H</DebitCreditCode>"
                  "<DocumentItemText>api &lt;b&gt; &amp; &quot;c&quot;</DocumentItemText></Item>"
                  "</JournalEntry></JournalEntryCreateRequest></sfin:JournalEntryBulkCreateRequest>");
}

Target OracleCodes() {
  Target target;
  target.journal = "Tollbook";
  target.category = "Usage";
  target.companies = {{"us", "300000046975971"}};
  target.accounts = {{"1200", "01.{cost_center}.12100"}, {"4000", "01.{cost_center}.41000"}};
  target.dimensions = {{"cost_center=100", "007"}, {"cost_center=", "000"}};
  return target;
}

TEST(OracleJournal, HasTheCodesOfTargetsYaml) {
  const absl::StatusOr<std::string> csv = OracleJournal(Journal(), OracleCodes(), "90001");
  ASSERT_TRUE(csv.ok()) << csv.status();
  const std::string head = "NEW,300000046975971,2025/01/31,Tollbook,Usage,USD,2025/01/31,A,01,";
  const auto commas = [](size_t count) { return std::string(count, ','); };
  // Segments from 8, amounts in 38 and 39, names in 42, 43 and 45, text in 51, group in 66, 149 in all.
  EXPECT_EQ(*csv, head + "007,12100" + commas(28) + "118.50" + commas(4) + "tb-key,us-USD-2025-01-0001,,tb-key" +
                      commas(6) + "\"api, 2025-01-31, region=eu\"" + commas(15) + "90001" + commas(82) + "\n" + head +
                      "000,41000" + commas(29) + "118.50" + commas(3) + "tb-key,us-USD-2025-01-0001,,tb-key" +
                      commas(6) + "\"api <b> & \"\"c\"\"\"" + commas(15) + "90001" + commas(82) + "\n");
}

TEST(OracleJournal, NamesTheCodeThatIsMissing) {
  for (const char* code : {"cost_center=100", "cost_center="}) {
    Target target = OracleCodes();
    target.dimensions.erase(code);
    EXPECT_THAT(OracleJournal(Journal(), target, "1").status().ToString(),
                HasSubstr("dimension \"" + std::string(code) + "\" has no code in Oracle"));
  }
}

// Python: int.from_bytes(hashlib.sha256(b"tb-key").digest()[:8], "big") >> 5, and of b"tb-key/9000".
TEST(OracleGroupId, IsOfTheKeyAndTheSend) {
  EXPECT_EQ(OracleGroupId("tb-key", 1), "393803763063143692");
  EXPECT_EQ(OracleGroupId("tb-key", 2), "334170908567241405");
}

// Python: zipfile.ZipInfo("a.csv"), whose date is the same, stored; its bytes but for the version, system and mode.
TEST(ZipOf, IsTheSameEachTime) {
  const std::string zip = ZipOf("a.csv", "1,2\n");
  EXPECT_EQ(zip, ZipOf("a.csv", "1,2\n"));
  const std::string_view entry("\x14\0\0\0\0\0\0\0\x21\0\063\102\041\125\x04\0\0\0\x04\0\0\0\x05\0\0\0", 26);
  EXPECT_EQ(zip.substr(0, 39), "PK\x03\x04" + std::string(entry) + "a.csv1,2\n");
  EXPECT_EQ(zip.substr(39, 6), std::string("PK\x01\x02\x14\0", 6));
  EXPECT_EQ(zip.size(), 39u + 51 + 22);
}

TEST(ErpCodes, NameTheOneThatIsMissing) {
  struct Case {
    void (*forget)(Target&);
    const char* of_dynamics;
    const char* of_sap;
  };
  const Case cases[] = {
      {[](Target& t) { t.companies.clear(); },
       "entity \"us\" has no code in Dynamics: targets.yaml: add it under `companies`",
       "entity \"us\" has no code in SAP: targets.yaml: add it under `company_codes`"},
      {[](Target& t) { t.accounts.erase("4000"); }, "account \"4000\" has no code in Dynamics",
       "account \"4000\" has no code in SAP"},
      {[](Target& t) {
         t.dimensions = {{"cost_center=200", "CostCenter=1"}};
       },
       "dimension \"cost_center=100\" has no code in Dynamics", "dimension \"cost_center=100\" has no code in SAP"},
  };
  for (const Case& c : cases) {
    Target dynamics = DynamicsCodes(), sap = SapCodes();
    c.forget(dynamics);
    c.forget(sap);
    EXPECT_THAT(DynamicsJournalOf(Journal(), dynamics).status().ToString(), HasSubstr(c.of_dynamics));
    EXPECT_THAT(SapJournal(Journal(), sap).status().ToString(), HasSubstr(c.of_sap));
  }
}

ErpJournal OfCustomer(const std::string& subscription) {
  ErpJournal journal = Journal();
  journal.lines[0].product = journal.lines[1].product = "api";
  for (ErpLine& line : journal.lines) line.dimensions = {{"tax_code", "VAT19"}};
  if (subscription.empty()) return journal;
  for (ErpLine& line : journal.lines) line.dimensions.emplace_back("subscription", subscription);
  return journal;
}

TEST(DynamicsJournal, NamesCustomersAndTaxGroups) {
  Target target = DynamicsCodes();
  target.segments = {"product"};
  target.dimensions = {{"product=api", "P1"}};
  target.customer_accounts = {"1200"};
  target.ids = {{"s1", "US-027"}};
  target.tax_codes = {{"VAT19", {"DOM", "FULL"}}};
  target.tax_accounts = {"4000"};
  const absl::StatusOr<DynamicsJournal> there = DynamicsJournalOf(OfCustomer("s1"), target);
  ASSERT_TRUE(there.ok()) << there.status();
  EXPECT_THAT(there->accounts, ElementsAre("US-027", "401000-P1"));
  EXPECT_THAT(there->lines[0], HasSubstr(R"("AccountType":"Cust","AccountDisplayValue":"US-027","DebitAmount":118.50,)"
                                         R"("CurrencyCode")"));
  EXPECT_THAT(there->lines[0], HasSubstr("subscription=s1, tax_code=VAT19")) << "its text tells what has no field";
  EXPECT_THAT(there->lines[1], HasSubstr(R"("AccountType":"Ledger","AccountDisplayValue":"401000-P1",)"
                                         R"("CreditAmount":118.50,"SalesTaxGroup":"DOM","ItemSalesTaxGroup":"FULL",)"));
  EXPECT_THAT(there->lines[1], testing::Not(HasSubstr("tax_code=")));

  struct Case {
    const char* name;
    void (*forget)(Target&);
    std::string subscription;
    const char* error;
  };
  const Case cases[] = {
      {"the customer", [](Target& t) { t.ids.clear(); }, "s1",
       "subscription \"s1\" has no customer in Dynamics: customers.csv: add a row of it, or of its account"},
      {"whose it is", [](Target&) {}, "", "a line of account \"1200\" names no customer of Dynamics"},
      {"the tax code",
       [](Target& t) {
         t.tax_codes = {{"VAT7", {"DOM", "RED"}}};
       },
       "s1", "tax code \"VAT19\" has no code in Dynamics: targets.yaml: add it under `tax_codes`"},
      {"the product", [](Target& t) { t.dimensions.clear(); }, "s1",
       "dimension \"product=api\" has no code in Dynamics"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Target without = target;
    c.forget(without);
    EXPECT_THAT(DynamicsJournalOf(OfCustomer(c.subscription), without).status().ToString(), HasSubstr(c.error));
  }
}

// Where `dimensions` maps it, a product has a field like any dimension; else the text tells it, as ever, and once.
TEST(ErpJournals, MayMapTheProduct) {
  ErpJournal journal = Journal();
  for (ErpLine& line : journal.lines) line.product = "api";
  EXPECT_EQ(SapJournal(journal, SapCodes()).value_or(""), SapJournal(Journal(), SapCodes()).value_or("none"));
  EXPECT_EQ(OracleJournal(journal, OracleCodes(), "1").value_or(""),
            OracleJournal(Journal(), OracleCodes(), "1").value_or("none"));
  Target sap = SapCodes(), oracle = OracleCodes();
  sap.dimensions["product=api"] = "ProfitCenter=YB1";
  EXPECT_THAT(SapJournal(journal, sap).value_or(""),
              HasSubstr("<AccountAssignment><ProfitCenter>YB1</ProfitCenter></AccountAssignment>"));
  oracle.accounts["4000"] = "01.{product}.41000";
  EXPECT_THAT(OracleJournal(journal, oracle, "1").status().ToString(),
              HasSubstr("dimension \"product=api\" has no code in Oracle"));
  oracle.dimensions["product=api"] = "P1";
  EXPECT_THAT(OracleJournal(journal, oracle, "1").value_or(""), HasSubstr(",01,P1,41000,"));
}

TEST(SameLines, ComparesTheFieldsThatOursHave) {
  const ErpSide one("4000", false, "7"), two("4000", false, "8");
  struct Case {
    const char* name;
    std::vector<ErpCompared> ours, there;
    bool same;
  };
  const Case cases[] = {
      {"nothing", {}, {}, true},
      {"another order", {{one}, {two}}, {{two}, {one}}, true},
      {"one too many", {{one}}, {{one}, {one}}, false},
      {"one twice", {{one}, {two}}, {{one}, {one}}, false},
      {"the same value", {{one, {{"d", "7"}}}}, {{one, {{"d", "7"}}}}, true},
      {"another", {{one, {{"d", "7"}}}}, {{one, {{"d", "8"}}}}, false},
      {"it was taken out", {{one, {{"d", "7"}}}}, {{one, {{"d", ""}}}}, false},
      {"it is not shown", {{one, {{"d", "7"}}}}, {{one}}, true},
      {"the ERP's own", {{one}}, {{one, {{"d", "7"}}}}, true},
      {"two lines that differ by it",
       {{one, {{"d", "7"}}}, {one, {{"d", "8"}}}},
       {{one, {{"d", "8"}}}, {one, {{"d", "7"}}}},
       true},
      {"swapped for another's",
       {{one, {{"d", "7"}}}, {two, {{"d", "8"}}}},
       {{one, {{"d", "8"}}}, {two, {{"d", "7"}}}},
       false},
      {"what does for any is not taken first",
       {{one, {{"d", "7"}}}, {one, {{"d", "8"}}}},
       {{one}, {one, {{"d", "7"}}}},
       true},
  };
  for (const Case& c : cases) EXPECT_EQ(SameLines(c.ours, c.there), c.same) << c.name;
}

// Python: base64.b32encode(hashlib.sha256(b"tb-key").digest()[:10])
TEST(ErpTexts, AreMadeShort) {
  EXPECT_EQ(ShortKey("tb-key"), "MUTX3KQAJEHOIRKO");
  EXPECT_EQ(FirstCharacters("abc", 3), "abc");
  EXPECT_EQ(FirstCharacters("abc", 2), "ab");
  EXPECT_EQ(FirstCharacters("\u00e4\u20ac\u00f6", 2), "\u00e4\u20ac") << "no character is cut in two";
  EXPECT_EQ(FirstCharacters("", 2), "");
}

TEST(XmlTexts, FindsAnElementWhateverItsPrefix) {
  constexpr const char* kAnswer =
      "<?xml version=\"1.0\"?><s:Envelope><a:Note lang=\"en\">one &amp; two</a:Note><Note/><Notes>x</Notes>"
      "<Note>&lt;&gt;&quot;&apos;</Note></s:Envelope>";
  EXPECT_THAT(XmlTexts(kAnswer, "Note"), ElementsAre("one & two", "<>\"'"));
  EXPECT_THAT(XmlTexts(kAnswer, "Envelope"), ElementsAre(""));
  EXPECT_THAT(XmlTexts("<Note", "Note"), ElementsAre());
  EXPECT_THAT(XmlTexts("<Note>cut", "Note"), ElementsAre("cut"));
}

}  // namespace
}  // namespace tollbook
