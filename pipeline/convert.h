// Convert: any readable input to canonical CloudEvents NDJSON, one event a line, in input order.
#ifndef TOLLBOOK_PIPELINE_CONVERT_H_
#define TOLLBOOK_PIPELINE_CONVERT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/exception.h"
#include "pipeline/input.h"

namespace tollbook {

// A line that is no well-formed usage event, and is therefore not in the output.
struct UnconvertedLine {
  std::string path;
  uint64_t line = 0;  // 1-based
  Reason reason = Reason::kNone;
};

struct ConvertReport {
  uint64_t lines = 0;  // events read, well-formed or not
  uint64_t converted = 0;
  uint64_t unconverted = 0;
  std::vector<UnconvertedLine> first_unconverted;  // at most kUnconvertedKept
  std::vector<LeftOut> left_out;
};
inline constexpr size_t kUnconvertedKept = 100;

// `sink` gets whole lines, some hundred kilobytes at a time; its error ends the conversion.
[[nodiscard]] absl::StatusOr<ConvertReport> Convert(const InputList& inputs,
                                                    const std::function<absl::Status(std::string_view)>& sink);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CONVERT_H_
