// EarlierWorld: what a charge would be worth by the catalog of the seal before: where a line's difference comes from
// another plan, price or version of the subscription, and not from other usage. So it is of a discount, a bound or what
// a grant pays, where only the price of what they are of is another one.
#ifndef TOLLBOOK_PIPELINE_EARLIER_WORLD_H_
#define TOLLBOOK_PIPELINE_EARLIER_WORLD_H_

#include <optional>
#include <string>
#include <vector>

#include "ledger/book.h"
#include "pipeline/subject_worth.h"
#include "rating/catalog.h"
#include "rating/price.h"

namespace tollbook {

// A charge of the line's name, of whichever plan, as the earlier catalog rates it: on the line's usage date, or for the
// whole period where the line covers that.
struct EarlierCharge {
  std::string plan;
  Quantity to_date, before;
  Worth worth_to_date, worth_before;
  Money rounded_to_date, rounded_before;
  std::vector<PriceStep> steps;  // of to_date
};

struct EarlierWorld {
  uint64_t seal = 0;  // the one before the line's
  std::string catalog_digest;
  // Of the line's charge (of whichever plan), subscription and usage date, and the usage that the line's seal had:
  Money worth;                            // by the earlier catalog
  Money worth_now;                        // by that of the line's seal
  Money booked;                           // what was booked for them before the line's seal, under whichever plan
  std::vector<EarlierCharge> charges;     // due then; by plan
  std::vector<std::string> what_changed;  // in words; at least one
};

// What of some amounts is of the key's charge, of whichever plan, subscription, period and usage date.
[[nodiscard]] Int128 AmountOfCharge(std::span<const BookedAmount> amounts, const BookedKey& key);

// Answers for the lines of one seal.
class EarlierWorlds {
 public:
  // All borrowed. `seal`: that of the lines, by its catalog `now`.
  EarlierWorlds(const Book& book, const SealRecord& seal, const Catalog& now) : book_(book), seal_(seal), now_(now) {}

  // None: nothing that prices the charge changed since the seal before, nor what it is of.
  // Errors: as VisitSubjects.
  [[nodiscard]] absl::StatusOr<std::optional<EarlierWorld>> Find(std::string_view subject, const BookedKey& key);

 private:
  absl::Status Open();
  std::vector<std::string> WhatChanged(std::string_view subject, const BookedKey& key) const;
  std::vector<std::string> WhatItIsOf(const SubjectWorth& now, const SubjectWorth& then, const BookedKey& key) const;

  const Book& book_;
  const SealRecord& seal_;
  const Catalog& now_;
  bool opened_ = false;
  SealRecord before_;
  std::optional<Catalog> then_;  // none: there is no earlier seal by another catalog
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EARLIER_WORLD_H_
