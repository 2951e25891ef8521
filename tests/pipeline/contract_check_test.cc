#include "pipeline/contract_check.h"

#include <gtest/gtest.h>

#include <vector>

namespace tollbook {
namespace {

Day On(const char* text) {
  return *ParseDay(text);
}

BookedPlace Place(const char* charge, BookedAs as = BookedAs::kRated) {
  BookedPlace place;
  place.as = as;
  place.plan = "suite";
  place.charge = charge;
  place.currency = *Currency::FromCode("USD");
  return place;
}

// 120.00 of a handset and 2 x 90.00 of a platform are billed, and usage beside them; 100.00 and 200.00 are revenue.
class ContractCheckTest : public testing::Test {
 protected:
  std::string Check(const char* through) const { return UnevenContract(recognised_, due_, On(through)); }

  const BookedPlace handset_ = Place("handset"), platform_ = Place("platform"), calls_ = Place("calls"),
                    of_handset_ = Place("recognised handset", BookedAs::kRecognised),
                    of_platform_ = Place("recognised platform", BookedAs::kRecognised);
  const BillingPeriod term_{On("2025-01-01"), On("2025-03-01")};
  const BillingPeriod year_{On("2024-07-01"), On("2025-07-01")};  // of the calendar, half a year off
  const BillingPeriod january_{On("2025-01-01"), On("2025-02-01")}, february_{On("2025-02-01"), On("2025-03-01")},
      march_{On("2025-03-01"), On("2025-04-01")};
  std::vector<RecognisedCharge> recognised_ = {{{"s1", &of_handset_, term_, {}}, nullptr},
                                               {{"s1", &of_platform_, term_, {}}, nullptr}};
  std::vector<BookedAmount> due_ = {
      {{"s1", &handset_, year_, On("2025-01-01")}, 12000},     {{"s1", &platform_, january_, On("2025-01-01")}, 9000},
      {{"s1", &platform_, february_, On("2025-02-01")}, 9000}, {{"s1", &platform_, march_, On("2025-03-01")}, 9000},
      {{"s1", &calls_, january_, On("2025-01-09")}, 500},      {{"s2", &platform_, january_, On("2025-01-01")}, 7777},
      {{"s1", &of_handset_, term_, On("2025-01-01")}, 10000},  {{"s1", &of_platform_, term_, On("2025-02-28")}, 20000}};
};

TEST_F(ContractCheckTest, WhatIsBilledInTheTermIsRecognised) {
  EXPECT_EQ(Check("2025-04-01"), "");
}

TEST_F(ContractCheckTest, SaysWhenItIsOneCentOff) {
  due_.back().minor -= 1;
  EXPECT_EQ(Check("2025-04-01"), "s1, contract of 2025-01-01 to 2025-03-01: 299.99 is recognised of 300.00 billed");
  EXPECT_EQ(Check("2025-03-31"), "") << "the month in which it ends is not over";
  EXPECT_EQ(UnevenContract(recognised_, due_, std::nullopt), "");
}

TEST_F(ContractCheckTest, SaysWhenMoreIsBilled) {
  due_[2].minor += 1;
  EXPECT_EQ(Check("2025-04-01"), "s1, contract of 2025-01-01 to 2025-03-01: 300.00 is recognised of 300.01 billed");
}

// A fee that is deferred by itself is no contract.
TEST_F(ContractCheckTest, LooksAtContractsOnly) {
  const RatedCharge rated;
  for (RecognisedCharge& line : recognised_) line.of = &rated;
  due_.back().minor -= 1;
  EXPECT_EQ(Check("2025-04-01"), "");
}

}  // namespace
}  // namespace tollbook
