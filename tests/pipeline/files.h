// Real small files for the tests of the flow's input.
#ifndef TOLLBOOK_TESTS_PIPELINE_FILES_H_
#define TOLLBOOK_TESTS_PIPELINE_FILES_H_

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace tollbook {

class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(const std::filesystem::path& parent = std::filesystem::temp_directory_path()) {
    std::string pattern = (parent / "tollbook_test_XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  std::string Write(const std::string& name, std::string_view content) const {
    const std::string path = path_ + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    return path;
  }

 private:
  std::string path_;
};

std::string Gzip(std::string_view text);
std::string Zstd(std::string_view text);

}  // namespace tollbook

#endif  // TOLLBOOK_TESTS_PIPELINE_FILES_H_
