// CatalogCommitment: `commitment` of a charge or of one of its bucket windows.
#ifndef TOLLBOOK_RATING_CATALOG_COMMITMENT_H_
#define TOLLBOOK_RATING_CATALOG_COMMITMENT_H_

#include "rating/catalog_draft.h"

namespace tollbook {

// Into the commitment of `charge`, once its pricing is read; nothing where there is none.
void ReadCommitment(YamlMap& map, Charge& charge, FileErrors& errors);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_COMMITMENT_H_
