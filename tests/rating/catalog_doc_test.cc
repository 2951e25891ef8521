// The examples of docs/catalog.md are true: its files are one valid catalog, and its charges cost what its tables say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "rating/catalog_text.h"
#include "rating/price.h"

namespace tollbook {
namespace {

struct Example {
  struct Row {
    std::string quantity, worth;
  };
  std::string heading;  // of the section or subsection: "plans.yaml"
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
  std::string heading;
  bool fenced = false;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.starts_with("```")) {
      fenced = !fenced;
      if (fenced) {
        examples.push_back({heading, "", {}, number});
      }
    } else if (fenced) {
      examples.back().text += line + "\n";
    } else if (line.starts_with("#")) {
      heading = Trimmed(line.substr(line.find_first_not_of('#')));
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
  EXPECT_EQ(files.size(), 8u);
  const ParsedCatalog parsed = ParseCatalog(files);
  EXPECT_EQ(Errors(parsed), "");
}

TEST(CatalogDocTest, ItsChargesCostWhatItSays) {
  const std::vector<Example> examples = ReadExamples();
  int priced = 0;
  for (const Example& example : examples) {
    if (IsFile(example)) {
      continue;
    }
    SCOPED_TRACE("docs/catalog.md:" + std::to_string(example.line));
    std::map<std::string, std::string> files = FilesOf(examples);
    files["plans.yaml"] = "plans:\n- name: example\n  currency: USD\n  charges:\n" + Indented(example.text);
    files["posting.yaml"] = "posting: [{debit: \"1200\", credit: \"4000\"}]\n";
    files["subscriptions.csv"] = "subscription,account,plan,entity,currency,valid_from,valid_to\n";
    const ParsedCatalog parsed = ParseCatalog(files);
    ASSERT_EQ(Errors(parsed), "");
    EXPECT_GE(example.rows.size(), 3u);
    for (const Example::Row& row : example.rows) {
      const ParsedDecimal quantity = ParseDecimal(row.quantity, kQuantityScale);
      ASSERT_EQ(quantity.error, DecimalError::kNone) << row.quantity;
      const absl::StatusOr<Worth> worth = PriceQuantity(parsed.catalog->plans[0].charges[0], Quantity{quantity.value});
      ASSERT_TRUE(worth.ok()) << worth.status();
      EXPECT_EQ(ToString(*worth), row.worth) << row.quantity;
      ++priced;
    }
  }
  EXPECT_EQ(priced, 17);
}

}  // namespace
}  // namespace tollbook
