// Conversions and rounded quotients against big whole numbers.
#include "rating/conversion.h"

#include <gtest/gtest.h>

#include <boost/multiprecision/cpp_int.hpp>
#include <random>

#include "rating/rounded_quotient.h"
#include "tests/rating/in_words.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

using boost::multiprecision::cpp_int;

constexpr Int128 kMost = static_cast<Int128>(~Uint128{0} >> 1);

cpp_int Big(Int128 value) {
  return cpp_int(FormatDecimal(value, 0));
}

cpp_int Rounded(const cpp_int& numerator, const cpp_int& denominator, Rounding rounding) {
  const cpp_int magnitude = abs(numerator);
  cpp_int quotient = magnitude / denominator;
  const cpp_int twice = magnitude % denominator * 2;
  bool up = false;
  if (rounding == Rounding::kUp) up = twice > 0;
  if (rounding == Rounding::kHalfUp) up = twice >= denominator;
  if (rounding == Rounding::kHalfEven) up = twice > denominator || (twice == denominator && quotient % 2 == 1);
  if (up) ++quotient;
  return numerator < 0 ? cpp_int(-quotient) : quotient;
}

TEST(RoundedQuotient, IsThatOfBigNumbers) {
  std::mt19937_64 random(TestSeed());
  const auto any = [&] {
    const auto bits = static_cast<Uint128>(random()) << 64 | random();
    return static_cast<Int128>(bits >> (1 + random() % 126));
  };
  int fits = 0, too_large = 0;
  for (int round = 0; round < 100'000; ++round) {
    const Int128 a = random() % 2 == 0 ? any() : -any(), b = random() % 4 == 0 ? 1 : any();
    const Int128 denominator = random() % 4 == 0 ? static_cast<Int128>(1 + random() % 4) : 1 + (any() >> 1);
    const auto rounding = static_cast<Rounding>(random() % 4);
    const cpp_int expected = Rounded(Big(a) * Big(b), Big(denominator), rounding);
    Int128 quotient = 0;
    const bool answered = RoundedQuotient(Wide::Product(a, b), denominator, rounding, &quotient);
    ASSERT_EQ(answered, abs(expected) <= Big(kMost)) << expected;
    ++(answered ? fits : too_large);
    if (answered) {
      ASSERT_EQ(Big(quotient), expected);
    }
  }
  EXPECT_GT(fits, 1000);
  EXPECT_GT(too_large, 1000);
}

TEST(Convert, AnswersWhenTheResultDoesNotFit) {
  Quantity converted;
  const Conversion twice{Conversion::By::kMultiply, Units("2"), std::nullopt, 0};
  EXPECT_FALSE(Convert(twice, {kMost}, &converted));
  EXPECT_TRUE(Convert(twice, {kMost / 2}, &converted));
  EXPECT_TRUE(converted == Quantity{kMost / 2 * 2});
  const Conversion by_atto{Conversion::By::kDivide, {1}, Rounding::kDown, 18};
  EXPECT_FALSE(Convert(by_atto, {kMost}, &converted));
  EXPECT_TRUE(Convert(by_atto, {-7}, &converted));
  EXPECT_EQ(ToString(converted), "-7");
  const Conversion to_whole{Conversion::By::kMultiply, Units("1"), Rounding::kUp, 0};
  EXPECT_FALSE(Convert(to_whole, {kMost}, &converted)) << "rounded up it is beyond";
}

TEST(Convert, SaysWhatItDoes) {
  EXPECT_EQ(ToString(Conversion{Conversion::By::kDivide, Units("1000"), Rounding::kUp, 0}),
            "/ 1000, rounded up to 0 places");
  EXPECT_EQ(ToString(Conversion{Conversion::By::kMultiply, Units("1.5"), Rounding::kHalfEven, 1}),
            "x 1.5, rounded half to even to 1 place");
  EXPECT_EQ(ToString(Conversion{Conversion::By::kDivide, Units("3"), std::nullopt, 0}), "/ 3");
}

}  // namespace
}  // namespace tollbook
