#include "rating/catalog_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "rating/catalog_younger_rules.h"
#include "rating/price.h"

namespace tollbook {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Files = std::map<std::string, std::string>;

const std::filesystem::path kTests = std::filesystem::path(TOLLBOOK_SOURCE_DIR) / "tests";

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

Files ReadFiles(const std::filesystem::path& directory) {
  Files files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    files[entry.path().filename().string()] = ReadAll(entry.path());
  }
  return files;
}

std::vector<std::string> ErrorsOf(const Files& files) {
  const ParsedCatalog parsed = ParseCatalog(files);
  std::vector<std::string> errors;
  for (const CatalogError& error : parsed.catalog ? CheckYoungerRules(*parsed.catalog) : parsed.errors) {
    errors.push_back(ToString(error));
  }
  return errors;
}

// One case of tests/catalog_errors/cases.txt; the form is described there.
struct Case {
  struct Change {
    std::string file, from, to;
    bool removes = false;
  };
  int line = 0;
  std::string title;
  std::vector<Change> changes;
  std::vector<std::string> errors;
};

std::string Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 2) == "\\x") {
      out += static_cast<char>(std::stoi(std::string(text.substr(i + 2, 2)), nullptr, 16));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

void AddLine(std::string* text, std::string_view line) {
  text->append(text->empty() ? "" : "\n").append(Unescape(line));
}

std::vector<Case> ReadCases() {
  std::vector<Case> cases;
  std::istringstream lines(ReadAll(kTests / "catalog_errors" / "cases.txt"));
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const std::string_view rest = line.size() > 2 ? std::string_view(line).substr(2) : std::string_view();
    switch (line.empty() ? '#' : line[0]) {
      case '#':
        break;
      case '*':
        cases.push_back({number, std::string(rest), {}, {}});
        break;
      case '@':
        cases.back().changes.push_back({std::string(rest), "", "", false});
        break;
      case 'x':
        cases.back().changes.push_back({std::string(rest), "", "", true});
        break;
      case '<':
        AddLine(&cases.back().changes.back().from, rest);
        break;
      case '>':
        AddLine(&cases.back().changes.back().to, rest);
        break;
      case '=':
        cases.back().errors.push_back(std::string(rest));
        break;
      default:
        ADD_FAILURE() << "cases.txt:" << number << ": a line starts with none of # * @ x < > =";
    }
  }
  return cases;
}

void Apply(const Case::Change& change, Files* files) {
  if (change.removes) {
    EXPECT_EQ(files->erase(change.file), 1u);
    return;
  }
  std::string& text = (*files)[change.file];
  if (change.from.empty()) {
    text = change.to + "\n";
    return;
  }
  const size_t at = text.find(change.from);
  ASSERT_NE(at, std::string::npos) << change.from;
  ASSERT_EQ(text.find(change.from, at + 1), std::string::npos) << change.from << " is there twice";
  text.replace(at, change.from.size(), change.to);
}

TEST(CatalogTextTest, SaysWhatIsWrongWhereAndWhatToDo) {
  const Files base = ReadFiles(kTests / "catalog_errors" / "base");
  ASSERT_THAT(ErrorsOf(base), IsEmpty());
  const std::vector<Case> cases = ReadCases();
  ASSERT_GT(cases.size(), 50u);
  for (const Case& wrong : cases) {
    SCOPED_TRACE("cases.txt:" + std::to_string(wrong.line) + ": " + wrong.title);
    Files files = base;
    for (const Case::Change& change : wrong.changes) {
      Apply(change, &files);
    }
    EXPECT_EQ(ErrorsOf(files), wrong.errors);
  }
}

// A book may have been sealed by it: whatever is made stricter later, what it was sealed by is read.
TEST(CatalogTextTest, ReadsWhatOnlyAYoungerRuleRefuses) {
  Files files = ReadFiles(kTests / "catalog_errors" / "base");
  const std::string name = "  - name: starter\n    currency: USD\n";
  std::string& plans = files.at("plans.yaml");
  ASSERT_NE(plans.find(name), std::string::npos);
  plans.insert(plans.find(name) + name.size(),
               "    minimum: {amount: 100, product: api, on_amendment: restart}\n"
               "    maximum: {amount: 200, product: api}\n");
  const ParsedCatalog parsed = ParseCatalog(files);
  ASSERT_TRUE(parsed.catalog.has_value());
  EXPECT_EQ(CheckYoungerRules(*parsed.catalog).size(), 1u);
}

TEST(CatalogTextTest, ReadsBookEntitiesAndAccounts) {
  const ParsedCatalog parsed = ParseCatalog(ReadFiles(kTests / "catalog_errors" / "base"));
  ASSERT_TRUE(parsed.catalog.has_value());
  const Catalog& catalog = *parsed.catalog;
  EXPECT_EQ(catalog.book.name, "demo");
  EXPECT_EQ(catalog.book.zone.name(), "UTC");
  EXPECT_EQ(catalog.book.rounding, Rounding::kHalfEven);
  ASSERT_EQ(catalog.entities.size(), 2u);
  EXPECT_EQ(catalog.entities[0].name, "acme-us");
  EXPECT_FALSE(catalog.entities[0].zone.has_value());
  EXPECT_EQ(catalog.entities[1].functional_currency.code(), "EUR");
  EXPECT_EQ(catalog.entities[1].zone->name(), "Europe/Berlin");
  ASSERT_EQ(catalog.accounts.size(), 3u);
  EXPECT_EQ(catalog.accounts[2].code, "revenue:eu");
  EXPECT_EQ(catalog.accounts[2].name, "Usage revenue Europe");
  EXPECT_EQ(catalog.accounts[2].type, "revenue");
}

TEST(CatalogTextTest, ReadsMetersSortedByName) {
  const ParsedCatalog parsed = ParseCatalog(ReadFiles(kTests / "catalog_errors" / "base"));
  ASSERT_TRUE(parsed.catalog.has_value());
  EXPECT_THAT(parsed.catalog->meters, ElementsAre(Meter{"api.calls",
                                                        "http.request",
                                                        Aggregation::kCount,
                                                        "",
                                                        {},
                                                        "",
                                                        Granularity::kDay,
                                                        false,
                                                        "",
                                                        "",
                                                        false,
                                                        {}},
                                                  Meter{"llm.tokens",
                                                        "llm.tokens",
                                                        Aggregation::kSum,
                                                        "tokens",
                                                        {"model", "region"},
                                                        "token",
                                                        Granularity::kHour,
                                                        false,
                                                        "",
                                                        "",
                                                        false,
                                                        {}},
                                                  Meter{"storage",
                                                        "storage",
                                                        Aggregation::kMax,
                                                        "usage.gb",
                                                        {},
                                                        "",
                                                        Granularity::kDay,
                                                        true,
                                                        "",
                                                        "",
                                                        false,
                                                        {}}));
  EXPECT_THAT(parsed.catalog->MetersOfType("http.request"), ElementsAre(0u));
}

TEST(CatalogTextTest, ReadsChargesWithPricesOfOneUnit) {
  const ParsedCatalog parsed = ParseCatalog(ReadFiles(kTests / "catalog_errors" / "base"));
  ASSERT_TRUE(parsed.catalog.has_value());
  ASSERT_EQ(parsed.catalog->plans.size(), 2u);
  const Plan& plan = parsed.catalog->plans[0];
  EXPECT_EQ(plan.name, "starter");
  EXPECT_EQ(plan.currency.code(), "USD");
  ASSERT_EQ(plan.charges.size(), 4u);

  const Charge& graduated = plan.charges[0];
  EXPECT_EQ(graduated.name, "tokens-large");
  EXPECT_EQ(graduated.meter, "llm.tokens");
  EXPECT_EQ(graduated.product, "tokens");
  EXPECT_EQ(graduated.pricing.model, ChargeModel::kGraduated);
  EXPECT_EQ(graduated.included, Quantity::Units(1000));
  EXPECT_EQ(graduated.filter, (Filter{{"model", "m-large"}}));
  EXPECT_EQ(graduated.line, 5);
  EXPECT_FALSE(graduated.pricing.flat_at_zero);
  ASSERT_EQ(graduated.pricing.tiers.size(), 3u);
  EXPECT_EQ(graduated.pricing.tiers[0].up_to, Quantity::Units(5000));
  EXPECT_EQ(ToString(graduated.pricing.tiers[0].unit_price), "0.000004");
  EXPECT_EQ(ToString(graduated.pricing.tiers[1].unit_price), "0.0000032");
  EXPECT_EQ(ToString(graduated.pricing.tiers[1].flat), "5");
  EXPECT_FALSE(graduated.pricing.tiers[2].up_to.has_value());

  EXPECT_EQ(plan.charges[1].pricing.model, ChargeModel::kVolume);
  EXPECT_TRUE(plan.charges[1].pricing.flat_at_zero);
  EXPECT_EQ(plan.charges[2].pricing.model, ChargeModel::kPerUnit);
  EXPECT_EQ(ToString(plan.charges[2].pricing.unit_price), "0.001");
  EXPECT_EQ(plan.charges[3].pricing.model, ChargeModel::kPackage);
  EXPECT_EQ(plan.charges[3].pricing.package_size, Quantity::Units(50));
  EXPECT_EQ(ToString(plan.charges[3].pricing.package_price), "3");
}

TEST(CatalogTextTest, ReadsPostingRules) {
  const ParsedCatalog parsed = ParseCatalog(ReadFiles(kTests / "catalog_errors" / "base"));
  ASSERT_TRUE(parsed.catalog.has_value());
  ASSERT_EQ(parsed.catalog->posting_rules.size(), 3u);
  const PostingRule& tokens = parsed.catalog->posting_rules[1];
  EXPECT_EQ(tokens.product, "tokens");
  EXPECT_EQ(tokens.entity, "");
  EXPECT_EQ(tokens.debit, "1200");
  EXPECT_EQ(tokens.credit, "4000");
  EXPECT_EQ(tokens.dimensions, (std::map<std::string, std::string>{{"cost_center", "100"}}));
  EXPECT_EQ(tokens.summary, SummaryPolicy::kDaily);
  EXPECT_EQ(parsed.catalog->posting_rules[2].summary, SummaryPolicy::kPeriod);
  EXPECT_EQ(parsed.catalog->PostingFor({.product = "api", .entity = "acme-eu"})->credit, "revenue:eu");
}

TEST(CatalogTextTest, ReadsSubscriptionsBySubjectAndTime) {
  const ParsedCatalog parsed = ParseCatalog(ReadFiles(kTests / "catalog_errors" / "base"));
  ASSERT_TRUE(parsed.catalog.has_value());
  std::vector<std::string> rows;
  for (const Subscription& s : parsed.catalog->subscriptions) {
    rows.push_back(std::string(s.subject) + " " + std::string(s.id) + " " + std::string(s.account) + " " +
                   parsed.catalog->plans[s.plan].name + " " + parsed.catalog->entities[s.entity].name + " " +
                   s.zone.name() + " " + ToString(s.valid_from) + " " + (s.valid_to ? ToString(*s.valid_to) : "open") +
                   " line " + std::to_string(s.line));
  }
  EXPECT_THAT(rows, ElementsAre("s1 s1 acct-1 starter acme-us UTC 2025-01-01 2025-03-01 line 2",
                                "s1 s1 acct-1 starter acme-us UTC 2025-03-01 open line 3",
                                "s4 s4 acct \"4\" europe acme-us America/New_York 2024-12-01 open line 6",
                                "tenant/2 s2 acct-2 europe acme-eu Europe/Berlin 2025-02-10 2025-02-20 line 4",
                                "tenant/2 s3 acct-2 europe acme-eu Europe/Berlin 2025-02-20 open line 5"));
  EXPECT_EQ(parsed.catalog->SubscriptionsOf("tenant/2").begin()->id, "s2");
}

// Names are views: of the file's text, or of copies where quotes are doubled. Both belong to the catalog and its
// copies.
TEST(CatalogTextTest, NamesOutliveTheTextAndTheCatalogTheyWereReadInto) {
  std::optional<Catalog> copy;
  {
    Files files = ReadFiles(kTests / "catalog_errors" / "base");
    files["subscriptions.csv"] =
        "subscription,account,plan,entity,currency,valid_from,valid_to,subject\n"
        "\"ac\"\"me\",\"the \"\"account\"\" of a long name\",starter,acme-us,USD,2025-01-01,,\"\"\"te\"\"nant\"\"\"\n"
        "\"\"\"\"\"\",\"a,b\",starter,acme-us,USD,2025-01-01,,\n"
        "\"plain\",\"\"\"\"\"\"\"\",starter,acme-us,USD,2025-01-01,,\"sub\"\"ject\"\n"
        "s\xC3\xA9,account,starter,acme-us,USD,2025-01-01,,\n";
    ParsedCatalog parsed = ParseCatalog(files);
    ASSERT_TRUE(parsed.catalog.has_value()) << ToString(parsed.errors.at(0));
    copy = *parsed.catalog;
    for (auto& [name, text] : files) std::fill(text.begin(), text.end(), '?');
  }
  std::vector<std::string> rows;
  for (const Subscription& s : copy->subscriptions) {
    rows.push_back(std::string(s.id) + "|" + std::string(s.subject) + "|" + std::string(s.account));
    EXPECT_EQ(copy->SubscriptionsOf(std::string(s.subject)).begin(), &s);
  }
  EXPECT_THAT(rows, ElementsAre("\"\"|\"\"|a,b", "ac\"me|\"te\"nant\"|the \"account\" of a long name",
                                "plain|sub\"ject|\"\"\"", "s\xC3\xA9|s\xC3\xA9|account"));
}

TEST(CatalogTextTest, DigestFollowsTheCatalogFilesOnly) {
  Files files = ReadFiles(kTests / "catalog_errors" / "base");
  const std::string digest = ParseCatalog(files).catalog->digest;
  EXPECT_EQ(digest.size(), 64u);
  files["README.md"] = "about";
  files["notes.txt"] = "more";
  EXPECT_EQ(ParseCatalog(files).catalog->digest, digest);
  files["plans.yaml"] += "# a comment\n";
  EXPECT_NE(ParseCatalog(files).catalog->digest, digest);
}

TEST(CatalogTextTest, ListsAHundredErrorsOfAFile) {
  Files files = ReadFiles(kTests / "catalog_errors" / "base");
  for (int i = 0; i < 500; ++i) {
    files["subscriptions.csv"] += "x" + std::to_string(i) + ",a,nobody,acme-us,USD,2025-01-01,,,\n";
  }
  const std::vector<std::string> errors = ErrorsOf(files);
  ASSERT_EQ(errors.size(), 101u);
  EXPECT_EQ(errors.back(),
            "subscriptions.csv:107: more errors than 100 in this file: mend those listed and check again");
}

TEST(CatalogTextTest, RefusesALargeYamlFile) {
  Files files = ReadFiles(kTests / "catalog_errors" / "base");
  files["chart.yaml"] += std::string(17 << 20, '#');
  EXPECT_THAT(ErrorsOf(files),
              ElementsAre("chart.yaml: the file has more than 16 MiB: split it, or look whether it is the right file"));
}

TEST(CatalogTextTest, RefusesAFileOfTooManyValues) {
  Files files = ReadFiles(kTests / "catalog_errors" / "base");
  std::string& text = files["chart.yaml"];
  text = "accounts: [";
  for (int i = 0; i < 500'001; ++i) {
    text += "1,";
  }
  text += "]\n";
  EXPECT_THAT(ErrorsOf(files), ElementsAre("chart.yaml:1: more than 500000 values: split the catalog"));
}

// Whatever is cut off or flipped, the reader answers; it neither throws nor crashes.
TEST(CatalogTextTest, TakesAnyDamage) {
  const Files base = ReadFiles(kTests / "catalog_errors" / "base");
  for (const auto& [name, text] : base) {
    for (size_t i = 0; i < text.size(); i += 7) {
      Files files = base;
      files[name] = text.substr(0, i);
      (void)ParseCatalog(files);
      files[name] = text;
      files[name][i] = "{[\"*&!:-\n\t"[i % 10];
      (void)ParseCatalog(files);
    }
  }
  Files deep = base;
  deep["plans.yaml"] = "plans: " + std::string(100'000, '[');
  EXPECT_FALSE(ParseCatalog(deep).catalog.has_value());
}

}  // namespace
}  // namespace tollbook
