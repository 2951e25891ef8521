// Scenario: a story of usage, seals and their journal, in the words of tests/scenarios/README.md, run against the real
// flow and a real book.
#ifndef TOLLBOOK_TESTS_PIPELINE_SCENARIO_H_
#define TOLLBOOK_TESTS_PIPELINE_SCENARIO_H_

#include <string>
#include <string_view>
#include <vector>

#include "pipeline/absorb.h"

namespace tollbook {

// How to run it: none of this may change an outcome.
struct ScenarioRun {
  AbsorbOptions absorb;
  uint64_t seed = 1;
  bool reopen_always = false;  // close and open the book before every seal and retry
  bool backwards = false;      // each run of usage lines last to first; only for scenarios that say `any order`
  bool exports = false;        // tell the journal for other programs, and its balances
};

struct ScenarioProblem {
  int line = 0;  // 0: of the whole scenario
  std::string text;
};

struct ScenarioResult {
  std::vector<ScenarioProblem> problems;
  std::string journal;     // the stored bytes of all batches
  bool any_order = false;  // the scenario says that the order of its usage lines changes nothing
  // With `exports`: `journals --format ledger`; and of each entity, account and currency debits less credits, where
  // that is not zero, as lines with tabs between these and the amount.
  std::string ledger;
  std::string balances;
  // Likewise `--functional`; and what the postings come to in functional currencies, or in their own where no rate is
  // known of them.
  std::string functional_ledger;
  std::string functional_balances;
};

ScenarioResult RunScenario(std::string_view text, const ScenarioRun& run);

}  // namespace tollbook

#endif  // TOLLBOOK_TESTS_PIPELINE_SCENARIO_H_
