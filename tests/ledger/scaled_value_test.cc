#include "ledger/scaled_value.h"

#include <gtest/gtest.h>

#include <random>

namespace tollbook {
namespace {

constexpr Int128 kLargest = static_cast<Int128>(~static_cast<Uint128>(0) >> 1);

Int128 Unit(int scale) {
  Int128 unit = 1;
  for (int i = 0; i < kValueScales[scale]; ++i) unit *= 10;
  return unit;
}

// The plain twin: the first unit that leaves no rest.
ScaledValue PlainScale(Quantity value) {
  uint32_t scale = 0;
  while (value.attos % Unit(scale) != 0) ++scale;
  return {scale, value.attos / Unit(scale)};
}

void Check(Int128 attos) {
  const ScaledValue scaled = ScaleValue({attos});
  const ScaledValue plain = PlainScale({attos});
  EXPECT_EQ(scaled.scale, plain.scale);
  EXPECT_EQ(static_cast<uint64_t>(scaled.mantissa), static_cast<uint64_t>(plain.mantissa));
  EXPECT_TRUE(scaled.mantissa == plain.mantissa);
  Quantity back;
  EXPECT_TRUE(UnscaleValue(scaled, &back));
  EXPECT_TRUE(back.attos == attos);
}

TEST(ScaledValue, AgreesWithDivisionAtTheEdges) {
  for (uint32_t scale = 0; scale < kValueScales.size(); ++scale) {
    const Int128 unit = Unit(scale);
    const Int128 last = kLargest / unit * unit;
    for (const Int128 near : {Int128{0}, unit, unit * 10, unit / 2, unit / 5, last, last - unit, kLargest}) {
      for (int step = -2; step <= 2; ++step) {
        if (near > kLargest - 2 && step > 0) continue;
        Check(near + step);
        Check(-(near + step));
      }
    }
  }
  Check(-kLargest - 1);
}

TEST(ScaledValue, AgreesWithDivisionOnRandomValues) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 200'000; ++i) {
    const auto wide = static_cast<Int128>(static_cast<Uint128>(random()) << 64 | random());
    Check(wide >> random() % 128);
    const Int128 unit = Unit(random() % kValueScales.size());
    Check(((wide >> 1) / unit >> random() % 100) * unit);
    Check(static_cast<Int128>(random() >> random() % 64) << random() % 40);
  }
}

TEST(ScaledValue, WhatDoesNotFitIsSaid) {
  Quantity value;
  EXPECT_TRUE(UnscaleValue({0, kLargest / kOneUnit}, &value));
  EXPECT_FALSE(UnscaleValue({0, kLargest / kOneUnit + 1}, &value));
  EXPECT_TRUE(UnscaleValue({0, -kLargest / kOneUnit}, &value));
  EXPECT_FALSE(UnscaleValue({0, -kLargest / kOneUnit - 1}, &value));
  EXPECT_FALSE(UnscaleValue({3, kLargest}, &value));
  EXPECT_TRUE(UnscaleValue({4, -kLargest - 1}, &value));
}

}  // namespace
}  // namespace tollbook
