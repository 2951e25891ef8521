// Grants burn in a stated order, and what is burned, left and lost is what was granted.
#include "rating/grant_balances.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/rating/in_words.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

GrantTerms Grant(std::string id, int64_t amount, int32_t priority, std::string_view from, std::string_view to) {
  GrantTerms terms;
  terms.id = std::move(id);
  terms.amount = amount;
  terms.priority = priority;
  terms.starts_on = On(from);
  if (!to.empty()) terms.ends_on = On(to);
  return terms;
}

int64_t Small(Int128 number) {
  return static_cast<int64_t>(number);
}

TEST(GrantBalances, BurnByPriorityThenEndThenId) {
  const std::vector<GrantTerms> terms = {
      Grant("d", 10, 1, "2024-01-01", ""), Grant("c", 10, 1, "2024-01-01", "2024-03-01"),
      Grant("a", 10, 0, "2024-01-01", ""), Grant("b", 10, 1, "2024-01-01", "2024-03-01")};
  GrantBalances balances(terms);
  balances.AdvanceTo(On("2024-01-01"));
  ASSERT_TRUE(balances.Burn(25));
  EXPECT_EQ(Small(balances.balance(2)), 0);  // a: the lowest number
  EXPECT_EQ(Small(balances.balance(3)), 0);  // b: ends before d
  EXPECT_EQ(Small(balances.balance(1)), 5);  // c: as b, and its id comes later
  EXPECT_EQ(Small(balances.balance(0)), 10);
  EXPECT_EQ(Small(balances.overage()), 0);
}

// What does not fit is an answer, and never a balance below zero, which usage would be paid with.
TEST(GrantBalances, ABalanceThatDoesNotFitIsOneThatIsToldOf) {
  const Int128 most = static_cast<Int128>(~Uint128{0} >> 1);
  std::vector<GrantTerms> terms = {Grant("small", 10, 0, "2024-01-01", ""), Grant("g", 0, 1, "2024-01-01", "")};
  terms[1].amount = terms[1].rollover = most / 2 + 1;
  terms[1].refills = {On("2024-01-02")};
  GrantBalances balances(terms);
  balances.AdvanceTo(On("2024-01-01"));
  EXPECT_TRUE(balances.fits());
  balances.AdvanceTo(On("2024-01-02"));
  EXPECT_EQ(balances.overflowed(), std::optional<size_t>(1));
  EXPECT_FALSE(balances.fits());
  EXPECT_TRUE(balances.balance(1) == most);
}

// A large allowance that nobody uses is lost each day: who does not ask for what was lost can go on.
TEST(GrantBalances, WhatWasLostMayNotFitAlone) {
  std::vector<GrantTerms> terms = {Grant("g", 0, 0, "2024-01-01", "")};
  terms[0].amount = static_cast<Int128>(~Uint128{0} >> 1);
  terms[0].refills = {On("2024-01-02"), On("2024-01-03")};
  GrantBalances balances(terms);
  balances.AdvanceTo(On("2024-01-03"));
  EXPECT_FALSE(balances.fits());
  EXPECT_EQ(balances.overflowed(), std::nullopt);
  ASSERT_TRUE(balances.Burn(5));
  EXPECT_EQ(Small(balances.burned(0)), 5);
}

TEST(GrantBalances, StartAndEndToTheDay) {
  const std::vector<GrantTerms> terms = {Grant("g", 10, 0, "2024-01-02", "2024-01-03")};
  GrantBalances balances(terms);
  balances.AdvanceTo(On("2024-01-01"));
  ASSERT_TRUE(balances.Burn(1));
  EXPECT_EQ(Small(balances.overage()), 1);
  balances.AdvanceTo(On("2024-01-02"));
  ASSERT_TRUE(balances.Burn(4));
  EXPECT_EQ(Small(balances.balance(0)), 6);
  balances.AdvanceTo(On("2024-01-03"));
  ASSERT_TRUE(balances.Burn(2));
  EXPECT_EQ(Small(balances.balance(0)), 0);
  EXPECT_EQ(Small(balances.lost(0)), 6);
  EXPECT_EQ(Small(balances.overage()), 3);
}

TEST(GrantBalances, AreNothingWhereTheyEndBeforeTheyStart) {
  const std::vector<GrantTerms> terms = {Grant("g", 10, 0, "2024-01-02", "2024-01-02")};
  GrantBalances balances(terms);
  balances.AdvanceTo(On("2025-01-01"));
  EXPECT_EQ(Small(balances.balance(0)), 0);
  EXPECT_EQ(Small(balances.lost(0)), 0);
}

TEST(GrantBalances, ALaterGrantPaysOverageWhereItSaysSo) {
  for (const bool pays : {false, true}) {
    std::vector<GrantTerms> terms = {Grant("g", 100, 0, "2024-01-01", "")};
    terms.front().refills = {On("2024-01-02")};
    terms.front().pays_earlier = pays;
    GrantBalances balances(terms);
    balances.AdvanceTo(On("2024-01-01"));
    ASSERT_TRUE(balances.Burn(120));
    EXPECT_EQ(Small(balances.overage()), 20);
    balances.AdvanceTo(On("2024-01-02"));
    EXPECT_EQ(Small(balances.balance(0)), pays ? 80 : 100);
    EXPECT_EQ(Small(balances.overage()), pays ? 0 : 20);
    EXPECT_EQ(Small(balances.burned(0)), pays ? 120 : 100);
  }
}

TEST(GrantBalances, AreRefilledToTheirAmountAndNoMore) {
  std::vector<GrantTerms> terms = {Grant("g", 100, 0, "2024-01-01", "2024-01-04")};
  terms.front().refills = {On("2023-12-31"), On("2024-01-02"), On("2024-01-04")};
  GrantBalances balances(terms);
  balances.AdvanceTo(On("2024-01-01"));
  ASSERT_TRUE(balances.Burn(30));
  balances.AdvanceTo(On("2024-01-02"));
  EXPECT_EQ(Small(balances.balance(0)), 100);
  EXPECT_EQ(Small(balances.lost(0)), 70);
  balances.AdvanceTo(On("2024-01-05"));
  EXPECT_EQ(Small(balances.balance(0)), 0);
  EXPECT_EQ(Small(balances.lost(0)), 170);
}

TEST(GrantBalances, ARefillKeepsWhatMayRollOver) {
  struct Case {
    int64_t left, rollover, balance, lost;
  };
  for (const Case& c : {Case{90, 50, 150, 40}, Case{30, 50, 130, 0}, Case{0, 50, 100, 0}, Case{90, 0, 100, 90}}) {
    std::vector<GrantTerms> terms = {Grant("g", 100, 0, "2024-01-01", "")};
    terms.front().refills = {On("2024-02-01")};
    terms.front().rollover = c.rollover;
    GrantBalances balances(terms);
    balances.AdvanceTo(On("2024-01-01"));
    ASSERT_TRUE(balances.Burn(100 - c.left));
    balances.AdvanceTo(On("2024-02-01"));
    EXPECT_EQ(Small(balances.balance(0)), c.balance);
    EXPECT_EQ(Small(balances.lost(0)), c.lost);
  }
}

TEST(GrantBalances, ARefillCarriesOverAtLeastWhatItSays) {
  struct Case {
    int64_t left, least, most, balance, lost;
  };
  for (const Case& c : {Case{90, 20, 50, 150, 40}, Case{30, 20, 50, 130, 0}, Case{5, 20, 50, 120, 0},
                        Case{0, 20, 20, 120, 0}, Case{20, 20, 20, 120, 0}, Case{90, 20, 20, 120, 70}}) {
    std::vector<GrantTerms> terms = {Grant("g", 100, 0, "2024-01-01", "2024-03-01")};
    terms.front().refills = {On("2024-02-01")};
    terms.front().rollover = c.most;
    terms.front().refill_min = c.least;
    GrantBalances balances(terms);
    balances.AdvanceTo(On("2024-01-01"));
    EXPECT_EQ(Small(balances.balance(0)), 100) << "the start carries nothing over";
    ASSERT_TRUE(balances.Burn(100 - c.left));
    balances.AdvanceTo(On("2024-02-01"));
    EXPECT_EQ(Small(balances.balance(0)), c.balance);
    EXPECT_EQ(Small(balances.lost(0)), c.lost);
    balances.AdvanceTo(On("2024-03-01"));
    EXPECT_EQ(Small(balances.lost(0)), c.lost + c.balance) << "all that is left, what was given on top included";
  }
}

TEST(GrantBalances, TakeBackInTheOrderOppositeToBurning) {
  const std::vector<GrantTerms> terms = {Grant("a", 10, 0, "2024-01-01", "2024-01-05"),
                                         Grant("b", 10, 1, "2024-01-01", "")};
  GrantBalances balances(terms);
  balances.AdvanceTo(On("2024-01-01"));
  ASSERT_TRUE(balances.Burn(25));
  balances.GiveBack(8);  // 5 of overage, 3 to b
  EXPECT_EQ(Small(balances.overage()), 0);
  EXPECT_EQ(Small(balances.balance(1)), 3);
  balances.AdvanceTo(On("2024-01-05"));
  balances.GiveBack(11);  // b has what it burned; a is gone, so what it burned of the rest is lost
  EXPECT_EQ(Small(balances.balance(0)), 0);
  EXPECT_EQ(Small(balances.burned(0)), 6);
  EXPECT_EQ(Small(balances.lost(0)), 4);
  EXPECT_EQ(Small(balances.balance(1)), 10);
  EXPECT_EQ(Small(balances.burned(1)), 0);
  balances.GiveBack(20);  // more than all that was used
  EXPECT_EQ(Small(balances.burned(0)), 0);
  EXPECT_EQ(Small(balances.lost(0)), 10);
}

TEST(GrantBalances, LoseWhatIsGivenBackOfATimeBeforeTheirRefill) {
  std::vector<GrantTerms> terms = {Grant("g", 10, 0, "2024-01-01", "")};
  terms.front().refills = {On("2024-02-01")};
  GrantBalances balances(terms, 2);
  balances.AdvanceTo(On("2024-01-01"));
  ASSERT_TRUE(balances.Burn(6, 0));
  ASSERT_TRUE(balances.Burn(3, 1));
  balances.AdvanceTo(On("2024-02-01"));
  ASSERT_TRUE(balances.Burn(2, 0));
  EXPECT_EQ(Small(balances.lost(0)), 1);
  balances.GiveBack(5, 0);  // 2 of this month, 3 of the last
  EXPECT_EQ(Small(balances.balance(0)), 10);
  EXPECT_EQ(Small(balances.burned(0, 0)), 3);
  EXPECT_EQ(Small(balances.burned(0, 1)), 3);
  EXPECT_EQ(Small(balances.lost(0)), 4);
}

TEST(GrantBalances, SayThatUsageDoesNotFit) {
  GrantBalances balances(std::span<const GrantTerms>{});
  const Int128 most = ~(Int128{1} << 127);
  ASSERT_TRUE(balances.Burn(most));
  EXPECT_FALSE(balances.Burn(1));
  EXPECT_EQ(balances.overage(), most);
}

// Whatever happens: what was filled in is burned, lost or left, and what was used is burned or overage.
TEST(GrantBalances, NothingIsMadeAndNothingVanishes) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 500; ++round) {
    const auto draw = [&](int64_t below) { return static_cast<int64_t>(random() % static_cast<uint64_t>(below)); };
    std::vector<GrantTerms> terms;
    for (int64_t i = draw(4); i >= 0; --i) {
      GrantTerms& one = terms.emplace_back();
      one.id = std::to_string(i);
      one.amount = draw(100);
      one.priority = static_cast<int32_t>(draw(3));
      one.starts_on = {static_cast<int32_t>(draw(50))};
      if (draw(2) == 0) one.ends_on = Day{static_cast<int32_t>(draw(100))};
    }
    GrantBalances balances(terms);
    Int128 used = 0;
    for (int64_t now = 0; now < 120; now += 1 + draw(20)) {
      balances.AdvanceTo({static_cast<int32_t>(now)});
      const int64_t amount = draw(60);
      ASSERT_TRUE(balances.Burn(amount));
      used += amount;
      Int128 burned = 0;
      for (size_t i = 0; i < terms.size(); ++i) {
        burned += balances.burned(i);
        const bool was =
            terms[i].starts_on.number <= now && (!terms[i].ends_on || terms[i].starts_on < *terms[i].ends_on);
        const Int128 accounted = balances.balance(i) + balances.burned(i) + balances.lost(i);
        ASSERT_EQ(Small(accounted), was ? Small(terms[i].amount) : 0);
        ASSERT_GE(Small(balances.balance(i)), 0);
      }
      ASSERT_EQ(Small(burned + balances.overage()), Small(used));
    }
  }
}

}  // namespace
}  // namespace tollbook
