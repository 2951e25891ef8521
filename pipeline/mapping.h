// Mapping: how the lines of a file become usage events. From sources.yaml, so that a known feed needs no flags.
#ifndef TOLLBOOK_PIPELINE_MAPPING_H_
#define TOLLBOOK_PIPELINE_MAPPING_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rating/calendar.h"
#include "rating/catalog_text.h"

namespace tollbook {

// Where a field's value comes from.
struct FieldRule {
  enum class Kind : uint8_t {
    kTemplate,    // text with {column}, {file}, {row}; a constant has none. {file}: the name without directory and
                  // .gz/.zst; {row}: 1 for the first data line; {row%100:03}: modulo, then zero-padded to a width
    kProduct,     // exact product of number columns
    kTimeOffset,  // base + offset seconds (a decimal column)
  };
  Kind kind = Kind::kTemplate;
  std::string text;                  // kTemplate
  std::vector<std::string> columns;  // kProduct: factors; kTimeOffset: one
  Instant base;                      // kTimeOffset
  bool is_number =
      false;  // the property is a JSON number (a product always is; a lone {column} when it says `number: true`)
};

using DataRules = std::vector<std::pair<std::string, FieldRule>>;

// How a row restates the event that it corrects: what is not named, or is an empty type, subject or time, was as the
// row's own.
struct OriginalMapping {
  std::optional<FieldRule> type, subject, time;
  DataRules data;
};

struct EventMapping {
  FieldRule id, source, type, subject, time;
  bool time_in_utc = false;  // times without a zone are UTC
  DataRules data;
  // The id of the event that the row corrects, or voids; where it is empty, the row does neither.
  std::optional<FieldRule> corrects, voids;
  OriginalMapping original;
};

enum class InputFormat : uint8_t { kCloudEvents, kCsv };

struct SourceMapping {
  std::string glob;  // matched against the file's name and its path, with and without .gz/.zst
  InputFormat format = InputFormat::kCloudEvents;
  char delimiter = ',';
  std::vector<EventMapping> events;  // csv: one usage event of each row for each entry
  int line = 0;
};

struct ParsedMappings {
  std::vector<SourceMapping> mappings;
  std::vector<CatalogError> errors;
};
// The text of sources.yaml; empty text gives no mappings.
[[nodiscard]] ParsedMappings ParseMappings(std::string_view sources_yaml);

// Whether any field of it uses {row}: the reader must then count rows.
bool NeedsRows(const SourceMapping& mapping);

// All that decides which events a file's bytes become: the delimiter, each field's rule, and the name where {file} uses
// it.
std::string MappingText(const SourceMapping& mapping, std::string_view file);

// A file name or path without .gz or .zst.
std::string_view WithoutPacking(std::string_view path);

// The first mapping whose glob matches the name, or the path, with or without .gz/.zst. A glob with a slash is matched
// against the path's end too: "eu/*.csv" matches /data/eu/a.csv. None: null (the file is then CloudEvents NDJSON unless
// it ends in .csv).
const SourceMapping* MappingFor(const std::vector<SourceMapping>& mappings, std::string_view path);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_MAPPING_H_
