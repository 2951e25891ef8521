// Recognition: how a fee that was deferred becomes revenue, day by day. Pure.
//
// A fee that is due in advance is for the time that is still to come. What is due on a day is recognised in equal parts
// from that day on, through the last day that it is for. A change prospectively: what is due, or credited, on a later
// day joins what is not recognised yet, and both go evenly over the days that are left. So a fee whose rest is credited
// when a subscription ends is recognised as far as it was used, and not at all afterwards.
//
// Rounding  Of the part that is recognised to date, once, by the book's mode: so the days sum to what was due, to the
//           minor unit, on the last day.
// Source    IFRS 15 paragraphs 35 and 39 to 45, ASC 606-10-25-27 and -31 to -37: satisfied over time, by time elapsed.
#ifndef TOLLBOOK_PIPELINE_RECOGNITION_H_
#define TOLLBOOK_PIPELINE_RECOGNITION_H_

#include <optional>
#include <span>
#include <vector>

#include "rating/catalog.h"
#include "rating/rate.h"

namespace tollbook {

// Due on a day, and earned by the end of the day before `end`.
struct DeferredAmount {
  Day due;
  Day end;  // exclusive; behind `due`
  Int128 minor = 0;
};

struct RecognisedDay {
  Day day;
  Int128 to_date = 0;  // minor units
};

// By day, through `last`; days that change nothing are left out. `deferred`: by day. False: a sum does not fit.
[[nodiscard]] bool Recognise(std::span<const DeferredAmount> deferred, Day last, Rounding rounding,
                             std::vector<RecognisedDay>* days);

// What a rated line defers by the rule: each day's amount, with the time that it is for. That of a fee's discount is
// the fee's.
[[nodiscard]] std::vector<DeferredAmount> DeferredOf(const Catalog& catalog, const RatedCharge& rated,
                                                     const PostingRule& rule);

// Whether the rule defers the line: a ratable one does so with a fee that is due in advance, and with what discounts take
// off it. All else is recognised when it is due.
[[nodiscard]] bool IsDeferred(const Catalog& catalog, const RatedCharge& rated, const PostingRule& rule);

// How the rule summarises the line's own amounts: those that it defers always on the days on which they are due.
[[nodiscard]] SummaryPolicy SummaryOf(const Catalog& catalog, const RatedCharge& rated, const PostingRule* rule);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_RECOGNITION_H_
