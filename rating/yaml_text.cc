#include "rating/yaml_text.h"

#include <algorithm>
#include <exception>
#include <sstream>
#include <unordered_set>

#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/parser.h"

namespace tollbook {
namespace {

// Ends the parse from within a handler; never leaves this file.
struct Refused {
  int line;
  std::string what;
  std::string what_to_do;
};

// yaml-cpp's events to a tree. The tree is bounded because aliases are refused and values are counted.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(FileErrors& errors) : errors_(errors) {}

  YamlNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add(Scalar(mark, anchor, YamlNode::Kind::kNull, "?", ""));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    // An alias needs an anchor before it, which is refused already.
    CheckTagAndAnchor(mark, "", 1);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Add(Scalar(mark, anchor, YamlNode::Kind::kScalar, tag, value));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlNode::Kind::kList);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlNode::Kind::kMap);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Level {
    YamlNode node;
    bool key_next = true;                  // map: the next scalar is a key
    bool drop_value = false;               // map: the key was a duplicate, its value is not kept
    std::unordered_set<std::string> seen;  // map
  };

  static void CheckTagAndAnchor(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) {
      throw Refused{mark.line + 1, "an anchor (&name) is not taken", "write the value out where it is used"};
    }
    if (!tag.empty() && tag != "?" && tag != "!") {
      throw Refused{mark.line + 1, "a tag (" + tag + ") is not taken",
                    "leave it out: every value is taken as its text"};
    }
  }

  static YamlNode Scalar(const YAML::Mark& mark, YAML::anchor_t anchor, YamlNode::Kind kind, const std::string& tag,
                         const std::string& value) {
    CheckTagAndAnchor(mark, tag, anchor);
    YamlNode node;
    node.kind = kind;
    node.quoted = tag == "!";
    node.line = mark.line + 1;
    node.text = value;
    return node;
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YamlNode::Kind kind) {
    CheckTagAndAnchor(mark, tag, anchor);
    if (!levels_.empty() && levels_.back().node.kind == YamlNode::Kind::kMap && levels_.back().key_next) {
      throw Refused{mark.line + 1, "a key is a list or a map",
                    "use a plain word as the key; if it is meant as one, see whether a bracket or a quote before it is "
                    "not closed"};
    }
    Level level;
    level.node.kind = kind;
    level.node.line = mark.line + 1;
    levels_.push_back(std::move(level));
  }

  void Close() {
    YamlNode node = std::move(levels_.back().node);
    levels_.pop_back();
    Add(std::move(node));
  }

  void Add(YamlNode node) {
    if (++values_ > kYamlValuesMax) {
      throw Refused{node.line, "more than " + std::to_string(kYamlValuesMax) + " values", "split the catalog"};
    }
    if (levels_.empty()) {
      root_ = std::move(node);
      return;
    }
    Level& level = levels_.back();
    if (level.node.kind == YamlNode::Kind::kList) {
      level.node.items.push_back(std::move(node));
    } else if (level.key_next) {
      AddKey(level, std::move(node));
    } else {
      AddValue(level, std::move(node));
    }
  }

  void AddKey(Level& level, YamlNode key) {
    if (key.kind == YamlNode::Kind::kNull) {
      throw Refused{key.line, "a key is empty", "write the key in front of the colon"};
    }
    level.key_next = false;
    level.drop_value = !level.seen.insert(key.text).second;
    if (level.drop_value) {
      errors_.Add(key.line, "the key " + Quoted(key.text) + " stands here twice", "keep one of the two");
      return;
    }
    level.node.keys.push_back(std::move(key.text));
    level.node.key_lines.push_back(key.line);
  }

  void AddValue(Level& level, YamlNode value) {
    level.key_next = true;
    if (!level.drop_value) {
      level.node.items.push_back(std::move(value));
    }
  }

  FileErrors& errors_;
  YamlNode root_;
  std::vector<Level> levels_;
  size_t values_ = 0;
};

bool CheckBytes(std::string_view text, FileErrors& errors) {
  if (text.size() > kYamlBytesMax) {
    errors.Add(0, "the file has more than " + std::to_string(kYamlBytesMax >> 20) + " MiB",
               "split it, or look whether it is the right file");
    return false;
  }
  const size_t bad = FirstBadByte(text);
  if (bad < text.size()) {
    errors.Add(LineAt(text, bad), "a byte here is not UTF-8 text", "save the file as UTF-8");
    return false;
  }
  return true;
}

bool IsControl(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7F;
}

}  // namespace

const YamlNode* YamlNode::Find(std::string_view key) const {
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i] == key) {
      return &items[i];
    }
  }
  return nullptr;
}

std::string_view KindName(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kScalar:
      return "a text";
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map";
  }
  return "nothing";
}

std::optional<YamlNode> ReadYaml(std::string_view text, FileErrors& errors) {
  if (!CheckBytes(text, errors)) {
    return std::nullopt;
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder first(errors);
    if (!parser.HandleNextDocument(first)) {
      return YamlNode{};
    }
    YamlNode root = first.TakeRoot();
    TreeBuilder second(errors);
    if (parser.HandleNextDocument(second)) {
      errors.Add(second.TakeRoot().line, "a second document (---) is not taken", "put each document in its own file");
      return std::nullopt;
    }
    return root;
  } catch (const Refused& refused) {
    errors.Add(refused.line, refused.what, refused.what_to_do);
  } catch (const YAML::Exception& e) {
    errors.Add(e.mark.is_null() ? 0 : e.mark.line + 1, "this is not YAML (" + e.msg + ")",
               "look at the indentation, quotes and brackets of this line and the one before");
  } catch (const std::exception& e) {
    errors.Add(0, std::string("the file cannot be read as YAML (") + e.what() + ")",
               "look whether it is the right file");
  }
  return std::nullopt;
}

YamlMap::YamlMap(const YamlNode& node, std::string_view what, FileErrors& errors)
    : what_(what), errors_(errors), line_(node.line) {
  if (node.kind == YamlNode::Kind::kMap) {
    map_ = &node;
  } else {
    errors_.Add(node.line, Join({what_, " is ", KindName(node.kind), ", not a map"}),
                "write it as lines of `key: value`");
  }
}

int YamlMap::LineOf(std::string_view key) const {
  if (map_ != nullptr) {
    for (size_t i = 0; i < map_->keys.size(); ++i) {
      if (map_->keys[i] == key) {
        return map_->key_lines[i];
      }
    }
  }
  return line_;
}

const YamlNode* YamlMap::Find(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
    known_.push_back(key);
  }
  const YamlNode* node = map_ == nullptr ? nullptr : map_->Find(key);
  return node == nullptr || node->kind == YamlNode::Kind::kNull ? nullptr : node;
}

const YamlNode* YamlMap::Required(std::string_view key) {
  const YamlNode* node = Find(key);
  if (node == nullptr && map_ != nullptr) {
    errors_.Add(LineOf(key), Join({what_, " has no ", Quoted(key)}), Join({"add `", key, ": ...`"}));
  }
  return node;
}

std::optional<std::string> YamlMap::Text(std::string_view key) {
  const YamlNode* node = Find(key);
  return node == nullptr ? std::nullopt : TextOf(*node, key);
}

std::optional<std::string> YamlMap::RequiredText(std::string_view key) {
  const YamlNode* node = Required(key);
  return node == nullptr ? std::nullopt : TextOf(*node, key);
}

bool YamlMap::Bool(std::string_view key, bool otherwise) {
  const YamlNode* node = Find(key);
  if (node == nullptr) {
    return otherwise;
  }
  if (node->kind != YamlNode::Kind::kScalar || node->quoted || (node->text != "true" && node->text != "false")) {
    errors_.Add(node->line, Join({Quoted(key), " of ", what_, " is neither true nor false"}), "write true or false");
    return otherwise;
  }
  return node->text == "true";
}

std::span<const YamlNode> YamlMap::List(std::string_view key) {
  const YamlNode* node = Find(key);
  if (node == nullptr) {
    return {};
  }
  if (node->kind != YamlNode::Kind::kList) {
    AddWrongKind(*node, key, "a list");
    return {};
  }
  return node->items;
}

std::span<const YamlNode> YamlMap::RequiredList(std::string_view key) {
  return Required(key) == nullptr ? std::span<const YamlNode>{} : List(key);
}

std::vector<std::string> YamlMap::Texts(std::string_view key) {
  std::vector<std::string> texts;
  for (const YamlNode& item : List(key)) {
    if (std::optional<std::string> text = TextOf(item, key)) {
      texts.push_back(*std::move(text));
    }
  }
  return texts;
}

std::vector<std::pair<std::string, std::string>> YamlMap::TextsByName(std::string_view key) {
  std::vector<std::pair<std::string, std::string>> texts;
  const YamlNode* node = Find(key);
  if (node == nullptr) {
    return texts;
  }
  if (node->kind != YamlNode::Kind::kMap) {
    AddWrongKind(*node, key, "a map");
    return texts;
  }
  for (size_t i = 0; i < node->items.size(); ++i) {
    if (std::optional<std::string> text = TextOf(node->items[i], node->keys[i])) {
      texts.emplace_back(node->keys[i], *std::move(text));
    }
  }
  return texts;
}

void YamlMap::RefuseOtherKeys() {
  if (map_ == nullptr) {
    return;
  }
  for (size_t i = 0; i < map_->keys.size(); ++i) {
    if (std::find(known_.begin(), known_.end(), map_->keys[i]) == known_.end()) {
      errors_.Add(map_->key_lines[i], Join({what_, " has an unknown key ", Quoted(map_->keys[i])}),
                  DidYouMean(map_->keys[i], known_));
    }
  }
}

std::optional<std::string> YamlMap::TextOf(const YamlNode& node, std::string_view key) {
  if (node.kind != YamlNode::Kind::kScalar) {
    AddWrongKind(node, key, "a text");
    return std::nullopt;
  }
  if (node.text.empty() || node.text.size() > kTextBytesMax) {
    errors_.Add(node.line, Join({Quoted(key), " of ", what_, node.text.empty() ? " is empty" : " is too long"}),
                "write 1 to " + std::to_string(kTextBytesMax) + " bytes");
    return std::nullopt;
  }
  if (std::any_of(node.text.begin(), node.text.end(), IsControl)) {
    errors_.Add(node.line, Join({Quoted(key), " of ", what_, " has a line break or another control character"}),
                "write it on one line");
    return std::nullopt;
  }
  // Blanks at an end are the trace of a quote that was never closed: yaml-cpp lets it run to the end of the file.
  if (node.text.front() == ' ' || node.text.back() == ' ') {
    errors_.Add(node.line, Join({Quoted(key), " of ", what_, " starts or ends with a blank"}),
                "remove the blank, or close the quote");
    return std::nullopt;
  }
  return node.text;
}

void YamlMap::AddWrongKind(const YamlNode& node, std::string_view key, std::string_view wanted) {
  errors_.Add(node.line, Join({Quoted(key), " of ", what_, " is ", KindName(node.kind)}), Join({"write ", wanted}));
}

void YamlMap::AddWrongChoice(std::string_view key, std::string_view word, std::span<const std::string_view> words) {
  errors_.Add(LineOf(key), Join({Quoted(key), " of ", what_, " is ", Quoted(word)}), DidYouMean(word, words));
}

}  // namespace tollbook
