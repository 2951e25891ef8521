#include "pipeline/deferred_balance.h"

#include <gtest/gtest.h>

#include <random>
#include <span>

namespace tollbook {
namespace {

const Currency kUsd = *Currency::FromCode("USD");
const Currency kEur = *Currency::FromCode("EUR");
const Currency kJpy = *Currency::FromCode("JPY");

// So many ten-thousandths of a euro a dollar.
DayRate At(int64_t rate, Currency to = kEur) {
  return {kUsd, to, {{}, Price{static_cast<Int128>(rate) * 100'000'000'000'000}}, Rounding::kHalfUp};
}

struct Step {
  const char* name;
  int64_t credited;  // cents
  int64_t rate;
  int64_t functional;  // of the line
  bool is_drawn;
  int64_t carried;  // in credit above zero
};

void ExpectSteps(std::span<const Step> steps) {
  DeferredBalance balance;
  for (const Step& step : steps) {
    SCOPED_TRACE(step.name);
    const absl::StatusOr<DeferredBalance::Posted> posted = balance.Post(step.credited, At(step.rate));
    ASSERT_TRUE(posted.ok());
    EXPECT_EQ(static_cast<int64_t>(posted->functional), step.functional);
    EXPECT_EQ(posted->is_drawn, step.is_drawn);
    EXPECT_EQ(static_cast<int64_t>(balance.functional()), step.carried);
  }
}

TEST(DeferredBalance, GivesWhatIsDrawnTheRatesThatItWasDeferredAt) {
  constexpr Step kSteps[] = {
      {"90.00 at 0.90", 9000, 9000, 8100, false, 8100},
      {"a third, by then at 0.50", -3000, 5000, 2700, true, 5400},
      {"60.00 more at 0.80: 120.00 at 0.85", 6000, 8000, 4800, false, 10200},
      {"a cent is 0.0085", -1, 5000, 1, true, 10199},
      {"all but a cent", -11998, 5000, 10198, true, 1},
      {"the last cent", -1, 5000, 1, true, 0},
  };
  ExpectSteps(kSteps);
}

TEST(DeferredBalance, GoesThroughZero) {
  constexpr Step kSteps[] = {
      {"10.00 at 0.90", 1000, 9000, 900, false, 900},
      {"30.00: what is carried, and 20.00 at 0.80", -3000, 8000, 2500, true, -1600},
      {"10.00 more at 0.70", -1000, 7000, 700, false, -2300},
      {"15.00 back: half of it", 1500, 5000, 1150, true, -1150},
      {"20.00: the rest, and 5.00 at 0.60", 2000, 6000, 1450, true, 300},
      {"the rest", -500, 9000, 300, true, 0},
  };
  ExpectSteps(kSteps);
}

TEST(DeferredBalance, IsZeroWhereTheTransactionBalanceIsAndNeverOnTheOtherSideOfIt) {
  for (uint32_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    DeferredBalance balance;
    Int128 minor = 0, functional = 0;
    const auto check = [&](Int128 credited, const absl::StatusOr<DeferredBalance::Posted>& posted) {
      ASSERT_TRUE(posted.ok());
      ASSERT_GE(posted->functional, 0);
      minor += credited;
      functional += credited < 0 ? -posted->functional : posted->functional;
      ASSERT_TRUE(balance.minor() == minor && balance.functional() == functional);
      ASSERT_TRUE(minor == 0 ? functional == 0 : minor < 0 ? functional <= 0 : functional >= 0);
    };
    for (int i = 0; i < 60; ++i) {
      const int64_t rate = 1 + random() % 20'000;
      const Int128 credited = random() % 6 == 0 ? -minor : static_cast<int64_t>(random() % 20'001) - 10'000;
      if (credited == 0) continue;
      const bool takes_back = random() % 4 == 0;
      check(credited,
            takes_back ? balance.PostBack(credited, random() % 20'000, At(rate)) : balance.Post(credited, At(rate)));
      if (HasFatalFailure()) return;
    }
    if (minor != 0) check(-minor, balance.Post(-minor, At(7'000)));
    ASSERT_TRUE(balance.functional() == 0);
  }
}

TEST(DeferredBalance, TakesBackWhatALineWasAndNoMoreThanIsCarried) {
  DeferredBalance balance;
  ASSERT_TRUE(balance.Post(9000, At(9000)).ok());  // 81.00
  ASSERT_TRUE(balance.Post(9000, At(5000)).ok());  // 45.00
  EXPECT_EQ(balance.PostBack(-9000, 8100, At(7000))->functional, 8100);
  EXPECT_EQ(balance.functional(), 4500);
  const DeferredBalance::Posted part = *balance.PostBack(-4500, 8100, At(7000));
  EXPECT_TRUE(part.functional == 4500 && part.is_drawn);
  EXPECT_TRUE(balance.minor() == 4500 && balance.functional() == 0);
  ASSERT_TRUE(balance.Post(4500, At(5000)).ok());
  EXPECT_EQ(balance.PostBack(-9000, 100, At(7000))->functional, 2250) << "nothing stays";
  EXPECT_TRUE(balance.minor() == 0 && balance.functional() == 0);
}

TEST(DeferredBalance, CountsWhatWasDeferredWithoutARateByTheFirstOne) {
  DeferredBalance balance;
  ASSERT_TRUE(balance.PostUnrated(1000).ok());
  ASSERT_TRUE(balance.PostUnrated(-400).ok());
  EXPECT_EQ(balance.Post(-300, At(8000))->functional, 240);
  EXPECT_EQ(balance.functional(), 240);
  ASSERT_TRUE(balance.PostUnrated(-300).ok());
  EXPECT_EQ(balance.functional(), 0);
  EXPECT_EQ(balance.Post(100, At(8000))->functional, 80);
  EXPECT_EQ(balance.functional(), 80);
}

TEST(DeferredBalance, GoesOverToAnotherFunctionalCurrencyByTheRateOfTheChange) {
  DeferredBalance balance;
  ASSERT_TRUE(balance.Post(10'000, At(9000)).ok());
  EXPECT_EQ(balance.Post(-2'500, At(1'500'000, kJpy))->functional, 3'750);  // 25.00 at 150
  EXPECT_EQ(balance.functional(), 11'250);
}

TEST(DeferredBalance, SaysWhatDoesNotFit) {
  DeferredBalance balance;
  const Int128 much = static_cast<Int128>(1) << 126;
  ASSERT_TRUE(balance.PostUnrated(much).ok());
  EXPECT_EQ(balance.PostUnrated(much).code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(balance.Post(1, At(10'000'000)).status().code(), absl::StatusCode::kOutOfRange);
}

}  // namespace
}  // namespace tollbook
