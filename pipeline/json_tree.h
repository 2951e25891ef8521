// JsonTree: a small JSON document as texts, for what people keep in JSON and we check key by key.
//
// No number becomes a binary one: a fraction keeps its text. Not for usage, which has a decoder.
#ifndef TOLLBOOK_PIPELINE_JSON_TREE_H_
#define TOLLBOOK_PIPELINE_JSON_TREE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rating/error.h"

namespace tollbook {

inline constexpr size_t kJsonTreeBytesMax = 16 << 20;
inline constexpr size_t kJsonTreeDepthMax = 32;

struct JsonTree {
  enum class Kind : uint8_t { kNull, kBool, kNumber, kText, kList, kMap };
  Kind kind = Kind::kNull;
  std::string text;               // of a text, unescaped; of a number; "true" or "false"
  std::vector<std::string> keys;  // of a map; each once
  std::vector<JsonTree> items;    // of a list; of a map: the values

  const JsonTree* Find(std::string_view key) const;  // null: absent, or not a map
};

// InvalidArgument, with `name` and the place: not one JSON value, a key twice, or beyond the bounds.
[[nodiscard]] absl::StatusOr<JsonTree> ReadJsonTree(std::string_view text, std::string_view name);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_JSON_TREE_H_
