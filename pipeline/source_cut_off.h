// SourceCutOffs: from where on in a source usage dated before a day is refused (ledger/cut_off.h). What is absorbed has
// one cut-off, the book's; what is read once more has those that held when each stretch of it was absorbed.
#ifndef TOLLBOOK_PIPELINE_SOURCE_CUT_OFF_H_
#define TOLLBOOK_PIPELINE_SOURCE_CUT_OFF_H_

#include <cstdint>
#include <vector>

#include "ledger/seen_entry.h"
#include "rating/calendar.h"

namespace tollbook {

struct CutOffStep {
  uint64_t from_offset = 0;  // in the (decompressed) content
  Day before;
};
using SourceCutOffs = std::vector<CutOffStep>;  // by offset

inline Day CutOffAt(const SourceCutOffs& steps, uint64_t offset) {
  Day before = kNoUsage;
  for (const CutOffStep& step : steps) {
    if (step.from_offset <= offset) before = step.before;
  }
  return before;
}

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_SOURCE_CUT_OFF_H_
