// CatalogPermissions: `may` of an entity, for whoever reads entities.yaml.
#ifndef TOLLBOOK_RATING_CATALOG_PERMISSIONS_H_
#define TOLLBOOK_RATING_CATALOG_PERMISSIONS_H_

#include "rating/permissions.h"
#include "rating/yaml_text.h"

namespace tollbook {

// Of the map of one entity.
Permissions ReadPermissions(YamlMap& entity, FileErrors& errors);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_PERMISSIONS_H_
