#include "rating/expression.h"

#include <gtest/gtest.h>

#include <boost/multiprecision/cpp_int.hpp>
#include <random>

#include "tests/rating/in_words.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

using Integer = boost::multiprecision::cpp_int;
using Rational = boost::multiprecision::cpp_rational;

// a = 7, b = 2, c.d = 0.5, "e f" = -3, z = 0
Quantity ValueOf(std::string_view property) {
  const std::pair<std::string_view, const char*> known[] = {{"a", "7"},
                                                            {"b", "2"},
                                                            {"c.d", "0.5"},
                                                            {"e f", "-3"},
                                                            {"a-b", "11"},
                                                            {"z", "0"},
                                                            {"big", "999999999999999"},
                                                            {"tiny", "0.000000000000000001"},
                                                            {"gb/h", "13"}};
  for (const auto& [name, value] : known) {
    if (name == property) return Units(value);
  }
  ADD_FAILURE() << property;
  return {};
}

std::string Answer(std::string_view text) {
  ExpressionError error;
  const std::optional<Expression> expression = Expression::Parse(text, &error);
  if (!expression) return error.what;
  std::vector<Quantity> values;
  for (const std::string& property : expression->properties()) values.push_back(ValueOf(property));
  std::vector<Fraction> stack;
  Quantity result;
  switch (expression->Evaluate(values, &stack, &result)) {
    case Expression::Outcome::kFits:
      return ToString(result);
    case Expression::Outcome::kDivisionByZero:
      return "division by zero";
    case Expression::Outcome::kTooLarge:
      return "too large";
    case Expression::Outcome::kTooPrecise:
      return "too precise";
  }
  return "";
}

TEST(Expression, IsReckonedExactly) {
  const std::pair<const char*, const char*> kCases[] = {
      {"a + b", "9"},
      {"a - b * c.d", "6"},
      {"(a - b) * c.d", "2.5"},
      {"a / b / c.d", "7"},
      {"a - b - 1", "4"},
      {"a / 3", "2.333333333333333333"},
      {"a / 3 * 3", "7"},
      {"b / 3", "0.666666666666666667"},
      {"0 - b / 3", "-0.666666666666666667"},
      {"tiny / b", "0"},
      {"tiny * 3 / b", "0.000000000000000002"},
      {"-1.5 * a", "-10.5"},
      {"1e3 * a", "7000"},
      {"\"e f\" * \"a\"", "-21"},
      {"a-b + 1", "12"},
      {"\"gb/h\" * b", "26"},
      {"((a))", "7"},
      {"(a) * (b)", "14"},
      {"big * 1000 / 1000", "999999999999999"},
      {"big * big / big", "999999999999999"},
      {"tiny * tiny", "too precise"},
      {"tiny * tiny / tiny", "0.000000000000000001"},
      {"tiny * c.d", "too precise"},
      {"tiny * c.d * 2", "0.000000000000000001"},
      {"a / z", "division by zero"},
      {"a / (b - 2)", "division by zero"},
      {"big * big * big", "too large"},
      {"big * big * 1000000", "too large"},
  };
  for (const auto& [text, answer] : kCases) {
    EXPECT_EQ(Answer(text), answer) << text;
  }
}

TEST(Expression, ErrorsNameTheWord) {
  const std::pair<const char*, const char*> kCases[] = {
      {"a *", "has no value behind \"*\""},
      {"* a", "has no value where one must stand"},
      {"a + * b", "has no value behind \"+\""},
      {"a b", "has no operator before \"b\""},
      {"a -5", "has no operator before \"-5\""},
      {"a (b)", "has no operator before \"(\""},
      {"(a + b", "has a \"(\" that is not closed"},
      {"a + b)", "has a \")\" that closes nothing"},
      {"()", "has no value behind \"(\""},
      {"a + 3x", "has \"3x\", which is no number"},
      {"a + 1e-19", "has \"1e-19\", which is no number"},
      {"a/1000 * b", "has \"a/1000\", where an operator has no blanks around it"},
      {"\"a", "has a double quote that is not closed"},
      {"a + \"\"", "has an empty name"},
      {"a / 0", "divides by zero, whatever an event says"},
      {"a / (3 - 6 / 2 * 1)", "divides by zero, whatever an event says"},
  };
  for (const auto& [text, what] : kCases) EXPECT_EQ(Answer(text), what) << text;
}

TEST(Expression, OneWordIsAProperty) {
  for (const char* text : {"tokens", "usage.tokens", "a-b", "2", "-"}) EXPECT_FALSE(Expression::IsOne(text)) << text;
  ExpressionError error;
  const std::optional<Expression> quoted = Expression::Parse("\"gb/h\"", &error);
  ASSERT_TRUE(quoted.has_value());
  EXPECT_TRUE(quoted->is_property_alone());
  EXPECT_EQ(quoted->properties().front(), "gb/h");
}

// Random expressions and their values as big rationals.
class Twin {
 public:
  explicit Twin(std::mt19937_64& random) : random_(random) {}
  // None: it divides by zero.
  std::optional<Rational> Make(int depth, std::string* text) {
    if (depth == 0 || random_() % 4 == 0) return Leaf(text);
    std::string left, right;
    const std::optional<Rational> a = Make(depth - 1, &left), b = Make(depth - 1, &right);
    const char op = "+-*/"[random_() % 4];
    divides_ = divides_ || op == '/';
    *text = "(" + left + " " + op + " " + right + ")";
    if (!a || !b || (op == '/' && *b == 0)) return std::nullopt;
    return op == '+' ? *a + *b : op == '-' ? *a - *b : op == '*' ? *a * *b : Rational(*a / *b);
  }
  bool divides() const { return divides_; }

 private:
  Rational Leaf(std::string* text) {
    const auto value = static_cast<int64_t>(random_() % 4001) - 2000;
    const int scale = static_cast<int>(random_() % 4);
    *text = FormatDecimal(value, scale);
    return Rational(Integer(value), boost::multiprecision::pow(Integer(10), static_cast<unsigned>(scale)));
  }
  std::mt19937_64& random_;
  bool divides_ = false;
};

TEST(Expression, AgreesWithBigRationals) {
  std::mt19937_64 random(TestSeed());
  int fitted = 0;
  for (int round = 0; round < 20'000; ++round) {
    Twin twin(random);
    std::string text;
    const std::optional<Rational> exact = twin.Make(static_cast<int>(random() % 4) + 1, &text);
    const std::string answer = Answer(text);
    if (answer == "too large") continue;  // a step of it: the documented bound
    if (!exact) {
      ASSERT_EQ(answer, "divides by zero, whatever an event says") << text;
      continue;
    }
    const Rational attos = *exact * Rational(Integer(1'000'000'000'000'000'000));
    if (denominator(attos) != 1 && !twin.divides()) {
      ASSERT_EQ(answer, "too precise") << text;
      continue;
    }
    ++fitted;
    const Rational error = (Rational(Integer(FormatDecimal(Attos(answer), 0))) - attos) * 2;
    ASSERT_LE(error < 0 ? Rational(-error) : error, 1) << text;
  }
  EXPECT_GT(fitted, 10'000);
}

}  // namespace
}  // namespace tollbook
