#include "pipeline/app/price_steps.h"

namespace tollbook {

Json StepsJson(std::span<const PriceStep> steps) {
  Json json = Json::array();
  for (const PriceStep& step : steps) {
    json.push_back({{"step", step.what},
                    {"quantity", ToString(step.quantity)},
                    {"price", ToString(step.unit_price)},
                    {"worth", ToString(step.worth)}});
  }
  return json;
}

}  // namespace tollbook
