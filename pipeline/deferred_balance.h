// DeferredBalance: what is carried on an account of deferred amounts, in the transaction and in the functional
// currency. Pure.
//
// What is deferred (a contract liability) is not monetary: it stays at the rates of the days on which it was deferred,
// whatever the rate is by the time it becomes revenue. So what adds to the balance is converted at its own day's rate,
// and what draws on it takes its share of the functional amount that is carried: rounded once, and all of the rest
// where the transaction balance comes to zero. What goes beyond zero begins a balance of the other kind (a contract
// asset) at its own day's rate.
//
// So:       where the transaction balance is zero, the functional one is.
// Rounding  Of the share, by the book's mode, to the minor unit of the functional currency.
// Errors    OutOfRange: a sum or an amount does not fit.
// Source    IAS 21.16, .22 and .23(b), IFRIC 22.8 and .9, ASC 830-10-45-18.
#ifndef TOLLBOOK_PIPELINE_DEFERRED_BALANCE_H_
#define TOLLBOOK_PIPELINE_DEFERRED_BALANCE_H_

#include <optional>

#include "rating/exchange_rates.h"

namespace tollbook {

// From a transaction currency to a functional one, by the rate of a day.
struct DayRate {
  Currency from, to;
  ExchangeRate rate;
  Rounding rounding = Rounding::kHalfUp;
  // Of so many minor units, and below zero of such below zero.
  absl::StatusOr<Int128> Of(Int128 minor) const;
};

class DeferredBalance {
 public:
  struct Posted {
    Int128 functional = 0;  // not below zero
    bool is_drawn = false;  // some of it was carried, at other rates than its own
  };

  // `minor`: a credit of the account above zero, a debit below.
  absl::StatusOr<Posted> Post(Int128 minor, const DayRate& own);
  // Of what takes back a line that was `functional`: it is that again. Only of what is carried it takes no more than
  // there is, and all of it where nothing of the transaction balance is left.
  absl::StatusOr<Posted> PostBack(Int128 minor, Int128 functional, const DayRate& own);
  // Whatever the other account of the line says.
  [[nodiscard]] absl::Status PostAs(Int128 minor, Int128 functional, const DayRate& own);
  // What another balance carries, from now on here.
  [[nodiscard]] absl::Status Take(const DeferredBalance& other);
  // Before there is a rate. What of it is still carried when there is one counts at that.
  [[nodiscard]] absl::Status PostUnrated(Int128 minor);

  // Whether it is drawn on by `minor`, and not added to.
  bool Draws(Int128 minor) const { return minor_ != 0 && (minor < 0) != (minor_ < 0); }
  Int128 minor() const { return minor_; }
  Int128 functional() const { return functional_; }

 private:
  // What is carried without a rate, or in another functional currency than now, gets this one.
  absl::Status TakeRate(const DayRate& own);
  // The magnitude of the functional amount of what `minor` draws; nothing of it adds.
  absl::StatusOr<Int128> ShareOf(Int128 minor, Rounding rounding) const;
  Int128 Carried() const;  // the magnitude of the functional amount
  absl::Status Move(Int128 minor, Int128 functional);

  std::optional<Currency> currency_;  // of `functional_`
  Int128 minor_ = 0;                  // in credit above zero
  Int128 functional_ = 0;             // of the sign of `minor_`, but for what PostAs made of it
  Int128 unrated_ = 0;                // of `minor_`, what `functional_` has nothing of
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_DEFERRED_BALANCE_H_
