// Allocation: what of a contract's price is revenue of each of its performance obligations, and when. Pure.
//
// Price      What all fees of a contract come to over its term (contract.h), by the amounts as they are billed: rounded
//            for each fee and billing period. Nobody knows before an amendment that it will come: so it is the price as
//            if the version in force went on to the term's end, until another one begins.
// Allocated  In a stretch from one amendment to the next, by the relative stand-alone prices of what is still to be
//            delivered: (price - what is recognised before) * stand-alone price / sum of stand-alone prices.
// Amended    Prospectively: what a version, another quantity or another plan, is recognised before it stays, and the
//            rest of the price as it is now is allocated anew over what is left of the term. What of an obligation is
//            left is the share of its days. Where nothing is left, what is not recognised yet is, at once, by what was
//            left of the obligations that ended.
// Recognised Over time: in equal parts by day, to the term's end. At a point: on the day on which it is due.
// Rounding   Each share once, by the book's mode, and the last one takes what is left: so they sum to the price to the
//            minor unit. Of a share what is recognised to date, once. Stand-alone prices: half to even at 18 decimals.
// Bounds     A contract's price is at most kMinorMax, and the stand-alone prices of a stretch come to less than
//            2^127 * 10^-18 of the major unit: beyond it, false.
// Source     IFRS 15 paragraphs 73 to 80 and 21(a), ASC 606-10-32-28 to -35, 606-10-25-13(a).
#ifndef TOLLBOOK_PIPELINE_ALLOCATION_H_
#define TOLLBOOK_PIPELINE_ALLOCATION_H_

#include <span>
#include <string>
#include <vector>

#include "pipeline/recognition.h"
#include "rating/catalog.h"
#include "rating/contract.h"

namespace tollbook {

// What one obligation has of a stretch's price.
struct AllocatedShare {
  const Subscription* subscription = nullptr;  // the version that promises it
  const Charge* charge = nullptr;
  Int128 stand_alone = 0;  // 10^-18 of the major unit: of what is still to be delivered
  Int128 minor = 0;
  bool at_once = false;  // at a point, or because nothing is left to be delivered; else by day, to the term's end
};

// From one amendment to the next.
struct AllocationStretch {
  Day from;
  Day to;                              // exclusive: the next amendment as far as it is known, or the term's end
  Int128 price = 0;                    // of the whole contract, minor units
  Int128 recognised = 0;               // before, of all obligations
  std::vector<AllocatedShare> shares;  // sum to price - recognised
};

struct AllocatedContract {
  BillingPeriod term;
  std::vector<AllocationStretch> stretches;  // by day; at least one
};

// The contracts of one subscription that have begun by the day, with the amendments that have. `versions`: all of its
// subject's. False: a number does not fit.
[[nodiscard]] bool Allocate(const Catalog& catalog, const Contracts& contracts, std::string_view subscription,
                            const Catalog::SubscriptionRange& versions, Day last,
                            std::vector<AllocatedContract>* allocated);

// What is recognised of a stretch's share by the end of a day that is not before the stretch. False: it does not fit.
[[nodiscard]] bool RecognisedBy(const AllocatedContract& contract, const AllocationStretch& stretch,
                                const AllocatedShare& share, Day day, Rounding rounding, Int128* minor);

// One obligation of a contract, whatever version promises it on one plan.
struct AllocatedLine {
  const Subscription* subscription = nullptr;  // the first such version
  const Charge* charge = nullptr;
  std::vector<RecognisedDay> days;  // through `last`; days that change nothing are left out
};
[[nodiscard]] bool LinesOf(const AllocatedContract& contract, Day last, Rounding rounding,
                           std::vector<AllocatedLine>* lines);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_ALLOCATION_H_
