// TotalsComparison: the usage totals of two books that hash under the same seed, subject by subject: a shard of the one
// has the subjects of the same shard of the other.
#ifndef TOLLBOOK_PIPELINE_TOTALS_COMPARISON_H_
#define TOLLBOOK_PIPELINE_TOTALS_COMPARISON_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "ledger/book.h"
#include "pipeline/verify.h"
#include "rating/catalog.h"

namespace tollbook {

struct TotalsCompared {
  uint64_t totals = 0;
  uint64_t excluded = 0;       // subjects; those with a total that no number holds, too
  std::vector<Unlike> unlike;  // by subject, meter with its dimension values, and bucket
};

// `catalog`: has the meters of both. `but_of`: commits of the stored book; subjects that one of them has totals of are
// left out. Errors: the books'; DataLoss, when the bytes of a total are damaged.
[[nodiscard]] absl::StatusOr<TotalsCompared> CompareTotals(const Book& again, const Book& stored,
                                                           const Catalog& catalog, const std::set<uint64_t>& but_of,
                                                           int threads);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_TOTALS_COMPARISON_H_
