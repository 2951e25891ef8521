// MissingCodes: what batches need in an ERP, and targets.yaml or customers.csv does not name there. Found in the book
// alone, before anything is sent.
#ifndef TOLLBOOK_PIPELINE_EMIT_MISSING_CODES_H_
#define TOLLBOOK_PIPELINE_EMIT_MISSING_CODES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "ledger/book.h"
#include "pipeline/emit/emitter.h"

namespace tollbook {

struct MissingCode {
  std::string target;
  std::string what;      // "account \"4000\" has no code in NetSuite: targets.yaml: add it under `accounts`"
  uint64_t batches = 0;  // that need it, and are neither there nor superseded
  std::string first_batch;
};

// By target and what is missing. Of each line of a batch the first that is: when that is there, its next is told. Of a
// line that was taken for a customer's and names none, that.
[[nodiscard]] absl::StatusOr<std::vector<MissingCode>> MissingCodes(const Book& book, const Catalog& catalog);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_MISSING_CODES_H_
