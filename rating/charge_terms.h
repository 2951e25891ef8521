// ChargeTerms: what a charge says, in words, one term a line; and in which terms two charges differ.
#ifndef TOLLBOOK_RATING_CHARGE_TERMS_H_
#define TOLLBOOK_RATING_CHARGE_TERMS_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "rating/plan.h"

namespace tollbook {

// "half_up": as the catalog has it.
[[nodiscard]] std::string_view InWords(Rounding rounding);

// By name: "tier 1" -> "up to 100: 0.1". Terms that are as usual are left out. Equal terms, equal prices.
using ChargeTerms = std::map<std::string, std::string>;
[[nodiscard]] ChargeTerms TermsOf(const Charge& charge, const Plan& plan);

// "tier 1: then up to 100: 0.1; now up to 100: 0.08", by name.
[[nodiscard]] std::vector<std::string> TermsThatChanged(const ChargeTerms& then, const ChargeTerms& now);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CHARGE_TERMS_H_
