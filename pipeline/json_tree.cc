#include "pipeline/json_tree.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace tollbook {
namespace {

// Builds the tree as the parser goes. What it answers with false ends the parse.
class TreeBuilder {
 public:
  using Kind = JsonTree::Kind;

  bool null() { return Add({Kind::kNull, {}, {}, {}}); }
  bool boolean(bool value) { return Add({Kind::kBool, value ? "true" : "false", {}, {}}); }
  bool number_integer(int64_t value) { return Add({Kind::kNumber, std::to_string(value), {}, {}}); }
  bool number_unsigned(uint64_t value) { return Add({Kind::kNumber, std::to_string(value), {}, {}}); }
  bool number_float(double, const std::string& text) { return Add({Kind::kNumber, text, {}, {}}); }
  bool string(std::string& text) { return Add({Kind::kText, std::move(text), {}, {}}); }
  bool binary(std::vector<uint8_t>&) { return false; }
  bool start_object(size_t) { return Open(Kind::kMap); }
  bool end_object() { return Close(); }
  bool start_array(size_t) { return Open(Kind::kList); }
  bool end_array() { return Close(); }

  bool key(std::string& key) {
    std::vector<std::string>& keys = open_.back().keys;
    if (std::ranges::find(keys, key) != keys.end()) {
      wrong_ = "the key " + key + " stands twice in one object";
      return false;
    }
    keys.push_back(std::move(key));
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) {
    wrong_ = "not JSON at byte " + std::to_string(position);
    position_ = position;
    return false;
  }

  const std::string& wrong() const { return wrong_; }
  size_t position() const { return position_; }  // 0: not known
  JsonTree Take() { return std::move(root_); }

 private:
  bool Open(Kind kind) {
    if (open_.size() == kJsonTreeDepthMax) {
      wrong_ = "nested deeper than " + std::to_string(kJsonTreeDepthMax);
      return false;
    }
    open_.push_back({kind, {}, {}, {}});
    return true;
  }
  bool Close() {
    JsonTree closed = std::move(open_.back());
    open_.pop_back();
    return Add(std::move(closed));
  }
  bool Add(JsonTree tree) {
    if (open_.empty()) {
      root_ = std::move(tree);
    } else {
      open_.back().items.push_back(std::move(tree));
    }
    return true;
  }

  JsonTree root_;
  std::vector<JsonTree> open_;
  std::string wrong_;
  size_t position_ = 0;
};

}  // namespace

const JsonTree* JsonTree::Find(std::string_view key) const {
  const auto found = std::ranges::find(keys, key);
  return found == keys.end() ? nullptr : &items[static_cast<size_t>(found - keys.begin())];
}

absl::StatusOr<JsonTree> ReadJsonTree(std::string_view text, std::string_view name) {
  const auto refuse = [&](const std::string& what, size_t position) {
    std::string which(name);
    if (position != 0) {
      const std::string_view before = text.substr(0, std::min(position, text.size()));
      which += ":" + std::to_string(1 + std::ranges::count(before, '\n'));
    }
    return MakeError(absl::StatusCode::kInvalidArgument, what, which, "mend the file");
  };
  if (text.size() > kJsonTreeBytesMax)
    return refuse("more than " + std::to_string(kJsonTreeBytesMax >> 20) + " MiB", 0);
  TreeBuilder builder;
  if (!nlohmann::json::sax_parse(text, &builder)) return refuse(builder.wrong(), builder.position());
  return builder.Take();
}

}  // namespace tollbook
