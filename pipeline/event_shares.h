// EventShares: what each single event adds to the price of its charge.
//
// The share of an event is what the charge's usage up to it is worth, less what the usage up to the one before it is
// worth: exact. So shares sum to the worth of the days that are looked at, whatever the model: of a graduated price the
// event's units fall in their tiers, of a largest value all but the records have nothing, and where a volume price
// falls a share is negative. What a minimum adds is due when the period ends, and is nobody's share.
//
// Days       A meter that carries over (a level, a set with removals) goes on without events: a day without any has its
//            price, and what an event adds depends on how long it lasts. So there the shares are those of days.
// Beside     Where a charge is rated by slices (rating/amendment.h), or grants of units pay (rating/unit_grant.h), its
//            price needs usage of other plans and periods, and what was paid before. There the rater says what the
//            usage up to each event is worth. What a day changes before its first event is a share of that day: a
//            volume price that falls by what another plan used, a grant that starts and pays earlier units. Of such
//            changes those below a minor unit may go to the next event, as the rater knows no day of them.
// Grants     do what they do on a day before its events are over: units that a grant of the same day pays after all
//            are paid at once.
// Cost       Each event that is shown is priced, with the part of the charge that it falls in: an hour of an hourly
//            charge, all cells of a matrix; of a percentile or a count of different values it also costs a pass over
//            the values so far; where the rater says it, a rating of what the subject used of charges of that name, and
//            of slices that price parts a pass over their usage so far.
//            The events behind those are added up, and priced once a day.
#ifndef TOLLBOOK_PIPELINE_EVENT_SHARES_H_
#define TOLLBOOK_PIPELINE_EVENT_SHARES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/charge_events.h"
#include "rating/catalog.h"
#include "rating/money.h"
#include "rating/rate.h"

namespace tollbook {

// What the rater said of a charge at the end of a day.
struct DayPrice {
  Day day;
  Quantity to_date;
  Worth worth;
};

// Of the days whose events are looked at.
struct PricedDays {
  DayPrice before;             // the day with usage before them; nothing, where they begin the period
  std::vector<DayPrice> days;  // those with a price of their own; none, where all of their usage was taken back
  bool is_complete = false;    // the last of them ends the period: a minimum is due
};

struct EventShare {
  ChargeEvent event;
  Quantity to_date;                   // the period's quantity after it
  Quantity position;                  // where tiers stand after it: as metered, of its cell, limited value or bucket
                                      // alone, and with what slices before used that its own goes on from
  Worth share;                        // none by days, and no position
  std::vector<std::string> falls_in;  // the steps of the price that it moves: "tier 1 (up to 9000) +200"
};

struct ShareOfDay {
  Day day;
  Quantity to_date;
  Worth share;
};

struct EventShares {
  uint64_t events = 0;            // that count
  uint64_t taken_back = 0;        // others, which corrections took back: they are shown, and have no share
  bool by_day = false;            // the shares are those of days
  Quantity before;                // the period's quantity before the first of them
  std::vector<EventShare> shown;  // the first ones
  uint64_t more = 0;              // events behind those, and what they come to
  Worth more_share;
  std::vector<ShareOfDay> days;  // by_day all of them; else what they change beside these events
  Worth at_period_end;           // what is due then, as a minimum
  Worth sum;                     // of all shares and of what is due then: the worth of the last day less that before
};

// `events` in their order. Keeps the first `shown` of them. OutOfRange: a worth on the way cannot be held.
[[nodiscard]] absl::StatusOr<EventShares> ShareOut(const Catalog& catalog, const ChargeUsage& usage,
                                                   const PricedDays& priced, std::vector<ChargeEvent> events,
                                                   size_t shown);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EVENT_SHARES_H_
