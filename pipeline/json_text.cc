#include "pipeline/json_text.h"

#include <cstdint>
#include <cstring>

namespace tollbook {
namespace {

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

// Passes over at least one digit; null when there is none.
const char* Digits(const char* at, const char* end) {
  if (at == end || !IsDigit(*at)) return nullptr;
  while (at != end && IsDigit(*at)) ++at;
  return at;
}

// The code unit of the four digits at `at`; negative when those are not four hexadecimal digits.
int32_t HexUnit(const char* at, const char* end) {
  if (end - at < 4) return -1;
  const auto digit = [at](int i) -> int32_t { return kHexDigits.value[static_cast<unsigned char>(at[i])]; };
  return digit(0) * 4096 | digit(1) * 256 | digit(2) * 16 | digit(3);
}

// Reads the XXXX behind \u, and the second half of a pair. -1: not a code point.
int32_t CodePoint(const char** at, const char* end) {
  const int32_t first = HexUnit(*at, end);
  if (first < 0) return -1;
  *at += 4;
  if (first < 0xD800 || first > 0xDFFF) return first;
  if (first > 0xDBFF || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u') return -1;
  const int32_t second = HexUnit(*at + 2, end);
  if (second < 0xDC00 || second > 0xDFFF) return -1;
  *at += 6;
  return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
}

char* PutUtf8(int32_t code, char* out) {
  const auto put = [&out](int32_t byte) { *out++ = static_cast<char>(byte); };
  const auto tail = [&](int shift) { put(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    tail(6);
    tail(0);
  } else {
    put(0xF0 | (code >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
  return out;
}

char SimpleEscape(char c) {
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return c;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return '\0';
  }
}

}  // namespace

bool IsJsonNumber(std::string_view token) {
  const char* at = token.data();
  const char* const end = at + token.size();
  if (at != end && *at == '-') ++at;
  const char* const whole = at;
  at = Digits(at, end);
  if (at == nullptr || (*whole == '0' && at - whole > 1)) return false;
  if (at != end && *at == '.') {
    at = Digits(at + 1, end);
    if (at == nullptr) return false;
  }
  if (at != end && (*at == 'e' || *at == 'E')) {
    ++at;
    if (at != end && (*at == '+' || *at == '-')) ++at;
    at = Digits(at, end);
  }
  return at == end && at != nullptr;
}

bool UnescapeAny(const char** at, const char* end, char** out) {
  if (end - *at < 2) return false;
  const char kind = (*at)[1];
  *at += 2;
  if (kind == 'u') {
    const int32_t code = CodePoint(at, end);
    if (code >= 0) *out = PutUtf8(code, *out);
    return code >= 0;
  }
  const char simple = SimpleEscape(kind);
  *(*out)++ = simple;
  return simple != '\0';
}

std::optional<std::string_view> UnescapeJson(std::string_view between_quotes, char* text) {
  char* out = text;
  const char* at = between_quotes.data();
  const char* const end = at + between_quotes.size();
  while (at != end) {
    if (*at == '\\') {  // escapes mostly follow each other: a search for each would cost more than it spares
      if (!UnescapeNext(&at, end, &out)) return std::nullopt;
      continue;
    }
    const void* found = std::memchr(at, '\\', static_cast<size_t>(end - at));
    const char* const escape = found == nullptr ? end : static_cast<const char*>(found);
    std::memcpy(out, at, static_cast<size_t>(escape - at));
    out += escape - at;
    at = escape;
  }
  return std::string_view(text, static_cast<size_t>(out - text));
}

void AppendJsonString(std::string_view text, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out->push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (static_cast<unsigned char>(c) >= 0x20) {
      out->push_back(c);
    } else if (c == '\n') {
      out->append("\\n");
    } else if (c == '\t') {
      out->append("\\t");
    } else if (c == '\r') {
      out->append("\\r");
    } else {
      out->append("\\u00");
      out->push_back(kHex[c >> 4]);
      out->push_back(kHex[c & 15]);
    }
  }
  out->push_back('"');
}

}  // namespace tollbook
