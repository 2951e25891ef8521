// What other billing systems expect of charge models: tests/conformance/rating/*.json, by the way of `tollbook quote`.
#include "pipeline/conformance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "pipeline/vector_case.h"

namespace tollbook {
namespace {

const std::string kVectors = TOLLBOOK_SOURCE_DIR "/tests/conformance/rating";

using Verdict = VectorResult::Verdict;

std::vector<VectorResult> RunAll(const std::vector<VectorCase>& vectors) {
  std::vector<VectorResult> results;
  for (const VectorCase& vector : vectors) results.push_back(RunVector(vector));
  return results;
}

std::vector<VectorCase> CasesOf(const std::string& cases) {
  absl::StatusOr<std::vector<VectorCase>> parsed = ParseVectorFile(R"({"cases": [)" + cases + "]}", "test.json");
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? *std::move(parsed) : std::vector<VectorCase>();
}

VectorResult RunOne(const std::string& one) {
  const std::vector<VectorCase> cases = CasesOf(one);
  return cases.empty() ? VectorResult() : RunVector(cases.front());
}

// Passed and unsupported, by model: the files as they are. What passes less is a mistake, and more is a change to look
// at; nothing fails.
const std::map<std::string, VerdictCounts> kExpected = {
    {"commitment_window", {5, 0, 0}},
    {"credits", {15, 0, 0}},
    {"discount", {5, 0, 0}},
    {"dynamic", {4, 0, 0}},
    {"graduated", {32, 0, 0}},
    {"graduated_percentage", {5, 0, 0}},
    {"latest", {2, 0, 0}},
    {"matrix", {7, 0, 0}},
    {"max", {1, 0, 0}},
    {"maximum", {3, 0, 0}},
    {"minimum", {5, 0, 0}},
    {"package", {20, 0, 0}},
    {"per_unit", {13, 0, 0}},
    {"percentage", {8, 0, 0}},
    {"proration", {52, 0, 0}},
    {"rerate", {19, 0, 0}},
    {"rounding", {22, 0, 0}},
    {"stairstep", {6, 0, 0}},
    {"sum", {2, 0, 0}},
    {"time_rate", {10, 0, 0}},
    {"unique_count", {7, 0, 0}},
    {"unit_conversion", {7, 0, 0}},
    {"volume", {22, 0, 0}},
    {"weighted_sum", {6, 0, 0}},
};

TEST(Conformance, QuotesGiveWhatOtherSystemsExpect) {
  const absl::StatusOr<std::vector<VectorCase>> vectors = ReadVectors(kVectors);
  ASSERT_TRUE(vectors.ok()) << vectors.status();
  EXPECT_EQ(vectors->size(), 278u);
  const std::vector<VectorResult> results = RunAll(*vectors);
  for (const VectorResult& result : results) {
    EXPECT_NE(result.verdict, Verdict::kFailed)
        << result.id << ": " << result.why << " expected " << result.expected << ", got " << result.got;
  }
  const std::map<std::string, VerdictCounts> counts = CountByModel(results);
  for (const auto& [model, expected] : kExpected) {
    SCOPED_TRACE(model);
    ASSERT_TRUE(counts.contains(model));
    EXPECT_EQ(counts.at(model).passed, expected.passed);
    EXPECT_EQ(counts.at(model).unsupported, expected.unsupported);
  }
  EXPECT_EQ(counts.size(), kExpected.size());
}

struct Disagreement {
  std::vector<std::string> says, lacks;  // words of the catalog
  std::vector<std::string> cases;
};

std::vector<std::string> InBackticks(const std::string& text) {
  std::vector<std::string> words;
  for (size_t begin = text.find('`'); begin != std::string::npos; begin = text.find('`', begin)) {
    const size_t end = text.find('`', begin + 1);
    if (end == std::string::npos) {
      ADD_FAILURE() << "a word that does not end: " << text;
      break;
    }
    words.push_back(text.substr(begin + 1, end - begin - 1));
    begin = end + 1;
  }
  return words;
}

// The rows of docs/catalog.md, "Where billing systems disagree": what the third cell says, but for what stands behind
// "without", and the cases of the fourth.
std::vector<Disagreement> ReadDisagreements() {
  std::ifstream file(TOLLBOOK_SOURCE_DIR "/docs/catalog.md");
  std::vector<Disagreement> rows;
  bool is_there = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("##")) is_there = line == "### Where billing systems disagree";
    if (!is_there || !line.starts_with("| ")) continue;
    std::vector<std::string> cells = {""};
    for (const char c : line.substr(1)) {
      if (c == '|') {
        cells.emplace_back();
      } else {
        cells.back() += c;
      }
    }
    EXPECT_EQ(cells.size(), 5u) << line;
    if (cells.size() != 5) continue;
    const size_t without = std::min(cells[2].find("without"), cells[2].size());
    rows.push_back(
        {InBackticks(cells[2].substr(0, without)), InBackticks(cells[2].substr(without)), InBackticks(cells[3])});
  }
  return rows;
}

TEST(Conformance, WhereSystemsDisagreeTheCatalogSaysWhatTheDocumentTells) {
  const absl::StatusOr<std::vector<VectorCase>> vectors = ReadVectors(kVectors);
  ASSERT_TRUE(vectors.ok()) << vectors.status();
  const std::vector<Disagreement> rows = ReadDisagreements();
  size_t checked = 0, said = 0;
  for (const Disagreement& row : rows) {
    for (const std::string& id : row.cases) {
      SCOPED_TRACE(id);
      const auto vector = std::ranges::find(*vectors, id, &VectorCase::id);
      ASSERT_NE(vector, vectors->end());
      EXPECT_EQ(RunVector(*vector).verdict, Verdict::kPassed);
      const absl::StatusOr<TranslatedCase> translated = Translate(*vector);
      ASSERT_TRUE(translated.ok()) << translated.status();
      std::string catalog;
      for (const auto& [name, text] : translated->catalog) catalog += text;
      for (const std::string& word : row.lacks) EXPECT_EQ(catalog.find(word), std::string::npos) << word << catalog;
      const auto stands = [&](const std::string& word) { return catalog.find(word) != std::string::npos; };
      // Of several words, such as two bounds, each is one case's.
      EXPECT_TRUE(row.says.empty() || std::ranges::any_of(row.says, stands)) << row.says.front() << catalog;
      ++checked;
    }
    said += row.says.size() + row.lacks.size();
  }
  EXPECT_GE(rows.size(), 25u);
  EXPECT_GE(checked, rows.size());
  EXPECT_GE(said, rows.size() - 1);  // the header says nothing
}

// Each answer that passes is looked at: with another number expected it fails.
TEST(Conformance, AWrongNumberFails) {
  const absl::StatusOr<std::vector<VectorCase>> vectors = ReadVectors(kVectors);
  ASSERT_TRUE(vectors.ok()) << vectors.status();
  int turned = 0;
  for (VectorCase vector : *vectors) {
    if (RunVector(vector).verdict != Verdict::kPassed) continue;
    JsonTree& value = vector.expected.items.front();
    std::string& text = value.kind == JsonTree::Kind::kText ? value.text : value.items.back().text;
    text = text == "0" ? "0.000000000000000001" : text + (text.find('.') == std::string::npos ? ".000001" : "000001");
    const VectorResult result = RunVector(vector);
    EXPECT_EQ(result.verdict, Verdict::kFailed) << result.id;
    EXPECT_NE(result.expected, result.got) << result.id;
    ++turned;
  }
  EXPECT_GT(turned, 0);
}

TEST(Conformance, NumbersAreComparedAsDecimals) {
  const auto per_unit = [](const std::string& price, const std::string& expected) {
    return RunOne(R"({"id": "a", "model": "per_unit", "params": {"unit_amount": ")" + price +
                  R"("}, "quantity": "3", "expected": {"amount": ")" + expected + R"("}})")
        .verdict;
  };
  EXPECT_EQ(per_unit("0.1", "0.3"), Verdict::kPassed);
  EXPECT_EQ(per_unit("0.1", "0.300"), Verdict::kPassed);
  EXPECT_EQ(per_unit("0.1", "0.300000000000000001"), Verdict::kFailed);
  EXPECT_EQ(per_unit("0.100000000000000001", "0.300000000000000003"), Verdict::kPassed);
  EXPECT_EQ(per_unit("100000000000000.01", "300000000000000.03"), Verdict::kPassed);
}

TEST(Conformance, WhatIsNotUnderstoodIsUnsupportedByItsName) {
  struct Case {
    std::string one;
    std::string why;
  };
  const std::vector<Case> cases = {
      {R"("model": "barter", "params": {}, "expected": {"amount": "1"})", "model barter"},
      {R"("model": "barter", "params": {"method": "goats"}, "expected": {"amount": "1"})", "method goats"},
      {R"("model": "per_unit", "params": {"unit_amount": "1", "tip": "2"}, "quantity": "1",
          "expected": {"amount": "1"})",
       "tip"},
      {R"("model": "per_unit", "params": {"unit_amount": "1"}, "quantity": "1", "phase": "moon",
          "expected": {"amount": "1"})",
       "phase"},
      {R"("model": "per_unit", "params": {"unit_amount": "1"}, "quantity": "1", "expected": {"balance": "1"})",
       "expected balance"},
      {R"("model": "per_unit", "params": {"unit_amount": "1", "round_places": 5, "rounding": "half_up"},
          "quantity": "1", "expected": {"amount": "1"})",
       "round_places 5"},
      {R"("model": "graduated", "params": {"tiers": [{"up_to": null, "unit_amount": "1", "tier_cap": "9"}]},
          "quantity": "1", "expected": {"amount": "1"})",
       "tier_cap"},
  };
  for (const Case& one : cases) {
    const VectorResult result = RunOne(R"({"id": "a", )" + one.one + "}");
    EXPECT_EQ(result.verdict, Verdict::kUnsupported) << one.why;
    EXPECT_EQ(result.why, one.why);
  }
}

TEST(Conformance, AWrongValueFailsAndSaysWhich) {
  const VectorResult result = RunOne(
      R"({"id": "a", "model": "per_unit", "params": {"unit_amount": "much"}, "quantity": "1",
          "expected": {"amount": "1"}})");
  EXPECT_EQ(result.verdict, Verdict::kFailed);
  EXPECT_EQ(result.why, "a wrong value: unit_amount: not a decimal of at most 18 places");
}

TEST(Conformance, MalformedFilesAreRefusedWithTheirPlace) {
  struct Case {
    std::string text;
    std::string message;
  };
  const std::string deep(40, '[');
  const std::vector<Case> cases = {
      {"", "not JSON at byte 1: v.json:1"},
      {"{\"cases\": [\n  {\"id\": }]}", "not JSON at byte"},
      {"{\"cases\": []} {}", "not JSON at byte"},
      {"[1e999]", "not JSON at byte"},
      {"{\"cases\": [], \"cases\": []}", "the key cases stands twice in one object: v.json"},
      {deep, "nested deeper than 32: v.json"},
      {"{}", "no list of cases: v.json"},
      {"{\"cases\": [{}]}", "a case without an id: v.json, case 1"},
      {"{\"cases\": [{\"id\": \"a\"}]}", "a case without a model: v.json, case a"},
      {R"({"cases": [{"id": "a", "model": "per_unit", "params": [], "expected": {}}]})",
       "a case without params, or they are no object: v.json, case a"},
      {R"({"cases": [{"id": "a", "model": "per_unit", "params": {}, "expected": {}}]})",
       "a case without what is expected, or it is no object: v.json, case a"},
  };
  for (const Case& one : cases) {
    const absl::StatusOr<std::vector<VectorCase>> parsed = ParseVectorFile(one.text, "v.json");
    ASSERT_FALSE(parsed.ok()) << one.text;
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(Std(parsed.status().message()).find(one.message), std::string_view::npos) << parsed.status();
  }
  EXPECT_FALSE(ParseVectorFile(std::string(kJsonTreeBytesMax + 1, ' '), "v.json").ok());
  EXPECT_FALSE(ReadVectors(kVectors + "/none.json").ok());
}

}  // namespace
}  // namespace tollbook
