#include "ledger/format_file.h"

#include <filesystem>
#include <fstream>

#include "ledger/durable_file.h"
#include "ledger/records.h"

namespace tollbook {
namespace {

constexpr std::string_view kStart = "tollbook book, format ";
constexpr uint32_t kLargestVersion = 999'999;

// 0: not a version.
uint32_t VersionOf(std::string_view line) {
  if (!line.starts_with(kStart)) return 0;
  uint32_t version = 0;
  for (const char digit : line.substr(kStart.size())) {
    if (digit < '0' || digit > '9') return 0;
    version = version * 10 + static_cast<uint32_t>(digit - '0');
    if (version > kLargestVersion) return 0;
  }
  return version;
}

}  // namespace

absl::StatusOr<uint32_t> ReadFormatFile(const std::string& directory) {
  const std::string path = directory + "/" + std::string(kFormatFileName);
  std::error_code error;
  if (!std::filesystem::exists(path, error) && !error) return 0;
  std::ifstream file(path);
  if (!file) return FileError("cannot open", path);
  std::string line;
  std::getline(file, line);
  const uint32_t version = VersionOf(line);
  if (version == 0) return DamagedError(path);
  if (version > kFormatVersion) return NewerFormatError(directory, version);
  if (version < kFormatVersionOldest) return OlderFormatError(directory, version);
  return version;
}

std::string FormatFileBytes(uint32_t version) {
  return std::string(kStart) + std::to_string(version) + "\n";
}

absl::Status WriteFormatFile(const std::string& directory) {
  return WriteFileAtomically(directory, kFormatFileName, FormatFileBytes(kFormatVersion));
}

absl::Status NewerFormatError(const std::string& directory, uint32_t version) {
  return MakeError(absl::StatusCode::kFailedPrecondition, "the book was made by a newer tollbook",
                   directory + " has format " + std::to_string(version) + ", this program knows up to " +
                       std::to_string(kFormatVersion),
                   "use the newer program");
}

absl::Status OlderFormatError(const std::string& directory, uint32_t version) {
  return MakeError(absl::StatusCode::kFailedPrecondition, "the book was made by an older tollbook",
                   directory + " has format " + std::to_string(version) + ", this program reads " +
                       std::to_string(kFormatVersionOldest) + " and later",
                   "use the older program, or make the book anew from its inputs");
}

}  // namespace tollbook
