// CatalogDir: the catalog's directory to a checked Catalog and the mappings of its sources.
#ifndef TOLLBOOK_PIPELINE_CATALOG_DIR_H_
#define TOLLBOOK_PIPELINE_CATALOG_DIR_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/mapping.h"
#include "rating/catalog.h"
#include "rating/error.h"

namespace tollbook {

// How files map to events; beside what is the catalog's own.
inline constexpr std::string_view kSourcesFile = "sources.yaml";

// The largest catalog files taken: subscriptions.csv (tens of millions of rows), and any other.
inline constexpr uint64_t kSubscriptionsBytesMax = uint64_t{4} << 30;
inline constexpr uint64_t kCatalogFileBytesMax = 16 << 20;

// File name -> text of the .yaml and .csv files, for ParseCatalog. Other files, which it ignores, are there without
// their text. Sub-directories, dot-files and README* are left out.
[[nodiscard]] absl::StatusOr<std::map<std::string, std::string>> ReadCatalogDir(const std::string& path);

struct LoadedCatalog {
  Catalog catalog;
  std::vector<SourceMapping> mappings;
};

// InvalidArgument holds all that is wrong, one `path/file:line: what: what to do` a line, sources.yaml included.
[[nodiscard]] absl::StatusOr<LoadedCatalog> LoadCatalog(const std::string& path);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CATALOG_DIR_H_
