// PeriodChange: what somebody decided about an accounting period of a legal entity: who, why, from which state to
// which.
#ifndef TOLLBOOK_LEDGER_PERIOD_CHANGE_H_
#define TOLLBOOK_LEDGER_PERIOD_CHANGE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rating/accounting_period.h"
#include "rating/error.h"

namespace tollbook {

// What stood in the way of a close and was let pass.
struct PeriodWaiver {
  std::string kind;    // "held", "unattributed" …
  uint64_t count = 0;  // how many there were
  friend bool operator==(const PeriodWaiver&, const PeriodWaiver&) = default;
};

struct PeriodChange {
  uint64_t sequence = 0;  // its commit, which has the time
  std::string entity;
  AccountingPeriod period;  // as the catalog had it: its days do not change any more
  PeriodState before = PeriodState::kOpen;
  PeriodState after = PeriodState::kOpen;
  std::string by;   // a person's name; never empty
  std::string why;  // never empty
  std::vector<PeriodWaiver> waived;
  friend bool operator==(const PeriodChange&, const PeriodChange&) = default;
};

std::string Encode(const PeriodChange& change);
absl::StatusOr<PeriodChange> DecodePeriodChange(std::string_view stored);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_PERIOD_CHANGE_H_
