#include "pipeline/vector_case.h"

#include <algorithm>
#include <set>
#include <utility>

#include "pipeline/json_text.h"
#include "pipeline/vector_discount.h"
#include "pipeline/vector_params.h"
#include "pipeline/vector_proration.h"
#include "pipeline/vector_unit_grants.h"
#include "rating/quote.h"
#include "rating/wide.h"

namespace tollbook {
namespace {

using Kind = JsonTree::Kind;

constexpr std::string_view kValue = "quantity";  // of the events' data
constexpr std::string_view kProratedValue = "prorated_quantity";
constexpr size_t kBucketsMax = 28 * 24;  // hours of any month

std::string InQuotes(std::string_view text) {
  std::string quoted;
  AppendJsonString(text, &quoted);  // YAML takes JSON's strings
  return quoted;
}

// One map of YAML, in the order of its keys.
class YamlKeys {
 public:
  void Add(std::string_view key, std::string_view value) {
    text_.append(text_.empty() ? "" : ", ").append(key).append(": ").append(value);
  }
  void AddIf(std::string_view key, const std::optional<std::string>& value) {
    if (value.has_value()) Add(key, *value);
  }
  std::string Text() const { return "{" + text_ + "}"; }
  std::string Text(const YamlKeys& more) const {
    return "{" + text_ + (more.text_.empty() ? "" : ", " + more.text_) + "}";
  }
  bool empty() const { return text_.empty(); }

 private:
  std::string text_;
};

class YamlItems {
 public:
  void Add(std::string_view item) { text_.append(text_.empty() ? "" : ", ").append(item); }
  std::string Text() const { return "[" + text_ + "]"; }

 private:
  std::string text_;
};

bool IsNegative(std::string_view decimal) {
  return decimal.starts_with('-');
}

bool IsZero(const std::string& decimal) {
  return ParseDecimal(decimal, 18).value == 0;
}

// ---- What a model's parameters are as keys of a charge, or of a cell of a matrix.

// The last one goes on without an end, as the catalog's last tier does.
void AddTiers(VectorParams& params, std::string_view vectors_price, std::string_view price, YamlKeys* keys) {
  YamlItems tiers;
  const JsonTree* list = params.TakeList("tiers");
  if (list == nullptr) return params.Wrong("tiers", "missing");
  for (size_t i = 0; i < list->items.size(); ++i) {
    VectorParams tier(list->items[i], params.status());
    YamlKeys of_tier;
    const std::optional<std::string> up_to = tier.Decimal("up_to");
    if (i + 1 < list->items.size()) of_tier.AddIf("up_to", up_to);
    of_tier.Add(price, tier.RequiredDecimal(vectors_price));
    of_tier.AddIf("flat", tier.Decimal("flat_amount"));
    tier.RefuseOthers();
    tiers.Add(of_tier.Text());
  }
  keys->Add("tiers", tiers.Text());
}

// A tier holds max_blocks blocks; the last one goes on without an end, as the catalog's last tier does.
void AddBlockTiers(VectorParams& params, YamlKeys* keys) {
  YamlItems tiers;
  Int128 up_to = 0;
  const JsonTree* list = params.TakeList("block_tiers");
  for (size_t i = 0; list != nullptr && i < list->items.size(); ++i) {
    VectorParams tier(list->items[i], params.status());
    const std::string size = tier.RequiredDecimal("block_size");
    const std::string price = tier.RequiredDecimal("block_amount");
    const std::optional<Int128> blocks = tier.Attos("max_blocks");
    tier.RefuseOthers();
    YamlKeys of_tier;
    if (i + 1 < list->items.size()) {
      Wide capacity, rest;
      Wide::Product(ParseDecimal(size, 18).value, blocks.value_or(0)).DivideByPowerOfTen(18, &capacity, &rest);
      const bool fits =
          capacity.FitsInt128() && !__builtin_add_overflow(up_to, capacity.ToInt128(), &up_to) && rest.zero();
      if (!fits || !blocks.has_value()) params.Wrong("max_blocks", "a tier that ends nowhere, or too far");
      of_tier.Add("up_to", FormatDecimal(up_to, 18));
    }
    of_tier.Add("price", price);
    of_tier.Add("block_size", size);
    tiers.Add(of_tier.Text());
  }
  keys->Add("tiers", tiers.Text());
}

void AddPackages(VectorParams& params, YamlKeys* keys) {
  keys->Add("package_size", params.RequiredDecimal("package_size"));
  keys->Add("price", params.RequiredDecimal("package_amount"));
  const std::string rounding = params.Text("rounding");  // of the count
  if (!rounding.empty() && rounding != "up") keys->Add("package_rounding", rounding);
}

// Whether it looks at each event.
bool AddPercentage(VectorParams& params, YamlKeys* keys) {
  keys->Add("percent", params.RequiredDecimal("rate_percent"));
  keys->AddIf("fixed_per_transaction", params.Decimal("fixed_per_transaction"));
  bool of_events = false;
  for (const std::string_view name :
       {"free_transactions", "free_amount", "min_per_transaction", "max_per_transaction"}) {
    const std::optional<std::string> value = params.Decimal(name);
    if (!value.has_value() || IsZero(*value)) continue;  // there is none of it
    keys->Add(name, *value);
    of_events = true;
  }
  return of_events;
}

void AddDynamic(VectorParams& params, YamlKeys* keys) {
  keys->AddIf("multiplier", params.Decimal("multiplier"));
  keys->AddIf("carried_digits", params.Decimal("unit_scale"));
}

// Steps by the quantity, or by the quantities of the values of `dimension`. The last one has no limit in the catalog.
void AddSteps(VectorParams& params, const std::string& dimension, YamlKeys* keys) {
  const JsonTree* list = params.TakeList("steps");
  if (list == nullptr) return params.Wrong("steps", "missing");
  YamlItems steps;
  bool by_limits = false;
  for (size_t i = 0; i < list->items.size(); ++i) {
    const bool is_last = i + 1 == list->items.size();
    VectorParams step(list->items[i], params.status());
    YamlKeys of_step, of_limits;
    const std::optional<std::string> up_to = step.Decimal("up_to");
    if (!is_last) of_step.AddIf("up_to", up_to);
    if (const JsonTree* limits = step.Take("limits"); limits != nullptr) {
      by_limits = true;
      VectorParams each(*limits, params.status());
      for (const std::string& key : limits->keys) of_limits.Add(InQuotes(key), each.RequiredDecimal(key));
      if (!is_last) of_step.Add("limits", of_limits.Text());
    }
    of_step.Add("price", step.RequiredDecimal("amount"));
    step.RefuseOthers();
    steps.Add(of_step.Text());
  }
  if (by_limits && dimension.empty()) params.NotHere("limits: the usage has not one property");
  if (by_limits) keys->Add("limits_by", InQuotes(dimension));
  keys->Add("steps", steps.Text());
}

// What one rate of time has, in a window or a step.
void AddTimePrice(VectorParams& params, YamlKeys* keys) {
  keys->Add("price", params.RequiredDecimal("rate"));
  keys->AddIf("per", params.Decimal("rate_unit_s"));
  keys->AddIf("increment", params.Decimal("increment_s"));
}

// "1-5" or "6", from Monday, to the catalog's words.
std::string WeekdaysOf(VectorParams& params) {
  constexpr std::string_view kNames[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
  std::string days;
  for (const char digit : params.Text("days")) {
    if (digit == '-') {
      days += '-';
    } else if (digit >= '1' && digit <= '7') {
      days += kNames[digit - '1'];
    } else {
      params.Wrong("days", "neither a weekday from 1 to 7 nor a run of them");
    }
  }
  return days;
}

void AddTimeRate(VectorParams& params, YamlKeys* keys) {
  YamlItems windows, steps;
  if (const JsonTree* schedule = params.TakeList("schedule"); schedule != nullptr) {
    for (const JsonTree& item : schedule->items) {
      VectorParams one(item, params.status());
      YamlKeys window;
      window.Add("days", WeekdaysOf(one));
      window.Add("from", InQuotes(one.Text("from")));
      window.Add("to", InQuotes(one.Text("to")));
      AddTimePrice(one, &window);
      window.AddIf("connect_fee", one.Decimal("connect_fee"));
      one.RefuseOthers();
      windows.Add(window.Text());
    }
    keys->Add("windows", windows.Text());
  } else if (const JsonTree* groups = params.TakeList("groups"); groups != nullptr) {
    for (const JsonTree& item : groups->items) {
      VectorParams one(item, params.status());
      YamlKeys step;
      step.AddIf("after", one.Decimal("start_s"));
      AddTimePrice(one, &step);
      one.RefuseOthers();
      steps.Add(step.Text());
    }
    keys->Add("steps", steps.Text());
    keys->AddIf("connect_fee", params.Decimal("connect_fee"));
  }
  if (const std::optional<std::string> places = params.Decimal("increment_places"); places.has_value())
    keys->Add("increment_rounding", "{mode: half_up, places: " + *places + "}");
}

// Whether it looks at each event.
bool AddPrice(const std::string& model, VectorParams& params, const std::string& dimension, YamlKeys* keys) {
  const bool in_blocks = (model == "graduated" || model == "volume") && params.Take("block_tiers") != nullptr;
  keys->Add("model", model);
  if (model == "per_unit") {
    keys->Add("price", params.RequiredDecimal("unit_amount"));
  } else if (in_blocks) {
    AddBlockTiers(params, keys);
  } else if (model == "graduated" || model == "volume") {
    AddTiers(params, "unit_amount", "price", keys);
    keys->Add("flat_at_zero", "true");  // so the vectors say
  } else if (model == "graduated_percentage") {
    AddTiers(params, "rate_percent", "percent", keys);
    keys->Add("flat_at_zero", "true");
  } else if (model == "package") {
    AddPackages(params, keys);
  } else if (model == "percentage") {
    return AddPercentage(params, keys);
  } else if (model == "time_rate") {
    AddTimeRate(params, keys);
    return true;
  } else if (model == "dynamic") {
    AddDynamic(params, keys);
  } else if (model == "stairstep") {
    AddSteps(params, dimension, keys);
  } else {
    params.NotHere("model " + model);
  }
  return false;
}

// A price and the commitment on it.
void AddCommitted(VectorParams& params, YamlKeys* keys) {
  keys->Add("price", params.RequiredDecimal("unit_amount"));
  const std::string type = params.Text("commit_type");
  YamlKeys commitment;
  if (!type.empty() && type != "amount" && type != "quantity") params.NotHere("commit_type " + type);
  if (!type.empty()) commitment.Add(type, params.RequiredDecimal("commit"));
  commitment.AddIf("overage_factor", params.Decimal("overage_factor"));
  commitment.Add("true_up", params.Bool("true_up", false) ? "true" : "false");
  if (!type.empty()) keys->Add("commitment", commitment.Text());
}

bool IsPriceModel(std::string_view model) {
  static const std::set<std::string_view> models = {
      "per_unit", "graduated",  "volume", "package",  "stairstep", "graduated_percentage",
      "dynamic",  "percentage", "matrix", "time_rate"};
  return models.contains(model);
}

// A level whose changes count from the beginning of their days on.
bool IsProratedSum(const VectorCase& vector) {
  const JsonTree* method = vector.params.Find("method");
  return vector.model == "proration" && method != nullptr && method->text == "day_prorated_sum";
}

// Each usage has units, which say its tiers, and prorated units, which are priced.
bool IsOfProratedTiers(const VectorCase& vector) {
  const JsonTree* method = vector.params.Find("method");
  return vector.model == "proration" && method != nullptr && method->text == "prorated_graduated";
}

// ---- One case.

class CaseTranslator {
 public:
  explicit CaseTranslator(const VectorCase& vector)
      : vector_(vector), case_(vector.all, &status_), params_(vector.params, &status_) {}

  absl::StatusOr<TranslatedCase> Translate() {
    for (const std::string_view known : {"id", "model", "params", "expected", "note", "path"}) case_.Take(known);
    RefuseUnknownModel();
    TakePeriod();
    TakeUsage();
    TakeExpected();
    TakeModel();
    params_.RefuseOthers();
    case_.RefuseOthers();
    if (!status_.ok()) return status_;
    if (into_.through.empty()) into_.through.assign(into_.usage.size(), Through(final_slice_));
    WriteCatalog();
    return std::move(into_);
  }

 private:
  struct Usage {
    std::string at;
    std::string quantity;
    std::vector<std::pair<std::string, std::string>> properties;
  };

  // Before its parameters are looked at: the name of a method says more than that of a parameter.
  void RefuseUnknownModel() {
    static const std::set<std::string_view> others = {
        "maximum",      "minimum",         "rerate",           "sum", "max", "latest", "rounding", "unique_count",
        "weighted_sum", "unit_conversion", "commitment_window"};
    if (IsPriceModel(vector_.model) || others.contains(vector_.model)) return;
    const JsonTree* method = vector_.params.Find("method");
    if (IsProratedSum(vector_) || IsOfProratedTiers(vector_)) return;
    if (vector_.model == "credits" && method == nullptr) return;
    params_.NotHere(method == nullptr ? "model " + vector_.model : "method " + method->text);
  }

  void TakePeriod() {
    const JsonTree* period = case_.Take("period");
    if (period == nullptr) return;
    if (vector_.model == "time_rate") return TakeDuration(*period);
    VectorParams ends(*period, &status_);
    const std::optional<Day> from = Midnight(ends.Text("from"));
    const std::optional<Day> to = Midnight(ends.Text("to"));
    ends.RefuseOthers();
    if (!from || !to) return params_.NotHere("period: not whole days");
    into_.period = {*from, *to};
    first_day_ = *from;
  }

  // The usage is one event that lasts for the period.
  void TakeDuration(const JsonTree& period) {
    VectorParams ends(period, &status_);
    const std::string from = ends.Text("from");
    const ParsedInstant start = ParseInstant(from), end = ParseInstant(ends.Text("to"));
    ends.RefuseOthers();
    if (start.error != TimeError::kNone || end.error != TimeError::kNone || end.instant < start.instant)
      return params_.Wrong("period", "no time and a later one");
    first_day_ = Zone().DayOf(start.instant);
    usage_.push_back({from, FormatDecimal(end.instant.nanos - start.instant.nanos, 9), {}});
  }

  static std::optional<Day> Midnight(std::string_view text) {
    const ParsedInstant parsed = ParseInstant(text);
    const Day day = Zone().DayOf(parsed.instant);
    if (parsed.error != TimeError::kNone || Zone().StartOf(day) != parsed.instant) return std::nullopt;
    return day;
  }

  void TakeUsage() {
    if (const std::optional<std::string> quantity = case_.Decimal("quantity"); quantity.has_value())
      usage_.push_back({"", *quantity, {}});
    const JsonTree* list = case_.TakeList("usage");
    if (list == nullptr) return;
    for (const JsonTree& item : list->items) {
      VectorParams one(item, &status_);
      Usage& usage = usage_.emplace_back();
      usage.at = one.Text("at");
      usage.quantity = one.RequiredDecimal(kValue);
      if (IsOfProratedTiers(vector_))
        usage.properties.emplace_back(kProratedValue, one.RequiredDecimal(kProratedValue));
      if (const JsonTree* properties = one.Take("properties"); properties != nullptr) {
        VectorParams each(*properties, &status_);
        for (const std::string& key : properties->keys) usage.properties.emplace_back(key, each.Text(key));
      }
      one.RefuseOthers();
    }
    // What has times and no period is of the month in which it begins.
    if (into_.period.has_value() || usage_.empty() || usage_.front().at.empty()) return;
    const ParsedInstant first = ParseInstant(usage_.front().at);
    if (first.error == TimeError::kNone) first_day_ = Zone().DayOf(first.instant);
  }

  void TakeExpected() {
    const std::string& key = vector_.expected.keys.front();
    if (key == "amounts") {
      into_.answer = TranslatedCase::Answer::kAmounts;
    } else if (key == "units") {
      into_.answer = TranslatedCase::Answer::kUnits;
    } else if (key != "amount") {
      params_.NotHere("expected " + key);
    }
  }

  void TakeModel() {
    const std::string& model = vector_.model;
    if (model == "matrix") {
      AddMatrix();
    } else if (IsPriceModel(model)) {
      keep_events_ = AddPrice(model, params_, OneProperty(), &charge_);
    } else if (model == "credits") {
      AddPrice("graduated", params_, "", &charge_);
      TakeCredits();
    } else if (model == "maximum") {
      AddPrice("per_unit", params_, "", &charge_);
    } else if (model == "commitment_window") {
      AddCommitmentWindows();
    } else if (model == "minimum") {
      return TrueUp();
    } else if (model == "rerate") {
      return Rerate();
    } else if (model == "sum" || model == "max" || model == "latest") {
      return Aggregate();
    } else if (model == "unique_count" || model == "weighted_sum" || IsProratedSum(vector_)) {
      return CarryOver();
    } else if (IsOfProratedTiers(vector_)) {
      keep_events_ = true;
      meter_.Add("prorated_value", kProratedValue);
      charge_.Add("model", params_.Text("method"));
      AddTiers(params_, "unit_amount", "price", &charge_);
    } else if (model == "unit_conversion") {
      into_.answer = TranslatedCase::Answer::kPriced;
      AddOneEach();
    } else if (model == "rounding") {
      return Round();
    }
    if (usage_.empty() && case_.Take("usage") == nullptr) params_.Wrong("quantity, usage", "missing");
    if (!IsRoundedAlready()) TakeRounding(params_);
    AddAround(params_);
    TakeSlice();
    WriteUsage();
  }

  void AddOneEach() {
    charge_.Add("model", "per_unit");
    charge_.Add("price", "1");
  }

  // Each usage is a window of its own.
  void AddCommitmentWindows() {
    const JsonTree* base = params_.Take("base");
    if (base == nullptr) return params_.Wrong("base", "missing");
    VectorParams of_base(*base, &status_);
    charge_.Add("model", "per_unit");
    AddCommitted(of_base, &charge_);
    of_base.RefuseOthers();
    YamlItems windows;
    const JsonTree* list = params_.TakeList("time_buckets");
    for (size_t i = 0; list != nullptr && i < list->items.size(); ++i) {
      VectorParams one(list->items[i], &status_);
      YamlKeys window;
      window.Add("from", InQuotes(one.Text("from")));
      window.Add("to", InQuotes(one.Text("to")));
      AddCommitted(one, &window);
      one.RefuseOthers();
      windows.Add(window.Text());
    }
    if (list != nullptr && !list->items.empty()) charge_.Add("bucket_windows", windows.Text());
    per_bucket_ = true;
  }

  void AddMatrix() {
    charge_.Add("model", "matrix");
    if (params_.Text("match") != "most_specific") params_.NotHere("match");
    YamlItems cells;
    const JsonTree* list = params_.TakeList("cells");
    for (size_t i = 0; list != nullptr && i < list->items.size(); ++i) {
      VectorParams params(list->items[i], &status_);
      YamlKeys cell, when;
      const JsonTree* conditions = params.Take("when");
      for (size_t j = 0; conditions != nullptr && j < conditions->keys.size(); ++j) {
        YamlItems values;
        for (const JsonTree& value : conditions->items[j].items) values.Add(InQuotes(value.text));
        when.Add(InQuotes(conditions->keys[j]), values.Text());
        dimensions_.insert(conditions->keys[j]);
      }
      cell.Add("when", when.Text());
      AddCellPrice(params, &cell);
      cells.Add(cell.Text());
    }
    charge_.Add("cells", cells.Text());
    if (const JsonTree* otherwise = params_.Take("default"); otherwise != nullptr) {
      VectorParams params(*otherwise, &status_);
      YamlKeys cell;
      AddCellPrice(params, &cell);
      charge_.Add("default", cell.Text());
    }
  }

  void AddCellPrice(VectorParams& params, YamlKeys* cell) {
    const std::string mode = params.Text("mode");
    keep_events_ = AddPrice(mode.empty() ? "per_unit" : mode, params, "", cell) || keep_events_;
    params.RefuseOthers();
  }

  // A minimum above what was billed for usage: the rest is due.
  void TrueUp() {
    if (const std::string method = params_.Text("method"); method != "true_up") params_.NotHere("method " + method);
    TakeActiveDays();
    const std::string billed = params_.RequiredDecimal("billed");
    AddOneEach();
    charge_.Add("minimum", params_.RequiredDecimal("minimum"));
    TakeRounding(params_);
    // What was billed is an amount of the currency here, so it is rounded first.
    const bool is_rounded = !into_.rounded || DecimalsOf(billed) <= currency_.minor_digits();
    if (!params_.Bool("round_billed_first", false) && !is_rounded) params_.NotHere("round_billed_first");
    usage_.push_back({"", billed, {}});
    into_.previous_quantity = Quantity();
    into_.previous_billed = WorthOf(billed);
    WriteUsage();
  }

  // The subscription is valid on some days of a period.
  void TakeActiveDays() {
    const Int128 active = params_.Attos("active_days").value_or(kOneUnit);
    const Int128 full = params_.Attos("full_days").value_or(kOneUnit);
    if (active == full) return;
    const bool are_days = active % kOneUnit == 0 && full % kOneUnit == 0 && active > 0 && active < full;
    if (!are_days || full > kCycleUnitsMax * kOneUnit) return params_.Wrong("active_days", "not days of full_days");
    const auto days = static_cast<int32_t>(full / kOneUnit);
    billing_ = "    billing_period: " + std::to_string(days) + " days\n    billing_anchor: subscription\n";
    valid_to_ = ToString(Day{first_day_.number + static_cast<int32_t>(active / kOneUnit)});
    into_.through = {Day{first_day_.number + days - 1}};
  }

  void Rerate() {
    const JsonTree* price = params_.Take("price");
    const JsonTree* snapshots = params_.TakeList("snapshots");
    if (price == nullptr || snapshots == nullptr) return params_.Wrong("price, snapshots", "missing");
    VectorParams params(*price, &status_);
    const std::string model = params.Text("model");
    keep_events_ = AddPrice(model, params, "", &charge_);
    if (model != "package") TakeRounding(params);
    AddAround(params);
    params.RefuseOthers();
    into_.previous_quantity = Quantity();
    into_.previous_billed = Worth();
    for (size_t i = 0; i < snapshots->items.size(); ++i) {
      const JsonTree one = {Kind::kMap, {}, {"snapshots"}, {snapshots->items[i]}};
      usage_ = {{"", VectorParams(one, &status_).RequiredDecimal("snapshots"), {}}};
      into_.through.push_back(Through(i + 1 == snapshots->items.size()));
      WriteUsage();
    }
  }

  void Aggregate() {
    aggregation_ = vector_.model;
    AddOneEach();
    if (const JsonTree* filter = params_.Take("filter"); filter != nullptr) {
      VectorParams each(*filter, &status_);
      YamlKeys keys;
      for (const std::string& key : filter->keys) {
        keys.Add(InQuotes(key), InQuotes(each.Text(key)));
        dimensions_.insert(key);
      }
      charge_.Add("filter", keys.Text());
    }
    if (vector_.model == "latest" && params_.Bool("floor_zero", false)) meter_.Add("floor_at_zero", "true");
    WriteUsage();
  }

  void AddMeterRounding(const std::string& mode, const std::string& places) {
    RefuseDirectedBelowZero(mode);
    meter_.Add("rounding", "{mode: " + mode + ", places: " + places + "}");
  }

  // What is there from before the period is usage of the day before.
  void CarryOver() {
    aggregation_ = vector_.model == "unique_count" ? "unique_count" : "weighted_sum";
    AddOneEach();
    if (!into_.period) return params_.Wrong("period", "missing");
    const std::string before = ToString(Zone().StartOf({first_day_.number - 1}));
    if (aggregation_ == "unique_count") {
      if (const std::string method = params_.Text("method"); method != "day_prorated")
        return params_.NotHere("method " + method);
      meter_.Add("operation", "operation");
      meter_.Add("proration", "day");
      const JsonTree* active = params_.TakeList("active_before");
      for (size_t i = 0; active != nullptr && i < active->items.size(); ++i)
        usage_.insert(usage_.begin(), {before, "1", {{"id", active->items[i].text}, {"operation", "add"}}});
    } else {
      if (IsProratedSum(vector_)) {
        (void)params_.Text("method");
        meter_.Add("proration", "day");
      }
      const std::string value_is = params_.Text("value_is");
      meter_.Add("value_is", value_is.empty() ? "delta" : value_is);
      usage_.insert(usage_.begin(), {before, params_.RequiredDecimal("initial"), {}});
    }
    const std::string places = params_.RequiredDecimal("round_places");
    meter_.Add("rounding", "{mode: " + params_.Text("rounding") + ", places: " + places + "}");
    TakePeriodOfDays();
    WriteUsage();
  }

  // The subscription is valid in the case's period, which may be a part of one of full_days.
  void TakePeriodOfDays() {
    const Int128 full = params_.Attos("full_days").value_or(DaysIn(*into_.period) * kOneUnit);
    if (full % kOneUnit != 0 || full < DaysIn(*into_.period) * kOneUnit || full > kCycleUnitsMax * kOneUnit)
      return params_.Wrong("full_days", "not days, or less than the period has");
    billing_ =
        "    billing_period: " + FormatDecimal(full, kQuantityScale) + " days\n    billing_anchor: subscription\n";
    valid_to_ = ToString(into_.period->end);
  }

  // Each is a grant that was there before, and the quote is of the whole month.
  void TakeCredits() {
    const JsonTree* credits = params_.TakeList("credits");
    if (credits == nullptr) return params_.Wrong("credits", "missing");
    for (const JsonTree& amount : credits->items) {
      grants_ += "credit-" + std::to_string(grants_.size()) + "," + std::string(kQuotedSubject) + "," + amount.text +
                 "," + std::string(currency_.code()) + ",credits," + ToString(first_day_) + "\n";
    }
    if (!into_.period) into_.period = MonthOf(first_day_);
  }

  // Of an amount, by the book; of units, as a conversion by one, or by the meter where a conversion cannot.
  void Round() {
    const std::string mode = params_.Text("mode");
    const std::string places = params_.RequiredDecimal("places");
    const std::string currency = params_.Text("currency");
    AddOneEach();
    if (into_.answer == TranslatedCase::Answer::kUnits) {
      if (IsNegative(places)) {
        AddMeterRounding(mode, places);
        return WriteUsage();
      }
      into_.answer = TranslatedCase::Answer::kPriced;
      charge_.Add("convert", "{multiply: 1, rounding: " + mode + ", places: " + places + "}");
    } else {
      SetRounding(mode, places, currency);
      if (params_.Bool("per_line", false)) EachItsOwnCharge();
    }
    WriteUsage();
  }

  void EachItsOwnCharge() {
    per_line_ = true;
    dimensions_.insert("line");
    for (size_t i = 0; i < usage_.size(); ++i) usage_[i].properties.emplace_back("line", std::to_string(i + 1));
  }

  // ---- What stands around any model.

  void TakeRounding(VectorParams& params) {
    const std::optional<std::string> places = params.Decimal("round_places");
    if (places.has_value()) return SetRounding(params.Text("rounding"), *places, "");
    const JsonTree* mode = vector_.params.Find("rounding");
    if (mode != nullptr && mode->text == "none") params.Take("rounding");
  }

  void SetRounding(const std::string& mode, const std::string& places, const std::string& currency) {
    static const std::map<std::string, std::string> with_digits = {
        {"0", "JPY"}, {"2", "USD"}, {"3", "BHD"}, {"4", "CLF"}};
    const auto any = with_digits.find(places);
    const std::optional<Currency> known =
        currency.empty() ? any == with_digits.end() ? std::nullopt : Currency::FromCode(any->second)
                         : Currency::FromCode(currency);
    if (!known.has_value())
      return params_.NotHere(currency.empty() ? "round_places " + places : "currency " + currency);
    currency_ = *known;
    if (std::to_string(currency_.minor_digits()) != places) params_.NotHere("places other than the currency's");
    RefuseDirectedBelowZero(mode);
    rounding_ = mode;
    into_.rounded = true;
  }

  // Up and down are away from zero and toward it in a catalog, and toward the infinities in the vectors.
  void RefuseDirectedBelowZero(const std::string& mode) {
    const bool is_directed = mode == "up" || mode == "down";
    if (is_directed && std::ranges::any_of(usage_, [](const Usage& one) { return IsNegative(one.quantity); }))
      params_.NotHere("rounding " + mode + " of what is negative");
    if (!is_directed && mode != "half_up" && mode != "half_even") params_.NotHere("rounding " + mode);
  }

  // Where each increment is rounded, and there is nothing finer, rounding their sum to as many places changes nothing.
  bool IsRoundedAlready() {
    if (vector_.model != "time_rate") return false;
    const std::optional<Int128> places = params_.Attos("round_places"), each = params_.Attos("increment_places");
    if (!places.has_value() || !each.has_value() || *places < *each) return false;
    const int fee_places = DecimalsOf(params_.Decimal("connect_fee").value_or("0"));
    return Quantity::Units(fee_places).attos <= *each && !params_.Text("rounding").empty();
  }

  void AddAround(VectorParams& params) {
    charge_.AddIf("included", params.Decimal("free_units"));
    charge_.AddIf("discount_percent", params.Decimal("discount_percent"));
    charge_.AddIf("maximum", params.Decimal("maximum"));
    charge_.AddIf("minimum", params.Decimal("minimum"));
    per_bucket_ = params.Bool("per_bucket", per_bucket_);
    if (per_bucket_) charge_.Add("per_bucket", "hour");
    if (usage_.size() > kBucketsMax && per_bucket_) params.NotHere("per_bucket: more buckets than a month has hours");
    if (const JsonTree* convert = params.Take("convert"); convert != nullptr) AddConvert(*convert);
  }

  void AddConvert(const JsonTree& tree) {
    VectorParams convert(tree, &status_);
    YamlKeys keys;
    const std::string operation = convert.Text("operation");
    if (operation != "multiply" && operation != "divide") convert.NotHere("operation " + operation);
    keys.Add(operation, convert.RequiredDecimal("factor"));
    const std::string rounding = convert.Text("rounding");
    const std::optional<std::string> places = convert.Decimal("places");
    if (!rounding.empty()) keys.Add("rounding", rounding);
    if (rounding != "none") keys.AddIf("places", places);
    convert.RefuseOthers();
    charge_.Add("convert", keys.Text());
  }

  void TakeSlice() {
    final_slice_ = params_.Bool("final_slice", true);
    if (const std::optional<Int128> attos = params_.Attos("previous_quantity"); attos.has_value())
      into_.previous_quantity = Quantity{*attos};
    if (const std::optional<std::string> billed = params_.Decimal("previous_billed"); billed.has_value())
      into_.previous_billed = WorthOf(*billed);
    // The whole usage, less what was billed of it.
    if (const std::optional<std::string> billed = params_.Decimal("already_billed"); billed.has_value()) {
      if (into_.previous_quantity.has_value() || into_.previous_billed.has_value()) params_.NotHere("already_billed");
      into_.previous_quantity = Quantity();
      into_.previous_billed = WorthOf(*billed);
      into_.not_below_zero = true;
    }
  }

  Day Through(bool complete) const { return {FirstOfNextMonth(first_day_).number - (complete ? 1 : 2)}; }

  static Worth WorthOf(const std::string& decimal) {
    return {Wide::Product(ParseDecimal(decimal, 18).value, kOneUnit)};
  }

  static int DecimalsOf(const std::string& decimal) {
    const std::string plain = FormatDecimal(ParseDecimal(decimal, 18).value, 18);
    const size_t point = plain.find('.');
    return point == std::string::npos ? 0 : static_cast<int>(plain.size() - point - 1);
  }

  // The property that all usage has, when it is the only one.
  std::string OneProperty() {
    if (usage_.empty() || usage_.front().properties.size() != 1) return "";
    const std::string& name = usage_.front().properties.front().first;
    const bool all = std::ranges::all_of(
        usage_, [&](const Usage& one) { return one.properties.size() == 1 && one.properties.front().first == name; });
    if (all) dimensions_.insert(name);
    return all ? name : "";
  }

  // ---- What it is written as.

  // Usage without a time: a second after the one before it, or in an hour of its own.
  void WriteUsage() {
    std::string lines;
    Instant at = Zone().StartOf(first_day_);
    for (size_t i = 0; i < usage_.size(); ++i) {
      const Usage& usage = usage_[i];
      has_negative_ = has_negative_ || IsNegative(usage.quantity);
      lines += "{\"id\":\"" + std::to_string(i + 1) + "\",\"source\":\"vectors\",\"type\":\"usage\",\"subject\":";
      AppendJsonString(kQuotedSubject, &lines);
      lines += ",\"time\":";
      AppendJsonString(usage.at.empty() ? ToString(at) : usage.at, &lines);
      lines += ",\"data\":{\"quantity\":";
      AppendJsonString(usage.quantity, &lines);
      for (const auto& [name, value] : usage.properties) {
        if (name == kValue) params_.NotHere("a property named quantity");
        lines += ',';
        AppendJsonString(name, &lines);
        lines += ':';
        AppendJsonString(value, &lines);
      }
      lines += "}}\n";
      at.nanos += (per_bucket_ ? int64_t{3600} : int64_t{1}) * 1'000'000'000;
    }
    into_.usage.push_back(std::move(lines));
  }

  std::string MeterText() const {
    YamlKeys meter;
    meter.Add("name", "usage");
    meter.Add("aggregation", aggregation_);
    meter.Add("value", aggregation_ == "unique_count" ? "id" : kValue);
    YamlItems names;
    for (const std::string& dimension : dimensions_) names.Add(InQuotes(dimension));
    if (!dimensions_.empty()) meter.Add("dimensions", names.Text());
    if (per_bucket_) meter.Add("granularity", "hour");
    // Changes of a level need no leave to be negative.
    if (has_negative_ && aggregation_ != "weighted_sum") meter.Add("allow_negative", "true");
    if (keep_events_) meter.Add("keep", "events");
    return "meters:\n  - " + meter.Text(meter_) + "\n";
  }

  std::string ChargeText(const std::string& name, const std::string& filter) const {
    const std::string price = charge_.Text();
    return "      - {name: " + name + ", meter: usage, product: usage, " + (filter.empty() ? "" : filter + ", ") +
           price.substr(1) + "\n";
  }

  std::string PlanText() const {
    std::string text =
        "plans:\n  - name: quoted\n    currency: " + std::string(currency_.code()) + "\n" + billing_ + "    charges:\n";
    if (!per_line_) return text + ChargeText("usage", "");
    for (size_t i = 1; i <= usage_.size(); ++i) {
      const std::string line = std::to_string(i);
      text += ChargeText("line-" + line, "filter: {line: \"" + line + "\"}");
    }
    return text;
  }

  void WriteCatalog() {
    const std::string currency(currency_.code());
    into_.catalog["book.yaml"] = "name: vectors\nzone: UTC\nrounding: " + rounding_ + "\n";
    into_.catalog["entities.yaml"] = "entities:\n  - {name: seller, functional_currency: " + currency + "}\n";
    into_.catalog["chart.yaml"] =
        "accounts:\n  - {code: \"1200\", name: Receivable, type: asset}\n"
        "  - {code: \"4000\", name: Revenue, type: revenue}\n";
    into_.catalog["meters.yaml"] = MeterText();
    into_.catalog["plans.yaml"] = PlanText();
    into_.catalog["posting.yaml"] = "posting:\n  - {debit: \"1200\", credit: \"4000\"}\n";
    if (!grants_.empty()) {
      into_.catalog["grants.csv"] = "grant,subscription,amount,currency,product,starts_on\n" + grants_;
    }
    into_.catalog["subscriptions.csv"] = "subscription,account,plan,entity,currency,valid_from,valid_to\n" +
                                         std::string(kQuotedSubject) + ",buyer,quoted,seller," + currency + "," +
                                         (valid_to_.empty() ? "1970-01-01" : ToString(first_day_)) + "," + valid_to_ +
                                         "\n";
  }

  const VectorCase& vector_;
  absl::Status status_;
  VectorParams case_;
  VectorParams params_;
  TranslatedCase into_;
  Day first_day_ = *ParseDay("2025-01-01");
  std::vector<Usage> usage_;
  YamlKeys charge_;
  YamlKeys meter_;  // what a model adds to it
  std::set<std::string> dimensions_;
  std::string aggregation_ = "sum";
  std::string rounding_ = "half_up";
  Currency currency_ = *Currency::FromCode("USD");
  bool final_slice_ = true;
  bool per_bucket_ = false;
  bool per_line_ = false;
  bool has_negative_ = false;
  bool keep_events_ = false;
  std::string grants_;    // rows of grants.csv
  std::string billing_;   // keys of the plan
  std::string valid_to_;  // of the subscription; empty: open
};

}  // namespace

absl::StatusOr<TranslatedCase> Translate(const VectorCase& vector) {
  // One answer is compared; of a second one nothing would be known.
  if (vector.expected.keys.size() > 1) return absl::UnimplementedError(Abs("expected " + vector.expected.keys[1]));
  if (IsOfLines(vector)) return TranslateLines(vector);
  if (IsOfUnitGrants(vector)) return TranslateUnitGrants(vector);
  const bool is_fee = vector.model == "proration" && !IsProratedSum(vector) && !IsOfProratedTiers(vector);
  return is_fee ? TranslateProration(vector) : CaseTranslator(vector).Translate();
}

}  // namespace tollbook
