// JsonTokens: the tokens of one JSON text in order, and a walk over a value that checks every one of them.
//
// simdjson's first stage (the same that On-Demand runs) finds where tokens begin, checks UTF-8, that strings close and
// that no control character stands in one. The walk here is ours instead of On-Demand's for two reasons. On-Demand
// leaves what is passed over unchecked, and we must refuse a line for any byte of it. And the bytes behind a line
// belong to the next one: this walk never looks behind the last token, so they cannot make an incomplete line look
// complete.
//
// Depth costs one bit a level and no recursion.
#ifndef TOLLBOOK_PIPELINE_JSON_TOKENS_H_
#define TOLLBOOK_PIPELINE_JSON_TOKENS_H_

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include "pipeline/arena.h"
#include "pipeline/decode.h"
#include "pipeline/json_text.h"
#include "simdjson.h"

namespace tollbook {

struct JsonScalar {
  Property::Kind kind = Property::Kind::kNull;
  std::string_view text;  // a string's unescaped text; else the token as written
};

// What WalkValue tells about a value and all that is in it. Passing over a value needs none of it.
struct IgnoreValue {
  void OnName(std::string_view) {}
  void OnScalar(const JsonScalar&) {}
  void OnOpen(bool /*is_object*/, const char* /*at*/) {}
  void OnClose(const char* /*end*/) {}
};

class JsonTokens {
 public:
  enum class Start : uint8_t { kOk, kInvalidUtf8, kInvalidJson };

  // Finds the tokens of `text`, behind which kLinePadding bytes may be read. Views from here point into `text`, or into
  // `arena` where a string had to be unescaped.
  Start Begin(std::string_view text, Arena& arena) {
    text_ = text;
    arena_ = &arena;
    at_ = 0;
    if (!Reserve(text.size())) return Start::kInvalidJson;
    const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
    if (parser_->stage1(bytes, text.size(), simdjson::stage1_mode::regular) != simdjson::SUCCESS) {
      return simdjson::validate_utf8(text.data(), text.size()) ? Start::kInvalidJson : Start::kInvalidUtf8;
    }
    tokens_ = parser_->structural_indexes.get();
    count_ = parser_->n_structural_indexes;
    has_escapes_ = std::memchr(text.data(), '\\', text.size()) != nullptr;
    return Start::kOk;
  }

  bool at_end() const { return at_ == count_; }
  // The next token's first character; NUL, which begins no token, at the end.
  char Peek() const { return at_ < count_ ? text_[tokens_[at_]] : '\0'; }
  const char* PeekAt() const { return text_.data() + tokens_[at_]; }
  void Advance() { ++at_; }
  bool Accept(char token) {
    if (Peek() != token) return false;
    ++at_;
    return true;
  }
  const char* PreviousEnd() const { return text_.data() + tokens_[at_ - 1] + 1; }  // behind a one-character token

  // A string token. Only at a '"'.
  bool TakeString(std::string_view* text) {
    const std::string_view token = TakeToken();
    if (token.size() < 2 || token.back() != '"') return false;
    *text = token.substr(1, token.size() - 2);
    if (!has_escapes_ || text->find('\\') == std::string_view::npos) return true;
    const std::optional<std::string_view> unescaped = UnescapeJson(*text, arena_->Allocate(text->size()));
    if (unescaped) *text = *unescaped;
    return unescaped.has_value();
  }

  // A member's name and its colon.
  bool TakeName(std::string_view* name) { return Peek() == '"' && TakeString(name) && Accept(':'); }

  bool TakeScalar(JsonScalar* scalar) {
    switch (Peek()) {
      case '"':
        scalar->kind = Property::Kind::kString;
        return TakeString(&scalar->text);
      case 't':
        scalar->kind = Property::Kind::kBool;
        return (scalar->text = TakeToken()) == "true";
      case 'f':
        scalar->kind = Property::Kind::kBool;
        return (scalar->text = TakeToken()) == "false";
      case 'n':
        scalar->kind = Property::Kind::kNull;
        return (scalar->text = TakeToken()) == "null";
      case '\0':
        return false;
      default:
        scalar->kind = Property::Kind::kNumber;
        return IsJsonNumber(scalar->text = TakeToken());
    }
  }

  // Takes one whole value, inside `depth` containers. False: it is not JSON, or too deep.
  template <typename Visitor>
  bool WalkValue(int depth, Visitor& visitor) {
    uint64_t objects = 0;  // the open containers, the innermost lowest: 1 is an object, 0 an array
    int open = 0;
    for (;;) {
      if (!TakeValueOrOpen(depth, visitor, &objects, &open)) return false;
      if (!closed_) continue;
      if (!TakeCloses(visitor, &objects, &open)) return false;
      if (open == 0) return true;
    }
  }

 private:
  static_assert(kDepthMax <= 64, "one bit a level");

  // Takes a scalar, or the opening of a container and, where it has one, its first member's name. closed_ says that a
  // value is behind us, so that a comma or a closing must follow; else the next value follows at once.
  template <typename Visitor>
  bool TakeValueOrOpen(int depth, Visitor& visitor, uint64_t* objects, int* open) {
    const char first = Peek();
    if (first != '{' && first != '[') {
      JsonScalar scalar;
      closed_ = true;
      if (!TakeScalar(&scalar)) return false;
      visitor.OnScalar(scalar);
      return true;
    }
    if (depth + *open >= kDepthMax) return false;
    const bool is_object = first == '{';
    visitor.OnOpen(is_object, PeekAt());
    Advance();
    *objects = *objects << 1 | static_cast<uint64_t>(is_object);
    ++*open;
    closed_ = Peek() == (is_object ? '}' : ']');
    return closed_ || !is_object || TakeMemberName(visitor);
  }

  // Behind a value: closes what closes here, up to the comma that asks for the next value.
  template <typename Visitor>
  bool TakeCloses(Visitor& visitor, uint64_t* objects, int* open) {
    while (*open > 0) {
      const bool in_object = (*objects & 1) != 0;
      if (Accept(',')) return !in_object || TakeMemberName(visitor);
      if (!Accept(in_object ? '}' : ']')) return false;
      visitor.OnClose(PreviousEnd());
      *objects >>= 1;
      --*open;
    }
    return true;
  }

  template <typename Visitor>
  bool TakeMemberName(Visitor& visitor) {
    std::string_view name;
    if (!TakeName(&name)) return false;
    visitor.OnName(name);
    return true;
  }

  // From the token's first character to the blanks before the next token. simdjson starts a token behind every closing
  // quote, so a string's token ends with its own.
  std::string_view TakeToken() {
    const uint32_t begin = tokens_[at_];
    uint32_t end = at_ + 1 < count_ ? tokens_[at_ + 1] : static_cast<uint32_t>(text_.size());
    while (end > begin + 1 && IsBlank(text_[end - 1])) --end;
    ++at_;
    return text_.substr(begin, end - begin);
  }
  static bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

  bool Reserve(size_t bytes) {
    if (parser_ != nullptr && parser_->capacity() >= bytes) return true;
    const size_t capacity = std::max<size_t>(bytes * 2, 64 << 10);
    return simdjson::get_active_implementation()->create_dom_parser_implementation(capacity, kDepthMax, parser_) ==
           simdjson::SUCCESS;
  }

  std::unique_ptr<simdjson::internal::dom_parser_implementation> parser_;
  std::string_view text_;
  Arena* arena_ = nullptr;
  const uint32_t* tokens_ = nullptr;
  uint32_t count_ = 0;
  uint32_t at_ = 0;
  bool has_escapes_ = false;
  bool closed_ = false;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_JSON_TOKENS_H_
