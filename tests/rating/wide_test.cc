#include "rating/wide.h"

#include <gtest/gtest.h>

#include <boost/multiprecision/cpp_int.hpp>
#include <random>

#include "tests/rating/seed.h"

namespace tollbook {
namespace {

using boost::multiprecision::cpp_int;
using boost::multiprecision::int256_t;

// boost's int256_t has a sign of its own beside 256 bits: it holds all that a Wide holds, and shows what would not fit.
int256_t Oracle(const Wide& wide) {
  cpp_int value = 0;
  for (size_t i = 4; i-- > 0;) value = (value << 64) | wide.limbs()[i];
  return int256_t(wide.negative() ? cpp_int(value - (cpp_int(1) << 256)) : value);
}

int256_t Oracle(Int128 value) {
  return Oracle(Wide::FromInt128(value));
}

const cpp_int& Limit() {
  static const cpp_int limit = (cpp_int(1) << 255) - 1;
  return limit;
}

bool Fits(const cpp_int& value) {
  return value <= Limit() && value >= -Limit();
}

Int128 RandomInt128(std::mt19937_64& random) {
  const Uint128 bits = (static_cast<Uint128>(random()) << 64) | random();
  return static_cast<Int128>(bits) >> (random() % 128);
}

// Of any size, and often near the bounds.
Wide RandomWide(std::mt19937_64& random) {
  const Wide product = Wide::Product(RandomInt128(random), RandomInt128(random));
  Wide twice;
  return random() % 3 == 0 && Wide::Multiply(product, random() % 4, &twice) ? twice : product;
}

constexpr Int128 kMost = static_cast<Int128>(~Uint128{0} >> 1);
constexpr Int128 kLeast = -kMost - 1;

TEST(Wide, MultipliesTheLargestFactors) {
  for (const Int128 a : {kMost, kLeast, Int128{0}, Int128{1}, Int128{-1}}) {
    EXPECT_EQ(Oracle(a), Oracle(Wide::FromInt128(a)));
    for (const Int128 b : {kMost, kLeast, Int128{0}, Int128{1}, Int128{-1}}) {
      EXPECT_EQ(Oracle(Wide::Product(a, b)), Oracle(a) * Oracle(b));
    }
  }
}

TEST(Wide, AnswersWhenASumDoesNotFit) {
  const Wide quarter = Wide::Product(kLeast, kLeast);  // 2^254
  Wide half_less_one;                                  // 2^255 - 1, the largest
  ASSERT_TRUE(Wide::Subtract(quarter, Wide::FromInt128(1), &half_less_one));
  ASSERT_TRUE(Wide::Add(half_less_one, quarter, &half_less_one));
  const Wide one = Wide::FromInt128(1);
  Wide untouched = Wide::FromInt128(7);
  EXPECT_FALSE(Wide::Add(half_less_one, one, &untouched));
  EXPECT_FALSE(Wide::Add(quarter, quarter, &untouched));
  EXPECT_FALSE(Wide::Subtract(half_less_one.Negated(), one, &untouched));  // -2^255 could not be negated
  EXPECT_FALSE(Wide::Multiply(quarter, 2, &untouched));
  EXPECT_FALSE(Wide::Multiply(quarter, ~uint64_t{0}, &untouched));
  EXPECT_EQ(untouched, Wide::FromInt128(7));
  EXPECT_EQ(cpp_int(Oracle(half_less_one)), Limit());
}

TEST(Wide, AgreesWithTheOracle) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 20'000; ++round) {
    const Int128 x = RandomInt128(random), y = RandomInt128(random);
    ASSERT_EQ(Oracle(Wide::Product(x, y)), Oracle(x) * Oracle(y));

    const Wide a = RandomWide(random), b = RandomWide(random);
    const cpp_int big_a(Oracle(a)), big_b(Oracle(b));
    Wide result;
    ASSERT_EQ(Wide::Add(a, b, &result), Fits(big_a + big_b));
    if (Fits(big_a + big_b)) {
      ASSERT_EQ(cpp_int(Oracle(result)), big_a + big_b);
    }
    ASSERT_EQ(Wide::Subtract(a, b, &result), Fits(big_a - big_b));
    if (Fits(big_a - big_b)) {
      ASSERT_EQ(cpp_int(Oracle(result)), big_a - big_b);
    }
    const uint64_t factor = random() >> (random() % 64);
    ASSERT_EQ(Wide::Multiply(a, factor, &result), Fits(big_a * factor));
    if (Fits(big_a * factor)) {
      ASSERT_EQ(cpp_int(Oracle(result)), big_a * factor);
    }

    ASSERT_EQ(Oracle(a.Negated()), -Oracle(a));
    ASSERT_EQ(a.negative(), big_a < 0);
    ASSERT_EQ(a.zero(), big_a == 0);
    ASSERT_EQ(a < b, big_a < big_b);
    ASSERT_EQ(a == b, big_a == big_b);
    ASSERT_EQ(Wide::FromLimbs(a.limbs()), a);
    ASSERT_EQ(a.FitsInt128(), big_a <= cpp_int(Oracle(kMost)) && big_a >= cpp_int(Oracle(kLeast)));
    ASSERT_EQ(Wide::FromInt128(x).ToInt128(), x);
    ASSERT_EQ(a.ToDecimal(0), big_a.str());
  }
}

TEST(Wide, DividesTowardZeroAndKeepsTheRemainder) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 20'000; ++round) {
    const Wide value = RandomWide(random);
    const int digits = static_cast<int>(random() % 77);
    SCOPED_TRACE(value.ToDecimal(0) + " by 10^" + std::to_string(digits));
    const cpp_int big(Oracle(value));
    const cpp_int power = boost::multiprecision::pow(cpp_int(10), static_cast<unsigned>(digits));
    Wide quotient, remainder;
    value.DivideByPowerOfTen(digits, &quotient, &remainder);
    ASSERT_EQ(cpp_int(Oracle(quotient)), big / power);
    ASSERT_EQ(cpp_int(Oracle(remainder)), big % power);
  }
}

TEST(Wide, WritesPlainDecimals) {
  EXPECT_EQ(Wide().ToDecimal(36), "0");
  EXPECT_EQ(Wide::FromInt128(1).ToDecimal(36), "0.000000000000000000000000000000000001");
  EXPECT_EQ(Wide::FromInt128(-1500).ToDecimal(3), "-1.5");
  EXPECT_EQ(Wide::FromInt128(-1500).ToDecimal(0), "-1500");
  EXPECT_EQ(Wide::Product(kLeast, kLeast).ToDecimal(36),
            "28948022309329048855892746252171976963317.496166410141009864396001978282409984");
}

}  // namespace
}  // namespace tollbook
