#include "rating/reciprocal.h"

#include <gtest/gtest.h>

#include <random>

#include "rating/wide.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

constexpr Uint128 PowerOfTen(int digits) {
  return digits == 0 ? 1 : 10 * PowerOfTen(digits - 1);
}
constexpr int kFirst = 32;
constexpr Reciprocal kReciprocals[] = {Reciprocal(PowerOfTen(32)), Reciprocal(PowerOfTen(33)),
                                       Reciprocal(PowerOfTen(34)), Reciprocal(PowerOfTen(35)),
                                       Reciprocal(PowerOfTen(36))};

// A magnitude of up to 192 bits: of any size, or a hair beside a multiple of the power, or beside the largest quotient
// that the reciprocal gives.
Wide RandomMagnitude(std::mt19937_64& random, Int128 power, int round) {
  const auto any = static_cast<Int128>((static_cast<Uint128>(random()) << 64 | random()) >> (1 + random() % 127));
  if (round % 3 == 0) return Wide::Product(any, static_cast<Int128>(random() >> (random() % 64)) >> 1);
  const Int128 most = Int128{1} << 64;
  Wide value = Wide::Product(power, round % 3 == 1 ? any & (most - 1) : most - static_cast<Int128>(random() % 2));
  EXPECT_TRUE(Wide::Add(value, Wide::FromInt128(static_cast<Int128>(random() % 3) - 1), &value));
  return value.negative() ? value.Negated() : value;
}

TEST(Reciprocal, DividesAsItsPlainTwin) {
  std::mt19937_64 random(TestSeed());
  int too_large = 0;
  for (int round = 0; round < 3'000'000; ++round) {
    const int digits = kFirst + static_cast<int>(random() % 5);
    const Wide value = RandomMagnitude(random, static_cast<Int128>(PowerOfTen(digits)), round);
    const auto& limbs = value.limbs();
    ASSERT_EQ(limbs[3], 0u);
    Wide quotient, remainder;
    value.DivideByPowerOfTen(digits, &quotient, &remainder);

    uint64_t fast_quotient = 0;
    Uint128 fast_remainder = 0;
    const Uint128 low = static_cast<Uint128>(limbs[1]) << 64 | limbs[0];
    const bool fits = kReciprocals[digits - kFirst].Divide(limbs[2], low, &fast_quotient, &fast_remainder);
    ASSERT_EQ(fits, quotient < Wide::FromInt128(Int128{1} << 64)) << value.ToDecimal(0) << " by 10^" << digits;
    too_large += fits ? 0 : 1;
    if (!fits) continue;
    ASSERT_EQ(Wide::FromInt128(fast_quotient), quotient) << value.ToDecimal(0) << " by 10^" << digits;
    ASSERT_EQ(Wide::FromInt128(static_cast<Int128>(fast_remainder)), remainder)
        << value.ToDecimal(0) << " by 10^" << digits;
  }
  EXPECT_GT(too_large, 0);
}

}  // namespace
}  // namespace tollbook
