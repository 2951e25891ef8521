// meters.yaml: what is counted.
#include <algorithm>
#include <array>

#include "rating/catalog_draft.h"

namespace tollbook {
namespace {

constexpr std::array<std::pair<std::string_view, Aggregation>, 4> kAggregations = {{
    {"sum", Aggregation::kSum},
    {"count", Aggregation::kCount},
    {"max", Aggregation::kMax},
    {"latest", Aggregation::kLatest},
}};

constexpr std::array<std::pair<std::string_view, Granularity>, 3> kGranularities = {{
    {"day", Granularity::kDay},
    {"hour", Granularity::kHour},
    {"quarter_hour", Granularity::kQuarterHour},
}};

void ReadValue(YamlMap& map, Meter& meter, FileErrors& errors) {
  meter.allow_negative = map.Bool("allow_negative", false);
  if (meter.aggregation != Aggregation::kCount) {
    meter.value_property = map.RequiredText("value").value_or("");
    return;
  }
  if (map.Find("value") != nullptr) {
    errors.Add(map.LineOf("value"), Join({map.what(), " counts events and has a \"value\""}),
               "remove the value, or use aggregation sum, max or latest");
  }
  if (meter.allow_negative) {
    errors.Add(map.LineOf("allow_negative"), Join({map.what(), " counts events and allows negative values"}),
               "remove allow_negative: a count is never negative");
  }
}

void ReadDimensions(YamlMap& map, Meter& meter, FileErrors& errors) {
  for (std::string& dimension : map.Texts("dimensions")) {
    if (std::find(meter.dimensions.begin(), meter.dimensions.end(), dimension) != meter.dimensions.end()) {
      errors.Add(map.LineOf("dimensions"), Join({map.what(), " has dimension ", Quoted(dimension), " twice"}),
                 "keep one of the two");
      continue;
    }
    meter.dimensions.push_back(std::move(dimension));
  }
}

void ReadMeter(const YamlNode& node, CatalogDraft& draft, FileErrors& errors) {
  YamlMap map(node, "a meter", errors);
  const std::optional<std::string> name = map.RequiredText("name");
  if (!name) {
    draft.meters.SetIncomplete();
  } else {
    map.SayAs(Join({"meter ", Quoted(*name)}));
  }
  Meter meter;
  meter.name = name.value_or("");
  meter.event_type = map.Text("event_type").value_or(meter.name);
  const bool has_aggregation = map.Required("aggregation") != nullptr;
  meter.aggregation = map.Choice<Aggregation>("aggregation", kAggregations, Aggregation::kSum);
  if (has_aggregation) {
    ReadValue(map, meter, errors);
  } else {
    // Which keys it takes depends on the aggregation.
    (void)map.Find("value");
    (void)map.Find("allow_negative");
  }
  ReadDimensions(map, meter, errors);
  meter.unit = map.Text("unit").value_or("");
  // A wrong word must not make the zones of subscriptions wrong as well: the finest fits most.
  meter.granularity = map.Find("granularity") == nullptr
                          ? Granularity::kDay
                          : map.Choice<Granularity>("granularity", kGranularities, Granularity::kQuarterHour);
  map.RefuseOtherKeys();
  if (name) {
    draft.meters.Define(*name, static_cast<uint32_t>(draft.catalog.meters.size()), map.LineOf("name"), errors);
    draft.catalog.meters.push_back(std::move(meter));
  }
}

}  // namespace

void ReadMeters(CatalogDraft& draft) {
  FileErrors errors("meters.yaml", &draft.errors);
  const std::optional<YamlNode> root = ReadRequiredYaml(draft, errors);
  if (!root) {
    draft.meters.SetIncomplete();
    return;
  }
  YamlMap map(*root, "meters.yaml", errors);
  for (const YamlNode& node : ReadEntries(map, "meters", draft.meters)) {
    ReadMeter(node, draft, errors);
  }
  map.RefuseOtherKeys();
}

}  // namespace tollbook
