// CatalogText: the catalog's files (YAML and CSV texts) to a checked Catalog, or to all that is wrong with them.
//
// Pure: texts in, values out. Who reads the directory is not of this room.
#ifndef TOLLBOOK_RATING_CATALOG_TEXT_H_
#define TOLLBOOK_RATING_CATALOG_TEXT_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rating/catalog.h"

namespace tollbook {

// Printed as `plans.yaml:14: what: what to do`.
struct CatalogError {
  std::string file;
  int line = 0;  // 1-based; 0: the whole file
  std::string what;
  std::string what_to_do;
  friend bool operator==(const CatalogError&, const CatalogError&) = default;
};
std::string ToString(const CatalogError& error);

struct ParsedCatalog {
  std::optional<Catalog> catalog;    // none when there is any error
  std::vector<CatalogError> errors;  // in file and line order; all that can be told in one go, not only the first
};

// File name (no directory) -> text. book.yaml, entities.yaml, chart.yaml, meters.yaml, plans.yaml, posting.yaml and
// subscriptions.csv are required; sources.yaml is read by the pipeline; README* and files not ending in .yaml or .csv
// are ignored; any other name is an error.
[[nodiscard]] ParsedCatalog ParseCatalog(std::map<std::string, std::string> files);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_TEXT_H_
