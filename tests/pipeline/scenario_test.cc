// The stories of tests/scenarios, each run in several ways that must not matter. Where $TOLLBOOK_JOURNALS_OUT names a
// directory, each leaves its journal there as NAME.ledger and its balances as NAME.balances, and both with functional
// amounts as NAME.functional.ledger and NAME.functional.balances, for tests/e2e/scenario_journals_test.py.
#include "tests/pipeline/scenario.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace tollbook {
namespace {

std::vector<std::string> ScenarioFiles() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(TOLLBOOK_SOURCE_DIR "/tests/scenarios")) {
    if (entry.path().extension() == ".scenario") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void Report(const std::string& file, const std::string& way, const ScenarioResult& result) {
  for (const ScenarioProblem& problem : result.problems)
    ADD_FAILURE_AT(file.c_str(), problem.line) << way << ":\n" << problem.text;
}

void LeaveJournal(const std::string& file, const ScenarioResult& result) {
  const char* const directory = std::getenv("TOLLBOOK_JOURNALS_OUT");
  if (directory == nullptr) return;
  std::filesystem::create_directories(directory);
  const std::string name = (std::filesystem::path(directory) / std::filesystem::path(file).stem()).string();
  std::ofstream(name + ".ledger", std::ios::binary) << result.ledger;
  std::ofstream(name + ".balances", std::ios::binary) << result.balances;
  std::ofstream(name + ".functional.ledger", std::ios::binary) << result.functional_ledger;
  std::ofstream(name + ".functional.balances", std::ios::binary) << result.functional_balances;
  ASSERT_TRUE(std::filesystem::exists(name + ".balances")) << "cannot write to " << directory;
}

class Scenario : public testing::TestWithParam<std::string> {};

TEST_P(Scenario, EndsAsWritten) {
  std::ostringstream text;
  text << std::ifstream(GetParam()).rdbuf();

  ScenarioRun plain;
  plain.absorb.threads = 1;
  plain.exports = true;
  const ScenarioResult first = RunScenario(text.str(), plain);
  Report(GetParam(), "in one piece", first);
  LeaveJournal(GetParam(), first);

  ScenarioRun pieces;
  pieces.seed = 77;
  pieces.absorb.threads = 3;
  pieces.absorb.epoch_bytes = 400;  // two or three events
  pieces.absorb.block_bytes = 100;  // grows to one event
  pieces.reopen_always = true;
  const ScenarioResult in_pieces = RunScenario(text.str(), pieces);
  Report(GetParam(), "in pieces", in_pieces);
  EXPECT_EQ(in_pieces.journal, first.journal) << "in pieces, other journal bytes";

  if (!first.any_order) return;
  pieces.backwards = true;
  const ScenarioResult backwards = RunScenario(text.str(), pieces);
  Report(GetParam(), "backwards", backwards);
  EXPECT_EQ(backwards.journal, first.journal) << "backwards, other journal bytes";
}

std::string NameOf(const testing::TestParamInfo<std::string>& info) {
  return std::filesystem::path(info.param).stem().string();
}

INSTANTIATE_TEST_SUITE_P(Stories, Scenario, testing::ValuesIn(ScenarioFiles()), NameOf);

// A runner that lets everything pass would be worth nothing.
TEST(ScenarioRunner, FindsWhatIsWrong) {
  const std::string story =
      "meter api.calls sum\n"
      "plan starter USD\n"
      "charge starter calls api.calls per_unit price 0.002\n"
      "sub s1 starter acme-us USD from 2025-01-01\n"
      "usage k1 s1 api.calls 400 at 2025-01-31T23:59:59Z -> accepted\n"
      "usage k1 s1 api.calls 400 at 2025-01-31T23:59:59Z -> duplicate\n"
      "seal -> 1 batch\n"
      "journal 2025-01 acme-us USD 2025-01-31 debit 1200 credit 4000 0.80\n"
      "worth s1 calls 2025-01 quantity 400 exact 0.8 booked 0.80\n"
      "unattributed 0\n"
      "lines read 2 accepted 1\n"
      "balance acme-us USD 4000 -0.80\n";
  struct Case {
    const char* what;
    const char* said;
    const char* instead;
    int line;
  };
  constexpr Case kCases[] = {
      {"nothing is wrong", "", "", 0},
      {"an outcome", "-> duplicate", "-> conflict", 6},
      {"the number of batches", "1 batch", "2 batches", 7},
      {"an amount", "0.80\nworth", "0.81\nworth", 8},
      {"an account", "credit 4000", "credit 4001", 8},
      {"a journal line too many", "\nworth",
       "\njournal 2025-01 acme-us USD 2025-01-31 debit 1200 credit 4000 0.10\nworth", 9},
      {"a quantity", "quantity 400", "quantity 401", 9},
      {"a worth", "exact 0.8", "exact 0.80", 9},
      {"a booked amount", "booked 0.80", "booked 0.8", 9},
      {"a word not known", "booked 0.80", "booked 0.80 reboked 1", 9},
      {"unattributed events", "unattributed 0", "unattributed 1", 10},
      {"a count", "accepted 1", "accepted 2", 11},
      {"a balance", "-0.80", "0.80", 12},
      {"a word", "balance", "balanced", 12},
      {"the catalog", "per_unit price", "per_unit cost", 3},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.what);
    std::string text = story;
    if (c.line != 0) text.replace(text.find(c.said), std::string(c.said).size(), c.instead);
    ScenarioRun run;
    run.absorb.threads = 1;
    const ScenarioResult result = RunScenario(text, run);
    if (c.line == 0) {
      EXPECT_TRUE(result.problems.empty()) << result.problems.front().text;
    } else {
      ASSERT_FALSE(result.problems.empty());
      EXPECT_EQ(result.problems.front().line, c.line) << result.problems.front().text;
    }
  }
}

}  // namespace
}  // namespace tollbook
