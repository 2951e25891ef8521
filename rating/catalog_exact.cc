#include "rating/catalog_exact.h"

#include <algorithm>
#include <vector>

namespace tollbook {
namespace {

struct Prices {
  std::vector<Price> all;
  bool has_inexact_increment = false;  // its price has more decimals than a price, and so has any multiple
};

void AddPrices(const Pricing& pricing, Prices* prices) {
  std::vector<Price>& all = prices->all;
  all.insert(all.end(), {pricing.unit_price, pricing.package_price, pricing.price_per_event,
                         pricing.min_per_event.value_or(Price()), pricing.max_per_event.value_or(Price())});
  for (const Tier& tier : pricing.tiers) all.insert(all.end(), {tier.unit_price, tier.flat});
  for (const Step& step : pricing.steps) all.push_back(step.price);
  for (const TimeWindow& window : pricing.time.windows) {
    all.push_back(window.connect_fee);
    for (const TimeStep& step : window.steps) {
      IncrementPrice increment;
      if (!PriceOfIncrement(pricing.time, step, &increment)) continue;  // an error of its own
      all.push_back(increment.price);
      prices->has_inexact_increment = prices->has_inexact_increment || increment.rest != 0;
    }
  }
}

// None: not exact, or `too_large`.
std::optional<Price> Times(Price price, Price factor, bool* too_large = nullptr) {
  Wide whole, rest;
  Wide::Product(price.attos, factor.attos).DivideByPowerOfTen(kPriceScale, &whole, &rest);
  if (too_large != nullptr) *too_large = rest.zero() && !whole.FitsInt128();
  if (!rest.zero() || !whole.FitsInt128()) return std::nullopt;
  return Price{whole.ToInt128()};
}

// What is above the commitment is worth the prices and the committed amount, multiplied.
void AddOverage(const std::optional<Commitment>& commitment, const Pricing& pricing, Prices* prices) {
  if (!commitment) return;
  Prices multiplied;
  AddPrices(pricing, &multiplied);
  multiplied.all.push_back(commitment->amount);
  prices->all.push_back(commitment->amount);
  for (const Price price : multiplied.all) {
    if (const std::optional<Price> overage = Times(price, commitment->overage_factor)) prices->all.push_back(*overage);
  }
}

Prices PricesOf(const Charge& charge) {
  Prices prices;
  AddPrices(charge.pricing, &prices);
  AddOverage(charge.commitment, charge.pricing, &prices);
  for (const Cell& cell : charge.cells) {
    AddPrices(cell.pricing, &prices);
    AddOverage(charge.commitment, cell.pricing, &prices);
  }
  for (const BucketWindow& window : charge.bucket_windows) {
    AddPrices(window.pricing, &prices);
    AddOverage(window.commitment, window.pricing, &prices);
  }
  return prices;
}

}  // namespace

void CheckExactFactor(YamlMap& map, std::string_view key, Price factor, const Charge& charge, FileErrors& errors) {
  if (factor == Price() || factor == Price{kOneUnit}) return;
  const Prices prices = PricesOf(charge);
  if (prices.has_inexact_increment) {
    errors.Add(map.LineOf(key),
               Join({map.what(), " has a ", Quoted(key), ", and an increment whose price is not exact at 18 decimals"}),
               "round it with `increment_rounding`, or write a price that \"per\" divides");
    return;
  }
  for (const Price price : prices.all) {
    bool too_large = false;
    if (Times(price, factor, &too_large)) continue;
    if (too_large) {
      errors.Add(map.LineOf(key),
                 Join({"the price ", ToString(price), " of ", map.what(), " times its ", Quoted(key), " is too large"}),
                 "write a smaller price or factor: the product may be 1.7 x 10^20");
      return;
    }
    const std::string_view applied = key == "discount_percent" ? " less its " : " times its ";
    errors.Add(
        map.LineOf(key),
        Join({"the price ", ToString(price), " of ", map.what(), applied, Quoted(key), " is not exact at 18 decimals"}),
        key == "discount_percent" ? "write the price or the percentage with fewer decimals"
                                  : "write the price or the factor with fewer decimals");
    return;
  }
}

}  // namespace tollbook
