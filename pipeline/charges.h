// Charges: each charge and billing period with its quantity, its exact worth by a catalog, and what is booked for it.
#ifndef TOLLBOOK_PIPELINE_CHARGES_H_
#define TOLLBOOK_PIPELINE_CHARGES_H_

#include <string>
#include <vector>

#include "ledger/book.h"
#include "pipeline/subject_worth.h"
#include "rating/catalog.h"

namespace tollbook {

struct ChargeRow {
  std::string subscription;
  std::string charge;
  std::string meter;
  std::string dimensions;  // the charge's filter: "model=m-large"
  BillingPeriod period;
  Currency currency;
  Quantity quantity;
  Worth exact;
  Money booked;
  std::string plan;
  std::string entity;
  uint64_t events = 0;
  bool is_rated = true;  // false: its subject's worth cannot be held, so quantity and exact are not known
};

// By subscription, charge, meter, dimensions, period, currency and what follows, then by plan: one that takes over
// within a period may name its charge the same. A charge that is booked and no longer in the catalog has quantity and
// worth zero until the next seal books it back. `not_rated` (may be null): subjects whose worth cannot be held, and
// why, sorted; what is booked for them has rows.
[[nodiscard]] absl::StatusOr<std::vector<ChargeRow>> Charges(const Book& book, const Catalog& catalog,
                                                             const WorthWindow& window, int threads,
                                                             std::vector<std::string>* not_rated = nullptr);

// The catalog of the newest seal, as the book keeps it. NotFound when nothing was sealed.
[[nodiscard]] absl::StatusOr<Catalog> SealedCatalog(const Book& book, uint64_t seal_number = UINT64_MAX);

// An amount as a worth; nothing is rounded.
[[nodiscard]] Worth ExactWorthOf(const Money& money);

std::string FilterText(const Charge& charge);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CHARGES_H_
