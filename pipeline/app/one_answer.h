// OneAnswer: what a command that changes something says is one object, and no table.
#ifndef TOLLBOOK_PIPELINE_APP_ONE_ANSWER_H_
#define TOLLBOOK_PIPELINE_APP_ONE_ANSWER_H_

#include <string>
#include <string_view>

#include "rating/error.h"

namespace tollbook {

// `command`: "journals approve". InvalidArgument: a format of tables; asked before anything is done.
inline absl::Status OneAnswer(std::string_view command, const std::string& format) {
  if (format.empty() || format == "json") return absl::OkStatus();
  return MakeError(absl::StatusCode::kInvalidArgument, std::string(command) + " gives no table", "--format " + format,
                   "leave it out, or use --json");
}

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_ONE_ANSWER_H_
