#include "rating/plan_extension.h"

#include <algorithm>

#include "rating/catalog_pricing.h"

namespace tollbook {
namespace {

using Kind = YamlNode::Kind;

void Add(const YamlNode& map, size_t at, YamlNode* into) {
  into->keys.push_back(map.keys[at]);
  into->key_lines.push_back(map.key_lines[at]);
  into->items.push_back(map.items[at]);
}

// The keys of `map`, and those of `base` that it has not, but for those that `is_left_out` names.
template <typename IsLeftOut>
YamlNode WithKeysOf(const YamlNode& base, YamlNode map, const IsLeftOut& is_left_out) {
  for (size_t i = 0; i < base.keys.size(); ++i) {
    if (map.Find(base.keys[i]) == nullptr && !is_left_out(base.keys[i])) Add(base, i, &map);
  }
  return map;
}

std::string_view NameOf(const YamlNode& charge) {
  const YamlNode* name = charge.kind == Kind::kMap ? charge.Find("name") : nullptr;
  return name != nullptr && name->kind == Kind::kScalar ? std::string_view(name->text) : std::string_view();
}

YamlNode ExtendedCharge(const YamlNode& extension, const YamlNode& base) {
  const bool has_model = extension.Find("model") != nullptr;
  return WithKeysOf(base, extension, [&](std::string_view key) { return has_model && IsKeyOfModel(key); });
}

// A wrong entry stays what it is: the reader of charges complains about it.
YamlNode ExtendedCharges(const YamlNode& extension, const YamlNode& base) {
  if (extension.kind != Kind::kList || base.kind != Kind::kList) return extension;
  YamlNode charges = extension;
  charges.items = base.items;
  std::vector<std::string_view> extended;
  for (const YamlNode& charge : extension.items) {
    const std::string_view name = NameOf(charge);
    const auto same =
        std::ranges::find_if(base.items, [&](const YamlNode& other) { return !name.empty() && NameOf(other) == name; });
    // One name twice is an error of the reader of charges, too.
    const bool is_new = same == base.items.end() || std::ranges::find(extended, name) != extended.end();
    extended.push_back(name);
    if (is_new) {
      charges.items.push_back(charge);
    } else {
      charges.items[static_cast<size_t>(same - base.items.begin())] = ExtendedCharge(charge, *same);
    }
  }
  return charges;
}

}  // namespace

YamlNode Extended(const YamlNode& extension, const YamlNode& base) {
  YamlNode plan = WithKeysOf(base, extension, [](std::string_view key) { return key == "name" || key == "extends"; });
  const YamlNode* of_base = base.Find("charges");
  for (size_t i = 0; i < plan.keys.size(); ++i) {
    const bool is_own = plan.keys[i] == "charges" && extension.Find("charges") != nullptr;
    if (is_own && of_base != nullptr) plan.items[i] = ExtendedCharges(*extension.Find("charges"), *of_base);
  }
  return plan;
}

}  // namespace tollbook
