// Expression: a value that is reckoned from several properties of an event: "bytes / 1000000000 * weight".
//
// Grammar   + - * / with a blank on each side, ( ), decimal numbers as in JSON, and property paths: `usage.bytes`. *
// and /
//           before + and -, from the left. A path that has blanks, parentheses or is a number or an operator stands in
//           double quotes. Blanks part the words, so that `usage-tokens` and `gb/h` stay names.
// Exact     Each step is a fraction in lowest terms, whose numerator and denominator are below 2^127 (1.7 * 10^38).
// What
//           does not fit is an answer. The result has at most 18 decimals or is refused; where the expression divides,
//           it is rounded here, once, half to even at the 18th.
// Threads   Immutable once made; Evaluate from any number of them, each with a stack of its own.
#ifndef TOLLBOOK_RATING_EXPRESSION_H_
#define TOLLBOOK_RATING_EXPRESSION_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rating/quantity.h"

namespace tollbook {

// A fraction in lowest terms; the denominator is above 0.
struct Fraction {
  Int128 numerator = 0;
  Int128 denominator = 1;
};

struct ExpressionError {
  std::string what;        // "has nothing behind \"*\""
  std::string what_to_do;  // "..."
};

class Expression {
 public:
  // Does a meter's value have to be read as one? One word is the name of a property, whatever its characters.
  static bool IsOne(std::string_view text) { return text.find_first_of(" ()\"") != std::string_view::npos; }

  // None: `error` says why.
  static std::optional<Expression> Parse(std::string_view text, ExpressionError* error);

  // The paths it names, each once, in their order. When it is nothing but one of them: true.
  std::span<const std::string> properties() const { return properties_; }
  bool is_property_alone() const { return steps_.size() == 1 && steps_[0].kind == Step::Kind::kProperty; }

  enum class Outcome : uint8_t { kFits, kDivisionByZero, kTooLarge, kTooPrecise };
  // `values` are those of properties(), in their order; `stack` is scratch.
  [[nodiscard]] Outcome Evaluate(std::span<const Quantity> values, std::vector<Fraction>* stack,
                                 Quantity* result) const;

 private:
  friend class ExpressionReader;
  struct Step {
    enum class Kind : uint8_t { kProperty, kNumber, kAdd, kSubtract, kMultiply, kDivide };
    Kind kind;
    uint32_t index = 0;  // of properties_ or numbers_
  };
  // What the steps come to is left at the front of `stack`.
  Outcome Reckon(std::span<const Step> steps, std::span<const Quantity> values, std::vector<Fraction>* stack) const;
  std::vector<Step> steps_;  // operators behind what they work on
  std::vector<std::string> properties_;
  std::vector<Quantity> numbers_;
  bool divides_ = false;
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_EXPRESSION_H_
