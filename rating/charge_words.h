// How an error names a charge: by where the catalog says it.
#ifndef TOLLBOOK_RATING_CHARGE_WORDS_H_
#define TOLLBOOK_RATING_CHARGE_WORDS_H_

#include <string>

#include "rating/plan.h"

namespace tollbook {

// "charge calls, plans.yaml:23"; the lines of grants and discounts stand elsewhere.
inline std::string ChargeInWords(const Charge& charge) {
  const bool is_of_plans = charge.line > 0 && !charge.is_of_grant && !charge.is_discount;
  return "charge " + charge.name + (is_of_plans ? ", plans.yaml:" + std::to_string(charge.line) : "");
}

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CHARGE_WORDS_H_
