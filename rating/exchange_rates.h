// ExchangeRates: the rates of fx.csv, and what an amount is in another currency by one of them. Pure.
//
// Rate      One major unit of `from` is so many of `to`, from its date on until the pair's next one. It is used as
//           written: none is inverted, or made of two others by way of a third currency.
// Rounding  RoundToMinor, once for each amount.
// Errors    OutOfRange: the amount is too large to be converted.
// Source    IAS 21.21 and .22, ASC 830-20-30-1: the rate of the day of the transaction.
#ifndef TOLLBOOK_RATING_EXCHANGE_RATES_H_
#define TOLLBOOK_RATING_EXCHANGE_RATES_H_

#include <map>
#include <optional>
#include <utility>

#include "rating/calendar.h"
#include "rating/money.h"

namespace tollbook {

class Catalog;
struct CatalogDraft;

struct ExchangeRate {
  Day date;    // on which it begins
  Price rate;  // above zero
  friend bool operator==(const ExchangeRate&, const ExchangeRate&) = default;
};

class ExchangeRates {
 public:
  // False: the pair has one of that date already, which stays.
  [[nodiscard]] bool Add(Currency from, Currency to, const ExchangeRate& rate);
  // The pair's last one on the day or before; from a currency to itself it is 1, of the day. None: there is none yet.
  std::optional<ExchangeRate> On(Currency from, Currency to, Day day) const;
  // On a day before the pair's first one, that. None: the pair has none at all.
  std::optional<ExchangeRate> OnOrFirst(Currency from, Currency to, Day day) const;

 private:
  std::map<std::pair<Currency, Currency>, std::map<Day, Price>> rates_;
};

[[nodiscard]] absl::StatusOr<Money> Convert(const Money& amount, Currency to, Price rate, Rounding rounding);

// Those of a catalog's fx.csv; none where it has no such file.
[[nodiscard]] ExchangeRates ExchangeRatesOf(const Catalog& catalog);

// What is wrong with a draft's fx.csv. Where there is one, it has a rate for each day on which a subscription may be
// booked in another currency than its entity's own. After ReadSubscriptions.
void CheckExchangeRates(CatalogDraft& draft);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_EXCHANGE_RATES_H_
