// ContractCheck: of each contract that is over, all that was billed is recognised. Pure; for verify, by other code than
// what allocates: the fees as they are rated, against the amounts that are due as revenue.
#ifndef TOLLBOOK_PIPELINE_CONTRACT_CHECK_H_
#define TOLLBOOK_PIPELINE_CONTRACT_CHECK_H_

#include <optional>
#include <span>
#include <string>

#include "pipeline/subject_worth.h"

namespace tollbook {

// The first contract of a subject of which that is not so; empty: none. One is over once the month in which it ends is,
// by `through`: a posting rule may recognise by the month. Without `through` none is looked at.
[[nodiscard]] std::string UnevenContract(std::span<const RecognisedCharge> recognised,
                                         std::span<const BookedAmount> due, std::optional<Day> through);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CONTRACT_CHECK_H_
