// Quote: what usage would cost, step by step, without a book.
//
// The arithmetic is the one of a seal: RateSubject rates the totals, RoundToMinor rounds. A quote keeps the steps.
// Pure, and not for millions: it allocates as it likes.
//
// Its lines are those that a seal of the same usage books, a plan's cap, discounts and grants among them: with
// `through` a seal through that day, else one that names no day and so books nothing by the calendar alone. A period, a
// charge, or what was used before picks from these lines; NotQuoted says what else the plans have.
//
// A later slice: where some of a billing period was metered or billed before, what is due is the worth to date less
// what was billed, each rounded, as a seal books the difference. The worth to date is
//   of previous + this quantity    when the previous quantity is given; what it was billed defaults to its worth
//   billed + worth of this usage   when only the billed amount is; the charge's bounds then hold for the sum
#ifndef TOLLBOOK_RATING_QUOTE_H_
#define TOLLBOOK_RATING_QUOTE_H_

#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rating/catalog.h"
#include "rating/price.h"
#include "rating/rate.h"

namespace tollbook {

// The subject of a plan's quote, which no real subscription has part in.
inline constexpr std::string_view kQuotedSubject = "quote";

// The catalog with one subscription: of kQuotedSubject to the plan, in the book's zone, for ever and without a trial;
// or those versions of the subscription that the catalog has. Errors: InvalidArgument with what there is.
[[nodiscard]] absl::StatusOr<Catalog> WithPlanOnly(Catalog catalog, std::string_view plan, Day from = {});
[[nodiscard]] absl::StatusOr<Catalog> WithSubscriptionOnly(Catalog catalog, std::string_view subscription);

// Of a catalog by WithPlanOnly, once it is known when the usage begins: the subscription has this first day where it
// matters, which is where the plan bills from each subscription's first day, something of it is due without usage, or
// included units roll over. Elsewhere it has been there for ever.
void BeginPlanOn(Day from, Catalog* catalog);

// The plan's billing period around the day: of who comes then, where it bills from each subscription's first day.
[[nodiscard]] BillingPeriod PeriodAround(const Plan& plan, Day day);

// Usage that is said and not measured: so many units at one instant. Keeps the dimension values of its totals, and
// borrows the catalog.
class SaidUsage {
 public:
  using Dimensions = std::map<std::string, std::string, std::less<>>;  // dimension -> value
  explicit SaidUsage(const Catalog& catalog) : catalog_(catalog) {}
  SaidUsage(const SaidUsage&) = delete;
  SaidUsage& operator=(const SaidUsage&) = delete;

  // `name`: a charge of the plan, which then takes it, or a meter. A charge's filter says its dimensions where
  // `dimensions` does not. It is one event, or `quantity` of them where the meter counts. Errors: InvalidArgument.
  [[nodiscard]] absl::Status Add(const Plan& plan, std::string_view name, Quantity quantity, Instant at,
                                 const Dimensions& dimensions);
  // Whether what was added has such dimensions. Errors: InvalidArgument with those it has.
  [[nodiscard]] absl::Status CheckDimensions(const Dimensions& dimensions) const;
  std::span<const SubjectTotal> totals() const { return totals_; }

 private:
  [[nodiscard]] absl::Status AddTotal(const Meter& meter, std::vector<std::string> values, Quantity quantity,
                                      Instant at);
  const Catalog& catalog_;
  std::deque<std::vector<std::string>> texts_;
  std::deque<std::vector<std::string_view>> values_;
  std::vector<SubjectTotal> totals_;
};

struct QuoteRequest {
  std::string_view subject;
  std::span<const SubjectTotal> usage;
  // Usage dated outside of it is left out, but for what a meter carries into it, and on to its end, and for what
  // earlier billing periods leave it of included units; and so is what is due by the calendar alone, here to the
  // period's end. None: all lines are in.
  std::optional<BillingPeriod> period = std::nullopt;
  std::optional<Day> through = std::nullopt;                 // rated up to this day, as by a seal
  std::string_view charge;                                   // only this one; empty: all
  std::optional<Quantity> previous_quantity = std::nullopt;  // these two ask for one charge with usage
  std::optional<Worth> previous_billed = std::nullopt;
};

struct QuotedCharge {
  const Subscription* subscription = nullptr;
  const Charge* charge = nullptr;
  BillingPeriod period;
  Quantity quantity;                  // of the period, as its meter aggregates; earlier slices included. Of a fee units
  std::optional<Quantity> converted;  // where the charge converts: what is priced, the sum of its parts
  uint64_t events = 0;                // of this usage
  std::vector<PriceStep> steps;       // their worths sum to `exact`
  Worth exact;                        // to date
  Money rounded;
  Worth residue;          // exact - rounded
  bool is_slice = false;  // else nothing was billed
  Worth billed;
  Money billed_rounded;
  bool is_breakage = false;  // what a grant lost: booked, and due from nobody
  Worth due_exact;           // exact - billed; 0 of breakage
  Money due;                 // rounded - billed_rounded; likewise
};

// A fee, a minimum or a bound that the subject's plans have, or a line of a grant or discount, that is left out.
struct NotQuoted {
  enum class Why : uint8_t {
    kCharge,    // another charge was asked for
    kSlice,     // what was used or billed before is of one charge alone
    kCalendar,  // due by the calendar alone, and neither a period nor a last day was given
  };
  Why why = Why::kCharge;
  const Plan* plan = nullptr;
  const Charge* charge = nullptr;
};

struct Quote {
  std::vector<QuotedCharge> charges;       // by (subscription id, plan, charge name, period)
  std::vector<UnitBalance> unit_balances;  // at the end of what was asked for
  std::vector<UnratedUsage> unrated;
  std::vector<NotQuoted> not_quoted;  // each charge once: of the lines, then of the plans
  uint64_t events_left_out = 0;  // dated outside the period or after `through`, or of charges that were not asked for
};

// Borrows the catalog. Errors: InvalidArgument when the request asks for what cannot be; OutOfRange.
[[nodiscard]] absl::StatusOr<Quote> MakeQuote(const Catalog& catalog, const QuoteRequest& request);

// What its charges come to, by currency: the sum of rounded amounts, as they are booked, beside the exact one. What
// grants lost is a sum of its own: its customer paid it before.
struct QuoteTotal {
  Worth due_exact;
  Money due;
  Money taxable;  // all that is due but what grants of money pay: they pay a price with its tax
  Money breakage = {due.currency, 0};
};
[[nodiscard]] absl::StatusOr<std::vector<QuoteTotal>> TotalsOf(const Quote& quote);

// A share of what is taxable, rounded to the minor unit. An estimate for people: which tax is due is for others to
// determine, and none is ever booked.
[[nodiscard]] absl::StatusOr<Money> EstimateTax(const QuoteTotal& total, Price share, Rounding rounding);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_QUOTE_H_
