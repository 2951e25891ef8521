// Simulate: what the usage in the book is worth by one catalog, and what it would be worth by another. Books nothing.
//
// Both sides rate the same totals, up to the same day: all that the book has now, be it sealed or not. What differs is
// the catalogs' doing alone. Amounts are those of whole charge periods up to that day: rounded as the book would say
// them (DayWorth::booked_to_date), and exact. Amounts of several currencies are never added.
//
// Pairs     A charge period before and after is one when subscription, charge and period are the same; of the plan's
//           change both names are shown. What only one side has stands against nothing.
// Cost      Each shard's totals are read once and rated twice. In memory: one sum for each row, and the largest movers.
// Errors    The book's; FailedPrecondition, as a seal, when a catalog counts a meter otherwise than the book.
#ifndef TOLLBOOK_PIPELINE_SIMULATE_H_
#define TOLLBOOK_PIPELINE_SIMULATE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ledger/book.h"
#include "rating/catalog.h"

namespace tollbook {

// A customer is who pays: whom customers.csv names for a target that bills customers (of targets.yaml the first one
// that does), by the new catalog, else by the one before; a subscription that neither names is its account's.
enum class SimulateBy : uint8_t { kPlan, kCustomer, kAccount, kSubscription, kCharge };

struct SimulateOptions {
  int threads = 0;  // 0: all cores
  std::optional<Day> through;
  SimulateBy by = SimulateBy::kPlan;
  size_t movers = 20;  // of each currency
};

// In one currency, that whoever holds it knows.
struct SimulatedAmounts {
  Int128 before = 0, after = 0;  // minor units
  Worth before_exact, after_exact;
  Int128 difference() const { return after - before; }
};

struct SimulatedTotal {
  std::string entity;
  Currency currency;
  SimulatedAmounts amounts;
  // What a seal with the new catalog and the same last day would book of these charges now: the difference, if all usage
  // is sealed, and no line waits for its period's end. What is recognised of a deferred one, and the same amounts in the
  // books of another entity that delivers, are not added to it.
  Int128 seal_would_book = 0;
};

// Which members are filled says `by`: plan; customer and target; account; subscription and account; plan and charge.
struct SimulatedRow {
  std::string customer, target;   // that knows it by this id; "": `customer` is the account
  std::string plan, plan_before;  // the same, unless the usage changes its plan; "": no subscription takes it
  std::string account, subscription, charge;
  Currency currency;
  SimulatedAmounts amounts;
  uint64_t charge_periods = 0;
};

struct SimulatedMover {
  std::string account, subscription, plan, plan_before, charge;
  BillingPeriod period;
  std::string entity;
  Currency currency;
  SimulatedAmounts amounts;
  Quantity quantity_before, quantity_after;
};

enum class UsageStanding : uint8_t { kPriced, kUnpriced, kUnattributed, kTrial };
std::string_view ToString(UsageStanding standing);

// Usage that stands otherwise than before. An event counts once for each meter that it feeds.
struct SimulatedUsage {
  std::string meter;
  UsageStanding before = UsageStanding::kPriced, after = UsageStanding::kPriced;
  uint64_t events = 0;
};

struct Simulation {
  uint64_t subjects = 0;
  uint64_t charge_periods_before = 0, charge_periods_after = 0;
  std::vector<SimulatedTotal> totals;   // by (entity, currency)
  std::vector<SimulatedRow> rows;       // by their names, then currency
  std::vector<SimulatedMover> movers;   // by currency, then the largest first; ties by name
  std::vector<SimulatedUsage> usage;    // by (meter, before, after); only what changes
  std::vector<std::string> new_meters;  // of the new catalog alone: the book has no totals of them
  std::vector<std::string> not_rated;   // subjects left out of both sides, as one of them cannot be held: why
};

[[nodiscard]] absl::StatusOr<Simulation> Simulate(const Book& book, const Catalog& before, const Catalog& after,
                                                  const SimulateOptions& options);

// Accepted events that no seal has seen.
[[nodiscard]] absl::StatusOr<uint64_t> EventsSinceSeal(const Book& book);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_SIMULATE_H_
