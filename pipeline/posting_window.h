// PostingWindow: at which hours a target may be told of a legal entity's batches.
#ifndef TOLLBOOK_PIPELINE_POSTING_WINDOW_H_
#define TOLLBOOK_PIPELINE_POSTING_WINDOW_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rating/accounting_period.h"
#include "rating/calendar.h"
#include "rating/catalog_draft.h"
#include "rating/clock_window.h"

namespace tollbook {

// The days around the end of an accounting period, while its books are being closed: together at most kCloseDaysMax, so
// that every period has days that are none.
struct CloseDays {
  uint32_t last = 0;   // of the period that ends
  uint32_t first = 0;  // of the one that begins
  friend bool operator==(const CloseDays&, const CloseDays&) = default;
};
inline constexpr uint32_t kCloseDaysMax = 20;  // a period has 28 days at least

struct PostingWindow {
  std::vector<std::string> entities;  // empty: all, and what is of none
  ClockWindow when;
  Zone zone;
  CloseDays not_on;
};

// The items of `windows`; what is wrong with them are errors. Whether the entities are known is the caller's to see.
[[nodiscard]] std::vector<PostingWindow> ReadPostingWindows(YamlMap& map, FileErrors& errors);

// The first instant from `from` on at which one of the windows of that entity is open: `from` itself where no window is
// of it. `entity` empty: of none. `calendar`: the entity's.
[[nodiscard]] Instant OpensAt(std::span<const PostingWindow> windows, std::string_view entity,
                              const FiscalCalendar& calendar, Instant from);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_POSTING_WINDOW_H_
