// PlanExtension: a plan that says only how it differs from another, such as a customer's negotiated prices.
//
//   - name: starter-acme
//     extends: starter
//     charges:
//       - {name: calls, price: 0.08}     # the base's charge, at another price
//
// The extended plan is the plan as if it had been written out, so nothing behind this reader knows of extensions.
#ifndef TOLLBOOK_RATING_PLAN_EXTENSION_H_
#define TOLLBOOK_RATING_PLAN_EXTENSION_H_

#include "rating/yaml_text.h"

namespace tollbook {

// Both are maps; `base` is written out already. Keys of a plan and of a charge: those of `extension`, else those of
// `base`; a null takes a key away. Charges with one name are one charge, in the base's order; others come behind. A
// charge that names a model has none of the base's keys that say how it prices. Lines stay where each key was written.
[[nodiscard]] YamlNode Extended(const YamlNode& extension, const YamlNode& base);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_PLAN_EXTENSION_H_
