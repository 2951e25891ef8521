#include "rating/filter.h"

#include <algorithm>
#include <tuple>

namespace tollbook {
namespace {

struct Breadth {
  size_t unnamed;  // dimensions that it does not name, as a number that falls
  size_t stars = 0;
  size_t values = 0;
  friend auto operator<=>(const Breadth&, const Breadth&) = default;
};

Breadth BreadthOf(const Filter& filter) {
  Breadth breadth{~filter.size()};
  for (const auto& [dimension, accepted] : filter) {
    if (accepted.any) ++breadth.stars;
    breadth.values += accepted.listed.size();
  }
  return breadth;
}

AcceptedValues Common(const AcceptedValues& a, const AcceptedValues& b) {
  if (a.any && b.any) return a;
  AcceptedValues common;
  for (const std::string& value : a.any ? b.listed : a.listed) {
    if (a.Has(value) && b.Has(value)) common.listed.push_back(value);
  }
  return common;
}

bool Within(const AcceptedValues& inner, const AcceptedValues& outer) {
  if (inner.any) return outer.any;
  return std::ranges::all_of(inner.listed, [&](const std::string& value) { return outer.Has(value); });
}

// What matches both: the dimensions of either, each with what both accept.
Filter Intersection(const Filter& a, const Filter& b) {
  Filter both = a;
  for (const auto& [dimension, accepted] : b) {
    const auto [at, is_new] = both.try_emplace(dimension, accepted);
    if (!is_new) at->second = Common(at->second, accepted);
  }
  return both;
}

}  // namespace

bool AcceptedValues::Has(std::string_view value) const {
  if (any) return !value.empty();
  return std::ranges::find(listed, value) != listed.end();
}

bool Matches(const Filter& filter, const Meter& meter, DimensionValues values) {
  return std::ranges::all_of(filter, [&](const auto& entry) {
    const auto at = std::ranges::find(meter.dimensions, entry.first);
    const auto i = static_cast<size_t>(at - meter.dimensions.begin());
    return i < values.size() && entry.second.Has(values[i]);
  });
}

bool IsMoreSpecific(const Filter& a, const Filter& b) {
  return BreadthOf(a) < BreadthOf(b);
}

bool HaveEqualRight(const Filter& a, const Filter& b) {
  if (BreadthOf(a) != BreadthOf(b)) return false;
  return std::ranges::none_of(Intersection(a, b),
                              [](const auto& entry) { return !entry.second.any && entry.second.listed.empty(); });
}

bool Settles(const Filter& third, const Filter& a, const Filter& b) {
  if (!IsMoreSpecific(third, a)) return false;
  const Filter both = Intersection(a, b);
  return std::ranges::all_of(third, [&](const auto& entry) {
    const auto at = both.find(entry.first);
    return at != both.end() && Within(at->second, entry.second);
  });
}

std::string ToString(const Filter& filter) {
  std::string text;
  for (const auto& [dimension, accepted] : filter) {
    if (!text.empty()) text += ';';
    text += dimension + "=";
    if (accepted.any) text += '*';
    for (size_t i = 0; i < accepted.listed.size(); ++i) text += (i == 0 ? "" : "|") + accepted.listed[i];
  }
  return text;
}

}  // namespace tollbook
