// CatalogEvents: the prices of single events: transactions with an allowance and bounds, and time.
#ifndef TOLLBOOK_RATING_CATALOG_EVENTS_H_
#define TOLLBOOK_RATING_CATALOG_EVENTS_H_

#include "rating/catalog_draft.h"

namespace tollbook {

// free_transactions, free_amount, min_per_transaction and max_per_transaction of a percentage.
void ReadTransactions(YamlMap& map, Pricing& pricing, FileErrors& errors);

// All of a time_rate: windows or one rate, unit, increment_rounding, max_per_event.
void ReadTimeRate(YamlMap& map, Pricing& pricing, FileErrors& errors);

// Of a pricing that is of events (else nothing): whether the meter, which may be unknown (null), keeps them.
void CheckKeepsEvents(YamlMap& map, const Meter* meter, const Pricing& pricing, FileErrors& errors);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_EVENTS_H_
