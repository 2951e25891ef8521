#include "rating/error.h"

#include <cstdio>
#include <cstdlib>

namespace tollbook {

absl::Status MakeError(absl::StatusCode code, std::string_view what, std::string_view which,
                       std::string_view what_to_do) {
  std::string message(what);
  message.append(": ").append(which).append(": ").append(what_to_do);
  return absl::Status(code, message);
}

void AssertionFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr,
               "tollbook: internal error: %s:%d: %s does not hold; nothing more is written, please report this\n", file,
               line, condition);
  std::abort();
}

}  // namespace tollbook
