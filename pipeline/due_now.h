// DueNow: what lies between the usage in the book and what is booked for it, by a catalog: what a seal would book, and
// what it would leave waiting. Books nothing.
#ifndef TOLLBOOK_PIPELINE_DUE_NOW_H_
#define TOLLBOOK_PIPELINE_DUE_NOW_H_

#include <string>
#include <vector>

#include "ledger/book.h"
#include "pipeline/waiting.h"
#include "rating/catalog.h"

namespace tollbook {

struct DueNow {
  struct Due {
    std::string entity;
    Currency currency;
    LineSum sum;
  };
  std::vector<Due> due;  // by (entity, currency)
  std::vector<WaitingAmount> waiting;
};
[[nodiscard]] absl::StatusOr<DueNow> DueBy(const Book& book, const Catalog& catalog, int threads);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_DUE_NOW_H_
