// GrantDraws: what grants paid and lost, as the lines of the journal have it, and what that is in functional
// currencies.
//
// The money of a grant whose lines debit or credit a liability was paid ahead, and whoever invoiced it has booked it on
// the day on which it came: that is not in the book. So what a grant pays, and what it loses, has the rate of the day
// on which its money was granted: its first day, or that of its last refill by then. What a refill carries over
// counts as of that refill. A day before the first rate of the two currencies has that one.
//
// Rounding  Of all that one entity has drawn of the grant since that day, once: so the lines come to what the whole was
//           converted at once, to the minor unit.
// Limit     The usage that a grant pays is converted at its own day's rate, and the difference of the two rates stays
//           on what is due, where IFRIC 22.8 would have the revenue at the rate of the prepayment.
// Source    IAS 21.16 and .23(b), ASC 830-10-45-18: the liability is not monetary.
#ifndef TOLLBOOK_PIPELINE_GRANT_DRAWS_H_
#define TOLLBOOK_PIPELINE_GRANT_DRAWS_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "ledger/journal.h"
#include "pipeline/deferred_balance.h"
#include "rating/catalog.h"

namespace tollbook {

// What a line of a grant is of, by the charge's name: "credit g1", "breakage g1".
struct GrantLine {
  std::string grant;
  Day starts_on;
  std::optional<BillingCycle> refill;
  bool is_breakage = false;
  // The first day of the money that is drawn on the usage date.
  Day GrantedOn(Day used_on) const;
  friend bool operator==(const GrantLine&, const GrantLine&) = default;
};
using GrantLines = std::map<std::string, GrantLine, std::less<>>;
GrantLines GrantLinesOf(const Catalog& catalog);
// Into `lines` as they are in `of`; what is new there, or was otherwise.
GrantLines TakeGrantLines(const GrantLines& of, GrantLines* lines);

// What a journal line has of one charge of a grant.
struct GrantPart {
  LineRef line;  // of the seal's batches; its line is 0 where it came to zero, and is not there
  std::string charge;
  std::string entity;
  Currency currency;
  Day used_on;
  std::string debit, credit;  // accounts
  friend bool operator<(const GrantPart& a, const GrantPart& b) {
    const auto in_order = [](const GrantPart& of) {
      return std::tie(of.line.batch, of.line.line, of.charge, of.entity, of.currency, of.used_on, of.debit, of.credit);
    };
    return in_order(a) < in_order(b);
  }
};
using GrantParts = std::map<GrantPart, Int128>;  // minor units, as the differences have them

// What entities have drawn of grants so far.
class GrantDraws {
 public:
  // Of one grant's money of one day.
  struct Drawn {
    ExchangeRate rate;   // by which it was first drawn, for ever
    Int128 to_date = 0;  // minor units of its own currency
    Int128 told = 0;     // of the functional one: what lines have of it
  };
  // What is drawn with the part, of the sign that its differences have. `own` is by one of `rates`. OutOfRange: it does
  // not fit.
  absl::StatusOr<Drawn*> Draw(const GrantPart& part, Int128 minor, const GrantLine& of, const ExchangeRates& rates,
                              const DayRate& own);

 private:
  using Key = std::tuple<std::string, std::string, Currency, Day>;  // grant, entity, functional currency, day
  std::map<Key, Drawn> drawn_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_GRANT_DRAWS_H_
