#include "pipeline/mapping.h"

#include <fnmatch.h>

#include <algorithm>

#include "pipeline/template.h"
#include "rating/catalog_errors.h"
#include "rating/yaml_text.h"

namespace tollbook {
namespace {

constexpr std::string_view kFile = "sources.yaml";

// Reads the `sources` of one file; what is wrong is added to the errors and reading goes on.
class MappingReader {
 public:
  explicit MappingReader(FileErrors& errors) : errors_(errors) {}

  std::vector<SourceMapping> ReadAll(const YamlNode& root) {
    std::vector<SourceMapping> mappings;
    YamlMap map(root, std::string(kFile), errors_);
    for (const YamlNode& node : map.RequiredList("sources")) mappings.push_back(ReadSource(node));
    map.RefuseOtherKeys();
    return mappings;
  }

 private:
  SourceMapping ReadSource(const YamlNode& node) {
    static constexpr std::pair<std::string_view, InputFormat> kFormats[] = {{"csv", InputFormat::kCsv},
                                                                            {"cloudevents", InputFormat::kCloudEvents}};
    SourceMapping source;
    source.line = node.line;
    YamlMap map(node, "a source", errors_);
    if (const auto glob = map.RequiredText("glob")) source.glob = *glob;
    if (!source.glob.empty()) map.SayAs("source " + Quoted(source.glob));
    map.Required("format");
    source.format = map.Choice<InputFormat>("format", kFormats, InputFormat::kCloudEvents);
    if (source.format == InputFormat::kCsv) {
      source.delimiter = ReadDelimiter(map);
      const std::span<const YamlNode> events = map.RequiredList("events");
      if (events.empty() && map.Find("events") != nullptr) {
        errors_.Add(map.LineOf("events"), map.what() + " has no events", "say what each row of the file stands for");
      }
      for (const YamlNode& event : events) source.events.push_back(ReadEvent(event));
      RefuseSameIds(source, events);
    }
    map.RefuseOtherKeys();
    return source;
  }

  char ReadDelimiter(YamlMap& map) {
    const std::optional<std::string> text = map.Text("delimiter");
    if (!text) return ',';
    if (*text == "tab") return '\t';
    if (text->size() == 1 && *text != "\"") return (*text)[0];
    errors_.Add(map.LineOf("delimiter"), "the delimiter " + Quoted(*text) + " is not one character",
                "write one character other than a quote, or the word tab");
    return ',';
  }

  EventMapping ReadEvent(const YamlNode& node) {
    EventMapping event;
    YamlMap map(node, "an event of " + std::string(kFile), errors_);
    event.id = ReadTemplateField(map, "id");
    event.source = ReadTemplateField(map, "source");
    event.type = ReadTemplateField(map, "type");
    event.subject = ReadTemplateField(map, "subject");
    event.time = ReadTime(map);
    event.time_in_utc = ReadTimeZone(map);
    if (const YamlNode* data = map.Find("data")) ReadData(*data, &event.data);
    event.corrects = ReadOptional(map, "corrects");
    event.voids = ReadOptional(map, "voids");
    if (const YamlNode* original = map.Find("original")) {
      event.original = ReadOriginal(*original);
      if (!event.corrects) {
        errors_.Add(map.LineOf("original"), map.what() + " has an original and no corrects",
                    "say in corrects which event it restates; what voids an event restates it by its own fields");
      }
    }
    map.RefuseOtherKeys();
    return event;
  }

  OriginalMapping ReadOriginal(const YamlNode& node) {
    OriginalMapping original;
    YamlMap map(node, "original", errors_);
    original.type = ReadOptional(map, "type");
    original.subject = ReadOptional(map, "subject");
    if (map.Find("time") != nullptr) original.time = ReadTime(map);
    if (const YamlNode* data = map.Find("data")) ReadData(*data, &original.data);
    map.RefuseOtherKeys();
    return original;
  }

  std::optional<FieldRule> ReadOptional(YamlMap& map, std::string_view key) {
    const std::optional<std::string> text = map.Text(key);
    if (!text) return std::nullopt;
    return ReadTemplate(*text, key, map.LineOf(key));
  }

  FieldRule ReadTemplateField(YamlMap& map, std::string_view key) {
    const std::optional<std::string> text = map.RequiredText(key);
    return text ? ReadTemplate(*text, key, map.LineOf(key)) : FieldRule{};
  }

  FieldRule ReadTemplate(const std::string& text, std::string_view key, int line) {
    FieldRule rule;
    rule.text = text;
    const ParsedTemplate parsed = ParseTemplate(text);
    if (!parsed.error.empty()) {
      errors_.Add(line, std::string(key) + ": the template " + Quoted(text) + " cannot be read", parsed.error);
    }
    return rule;
  }

  FieldRule ReadTime(YamlMap& map) {
    const YamlNode* node = map.Required("time");
    if (node == nullptr || node->kind != YamlNode::Kind::kMap) {
      return node == nullptr ? FieldRule{} : ReadTemplateField(map, "time");
    }
    FieldRule rule;
    rule.kind = FieldRule::Kind::kTimeOffset;
    YamlMap time(*node, "time", errors_);
    if (const auto base = time.RequiredText("base")) {
      const ParsedInstant parsed = ParseInstant(*base);
      rule.base = parsed.instant;
      if (parsed.error != TimeError::kNone) {
        errors_.Add(time.LineOf("base"), "the base time " + Quoted(*base) + " is not a time with a zone",
                    "write it as 2025-01-25T00:00:00Z");
      }
    }
    if (const auto column = time.RequiredText("offset_seconds")) rule.columns.push_back(*column);
    time.RefuseOtherKeys();
    return rule;
  }

  bool ReadTimeZone(YamlMap& map) {
    const std::optional<std::string> zone = map.Text("time_zone");
    if (zone && *zone != "UTC") {
      errors_.Add(map.LineOf("time_zone"), "the time zone " + Quoted(*zone) + " is not taken",
                  "only UTC is: elsewhere an hour a year happens twice; have the source export UTC or offsets");
    }
    return zone.has_value();
  }

  void ReadData(const YamlNode& node, DataRules* data) {
    if (node.kind != YamlNode::Kind::kMap) {
      errors_.Add(node.line, "data is " + std::string(KindName(node.kind)),
                  "write property names with their templates");
      return;
    }
    for (size_t i = 0; i < node.keys.size(); ++i) {
      data->emplace_back(node.keys[i], ReadProperty(node.keys[i], node.items[i], node.key_lines[i]));
    }
  }

  FieldRule ReadProperty(const std::string& name, const YamlNode& node, int line) {
    if (node.kind == YamlNode::Kind::kScalar) return ReadTemplate(node.text, name, line);
    if (node.kind != YamlNode::Kind::kMap) {
      errors_.Add(line, name + ": a property cannot be " + std::string(KindName(node.kind)),
                  "write a template, {number: \"{column}\"} or {product: [column, column]}");
      return {};
    }
    YamlMap map(node, "property " + Quoted(name), errors_);
    FieldRule rule = map.Find("product") != nullptr ? ReadProduct(map) : ReadNumber(map);
    rule.is_number = true;
    map.RefuseOtherKeys();
    return rule;
  }

  FieldRule ReadProduct(YamlMap& map) {
    FieldRule rule;
    rule.kind = FieldRule::Kind::kProduct;
    rule.columns = map.Texts("product");
    if (rule.columns.empty()) {
      errors_.Add(map.LineOf("product"), map.what() + " has a product of nothing", "name the columns to multiply");
    }
    return rule;
  }

  FieldRule ReadNumber(YamlMap& map) {
    const std::optional<std::string> text = map.RequiredText("number");
    return text ? ReadTemplate(*text, "number", map.LineOf("number")) : FieldRule{};
  }

  // An id that is the same in all rows would count the first row only; two events of a row need two ids.
  void RefuseSameIds(const SourceMapping& source, std::span<const YamlNode> nodes) {
    for (size_t i = 0; i < source.events.size(); ++i) {
      const EventMapping& event = source.events[i];
      const std::vector<TemplatePart> parts = ParseTemplate(event.id.text).parts;
      const bool varies = std::any_of(parts.begin(), parts.end(), [](const TemplatePart& part) {
        return part.kind == TemplatePart::Kind::kColumn || part.kind == TemplatePart::Kind::kRow;
      });
      if (!varies && !event.id.text.empty()) {
        errors_.Add(nodes[i].line, "the id " + Quoted(event.id.text) + " is the same in every row",
                    "put {row} or a column that tells rows apart into it");
      }
      for (size_t j = 0; j < i; ++j) {
        if (event.id.text == source.events[j].id.text && event.source.text == source.events[j].source.text) {
          errors_.Add(nodes[i].line, "two events of a row have the same id and source",
                      "tell them apart in the id, such as {file}:{row}:in and {file}:{row}:out");
        }
      }
    }
  }

  FileErrors& errors_;
};

bool UsesRow(const FieldRule& rule) {
  if (rule.kind != FieldRule::Kind::kTemplate) return false;
  const std::vector<TemplatePart> parts = ParseTemplate(rule.text).parts;
  return std::any_of(parts.begin(), parts.end(),
                     [](const TemplatePart& part) { return part.kind == TemplatePart::Kind::kRow; });
}

bool Matches(const std::string& glob, const std::string& text) {
  return fnmatch(glob.c_str(), text.c_str(), 0) == 0;
}

// The whole path, and what is left of it behind each slash.
bool MatchesAnyEnd(const std::string& glob, std::string_view path) {
  for (;;) {
    if (Matches(glob, std::string(path))) return true;
    const size_t slash = path.find('/');
    if (slash == std::string_view::npos) return false;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

ParsedMappings ParseMappings(std::string_view sources_yaml) {
  ParsedMappings parsed;
  FileErrors errors{std::string(kFile), &parsed.errors};
  const std::optional<YamlNode> root = ReadYaml(sources_yaml, errors);
  if (root && root->kind != YamlNode::Kind::kNull) parsed.mappings = MappingReader(errors).ReadAll(*root);
  if (!parsed.errors.empty()) parsed.mappings.clear();
  return parsed;
}

bool NeedsRows(const SourceMapping& mapping) {
  const auto any_uses = [](const DataRules& data) {
    return std::any_of(data.begin(), data.end(), [](const auto& entry) { return UsesRow(entry.second); });
  };
  const auto uses = [](const std::optional<FieldRule>& rule) { return rule && UsesRow(*rule); };
  return std::any_of(mapping.events.begin(), mapping.events.end(), [&](const EventMapping& event) {
    const OriginalMapping& original = event.original;
    return UsesRow(event.id) || UsesRow(event.source) || UsesRow(event.type) || UsesRow(event.subject) ||
           UsesRow(event.time) || any_uses(event.data) || uses(event.corrects) || uses(event.voids) ||
           uses(original.type) || uses(original.subject) || uses(original.time) || any_uses(original.data);
  });
}

std::string MappingText(const SourceMapping& mapping, std::string_view file) {
  std::string text(1, mapping.delimiter);
  bool uses_file = false;
  const auto add = [&](std::string_view part) {
    text += std::to_string(part.size()) + ":";
    text += part;
  };
  const auto add_rule = [&](const FieldRule& rule) {
    add(std::to_string(static_cast<int>(rule.kind)) + (rule.is_number ? "number" : "text"));
    add(rule.text);
    add(std::to_string(rule.base.nanos));
    for (const std::string& column : rule.columns) add(column);
    uses_file = uses_file || rule.text.find("{file}") != std::string::npos;
  };
  const auto add_data = [&](const DataRules& data) {
    for (const auto& [name, rule] : data) {
      add(name);
      add_rule(rule);
    }
  };
  for (const EventMapping& event : mapping.events) {
    add(event.time_in_utc ? "event, time in UTC" : "event");
    for (const FieldRule* rule : {&event.id, &event.source, &event.type, &event.subject, &event.time}) add_rule(*rule);
    add_data(event.data);
    if (!event.corrects && !event.voids) continue;
    const OriginalMapping& original = event.original;
    for (const std::optional<FieldRule>* rule :
         {&event.corrects, &event.voids, &original.type, &original.subject, &original.time}) {
      add(*rule ? "corrects" : "");
      if (*rule) add_rule(**rule);
    }
    add_data(original.data);
  }
  if (uses_file) add(file);
  return text;
}

std::string_view WithoutPacking(std::string_view path) {
  for (const std::string_view ending : {".gz", ".zst"}) {
    if (path.ends_with(ending)) path.remove_suffix(ending.size());
  }
  return path;
}

const SourceMapping* MappingFor(const std::vector<SourceMapping>& mappings, std::string_view path) {
  for (const SourceMapping& mapping : mappings) {
    if (MatchesAnyEnd(mapping.glob, path) || MatchesAnyEnd(mapping.glob, WithoutPacking(path))) return &mapping;
  }
  return nullptr;
}

}  // namespace tollbook
