// Cases of lines with given amounts, what is taken off and what is paid of them: discounts, credits that have a bound,
// and a fee with its tax. Each line is a fee of its amount.
#ifndef TOLLBOOK_PIPELINE_VECTOR_DISCOUNT_H_
#define TOLLBOOK_PIPELINE_VECTOR_DISCOUNT_H_

#include "pipeline/vector_case.h"

namespace tollbook {

// Whether it is such a case, by its model and method.
[[nodiscard]] bool IsOfLines(const VectorCase& vector);

// Errors: as Translate.
[[nodiscard]] absl::StatusOr<TranslatedCase> TranslateLines(const VectorCase& vector);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_VECTOR_DISCOUNT_H_
