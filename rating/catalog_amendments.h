// CatalogAmendments: what a charge says of new versions of a subscription, and of units that roll over.
#ifndef TOLLBOOK_RATING_CATALOG_AMENDMENTS_H_
#define TOLLBOOK_RATING_CATALOG_AMENDMENTS_H_

#include "rating/catalog_draft.h"

namespace tollbook {

// on_amendment, of a charge or a plan's bound.
[[nodiscard]] OnAmendment ReadOnAmendment(YamlMap& map);

// on_amendment and included_rollover, once all else around the price is read.
void ReadAmendment(YamlMap& map, const Meter* meter, Charge& charge, FileErrors& errors);

// Whether each version of a subscription can go on from the one before it where its charges say so. Expects the
// subscriptions in the order (subject, valid_from).
void CheckAmendments(const Catalog& catalog, FileErrors& errors);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_AMENDMENTS_H_
