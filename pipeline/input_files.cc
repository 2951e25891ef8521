#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "pipeline/byte_source.h"
#include "pipeline/input.h"

namespace tollbook {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kUsageEndings[] = {".json", ".jsonl", ".ndjson", ".csv"};

bool EndsAsUsage(std::string_view path) {
  path = WithoutPacking(path);
  return std::any_of(std::begin(kUsageEndings), std::end(kUsageEndings),
                     [&](std::string_view ending) { return path.ends_with(ending); });
}

bool HasWildcard(std::string_view argument) {
  return argument.find_first_of("*?[") != std::string_view::npos;
}

std::string ErrorText(int error) {
  return std::strerror(error);
}

class InputFinder {
 public:
  explicit InputFinder(const std::vector<SourceMapping>& mappings) : mappings_(mappings) {}

  absl::Status Add(const std::string& argument) {
    if (argument == "-") return AddStandardInput();
    struct stat info;
    if (::stat(argument.c_str(), &info) == 0) {
      AddNamed(argument, info);
      return absl::OkStatus();
    }
    const int error = errno;
    if (error == ENOENT && HasWildcard(argument)) return AddGlob(argument);
    if (error == ENOENT || error == ENOTDIR) {
      return MakeError(absl::StatusCode::kNotFound, "there is no such file or directory", argument,
                       "check the path; nothing was read");
    }
    LeaveOut(argument, ErrorText(error), "check the permissions of the directories above it");
    return absl::OkStatus();
  }

  InputList Take() { return std::move(list_); }

 private:
  absl::Status AddStandardInput() {
    if (!seen_.insert("-").second) return absl::OkStatus();
    InputFile file;
    file.path = file.name = "-";
    if (SetFormat(&file)) list_.files.push_back(std::move(file));
    return absl::OkStatus();
  }

  absl::Status AddGlob(const std::string& pattern) {
    glob_t found{};
    const int answer = ::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found);
    std::vector<std::string> paths;
    if (answer == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    ::globfree(&found);
    if (paths.empty()) {
      return MakeError(absl::StatusCode::kNotFound, "no file matches", pattern, "check the pattern; nothing was read");
    }
    std::sort(paths.begin(), paths.end());  // by bytes, whatever the locale
    for (const std::string& path : paths) {
      struct stat info;
      if (::stat(path.c_str(), &info) == 0) {
        AddNamed(path, info);
      } else {
        LeaveOut(path, ErrorText(errno), "the link leads nowhere; remove or mend it");
      }
    }
    return absl::OkStatus();
  }

  // A file that somebody named is read whatever its name ends with, and a pipe as well.
  void AddNamed(const std::string& path, const struct stat& info) {
    if (S_ISDIR(info.st_mode)) return AddDirectory(path, info);
    if (S_ISREG(info.st_mode)) return AddRegular(path, info);
    if (!S_ISFIFO(info.st_mode)) return LeaveOutDevice(path);
    InputFile file;
    file.path = path;
    if (SetFormat(&file)) list_.files.push_back(std::move(file));
  }

  void AddDirectory(const std::string& path, const struct stat& info) {
    const std::pair<dev_t, ino_t> identity(info.st_dev, info.st_ino);
    if (std::find(open_.begin(), open_.end(), identity) != open_.end()) {
      return LeaveOut(path, "it leads back to a directory that it is in", "remove the link");
    }
    std::error_code error;
    fs::directory_iterator entries(path, error);
    std::vector<std::string> paths;
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
      paths.push_back(entries->path().string());
    }
    if (error) LeaveOut(path, error.message(), "check the permissions of the directory");
    std::sort(paths.begin(), paths.end());
    open_.push_back(identity);
    for (const std::string& found : paths) AddFound(found);
    open_.pop_back();
  }

  void AddFound(const std::string& path) {
    struct stat info;
    if (::stat(path.c_str(), &info) != 0) {
      return LeaveOut(path, ErrorText(errno), "the link leads nowhere or in a circle; remove or mend it");
    }
    if (S_ISDIR(info.st_mode)) return AddDirectory(path, info);
    if (S_ISFIFO(info.st_mode)) {
      return LeaveOut(path, "it is a pipe", "name it by itself if it is to be read");
    }
    if (!S_ISREG(info.st_mode)) return LeaveOutDevice(path);
    if (!EndsAsUsage(path) && MappingFor(mappings_, path) == nullptr) {
      return LeaveOut(path, "its name does not say that it holds usage",
                      "name the file by itself, or add a glob for it to sources.yaml");
    }
    AddRegular(path, info);
  }

  void AddRegular(const std::string& path, const struct stat& info) {
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    if (!seen_.insert(error ? path : real.string()).second) return;
    InputFile file;
    file.path = path;
    file.bytes = static_cast<uint64_t>(info.st_size);
    file.regular = true;
    absl::StatusOr<std::unique_ptr<ByteSource>> source = OpenFileSource(path);
    if (!source.ok()) return LeaveOut(path, source.status());
    char first[kMagicBytes];
    absl::StatusOr<size_t> got = (*source)->Read(first, sizeof(first));
    if (!got.ok()) return LeaveOut(path, got.status());
    file.compression = CompressionOf({first, *got});
    if (!SetFormat(&file)) return;
    list_.bytes += file.bytes;
    list_.files.push_back(std::move(file));
  }

  // By the first mapping that matches; without one all is CloudEvents but CSV, which means nothing without a mapping.
  bool SetFormat(InputFile* file) {
    if (file->name.empty()) file->name = WithoutPacking(fs::path(file->path).filename().string());
    const SourceMapping* mapping = MappingFor(mappings_, file->path);
    if (mapping == nullptr && file->name.ends_with(".csv")) {
      LeaveOut(file->path, "it is a CSV file that no mapping matches", "add a glob for it to sources.yaml");
      return false;
    }
    file->format = mapping == nullptr ? InputFormat::kCloudEvents : mapping->format;
    file->mapping = file->format == InputFormat::kCsv ? mapping : nullptr;
    return true;
  }

  void LeaveOutDevice(const std::string& path) {
    LeaveOut(path, "it is a device or a socket", "give files, directories, pipes or -");
  }
  void LeaveOut(const std::string& path, const std::string& why, std::string_view what_to_do) {
    list_.left_out.push_back({path, why + "; " + std::string(what_to_do)});
  }
  void LeaveOut(const std::string& path, const absl::Status& why) {
    list_.left_out.push_back({path, std::string(why.message())});
  }

  const std::vector<SourceMapping>& mappings_;
  InputList list_;
  std::set<std::string> seen_;                 // files by their real path: each is read once
  std::vector<std::pair<dev_t, ino_t>> open_;  // the directories that we are in
};

}  // namespace

absl::StatusOr<InputList> FindInputs(const std::vector<std::string>& arguments,
                                     const std::vector<SourceMapping>& mappings) {
  InputFinder finder(mappings);
  for (const std::string& argument : arguments) TOLLBOOK_RETURN_IF_ERROR(finder.Add(argument));
  return finder.Take();
}

}  // namespace tollbook
