#include "pipeline/functional_amounts.h"

#include <algorithm>

#include "ledger/records.h"
#include "pipeline/charges.h"
#include "rating/catalog.h"

namespace tollbook {

absl::StatusOr<const FunctionalAmounts::Rates*> FunctionalAmounts::RatesOf(uint64_t seal) {
  if (digests_.empty()) {
    const absl::StatusOr<std::vector<SealRecord>> seals = book_.Seals();
    if (!seals.ok()) return seals.status();
    for (const SealRecord& record : *seals) digests_[record.number] = record.catalog_digest;
  }
  const auto digest = digests_.find(seal);
  if (digest == digests_.end()) return DamagedError("seal " + std::to_string(seal));
  if (const auto known = rates_.find(digest->second); known != rates_.end()) return &known->second;

  const absl::StatusOr<Catalog> catalog = SealedCatalog(book_, seal);
  if (!catalog.ok()) return catalog.status();
  Rates& rates = rates_[digest->second];
  rates.rates = ExchangeRatesOf(*catalog);
  rates.rounding = catalog->book.rounding;
  for (const Entity& entity : catalog->entities) {
    rates.functional_currency.emplace(entity.name, entity.functional_currency);
  }
  return &rates;
}

// So that what was booked comes to nothing in the functional currency too.
absl::StatusOr<LineAmounts> FunctionalAmounts::OfReversal(const JournalBatch& batch) {
  const absl::StatusOr<std::vector<JournalBatch>> batches = book_.Batches();
  if (!batches.ok()) return batches.status();
  const auto original = std::ranges::find(*batches, batch.reverses, &JournalBatch::id);
  if (original == batches->end()) return DamagedError("journal batch " + batch.reverses);
  const absl::StatusOr<LineAmounts> booked = Of(*original);
  if (!booked.ok()) return booked.status();
  LineAmounts amounts;
  for (const JournalLine& line : batch.lines) {
    const JournalLine* const reversed = ReversedLine(*original, line.key);
    if (reversed == nullptr) return DamagedError("journal batch " + batch.id);
    amounts.push_back((*booked)[reversed->number - 1]);
  }
  return amounts;
}

absl::StatusOr<LineAmounts> FunctionalAmounts::Of(const JournalBatch& batch) {
  if (!batch.reverses.empty()) return OfReversal(batch);
  const absl::StatusOr<const Rates*> rates = RatesOf(batch.seal);
  if (!rates.ok()) return rates.status();
  LineAmounts amounts(batch.lines.size());
  const auto to = (*rates)->functional_currency.find(batch.entity);
  if (to == (*rates)->functional_currency.end()) return amounts;
  for (size_t i = 0; i < batch.lines.size(); ++i) {
    const JournalLine& line = batch.lines[i];
    const std::optional<ExchangeRate> rate = (*rates)->rates.On(batch.currency, to->second, line.key.posting_date);
    if (!rate) continue;
    const absl::StatusOr<Money> amount = Convert(line.amount(), to->second, rate->rate, (*rates)->rounding);
    if (!amount.ok()) return amount.status();
    amounts[i] = FunctionalAmount{*amount, *rate};
  }
  return amounts;
}

}  // namespace tollbook
