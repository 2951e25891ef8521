// The examples of docs/catalog.md are true: its files are one valid catalog, and its charges cost what its tables say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "rating/account_grants.h"
#include "rating/catalog_text.h"
#include "rating/price.h"
#include "rating/rate.h"
#include "tests/rating/in_words.h"

namespace tollbook {
namespace {

struct Example {
  struct Row {
    std::string quantity, worth;
  };
  std::string section;  // its heading: "plans.yaml"
  std::string heading;  // of the section or subsection
  std::string text;     // of the fenced block
  std::vector<Row> rows;
  int line = 0;
};

std::string Trimmed(std::string text) {
  text.erase(0, text.find_first_not_of(' '));
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

// `| 100 | 10 | ...`: a row of a worked example starts with a digit.
std::optional<Example::Row> RowOf(const std::string& line) {
  std::istringstream cells(line);
  std::string nothing, quantity, worth;
  if (!line.starts_with("| ") || line.size() < 3 || line[2] < '0' || line[2] > '9' ||
      !std::getline(cells, nothing, '|') || !std::getline(cells, quantity, '|') || !std::getline(cells, worth, '|')) {
    return std::nullopt;
  }
  return Example::Row{Trimmed(quantity), Trimmed(worth)};
}

std::vector<Example> ReadExamples() {
  std::ifstream file(std::filesystem::path(TOLLBOOK_SOURCE_DIR) / "docs" / "catalog.md");
  EXPECT_TRUE(file);
  std::vector<Example> examples;
  std::string section, heading;
  bool fenced = false;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.starts_with("```")) {
      fenced = !fenced;
      if (fenced) {
        examples.push_back({section, heading, "", {}, number});
      }
    } else if (fenced) {
      examples.back().text += line + "\n";
    } else if (line.starts_with("#")) {
      heading = Trimmed(line.substr(line.find_first_not_of('#')));
      if (line.starts_with("## ")) section = heading;
    } else if (const std::optional<Example::Row> row = RowOf(line); row && !examples.empty()) {
      examples.back().rows.push_back(*row);
    }
  }
  return examples;
}

bool IsFile(const Example& example) {
  return example.heading.ends_with(".yaml") || example.heading.ends_with(".csv");
}

std::map<std::string, std::string> FilesOf(const std::vector<Example>& examples) {
  std::map<std::string, std::string> files;
  for (const Example& example : examples) {
    if (IsFile(example)) {
      files[example.heading] = example.text;
    }
  }
  return files;
}

std::string Indented(const std::string& text) {
  std::istringstream lines(text);
  std::string indented;
  for (std::string line; std::getline(lines, line);) {
    indented += "    " + line + "\n";
  }
  return indented;
}

std::string Errors(const ParsedCatalog& parsed) {
  std::string text;
  for (const CatalogError& error : parsed.errors) {
    text += ToString(error) + "\n";
  }
  return text;
}

TEST(CatalogDocTest, ItsFilesAreOneValidCatalog) {
  const std::map<std::string, std::string> files = FilesOf(ReadExamples());
  EXPECT_EQ(files.size(), 15u);
  const ParsedCatalog parsed = ParseCatalog(files);
  EXPECT_EQ(Errors(parsed), "");
}

// "60 model=large region=us, 50 in 2 events on 2025-01-02, 61 at 2025-01-02T10:00:00Z": usage of one subject. Without a
// time it is of the first day, a second after what stands before it.
struct Usage {
  std::deque<std::string> words;
  std::deque<std::vector<std::string_view>> values;
  std::vector<SubjectTotal> totals;
  bool is_quantity_alone = true;
};

void AddUsage(const std::string& text, const Meter& meter, Usage* usage) {
  std::istringstream words(text);
  SubjectTotal total;
  total.meter = &meter;
  total.total.events = 1;
  std::vector<std::string_view>& values = usage->values.emplace_back(meter.dimensions.size());
  Instant at = At("2025-01-01T00:00:00Z");
  at.nanos += static_cast<int64_t>(usage->totals.size()) * 1'000'000'000;
  std::string word;
  words >> word;
  total.total.value = Units(word);
  while (words >> word) {
    usage->is_quantity_alone = false;
    const size_t equals = word.find('=');
    if (equals != std::string::npos) {
      const auto dimension = std::find(meter.dimensions.begin(), meter.dimensions.end(), word.substr(0, equals));
      ASSERT_NE(dimension, meter.dimensions.end()) << word;
      values[static_cast<size_t>(dimension - meter.dimensions.begin())] =
          usage->words.emplace_back(word.substr(equals + 1));
    } else if (word == "in") {
      words >> total.total.events >> word;
    } else if (word == "at") {
      words >> word;
      at = At(word);
    } else {
      ASSERT_EQ(word, "on");
      words >> word;
      at = At(word + "T00:00:00Z");
    }
  }
  if (HasTime(FormOf(meter))) {
    usage->is_quantity_alone = false;
    total.total.latest_at = at;
  }
  total.dimension_values = values;
  total.bucket = BucketOf(meter.granularity, at, ZoneOf("UTC"));
  usage->totals.push_back(total);
}

// Of the first charge.
Usage UsageOf(const Catalog& catalog, const std::string& text) {
  Usage usage;
  const Meter& meter = *catalog.FindMeter(catalog.plans.front().charges.front().meter);
  std::istringstream items(text);
  for (std::string item; std::getline(items, item, ',');) AddUsage(item, meter, &usage);
  return usage;
}

// What the production way books for it, exact.
std::string WorthOf(const Catalog& catalog, const std::string& text) {
  const Usage usage = UsageOf(catalog, text);
  const absl::StatusOr<RatedSubject> rated = RateSubject(catalog, "s", usage.totals, std::nullopt);
  EXPECT_TRUE(rated.ok()) << rated.status();
  if (!rated.ok() || rated->charges.size() != 1) return "no line, or several";
  const RatedCharge& charge = rated->charges.front();
  const std::string worth = ToString(WorthToDate(charge, charge.days.back()));
  if (usage.is_quantity_alone && usage.totals.size() == 1) {
    EXPECT_EQ(ToString(*PriceQuantity(*charge.charge, usage.totals.front().total.value)), worth);
  }
  return worth;
}

constexpr char kColumns[] = "subscription,account,plan,entity,currency,valid_from,valid_to,quantity\n";

// "1 from 2025-01-01 to 2025-01-16, 3 from 2025-01-16": the versions of a subscription.
std::string SubscriptionsFor(const std::string& text, const std::string& plan) {
  std::string csv = kColumns;
  std::istringstream items(text);
  for (std::string item; std::getline(items, item, ',');) {
    std::istringstream words(item);
    std::string quantity, word, from, to;
    words >> quantity >> word >> from >> word >> to;
    csv += "s,a," + plan + ",acme-us,USD," + from + "," + to + "," + quantity + "\n";
  }
  return csv;
}

// What all lines come to.
std::string SumOfLines(const Catalog& catalog, std::span<const SubjectTotal> totals, const RateWindow& window) {
  const absl::StatusOr<RatedSubject> rated = RateSubject(catalog, "s", totals, window);
  EXPECT_TRUE(rated.ok()) << rated.status();
  if (!rated.ok()) return "";
  Worth sum;
  for (const RatedCharge& charge : rated->charges) {
    EXPECT_TRUE(Wide::Add(sum.amount, WorthToDate(charge, charge.days.back()).amount, &sum.amount));
  }
  return ToString(sum);
}

// All that is due by the end of January, of so many calls on its first day.
std::string DueInJanuary(const Catalog& catalog, const std::string& calls) {
  std::vector<SubjectTotal> totals;
  const Meter& meter = *catalog.FindMeter("api.calls");
  const std::vector<std::string_view> values(meter.dimensions.size());
  if (!calls.empty()) {
    const Bucket bucket = BucketOf(meter.granularity, At("2025-01-01T00:00:00Z"), ZoneOf("UTC"));
    totals.push_back({&meter, values, bucket, {Units(calls), 1, {}}});
  }
  return SumOfLines(catalog, totals, RateWindow(On("2025-01-31")));
}

// All lines of a row of usage in several periods, or by several plans.
std::string WorthOfLines(const Catalog& catalog, const std::string& text, std::optional<Day> through) {
  return SumOfLines(catalog, UsageOf(catalog, text).totals, through);
}

// Where the rows of a CSV file are worked through: so much for a call, and a fee.
constexpr char kPlanOfCsvExamples[] = R"(plans:
  - name: example
    currency: USD
    charges:
      - {name: calls, meter: api.calls, product: api, model: per_unit, price: 0.10}
      - {name: platform, product: platform, model: fee, price: 50}
)";

// The file that the example's columns are of; empty: it is no CSV.
std::string CsvNameOf(const Example& example) {
  if (example.text.starts_with("discount,")) return "discounts.csv";
  if (example.text.starts_with("grant,account,")) return "grants.csv";
  return example.text.starts_with("grant,subscription,charge,") ? "unit_grants.csv" : "";
}

// "300, 200" calls on January 1st of two subscriptions that share what is granted to their account: what each owes.
std::string DueOfTwo(const Catalog& catalog, const std::string& row) {
  const RateWindow window(On("2025-01-31"));
  const std::string ids[] = {"s", "t"}, calls[] = {row.substr(0, row.find(',')), row.substr(row.find(' ') + 1)};
  const Meter& meter = *catalog.FindMeter("api.calls");
  const std::vector<std::string_view> values(meter.dimensions.size());
  const Bucket bucket = BucketOf(meter.granularity, At("2025-01-01T00:00:00Z"), ZoneOf("UTC"));
  DuesByAccount dues;
  SettledGrants settled;
  std::string due;
  for (const bool is_settled : {false, true}) {
    if (is_settled) Settle(catalog, "a", dues["a"], window.through, &settled);
    for (size_t i = 0; i < std::size(ids); ++i) {
      const std::vector<SubjectTotal> totals = {{&meter, values, bucket, {Units(calls[i]), 1, {}}}};
      RatedSubject rated;
      EXPECT_TRUE(SubjectRater(catalog, is_settled ? &settled : nullptr).Rate(ids[i], totals, window, &rated).ok());
      if (!is_settled) AddDues(catalog, ids[i], absl::OkStatus(), rated, &dues);
      Worth sum;
      for (const RatedCharge& line : rated.charges)
        EXPECT_TRUE(Wide::Add(sum.amount, WorthToDate(line, line.days.back()).amount, &sum.amount));
      if (is_settled) due += (due.empty() ? "" : ", ") + ToString(sum);
    }
  }
  return due;
}

std::string WorthOfRow(std::map<std::string, std::string> files, const std::string& row) {
  const bool is_amended = files["plans.yaml"].find("name: pro\n") != std::string::npos;
  const bool rolls_over = files["plans.yaml"].find("included_rollover") != std::string::npos;
  if (is_amended || rolls_over) {
    if (is_amended) {
      files["subscriptions.csv"] = std::string(kColumns) +
                                   "s,a,starter,acme-us,USD,2025-01-01,2025-01-16,\n"
                                   "s,a,pro,acme-us,USD,2025-01-16,,\n";
    }
    const ParsedCatalog parsed = ParseCatalog(files);
    EXPECT_EQ(Errors(parsed), "");
    const std::optional<Day> through = is_amended ? std::optional(On("2025-01-31")) : std::nullopt;
    return parsed.catalog ? WorthOfLines(*parsed.catalog, row, through) : "";
  }
  if (files.contains("grants.csv")) {
    files["subscriptions.csv"] =
        SubscriptionsFor("1 from 2025-01-01", "example") + "t,a,example,acme-us,USD,2025-01-01,,1\n";
    const ParsedCatalog parsed = ParseCatalog(files);
    EXPECT_EQ(Errors(parsed), "");
    return parsed.catalog ? DueOfTwo(*parsed.catalog, row) : "";
  }
  const bool is_time = row.find(" from ") != std::string::npos;
  const bool is_plan =
      files["plans.yaml"].find("committed") != std::string::npos || files["plans.yaml"] == kPlanOfCsvExamples;
  if (is_time || is_plan) {
    const std::string time = is_time ? row : "1 from 2025-01-01";
    files["subscriptions.csv"] =
        SubscriptionsFor(time, files["plans.yaml"].find("committed") != std::string::npos ? "committed" : "example");
  }
  const ParsedCatalog parsed = ParseCatalog(files);
  EXPECT_EQ(Errors(parsed), "");
  if (!parsed.catalog) return "";
  return is_time || is_plan ? DueInJanuary(*parsed.catalog, is_time ? "" : row) : WorthOf(*parsed.catalog, row);
}

TEST(CatalogDocTest, ItsChargesCostWhatItSays) {
  const std::vector<Example> examples = ReadExamples();
  int priced = 0;
  for (const Example& example : examples) {
    if (IsFile(example) || example.section == "targets.yaml") continue;  // no charges
    SCOPED_TRACE("docs/catalog.md:" + std::to_string(example.line));
    std::map<std::string, std::string> files = FilesOf(examples);
    const bool is_plan = example.text.starts_with("plans:");
    files["plans.yaml"] =
        is_plan ? example.text : "plans:\n- name: example\n  currency: USD\n  charges:\n" + Indented(example.text);
    files["posting.yaml"] = "posting: [{debit: \"1200\", credit: \"4000\"}]\n";
    for (const char* of_others : {"grants.csv", "unit_grants.csv", "discounts.csv", "contracts.yaml"})
      files.erase(of_others);
    if (const std::string csv = CsvNameOf(example); !csv.empty()) {
      files["plans.yaml"] = kPlanOfCsvExamples;
      files[csv] = example.text;
    }
    files["subscriptions.csv"] = std::string(kColumns) + "s,a,example,acme-us,USD,2025-01-01,,\n";
    EXPECT_GE(example.rows.size(), 3u);
    for (const Example::Row& row : example.rows) {
      EXPECT_EQ(WorthOfRow(files, row.quantity), row.worth) << row.quantity;
      ++priced;
    }
  }
  EXPECT_EQ(priced, 152);
}

}  // namespace
}  // namespace tollbook
