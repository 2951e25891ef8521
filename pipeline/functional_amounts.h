// FunctionalAmounts: what journal lines are in the functional currency of their entities.
//
// A batch has the amounts of its own currency, and the catalog that it was sealed by has the rates, in the book for
// ever: so what its lines are in the functional currency is reckoned from the batches up to it whenever it is asked
// for, and neither a later fx.csv nor a later batch changes it. By what a line is of:
//   usage and what is due        the rate of its posting date
//   what is deferred             deferred_balance.h; of each entity, currency and account that a posting rule defers
//                                to, and of each subscription where all such rules have lines by subscription. In the
//                                order of seals, in a seal by posting date; on a day what is deferred counts before
//                                what is drawn. Lines of other rules on the account are none of it
//   what grants pay and lose     grant_draws.h, where it debits or credits an account of type liability
//   an accrual that is reversed  what the accrual was, and so where it is taken back by reference and booked anew. Where
//                                the two are not the same amount, deferred_balance.h: of each entity, currency and
//                                account, of what is accrued alone, whatever else is posted there
//                                Where it and other parts of its line come to the line's other sign, the line is zero,
//                                and the next one with an accrual between the two accounts has that too
//   a reversal by reference      what it takes back was; of what is deferred no more than is carried, and all of
//                                it where nothing of the transaction balance is left
// The debit and the credit of a line are the same amount, so that a batch balances in the functional currency too, and
// nothing is left over to be booked.
#ifndef TOLLBOOK_PIPELINE_FUNCTIONAL_AMOUNTS_H_
#define TOLLBOOK_PIPELINE_FUNCTIONAL_AMOUNTS_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ledger/book.h"
#include "ledger/journal.h"
#include "rating/exchange_rates.h"

namespace tollbook {

struct FunctionalAmount {
  Money amount;                      // of the line's debit, and of its credit; not negative
  std::optional<ExchangeRate> rate;  // the one that all of it has; none: it was deferred or granted at several
};

// One for each line of a batch. None: the catalog that it was sealed by has no rate for the line, or not its entity.
using LineAmounts = std::vector<std::optional<FunctionalAmount>>;

// Borrows the book, which gets no seal meanwhile. The first call reckons all batches: it reads each catalog that any
// was sealed by once, and where one has grants, or accrues, what all seals booked.
class FunctionalAmounts {
 public:
  explicit FunctionalAmounts(const Book& book) : book_(book) {}
  // OutOfRange: an amount is too large to be converted.
  absl::StatusOr<LineAmounts> Of(const JournalBatch& batch);

 private:
  const Book& book_;
  std::optional<std::map<std::string, LineAmounts>> amounts_;  // by batch id
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_FUNCTIONAL_AMOUNTS_H_
