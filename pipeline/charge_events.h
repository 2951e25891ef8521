// ChargeEvents: the single events behind a charge, read again from their sources (read_again.h), and the corrections of
// them that the book keeps.
//
// Proof     A source must have the content that was absorbed, by its digest; and the events must come to the book's
//           totals, each of them. Else there is an error that says why, and no event.
// Cost      That of ReadAgain. In memory the events of the charges that are asked for.
#ifndef TOLLBOOK_PIPELINE_CHARGE_EVENTS_H_
#define TOLLBOOK_PIPELINE_CHARGE_EVENTS_H_

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/book.h"
#include "rating/catalog.h"
#include "rating/rate.h"

namespace tollbook {

// A charge of a plan, as a subscription has it. Pointers are the catalog's.
struct SubscribedCharge {
  const Subscription* subscription = nullptr;  // one of its versions on the plan
  const Charge* charge = nullptr;
  const Meter* meter = nullptr;
};

// Where usage of the charge's subject and meter falls, if the charge takes it. Versions of a subscription that keep the
// plan share its charges; another plan or subscription has its own.
[[nodiscard]] std::optional<UsagePlace> PlaceIn(const Catalog& catalog, const SubscribedCharge& charge, Bucket bucket,
                                                DimensionValues values);

// The usage of one charge in one billing period, up to a day.
struct ChargeUsage {
  // One stored total; of a list each element.
  struct Place {
    std::vector<std::string> values;
    Bucket bucket;
    Instant at;      // of an element; else 0
    Quantity value;  // likewise
    friend auto operator<=>(const Place&, const Place&) = default;
  };
  SubscribedCharge of;
  BillingPeriod period;
  Day first, last;                     // whose events are asked for, both inclusive
  DayShare minimum_share;              // of the charge, in this period
  bool is_by_day = false;              // its meter carries over: it goes on without events, and so does its price
  bool is_rated_again = false;         // its price needs more than its usage in the period: slices, grants of units
  std::vector<PartTotal> before;       // of the period's earlier days, in their order
  std::map<Place, UsageTotal> totals;  // of these days
  std::set<uint64_t> commits;          // that brought them
  // Where it is rated again: what else the subject's subscription used of charges of its name, through the last day.
  struct StoredTotal {
    const Meter* meter = nullptr;
    std::vector<std::string> values;
    Bucket bucket;
    UsageTotal total;
  };
  std::vector<StoredTotal> beside;
};

// Adds the total of one event to those of its meter. False: it does not fit.
[[nodiscard]] bool AddTo(const Meter& meter, const ChargeUsage::Place& place, const UsageTotal& event,
                         std::map<ChargeUsage::Place, UsageTotal>* totals);

// Without `commits`. `totals` are the subject's.
[[nodiscard]] ChargeUsage UsageOf(const Catalog& catalog, const RatedCharge& rated,
                                  std::span<const SubjectTotal> totals, Day first, Day last);

struct ChargeEvent {
  uint32_t book_source = 0;  // SourceRecord::id
  uint64_t line = 0;         // 1-based
  uint32_t part = 0;         // which event of the line
  std::string source, id;    // the event's own
  Instant time;
  PartTotal usage;           // its own: the total of one event
  ChargeUsage::Place place;  // where that is stored, of a charge that is rated again
  std::string value;         // as it was written, where the meter keeps no more than a hash of it; else empty
  // The id of the correction that took it back: it counts nothing, and is here to be seen. Empty: it counts.
  std::string taken_back_by;
  bool is_voided = false;  // by a void; else something counts instead
};

// For each of the charges its events, by day, time, source and id; where the meter keeps values with their times, by
// value before source, as the rater takes them. `through_sequence`: the commit that the totals are as of; corrections
// that were applied later change nothing. `from_log`, which may be null, gets the sources that are not there as they
// were, and were read from the usage log.
// Errors: FailedPrecondition: the usage came from a pipe, or a source is gone or changed; Unavailable, DataLoss.
[[nodiscard]] absl::StatusOr<std::vector<std::vector<ChargeEvent>>> ReadChargeEvents(
    const Book& book, const Catalog& catalog, std::span<const ChargeUsage> charges, uint64_t through_sequence,
    std::vector<uint32_t>* from_log = nullptr);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CHARGE_EVENTS_H_
