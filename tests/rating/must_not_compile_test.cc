// What must not compile: values of one kind where another is meant. Each line asks the compiler and expects a refusal;
// the lines marked "does" show that the question is asked rightly.
#include <gtest/gtest.h>

#include <concepts>
#include <utility>

#include "rating/calendar.h"
#include "rating/money.h"
#include "rating/price.h"
#include "rating/quantity.h"
#include "rating/rate.h"

namespace tollbook {
namespace {

template <typename A, typename B>
concept Addable = requires(A a, B b) {
  a + b;
};
template <typename A, typename B>
concept Subtractable = requires(A a, B b) {
  a - b;
};
template <typename A, typename B>
concept Multipliable = requires(A a, B b) {
  a* b;
};
template <typename A, typename B>
concept Comparable = requires(A a, B b) {
  a == b;
};
template <typename A, typename B>
concept Ordered = requires(A a, B b) {
  a < b;
};
template <typename To, typename From>
concept Assignable = requires(To to, From from) {
  to = from;
};
template <typename To, typename From>
concept MadeFrom = requires(From from) {
  To{from};
};
template <typename A, typename B>
concept AddsAsMoney = requires(A a, B b) {
  Add(a, b);
};
template <typename A, typename B, typename Sum>
concept AddsAsQuantity = requires(A a, B b, Sum* sum) {
  Add(a, b, sum);
};
template <typename A, typename B>
concept SubtractsAsMoney = requires(A a, B b) {
  Subtract(a, b);
};
template <typename Amount, typename Unit>
concept Roundable = requires(Amount amount, Unit unit) {
  RoundToMinor(amount, unit, Rounding::kHalfUp);
};
template <typename What, typename HowMuch>
concept Priceable = requires(const What& what, HowMuch much) {
  PriceQuantity(what, much);
};
template <typename Time>
concept HasCivilDay = requires(const Zone& zone, Time time) {
  zone.DayOf(time);
};
template <typename Date>
concept HasStart = requires(const Zone& zone, Date date) {
  zone.StartOf(date);
};
template <typename Date>
concept HasMonth = requires(Date date) {
  MonthOf(date);
};
template <typename Delta, typename Into>
concept Mergeable = requires(Delta delta, Into* into) {
  Merge(Aggregation::kSum, delta, into);
};

// Amounts and quantities do not mix.
static_assert(!Addable<Money, Quantity> && !AddsAsMoney<Money, Quantity> && !AddsAsMoney<Quantity, Money>);
static_assert(AddsAsMoney<Money, Money> && AddsAsQuantity<Quantity, Quantity, Quantity>);  // does
static_assert(!AddsAsQuantity<Quantity, Money, Quantity> && !AddsAsQuantity<Quantity, Price, Quantity>);
static_assert(!AddsAsQuantity<Quantity, Quantity, Price> && !AddsAsQuantity<Quantity, int64_t, Quantity>);
static_assert(!AddsAsMoney<Money, Worth> && !AddsAsMoney<Money, Price> && !AddsAsMoney<Money, int64_t>);
static_assert(SubtractsAsMoney<Money, Money>);  // does
static_assert(!SubtractsAsMoney<Money, Quantity> && !SubtractsAsMoney<Money, Worth>);

// Nothing with a unit has bare operators: what overflows or mixes currencies must be able to answer.
static_assert(!Addable<Money, Money> && !Subtractable<Money, Money> && !Multipliable<Money, Quantity>);
static_assert(!Addable<Quantity, Quantity> && !Subtractable<Quantity, Quantity> && !Multipliable<Quantity, Price>);
static_assert(!Addable<Worth, Worth> && !Addable<Price, Price> && !Addable<Wide, Wide>);
static_assert(!Addable<Day, Day> && !Addable<Instant, Instant> && !Subtractable<Instant, Day>);

// One is not taken for the other.
static_assert(Assignable<Quantity, Quantity> && Assignable<Price, Price> && Assignable<Worth, Worth>);  // does
static_assert(!Assignable<Quantity, Price> && !Assignable<Price, Quantity> && !Assignable<Quantity, Money>);
static_assert(!Assignable<Worth, Money> && !Assignable<Money, Worth> && !Assignable<Worth, Price>);
static_assert(!Assignable<Day, Instant> && !Assignable<Instant, Day> && !Assignable<Day, Bucket>);
static_assert(!Assignable<Quantity, int> && !Assignable<Price, int> && !Assignable<Money, int>);
static_assert(!Assignable<Day, int> && !Assignable<Instant, int64_t> && !Assignable<Bucket, int>);
static_assert(!MadeFrom<Quantity, Price> && !MadeFrom<Price, Quantity> && !MadeFrom<Worth, Money>);
static_assert(!MadeFrom<Money, Worth> && !MadeFrom<Day, Instant> && !MadeFrom<Instant, Day>);

// Money never comes from binary floating point, nor does a quantity.
static_assert(!MadeFrom<Quantity, double> && !MadeFrom<Price, double> && !MadeFrom<Instant, double>);
static_assert(!Assignable<Quantity, double> && !Assignable<Price, double> && !Assignable<Money, double>);
static_assert(!MadeFrom<Wide, double> && !Assignable<Wide, double>);

// A currency is one of the list, not three letters.
static_assert(!MadeFrom<Currency, const char*> && !Assignable<Currency, const char*>);
static_assert(!MadeFrom<Currency, std::string_view>);
static_assert(Roundable<Worth, Currency>);  // does
static_assert(!Roundable<Money, Currency> && !Roundable<Price, Currency> && !Roundable<Quantity, Currency>);
static_assert(!Roundable<Worth, const char*>);

// A charge prices a quantity, and nothing else.
static_assert(Priceable<Charge, Quantity>);  // does
static_assert(!Priceable<Charge, Money> && !Priceable<Charge, Price> && !Priceable<Charge, int64_t>);
static_assert(!Priceable<Plan, Quantity> && !Priceable<Meter, Quantity> && !Priceable<Tier, Quantity>);

// Instants have a civil day in a zone; days have a month and a start.
static_assert(HasCivilDay<Instant> && HasStart<Day> && HasMonth<Day>);  // does
static_assert(!HasCivilDay<Day> && !HasStart<Instant> && !HasMonth<Instant> && !HasMonth<Bucket>);
static_assert(!HasCivilDay<int64_t> && !HasStart<int> && !HasMonth<int>);

// Comparisons across kinds have no answer; nor has the order of amounts, which may differ in currency.
static_assert(Comparable<Money, Money> && Ordered<Quantity, Quantity> && Ordered<Day, Day>);  // does
static_assert(!Comparable<Money, Worth> && !Comparable<Quantity, Price> && !Comparable<Day, Instant>);
static_assert(!Comparable<Day, Bucket> && !Comparable<Money, Quantity> && !Ordered<Money, Money>);

static_assert(Mergeable<UsageTotal, UsageTotal>);  // does
static_assert(!Mergeable<Quantity, UsageTotal> && !Mergeable<UsageTotal, Quantity>);

TEST(MustNotCompile, IsCheckedWhenThisFileIsCompiled) {
  SUCCEED();
}

}  // namespace
}  // namespace tollbook
