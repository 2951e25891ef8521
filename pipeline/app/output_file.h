// OutputFile: where generate and convert write: a file, or standard output for "-".
#ifndef TOLLBOOK_PIPELINE_APP_OUTPUT_FILE_H_
#define TOLLBOOK_PIPELINE_APP_OUTPUT_FILE_H_

#include <string>
#include <string_view>

#include "rating/error.h"

namespace tollbook {

class OutputFile {
 public:
  static absl::StatusOr<OutputFile> Open(const std::string& path);
  OutputFile(OutputFile&& other) noexcept : fd_(other.fd_), path_(std::move(other.path_)) { other.fd_ = -1; }
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  absl::Status Write(std::string_view bytes);
  absl::Status Close();  // says what the system kept back until now

 private:
  OutputFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  int fd_;
  std::string path_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_OUTPUT_FILE_H_
