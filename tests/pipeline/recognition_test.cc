#include "pipeline/recognition.h"

#include <gtest/gtest.h>

#include <random>

namespace tollbook {
namespace {

constexpr Day kJan1 = {20089};  // 2025-01-01

Day January(int day) {
  return {kJan1.number + day - 1};
}

// What is recognised by the end of a day of January.
Int128 ToDate(const std::vector<DeferredAmount>& deferred, Day day) {
  std::vector<RecognisedDay> days;
  EXPECT_TRUE(Recognise(deferred, day, Rounding::kHalfUp, &days));
  return days.empty() ? 0 : days.back().to_date;
}

struct Case {
  const char* what;
  int day;
  Int128 to_date;
};

TEST(Recognise, GoesEvenlyOverTheDays) {
  ASSERT_EQ(ToString(kJan1), "2025-01-01");
  const std::vector<DeferredAmount> fee = {{January(1), January(32), 10000}};
  constexpr Case kCases[] = {
      {"the first day: 100.00 / 31 is 3.2258", 1, 323},
      {"two days: 6.4516", 2, 645},
      {"the last day but one: 96.7742", 30, 9677},
      {"the last day", 31, 10000},
      {"afterwards", 40, 10000},
  };
  for (const Case& c : kCases) EXPECT_EQ(ToDate(fee, January(c.day)), c.to_date) << c.what;
}

// 31.00 for January; from the 11th on the customer is gone, and 21.00 are credited.
TEST(Recognise, StopsWhereTheRestIsCredited) {
  const std::vector<DeferredAmount> fee = {{January(1), January(32), 3100}, {January(11), January(32), -2100}};
  EXPECT_EQ(ToDate(fee, January(10)), 1000);
  EXPECT_EQ(ToDate(fee, January(11)), 1000);
  EXPECT_EQ(ToDate(fee, January(31)), 1000);
}

// Of 100.00 for 31 days, rounded 32.26 are recognised by the 10th, and 67.74 credited: nothing moves afterwards.
TEST(Recognise, LeavesNoCentWhenTheRestIsCredited) {
  const std::vector<DeferredAmount> fee = {{January(1), January(32), 10000}, {January(11), January(32), -6774}};
  std::vector<RecognisedDay> days;
  ASSERT_TRUE(Recognise(fee, January(31), Rounding::kHalfUp, &days));
  EXPECT_EQ(days.size(), 10u);
  EXPECT_EQ(days.back().to_date, 3226);
}

// A seat more from the 21st on: 31.00 and 11.00 for the 11 days that are left.
TEST(Recognise, TakesUpWhatIsDueLater) {
  const std::vector<DeferredAmount> fee = {{January(1), January(32), 3100}, {January(21), January(32), 1100}};
  EXPECT_EQ(ToDate(fee, January(20)), 2000);
  EXPECT_EQ(ToDate(fee, January(21)), 2200);
  EXPECT_EQ(ToDate(fee, January(31)), 4200);
}

// Amounts of other ends do not touch one another.
TEST(Recognise, KeepsEachEndApart) {
  const std::vector<DeferredAmount> fee = {{January(1), January(11), 1000}, {January(6), January(26), 2000}};
  EXPECT_EQ(ToDate(fee, January(5)), 500);
  EXPECT_EQ(ToDate(fee, January(10)), 1500);
  EXPECT_EQ(ToDate(fee, January(25)), 3000);
}

TEST(Recognise, SaysWhenASumDoesNotFit) {
  constexpr Int128 kMost = ~(static_cast<Int128>(1) << 127);
  std::vector<RecognisedDay> days;
  EXPECT_FALSE(Recognise(std::vector<DeferredAmount>{{January(1), January(9), kMost}, {January(1), January(9), 1}},
                         January(9), Rounding::kHalfUp, &days));
}

// Whatever is due and credited when: all of it is recognised at the end, and a later day changes no earlier one.
TEST(Recognise, EndsAtWhatWasDue) {
  constexpr uint64_t kSeed = 20250101;
  std::mt19937_64 dice(kSeed);
  for (int round = 0; round < 2000; ++round) {
    std::vector<DeferredAmount> deferred;
    const int end = 2 + static_cast<int>(dice() % 60);
    Int128 due = 0;
    for (int day = 1; day < end; ++day) {
      if (dice() % 5 != 0) continue;
      deferred.push_back({January(day), January(end), static_cast<int>(dice() % 20001) - 10000});
      due += deferred.back().minor;
    }
    ASSERT_EQ(ToDate(deferred, January(end - 1)), due) << "seed " << kSeed << ", round " << round;
    std::vector<RecognisedDay> all;
    ASSERT_TRUE(Recognise(deferred, January(end), Rounding::kHalfUp, &all));
    const int cut = 1 + static_cast<int>(dice() % end);
    std::vector<RecognisedDay> some;
    ASSERT_TRUE(Recognise(deferred, January(cut), Rounding::kHalfUp, &some));
    for (size_t i = 0; i < some.size(); ++i) {
      ASSERT_EQ(some[i].day, all[i].day) << "seed " << kSeed << ", round " << round;
      ASSERT_EQ(some[i].to_date, all[i].to_date) << "seed " << kSeed << ", round " << round;
    }
  }
}

}  // namespace
}  // namespace tollbook
