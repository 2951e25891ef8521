// CatalogRetention: `retention` of book.yaml, for whoever reads that file.
#ifndef TOLLBOOK_RATING_CATALOG_RETENTION_H_
#define TOLLBOOK_RATING_CATALOG_RETENTION_H_

#include "rating/retention.h"
#include "rating/yaml_text.h"

namespace tollbook {

// Of the map of book.yaml.
Retention ReadRetention(YamlMap& book, FileErrors& errors);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_RETENTION_H_
