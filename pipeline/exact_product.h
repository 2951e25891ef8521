// ExactProduct: the product of number texts, exact to the last digit or refused.
#ifndef TOLLBOOK_PIPELINE_EXACT_PRODUCT_H_
#define TOLLBOOK_PIPELINE_EXACT_PRODUCT_H_

#include <span>
#include <string_view>

#include "pipeline/arena.h"
#include "rating/decimal.h"

namespace tollbook {

// Writes the plain decimal into the arena. The order of the factors does not matter.
// kNotANumber: a factor is no JSON number; kTooPrecise: a factor or the product has a digit below 10^-18; kTooLarge:
// one of them does not fit 127 bits at scale 18.
[[nodiscard]] DecimalError ExactProduct(std::span<const std::string_view> factors, Arena& arena,
                                        std::string_view* product);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EXACT_PRODUCT_H_
