// DimensionText: the dimensions of a posting rule as one text, as journals show them: "cost_center=100,region=eu".
//
// Names in order. In a name or value, a comma, an equals sign and a backslash have a backslash before them, so that the
// text says which dimensions it has: "region=eu\,west". Everything else stands as it is.
#ifndef TOLLBOOK_RATING_DIMENSION_TEXT_H_
#define TOLLBOOK_RATING_DIMENSION_TEXT_H_

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tollbook {

[[nodiscard]] std::string DimensionText(const std::map<std::string, std::string>& dimensions);

// Name and value of each, in the text's order. Of a text that was made without backslashes (by a tollbook that had
// none) what it can be read as: a part without an equals sign is left out.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> ParseDimensions(std::string_view text);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_DIMENSION_TEXT_H_
