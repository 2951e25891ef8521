// CatalogClock: `days`, `from` and `to` of windows on the clock, in time_rate and around buckets.
#ifndef TOLLBOOK_RATING_CATALOG_CLOCK_H_
#define TOLLBOOK_RATING_CATALOG_CLOCK_H_

#include <optional>
#include <span>
#include <string_view>

#include "rating/catalog_draft.h"
#include "rating/clock_window.h"

namespace tollbook {

// `days: mon-fri` or a list of such; `from: "18:00"`, `to: "24:00"`; each absent one is the whole. None: an error.
std::optional<ClockWindow> ReadClockWindow(YamlMap& map, FileErrors& errors);

struct WrittenWindow {
  ClockWindow when;
  int line = 0;
};
// Two that overlap are an error, the first such pair of each.
void CheckOverlaps(std::span<const WrittenWindow> windows, std::string_view charge, FileErrors& errors);
// The first time of the week that none of them has is an error.
void CheckWholeWeek(std::span<const WrittenWindow> windows, std::string_view charge, int line, FileErrors& errors);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_CLOCK_H_
