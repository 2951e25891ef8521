// FunctionalAmounts: what journal lines are in the functional currency of their entities.
//
// A batch has the amounts of its own currency, and the catalog that it was sealed by has the rates, in the book for
// ever: so what a line is in the functional currency is reckoned from the two whenever it is asked for, and a later
// fx.csv does not change it. Rounded is each line, once, by the catalog's mode. Its debit and its credit are the same
// amount, so that a batch balances in the functional currency too, and nothing is left over to be booked.
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
  Money amount;       // of the line's debit, and of its credit
  ExchangeRate rate;  // the last one on the posting date or before
};

// One for each line of a batch. None: the catalog that it was sealed by has no rate for the line, or not its entity.
using LineAmounts = std::vector<std::optional<FunctionalAmount>>;

// Borrows the book. Reads each catalog once.
class FunctionalAmounts {
 public:
  explicit FunctionalAmounts(const Book& book) : book_(book) {}
  // OutOfRange: an amount is too large to be converted. A reversal has the amounts and rates of what it takes back.
  absl::StatusOr<LineAmounts> Of(const JournalBatch& batch);

 private:
  // What a catalog says of it.
  struct Rates {
    ExchangeRates rates;
    std::map<std::string, Currency, std::less<>> functional_currency;  // by entity
    Rounding rounding = Rounding::kHalfUp;
  };
  absl::StatusOr<const Rates*> RatesOf(uint64_t seal);
  absl::StatusOr<LineAmounts> OfReversal(const JournalBatch& batch);

  const Book& book_;
  std::map<uint64_t, std::string> digests_;  // of the seals' catalogs
  std::map<std::string, Rates> rates_;       // by digest
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_FUNCTIONAL_AMOUNTS_H_
