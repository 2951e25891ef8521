#include "pipeline/catalog_dir.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <tuple>

#include "pipeline/targets.h"
#include "rating/catalog_text.h"
#include "rating/catalog_younger_rules.h"

namespace tollbook {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSubscriptions = "subscriptions.csv";
constexpr size_t kFilesMax = 1000;  // a catalog has ten; more is a directory named by mistake

absl::Status CannotRead(std::string_view why, const std::string& path) {
  return MakeError(absl::StatusCode::kInvalidArgument, std::string("the catalog cannot be read: ").append(why), path,
                   "name a directory with book.yaml, plans.yaml and the other catalog files, all readable");
}

// Reads what is there now, at most one byte more than the limit: a file may grow, or be no regular file at all.
absl::StatusOr<std::string> ReadText(const std::string& path, uint64_t bytes_max) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    return CannotRead("not a regular file", path);
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return CannotRead(std::strerror(errno), path);
  }
  std::string text;
  const uint64_t size = fs::file_size(path, error);
  // The first piece takes all there should be, and one byte more shows that no more came.
  size_t piece = error ? 1 : std::min(size, bytes_max) + 1;
  while (file && text.size() <= bytes_max) {
    const size_t before = text.size();
    text.resize(before + piece);
    file.read(text.data() + before, static_cast<std::streamsize>(piece));
    text.resize(before + static_cast<size_t>(file.gcount()));
    piece = 1 << 20;
  }
  if (file.bad()) {
    return CannotRead("reading failed", path);
  }
  if (text.size() > bytes_max) {
    return MakeError(absl::StatusCode::kInvalidArgument,
                     "a catalog file has more than " + std::to_string(bytes_max >> 20) + " MiB", path,
                     "move it elsewhere if it is usage; a catalog holds prices and subscriptions only");
  }
  return text;
}

bool IsLeftOut(const std::string& name) {
  return name.starts_with(".") || name.starts_with("README");
}

bool HasText(const std::string& name) {
  return name.ends_with(".yaml") || name.ends_with(".csv");
}

std::string Joined(const std::string& directory, const std::vector<CatalogError>& errors) {
  std::string text;
  for (CatalogError error : errors) {
    error.file = (fs::path(directory) / error.file).string();
    text.append(text.empty() ? "" : "\n").append(ToString(error));
  }
  return text;
}

}  // namespace

absl::StatusOr<std::map<std::string, std::string>> ReadCatalogDir(const std::string& path) {
  std::error_code error;
  fs::directory_iterator entries(path, error);
  if (error) {
    return CannotRead(error.message(), path);
  }
  std::map<std::string, std::string> files;
  for (; entries != fs::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    std::error_code ignored;
    if (IsLeftOut(name) || entries->is_directory(ignored)) {
      continue;
    }
    if (files.size() == kFilesMax) {
      return CannotRead("more than " + std::to_string(kFilesMax) + " files", path);
    }
    std::string& text = files[name];
    if (HasText(name)) {
      absl::StatusOr<std::string> read =
          ReadText(entries->path().string(), name == kSubscriptions ? kSubscriptionsBytesMax : kCatalogFileBytesMax);
      if (!read.ok()) {
        return read.status();
      }
      text = *std::move(read);
    }
  }
  if (error) {
    return CannotRead(error.message(), path);
  }
  return files;
}

absl::StatusOr<LoadedCatalog> LoadCatalog(const std::string& path) {
  absl::StatusOr<std::map<std::string, std::string>> files = ReadCatalogDir(path);
  if (!files.ok()) {
    return files.status();
  }
  const auto sources = files->find(std::string(kSourcesFile));
  ParsedMappings mappings = ParseMappings(sources == files->end() ? std::string_view() : sources->second);
  const auto targets_file = files->find(std::string(kTargetsFile));
  const std::string targets_text = targets_file == files->end() ? std::string() : targets_file->second;
  const auto customers_file = files->find(std::string(kCustomersFile));
  const std::string customers_text = customers_file == files->end() ? std::string() : customers_file->second;
  ParsedCatalog parsed = ParseCatalog(*std::move(files));
  const ParsedTargets targets = ParseTargets(targets_text, parsed.catalog ? &*parsed.catalog : nullptr, customers_text);
  std::vector<CatalogError> errors = parsed.catalog ? CheckYoungerRules(*parsed.catalog) : std::move(parsed.errors);
  errors.insert(errors.end(), mappings.errors.begin(), mappings.errors.end());
  errors.insert(errors.end(), targets.errors.begin(), targets.errors.end());
  if (!errors.empty()) {
    std::stable_sort(errors.begin(), errors.end(), [](const CatalogError& a, const CatalogError& b) {
      return std::tie(a.file, a.line) < std::tie(b.file, b.line);
    });
    return absl::InvalidArgumentError(Abs(Joined(path, errors)));
  }
  return LoadedCatalog{*std::move(parsed.catalog), std::move(mappings.mappings)};
}

}  // namespace tollbook
