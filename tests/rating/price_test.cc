#include "rating/price.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/rating/in_words.h"

namespace tollbook {
namespace {

Charge PerUnit(std::string_view price) {
  Charge charge;
  charge.name = "calls";
  charge.unit_price = Each(price);
  return charge;
}

// The first 1,000 at 0.02, the next 9,000 at 0.01 and 5 once, all above at 0.005 and 2.50 once.
Charge Tiered(ChargeModel model) {
  Charge charge;
  charge.name = "tokens";
  charge.model = model;
  charge.tiers = {{Units("1000"), Each("0.02"), {}},
                  {Units("10000"), Each("0.01"), Each("5")},
                  {std::nullopt, Each("0.005"), Each("2.50")}};
  return charge;
}

// 10 once and 1 a unit up to 10; above it 20 once and 0.50 a unit.
Charge WithBaseFee(ChargeModel model, bool flat_at_zero) {
  Charge charge;
  charge.name = "seats";
  charge.model = model;
  charge.flat_at_zero = flat_at_zero;
  charge.tiers = {{Units("10"), Each("1"), Each("10")}, {std::nullopt, Each("0.50"), Each("20")}};
  return charge;
}

// 3.00 for each started 1,000.
Charge Packages() {
  Charge charge;
  charge.name = "mails";
  charge.model = ChargeModel::kPackage;
  charge.package_size = Units("1000");
  charge.package_price = Each("3");
  return charge;
}

Charge Including(std::string_view units, Charge charge) {
  charge.included = Units(units);
  return charge;
}

struct Case {
  const char* name;
  const char* quantity;
  const char* worth;
};

void CheckAll(const Charge& charge, std::initializer_list<Case> cases) {
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.name) + ": " + c.quantity);
    std::vector<PriceStep> steps = {{"left from another", {}, {}, {}}};
    const absl::StatusOr<Worth> worth = PriceQuantity(charge, Units(c.quantity), &steps);
    ASSERT_TRUE(worth.ok()) << worth.status();
    EXPECT_EQ(ToString(*worth), c.worth);
    // The steps are the arithmetic: each its quantity times its price, and together the worth.
    Wide sum;
    for (const PriceStep& step : steps) {
      EXPECT_EQ(step.worth.amount, Wide::Product(step.quantity.attos, step.unit_price.attos)) << step.what;
      ASSERT_TRUE(Wide::Add(sum, step.worth.amount, &sum));
    }
    EXPECT_EQ(Worth{sum}, *worth);
    EXPECT_EQ(*PriceQuantity(charge, Units(c.quantity)), *worth);
  }
}

TEST(PerUnit, PricesEachUnit) {
  CheckAll(PerUnit("0.002"), {{"nothing", "0", "0"},
                              {"one", "1", "0.002"},
                              {"part of one", "0.5", "0.001"},
                              {"many", "123456789", "246913.578"},
                              {"smallest quantity", "0.000000000000000001", "0.000000000000000000002"},
                              {"negative", "-3", "-0.006"}});
  CheckAll(PerUnit("0.000000000000000001"),
           {{"both smallest", "0.000000000000000001", "0.000000000000000000000000000000000001"}});
  CheckAll(PerUnit("-0.5"), {{"a rebate", "4", "-2"}});
}

TEST(PerUnit, TakesIncludedUnitsOffFirst) {
  CheckAll(Including("1000", PerUnit("0.002")), {{"nothing", "0", "0"},
                                                 {"within the included", "999", "0"},
                                                 {"last included unit", "1000", "0"},
                                                 {"first paid unit", "1001", "0.002"},
                                                 {"a little above", "1000.5", "0.001"},
                                                 {"a negative total is priced as it is", "-10", "-0.02"}});
}

TEST(Graduated, PricesEachUnitInTheTierItFallsIn) {
  CheckAll(Tiered(ChargeModel::kGraduated),
           {{"nothing", "0", "0"},
            {"first unit", "1", "0.02"},
            {"last unit of tier one", "1000", "20"},
            {"a trifle of tier two brings its flat amount", "1000.000000000000000001", "25.00000000000000000001"},
            {"first unit of tier two", "1001", "25.01"},
            {"last unit of tier two", "10000", "115"},
            {"first unit of tier three", "10001", "117.505"},
            {"far into tier three", "1000000", "5067.5"},
            {"a negative total is of tier one", "-50", "-1"}});
}

TEST(Graduated, TakesIncludedUnitsOffBeforeTheTiers) {
  CheckAll(Including("500", Tiered(ChargeModel::kGraduated)), {{"within the included", "500", "0"},
                                                               {"first paid unit", "501", "0.02"},
                                                               {"last unit of tier one", "1500", "20"},
                                                               {"first unit of tier two", "1501", "25.01"},
                                                               {"first unit of tier three", "10501", "117.505"}});
}

TEST(Volume, PricesAllUnitsInTheTierThatHoldsTheTotal) {
  CheckAll(Tiered(ChargeModel::kVolume), {{"nothing", "0", "0"},
                                          {"last total of tier one", "1000", "20"},
                                          {"first total of tier two", "1001", "15.01"},
                                          {"last total of tier two", "10000", "105"},
                                          {"more usage may cost less", "10001", "52.505"},
                                          {"a negative total is of tier one", "-50", "-1"}});
  CheckAll(Including("500", Tiered(ChargeModel::kVolume)), {{"within the included", "400", "0"},
                                                            {"last total of tier one", "1500", "20"},
                                                            {"first total of tier two", "1501", "15.01"}});
}

TEST(FlatAmount, OfTheFirstTierIsDueAtZeroOnlyWhenTheChargeSaysSo) {
  CheckAll(WithBaseFee(ChargeModel::kGraduated, false), {{"nothing", "0", "0"},
                                                         {"one", "1", "11"},
                                                         {"tier one", "10", "20"},
                                                         {"both", "12", "41"},
                                                         {"less", "-2", "-2"}});
  CheckAll(WithBaseFee(ChargeModel::kGraduated, true), {{"nothing", "0", "10"},
                                                        {"one", "1", "11"},
                                                        {"tier one", "10", "20"},
                                                        {"both", "12", "41"},
                                                        {"less", "-2", "8"}});
  CheckAll(WithBaseFee(ChargeModel::kVolume, false), {{"nothing", "0", "0"},
                                                      {"one", "1", "11"},
                                                      {"tier one", "10", "20"},
                                                      {"tier two", "12", "26"},
                                                      {"less", "-2", "-2"}});
  CheckAll(WithBaseFee(ChargeModel::kVolume, true), {{"nothing", "0", "10"},
                                                     {"one", "1", "11"},
                                                     {"tier one", "10", "20"},
                                                     {"tier two", "12", "26"},
                                                     {"less", "-2", "8"}});
  CheckAll(Including("5", WithBaseFee(ChargeModel::kGraduated, false)), {{"wholly included is zero", "5", "0"}});
  CheckAll(Including("5", WithBaseFee(ChargeModel::kGraduated, true)), {{"wholly included is zero", "5", "10"}});
}

TEST(Package, CountsStartedPackages) {
  CheckAll(Packages(), {{"nothing", "0", "0"},
                        {"a trifle", "0.000000000000000001", "3"},
                        {"one unit", "1", "3"},
                        {"a full package", "1000", "3"},
                        {"a second one started", "1001", "6"},
                        {"many", "1000000", "3000"},
                        {"given back as it was priced", "-1001", "-6"}});
  CheckAll(Including("1000", Packages()), {{"wholly included", "1000", "0"},
                                           {"first started", "1001", "3"},
                                           {"full", "2000", "3"},
                                           {"next", "2000.5", "6"}});
}

TEST(PriceSteps, TellTheArithmetic) {
  const auto texts = [](const Charge& charge, std::string_view quantity) {
    std::vector<PriceStep> steps;
    EXPECT_TRUE(PriceQuantity(charge, Units(quantity), &steps).ok());
    std::vector<std::string> lines;
    for (const PriceStep& s : steps) {
      lines.push_back(s.what + ": " + ToString(s.quantity) + " x " + ToString(s.unit_price) + " = " +
                      ToString(s.worth));
    }
    return lines;
  };
  using Lines = std::vector<std::string>;
  EXPECT_EQ(texts(Including("500", Tiered(ChargeModel::kGraduated)), "11500"),
            (Lines{"included: 500 x 0 = 0", "tier 1 (up to 1000): 1000 x 0.02 = 20",
                   "tier 2 (up to 10000): 9000 x 0.01 = 90", "flat amount of tier 2: 1 x 5 = 5",
                   "tier 3 (above 10000): 1000 x 0.005 = 5", "flat amount of tier 3: 1 x 2.5 = 2.5"}));
  EXPECT_EQ(texts(Tiered(ChargeModel::kVolume), "2000"),
            (Lines{"all units in tier 2 (up to 10000): 2000 x 0.01 = 20", "flat amount of tier 2: 1 x 5 = 5"}));
  EXPECT_EQ(texts(Packages(), "2500"), (Lines{"3 packages of 1000: 3 x 3 = 9"}));
  EXPECT_EQ(texts(Packages(), "1"), (Lines{"1 package of 1000: 1 x 3 = 3"}));
  EXPECT_EQ(texts(Including("5", PerUnit("2")), "3"), (Lines{"included: 3 x 0 = 0", "per unit: 0 x 2 = 0"}));
}

TEST(PriceQuantity, AnswersWhenAnAmountDoesNotFit) {
  Charge tiny_packages = Packages();
  tiny_packages.package_size = Units("0.000000000000000001");
  const absl::StatusOr<Worth> packages = PriceQuantity(tiny_packages, Units("1000"));
  EXPECT_EQ(packages.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_NE(Std(packages.status().message()).find("charge mails, quantity 1000"), std::string_view::npos);

  const Int128 most = static_cast<Int128>(~Uint128{0} >> 1);
  Charge dear = WithBaseFee(ChargeModel::kVolume, false);
  dear.tiers.back().unit_price = {most};
  EXPECT_EQ(ToString(*PriceQuantity(dear, {most})).substr(0, 8), "28948022");  // nearly 2^254 still fits
  dear = Tiered(ChargeModel::kGraduated);
  dear.tiers = {{Quantity{most - 1}, {most}, {most}}, {std::nullopt, {most}, {most}}};
  EXPECT_TRUE(PriceQuantity(dear, {most}).ok());

  Charge below_zero = Tiered(ChargeModel::kGraduated);  // as no catalog has it
  below_zero.tiers.front().up_to = Units("-2");
  below_zero.tiers.erase(below_zero.tiers.begin() + 1);
  EXPECT_EQ(PriceQuantity(below_zero, {most}).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(ChargeModel, HasItsWord) {
  EXPECT_EQ(ToString(ChargeModel::kPerUnit), "per_unit");
  EXPECT_EQ(ToString(ChargeModel::kGraduated), "graduated");
  EXPECT_EQ(ToString(ChargeModel::kVolume), "volume");
  EXPECT_EQ(ToString(ChargeModel::kPackage), "package");
}

}  // namespace
}  // namespace tollbook
