// Plan: the price book entry. A plan has charges; a charge prices one meter.
#ifndef TOLLBOOK_RATING_PLAN_H_
#define TOLLBOOK_RATING_PLAN_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rating/money.h"
#include "rating/quantity.h"

namespace tollbook {

enum class ChargeModel : uint8_t {
  kPerUnit,    // quantity * unit price
  kGraduated,  // each unit at the price of the tier that it falls in
  kVolume,     // all units at the price of the tier that the total falls in
  kPackage,    // started packages * package price
};
std::string_view ToString(ChargeModel model);  // "per_unit", "graduated", "volume", "package"

struct Tier {
  std::optional<Quantity> up_to;  // inclusive, cumulative, after included units; none: open (only the last)
  Price unit_price;               // per one unit: the catalog's `price` / `per`, exact
  Price flat;                     // due once the tier is entered
};

struct Charge {
  std::string name;     // unique in its plan: "input-tokens-large"
  std::string meter;    // a Meter's name
  std::string product;  // what the posting rules map
  ChargeModel model = ChargeModel::kPerUnit;
  Quantity included;  // taken off before the tiers, over the whole billing period
  std::map<std::string, std::string>
      filter;                 // dimension -> value; a total must match all; the most specific charge takes it
  Price unit_price;           // per_unit
  std::vector<Tier> tiers;    // graduated, volume; ascending, the last one open
  Quantity package_size;      // package
  Price package_price;        // package, per started package
  bool flat_at_zero = false;  // is the first tier's flat amount due when the quantity is zero?
  int line = 0;               // where the catalog says it, for explain
};

struct Plan {
  std::string name;
  Currency currency;
  std::vector<Charge> charges;
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_PLAN_H_
