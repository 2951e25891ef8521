// JsonText: the spelling of JSON scalars, by its grammar (RFC 8259): number tokens, string escapes.
#ifndef TOLLBOOK_PIPELINE_JSON_TEXT_H_
#define TOLLBOOK_PIPELINE_JSON_TEXT_H_

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "pipeline/arena.h"

namespace tollbook {

// -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)? and nothing else.
bool IsJsonNumber(std::string_view token);

// What a hexadecimal digit stands for; -1 for all else.
struct HexDigits {
  int8_t value[256];
  constexpr HexDigits() : value() {
    for (int8_t& digit : value) digit = -1;
    for (int i = 0; i < 10; ++i) value['0' + i] = static_cast<int8_t>(i);
    for (int i = 0; i < 6; ++i) value['a' + i] = value['A' + i] = static_cast<int8_t>(10 + i);
  }
};
inline constexpr HexDigits kHexDigits;

// Puts what the escape at `*at`, a backslash, stands for at `*out`, in UTF-8, and passes over both. No escape is
// shorter than what it stands for. False: none that JSON knows, or half of a surrogate pair, which no UTF-8 text can
// hold.
bool UnescapeAny(const char** at, const char* end, char** out);
// The same; \u00XX of an ASCII character, of which text is made that was escaped without need, takes no call.
inline bool UnescapeNext(const char** at, const char* end, char** out) {
  constexpr uint32_t kLatin = 0x3030755C;  // \u00
  uint32_t front = 0;
  if (end - *at < 6) return UnescapeAny(at, end, out);
  std::memcpy(&front, *at, sizeof front);
  const int code =
      kHexDigits.value[static_cast<uint8_t>((*at)[4])] * 16 | kHexDigits.value[static_cast<uint8_t>((*at)[5])];
  if (front != kLatin || code < 0 || code > 0x7F) return UnescapeAny(at, end, out);
  *(*out)++ = static_cast<char>(code);
  *at += 6;
  return true;
}

// The text between a string's quotes, unescaped to `text`, which has room for as much. None: an escape is wrong.
std::optional<std::string_view> UnescapeJson(std::string_view between_quotes, char* text);

// Appends `text` in quotes, escaped as little as JSON allows.
void AppendJsonString(std::string_view text, std::string* out);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_JSON_TEXT_H_
