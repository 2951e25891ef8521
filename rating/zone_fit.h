// ZoneFit: which granularity of totals the days of a zone are made of.
#ifndef TOLLBOOK_RATING_ZONE_FIT_H_
#define TOLLBOOK_RATING_ZONE_FIT_H_

#include "rating/calendar.h"
#include "rating/meter.h"

namespace tollbook {

// From which day on, and until 2100, all days start at a whole hour or quarter hour of UTC. Berlin: 1970 for both;
// Kolkata (+05:30): never for hours; Monrovia: 1972, when it left an offset of -00:44:30.
struct ZoneFit {
  Day whole_hours_from;
  Day whole_quarters_from;
};
ZoneFit FitOf(const Zone& zone);

// Are all days of the zone from `from` on made of whole totals? A meter by day keeps days of the book's zone.
bool Fits(const ZoneFit& fit, Granularity granularity, bool is_book_zone, Day from);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_ZONE_FIT_H_
