#include "rating/booked_as.h"

#include "rating/error.h"

namespace tollbook {
namespace {

constexpr BookedAs kBesideTheRated[] = {BookedAs::kRecognised, BookedAs::kDelivered, BookedAs::kAccrued};

std::string_view Beginning(BookedAs as) {
  switch (as) {
    case BookedAs::kRated:
      return "";
    case BookedAs::kRecognised:
      return "recognised ";
    case BookedAs::kDelivered:
      return "delivered ";
    case BookedAs::kAccrued:
      return "accrued ";
  }
  TOLLBOOK_ASSERT(!"one of the list");
  return "";
}

}  // namespace

std::string LineName(BookedAs as, std::string_view charge) {
  return std::string(Beginning(as)).append(charge);
}

BookedAs BookedAsOf(std::string_view line_name) {
  for (const BookedAs as : kBesideTheRated) {
    if (line_name.starts_with(Beginning(as))) return as;
  }
  return BookedAs::kRated;
}

std::string_view RatedName(BookedAs as, std::string_view line_name) {
  const std::string_view beginning = Beginning(as);
  return line_name.starts_with(beginning) ? line_name.substr(beginning.size()) : line_name;
}

}  // namespace tollbook
