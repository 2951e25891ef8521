// OutputFile: where generate and convert write: a file, or standard output for "-".
//
// A file is written beside its place and put there whole by Close, so that what was there before stays until then: an
// input may be its own output, and a failure leaves the old file. When Close returns, it survives power loss. Devices
// and pipes are written directly.
#ifndef TOLLBOOK_PIPELINE_APP_OUTPUT_FILE_H_
#define TOLLBOOK_PIPELINE_APP_OUTPUT_FILE_H_

#include <string>
#include <string_view>

#include "rating/error.h"

namespace tollbook {

class OutputFile {
 public:
  static absl::StatusOr<OutputFile> Open(const std::string& path);
  OutputFile(OutputFile&& other) noexcept
      : fd_(other.fd_), path_(std::move(other.path_)), unfinished_(std::move(other.unfinished_)) {
    other.fd_ = -1;
    other.unfinished_.clear();
  }
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();  // without Close: nothing was written

  absl::Status Write(std::string_view bytes);
  absl::Status Close();  // says what the system kept back until now

 private:
  OutputFile(int fd, std::string path, std::string unfinished)
      : fd_(fd), path_(std::move(path)), unfinished_(std::move(unfinished)) {}
  int fd_;
  std::string path_;
  std::string unfinished_;  // the file beside it; empty when written directly, or done
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_OUTPUT_FILE_H_
