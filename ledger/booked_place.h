// BookedPlace: a charge of a plan, and where its amounts are posted.
#ifndef TOLLBOOK_LEDGER_BOOKED_PLACE_H_
#define TOLLBOOK_LEDGER_BOOKED_PLACE_H_

#include <compare>
#include <string_view>

#include "rating/booked_as.h"
#include "rating/money.h"

namespace tollbook {

// A difference goes to the accounts of what it corrects, and a rule that changes books the old amounts back there and
// anew here.
struct BookedPlace {
  std::string_view plan;
  std::string_view charge;  // the line's name
  std::string_view product;
  std::string_view entity;
  Currency currency;
  std::string_view debit;
  std::string_view credit;
  std::string_view dimensions;
  BookedAs as = BookedAs::kRated;
  friend bool operator==(const BookedPlace&, const BookedPlace&) = default;
  friend auto operator<=>(const BookedPlace&, const BookedPlace&) = default;
};

// The charge that the line is of: "calls" of "delivered calls".
inline std::string_view RatedName(const BookedPlace& place) {
  return RatedName(place.as, place.charge);
}

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_BOOKED_PLACE_H_
