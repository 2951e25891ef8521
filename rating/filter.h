// Filter: which usage a charge, or a cell of a matrix, takes: by the values of the meter's dimensions.
//
// Of several that match, the most specific takes a usage: the one that names more dimensions; of those the one with
// fewer "*"; then the one that lists fewer values. The catalog's check refuses two that could take the same usage with
// equal right, unless a third, more specific one takes all of what both could.
#ifndef TOLLBOOK_RATING_FILTER_H_
#define TOLLBOOK_RATING_FILTER_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "rating/meter.h"
#include "rating/usage_total.h"

namespace tollbook {

// What one dimension may be. Made of one text, as most are, or of a list, or of "*".
struct AcceptedValues {
  AcceptedValues() = default;
  AcceptedValues(std::string value) : listed{std::move(value)} {}  // NOLINT: a value is a list of one
  AcceptedValues(const char* value) : listed{value} {}             // NOLINT
  explicit AcceptedValues(std::vector<std::string> values) : listed(std::move(values)) {}
  static AcceptedValues Any() {
    AcceptedValues any;
    any.any = true;
    return any;
  }
  bool Has(std::string_view value) const;
  friend bool operator==(const AcceptedValues&, const AcceptedValues&) = default;

  std::vector<std::string> listed;  // each once
  bool any = false;                 // "*": every value but the absent one, which is ""; nothing is listed then
};

using Filter = std::map<std::string, AcceptedValues>;  // by dimension; a total must match all

// `values` in the meter's order. A dimension that the meter does not have matches nothing.
bool Matches(const Filter& filter, const Meter& meter, DimensionValues values);
bool IsMoreSpecific(const Filter& a, const Filter& b);
// Neither is more specific, and one usage could match both.
bool HaveEqualRight(const Filter& a, const Filter& b);
// Is `third` more specific than two such rivals, and does it match all that both match?
bool Settles(const Filter& third, const Filter& a, const Filter& b);

// "model=m-large;region=eu|us": the form of the `charges` table.
std::string ToString(const Filter& filter);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_FILTER_H_
