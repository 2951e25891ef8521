// Conformance: vectors quoted, and what came out compared with what they expect.
//
// The way is the one of `quote`: texts to a checked catalog, lines to usage, totals to a quote. A case that another
// system describes and the catalog has no word for is unsupported and not failed; the parameter is named.
#ifndef TOLLBOOK_PIPELINE_CONFORMANCE_H_
#define TOLLBOOK_PIPELINE_CONFORMANCE_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "pipeline/vector_file.h"
#include "rating/price.h"

namespace tollbook {

struct VectorResult {
  enum class Verdict : uint8_t { kPassed, kFailed, kUnsupported };
  std::string file, id, model;
  Verdict verdict = Verdict::kFailed;
  std::string why;            // unsupported: what is; failed before there was an answer: why
  std::string expected, got;  // several amounts: with blanks between
  struct Steps {
    std::string charge;
    std::vector<PriceStep> steps;
  };
  std::vector<Steps> steps;  // of each quote
};
std::string_view ToString(VectorResult::Verdict verdict);  // "passed", "failed", "unsupported"

VectorResult RunVector(const VectorCase& vector);

struct VerdictCounts {
  uint64_t passed = 0, failed = 0, unsupported = 0;
  friend bool operator==(const VerdictCounts&, const VerdictCounts&) = default;
};
std::map<std::string, VerdictCounts> CountByModel(std::span<const VectorResult> results);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CONFORMANCE_H_
