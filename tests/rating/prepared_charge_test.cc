// PreparedCharge, RoundedPrice and PreparedPlan against their plain twins: PriceQuantity, that and RoundToMinor,
// Catalog::ChargeFor.
#include "rating/prepared_charge.h"

#include <gtest/gtest.h>

#include <array>
#include <boost/multiprecision/cpp_int.hpp>
#include <random>
#include <string>
#include <vector>

#include "rating/prepared_plan.h"
#include "rating/price.h"
#include "rating/rounded_price.h"
#include "tests/rating/in_words.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

constexpr Int128 kMost = static_cast<Int128>(~Uint128{0} >> 1);

constexpr std::array<const char*, 4> kCurrencies = {"USD", "JPY", "BHD", "CLF"};  // 2, 0, 3 and 4 digits

class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}
  uint64_t UpTo(uint64_t most) { return random_() % (most + 1); }
  bool OneIn(uint64_t n) { return UpTo(n - 1) == 0; }

  // From nothing to all of 127 bits, and often a hair beside 2^63, 2^64 or 2^127.
  Int128 Magnitude() {
    const Int128 hair = static_cast<Int128>(UpTo(2)) - 1;
    switch (UpTo(7)) {
      case 0:
        return (Int128{1} << 63) + hair;
      case 1:
        return (Int128{1} << 64) + hair;
      case 2:
        return kMost - static_cast<Int128>(UpTo(1));
      case 3:
        return static_cast<Int128>(UpTo(1'000'000)) * kOneUnit;
      case 4:
        return 0;
      default:
        return static_cast<Int128>((static_cast<Uint128>(random_()) << 64 | random_()) >> (1 + UpTo(126)));
    }
  }
  Int128 Signed() { return OneIn(8) ? -Magnitude() : Magnitude(); }

 private:
  std::mt19937_64 random_;
};

// As catalogs have them, and some that no catalog accepts: tiers that fall, included units below zero, negative prices.
Charge RandomCharge(Dice& dice) {
  Charge charge;
  charge.pricing.model = static_cast<ChargeModel>(dice.UpTo(static_cast<uint64_t>(ChargeModel::kDynamic)));
  if (dice.OneIn(2)) charge.included = {dice.Signed()};
  charge.pricing.unit_price = {dice.Signed()};
  charge.pricing.package_size = {std::max<Int128>(1, dice.Magnitude())};
  charge.pricing.package_price = {dice.Signed()};
  charge.pricing.flat_at_zero = dice.OneIn(2);
  Int128 bound = 0;
  for (uint64_t tiers = 1 + dice.UpTo(4); tiers > 0; --tiers) {
    Int128 next = dice.OneIn(20) ? dice.Signed() : 0;
    if (next == 0 && __builtin_add_overflow(bound, 1 + (dice.Magnitude() >> 3), &next)) next = kMost;
    bound = next;
    charge.pricing.tiers.push_back({Quantity{bound}, {dice.Signed()}, {dice.OneIn(2) ? dice.Signed() : 0}});
  }
  if (dice.OneIn(2)) charge.pricing.tiers.back().up_to.reset();
  for (const Tier& tier : charge.pricing.tiers) charge.pricing.steps.push_back({tier.up_to, {}, tier.flat});
  charge.pricing.steps.back().up_to.reset();
  if (dice.OneIn(20)) charge.pricing.tiers.back().block_size = {1 + dice.Magnitude() / 2};
  if (dice.OneIn(20)) charge.pricing.package_rounding = static_cast<Rounding>(dice.UpTo(3));
  if (dice.OneIn(20)) charge.maximum = Price{dice.Magnitude()};
  return charge;
}

Int128 RandomQuantity(Dice& dice, const Charge& charge) {
  const Tier& tier = charge.pricing.tiers[dice.UpTo(charge.pricing.tiers.size() - 1)];
  Int128 quantity = dice.Signed();
  if (dice.OneIn(2) && tier.up_to) {
    if (__builtin_add_overflow(tier.up_to->attos, charge.included.attos, &quantity)) quantity = kMost;
    if (__builtin_add_overflow(quantity, static_cast<Int128>(dice.UpTo(2)) - 1, &quantity)) quantity = kMost;
  }
  return quantity;
}

TEST(PreparedCharge, PricesAnyQuantityAsTheChargeDoes) {
  Dice dice(TestSeed());
  int refused = 0;
  for (int round = 0; round < 200'000; ++round) {
    const Charge charge = RandomCharge(dice);
    const PreparedCharge prepared(charge);
    for (int i = 0; i < 10; ++i) {
      const Quantity quantity = {RandomQuantity(dice, charge)};
      const absl::StatusOr<Worth> plain = PriceQuantity(charge, quantity);
      Worth worth;
      const std::string which = "round " + std::to_string(round) + ", " + std::string(ToString(charge.pricing.model)) +
                                ", " + ToString(quantity);
      ASSERT_EQ(prepared.Price(quantity, &worth), plain.ok()) << which;
      refused += plain.ok() ? 0 : 1;
      if (!plain.ok()) continue;
      ASSERT_EQ(worth, *plain) << which;
      const Currency currency = In(dice.OneIn(2) ? "USD" : dice.OneIn(2) ? "JPY" : "BHD");
      const auto rounding = static_cast<Rounding>(dice.UpTo(3));
      const absl::StatusOr<Rounded> with_words = RoundToMinor(*plain, currency, rounding);
      Rounded rounded;
      ASSERT_EQ(RoundToMinor(worth, currency, rounding, &rounded), with_words.ok()) << which;
      if (!with_words.ok()) continue;
      ASSERT_EQ(rounded.line, with_words->line) << which;
      ASSERT_EQ(rounded.residue, with_words->residue) << which;
    }
  }
  EXPECT_GT(refused, 0);
}

void ExpectRounds(const Charge& charge, const RoundedPrice& price, Currency currency, Rounding rounding,
                  Quantity quantity) {
  SCOPED_TRACE(std::string(ToString(charge.pricing.model)) + ", " + ToString(quantity) + ", rounding " +
               std::to_string(static_cast<int>(rounding)));
  const absl::StatusOr<Worth> worth = PriceQuantity(charge, quantity);
  const absl::StatusOr<Rounded> plain =
      worth.ok() ? RoundToMinor(*worth, currency, rounding) : absl::StatusOr<Rounded>(worth.status());
  Int128 minor = 0;
  ASSERT_EQ(price.Of(quantity, &minor), plain.ok());
  if (!plain.ok()) return;
  ASSERT_EQ(FormatDecimal(minor, 0), FormatDecimal(plain->line.minor, 0));
}

TEST(RoundedPrice, RoundsAnyQuantityAsTheChargeDoes) {
  Dice dice(TestSeed());
  for (int round = 0; round < 100'000; ++round) {
    const Charge charge = RandomCharge(dice);
    const Currency currency = In(kCurrencies[dice.UpTo(3)]);
    const auto rounding = static_cast<Rounding>(dice.UpTo(3));
    const RoundedPrice price(charge, currency, rounding);
    for (int i = 0; i < 10; ++i) {
      ASSERT_NO_FATAL_FAILURE(ExpectRounds(charge, price, currency, rounding, {RandomQuantity(dice, charge)}));
    }
  }
}

// Where rounding turns: at ties, at whole amounts, and one atto beside them.
TEST(RoundedPrice, RoundsBesideTiesAsTheChargeDoes) {
  Dice dice(TestSeed());
  for (int round = 0; round < 100'000; ++round) {
    Charge charge = RandomCharge(dice);
    for (Tier& tier : charge.pricing.tiers) {
      tier.flat = {static_cast<Int128>(dice.UpTo(3)) * (kOneUnit / 200)};
      tier.unit_price = {static_cast<Int128>(1 + dice.UpTo(2'000)) * (kOneUnit / 1'000 >> dice.UpTo(45))};
    }
    charge.pricing.unit_price = charge.pricing.package_price = charge.pricing.tiers.front().unit_price;
    charge.included = Quantity::Units(dice.UpTo(2));
    const Currency currency = In(dice.OneIn(2) ? "USD" : "JPY");
    const auto rounding = static_cast<Rounding>(dice.UpTo(3));
    const RoundedPrice price(charge, currency, rounding);
    const Int128 half_minor = kOneUnit / (currency.minor_digits() == 2 ? 200 : 2);
    for (int i = 0; i < 10; ++i) {
      // The quantity that is worth so many half minor units, cut off to attos.
      const Int128 halves = static_cast<Int128>(dice.UpTo(1'000));
      Int128 attos = half_minor * halves / charge.pricing.unit_price.attos * kOneUnit;
      attos += half_minor * halves % charge.pricing.unit_price.attos * kOneUnit / charge.pricing.unit_price.attos;
      attos += charge.included.attos + static_cast<Int128>(dice.UpTo(2)) - 1;
      ASSERT_NO_FATAL_FAILURE(ExpectRounds(charge, price, currency, rounding, {attos}));
    }
  }
}

// A price list as people write it: prices of a few digits, round bounds, and usage in whole units or thousandths.
TEST(RoundedPrice, IsCertainOfNearlyAllOrdinaryAmounts) {
  Dice dice(TestSeed());
  for (const ChargeModel model :
       {ChargeModel::kPerUnit, ChargeModel::kPackage, ChargeModel::kGraduated, ChargeModel::kVolume}) {
    for (const char* code : kCurrencies) {
      uint64_t certain = 0, asked = 0;
      for (int round = 0; round < 1000; ++round) {
        const auto price = [&] { return Price{static_cast<Int128>(1 + dice.UpTo(99'998)) * (kOneUnit / 100'000'000)}; };
        Charge charge;
        charge.pricing.model = model;
        charge.included = Quantity::Units(static_cast<int64_t>(dice.UpTo(2) * 100));
        charge.pricing.unit_price = charge.pricing.package_price = price();
        charge.pricing.package_size = Quantity::Units(static_cast<int64_t>(1 + dice.UpTo(9)));
        charge.pricing.tiers = {{Quantity::Units(1'000), price(), {}},
                                {Quantity::Units(50'000), price(), {}},
                                {std::nullopt, price(), {price().attos * 1'000}}};
        const RoundedPrice rounded(charge, In(code), static_cast<Rounding>(round % 4));
        for (int i = 0; i < 10; ++i) {
          const Quantity quantity = {static_cast<Int128>(dice.UpTo(200'000'000)) * (kOneUnit / 1'000)};
          Int128 minor = 0, exact = 0;
          ASSERT_TRUE(rounded.Exactly(quantity, &exact));
          ++asked;
          if (!rounded.Certainly(quantity, &minor)) continue;
          ++certain;
          ASSERT_TRUE(minor == exact) << code << ", " << ToString(quantity);
        }
      }
      EXPECT_GT(certain * 100, asked * 99) << ToString(model) << ", " << code << ": " << certain << " of " << asked;
    }
  }
}

using boost::multiprecision::cpp_int;

// A price per unit whose amounts can be chosen: there is a quantity for each amount modulo a minor unit.
class ChosenAmounts {
 public:
  // `price`: a number of attos that 10 has no factor in common with.
  ChosenAmounts(int64_t price, const char* currency, Rounding rounding) : currency_(In(currency)), rounding_(rounding) {
    charge_.pricing.unit_price = {price};
    unit_ = boost::multiprecision::pow(cpp_int(10), static_cast<unsigned>(kWorthScale - currency_.minor_digits()));
    // Euler: a^(phi - 1) is its inverse, and phi(10^n) is 4 * 10^(n - 1).
    inverse_ = boost::multiprecision::powm(cpp_int(price), unit_ / 10 * 4 - 1, unit_);
    const bool half = rounding == Rounding::kHalfUp || rounding == Rounding::kHalfEven;
    turn_ = half ? unit_ / 2 : cpp_int(0);
  }
  // Whose amount is so many of the worth's units below (above where negative) an amount where rounding turns.
  Quantity Below(const cpp_int& distance) const {
    return {static_cast<Int128>(((turn_ + unit_ - distance) * inverse_ % unit_).convert_to<Uint128>())};
  }
  const cpp_int& unit() const { return unit_; }
  const Charge& charge() const { return charge_; }
  Currency currency() const { return currency_; }
  Rounding rounding() const { return rounding_; }

 private:
  Currency currency_;
  Rounding rounding_;
  Charge charge_;
  cpp_int unit_, inverse_, turn_;
};

// Where the short way stops being certain: found by halving, then asked for on both sides of it and of the turn.
TEST(RoundedPrice, RoundsAtTheEdgeOfItsCertaintyAsTheChargeDoes) {
  Dice dice(TestSeed());
  for (int round = 0; round < 2'000; ++round) {
    const auto price = static_cast<int64_t>((uint64_t{1} << dice.UpTo(61)) + dice.UpTo(1'000'000)) / 10 * 10 + 7;
    const ChosenAmounts amounts(price, kCurrencies[dice.UpTo(3)], static_cast<Rounding>(dice.UpTo(3)));
    const RoundedPrice rounded(amounts.charge(), amounts.currency(), amounts.rounding());
    const auto is_certain = [&](const cpp_int& distance) {
      Int128 minor = 0;
      return rounded.Certainly(amounts.Below(distance), &minor);
    };
    cpp_int uncertain = 1, certain = amounts.unit() / 3;
    ASSERT_FALSE(is_certain(uncertain)) << price;
    const bool has_edge = is_certain(certain);  // prices of few digits have none for quantities as large
    while (has_edge && certain - uncertain > 1) {
      const cpp_int middle = (uncertain + certain) / 2;
      (is_certain(middle) ? certain : uncertain) = middle;
    }
    for (int hair = -2; hair <= 2; ++hair) {
      for (const cpp_int& distance : {uncertain, certain, cpp_int(0), cpp_int(-uncertain), cpp_int(-certain)}) {
        ASSERT_NO_FATAL_FAILURE(ExpectRounds(amounts.charge(), rounded, amounts.currency(), amounts.rounding(),
                                             amounts.Below(distance + hair)));
      }
    }
  }
}

TEST(PreparedPlan, FindsTheChargeThatTheCatalogFinds) {
  Dice dice(TestSeed());
  const std::vector<std::string> words = {"", "eu", "us", "large"};
  for (int round = 0; round < 20'000; ++round) {
    Catalog catalog;
    for (const char* name : {"calls", "storage", "tokens"}) {
      Meter meter;
      meter.name = name;
      for (const char* dimension : {"model", "region"}) {
        if (dice.OneIn(2)) meter.dimensions.push_back(dimension);
      }
      catalog.meters.push_back(meter);
    }
    Plan plan;
    for (uint64_t charges = dice.UpTo(6); charges > 0; --charges) {
      Charge charge;
      charge.name = "charge-" + std::to_string(dice.UpTo(1000) * 10 + charges);
      charge.meter = dice.OneIn(9) ? "unknown" : catalog.meters[dice.UpTo(2)].name;
      for (const char* dimension : {"model", "region"}) {
        if (dice.OneIn(3)) charge.filter[dimension] = words[dice.UpTo(3)];
      }
      plan.charges.push_back(charge);
    }
    const PreparedPlan prepared(catalog, plan);
    for (int i = 0; i < 10; ++i) {
      const Meter& meter = catalog.meters[dice.UpTo(2)];
      std::vector<std::string_view> values;
      while (values.size() < meter.dimensions.size()) values.push_back(words[dice.UpTo(3)]);
      const PreparedPlan::PlanCharge* found = prepared.ChargeFor(meter, values);
      ASSERT_EQ(found == nullptr ? nullptr : found->charge, catalog.ChargeFor(plan, meter, values));
    }
  }
}

}  // namespace
}  // namespace tollbook
