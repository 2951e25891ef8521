// ForgetKeysOf: the dedup keys of old usage are forgotten (ledger/cut_off.h) by a named person and for a reason, when
// nothing of that time is unfinished.
#ifndef TOLLBOOK_PIPELINE_FORGET_KEYS_H_
#define TOLLBOOK_PIPELINE_FORGET_KEYS_H_

#include <optional>
#include <string>
#include <vector>

#include "ledger/book.h"
#include "ledger/cut_off.h"
#include "pipeline/change_period.h"
#include "rating/catalog.h"

namespace tollbook {

// What stands in the way of refusing usage dated before a day from now on:
//   not_closed    accounting periods that begin before it, and that were used or changed
//   waiting       differences of such a period that no seal books
//   unsealed, soft_closed, unmapped, unapproved, uncertain, different, unreconciled
//                 of each entity's period that has the day before: as in the way of closing it (CloseObstacles)
//   held          lines held, of usage dated before the day or corrections of such: they would be rejected. Waivable
[[nodiscard]] absl::StatusOr<std::vector<CloseObstacle>> ForgetObstacles(const Book& book, const Catalog& catalog,
                                                                         Day before, int threads);

struct ForgetOrder {
  Day before;
  std::string by, why;
  bool waives_held = false;
};
// FailedPrecondition: obstacles stand in the way, one line each. Errors: those of ForgetKeys.
[[nodiscard]] absl::StatusOr<ForgetReport> ForgetKeysOf(Book& book, const Catalog& catalog, const ForgetOrder& order,
                                                        int threads);

// AbsorbOptions::seen_span_days where keys are kept for so many months: a quarter of that, a month at least. So at most
// five runs a shard are of usage that is kept, and a key stays a quarter longer than it must at most.
[[nodiscard]] int SeenSpanDays(std::optional<int> dedup_keys_months);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_FORGET_KEYS_H_
