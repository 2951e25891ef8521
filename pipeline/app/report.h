// Report: what commands print about a book, for people and as JSON. Amounts and quantities are text in JSON, never
// binary numbers.
#ifndef TOLLBOOK_PIPELINE_APP_REPORT_H_
#define TOLLBOOK_PIPELINE_APP_REPORT_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/book.h"
#include "pipeline/absorb.h"
#include "pipeline/seal.h"

namespace tollbook {

using Json = nlohmann::ordered_json;

// What `run`, `absorb` and `seal` did together; parts that did not happen are left out.
struct RunReport {
  const AbsorbReport* absorbed = nullptr;
  const SealReport* sealed = nullptr;
  double seconds = 0;
  std::string books;
};

Json ToJson(const RunReport& report);
// On one line. Paths need not be UTF-8, which JSON cannot carry: other bytes become U+FFFD.
std::string ToText(const Json& json);
// To stderr: the subjects whose worth cannot be held, and why.
void PrintSetAside(const std::vector<std::string>& not_rated);
int PrintReport(const RunReport& report);  // the exit code

void PrintLeftOut(const std::vector<LeftOut>& left_out);  // on stderr: each with why, and what to do
void PrintNeeded(const std::vector<LeftOut>& needed);     // likewise

// "acme-us 2025-01 is closed: 2 differences, 0.20 USD wait", one line each; and the same for programs.
std::string ToText(const std::vector<WaitingAmount>& waiting);
Json ToJson(const std::vector<WaitingAmount>& waiting);

std::string Thousands(uint64_t number);                                             // "1,234,567"
std::string Counted(uint64_t number, std::string_view one, std::string_view many);  // "1 batch", "1,234 batches"

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_REPORT_H_
