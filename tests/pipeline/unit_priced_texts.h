// The texts of a catalog with one plan, `starter` of acme-us in dollars, that has a charge of 0.10 a unit for each
// meter.
#ifndef TOLLBOOK_TESTS_PIPELINE_UNIT_PRICED_TEXTS_H_
#define TOLLBOOK_TESTS_PIPELINE_UNIT_PRICED_TEXTS_H_

#include <initializer_list>
#include <utility>
#include <vector>

#include "tests/pipeline/catalog_texts.h"

namespace tollbook {

// `subscriptions`: on the plan from 2025-01-01 on.
inline CatalogTexts UnitPricedTexts(std::vector<CatalogTexts::Meter> meters,
                                    std::initializer_list<const char*> subscriptions) {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", ""}};
  texts.plans = {{"starter", "USD"}};
  for (const CatalogTexts::Meter& meter : meters) {
    CatalogTexts::Charge charge;
    charge.plan = "starter";
    charge.name = charge.meter = charge.product = meter.name;
    charge.model = "per_unit";
    charge.price = "0.10";
    texts.charges.push_back(charge);
    texts.postings.push_back({meter.name, "acme-us", "1200", "4000"});
  }
  texts.meters = std::move(meters);
  for (const char* name : subscriptions) {
    texts.subscriptions.push_back({name, "starter", "acme-us", "USD", "2025-01-01", "", "", ""});
  }
  return texts;
}

}  // namespace tollbook

#endif  // TOLLBOOK_TESTS_PIPELINE_UNIT_PRICED_TEXTS_H_
