// BookedAs: the lines that a charge has beside its own, and their names.
#ifndef TOLLBOOK_RATING_BOOKED_AS_H_
#define TOLLBOOK_RATING_BOOKED_AS_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace tollbook {

// What of a charge a line is. Its name tells that to people, and decides nothing: a charge of the catalog may be called
// "delivered messages" itself.
enum class BookedAs : uint8_t {
  kRated,       // what the charge is worth: "calls"
  kRecognised,  // what a deferred charge turns into, day by day: "recognised platform"
  kDelivered,   // the same amounts in the books of who delivers what another entity sells: "delivered calls"
  kAccrued,     // what is accrued of it, as late usage, until it is booked: "accrued calls"
};

// "delivered calls"; of kRated the charge's own name.
std::string LineName(BookedAs as, std::string_view charge);
// What a line of that name is where nothing else is said: by how it begins.
BookedAs BookedAsOf(std::string_view line_name);
// The charge's, of a line of that kind: "calls" of "delivered calls".
std::string_view RatedName(BookedAs as, std::string_view line_name);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_BOOKED_AS_H_
