#include "rating/catalog_pricing.h"

#include <algorithm>
#include <array>

#include "rating/catalog_amendments.h"
#include "rating/catalog_clock.h"
#include "rating/catalog_commitment.h"
#include "rating/catalog_events.h"
#include "rating/catalog_exact.h"
#include "rating/catalog_filters.h"
#include "rating/catalog_tiers.h"

namespace tollbook {
namespace {

using Model = ChargeModel;

constexpr std::array<std::pair<std::string_view, Model>, 11> kModels = {{
    {"per_unit", Model::kPerUnit},
    {"graduated", Model::kGraduated},
    {"volume", Model::kVolume},
    {"package", Model::kPackage},
    {"stairstep", Model::kStairstep},
    {"percentage", Model::kPercentage},
    {"graduated_percentage", Model::kGraduatedPercentage},
    {"dynamic", Model::kDynamic},
    {"matrix", Model::kMatrix},
    {"time_rate", Model::kTimeRate},
    {"prorated_graduated", Model::kProratedGraduated},
}};

// Of packages and converted units: `up` first, as their errors list them.
constexpr std::array<std::pair<std::string_view, Rounding>, 4> kUnitRoundings = {{
    {"up", Rounding::kUp},
    {"down", Rounding::kDown},
    {"half_up", Rounding::kHalfUp},
    {"half_even", Rounding::kHalfEven},
}};

// Which models take a key; the other keys of a charge go with every model.
struct ModelKey {
  std::string_view key;
  std::vector<Model> models;
};
const std::vector<ModelKey>& ModelKeys() {
  static const auto* const keys = new std::vector<ModelKey>{
      {"price", {Model::kPerUnit, Model::kPackage, Model::kTimeRate}},
      {"per", {Model::kPerUnit, Model::kGraduated, Model::kVolume, Model::kTimeRate, Model::kProratedGraduated}},
      {"tiers", {Model::kGraduated, Model::kVolume, Model::kGraduatedPercentage, Model::kProratedGraduated}},
      {"flat_at_zero", {Model::kGraduated, Model::kVolume, Model::kGraduatedPercentage, Model::kStairstep}},
      {"package_size", {Model::kPackage}},
      {"package_rounding", {Model::kPackage}},
      {"steps", {Model::kStairstep, Model::kTimeRate}},
      {"limits_by", {Model::kStairstep}},
      {"percent", {Model::kPercentage}},
      {"fixed_per_transaction", {Model::kPercentage}},
      {"free_transactions", {Model::kPercentage}},
      {"free_amount", {Model::kPercentage}},
      {"min_per_transaction", {Model::kPercentage}},
      {"max_per_transaction", {Model::kPercentage}},
      {"multiplier", {Model::kDynamic}},
      {"carried_digits", {Model::kDynamic}},
      {"cells", {Model::kMatrix}},
      {"default", {Model::kMatrix}},
      {"windows", {Model::kTimeRate}},
      {"unit", {Model::kTimeRate}},
      {"increment", {Model::kTimeRate}},
      {"connect_fee", {Model::kTimeRate}},
      {"increment_rounding", {Model::kTimeRate}},
      {"max_per_event", {Model::kTimeRate}},
  };
  return *keys;
}

void RefuseKeysOfOtherModels(YamlMap& map, Model model, FileErrors& errors) {
  for (const ModelKey& entry : ModelKeys()) {
    const bool taken = std::find(entry.models.begin(), entry.models.end(), model) != entry.models.end();
    if (map.Find(entry.key) == nullptr || taken) {
      continue;
    }
    std::string advice = "remove it, or use model ";
    for (size_t i = 0; i < entry.models.size(); ++i) {
      advice.append(i == 0 ? "" : " or ").append(ToString(entry.models[i]));
    }
    errors.Add(map.LineOf(entry.key),
               Join({map.what(), " of model ", ToString(model), " takes no ", Quoted(entry.key)}), advice);
  }
}

// A fee is no model of usage, and only named where there is none of this name.
std::optional<Model> ModelOf(YamlMap& map, const std::optional<std::string>& word, bool may_be_fee,
                             FileErrors& errors) {
  if (!word) return std::nullopt;
  std::vector<std::string_view> words;
  for (const auto& [name, model] : kModels) {
    if (name == *word) return model;
    words.push_back(name);
  }
  if (may_be_fee) words.push_back("fee");
  errors.Add(map.LineOf("model"), Join({"\"model\" of ", map.what(), " is ", Quoted(*word)}), DidYouMean(*word, words));
  return std::nullopt;
}

Price ReadMultiplier(YamlMap& map, FileErrors& errors) {
  const Quantity multiplier = ReadQuantity(map, "multiplier", Sign::kNotNegative, errors).value_or(Quantity::Units(1));
  Int128 carried = 1;
  for (int digits = ReadPlaces(map, "carried_digits", errors); digits > 0; --digits) carried *= 10;
  if (multiplier.attos % carried == 0) return {multiplier.attos / carried};
  errors.Add(map.LineOf("carried_digits"),
             Join({"\"multiplier\" and \"carried_digits\" of ", map.what(), " have more than 18 decimals together"}),
             "write fewer decimals");
  return {};
}

void ReadPackage(YamlMap& map, Pricing& pricing, FileErrors& errors) {
  if (map.Required("package_size") != nullptr) {
    pricing.package_size = ReadQuantity(map, "package_size", Sign::kPositive, errors).value_or(Quantity());
  }
  if (map.Required("price") != nullptr) pricing.package_price = ReadPrice(map, "price", errors).value_or(Price());
  pricing.package_rounding = map.Choice<Rounding>("package_rounding", kUnitRoundings, Rounding::kUp);
}

void ReadPercentage(YamlMap& map, Pricing& pricing, FileErrors& errors) {
  if (map.Required("percent") != nullptr) pricing.unit_price = ReadPercent(map, "percent", errors).value_or(Price());
  pricing.price_per_event = ReadPrice(map, "fixed_per_transaction", errors).value_or(Price());
  ReadTransactions(map, pricing, errors);
}

// Of one quantity: not a matrix.
void ReadModel(YamlMap& map, const Meter* meter, Pricing& pricing, FileErrors& errors) {
  switch (pricing.model) {
    case Model::kPerUnit:
      pricing.unit_price = ReadUnitPrice(map, ReadPer(map, errors), errors).value_or(Price());
      break;
    case Model::kGraduated:
    case Model::kVolume:
    case Model::kGraduatedPercentage:
      pricing.tiers = ReadTiers(map, pricing.model, errors);
      pricing.flat_at_zero = map.Bool("flat_at_zero", false);
      break;
    case Model::kPackage:
      ReadPackage(map, pricing, errors);
      break;
    case Model::kStairstep:
      ReadSteps(map, meter, pricing, errors);
      pricing.flat_at_zero = map.Bool("flat_at_zero", false);
      break;
    case Model::kPercentage:
      ReadPercentage(map, pricing, errors);
      break;
    case Model::kDynamic:
      pricing.unit_price = ReadMultiplier(map, errors);
      break;
    case Model::kTimeRate:
      ReadTimeRate(map, pricing, errors);
      break;
    case Model::kProratedGraduated:
      pricing.tiers = ReadTiers(map, pricing.model, errors);
      break;
    case Model::kMatrix:
      break;
  }
  CheckKeepsEvents(map, meter, pricing, errors);
}

// ----- matrix

void ReadCellPricing(YamlMap& map, const Meter* meter, Cell& cell, FileErrors& errors) {
  cell.line = map.line();
  if (map.Find("model") != nullptr) {
    const std::optional<Model> model = ModelOf(map, map.Text("model"), false, errors);
    if (!model || *model == Model::kMatrix) {
      if (model) {
        errors.Add(map.LineOf("model"), Join({map.what(), " is a matrix itself"}),
                   "name all dimensions in the cells of one matrix");
      }
      for (const ModelKey& entry : ModelKeys()) (void)map.Find(entry.key);
      return map.RefuseOtherKeys();
    }
    cell.pricing.model = *model;
  }
  ReadModel(map, meter, cell.pricing, errors);
  if (!cell.pricing.limits_by.empty()) {
    errors.Add(map.LineOf("limits_by"), Join({map.what(), " has limits by a dimension"}),
               "make it a charge of its own with a filter, or write up_to in its steps");
  }
  RefuseKeysOfOtherModels(map, cell.pricing.model, errors);
  map.RefuseOtherKeys();
}

// None: nothing can be said about which usage it takes.
std::optional<Cell> ReadCell(const YamlNode& node, std::string_view charge, size_t index, const Meter* meter,
                             FileErrors& errors) {
  YamlMap map(node, Join({"cell ", std::to_string(index + 1), " of ", charge}), errors);
  if (!map.ok()) return std::nullopt;
  Cell cell;
  std::optional<Filter> when;
  if (map.Required("when") != nullptr) when = ReadFilter(map, "when", meter, errors);
  if (when && when->empty()) {
    errors.Add(map.LineOf("when"), Join({"\"when\" of ", map.what(), " names no dimension"}),
               "name one, or make the cell the `default` of the charge");
    when.reset();
  }
  ReadCellPricing(map, meter, cell, errors);
  if (!when) return std::nullopt;
  cell.when = *std::move(when);
  return cell;
}

// Two cells that could take the same usage with equal right: the first such pair of each cell is named.
void CheckCells(const std::vector<Cell>& cells, std::string_view charge, FileErrors& errors) {
  for (size_t i = 0; i < cells.size(); ++i) {
    const auto earlier = std::span(cells).first(i);
    const auto rival = std::ranges::find_if(earlier, [&](const Cell& other) {
      return HaveEqualRight(other.when, cells[i].when) && std::ranges::none_of(cells, [&](const Cell& third) {
               return Settles(third.when, other.when, cells[i].when);
             });
    });
    if (rival == earlier.end()) continue;
    errors.Add(cells[i].line,
               Join({"the cell ", ToString(cells[i].when), " and the cell ", ToString(rival->when), " (line ",
                     std::to_string(rival->line), ") of ", charge, " could take the same usage"}),
               "give one of them other or fewer values, or one more dimension");
  }
}

void ReadCells(YamlMap& map, const Meter* meter, Charge& charge, FileErrors& errors) {
  const std::span<const YamlNode> nodes = map.RequiredList("cells");
  const YamlNode* list = map.Find("cells");
  if (list != nullptr && list->kind == YamlNode::Kind::kList && nodes.empty()) {
    errors.Add(map.LineOf("cells"), Join({map.what(), " has no cell"}), "add at least `- {when: ..., price: ...}`");
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (std::optional<Cell> cell = ReadCell(nodes[i], map.what(), i, meter, errors)) {
      charge.cells.push_back(*std::move(cell));
    }
  }
  CheckCells(charge.cells, map.what(), errors);
  const YamlNode* otherwise = map.Find("default");
  if (otherwise == nullptr) return;
  YamlMap default_map(*otherwise, Join({"the default of ", map.what()}), errors);
  Cell cell;
  if (default_map.ok()) ReadCellPricing(default_map, meter, cell, errors);
  charge.cells.push_back(std::move(cell));
}

// ----- around the price

void ReadConversion(YamlMap& charge, Charge& into, FileErrors& errors) {
  const YamlNode* node = charge.Find("convert");
  if (node == nullptr) return;
  YamlMap map(*node, Join({"\"convert\" of ", charge.what()}), errors);
  if (!map.ok()) return;
  Conversion conversion;
  const bool multiplies = map.Find("multiply") != nullptr, divides = map.Find("divide") != nullptr;
  if (multiplies == divides) {
    errors.Add(node->line,
               Join({map.what(), multiplies ? " has both a \"multiply\" and a \"divide\""
                                            : " has neither a \"multiply\" nor a \"divide\""}),
               "write one of the two");
  }
  conversion.by = divides ? Conversion::By::kDivide : Conversion::By::kMultiply;
  conversion.factor =
      ReadQuantity(map, divides ? "divide" : "multiply", Sign::kPositive, errors).value_or(Quantity::Units(1));
  std::vector<std::pair<std::string_view, std::optional<Rounding>>> roundings(kUnitRoundings.begin(),
                                                                              kUnitRoundings.end());
  roundings.insert(roundings.begin(), {"none", std::nullopt});
  conversion.rounding = map.Choice<std::optional<Rounding>>("rounding", roundings, std::nullopt);
  conversion.places = ReadPlaces(map, "places", errors);
  if (map.Find("places") != nullptr && !conversion.rounding) {
    errors.Add(map.LineOf("places"), Join({map.what(), " has \"places\" and no rounding"}),
               "add a rounding (up, down, half_up, half_even), or leave places out");
  }
  map.RefuseOtherKeys();
  into.conversion = conversion;
}

void ReadPerBucket(YamlMap& map, const Meter* meter, Charge& charge, FileErrors& errors) {
  constexpr std::array<std::pair<std::string_view, PerBucket>, 2> kBuckets = {
      {{"hour", PerBucket::kHour}, {"day", PerBucket::kDay}}};
  charge.per_bucket = map.Choice<PerBucket>("per_bucket", kBuckets, PerBucket::kNone);
  if (charge.per_bucket == PerBucket::kHour && meter != nullptr && meter->granularity == Granularity::kDay) {
    errors.Add(map.LineOf("per_bucket"),
               Join({map.what(), " prices each hour, and meter ", Quoted(meter->name), " keeps whole days"}),
               "use `granularity: hour` for the meter, or `per_bucket: day`");
  }
  if (charge.per_bucket != PerBucket::kNone && meter != nullptr && CarriesOver(*meter)) {
    errors.Add(map.LineOf("per_bucket"),
               Join({map.what(), " prices buckets alone, and meter ", Quoted(meter->name),
                     " carries over from one to the next"}),
               "leave per_bucket out, or use a meter that begins anew, such as sum or max");
  }
}

// A discount must not need more decimals than a worth has.
void ReadDiscount(YamlMap& map, Charge& charge, FileErrors& errors) {
  charge.discount = ReadPercent(map, "discount_percent", errors).value_or(Price());
  if (charge.discount.attos <= kOneUnit)
    return CheckExactFactor(map, "discount_percent", charge.discount, charge, errors);
  errors.Add(map.LineOf("discount_percent"), Join({"\"discount_percent\" of ", map.what(), " is above 100"}),
             "write a number from 0 to 100: a charge never gives money back");
}

// A charge of events prices each as it is.
void RefuseUnits(YamlMap& map, const Charge& charge, FileErrors& errors) {
  if (charge.included.attos > 0) {
    errors.Add(map.LineOf("included"), Join({map.what(), " has included units and prices each event"}),
               "leave \"included\" out: of which event the units would be is not said");
  }
  if (charge.conversion) {
    errors.Add(map.LineOf("convert"), Join({map.what(), " converts units and prices each event"}),
               "leave \"convert\" out, and let the meter's \"value\" reckon what is priced");
  }
}

// One window's price and commitment. None: nothing can be said about which buckets it takes.
std::optional<BucketWindow> ReadBucketWindow(const YamlNode& node, size_t index, const Meter* meter,
                                             const YamlMap& charge, PerBucket per_bucket, FileErrors& errors) {
  YamlMap map(node, Join({"bucket window ", std::to_string(index + 1), " of ", charge.what()}), errors);
  if (!map.ok()) return std::nullopt;
  const std::optional<ClockWindow> when = ReadClockWindow(map, errors);
  const bool has_hours = when && (when->from_minute != 0 || when->to_minute != kMinutesOfDay);
  if (per_bucket == PerBucket::kDay && has_hours) {
    errors.Add(map.line(), Join({map.what(), " has hours, and the buckets are days"}),
               "name its days only, or use `per_bucket: hour`");
  }
  Charge of_window;  // as far as one window has it
  Cell cell;
  const YamlNode* commitment = map.Find("commitment");
  ReadCellPricing(map, meter, cell, errors);
  of_window.pricing = std::move(cell.pricing);
  if (IsOfEvents(of_window.pricing)) {
    errors.Add(map.line(), Join({map.what(), " prices each event"}),
               "give it a price of quantities, or use model time_rate for the charge");
  }
  if (commitment != nullptr) ReadCommitment(map, of_window, errors);
  if (!when) return std::nullopt;
  return BucketWindow{*when, std::move(of_window.pricing), of_window.commitment, map.line()};
}

void ReadBucketWindows(YamlMap& map, const Meter* meter, Charge& charge, FileErrors& errors) {
  if (map.Find("bucket_windows") == nullptr) return;
  const bool in_parts = !charge.cells.empty() || !charge.pricing.limits_by.empty() || IsOfEvents(charge);
  if (charge.per_bucket == PerBucket::kNone) {
    errors.Add(map.LineOf("bucket_windows"), Join({map.what(), " has \"bucket_windows\" and no \"per_bucket\""}),
               "add `per_bucket: hour`, or `day` for windows of whole days");
  } else if (in_parts) {
    errors.Add(map.LineOf("bucket_windows"),
               Join({map.what(), " has \"bucket_windows\", and cells, limits by a dimension or prices of events"}),
               "make each of them a charge of its own with a filter");
  }
  std::vector<WrittenWindow> written;
  const std::span<const YamlNode> nodes = map.List("bucket_windows");
  for (size_t i = 0; i < nodes.size(); ++i) {
    std::optional<BucketWindow> window = ReadBucketWindow(nodes[i], i, meter, map, charge.per_bucket, errors);
    if (!window) continue;
    written.push_back({window->when, window->line});
    charge.bucket_windows.push_back(*std::move(window));
  }
  CheckOverlaps(written, map.what(), errors);
}

std::optional<Price> ReadBound(YamlMap& map, std::string_view key, FileErrors& errors) {
  return map.Find(key) == nullptr ? std::nullopt : ReadPrice(map, key, errors);
}

void ReadMinimumProration(YamlMap& map, Charge& charge, FileErrors& errors) {
  constexpr std::array<std::pair<std::string_view, bool>, 2> kProrations = {{{"day", true}, {"none", false}}};
  charge.prorates_bound = map.Choice<bool>("minimum_proration", kProrations, true);
  if (map.Find("minimum_proration") != nullptr && !charge.minimum) {
    errors.Add(map.LineOf("minimum_proration"), Join({map.what(), " has \"minimum_proration\" and no minimum"}),
               "add a minimum, or leave it out");
  }
}

}  // namespace

void ReadPricing(YamlMap& map, const Meter* meter, Charge& charge, FileErrors& errors) {
  const std::optional<Model> model = ModelOf(map, map.RequiredText("model"), true, errors);
  if (!model) {
    for (const ModelKey& entry : ModelKeys()) (void)map.Find(entry.key);  // which it takes depends on the model
    return;
  }
  charge.pricing.model = *model;
  ReadModel(map, meter, charge.pricing, errors);
  if (*model == Model::kMatrix) ReadCells(map, meter, charge, errors);
  RefuseKeysOfOtherModels(map, *model, errors);
}

bool IsKeyOfModel(std::string_view key) {
  return std::ranges::find(ModelKeys(), key, &ModelKey::key) != ModelKeys().end();
}

void ReadAround(YamlMap& map, const Meter* meter, Charge& charge, FileErrors& errors) {
  charge.included = ReadQuantity(map, "included", Sign::kNotNegative, errors).value_or(Quantity());
  if (charge.included.attos > 0 && !charge.pricing.limits_by.empty()) {
    errors.Add(map.LineOf("included"), Join({map.what(), " has included units and limits by a dimension"}),
               "leave \"included\" out, and raise the limits: of which value the units would be is not said");
  }
  ReadConversion(map, charge, errors);
  if (IsOfEvents(charge)) RefuseUnits(map, charge, errors);
  ReadPerBucket(map, meter, charge, errors);
  ReadCommitment(map, charge, errors);
  ReadBucketWindows(map, meter, charge, errors);
  ReadDiscount(map, charge, errors);
  charge.maximum = ReadBound(map, "maximum", errors);
  charge.minimum = ReadBound(map, "minimum", errors);
  ReadMinimumProration(map, charge, errors);
  if (charge.maximum && charge.minimum && charge.minimum->attos > charge.maximum->attos) {
    errors.Add(map.LineOf("minimum"),
               Join({"the minimum of ", map.what(), " (", ToString(*charge.minimum), ") is above its maximum (",
                     ToString(*charge.maximum), ")"}),
               "lower the one or raise the other");
  }
  ReadAmendment(map, meter, charge, errors);
}

}  // namespace tollbook
