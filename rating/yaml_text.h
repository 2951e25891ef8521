// YamlText: a checked reader of YAML that people write.
//
// Keeps the text of every scalar (0.10 stays "0.10") and its line. What it does not take is an error with file and
// line, added to the list; reading goes on, so that all errors are told in one go. No exception of yaml-cpp leaves it.
//
//   std::optional<YamlNode> root = ReadYaml(text, errors);
//   YamlMap map(*root, "the file", errors);
//   for (const YamlNode& node : map.List("meters")) {
//     YamlMap meter(node, "a meter", errors);
//     std::optional<std::string> name = meter.RequiredText("name");
//     ...
//     meter.RefuseOtherKeys();
//   }
//
// Refused: anchors, aliases and tags (so a small file cannot unfold into a large one), several documents, duplicate
// keys, keys that are not scalars, more than kYamlBytesMax or kYamlValuesMax, bytes that are not UTF-8.
#ifndef TOLLBOOK_RATING_YAML_TEXT_H_
#define TOLLBOOK_RATING_YAML_TEXT_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rating/catalog_errors.h"

namespace tollbook {

inline constexpr size_t kYamlBytesMax = 16 << 20;
inline constexpr size_t kYamlValuesMax = 2'000'000;
inline constexpr size_t kTextBytesMax = 1024;

struct YamlNode {
  enum class Kind : uint8_t { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  bool quoted = false;            // scalar: was written in quotes (or as a block)
  int line = 0;                   // 1-based, of its first character
  std::string text;               // scalar: as written, without quotes
  std::vector<YamlNode> items;    // list: its items; map: its values
  std::vector<std::string> keys;  // map: the key of each item
  std::vector<int> key_lines;     // map

  const YamlNode* Find(std::string_view key) const;  // map: null when absent
};

// "a text", "a list", "a map", "nothing": for messages.
std::string_view KindName(YamlNode::Kind kind);

// The one document of a file. None: there was an error, which is in `errors`. An empty file is a kNull node.
std::optional<YamlNode> ReadYaml(std::string_view text, FileErrors& errors);

// One map whose keys are known. Getters mark a key as known and check its kind; an absent key and a null value are the
// same. Required getters add an error when there is none, so a caller only has to look at what it got.
class YamlMap {
 public:
  // `what` is for messages: "a charge", "book.yaml". The node and `errors` are borrowed. A node that is not a map is an
  // error, and the YamlMap then behaves like one whose required keys were already complained about.
  YamlMap(const YamlNode& node, std::string_view what, FileErrors& errors);

  bool ok() const { return map_ != nullptr; }
  int line() const { return line_; }
  int LineOf(std::string_view key) const;  // of the key; of the map when it is absent

  const YamlNode* Find(std::string_view key);      // null: absent
  const YamlNode* Required(std::string_view key);  // null: absent, which is an error now

  // A scalar of 1..kTextBytesMax bytes without control characters.
  std::optional<std::string> Text(std::string_view key);
  std::optional<std::string> RequiredText(std::string_view key);

  // true or false, unquoted; `otherwise` when absent or wrong.
  bool Bool(std::string_view key, bool otherwise);

  // One of some words; `otherwise` when absent or wrong. `T` is an enum.
  template <typename T>
  T Choice(std::string_view key, std::span<const std::pair<std::string_view, T>> choices, T otherwise) {
    const std::optional<std::string> word = Text(key);
    if (!word) {
      return otherwise;
    }
    std::vector<std::string_view> words;
    for (const auto& [name, value] : choices) {
      if (name == *word) {
        return value;
      }
      words.push_back(name);
    }
    AddWrongChoice(key, *word, words);
    return otherwise;
  }

  // The items of a list; empty when absent or not a list.
  std::span<const YamlNode> List(std::string_view key);
  std::span<const YamlNode> RequiredList(std::string_view key);  // absent is an error, an empty list is not

  // A list of texts; a map from names to texts. Wrong members are errors and left out.
  std::vector<std::string> Texts(std::string_view key);
  std::vector<std::pair<std::string, std::string>> TextsByName(std::string_view key);

  // Every key that no getter named is an error. Call it last.
  void RefuseOtherKeys();

 private:
  std::optional<std::string> TextOf(const YamlNode& node, std::string_view key);
  void AddWrongKind(const YamlNode& node, std::string_view key, std::string_view wanted);
  void AddWrongChoice(std::string_view key, std::string_view word, std::span<const std::string_view> words);

  const YamlNode* map_ = nullptr;
  std::string what_;
  FileErrors& errors_;
  int line_ = 0;
  std::vector<std::string_view> known_;  // literals of the callers
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_YAML_TEXT_H_
