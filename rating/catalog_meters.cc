// meters.yaml: what is counted.
#include <algorithm>
#include <array>
#include <charconv>

#include "rating/catalog_draft.h"
#include "rating/expression.h"

namespace tollbook {
namespace {

constexpr std::array<std::pair<std::string_view, Aggregation>, 9> kAggregations = {{
    {"sum", Aggregation::kSum},
    {"count", Aggregation::kCount},
    {"max", Aggregation::kMax},
    {"latest", Aggregation::kLatest},
    {"min", Aggregation::kMin},
    {"mean", Aggregation::kMean},
    {"unique_count", Aggregation::kUniqueCount},
    {"weighted_sum", Aggregation::kWeightedSum},
    {"percentile", Aggregation::kPercentile},
}};

constexpr std::array<std::pair<std::string_view, Granularity>, 3> kGranularities = {{
    {"day", Granularity::kDay},
    {"hour", Granularity::kHour},
    {"quarter_hour", Granularity::kQuarterHour},
}};

constexpr std::array<std::pair<std::string_view, PercentileMethod>, 2> kMethods = {{
    {"nearest_rank", PercentileMethod::kNearestRank},
    {"interpolated", PercentileMethod::kInterpolated},
}};

constexpr std::array<std::pair<std::string_view, ValueIs>, 2> kValueIs = {{
    {"delta", ValueIs::kDelta},
    {"level", ValueIs::kLevel},
}};

constexpr std::array<std::pair<std::string_view, Proration>, 2> kProrations = {{
    {"none", Proration::kNone},
    {"day", Proration::kDay},
}};

constexpr std::array<std::pair<std::string_view, bool>, 1> kKeeps = {{{"events", true}}};

// A count prorated by days that says no rounding has this one.
constexpr UnitRounding kProratedRounding = {Rounding::kUp, 5};

// Keys that only one aggregation takes; proration goes with weighted_sum, too.
constexpr std::array<std::pair<std::string_view, Aggregation>, 6> kKeysOfOne = {{
    {"percentile", Aggregation::kPercentile},
    {"method", Aggregation::kPercentile},
    {"value_is", Aggregation::kWeightedSum},
    {"operation", Aggregation::kUniqueCount},
    {"proration", Aggregation::kUniqueCount},
    {"floor_at_zero", Aggregation::kLatest},
}};

// A percentile is multiplied with a number of events: so many decimals always fit.
constexpr Int128 kPercentileStep = 1'000'000'000;  // 10^-9
constexpr Quantity kPercentileMax = Quantity::Units(100);

void RefuseKeysOfOthers(YamlMap& map, const Meter& meter, FileErrors& errors) {
  for (const auto& [key, aggregation] : kKeysOfOne) {
    const bool is_taken = key == "proration" && meter.aggregation == Aggregation::kWeightedSum;
    if (map.Find(key) == nullptr || meter.aggregation == aggregation || is_taken) continue;
    errors.Add(map.LineOf(key),
               Join({map.what(), " of aggregation ", ToString(meter.aggregation), " takes no ", Quoted(key)}),
               Join({"remove it, or use aggregation ", ToString(aggregation)}));
  }
}

// One word is the name of a property, as ever, but for signs of arithmetic that were meant as such.
void ReadValueText(YamlMap& map, const std::string& text, Meter& meter, FileErrors& errors) {
  if (!Expression::IsOne(text) && text.find_first_of("*/+") == std::string::npos) {
    meter.value_property = text;
    return;
  }
  ExpressionError error;
  const std::optional<Expression> expression = Expression::Parse(text, &error);
  if (!expression) {
    errors.Add(map.LineOf("value"), Join({"\"value\" of ", map.what(), " ", error.what}), error.what_to_do);
  } else if (expression->properties().empty()) {
    errors.Add(map.LineOf("value"),
               Join({"\"value\" of ", map.what(), " names no property: it is the same for all events"}),
               "name the property it is reckoned from; to count events, use aggregation count");
  } else if (expression->is_property_alone()) {
    meter.value_property = expression->properties().front();
  } else {
    meter.value_expression = text;
  }
}

void ReadNoValue(YamlMap& map, const Meter& meter, FileErrors& errors) {
  if (map.Find("value") != nullptr) {
    errors.Add(map.LineOf("value"), Join({map.what(), " counts events and has a \"value\""}),
               "remove the value, or use aggregation sum, max or latest");
  }
  if (meter.allow_negative) {
    errors.Add(map.LineOf("allow_negative"), Join({map.what(), " counts events and allows negative values"}),
               "remove allow_negative: a count is never negative");
  }
}

void ReadValue(YamlMap& map, Meter& meter, FileErrors& errors) {
  meter.allow_negative = map.Bool("allow_negative", false);
  if (meter.aggregation == Aggregation::kCount) return ReadNoValue(map, meter, errors);
  const std::optional<std::string> text = map.RequiredText("value");
  if (meter.aggregation != Aggregation::kUniqueCount) {
    if (text) ReadValueText(map, *text, meter, errors);
    return;
  }
  meter.value_property = text.value_or("");
  if (meter.allow_negative) {
    errors.Add(map.LineOf("allow_negative"), Join({map.what(), " counts different values and allows negative ones"}),
               "remove allow_negative: what is counted need not be a number");
  }
}

void ReadPercentile(YamlMap& map, Meter& meter, FileErrors& errors) {
  meter.reading.method = map.Choice<PercentileMethod>("method", kMethods, PercentileMethod::kNearestRank);
  if (map.Required("percentile") == nullptr) return;
  const std::optional<Quantity> percentile = ReadQuantity(map, "percentile", Sign::kPositive, errors);
  if (!percentile) return;
  meter.reading.percentile = *percentile;
  if (*percentile > kPercentileMax) {
    errors.Add(map.LineOf("percentile"), Join({"\"percentile\" of ", map.what(), " is ", ToString(*percentile)}),
               "write a number above 0 and up to 100");
  } else if (percentile->attos % kPercentileStep != 0) {
    errors.Add(map.LineOf("percentile"), Join({"\"percentile\" of ", map.what(), " is ", ToString(*percentile)}),
               "write at most 9 decimals");
  }
}

void ReadUniqueCount(YamlMap& map, Meter& meter, FileErrors& errors) {
  meter.operation_property = map.Text("operation").value_or("");
  meter.reading.proration = map.Choice<Proration>("proration", kProrations, Proration::kNone);
  if (meter.reading.proration == Proration::kNone) return;
  if (meter.operation_property.empty()) {
    errors.Add(map.LineOf("proration"), Join({map.what(), " is prorated and has no \"operation\""}),
               "name the property that says add or remove: without it no value has days of its own");
  }
  if (!meter.reading.rounding) meter.reading.rounding = kProratedRounding;
}

std::optional<int> ReadPlaces(YamlMap& map, FileErrors& errors) {
  const std::optional<std::string> text = map.RequiredText("places");
  if (!text) return std::nullopt;
  int places = 0;
  const char* const end = text->data() + text->size();
  const auto [stop, failed] = std::from_chars(text->data(), end, places);
  if (failed == std::errc() && stop == end && places >= kUnitPlacesMin && places <= kUnitPlacesMax) return places;
  errors.Add(map.LineOf("places"), Join({"\"places\" of ", map.what(), " is ", Quoted(*text)}),
             Join({"write a whole number from ", std::to_string(kUnitPlacesMin), " to ", std::to_string(kUnitPlacesMax),
                   "; one below 0 rounds left of the point"}));
  return std::nullopt;
}

void ReadUnitRounding(YamlMap& map, Meter& meter, FileErrors& errors) {
  const YamlNode* node = map.Find("rounding");
  if (node == nullptr) return;
  YamlMap rounding(*node, Join({"\"rounding\" of ", map.what()}), errors);
  UnitRounding read;
  (void)rounding.Required("mode");
  read.rounding = rounding.Choice<Rounding>("mode", kRoundings, Rounding::kHalfUp);
  read.places = ReadPlaces(rounding, errors).value_or(0);
  rounding.RefuseOtherKeys();
  meter.reading.rounding = read;
}

// What only some aggregations take, and how the totals are read.
void ReadReading(YamlMap& map, Meter& meter, FileErrors& errors) {
  RefuseKeysOfOthers(map, meter, errors);
  ReadUnitRounding(map, meter, errors);
  if (meter.aggregation == Aggregation::kPercentile) ReadPercentile(map, meter, errors);
  if (meter.aggregation == Aggregation::kUniqueCount) ReadUniqueCount(map, meter, errors);
  if (meter.aggregation == Aggregation::kWeightedSum) {
    meter.reading.value_is = map.Choice<ValueIs>("value_is", kValueIs, ValueIs::kDelta);
    meter.reading.proration = map.Choice<Proration>("proration", kProrations, Proration::kNone);
  }
  if (meter.aggregation == Aggregation::kLatest) meter.reading.floor_at_zero = map.Bool("floor_at_zero", false);
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

// It is a dimension that has to be a number.
void ReadProrated(YamlMap& map, Meter& meter, FileErrors& errors) {
  const std::optional<std::string> property = map.Text("prorated_value");
  if (!property) return;
  if (!meter.keep_events || meter.aggregation != Aggregation::kSum) {
    errors.Add(map.LineOf("prorated_value"),
               Join({map.what(), " has a \"prorated_value\" and does not keep its events"}),
               "use aggregation sum with `keep: events`: each event is priced by both of its values");
  }
  if (std::find(meter.dimensions.begin(), meter.dimensions.end(), *property) != meter.dimensions.end()) {
    errors.Add(map.LineOf("prorated_value"),
               Join({"\"prorated_value\" of ", map.what(), " is ", Quoted(*property), ", which is a dimension of it"}),
               "take it out of the dimensions");
  }
  meter.prorated_property = *property;
  meter.dimensions.push_back(*property);
}

// A median is a percentile, and by its letters would be taken for a mean.
Aggregation ReadAggregation(YamlMap& map, FileErrors& errors) {
  const YamlNode* const node = map.Find("aggregation");
  if (node == nullptr || node->kind != YamlNode::Kind::kScalar || node->text != "median")
    return map.Choice<Aggregation>("aggregation", kAggregations, Aggregation::kSum);
  errors.Add(
      map.LineOf("aggregation"), Join({"\"aggregation\" of ", map.what(), " is \"median\""}),
      "use percentile, with `percentile: 50`; and with `method: interpolated` if half-way between the two middle "
      "values is meant");
  return Aggregation::kSum;
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
  meter.aggregation = ReadAggregation(map, errors);
  if (has_aggregation) {
    ReadValue(map, meter, errors);
    ReadReading(map, meter, errors);
  } else {
    // Which keys it takes depends on the aggregation.
    for (const std::string_view key : {"value", "allow_negative", "rounding"}) (void)map.Find(key);
    for (const auto& [key, aggregation] : kKeysOfOne) (void)map.Find(key);
  }
  ReadDimensions(map, meter, errors);
  meter.unit = map.Text("unit").value_or("");
  // A wrong word must not make the zones of subscriptions wrong as well: the finest fits most.
  meter.granularity = map.Find("granularity") == nullptr
                          ? Granularity::kDay
                          : map.Choice<Granularity>("granularity", kGranularities, Granularity::kQuarterHour);
  meter.keep_events = map.Choice<bool>("keep", kKeeps, false);
  ReadProrated(map, meter, errors);
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
