// BookedPlaces: the places that one shard of subjects is booked at, each with one address.
#ifndef TOLLBOOK_PIPELINE_BOOKED_PLACES_H_
#define TOLLBOOK_PIPELINE_BOOKED_PLACES_H_

#include <cstdint>
#include <set>
#include <unordered_map>

#include "ledger/difference_run.h"
#include "rating/catalog.h"
#include "rating/rate.h"

namespace tollbook {

// Not thread-safe. Borrows the catalog, and the names of places that are taken in.
class BookedPlaces {
 public:
  explicit BookedPlaces(const Catalog& catalog) : catalog_(catalog) {}

  // Equal places have one address, so that comparing keys seldom compares names.
  const BookedPlace* Intern(const BookedPlace& place) { return &*places_.insert(place).first; }

  // Where a rated charge is posted, by the catalog's rules; looked up once for each charge and entity.
  struct Posting {
    const BookedPlace* place = nullptr;
    SummaryPolicy summary = SummaryPolicy::kDaily;
  };
  Posting PostingOf(const RatedCharge& rated);

 private:
  struct ChargeOfEntity {
    const Charge* charge = nullptr;
    uint32_t entity = 0;
    uint32_t plan = 0;  // a grant's line is of any of its subscription's plans
    friend bool operator==(const ChargeOfEntity&, const ChargeOfEntity&) = default;
  };
  struct Hash {
    size_t operator()(const ChargeOfEntity& key) const {
      return std::hash<const void*>()(key.charge) * 31 + key.entity;
    }
  };
  Posting Find(const RatedCharge& rated);

  const Catalog& catalog_;
  std::set<BookedPlace> places_;
  std::unordered_map<ChargeOfEntity, Posting, Hash> postings_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_BOOKED_PLACES_H_
