#include <algorithm>

#include "pipeline/app/commands.h"
#include "pipeline/app/report.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/conformance.h"

namespace tollbook {
namespace {

using Verdict = VectorResult::Verdict;

VerdictCounts SumOf(const std::map<std::string, VerdictCounts>& by_model) {
  VerdictCounts sum;
  for (const auto& [model, counts] : by_model) {
    sum.passed += counts.passed;
    sum.failed += counts.failed;
    sum.unsupported += counts.unsupported;
  }
  return sum;
}

std::string FailureText(const VectorResult& result) {
  std::string text = "failed " + result.id + " (" + result.file + ")\n";
  if (!result.why.empty()) return text + "  " + result.why + "\n";
  text += "  expected " + result.expected + ", got " + result.got + "\n";
  for (const VectorResult::Steps& quoted : result.steps) {
    text += "  " + quoted.charge + "\n";
    for (const PriceStep& step : quoted.steps) {
      text += "    " + step.what + ": " + ToString(step.quantity) + " x " + ToString(step.unit_price) + " = " +
              ToString(step.worth) + "\n";
    }
  }
  return text;
}

Table ModelTable(const std::map<std::string, VerdictCounts>& by_model) {
  Table table({{"model"}, {"passed", true}, {"failed", true}, {"unsupported", true}});
  const auto add = [&](const std::string& name, const VerdictCounts& counts) {
    table.Add({name, Thousands(counts.passed), Thousands(counts.failed), Thousands(counts.unsupported)});
  };
  for (const auto& [model, counts] : by_model) add(model, counts);
  add("all", SumOf(by_model));
  return table;
}

// What is not supported, by what that is: the cases share a few reasons.
Table UnsupportedTable(const std::vector<VectorResult>& results) {
  std::map<std::pair<std::string, std::string>, uint64_t> reasons;
  for (const VectorResult& result : results) {
    if (result.verdict == Verdict::kUnsupported) ++reasons[{result.model, result.why}];
  }
  Table table({{"model"}, {"unsupported"}, {"cases", true}});
  for (const auto& [reason, count] : reasons) table.Add({reason.first, reason.second, Thousands(count)});
  return table;
}

std::string TextOf(const std::vector<VectorResult>& results) {
  std::string text;
  for (const VectorResult& result : results) {
    if (result.verdict == Verdict::kFailed) text += FailureText(result) + "\n";
  }
  if (const Table unsupported = UnsupportedTable(results); unsupported.rows() > 0) text += unsupported.ToText() + "\n";
  return text + ModelTable(CountByModel(results)).ToText();
}

Json ToJson(const VerdictCounts& counts) {
  return {{"passed", counts.passed}, {"failed", counts.failed}, {"unsupported", counts.unsupported}};
}

Json ToJson(const std::vector<VectorResult>& results) {
  const std::map<std::string, VerdictCounts> by_model = CountByModel(results);
  Json json = ToJson(SumOf(by_model));
  json["models"] = Json::object();
  for (const auto& [model, counts] : by_model) json["models"][model] = ToJson(counts);
  json["cases"] = Json::array();
  for (const VectorResult& result : results) {
    Json one = {{"id", result.id},
                {"file", result.file},
                {"model", result.model},
                {"verdict", std::string(ToString(result.verdict))}};
    if (!result.why.empty()) one["why"] = result.why;
    if (!result.got.empty()) {
      one["expected"] = result.expected;
      one["got"] = result.got;
    }
    json["cases"].push_back(std::move(one));
  }
  return json;
}

}  // namespace

int CmdQuoteVectors(const QuoteOptions& options) {
  const absl::StatusOr<std::vector<VectorCase>> vectors = ReadVectors(options.vectors);
  if (!vectors.ok()) return Fail(vectors.status());
  std::vector<VectorResult> results;
  for (const VectorCase& vector : *vectors) results.push_back(RunVector(vector));
  const int printed = Print(options.json ? ToText(ToJson(results)) : TextOf(results));
  const bool failed =
      std::ranges::any_of(results, [](const VectorResult& result) { return result.verdict == Verdict::kFailed; });
  return failed ? kFailed : printed;
}

}  // namespace tollbook
