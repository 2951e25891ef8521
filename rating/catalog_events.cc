#include "rating/catalog_events.h"

#include <algorithm>
#include <array>

#include "rating/catalog_clock.h"

namespace tollbook {
namespace {

constexpr std::array<std::pair<std::string_view, int64_t>, 4> kTimeUnits = {{
    {"millisecond", kSecondNanos / 1000},
    {"second", kSecondNanos},
    {"minute", 60 * kSecondNanos},
    {"hour", 3600 * kSecondNanos},
}};

std::optional<Price> ReadAmount(YamlMap& map, std::string_view key, FileErrors& errors) {
  return map.Find(key) == nullptr ? std::nullopt : ReadPrice(map, key, errors);
}

// A time in seconds; `otherwise` when it is absent or wrong.
int64_t ReadSeconds(YamlMap& map, std::string_view key, Sign sign, int64_t otherwise, FileErrors& errors) {
  const std::optional<Quantity> seconds = ReadQuantity(map, key, sign, errors);
  if (!seconds) return otherwise;
  constexpr Int128 kNano = kOneUnit / kSecondNanos;
  if (seconds->attos % kNano == 0 && seconds->attos / kNano <= kTimeNanosMax) {
    return static_cast<int64_t>(seconds->attos / kNano);
  }
  errors.Add(map.LineOf(key), Join({Quoted(key), " of ", map.what(), " is ", ToString(*seconds)}),
             "write seconds up to 1000000000, with at most 9 decimals");
  return otherwise;
}

TimeStep ReadOneRate(YamlMap& map, FileErrors& errors) {
  TimeStep step;
  if (map.Required("price") != nullptr) step.price = ReadPrice(map, "price", errors).value_or(Price());
  step.per_nanos = ReadSeconds(map, "per", Sign::kPositive, kSecondNanos, errors);
  step.increment_nanos = ReadSeconds(map, "increment", Sign::kPositive, kSecondNanos, errors);
  return step;
}

void RefuseBeside(YamlMap& map, std::string_view list, std::initializer_list<std::string_view> keys,
                  FileErrors& errors) {
  for (const std::string_view key : keys) {
    if (map.Find(key) == nullptr) continue;
    errors.Add(map.LineOf(key), Join({map.what(), " has ", Quoted(list), " and a ", Quoted(key)}),
               Join({"write the ", Quoted(key), " in each of the ", list, ", or leave them out"}));
  }
}

void ReadTimeSteps(YamlMap& map, std::vector<TimeStep>& steps, FileErrors& errors) {
  const std::span<const YamlNode> nodes = map.List("steps");
  for (size_t i = 0; i < nodes.size(); ++i) {
    YamlMap of_step(nodes[i], Join({"step ", std::to_string(i + 1), " of ", map.what()}), errors);
    const int64_t after = ReadSeconds(of_step, "after", Sign::kNotNegative, 0, errors);
    TimeStep step = ReadOneRate(of_step, errors);
    step.after_nanos = after;
    of_step.RefuseOtherKeys();
    if (i == 0 && after != 0) {
      errors.Add(of_step.LineOf("after"), Join({of_step.what(), " is not from the start"}),
                 "begin with a step that has no \"after\": the time before it would have no price");
    }
    if (i > 0 && of_step.ok() && after <= steps.back().after_nanos) {
      errors.Add(of_step.LineOf("after"), Join({of_step.what(), " is not after the step before it"}),
                 "order the steps by \"after\", which is in seconds");
    }
    steps.push_back(step);
  }
  if (steps.empty()) {
    errors.Add(map.LineOf("steps"), Join({map.what(), " has no step"}), "add at least `- {price: ...}`");
    steps.emplace_back();
  }
}

// What a window has, or a charge without windows.
void ReadRate(YamlMap& map, TimeWindow& window, FileErrors& errors) {
  window.line = map.line();
  window.connect_fee = ReadPrice(map, "connect_fee", errors).value_or(Price());
  if (map.Find("steps") == nullptr) {
    window.steps = {ReadOneRate(map, errors)};
  } else {
    RefuseBeside(map, "steps", {"price", "per", "increment"}, errors);
    ReadTimeSteps(map, window.steps, errors);
  }
}

void ReadWindows(YamlMap& map, TimeRate& time, FileErrors& errors) {
  RefuseBeside(map, "windows", {"price", "per", "increment", "connect_fee", "steps"}, errors);
  const std::span<const YamlNode> nodes = map.List("windows");
  std::vector<WrittenWindow> written;
  bool all_known = true;
  for (size_t i = 0; i < nodes.size(); ++i) {
    YamlMap of_window(nodes[i], Join({"window ", std::to_string(i + 1), " of ", map.what()}), errors);
    const std::optional<ClockWindow> when = ReadClockWindow(of_window, errors);
    TimeWindow window;
    ReadRate(of_window, window, errors);
    of_window.RefuseOtherKeys();
    all_known = all_known && when && of_window.ok();
    if (!when) continue;
    window.when = *when;
    written.push_back({*when, window.line});
    time.windows.push_back(std::move(window));
  }
  CheckOverlaps(written, map.what(), errors);
  if (all_known) CheckWholeWeek(written, map.what(), map.LineOf("windows"), errors);
}

void ReadIncrementRounding(YamlMap& charge, TimeRate& time, FileErrors& errors) {
  const YamlNode* node = charge.Find("increment_rounding");
  if (node == nullptr) return;
  YamlMap map(*node, Join({"\"increment_rounding\" of ", charge.what()}), errors);
  if (!map.ok()) return;
  time.increment_rounding = map.Choice<Rounding>("mode", kRoundings, Rounding::kHalfUp);
  if (map.Required("places") != nullptr) time.increment_places = ReadPlaces(map, "places", errors);
  map.RefuseOtherKeys();
}

void CheckIncrements(YamlMap& map, const TimeRate& time, FileErrors& errors) {
  for (const TimeWindow& window : time.windows) {
    for (const TimeStep& step : window.steps) {
      IncrementPrice price;
      if (PriceOfIncrement(time, step, &price)) continue;
      errors.Add(window.line, Join({"an increment of ", map.what(), " costs more than a price can be"}),
                 "lower the price or the increment, or raise \"per\"");
    }
  }
}

}  // namespace

void ReadTransactions(YamlMap& map, Pricing& pricing, FileErrors& errors) {
  if (const std::optional<Quantity> count = ReadQuantity(map, "free_transactions", Sign::kPositive, errors)) {
    const bool whole = count->attos % kOneUnit == 0 && *count <= Quantity::Units(INT64_MAX);
    if (whole) pricing.free_events = static_cast<uint64_t>(count->attos / kOneUnit);
    if (!whole) {
      errors.Add(map.LineOf("free_transactions"),
                 Join({"\"free_transactions\" of ", map.what(), " is ", ToString(*count)}),
                 "write a whole number of transactions");
    }
  }
  pricing.free_amount = ReadQuantity(map, "free_amount", Sign::kPositive, errors);
  pricing.min_per_event = ReadAmount(map, "min_per_transaction", errors);
  pricing.max_per_event = ReadAmount(map, "max_per_transaction", errors);
  if (pricing.min_per_event && pricing.max_per_event && pricing.min_per_event->attos > pricing.max_per_event->attos) {
    errors.Add(map.LineOf("min_per_transaction"),
               Join({"\"min_per_transaction\" of ", map.what(), " (", ToString(*pricing.min_per_event),
                     ") is above its \"max_per_transaction\" (", ToString(*pricing.max_per_event), ")"}),
               "lower the one or raise the other");
  }
}

void ReadTimeRate(YamlMap& map, Pricing& pricing, FileErrors& errors) {
  TimeRate& time = pricing.time;
  time.unit_nanos = map.Choice<int64_t>("unit", kTimeUnits, kSecondNanos);
  if (map.Find("windows") != nullptr) {
    ReadWindows(map, time, errors);
  } else {
    ReadRate(map, time.windows.emplace_back(), errors);
  }
  ReadIncrementRounding(map, time, errors);
  CheckIncrements(map, time, errors);
  pricing.max_per_event = ReadAmount(map, "max_per_event", errors);
}

void CheckKeepsEvents(YamlMap& map, const Meter* meter, const Pricing& pricing, FileErrors& errors) {
  if (!IsOfEvents(pricing) || meter == nullptr) return;
  if (meter->aggregation != Aggregation::kSum) {
    errors.Add(map.line(),
               Join({map.what(), " prices each event, and meter ", Quoted(meter->name), " is of aggregation ",
                     ToString(meter->aggregation)}),
               "use a meter of aggregation sum with `keep: events`");
  } else if (!meter->keep_events) {
    errors.Add(map.line(),
               Join({map.what(), " prices each event, and meter ", Quoted(meter->name), " does not keep them"}),
               "the meter needs `keep: events`; where a book has totals of it already, add another meter that has it");
  }
  if (pricing.model == ChargeModel::kProratedGraduated && meter->prorated_property.empty()) {
    errors.Add(map.line(), Join({map.what(), " prices prorated units, and meter ", Quoted(meter->name), " has none"}),
               "name their property in the meter: `prorated_value: prorated_units`");
  }
  if (pricing.model == ChargeModel::kTimeRate && meter->allow_negative) {
    errors.Add(map.line(),
               Join({map.what(), " prices time, and meter ", Quoted(meter->name), " allows negative values"}),
               "remove its allow_negative: a duration below zero has no price");
  }
}

}  // namespace tollbook
