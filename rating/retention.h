// Retention: how long a book keeps what it need not keep to be right: `retention` in book.yaml.
#ifndef TOLLBOOK_RATING_RETENTION_H_
#define TOLLBOOK_RATING_RETENTION_H_

#include <optional>

#include "rating/calendar.h"
#include "rating/catalog.h"

namespace tollbook {

struct Retention {
  std::optional<int> exception_payloads_months;  // none: for ever
};
[[nodiscard]] Retention RetentionOf(const Catalog& catalog);

// The day so many calendar months before; of a month that is too short its last day.
[[nodiscard]] Day MonthsBefore(Day day, int months);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_RETENTION_H_
