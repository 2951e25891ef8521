// Cases of grants of units: what is left of each of them behind some usage.
#ifndef TOLLBOOK_PIPELINE_VECTOR_UNIT_GRANTS_H_
#define TOLLBOOK_PIPELINE_VECTOR_UNIT_GRANTS_H_

#include "pipeline/vector_case.h"

namespace tollbook {

// Whether it is such a case, by its model and method.
[[nodiscard]] bool IsOfUnitGrants(const VectorCase& vector);

// Errors: as Translate.
[[nodiscard]] absl::StatusOr<TranslatedCase> TranslateUnitGrants(const VectorCase& vector);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_VECTOR_UNIT_GRANTS_H_
