// VectorProration: cases of `proration`, by method, as fees of subscriptions that begin, change and end.
//
// Each method becomes plans, billing periods and versions of one subscription; the days and shares of the answer are
// those that a seal would book. A change is asked as a seal asks it: what is due by the catalog after it, less what was
// due by the one before.
#ifndef TOLLBOOK_PIPELINE_VECTOR_PRORATION_H_
#define TOLLBOOK_PIPELINE_VECTOR_PRORATION_H_

#include "pipeline/vector_case.h"

namespace tollbook {

// Errors: as Translate.
[[nodiscard]] absl::StatusOr<TranslatedCase> TranslateProration(const VectorCase& vector);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_VECTOR_PRORATION_H_
