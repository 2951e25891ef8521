// Retention: what a book keeps that it need not keep to be right, and for how long: `usage_log` and `retention` in
// book.yaml.
#ifndef TOLLBOOK_RATING_RETENTION_H_
#define TOLLBOOK_RATING_RETENTION_H_

#include <optional>

#include "rating/calendar.h"
#include "rating/catalog.h"

namespace tollbook {

struct Retention {
  bool keeps_usage_log = false;                  // what is read of the sources, packed
  std::optional<int> exception_payloads_months;  // none: for ever
  std::optional<int> usage_log_months;           // likewise
  std::optional<int> dedup_keys_months;          // likewise; of usage
};
[[nodiscard]] Retention RetentionOf(const Catalog& catalog);

// The day so many calendar months before; of a month that is too short its last day.
[[nodiscard]] Day MonthsBefore(Day day, int months);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_RETENTION_H_
