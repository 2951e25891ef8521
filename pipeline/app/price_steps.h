// PriceSteps: the steps of a price as `quote` and `explain` give them to programs.
#ifndef TOLLBOOK_PIPELINE_APP_PRICE_STEPS_H_
#define TOLLBOOK_PIPELINE_APP_PRICE_STEPS_H_

#include <span>

#include "pipeline/app/report.h"
#include "rating/price.h"

namespace tollbook {

// A list of {step, quantity, price, worth}, in their order; all but the first are exact decimals as texts.
Json StepsJson(std::span<const PriceStep> steps);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_PRICE_STEPS_H_
