// FixedMeters: the meters that a book has usage of keep their definitions. Totals that are in the book cannot be
// counted otherwise afterwards.
#ifndef TOLLBOOK_PIPELINE_FIXED_METERS_H_
#define TOLLBOOK_PIPELINE_FIXED_METERS_H_

#include <vector>

#include "ledger/book.h"
#include "rating/catalog.h"

namespace tollbook {

// The meters that the book has usage of, by name. FailedPrecondition when the catalog lacks one or counts it otherwise
// (CountsTheSame).
[[nodiscard]] absl::StatusOr<std::vector<Meter>> FixedMeters(const Book& book, const Catalog& catalog);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_FIXED_METERS_H_
