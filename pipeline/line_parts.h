// LineParts: what journal lines have of grants and of accruals, as the differences behind them tell. A line is of all
// that shares its accounts, date, product and dimensions, so other amounts may stand in it too.
#ifndef TOLLBOOK_PIPELINE_LINE_PARTS_H_
#define TOLLBOOK_PIPELINE_LINE_PARTS_H_

#include <cstdint>
#include <map>
#include <utility>

#include "ledger/book.h"
#include "ledger/journal.h"
#include "pipeline/booked_places.h"
#include "pipeline/grant_draws.h"

namespace tollbook {

// Late usage that is accrued, what takes that out again, and both taken back. Minor units, as the differences have
// them.
struct AccrualParts {
  std::map<std::pair<uint32_t, uint32_t>, Int128> of_lines;  // by the seal's batch, and its line
  // Of lines that came to zero and are not there: by their keys, without the days on which they would be posted.
  std::map<LineKey, Int128> of_no_line;
};

struct LineParts {
  GrantParts grants;
  AccrualParts accruals;
};

// By the commit of each seal, how its catalog has what is stored.
using PlacesOfSeals = std::map<uint64_t, const StoredPlaces*>;

// Of each seal, by its commit. Reads what all seals booked; an entry for each line and grant, and for each line of an
// accrual, is in memory. `accruals`: whether they are asked for.
[[nodiscard]] absl::StatusOr<std::map<uint64_t, LineParts>> LinePartsOf(const Book& book, const GrantLines& lines,
                                                                        bool accruals, const PlacesOfSeals& seals);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_LINE_PARTS_H_
