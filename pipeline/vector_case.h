// VectorCase to what we speak: a catalog, usage as CloudEvents, and what the quote is asked.
//
// The translation goes by model and parameter and knows no case. What the catalog has no word for, be it a model, a
// method or a parameter, is Unimplemented, and the message is its name; nothing is passed over but the end of the last
// tier, step or block, since the catalog's goes on: usage beyond it costs what usage below it does.
#ifndef TOLLBOOK_PIPELINE_VECTOR_CASE_H_
#define TOLLBOOK_PIPELINE_VECTOR_CASE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/vector_file.h"
#include "rating/calendar.h"
#include "rating/money.h"
#include "rating/quantity.h"

namespace tollbook {

struct TranslatedCase {
  enum class Answer : uint8_t {
    kAmount,    // what is due
    kAmounts,   // what is due at each run, one quote after the other
    kUnits,     // the aggregated quantity
    kAllUnits,  // the sum of all quantities, of whatever periods
    kPriced,    // the quantity that is priced: converted and rounded
    kBalances,  // what is left of each grant of units, by the names of what is expected
    kOff,       // what the discounts take off
    kNetMinor,  // what each charge comes to with its discounts, in minor units, by the charges' names
    kCredited,  // by how much less is due at the last quote than at the one before
  };
  std::map<std::string, std::string> catalog;  // file name -> text, for ParseCatalog
  std::map<std::string, std::string> before;   // what was due by this one is taken off; empty: nothing
  std::vector<std::string> usage;              // CloudEvents, one a line; a text for each quote
  std::vector<Day> through;                    // of each quote
  std::optional<BillingPeriod> period;
  std::optional<Quantity> previous_quantity;
  std::optional<Worth> previous_billed;
  Answer answer = Answer::kAmount;
  std::optional<Price> tax = std::nullopt;  // a share: the amount is that with an estimate of tax
  bool rounded = false;                     // amounts are compared rounded to the minor unit; else exact
  bool not_below_zero = false;              // an expected zero may stand for less
};

// Errors: Unimplemented, see above; InvalidArgument: a value is not what its parameter wants.
[[nodiscard]] absl::StatusOr<TranslatedCase> Translate(const VectorCase& vector);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_VECTOR_CASE_H_
