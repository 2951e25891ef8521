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
  charge.pricing.unit_price = Each(price);
  return charge;
}

// The first 1,000 at 0.02, the next 9,000 at 0.01 and 5 once, all above at 0.005 and 2.50 once.
Charge Tiered(ChargeModel model) {
  Charge charge;
  charge.name = "tokens";
  charge.pricing.model = model;
  charge.pricing.tiers = {{Units("1000"), Each("0.02"), {}},
                          {Units("10000"), Each("0.01"), Each("5")},
                          {std::nullopt, Each("0.005"), Each("2.50")}};
  return charge;
}

// 10 once and 1 a unit up to 10; above it 20 once and 0.50 a unit.
Charge WithBaseFee(ChargeModel model, bool flat_at_zero) {
  Charge charge;
  charge.name = "seats";
  charge.pricing.model = model;
  charge.pricing.flat_at_zero = flat_at_zero;
  charge.pricing.tiers = {{Units("10"), Each("1"), Each("10")}, {std::nullopt, Each("0.50"), Each("20")}};
  return charge;
}

// 3.00 for each started 1,000.
Charge Packages() {
  Charge charge;
  charge.name = "mails";
  charge.pricing.model = ChargeModel::kPackage;
  charge.pricing.package_size = Units("1000");
  charge.pricing.package_price = Each("3");
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
      if (!IsOnlyWorth(step)) {
        EXPECT_EQ(step.worth.amount, Wide::Product(step.quantity.attos, step.unit_price.attos)) << step.what;
      }
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

TEST(Package, RoundsTheirNumberAsItSays) {
  const auto rounded = [](Rounding rounding) {
    Charge charge = Packages();
    charge.pricing.package_rounding = rounding;
    return charge;
  };
  CheckAll(rounded(Rounding::kDown), {{"part of one", "999", "0"}, {"one", "1999", "3"}, {"less", "-1999", "-3"}});
  CheckAll(rounded(Rounding::kHalfUp), {{"below", "499", "0"}, {"tie", "500", "3"}, {"tie", "-1500", "-6"}});
  CheckAll(rounded(Rounding::kHalfEven), {{"tie", "500", "0"}, {"tie", "1500", "6"}, {"above", "501", "3"}});
}

// 1.5 a unit for the first 10; above, 2 for each started block of 100.
Charge InBlocks(ChargeModel model) {
  Charge charge;
  charge.name = "blocks";
  charge.pricing.model = model;
  charge.pricing.tiers = {{Units("10"), Each("1.5"), {}}, {std::nullopt, Each("2"), {}, Units("100")}};
  return charge;
}

TEST(Graduated, PricesStartedBlocksOfATier) {
  CheckAll(InBlocks(ChargeModel::kGraduated), {{"nothing", "0", "0"},
                                               {"no block yet", "10", "15"},
                                               {"a trifle starts one", "10.000000000000000001", "17"},
                                               {"one, full", "110", "17"},
                                               {"two", "110.5", "19"},
                                               {"less", "-3", "-4.5"}});
}

TEST(Volume, PricesStartedBlocksOfAllUnits) {
  CheckAll(InBlocks(ChargeModel::kVolume),
           {{"in the first tier", "10", "15"}, {"one", "11", "2"}, {"two", "101", "4"}});
}

// 50 up to 1,000, 200 up to 5,000, 350 above.
Charge Stairs() {
  Charge charge;
  charge.name = "plan";
  charge.pricing.model = ChargeModel::kStairstep;
  charge.pricing.steps = {{Units("1000"), {}, Each("50")}, {Units("5000"), {}, Each("200")}, {{}, {}, Each("350")}};
  return charge;
}

TEST(Stairstep, CostsTheStepThatHoldsTheQuantity) {
  CheckAll(Stairs(), {{"nothing", "0", "0"},
                      {"a trifle", "0.1", "50"},
                      {"the first step's last unit", "1000", "50"},
                      {"second", "1000.1", "200"},
                      {"last", "99999", "350"},
                      {"less than nothing", "-1", "0"}});
  Charge at_zero = Stairs();
  at_zero.pricing.flat_at_zero = true;
  CheckAll(at_zero, {{"nothing", "0", "50"}, {"less", "-1", "50"}, {"second", "1001", "200"}});
  CheckAll(Including("1000", Stairs()), {{"all included", "1000", "0"}, {"first", "2000", "50"}});
}

Worth WorthOf(const Charge& charge, const PeriodUsage& usage) {
  std::vector<PriceStep> steps;
  const absl::StatusOr<Worth> worth = PricePeriod(charge, usage, &steps);
  EXPECT_TRUE(worth.ok()) << worth.status();
  Wide sum;
  for (const PriceStep& step : steps) EXPECT_TRUE(Wide::Add(sum, step.worth.amount, &sum));
  EXPECT_EQ(Worth{sum}, *worth);
  return *worth;
}

TEST(Percentage, IsAShareOfMoneyAndAnAmountForEachEvent) {
  Charge charge;
  charge.name = "fee";
  charge.pricing.model = ChargeModel::kPercentage;
  charge.pricing.unit_price = Each("0.029");
  charge.pricing.price_per_event = Each("0.30");
  EXPECT_EQ(ToString(WorthOf(charge, {{{{}, 0, Units("100"), 2}}, true})), "3.5");
  EXPECT_EQ(ToString(WorthOf(charge, {{{{}, 0, Units("-100"), 1}}, true})), "-2.6");
  EXPECT_EQ(ToString(WorthOf(charge, {{}, true})), "0");
  CheckAll(Including("50", charge), {{"included money", "150", "2.9"}});
}

TEST(Conversion, ComesBeforeIncludedUnitsAndPrice) {
  Charge charge = PerUnit("10");
  charge.conversion = Conversion{Conversion::By::kDivide, Units("1000"), Rounding::kUp, 0};
  CheckAll(charge, {{"rounded up", "1400", "20"}, {"zero", "0", "0"}, {"given back as priced", "-1400", "-20"}});
  CheckAll(Including("0.5", charge), {{"included units after rounding", "1400", "15"}});
  charge.conversion->rounding = Rounding::kHalfUp;
  charge.conversion->places = 1;
  CheckAll(charge, {{"tenths", "1450", "15"}, {"below", "1449", "14"}});
  charge.conversion = Conversion{Conversion::By::kMultiply, Units("1.5"), std::nullopt, 0};
  CheckAll(charge, {{"exact", "4.2", "63"}});
}

TEST(Conversion, WithoutARoundingKeepsEighteenDecimals) {
  Charge charge = PerUnit("1");
  charge.conversion = Conversion{Conversion::By::kDivide, Units("3"), std::nullopt, 0};
  CheckAll(charge, {{"not exact", "1", "0.333333333333333333"}, {"to the nearest", "2", "0.666666666666666667"}});
  charge.conversion->factor = Units("2");
  CheckAll(charge, {{"a tie goes to the even", "0.000000000000000001", "0"},
                    {"likewise", "0.000000000000000003", "0.000000000000000002"}});
}

TEST(Discount, IsOfTheWorthAndExactAsFarAsAWorthHasDecimals) {
  Charge charge = PerUnit("0.10");
  charge.discount = Each("0.25");
  CheckAll(charge, {{"a quarter off", "100", "7.5"}, {"off what is given back too", "-100", "-7.5"}});
  charge.discount = Each("1");
  CheckAll(charge, {{"all of it", "100", "0"}});
  charge.pricing.unit_price = {1};
  charge.discount = {1};
  EXPECT_EQ(ToString(*PriceQuantity(charge, {1})), "0.000000000000000000000000000000000001");  // 54 decimals
  charge.discount = Each("0.5");
  EXPECT_EQ(ToString(*PriceQuantity(charge, {1})), "0.000000000000000000000000000000000001") << "half to even: 0 off";
  EXPECT_EQ(ToString(*PriceQuantity(charge, {3})), "0.000000000000000000000000000000000001") << "1.5 is 2";
}

TEST(Bounds, StandAroundTheDiscountedWorth) {
  Charge charge = PerUnit("1");
  charge.discount = Each("0.5");
  charge.maximum = Each("10");
  charge.minimum = Each("2");
  CheckAll(charge, {{"raised", "1", "2"}, {"between", "10", "5"}, {"capped", "100", "10"}, {"raised", "-4", "2"}});
  EXPECT_EQ(ToString(WorthOf(charge, {{{{}, 0, Units("1"), 1}}, false})), "0.5");  // not due yet
}

// By region: 2 in the EU, 3 in all others that have one, 0.5 where none is known.
Charge Matrix() {
  Charge charge;
  charge.name = "regions";
  charge.pricing.model = ChargeModel::kMatrix;
  charge.cells = {{{{"region", "eu"}}, PerUnit("2").pricing},
                  {{{"region", AcceptedValues::Any()}}, PerUnit("3").pricing},
                  {{}, PerUnit("0.5").pricing}};
  return charge;
}

TEST(Matrix, PricesEachCellByItsOwn) {
  const Charge charge = Matrix();
  const std::vector<UsagePart> parts = {{{}, 0, Units("10"), 1}, {{}, 1, Units("4"), 1}, {{}, 2, Units("2"), 1}};
  EXPECT_EQ(ToString(WorthOf(charge, {parts, true})), "33");
  EXPECT_EQ(ToString(WorthOf(Including("12", charge), {parts, true})), "7");  // 10 of the first, 2 of the second
  Meter meter;
  meter.dimensions = {"model", "region"};
  const auto part = [&](std::string_view region) {
    return PartOf(charge, meter, std::vector<std::string_view>{"m", region});
  };
  EXPECT_EQ(part("eu"), 0u);
  EXPECT_EQ(part("us"), 1u);
  EXPECT_EQ(part(""), 2u);
  Charge without_default = charge;
  without_default.cells.pop_back();
  EXPECT_EQ(PartOf(without_default, meter, std::vector<std::string_view>{"m", ""}), std::nullopt);
}

TEST(Limits, CostTheFirstStepThatHoldsThemAll) {
  Charge charge = Stairs();
  charge.pricing.limits_by = "unit";
  charge.pricing.limited = {"u1", "u2"};
  charge.pricing.steps = {{{}, {{"u1", Units("100")}, {"u2", Units("1000")}}, Each("10")},
                          {{}, {{"u1", Units("200")}}, Each("20")},
                          {{}, {}, Each("30")}};
  const auto worth = [&](std::string_view u1, std::string_view u2, std::string_view other) {
    return ToString(WorthOf(charge, {{{{}, 0, Units(u1), 1}, {{}, 1, Units(u2), 1}, {{}, 2, Units(other), 1}}, true}));
  };
  EXPECT_EQ(worth("100", "1000", "99999"), "10");
  EXPECT_EQ(worth("101", "1000", "0"), "20");
  EXPECT_EQ(worth("0", "1001", "0"), "20");
  EXPECT_EQ(worth("201", "0", "0"), "30");
  EXPECT_EQ(worth("0", "0", "0"), "0");
  EXPECT_EQ(worth("0", "0", "1"), "10");
}

TEST(PerBucket, PricesEachAlone) {
  Charge charge = Including("1", Packages());
  charge.per_bucket = PerBucket::kDay;
  charge.maximum = Each("8");
  const auto usage = [](int32_t day, std::string_view quantity) {
    return UsagePart{{{day}, 0}, 0, Units(quantity), 1};
  };
  EXPECT_EQ(ToString(WorthOf(charge, {{usage(0, "1"), usage(1, "2")}, true})), "3");
  EXPECT_EQ(ToString(WorthOf(charge, {{usage(0, "2"), usage(1, "1001")}, true})), "6");
  EXPECT_EQ(ToString(WorthOf(charge, {{usage(0, "2"), usage(1, "1002")}, true})), "8");
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

  EXPECT_EQ(texts(InBlocks(ChargeModel::kGraduated), "150"),
            (Lines{"tier 1 (up to 10): 10 x 1.5 = 15", "tier 2 (above 10), 2 blocks of 100: 2 x 2 = 4"}));
  EXPECT_EQ(texts(Stairs(), "1001"), (Lines{"step 2 (up to 5000): 1 x 200 = 200"}));
  EXPECT_EQ(texts(Stairs(), "6000"), (Lines{"step 3: 1 x 350 = 350"}));
  Charge around = PerUnit("1");
  around.conversion = Conversion{Conversion::By::kDivide, Units("1000"), Rounding::kUp, 0};
  around.discount = Each("0.125");
  around.maximum = Each("10");
  around.minimum = Each("5");
  EXPECT_EQ(texts(around, "1400"),
            (Lines{"converted: 1400 / 1000, rounded up to 0 places: 2 x 0 = 0", "per unit: 2 x 1 = 2",
                   "discount of 12.5 %: 0 x 0 = -0.25", "up to the minimum of 5: 0 x 0 = 3.25"}));
  EXPECT_EQ(texts(around, "24000"),
            (Lines{"converted: 24000 / 1000, rounded up to 0 places: 24 x 0 = 0", "per unit: 24 x 1 = 24",
                   "discount of 12.5 %: 0 x 0 = -3", "above the maximum of 10: 0 x 0 = -11"}));
  EXPECT_EQ(texts(Matrix(), "2"), (Lines{"region=eu: per unit: 2 x 2 = 4"}));
}

TEST(PriceQuantity, AnswersWhenAnAmountDoesNotFit) {
  Charge tiny_packages = Packages();
  tiny_packages.pricing.package_size = Units("0.000000000000000001");
  const absl::StatusOr<Worth> packages = PriceQuantity(tiny_packages, Units("1000"));
  EXPECT_EQ(packages.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_NE(Std(packages.status().message()).find("charge mails, quantity 1000"), std::string_view::npos);

  const Int128 most = static_cast<Int128>(~Uint128{0} >> 1);
  Charge dear = WithBaseFee(ChargeModel::kVolume, false);
  dear.pricing.tiers.back().unit_price = {most};
  EXPECT_EQ(ToString(*PriceQuantity(dear, {most})).substr(0, 8), "28948022");  // nearly 2^254 still fits
  dear = Tiered(ChargeModel::kGraduated);
  dear.pricing.tiers = {{Quantity{most - 1}, {most}, {most}}, {std::nullopt, {most}, {most}}};
  EXPECT_TRUE(PriceQuantity(dear, {most}).ok());

  Charge below_zero = Tiered(ChargeModel::kGraduated);  // as no catalog has it
  below_zero.pricing.tiers.front().up_to = Units("-2");
  below_zero.pricing.tiers.erase(below_zero.pricing.tiers.begin() + 1);
  EXPECT_EQ(PriceQuantity(below_zero, {most}).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(ChargeModel, HasItsWord) {
  EXPECT_EQ(ToString(ChargeModel::kPerUnit), "per_unit");
  EXPECT_EQ(ToString(ChargeModel::kGraduated), "graduated");
  EXPECT_EQ(ToString(ChargeModel::kVolume), "volume");
  EXPECT_EQ(ToString(ChargeModel::kPackage), "package");
  EXPECT_EQ(ToString(ChargeModel::kStairstep), "stairstep");
  EXPECT_EQ(ToString(ChargeModel::kPercentage), "percentage");
  EXPECT_EQ(ToString(ChargeModel::kGraduatedPercentage), "graduated_percentage");
  EXPECT_EQ(ToString(ChargeModel::kDynamic), "dynamic");
  EXPECT_EQ(ToString(ChargeModel::kMatrix), "matrix");
}

}  // namespace
}  // namespace tollbook
