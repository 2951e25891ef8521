// Error: a failed operation, in the words a person can act on.
//
// Every message has three parts: what happened, to which thing, and what to do.
// The program prints it as `tollbook: what: which thing: what to do`.
#ifndef TOLLBOOK_RATING_ERROR_H_
#define TOLLBOOK_RATING_ERROR_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tollbook {

// Debian's absl::string_view is not std::string_view, and neither converts to
// the other. Interfaces of ours use std::string_view; this is the one bridge.
inline absl::string_view Abs(std::string_view text) {
  return {text.data(), text.size()};
}
inline std::string_view Std(absl::string_view text) {
  return {text.data(), text.size()};
}

[[nodiscard]] absl::Status MakeError(absl::StatusCode code, std::string_view what, std::string_view which,
                                     std::string_view what_to_do);

}  // namespace tollbook

// A bug is not an error: it stops the program, in release too, before anything is written.
#define TOLLBOOK_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::tollbook::AssertionFailed(#condition, __FILE__, __LINE__))

namespace tollbook {
[[noreturn]] void AssertionFailed(const char* condition, const char* file, int line);
}  // namespace tollbook

// Leaves the function with the status when it is not ok.
#define TOLLBOOK_RETURN_IF_ERROR(expression)                  \
  do {                                                        \
    if (absl::Status status_ = (expression); !status_.ok()) { \
      return status_;                                         \
    }                                                         \
  } while (false)

#endif  // TOLLBOOK_RATING_ERROR_H_
