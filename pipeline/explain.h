// Explain: from a journal line down to the charges behind it, their arithmetic, and the stretches of the sources that
// the usage came from; and, if asked for, the single events, each with its share of the price.
//
// Everything is as it was at the line's seal: the totals up to that commit, and the catalog that the seal kept. Where
// that one prices the charge otherwise than the seal before did, the same totals are also rated by the catalog of then.
#ifndef TOLLBOOK_PIPELINE_EXPLAIN_H_
#define TOLLBOOK_PIPELINE_EXPLAIN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/book.h"
#include "pipeline/earlier_world.h"
#include "pipeline/event_shares.h"
#include "rating/price.h"

namespace tollbook {

// Usage of one commit that went into a charge on the usage date (or, where a line covers the period, in the period).
struct UsageOrigin {
  uint64_t commit = 0;
  Quantity quantity;  // as the meter aggregates within that commit (RunningAggregate)
  uint64_t events = 0;
  bool rebuilt = false;  // totals were reckoned anew after corrections: these stand instead of what came before
  struct Stretch {
    std::string path;
    uint64_t first_line = 0, last_line = 0;  // 1-based, inclusive
    // XXH3-128 of the source's file, as `xxhsum -H2` prints it; of one that was not read to its end, or came through a
    // pipe, of the (decompressed) content that was read.
    std::string xxh3_128 = {};
  };
  std::vector<Stretch> stretches;  // of the sources, that the commit covered
};

// The events of the days that a line covers. By construction
//   shares.sum - booked_before + rounding = the charge's share in the line
struct ExplainedEvents {
  // Nothing is due for those days any more, and no correction says why: there are no shares, and all that the line does
  // is to take back what was booked before.
  bool is_only_taken_back = false;
  EventShares shares;
  Worth rounding;                  // what the rounding to minor units adds, to date less the day before
  std::vector<std::string> paths;  // of the sources, by ChargeEvent::book_source
};

// What a line of a subscription is of.
enum class LineKind : uint8_t {
  kUsage,     // a meter's, priced
  kFee,       // due by the calendar
  kMinimum,   // what the plan's minimum adds to its other charges
  kMaximum,   // what the plan's maximum takes off
  kDiscount,  // what discounts take off another line
  kGrant,     // what a grant pays or loses; its quantity is what is left
};
std::string_view ToString(LineKind kind);

struct ExplainedCharge {
  LineKind kind = LineKind::kUsage;
  std::string subject, subscription, plan, charge, meter, unit, filter;
  BillingPeriod period;
  Day usage_date;
  Money difference;             // this charge's share in the line
  bool rated = false;           // false: by the seal's catalog nothing is due of it, and the line books it back
  std::string why_booked_back;  // in words, where it is not rated
  Quantity to_date;             // the period's quantity up to the usage date
  Quantity before;              // up to the day with usage before it
  Worth worth_to_date, worth_before;
  Money rounded_to_date, rounded_before;
  Money booked_before;           // what earlier seals had booked for this usage date
  std::vector<PriceStep> steps;  // of to_date
  std::vector<UsageOrigin> origins;
  std::optional<EarlierWorld> earlier;    // where the catalog's change since the seal before is part of it
  std::optional<ExplainedEvents> events;  // if asked for: of usage that is rated
};

struct Explanation {
  JournalBatch batch;
  JournalLine line;
  SealRecord seal;
  std::string reverses;                  // the line of an earlier batch that it takes back, as "<batch>/<number>"
  std::optional<SealRecord> reversed;    // the seal that takes back its batch
  Money sum;                             // of all differences behind the line: equals what the line posts
  uint64_t charges = 0;                  // behind the line
  std::vector<ExplainedCharge> largest;  // of those asked for, by amount; at most `limit`
  Money more_sum;                        // of all that are not among them
  // Sources of single events that are not there as they were, and were read from the usage log.
  std::vector<std::string> from_log;
};

// Which of a line's charges are shown; an empty name is any.
struct OnlyCharges {
  std::string subscription = {}, charge = {};
};

// `line`: "<batch id>/<line number>". NotFound with what there is when it does not exist, or has none of `only`.
// `events`: read the sources again, and show at most so many single events of each charge; see ReadChargeEvents for its
// errors.
[[nodiscard]] absl::StatusOr<Explanation> Explain(const Book& book, std::string_view line, size_t limit,
                                                  std::optional<size_t> events = std::nullopt,
                                                  const OnlyCharges& only = {});

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EXPLAIN_H_
