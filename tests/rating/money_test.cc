#include "rating/money.h"

#include <gtest/gtest.h>

#include <string>

#include "rating/minor_unit.h"
#include "tests/rating/in_words.h"

namespace tollbook {
namespace {

Worth WorthOf(std::string_view amount) {
  return {Wide::Product(Attos(amount), kOneUnit)};
}

TEST(Currency, KnowsIso4217) {
  struct {
    const char* code;
    int minor_digits;
  } kCases[] = {{"USD", 2}, {"EUR", 2}, {"GBP", 2}, {"CHF", 2}, {"MGA", 2}, {"MRU", 2}, {"HUF", 2},
                {"XCG", 2}, {"JPY", 0}, {"KRW", 0}, {"ISK", 0}, {"VND", 0}, {"XOF", 0}, {"CLP", 0},
                {"UGX", 0}, {"UYI", 0}, {"BHD", 3}, {"IQD", 3}, {"JOD", 3}, {"KWD", 3}, {"LYD", 3},
                {"OMR", 3}, {"TND", 3}, {"CLF", 4}, {"UYW", 4}};
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.code);
    const std::optional<Currency> currency = Currency::FromCode(c.code);
    ASSERT_TRUE(currency.has_value());
    EXPECT_EQ(currency->code(), c.code);
    EXPECT_EQ(currency->minor_digits(), c.minor_digits);
  }
}

TEST(Currency, RefusesWhatIsNotListed) {
  for (const char* code :
       {"", "US", "usd", "Usd", "USDX", "USD ", " US", "XXX", "XAU", "XTS", "ZZZ", "D A", "SD ", "DEM"}) {
    EXPECT_FALSE(Currency::FromCode(code).has_value()) << code;
  }
}

TEST(MinorUnit, GoesBackFromMinorUnitsToAnExactWorth) {
  struct {
    const char* currency;
    Int128 minor;
    const char* worth;
  } kCases[] = {{"USD", 1, "0.01"},  {"USD", -1234, "-12.34"}, {"JPY", 7, "7"},
                {"BHD", 5, "0.005"}, {"CLF", 123, "0.0123"},   {"USD", kMinorMax, "10000000000000000000000000000"},
                {"EUR", 0, "0"}};
  for (const auto& c : kCases) {
    const Currency currency = *Currency::FromCode(c.currency);
    const Worth worth = ExactWorth({currency, c.minor});
    EXPECT_EQ(ToString(worth), c.worth) << c.currency;
    const absl::StatusOr<Rounded> back = RoundToMinor(worth, currency, Rounding::kUp);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(back->line, (Money{currency, c.minor}));
    EXPECT_TRUE(back->residue.amount.zero());
  }
}

TEST(MinorUnit, HoldsTheLargestAmountOfTheLargestUnit) {
  const Int128 most = ~(static_cast<Int128>(1) << 127);
  EXPECT_EQ(ToString(ExactWorth({*Currency::FromCode("JPY"), most})), "170141183460469231731687303715884105727");
}

struct RoundingCase {
  const char* exact;
  const char* currency;
  const char* half_up;
  const char* half_even;
  const char* up;
  const char* down;
};

TEST(RoundToMinor, RoundsAsItsModeSays) {
  const RoundingCase kCases[] = {
      {"0", "USD", "0.00", "0.00", "0.00", "0.00"},
      {"1.23", "USD", "1.23", "1.23", "1.23", "1.23"},
      {"0.004999999999999999", "USD", "0.00", "0.00", "0.01", "0.00"},
      {"0.005", "USD", "0.01", "0.00", "0.01", "0.00"},
      {"0.005000000000000001", "USD", "0.01", "0.01", "0.01", "0.00"},
      {"0.015", "USD", "0.02", "0.02", "0.02", "0.01"},
      {"0.025", "USD", "0.03", "0.02", "0.03", "0.02"},
      {"0.000000000000000001", "USD", "0.00", "0.00", "0.01", "0.00"},
      {"-0.000000000000000001", "USD", "0.00", "0.00", "-0.01", "0.00"},
      {"-0.004", "USD", "0.00", "0.00", "-0.01", "0.00"},
      {"-0.005", "USD", "-0.01", "0.00", "-0.01", "0.00"},
      {"-0.015", "USD", "-0.02", "-0.02", "-0.02", "-0.01"},
      {"-0.025", "USD", "-0.03", "-0.02", "-0.03", "-0.02"},
      {"-0.025000000000000001", "USD", "-0.03", "-0.03", "-0.03", "-0.02"},
      {"99.995", "USD", "100.00", "100.00", "100.00", "99.99"},
      {"0.5", "JPY", "1", "0", "1", "0"},
      {"1.5", "JPY", "2", "2", "2", "1"},
      {"-2.5", "JPY", "-3", "-2", "-3", "-2"},
      {"1234.49", "JPY", "1234", "1234", "1235", "1234"},
      {"0.0005", "BHD", "0.001", "0.000", "0.001", "0.000"},
      {"12.3455", "BHD", "12.346", "12.346", "12.346", "12.345"},
      {"1.00005", "CLF", "1.0001", "1.0000", "1.0001", "1.0000"},
  };
  for (const RoundingCase& c : kCases) {
    SCOPED_TRACE(std::string(c.exact) + " " + c.currency);
    const Worth exact = WorthOf(c.exact);
    const auto check = [&](Rounding rounding, const char* expected) {
      const absl::StatusOr<Rounded> rounded = RoundToMinor(exact, In(c.currency), rounding);
      ASSERT_TRUE(rounded.ok()) << rounded.status();
      EXPECT_EQ(ToString(rounded->line), expected);
      // line + residue == exact
      Wide sum;
      ASSERT_TRUE(Wide::Add(WorthOf(ToString(rounded->line)).amount, rounded->residue.amount, &sum));
      EXPECT_EQ(Worth{sum}, exact) << "residue " << ToString(rounded->residue);
    };
    check(Rounding::kHalfUp, c.half_up);
    check(Rounding::kHalfEven, c.half_even);
    check(Rounding::kUp, c.up);
    check(Rounding::kDown, c.down);
  }
}

TEST(RoundToMinor, SeesTheThirtySixthDecimal) {
  // Half a cent and the smallest amount there is.
  Wide just_above;
  ASSERT_TRUE(Wide::Add(WorthOf("0.025").amount, Wide::FromInt128(1), &just_above));
  EXPECT_EQ(ToString(RoundToMinor(Worth{just_above}, In("USD"), Rounding::kHalfEven)->line), "0.03");
  EXPECT_EQ(ToString(RoundToMinor(Worth{just_above.Negated()}, In("USD"), Rounding::kHalfEven)->line), "-0.03");
}

TEST(RoundToMinor, AnswersWhenTheAmountIsTooLarge) {
  const Int128 most = static_cast<Int128>(~Uint128{0} >> 1);
  const Worth huge = {Wide::Product(most, most)};  // 2.8 * 10^40 dollars
  const absl::StatusOr<Rounded> cents = RoundToMinor(huge, In("USD"), Rounding::kHalfUp);
  EXPECT_EQ(cents.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_NE(Std(cents.status().message()).find("USD"), std::string_view::npos);
}

TEST(Money, AddsExactlyOrAnswers) {
  const Currency usd = In("USD");
  EXPECT_EQ(*Add(Money{usd, 150}, Money{usd, -151}), (Money{usd, -1}));
  EXPECT_EQ(*Subtract(Money{usd, 150}, Money{usd, 151}), (Money{usd, -1}));
  const Int128 most = static_cast<Int128>(~Uint128{0} >> 1);
  EXPECT_EQ(Add(Money{usd, most}, Money{usd, 1}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Subtract(Money{usd, -most}, Money{usd, 2}).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(MoneyDeathTest, MixedCurrenciesStopTheProgram) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH((void)Add(Money{In("USD"), 1}, Money{In("EUR"), 1}), "a.currency == b.currency");
  EXPECT_DEATH((void)Subtract(Money{In("USD"), 1}, Money{In("EUR"), 1}), "a.currency == b.currency");
}

TEST(Money, IsWrittenWithItsCurrencysDigits) {
  EXPECT_EQ(ToString(Money{In("USD"), 1230}), "12.30");
  EXPECT_EQ(ToString(Money{In("USD"), -5}), "-0.05");
  EXPECT_EQ(ToString(Money{In("JPY"), 1230}), "1230");
  EXPECT_EQ(ToString(Money{In("BHD"), 1230}), "1.230");
  EXPECT_EQ(ToString(Each("0.00000015")), "0.00000015");
  EXPECT_EQ(ToString(WorthOf("1137397.75475198")), "1137397.75475198");
}

}  // namespace
}  // namespace tollbook
