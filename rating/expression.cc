#include "rating/expression.h"

#include <algorithm>
#include <utility>

#include "rating/catalog_errors.h"
#include "rating/decimal.h"
#include "rating/error.h"
#include "rating/rounded_quotient.h"

namespace tollbook {
namespace {

Uint128 Magnitude(Int128 value) {
  return value < 0 ? -static_cast<Uint128>(value) : static_cast<Uint128>(value);
}

// At least 1.
Int128 CommonDivisor(Int128 a, Int128 b) {
  Uint128 x = Magnitude(a), y = Magnitude(b);
  while (y != 0) x = std::exchange(y, x % y);
  return x == 0 ? 1 : static_cast<Int128>(x);
}

// Numerators are never the one number that has no counterpart.
bool Multiplied(Int128 a, Int128 b, Int128* product) {
  return !__builtin_mul_overflow(a, b, product) && Magnitude(*product) >> 127 == 0;
}

Fraction FromQuantity(Quantity value) {
  const Int128 common = CommonDivisor(value.attos, kOneUnit);
  return {value.attos / common, kOneUnit / common};
}

// Lowest terms stay so when what the two have in common across is taken out first.
bool Multiply(const Fraction& a, const Fraction& b, Fraction* product) {
  const Int128 across = CommonDivisor(a.numerator, b.denominator);
  const Int128 back = CommonDivisor(b.numerator, a.denominator);
  return Multiplied(a.numerator / across, b.numerator / back, &product->numerator) &&
         Multiplied(a.denominator / back, b.denominator / across, &product->denominator);
}

bool Divide(const Fraction& a, const Fraction& b, Fraction* quotient) {
  const Int128 sign = b.numerator < 0 ? -1 : 1;
  return Multiply(a, {sign * b.denominator, sign * b.numerator}, quotient);
}

bool Add(const Fraction& a, const Fraction& b, Fraction* sum) {
  const Int128 common = CommonDivisor(a.denominator, b.denominator);
  Int128 from_a = 0, from_b = 0, numerator = 0, denominator = 0;
  const bool fits = Multiplied(a.numerator, b.denominator / common, &from_a) &&
                    Multiplied(b.numerator, a.denominator / common, &from_b) &&
                    !__builtin_add_overflow(from_a, from_b, &numerator) && Magnitude(numerator) >> 127 == 0 &&
                    Multiplied(a.denominator, b.denominator / common, &denominator);
  if (!fits) return false;
  const Int128 left = CommonDivisor(numerator, denominator);
  *sum = {numerator / left, denominator / left};
  return true;
}

constexpr std::string_view kBlank = " ";
constexpr std::string_view kEnds = " ()";

bool IsOperator(std::string_view word) {
  return word == "+" || word == "-" || word == "*" || word == "/";
}

bool BeginsNumber(std::string_view word) {
  const size_t first = !word.empty() && word[0] == '-' ? 1 : 0;
  return first < word.size() && word[first] >= '0' && word[first] <= '9';
}

}  // namespace

// Recursive descent; a text of a catalog is short (kTextBytesMax), and so is the recursion.
class ExpressionReader {
 public:
  using Kind = Expression::Step::Kind;
  ExpressionReader(std::string_view text, ExpressionError* error) : rest_(text), error_(error) { Next(); }

  std::optional<Expression> Read() {
    if (!Sum()) return std::nullopt;
    if (word_ == ")") return Fail("has a \")\" that closes nothing", "remove it, or open it"), std::nullopt;
    if (!word_.empty()) {
      return Fail(Join({"has no operator before ", Quoted(word_)}),
                  "write + - * or / with a blank on each side; a name that has blanks stands in double quotes"),
             std::nullopt;
    }
    return std::move(expression_);
  }

 private:
  bool Fail(std::string what, std::string what_to_do) {
    *error_ = {std::move(what), std::move(what_to_do)};
    return false;
  }

  // The next word; empty at the end. `quoted_`: it is a name, whatever it looks like.
  void Next() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(kBlank), rest_.size()));
    quoted_ = !rest_.empty() && rest_[0] == '"';
    if (quoted_) {
      const size_t end = rest_.find('"', 1);
      unclosed_ = end == std::string_view::npos;
      word_ = rest_.substr(1, unclosed_ ? end : end - 1);
      rest_.remove_prefix(unclosed_ ? rest_.size() : end + 1);
      return;
    }
    const bool parenthesis = !rest_.empty() && (rest_[0] == '(' || rest_[0] == ')');
    word_ = rest_.substr(0, parenthesis ? 1 : std::min(rest_.find_first_of(kEnds), rest_.size()));
    rest_.remove_prefix(word_.size());
  }
  bool At(std::string_view word) const { return !quoted_ && word_ == word; }

  bool Sum() {
    if (!Product()) return false;
    while (At("+") || At("-")) {
      if (!Operand(At("+") ? Kind::kAdd : Kind::kSubtract, &ExpressionReader::Product)) return false;
    }
    return true;
  }

  bool Product() {
    if (!Factor()) return false;
    while (At("*") || At("/")) {
      expression_.divides_ = expression_.divides_ || At("/");
      if (!Operand(At("*") ? Kind::kMultiply : Kind::kDivide, &ExpressionReader::Factor)) return false;
    }
    return true;
  }

  // The operator at hand, what is behind it, and its step.
  bool Operand(Kind kind, bool (ExpressionReader::*read)()) {
    before_ = word_;
    Next();
    const size_t first = expression_.steps_.size();
    if (!(this->*read)()) return false;
    if (kind == Kind::kDivide && IsZero(std::span(expression_.steps_).subspan(first))) {
      return Fail("divides by zero, whatever an event says", "write another divisor");
    }
    expression_.steps_.push_back({kind});
    return true;
  }

  // Is it numbers only, and do they come to nothing?
  bool IsZero(std::span<const Expression::Step> steps) const {
    const auto of_property = [](const Expression::Step& step) { return step.kind == Kind::kProperty; };
    if (std::any_of(steps.begin(), steps.end(), of_property)) return false;
    std::vector<Fraction> stack;
    return expression_.Reckon(steps, {}, &stack) == Expression::Outcome::kFits && stack.front().numerator == 0;
  }

  bool Factor() {
    if (quoted_) return Name();
    if (word_.empty() || IsOperator(word_) || word_ == ")") {
      return Fail(
          before_.empty() ? "has no value where one must stand" : Join({"has no value behind ", Quoted(before_)}),
          "write a number, a property or an expression in parentheses there");
    }
    if (word_ == "(") return Parenthesis();
    return BeginsNumber(word_) ? Number() : Name();
  }

  bool Parenthesis() {
    before_ = word_;
    Next();
    if (!Sum()) return false;
    if (!At(")")) return Fail("has a \"(\" that is not closed", "close it");
    before_ = word_;
    Next();
    return true;
  }

  bool Number() {
    const ParsedDecimal number = ParseDecimal(word_, kQuantityScale);
    if (number.error != DecimalError::kNone) {
      return Fail(Join({"has ", Quoted(word_), ", which is no number"}),
                  "write a decimal number of at most 18 decimals; a name that begins with a digit stands in double "
                  "quotes");
    }
    expression_.steps_.push_back({Kind::kNumber, static_cast<uint32_t>(expression_.numbers_.size())});
    expression_.numbers_.push_back({number.value});
    before_ = word_;
    Next();
    return true;
  }

  bool Name() {
    if (unclosed_) return Fail("has a double quote that is not closed", "close it");
    if (word_.empty()) return Fail("has an empty name", "write the property between the double quotes");
    if (!quoted_ && word_.find_first_of("*/+\"") != std::string_view::npos) {
      return Fail(Join({"has ", Quoted(word_), ", where an operator has no blanks around it"}),
                  "put a blank on each side of an operator, and a name with such a sign in double quotes");
    }
    std::vector<std::string>& known = expression_.properties_;
    const auto at = std::find(known.begin(), known.end(), word_);
    expression_.steps_.push_back({Kind::kProperty, static_cast<uint32_t>(at - known.begin())});
    if (at == known.end()) known.emplace_back(word_);
    before_ = word_;
    Next();
    return true;
  }

  std::string_view rest_;
  ExpressionError* error_;
  std::string_view word_, before_;
  bool quoted_ = false, unclosed_ = false;
  Expression expression_;
};

std::optional<Expression> Expression::Parse(std::string_view text, ExpressionError* error) {
  return ExpressionReader(text, error).Read();
}

Expression::Outcome Expression::Reckon(std::span<const Step> steps, std::span<const Quantity> values,
                                       std::vector<Fraction>* stack) const {
  stack->clear();
  for (const Step& step : steps) {
    if (step.kind == Step::Kind::kProperty || step.kind == Step::Kind::kNumber) {
      stack->push_back(FromQuantity(step.kind == Step::Kind::kProperty ? values[step.index] : numbers_[step.index]));
      continue;
    }
    const Fraction right = stack->back();
    stack->pop_back();
    Fraction& left = stack->back();
    bool fits = false;
    switch (step.kind) {
      case Step::Kind::kAdd:
        fits = Add(left, right, &left);
        break;
      case Step::Kind::kSubtract:
        fits = Add(left, {-right.numerator, right.denominator}, &left);
        break;
      case Step::Kind::kMultiply:
        fits = Multiply(left, right, &left);
        break;
      default:
        if (right.numerator == 0) return Outcome::kDivisionByZero;
        fits = Divide(left, right, &left);
    }
    if (!fits) return Outcome::kTooLarge;
  }
  return Outcome::kFits;
}

Expression::Outcome Expression::Evaluate(std::span<const Quantity> values, std::vector<Fraction>* stack,
                                         Quantity* result) const {
  const Outcome outcome = Reckon(steps_, values, stack);
  if (outcome != Outcome::kFits) return outcome;
  const Fraction& value = stack->front();
  if (!divides_ && kOneUnit % value.denominator != 0) return Outcome::kTooPrecise;
  const Wide attos = Wide::Product(value.numerator, kOneUnit);
  return RoundedQuotient(attos, value.denominator, Rounding::kHalfEven, &result->attos) ? Outcome::kFits
                                                                                        : Outcome::kTooLarge;
}

}  // namespace tollbook
