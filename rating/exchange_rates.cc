#include "rating/exchange_rates.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <set>

#include "rating/catalog_draft.h"
#include "rating/catalog_rows.h"
#include "rating/minor_unit.h"

namespace tollbook {
namespace {

constexpr std::string_view kFile = "fx.csv";

enum Column { kDate, kFrom, kTo, kRate, kColumns };
constexpr std::array<std::string_view, kColumns> kColumnNames = {"date", "from", "to", "rate"};

class RateRows : public CatalogRows {
 public:
  RateRows(ExchangeRates* rates, FileErrors& errors) : CatalogRows(kColumnNames, kColumns, errors), rates_(*rates) {}

 private:
  void ReadRow() override {
    const Day date = DayIn(kDate);
    const std::optional<Currency> from = CurrencyIn(kFrom);
    const std::optional<Currency> to = CurrencyIn(kTo);
    if (from && to && *from == *to) Wrong(kTo, "as \"from\" is", "remove the row: that rate is always 1");
    const ParsedDecimal rate = ParseDecimal(Field(kRate), kPriceScale);
    if (rate.error != DecimalError::kNone || rate.value <= 0) {
      Wrong(kRate, "not a rate", "write a number above zero with at most 18 decimals, such as 1.0821");
    }
    if (good() && !rates_.Add(*from, *to, {date, Price{rate.value}})) {
      Wrong(kDate, "and another row has a rate of these two currencies for it", "keep one of the two");
    }
  }

  ExchangeRates& rates_;
};

// Whose books a subscription's amounts may be in: its own entity's, and those of who delivers by a rule that may fit.
std::set<Currency> FunctionalCurrenciesOf(const Catalog& catalog, const Subscription& subscription) {
  const Entity& seller = catalog.entities[subscription.entity];
  const Plan& plan = catalog.plans[subscription.plan];
  std::set<Currency> currencies = {seller.functional_currency};
  for (const PostingRule& rule : catalog.posting_rules) {
    const bool may_fit = (rule.entity.empty() || rule.entity == seller.name) &&
                         (rule.plan.empty() || rule.plan == plan.name) &&
                         (rule.currency.empty() || rule.currency == plan.currency.code());
    if (rule.delivered_by.empty() || !may_fit) continue;
    const auto deliverer = std::ranges::find(catalog.entities, rule.delivered_by, &Entity::name);
    if (deliverer != catalog.entities.end()) currencies.insert(deliverer->functional_currency);
  }
  return currencies;
}

// The first subscription of each pair of currencies: what it needs on its first day, all later ones have too.
void CheckReached(const CatalogDraft& draft, const ExchangeRates& rates, FileErrors& errors) {
  std::map<std::pair<Currency, Currency>, const Subscription*> first;
  for (const Subscription& subscription : draft.catalog.subscriptions) {
    const Currency from = draft.catalog.plans[subscription.plan].currency;
    for (const Currency to : FunctionalCurrenciesOf(draft.catalog, subscription)) {
      if (rates.On(from, to, subscription.valid_from)) continue;
      const Subscription*& of_pair = first.try_emplace({from, to}, &subscription).first->second;
      if (subscription.valid_from < of_pair->valid_from) of_pair = &subscription;
    }
  }
  for (const auto& [pair, subscription] : first) {
    errors.Add(0,
               Join({"no rate from ", pair.first.code(), " to ", pair.second.code(), " on ",
                     ToString(subscription->valid_from),
                     " or before, when subscriptions.csv:", std::to_string(subscription->line), " begins"}),
               "add a row for them with that date, or an earlier one");
  }
}

}  // namespace

bool ExchangeRates::Add(Currency from, Currency to, const ExchangeRate& rate) {
  return rates_[{from, to}].emplace(rate.date, rate.rate).second;
}

std::optional<ExchangeRate> ExchangeRates::On(Currency from, Currency to, Day day) const {
  if (from == to) return ExchangeRate{day, Price{kOneUnit}};
  const auto pair = rates_.find({from, to});
  if (pair == rates_.end()) return std::nullopt;
  const auto next = pair->second.upper_bound(day);
  if (next == pair->second.begin()) return std::nullopt;
  const auto& [date, rate] = *std::prev(next);
  return ExchangeRate{date, rate};
}

std::optional<ExchangeRate> ExchangeRates::OnOrFirst(Currency from, Currency to, Day day) const {
  const auto pair = rates_.find({from, to});
  if (from == to || pair == rates_.end()) return On(from, to, day);
  return On(from, to, std::max(day, pair->second.begin()->first));
}

absl::StatusOr<Money> Convert(const Money& amount, Currency to, Price rate, Rounding rounding) {
  Int128 attos = 0;
  if (__builtin_mul_overflow(amount.minor, MinorUnitAttos(amount.currency), &attos)) {
    return MakeError(absl::StatusCode::kOutOfRange, "an amount is too large to be converted",
                     ToString(amount) + " " + std::string(amount.currency.code()), "check the prices behind it");
  }
  const absl::StatusOr<Rounded> rounded = RoundToMinor(Worth{Wide::Product(attos, rate.attos)}, to, rounding);
  if (!rounded.ok()) return rounded.status();
  return rounded->line;
}

ExchangeRates ExchangeRatesOf(const Catalog& catalog) {
  CatalogDraft draft;
  if (const auto file = catalog.files().find(std::string(kFile)); file != catalog.files().end()) {
    draft.files->texts.insert(*file);
  }
  FileErrors errors(std::string(kFile), &draft.errors);
  ExchangeRates rates;
  (void)RateRows(&rates, errors).Read(draft, kFile);
  TOLLBOOK_ASSERT(draft.errors.empty());  // the catalog was checked
  return rates;
}

void CheckExchangeRates(CatalogDraft& draft) {
  FileErrors errors(std::string(kFile), &draft.errors);
  ExchangeRates rates;
  const size_t before = draft.errors.size();
  if (RateRows(&rates, errors).Read(draft, kFile) && draft.errors.size() == before) CheckReached(draft, rates, errors);
}

}  // namespace tollbook
