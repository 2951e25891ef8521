// JsonText: the spelling of JSON scalars, by its grammar (RFC 8259): number tokens, string escapes.
#ifndef TOLLBOOK_PIPELINE_JSON_TEXT_H_
#define TOLLBOOK_PIPELINE_JSON_TEXT_H_

#include <optional>
#include <string>
#include <string_view>

#include "pipeline/arena.h"

namespace tollbook {

// -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)? and nothing else.
bool IsJsonNumber(std::string_view token);

// The text between a string's quotes, unescaped to `text`, which has room for as much: no escape is shorter than what
// it stands for. None: an escape that JSON does not know, or half of a surrogate pair, which no UTF-8 text can hold.
std::optional<std::string_view> UnescapeJson(std::string_view between_quotes, char* text);

// Appends `text` in quotes, escaped as little as JSON allows.
void AppendJsonString(std::string_view text, std::string* out);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_JSON_TEXT_H_
