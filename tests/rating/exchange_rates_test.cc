#include "rating/exchange_rates.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/rating/in_words.h"

namespace tollbook {
namespace {

TEST(ExchangeRates, TheLastOneOnTheDayOrBefore) {
  ExchangeRates rates;
  EXPECT_TRUE(rates.Add(In("EUR"), In("USD"), {On("2025-01-08"), {Attos("1.0333")}}));
  EXPECT_TRUE(rates.Add(In("EUR"), In("USD"), {On("2025-01-13"), {Attos("1.025")}}));
  EXPECT_FALSE(rates.Add(In("EUR"), In("USD"), {On("2025-01-13"), {Attos("9")}}));
  EXPECT_TRUE(rates.Add(In("EUR"), In("GBP"), {On("2025-01-01"), {Attos("0.83")}}));
  struct {
    const char *name, *from, *to, *day, *rate, *date;
  } kCases[] = {
      {"before the first", "EUR", "USD", "2025-01-07", "", ""},
      {"on its day", "EUR", "USD", "2025-01-08", "1.0333", "2025-01-08"},
      {"the day before the next", "EUR", "USD", "2025-01-12", "1.0333", "2025-01-08"},
      {"on the next one's day, as it came first", "EUR", "USD", "2025-01-13", "1.025", "2025-01-13"},
      {"years later", "EUR", "USD", "2031-12-31", "1.025", "2025-01-13"},
      {"a pair of its own", "EUR", "GBP", "2025-01-08", "0.83", "2025-01-01"},
      {"not inverted", "USD", "EUR", "2025-01-13", "", ""},
      {"not by way of a third", "USD", "GBP", "2025-01-13", "", ""},
      {"to itself", "JPY", "JPY", "2025-01-13", "1", "2025-01-13"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.name);
    const std::optional<ExchangeRate> rate = rates.On(In(c.from), In(c.to), On(c.day));
    EXPECT_EQ(rate ? ToString(rate->rate) : "", c.rate);
    EXPECT_EQ(rate ? ToString(rate->date) : "", c.date);
  }
}

TEST(ExchangeRates, BeforeTheFirstOneIsTheFirstOneWhereItIsAskedFor) {
  ExchangeRates rates;
  ASSERT_TRUE(rates.Add(In("USD"), In("EUR"), {On("2025-02-20"), {Attos("0.5")}}));
  ASSERT_TRUE(rates.Add(In("USD"), In("EUR"), {On("2025-02-01"), {Attos("0.8")}}));
  const ExchangeRate first{On("2025-02-01"), {Attos("0.8")}};
  EXPECT_EQ(rates.On(In("USD"), In("EUR"), On("2025-01-31")), std::nullopt);
  EXPECT_EQ(rates.OnOrFirst(In("USD"), In("EUR"), On("2025-01-31")), first);
  EXPECT_EQ(rates.OnOrFirst(In("USD"), In("EUR"), On("2025-02-19")), first);
  EXPECT_EQ(rates.OnOrFirst(In("USD"), In("EUR"), On("2025-02-20"))->rate.attos, Attos("0.5"));
  EXPECT_EQ(rates.OnOrFirst(In("EUR"), In("USD"), On("2025-02-20")), std::nullopt);
  EXPECT_EQ(rates.OnOrFirst(In("EUR"), In("EUR"), On("2025-01-01"))->date, On("2025-01-01"));
}

TEST(ExchangeRates, ConvertsToTheMinorUnitOfTheOtherCurrency) {
  struct {
    const char* name;
    const char* from;
    Int128 minor;
    const char *to, *rate;
    Rounding rounding;
    const char* amount;
  } kCases[] = {
      {"a tie goes away from zero", "EUR", 300, "USD", "1.025", Rounding::kHalfUp, "3.08"},
      {"a tie to the even neighbour", "EUR", 300, "USD", "1.015", Rounding::kHalfEven, "3.04"},
      {"just below a tie", "EUR", 300, "USD", "1.024999999999999999", Rounding::kHalfUp, "3.07"},
      {"down", "EUR", 300, "USD", "1.029", Rounding::kDown, "3.08"},
      {"what is below a minor unit is none", "EUR", 1, "USD", "0.4999", Rounding::kHalfUp, "0.00"},
      {"to yen, which have none", "USD", 2, "JPY", "157.35", Rounding::kHalfUp, "3"},
      {"from yen", "JPY", 157, "USD", "0.006355", Rounding::kHalfUp, "1.00"},
      {"to dinars, with three digits", "USD", 1000, "BHD", "0.3769", Rounding::kHalfUp, "3.769"},
      {"a small rate keeps its digits", "VND", 100'000'000, "USD", "0.000039123456789012", Rounding::kHalfUp,
       "3912.35"},
      {"at par", "USD", 123, "USD", "1", Rounding::kHalfUp, "1.23"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.name);
    const absl::StatusOr<Money> amount = Convert({In(c.from), c.minor}, In(c.to), {Attos(c.rate)}, c.rounding);
    ASSERT_TRUE(amount.ok()) << amount.status();
    EXPECT_EQ(ToString(*amount), c.amount);
    EXPECT_EQ(amount->currency, In(c.to));
  }
}

TEST(ExchangeRates, AnswersWhenAnAmountIsTooLarge) {
  // 2^127 attos are 1.7 * 10^20 dollars; at a rate of 10^12 the result is beyond what is booked.
  const Int128 largest = Int128{170'141'183'460'469'231} * 100'000;
  EXPECT_TRUE(Convert({In("USD"), largest}, In("EUR"), {Attos("1")}, Rounding::kHalfUp).ok());
  const absl::StatusOr<Money> more = Convert({In("USD"), largest * 2}, In("EUR"), {Attos("1")}, Rounding::kHalfUp);
  EXPECT_EQ(more.status().code(), absl::StatusCode::kOutOfRange);
  const absl::StatusOr<Money> result =
      Convert({In("USD"), largest}, In("EUR"), {Attos("1000000000000")}, Rounding::kHalfUp);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kOutOfRange);
}

}  // namespace
}  // namespace tollbook
