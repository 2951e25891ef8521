#include "rating/catalog_filters.h"

#include <algorithm>

namespace tollbook {
namespace {

bool IsDimensionOf(const Meter* meter, const std::string& dimension, YamlMap& map, std::string_view key,
                   FileErrors& errors) {
  if (meter == nullptr || std::ranges::find(meter->dimensions, dimension) != meter->dimensions.end()) return true;
  const std::vector<std::string_view> known(meter->dimensions.begin(), meter->dimensions.end());
  errors.Add(map.LineOf(key),
             Join({"the ", key, " of ", map.what(), " names dimension ", Quoted(dimension), ", which meter ",
                   Quoted(meter->name), " does not have"}),
             known.empty() ? "add it to the meter's dimensions" : DidYouMean(dimension, known));
  return false;
}

// Of a list: at least one value, each once, and no "*" among them.
bool AreValues(const std::vector<std::string>& values, const YamlNode& node, const std::string& which,
               FileErrors& errors) {
  if (values.size() != node.items.size()) return false;  // complained about
  if (values.empty()) {
    errors.Add(node.line, which + " is an empty list", "name a value, or \"*\" for any");
    return false;
  }
  if (values.size() > 1 && std::ranges::find(values, "*") != values.end()) {
    errors.Add(node.line, which + " has \"*\" among other values", "write \"*\" alone, or the values without it");
    return false;
  }
  for (size_t i = 1; i < values.size(); ++i) {
    if (std::find(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(i), values[i]) ==
        values.begin() + static_cast<std::ptrdiff_t>(i)) {
      continue;
    }
    errors.Add(node.items[i].line, Join({which, " names ", Quoted(values[i]), " twice"}), "remove one of the two");
    return false;
  }
  return true;
}

std::optional<AcceptedValues> ReadValues(YamlMap& filter, const YamlNode& node, const std::string& dimension,
                                         FileErrors& errors) {
  std::vector<std::string> values;
  if (node.kind == YamlNode::Kind::kList) {
    values = filter.Texts(dimension);
    const std::string which = Join({Quoted(dimension), " of ", filter.what()});
    if (!AreValues(values, node, which, errors)) return std::nullopt;
  } else {
    std::optional<std::string> value = filter.RequiredText(dimension);
    if (!value) return std::nullopt;
    values.push_back(*std::move(value));
  }
  if (values.front() == "*") return AcceptedValues::Any();
  return AcceptedValues(std::move(values));
}

}  // namespace

std::optional<Filter> ReadFilter(YamlMap& map, std::string_view key, const Meter* meter, FileErrors& errors) {
  Filter filter;
  const YamlNode* node = map.Find(key);
  if (node == nullptr) return filter;
  if (node->kind != YamlNode::Kind::kMap) {
    (void)map.TextsByName(key);  // says so
    return std::nullopt;
  }
  YamlMap values(*node, map.what(), errors);
  bool is_right = true;
  for (size_t i = 0; i < node->keys.size(); ++i) {
    const std::string& dimension = node->keys[i];
    std::optional<AcceptedValues> accepted = ReadValues(values, node->items[i], dimension, errors);
    is_right = IsDimensionOf(meter, dimension, map, key, errors) && accepted && is_right;
    if (accepted) filter.emplace(dimension, *std::move(accepted));
  }
  return is_right ? std::optional(std::move(filter)) : std::nullopt;
}

}  // namespace tollbook
