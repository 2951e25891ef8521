// BookedPlaces: the places that one shard of subjects is booked at, each with one address.
#ifndef TOLLBOOK_PIPELINE_BOOKED_PLACES_H_
#define TOLLBOOK_PIPELINE_BOOKED_PLACES_H_

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ledger/difference_run.h"
#include "rating/catalog.h"
#include "rating/rate.h"

namespace tollbook {

// Whether a posting rule says where its amounts go. Where none does, they wait for one.
inline bool IsMapped(const BookedPlace& place) {
  return !place.debit.empty();
}

// What a difference at the place is worth: one that moves a deferred amount to revenue adds nothing to what is owed.
inline Int128 WorthAt(const BookedPlace& place, Int128 minor) {
  return place.as == BookedAs::kRecognised ? 0 : minor;
}
// The charge that is sold at the place, or delivered there. Empty: nothing is, amounts only move between accounts.
inline std::string_view SoldName(const BookedPlace& place) {
  return place.as == BookedAs::kRated || place.as == BookedAs::kDelivered ? RatedName(place) : std::string_view();
}

// Programs of before 2026-11-30 stored the name of a line alone. So a charge of the catalog that is called "delivered
// messages" reads as what is delivered of "messages", and is put right here. It is the charge, unless the plan has
// "messages", a rule makes such a line of it, and the place has that one's product and debit account.
class StoredPlaces {
 public:
  explicit StoredPlaces(const Catalog& catalog);
  // Names stay those of `place`.
  BookedPlace Read(BookedPlace place) const;

 private:
  // Where a rule posts what has the name of a charge.
  struct LineBeside {
    std::string product;
    std::string debit;
  };
  std::map<std::pair<std::string, std::string>, std::vector<LineBeside>> named_like_lines_;  // by plan and charge
};

// Not thread-safe. Borrows the catalog, and the names of places that are taken in.
class BookedPlaces {
 public:
  explicit BookedPlaces(const Catalog& catalog) : catalog_(catalog), stored_(catalog) {}

  // Equal places have one address, so that comparing keys seldom compares names.
  const BookedPlace* Intern(const BookedPlace& place) { return &*places_.insert(place).first; }
  // The same of one that a difference run has.
  const BookedPlace* TakeIn(const BookedPlace& place) { return Intern(stored_.Read(place)); }

  // Where a rated charge is posted, by the catalog's rules; looked up once for each charge, entity and kind of
  // customer.
  struct Posting {
    const BookedPlace* place = nullptr;       // without accounts where no rule takes it: IsMapped
    const BookedPlace* recognised = nullptr;  // where the rule defers it: from there to revenue
    const BookedPlace* delivered = nullptr;   // where another entity delivers: from what is due from the seller
    const PostingRule* rule = nullptr;
    SummaryPolicy summary = SummaryPolicy::kDaily;  // of `place`
  };
  Posting PostingOf(const RatedCharge& rated);

  // Where late usage of the place is accrued, by the rule of a charge that was looked up; null: nowhere.
  const BookedPlace* AccrualOf(const BookedPlace* place) const {
    const auto accrual = accruals_.find(place);
    return accrual == accruals_.end() ? nullptr : accrual->second;
  }

 private:
  struct ChargeOfEntity {
    const Charge* charge = nullptr;
    uint32_t entity = 0;
    uint32_t plan = 0;  // a grant's line is of any of its subscription's plans
    uint32_t kind = 0;
    friend bool operator==(const ChargeOfEntity&, const ChargeOfEntity&) = default;
  };
  struct Hash {
    size_t operator()(const ChargeOfEntity& key) const {
      return std::hash<const void*>()(key.charge) * 31 + key.entity;
    }
  };
  Posting Find(const RatedCharge& rated);
  Posting PlacedBy(const PostingRule* rule, const RatedCharge& rated);
  // Like Intern, of names that may end before the visit of the shard does.
  const BookedPlace* Keep(BookedPlace place);

  const Catalog& catalog_;
  const StoredPlaces stored_;
  std::set<BookedPlace> places_;
  std::unordered_map<ChargeOfEntity, Posting, Hash> postings_;
  std::unordered_map<const BookedPlace*, const BookedPlace*> accruals_;
  std::deque<std::string> texts_;  // names that were made here
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_BOOKED_PLACES_H_
