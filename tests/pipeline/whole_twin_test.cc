// The whole flow against its twin: random catalogs and random usage, good and bad, through Absorb and Seal, against a
// plain reading of the rules with ordered maps and big rationals. TOLLBOOK_SEED=<number> repeats a run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <tuple>

#include "absl/time/civil_time.h"
#include "pipeline/absorb.h"
#include "pipeline/charges.h"
#include "pipeline/seal.h"
#include "pipeline/usage_reader.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/small_book.h"
#include "tests/rating/reference_rater.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

using testing::IsEmpty;

constexpr int kCases = 20;

class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}
  int UpTo(int most) { return static_cast<int>(random_() % static_cast<uint64_t>(most + 1)); }
  bool OneIn(int n) { return UpTo(n - 1) == 0; }
  template <typename List>
  const auto& Of(const List& list) {
    return *std::next(std::begin(list), UpTo(static_cast<int>(std::size(list)) - 1));
  }

 private:
  std::mt19937_64 random_;
};

// ----- random catalogs

constexpr const char* kAggregations[] = {"sum", "count", "max", "latest"};
constexpr const char* kZones[] = {"UTC", "Europe/Berlin", "America/New_York"};
constexpr const char* kPrices[] = {"0.005", "0.10", "1", "0.0333", "12.5", "0.000000001"};
constexpr const char* kModels[] = {"per_unit", "graduated", "volume", "package"};
constexpr const char* kSubjects[] = {"u0", "u1", "u2", "u3"};

// What may stand around a price, and the models that tests of tiers and packages do not have.
const std::string kAround[] = {"minimum: 2.5",
                               "maximum: 3",
                               "minimum: 1, maximum: 40, discount_percent: 12.5",
                               "discount_percent: 10",
                               "convert: {divide: 3}",
                               "convert: {multiply: 0.1, rounding: up}, per_bucket: day",
                               "convert: {divide: 7, rounding: half_even, places: 1}, minimum: 1",
                               "per_bucket: day, maximum: 20"};
struct OtherModel {
  const char* model;
  std::string keys;
};
constexpr int kOfNoDimension = 6;
const OtherModel kOtherModels[] = {
    {"stairstep", "steps: [{up_to: 3, price: 5}, {up_to: 150, price: 7.5}, {price: 9}]"},
    {"percentage", "percent: 2.9, fixed_per_transaction: 0.30"},
    {"percentage", "percent: 0.015, included: 50"},
    {"graduated_percentage", "tiers: [{up_to: 100, percent: 1, flat: 2}, {percent: 0.5, flat: 1}], flat_at_zero: true"},
    {"dynamic", "multiplier: 1.1, carried_digits: 2"},
    {"graduated", "tiers: [{up_to: 10, block_size: 3, price: 1}, {block_size: 100, price: 2, flat: 3}]"},
    {"stairstep", "limits_by: model, steps: [{limits: {large: 2, small: 100}, price: 5}, {price: 9}]"},
    {"matrix", "cells: [{when: {model: large}, price: 0.5}], default: {model: package, package_size: 2, price: 1}"},
    {"matrix",
     "included: 3, cells: [{when: {model: [large, huge]}, model: percentage, percent: 3, "
     "fixed_per_transaction: 0.01}, {when: {model: \"*\"}, price: 0.2}]"}};

// Of charges that price one quantity of the period. The plans differ in currency, so none continues in the other.
void AddAmendment(Dice& dice, CatalogTexts::Charge* charge) {
  for (const char* other : {"per_bucket", "commitment"}) {
    if (charge->more.find(other) != std::string::npos) return;
  }
  const auto add = [&](const char* more) { charge->more += (charge->more.empty() ? "" : ", ") + std::string(more); };
  if (dice.OneIn(3)) add("on_amendment: restart");
  if (!charge->included.empty() && dice.OneIn(2)) add("included_rollover: {max: 50, periods: 2}");
}

CatalogTexts::Charge RandomCharge(Dice& dice, const std::string& plan, const CatalogTexts::Meter& meter) {
  CatalogTexts::Charge charge;
  charge.plan = plan;
  charge.meter = meter.name;
  charge.name = meter.name;
  charge.product = dice.OneIn(2) ? "api" : "ai";
  charge.model = dice.Of(kModels);
  if (dice.OneIn(3)) charge.more = dice.Of(kAround);
  if (dice.OneIn(3)) {
    const bool has_dimension = !meter.dimensions.empty();
    const OtherModel& other = has_dimension ? dice.Of(kOtherModels) : kOtherModels[dice.UpTo(kOfNoDimension - 1)];
    charge.model = other.model;
    charge.more = other.keys + (charge.more.empty() ? "" : ", " + charge.more);
    return charge;
  }
  if (dice.OneIn(3)) charge.included = dice.OneIn(2) ? "100" : "0.5";
  AddAmendment(dice, &charge);
  if (charge.model == "per_unit" || charge.model == "package") {
    charge.price = dice.Of(kPrices);
    if (charge.model == "package") charge.package_size = dice.OneIn(2) ? "100" : "3";
    return charge;
  }
  charge.flat_at_zero = dice.OneIn(2);
  for (const char* up_to : {"3", "100", "200.5"}) {
    if (dice.OneIn(2)) charge.tiers.push_back({up_to, dice.Of(kPrices), dice.OneIn(2) ? "2.345" : ""});
  }
  charge.tiers.push_back({"", dice.Of(kPrices), dice.OneIn(3) ? "1" : ""});
  return charge;
}

void AddMeters(Dice& dice, bool one_zone, CatalogTexts* texts) {
  for (const char* name : {"calls", "seats", "tokens", "late"}) {
    CatalogTexts::Meter meter;
    meter.name = name;
    meter.aggregation = dice.Of(kAggregations);
    // Two meters of one type, now and then; the one that comes late has its own.
    const bool own_type = meter.name == "late" || dice.OneIn(2);
    meter.event_type = own_type ? meter.name : "shared";
    if (meter.aggregation != "count") {
      meter.value = "value";
      meter.allow_negative = dice.OneIn(3);
    }
    if (dice.OneIn(2)) meter.dimensions = {"model"};
    meter.granularity = one_zone && dice.OneIn(2) ? "day" : "hour";
    texts->meters.push_back(meter);
  }
}

const std::string kFees[] = {"due: arrears",           "proration: none", "once: true", "once: true, due: arrears",
                             "billing_period: 1 week", "due: advance"};
const std::string kBounds[] = {"", ", trial_days: 10", ", minimum: {amount: 20, product: fees}",
                               ", maximum: {amount: 30, product: fees}, trial_days: 3"};

void AddFee(Dice& dice, const std::string& plan, CatalogTexts* texts) {
  if (dice.OneIn(2)) return;
  CatalogTexts::Charge fee;
  fee.plan = plan;
  fee.name = "fee";
  fee.product = "fees";
  fee.model = "fee";
  fee.price = dice.Of(kPrices);
  fee.more = dice.Of(kFees);
  texts->charges.push_back(fee);
}

void AddPlans(Dice& dice, CatalogTexts* texts) {
  texts->plans = {{"starter", "USD", "billing_period: 1 month" + dice.Of(kBounds)},
                  {"pro", dice.OneIn(2) ? "JPY" : "BHD",
                   dice.OneIn(2) ? "" : "billing_period: 2 weeks, billing_anchor: subscription"}};
  for (const CatalogTexts::Plan& plan : texts->plans) {
    for (const CatalogTexts::Meter& meter : texts->meters) {
      if (meter.name != "calls" && dice.OneIn(5)) continue;  // usage that nothing prices
      texts->charges.push_back(RandomCharge(dice, plan.name, meter));
      if (meter.dimensions.empty() || dice.OneIn(2)) continue;
      CatalogTexts::Charge filtered = RandomCharge(dice, plan.name, meter);
      filtered.name += "-large";
      filtered.filter = {{"model", "large"}};
      texts->charges.push_back(filtered);
    }
    AddFee(dice, plan.name, texts);
  }
}

// Versions, changes of plan and gaps, one after the other.
void AddSubscriptions(Dice& dice, bool one_zone, CatalogTexts* texts) {
  for (const std::string subject : kSubjects) {
    std::map<std::string, std::pair<std::string, std::string>> of_id;  // entity and zone, which all versions share
    absl::CivilDay day(2024, 12, 20 + dice.UpTo(20));
    for (int left = 1 + dice.UpTo(2); left > 0; --left) {
      const std::string id = subject + (left > 1 ? "-first" : "-next");
      const auto [at, added] =
          of_id.try_emplace(id, dice.OneIn(2) ? "acme-us" : "acme-jp", one_zone ? texts->zone : dice.Of(kZones));
      const CatalogTexts::Plan& plan = dice.Of(texts->plans);
      CatalogTexts::Subscription subscription{
          id, plan.name, at->second.first, plan.currency, absl::FormatCivilTime(day), "", subject, at->second.second};
      day += 5 + dice.UpTo(40);
      if (left > 1 || dice.OneIn(3)) subscription.to = absl::FormatCivilTime(day);
      if (dice.OneIn(3)) day += 1 + dice.UpTo(5);
      texts->subscriptions.push_back(subscription);
    }
  }
}

CatalogTexts RandomTexts(Dice& dice) {
  CatalogTexts texts;
  const bool one_zone = dice.OneIn(2);
  texts.zone = dice.Of(kZones);
  texts.rounding = dice.Of(std::vector<const char*>{"half_up", "half_even", "up", "down"});
  texts.entities = {{"acme-us", "USD", ""}, {"acme-jp", "JPY", ""}};
  texts.postings = {{"", "", "1200", "4000", dice.OneIn(3)}, {"api", "acme-us", "1300", "4100", dice.OneIn(2)}};
  AddMeters(dice, one_zone, &texts);
  AddPlans(dice, &texts);
  const bool api_is_sold = std::any_of(texts.charges.begin(), texts.charges.end(),
                                       [](const CatalogTexts::Charge& c) { return c.product == "api"; });
  if (!api_is_sold) texts.postings.pop_back();
  AddSubscriptions(dice, one_zone, &texts);
  return texts;
}

// The catalog before its last changes: a meter is not known yet, a subject has no subscription, a price is wrong.
CatalogTexts Earlier(Dice& dice, CatalogTexts texts) {
  std::erase_if(texts.meters, [](const auto& meter) { return meter.name == "late"; });
  std::erase_if(texts.charges, [](const auto& charge) { return charge.meter == "late"; });
  std::erase_if(texts.subscriptions, [](const auto& s) { return s.subject == kSubjects[0]; });
  for (CatalogTexts::Charge& charge : texts.charges) {
    if (!charge.price.empty() && dice.OneIn(2)) charge.price = dice.Of(kPrices);
    const bool other_included = charge.meter.empty() || charge.more.find("included") != std::string::npos ||
                                charge.more.starts_with("limits_by");
    if (dice.OneIn(4) && !other_included) charge.included = charge.included.empty() ? "7" : "";
  }
  const bool api_is_sold = std::any_of(texts.charges.begin(), texts.charges.end(),
                                       [](const CatalogTexts::Charge& c) { return c.product == "api"; });
  if (!api_is_sold) std::erase_if(texts.postings, [](const auto& p) { return p.product == "api"; });
  return texts;
}

// ----- random usage

struct Value {
  const char* text;
  int64_t nanos;
};
constexpr Value kValues[] = {{"0", 0},
                             {"1", 1'000'000'000},
                             {"1.0", 1'000'000'000},
                             {"2.5", 2'500'000'000},
                             {"100", 100'000'000'000},
                             {"1e2", 100'000'000'000},
                             {"101", 101'000'000'000},
                             {"0.000000001", 1},
                             {"-3", -3'000'000'000}};

struct Line {
  bool malformed = false;
  EventText event;
  int64_t seconds = 0;  // of its time
  const Value* value = nullptr;
  std::string model;
  // Of a correction: what it names, as it restates that. A void's is its own content.
  std::shared_ptr<const Line> original;
  bool is_void = false;
};

std::string Member(const char* name, const std::string& text) {
  return "\"" + std::string(name) + "\":\"" + text + "\",";
}

// What was other in the original. Whatever else is told does no harm.
std::string OriginalText(const Line& line) {
  const EventText& was = line.original->event;
  std::string text;
  if (was.type != line.event.type) text += Member("type", was.type);
  if (was.subject != line.event.subject) text += Member("subject", was.subject);
  if (was.time != line.event.time) text += Member("time", was.time);
  const std::string json = ToJson(was);
  return "{" + text + json.substr(json.find("\"data\":"));
}

std::string Text(const Line& line) {
  if (line.malformed) return "{\"id\":";
  std::string text = ToJson(line.event);
  if (line.original == nullptr) return text;
  text.back() = ',';
  text += Member(line.is_void ? "voids" : "corrects", line.original->event.id);
  if (!line.is_void) text += "\"original\":" + OriginalText(line) + ",";
  text.back() = '}';
  return text;
}

void SetTime(int64_t seconds, Line* line) {
  line->seconds = seconds;
  line->event.time =
      std::string(absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixSeconds(seconds), absl::UTCTimeZone()));
}
void SetValue(const Value* value, Line* line) {
  line->value = value;
  line->event.value = value == nullptr ? "" : value->text;
}
void SetModel(const std::string& model, Line* line) {
  line->model = model;
  line->event.labels.clear();
  if (!model.empty()) line->event.labels = {{"model", model}};
}

Line FreshLine(Dice& dice, int number) {
  Line line;
  line.event.id = std::to_string(number / 2);
  line.event.source = number % 2 == 0 ? "a" : "b";
  line.event.type = dice.Of(std::vector<const char*>{"calls", "seats", "tokens", "shared", "late", "late"});
  if (dice.OneIn(30)) line.event.type = "nobody-knows";
  line.event.subject = dice.OneIn(15) ? "nobody" : dice.Of(kSubjects);
  // January to March 2025, often at the change of a day in one of the zones.
  const int64_t start = 1735689600;
  SetTime(start + dice.UpTo(90 * 24) * 3600 - dice.UpTo(2), &line);
  SetValue(dice.OneIn(25) ? nullptr : &dice.Of(kValues), &line);
  SetModel(dice.Of(std::vector<const char*>{"", "large", "small"}), &line);
  return line;
}

// The same id with something else in it, or only written otherwise, or the same.
Line SentAgain(Dice& dice, Line line) {
  switch (dice.UpTo(7)) {
    case 0:
      SetTime(line.seconds + 1, &line);
      break;
    case 1:
      line.event.subject = dice.Of(kSubjects);
      break;
    case 2:
      SetValue(&dice.Of(kValues), &line);
      break;
    case 3:
      SetModel("large", &line);
      break;
    case 4:
      SetModel(line.model, &line);
      line.event.labels.emplace_back("note", "again");
      break;
    default:
      break;
  }
  return line;
}

// One that says what another line, or what another correction, should have said; mostly it restates that rightly.
Line CorrectionOf(Dice& dice, const Line& named, int number) {
  Line original = named;
  original.original = nullptr;
  original.is_void = false;
  if (dice.OneIn(8)) original = SentAgain(dice, original);
  original.event.source = named.event.source;
  Line line = original;
  line.is_void = dice.OneIn(3);
  for (int changes = line.is_void ? 0 : 1 + dice.UpTo(2); changes > 0; --changes) line = SentAgain(dice, line);
  if (!line.is_void && dice.OneIn(10)) line.event.type = "calls";
  line.event.id = "c" + std::to_string(number);
  if (dice.OneIn(15)) line.event.id = std::to_string(dice.UpTo(10));  // another's, perhaps
  line.original = std::make_shared<const Line>(original);
  return line;
}

Line CorrectionSentAgain(Dice& dice, const Line& correction) {
  Line line = SentAgain(dice, correction);
  if (!line.is_void) return line;
  Line original = line;
  original.event.id = correction.original->event.id;
  original.original = nullptr;
  original.is_void = false;
  line.original = std::make_shared<const Line>(original);
  return line;
}

std::vector<Line> RandomLines(Dice& dice) {
  std::vector<Line> lines;
  const bool corrects = dice.OneIn(2);
  for (int i = 20 + dice.UpTo(60); i > 0; --i) {
    if (dice.OneIn(25)) {
      lines.push_back({});
      lines.back().malformed = true;
    } else if (const Line* named = lines.empty() ? nullptr : &dice.Of(lines);
               corrects && named != nullptr && !named->malformed && dice.OneIn(3)) {
      const Line line = dice.OneIn(5) && named->original != nullptr
                            ? CorrectionSentAgain(dice, *named)
                            : CorrectionOf(dice, *named, static_cast<int>(lines.size()));
      if (line.event.id == line.original->event.id) continue;  // it cannot name itself
      const int behind = dice.OneIn(4) ? dice.UpTo(static_cast<int>(lines.size())) : static_cast<int>(lines.size());
      lines.insert(lines.begin() + behind, line);
    } else if (!lines.empty() && dice.OneIn(4)) {
      const Line again = dice.Of(lines);
      if (again.original == nullptr) lines.push_back(SentAgain(dice, again));
    } else {
      lines.push_back(FreshLine(dice, static_cast<int>(lines.size())));
    }
  }
  return lines;
}

// ----- the twin: the rules, one line of input after the other

class Twin {
 public:
  void Read(const Line& line, const CatalogTexts& catalog) {
    ++counts.lines;
    Judge(line, catalog);
  }
  void Retry(const CatalogTexts& catalog) {
    const std::vector<Line> held = std::exchange(held_, {});
    counts.held -= held.size();
    for (const Line& line : held) Judge(line, catalog);
    Correct(catalog);
  }
  // At the end of an absorb. Whatever is applied may be what one before it waits for.
  void Correct(const CatalogTexts& catalog) {
    for (size_t i = 0; i < corrections_.size();) {
      const Line line = corrections_[i];
      uint64_t* const ended = CorrectOne(line, catalog);
      if (ended == &counts.held) {
        ++i;
        continue;
      }
      --counts.held;
      ++*ended;
      corrections_.erase(corrections_.begin() + static_cast<std::ptrdiff_t>(i));
      if (ended == &counts.accepted) {
        ++corrected;
        i = 0;
      }
    }
  }
  std::map<std::string, std::vector<SubjectTotal>> Totals(const Catalog& catalog) const;

  LineCounts counts;
  uint64_t corrected = 0;

 private:
  using Content = std::tuple<std::string, std::string, int64_t, int64_t, std::string>;
  struct Cell {
    std::string subject, meter, model;
    int32_t bucket;
    friend auto operator<=>(const Cell&, const Cell&) = default;
  };
  // Its events, as they stand: times, where the meter needs them, and values.
  using Total = std::multiset<std::pair<int64_t, int64_t>>;

  using Identity = std::pair<std::string, std::string>;
  using Meters = std::vector<const CatalogTexts::Meter*>;

  static Identity IdentityOf(const Line& line) { return {line.event.source, line.event.id}; }
  static Meters MetersOf(const Line& line, const CatalogTexts& catalog);
  // Which count the line would end in, but for others of its identity; and its content.
  uint64_t* Measure(const Line& line, const Meters& meters, Content* content);
  void Judge(const Line& line, const CatalogTexts& catalog);
  uint64_t* CorrectOne(const Line& line, const CatalogTexts& catalog);
  void Count(const Line& line, const CatalogTexts::Meter& meter, const std::string& book_zone, int sign);

  std::map<Identity, Content> seen_;
  std::map<Identity, Identity> corrected_by_;
  std::vector<Line> held_;
  std::vector<Line> corrections_;  // that wait
  std::map<Cell, Total> totals_;
  mutable std::deque<std::string_view> models_;  // what the totals that were given point to
};

Twin::Meters Twin::MetersOf(const Line& line, const CatalogTexts& catalog) {
  Meters meters;
  for (const CatalogTexts::Meter& meter : catalog.meters) {
    if (meter.event_type == line.event.type) meters.push_back(&meter);
  }
  return meters;
}

uint64_t* Twin::Measure(const Line& line, const Meters& meters, Content* content) {
  bool takes_value = false, takes_model = false, refuses_negative = false;
  for (const CatalogTexts::Meter* meter : meters) {
    takes_value |= meter->aggregation != "count";
    takes_model |= !meter->dimensions.empty();
    refuses_negative |= meter->aggregation != "count" && !meter->allow_negative;
  }
  if (meters.empty()) return &counts.held;
  if (takes_value && (line.value == nullptr || (refuses_negative && line.value->nanos < 0))) return &counts.rejected;
  *content = {line.event.subject, line.event.type, line.seconds, takes_value ? line.value->nanos : 0,
              takes_model ? line.model : ""};
  return &counts.accepted;
}

void Twin::Judge(const Line& line, const CatalogTexts& catalog) {
  if (line.malformed) {
    ++counts.rejected;
    return;
  }
  Content content;
  uint64_t* ended = &counts.accepted;
  if (line.original != nullptr) ended = Measure(*line.original, MetersOf(*line.original, catalog), &content);
  const Meters meters = MetersOf(line, catalog);
  if (ended == &counts.accepted) ended = Measure(line, meters, &content);
  if (ended == &counts.accepted && line.original != nullptr) {
    ++counts.held;
    corrections_.push_back(line);
    return;
  }
  if (ended == &counts.accepted) {
    const auto [first, fresh] = seen_.try_emplace(IdentityOf(line), content);
    if (!fresh) ended = first->second == content ? &counts.duplicate : &counts.conflict;
  }
  ++*ended;
  if (ended == &counts.held) held_.push_back(line);
  if (ended != &counts.accepted) return;
  for (const CatalogTexts::Meter* meter : meters) Count(line, *meter, catalog.zone, 1);
}

uint64_t* Twin::CorrectOne(const Line& line, const CatalogTexts& catalog) {
  const Line& original = *line.original;
  const Meters before = MetersOf(original, catalog), after = line.is_void ? Meters() : MetersOf(line, catalog);
  Content restated, own;
  Measure(original, before, &restated);
  Measure(line, MetersOf(line, catalog), &own);
  if (line.is_void) std::get<1>(own) += ", void";
  const auto there = seen_.find(IdentityOf(line));
  const auto claim = corrected_by_.find(IdentityOf(original));
  const auto named = seen_.find(IdentityOf(original));
  if (there != seen_.end()) {
    const bool same = there->second == own && claim != corrected_by_.end() && claim->second == IdentityOf(line);
    return same ? &counts.duplicate : &counts.conflict;
  }
  if (named == seen_.end()) return &counts.held;
  if (named->second != restated || claim != corrected_by_.end()) return &counts.conflict;
  const auto is_alike = [&](const CatalogTexts::Meter* meter) {
    return !line.is_void && original.event.type == line.event.type && original.event.subject == line.event.subject &&
           original.seconds == line.seconds &&
           (meter->aggregation == "count" || original.value->nanos == line.value->nanos) &&
           (meter->dimensions.empty() || original.model == line.model);
  };
  seen_[IdentityOf(line)] = own;
  corrected_by_[IdentityOf(original)] = IdentityOf(line);
  for (const CatalogTexts::Meter* meter : before) {
    if (!is_alike(meter)) Count(original, *meter, catalog.zone, -1);
  }
  for (const CatalogTexts::Meter* meter : after) {
    if (!is_alike(meter)) Count(line, *meter, catalog.zone, 1);
  }
  return &counts.accepted;
}

void Twin::Count(const Line& line, const CatalogTexts::Meter& meter, const std::string& book_zone, int sign) {
  absl::TimeZone zone;
  if (!absl::LoadTimeZone(book_zone, &zone)) std::abort();
  const absl::CivilDay day(absl::ToCivilDay(absl::FromUnixSeconds(line.seconds), zone));
  const int64_t bucket = meter.granularity == "day" ? day - absl::CivilDay(1970, 1, 1) : line.seconds / 3600;
  Total& total = totals_[{line.event.subject, meter.name, meter.dimensions.empty() ? "" : line.model,
                          static_cast<int32_t>(bucket)}];
  const int64_t value = meter.aggregation == "count" ? 1'000'000'000 : line.value->nanos;
  const auto event = std::make_pair(meter.aggregation == "latest" ? line.seconds : 0, value);
  if (sign > 0) {
    total.insert(event);
  } else {
    total.erase(total.find(event));
  }
}

std::map<std::string, std::vector<SubjectTotal>> Twin::Totals(const Catalog& catalog) const {
  std::map<std::string, std::vector<SubjectTotal>> totals;
  for (const auto& [cell, total] : totals_) {
    if (total.empty()) continue;  // all voided
    SubjectTotal of_subject;
    of_subject.meter = catalog.FindMeter(cell.meter);
    if (!of_subject.meter->dimensions.empty())
      of_subject.dimension_values = std::span(&models_.emplace_back(cell.model), 1);
    of_subject.bucket = {cell.bucket};
    const bool keeps_one =
        of_subject.meter->aggregation == Aggregation::kMax || of_subject.meter->aggregation == Aggregation::kLatest;
    const auto& [latest_seconds, largest] = *total.rbegin();
    int64_t nanos = keeps_one ? largest : 0;
    for (const auto& [seconds, value] : total) nanos += keeps_one ? 0 : value;
    of_subject.total = {{static_cast<Int128>(nanos) * 1'000'000'000}, total.size(), {latest_seconds * 1'000'000'000}};
    totals[cell.subject].push_back(std::move(of_subject));
  }
  return totals;
}

// What the book should say in the end, each as text so that a difference can be read.
struct Expected {
  std::vector<std::string> charges;                   // sorted
  std::map<std::string, reference::Integer> journal;  // entity, currency, date, product -> minor units; none zero
  uint64_t unattributed = 0, unpriced = 0;
};

std::string ChargeText(const std::string& subscription, const std::string& plan, const std::string& charge,
                       const std::string& from, const std::string& booked, const reference::Rational& quantity,
                       const reference::Rational& exact, uint64_t events) {
  return subscription + " " + plan + " " + charge + " " + from + ": quantity " + quantity.str() + ", exact " +
         exact.str() + ", booked " + booked + ", " + std::to_string(events) + " events";
}

// `named`: the furthest day that a seal of the book was given.
Expected ExpectedOf(const Twin& twin, const Catalog& catalog, std::optional<Day> named) {
  Expected expected;
  std::map<std::string, std::vector<SubjectTotal>> subjects = twin.Totals(catalog);
  for (const Subscription& subscription : catalog.subscriptions) subjects[std::string(subscription.subject)];
  for (const auto& [subject, totals] : subjects) {
    const reference::Subject rated = reference::Rate(catalog, subject, totals, std::nullopt, named);
    // An event counts once, however many meters its type feeds: the one that has most of them has them all.
    std::map<std::pair<std::string, int64_t>, uint64_t> unattributed;
    for (const auto& [unrated, events] : rated.unrated) {
      if (unrated.why == UnratedUsage::Why::kUnpriced) {
        expected.unpriced += events;
        continue;
      }
      uint64_t& most = unattributed[{catalog.FindMeter(unrated.meter)->event_type, unrated.day}];
      most = std::max(most, events);
    }
    for (const auto& [place, events] : unattributed) expected.unattributed += events;
    for (const auto& [line, days] : rated.lines) {
      const reference::WorthToDate& end = days.rbegin()->second;
      const bool is_timed = line.charge == "fee" || line.charge == "minimum" || line.charge == "maximum";
      const bool is_nothing = end.events == 0 && end.booked == 0 && (!is_timed || end.worth == 0);
      if (!is_nothing)
        expected.charges.push_back(ChargeText(line.subscription, line.plan, line.charge, line.from, end.booked.str(),
                                              end.quantity, end.worth, end.events));
      const auto subscription = std::find_if(catalog.subscriptions.begin(), catalog.subscriptions.end(),
                                             [&, id = line.subscription](const auto& s) { return s.id == id; });
      const auto plan = std::find_if(catalog.plans.begin(), catalog.plans.end(),
                                     [&, name = line.plan](const auto& p) { return p.name == name; });
      const auto charge = std::find_if(plan->charges.begin(), plan->charges.end(),
                                       [&, name = line.charge](const auto& c) { return c.name == name; });
      const std::string& entity = catalog.entities[subscription->entity].name;
      const bool by_period = catalog.PostingOf(*subscription, *charge)->summary == SummaryPolicy::kPeriod;
      reference::Integer before = 0;
      for (const auto& [day, to_date] : days) {
        absl::CivilDay date = absl::CivilDay(1970, 1, 1) + day;
        if (by_period) date = absl::CivilDay(1970, 1, 1) + line.last;
        expected.journal[entity + " " + std::string(plan->currency.code()) + " " + absl::FormatCivilTime(date) + " " +
                         charge->product] += to_date.booked - before;
        before = to_date.booked;
      }
    }
  }
  std::sort(expected.charges.begin(), expected.charges.end());
  std::erase_if(expected.journal, [](const auto& entry) { return entry.second == 0; });
  return expected;
}

void ExpectBook(const Book& book, const Catalog& catalog, const Twin& twin, const SealReport& last) {
  std::optional<Day> named;
  const absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  ASSERT_TRUE(seals.ok()) << seals.status();
  for (const SealRecord& seal : *seals) named = std::max(named, seal.through);
  const Expected expected = ExpectedOf(twin, catalog, named);
  ASSERT_EQ(book.counts(), twin.counts) << book.counts().accepted << " accepted, not " << twin.counts.accepted << "; "
                                        << book.counts().duplicate << " duplicate, not " << twin.counts.duplicate
                                        << "; " << book.counts().held << " held, not " << twin.counts.held;
  const absl::StatusOr<std::vector<ChargeRow>> rows = Charges(book, catalog, {}, 2);
  ASSERT_TRUE(rows.ok()) << rows.status();
  std::vector<std::string> charges;
  for (const ChargeRow& row : *rows) {
    charges.push_back(ChargeText(row.subscription, row.plan, row.charge, ToString(row.period.start),
                                 FormatDecimal(row.booked.minor, 0), reference::Exact(row.quantity),
                                 reference::Exact(row.exact), row.events));
  }
  std::sort(charges.begin(), charges.end());
  ASSERT_EQ(charges, expected.charges);

  const absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
  ASSERT_TRUE(batches.ok()) << batches.status();
  std::map<std::string, reference::Integer> journal;
  for (const JournalBatch& batch : *batches) {
    for (const JournalLine& line : batch.lines) {
      journal[batch.entity + " " + std::string(batch.currency.code()) + " " + ToString(line.key.posting_date) + " " +
              line.key.product] += reference::Integer(FormatDecimal(line.minor, 0));
    }
  }
  std::erase_if(journal, [](const auto& entry) { return entry.second == 0; });
  ASSERT_EQ(journal, expected.journal);
  ASSERT_EQ(last.unattributed_events, expected.unattributed);
  ASSERT_EQ(last.unpriced_events, expected.unpriced);
  ASSERT_THAT(WhatIsWrong(book), IsEmpty());
}

// ----- the flow, in pieces

AbsorbOptions RandomPieces(Dice& dice) {
  AbsorbOptions options;
  options.threads = 1 + dice.UpTo(3);
  if (dice.OneIn(4)) return options;
  options.epoch_bytes = static_cast<uint64_t>(1 + dice.UpTo(3000));
  options.block_bytes = static_cast<size_t>(1 + dice.UpTo(1000));
  options.round_bytes = static_cast<uint64_t>(1 + dice.UpTo(2000));
  return options;
}

// Runs of lines; each is a file.
std::vector<std::vector<Line>> CutIntoFiles(Dice& dice, const std::vector<Line>& lines) {
  std::vector<std::vector<Line>> files(1);
  for (const Line& line : lines) {
    if (dice.OneIn(15)) files.emplace_back();
    files.back().push_back(line);
  }
  return files;
}

std::string Write(const SmallBook& book, size_t number, const std::vector<Line>& lines) {
  std::string content(number, '\n');  // no two files are the same
  for (const Line& line : lines) content += Text(line) + "\n";
  const std::string name = "usage-" + std::to_string(number) + ".ndjson";
  if (number % 3 == 1) return book.Write(name + ".gz", Gzip(content));
  return book.Write(name, content);
}

// Seals, restarts and a change of the catalog in between.
void RunInSteps(Dice& dice, const std::vector<Line>& lines, const CatalogTexts& early_texts, const CatalogTexts& texts,
                const Catalog& early, const Catalog& catalog) {
  SmallBook book(texts.zone, static_cast<uint64_t>(dice.UpTo(1 << 20)));
  Twin twin;
  const std::vector<std::vector<Line>> files = CutIntoFiles(dice, lines);
  const int changes_at = dice.UpTo(static_cast<int>(files.size()));
  for (size_t i = 0; i < files.size(); ++i) {
    const bool changed = static_cast<int>(i) >= changes_at;
    for (const Line& line : files[i]) twin.Read(line, changed ? texts : early_texts);
    twin.Correct(changed ? texts : early_texts);
    const absl::StatusOr<AbsorbReport> report =
        Absorb(*book, changed ? catalog : early, Inputs({Write(book, i, files[i])}), RandomPieces(dice));
    ASSERT_TRUE(report.ok()) << report.status();
    if (dice.OneIn(2)) {
      SealOptions sealing{1 + dice.UpTo(3), std::nullopt};
      if (dice.OneIn(2)) sealing.through = Day{20'089 + dice.UpTo(90)};  // 2025-01-01 and on
      ASSERT_TRUE(Seal(*book, changed ? catalog : early, sealing).ok());
      ASSERT_THAT(BrokenLaws(*book), IsEmpty());
    }
    if (dice.OneIn(3)) book.Reopen();
  }
  twin.Retry(texts);
  ASSERT_TRUE(RetryHeld(*book, catalog, RandomPieces(dice)).ok());
  const absl::StatusOr<SealReport> sealed = Seal(*book, catalog, {});
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  ASSERT_NO_FATAL_FAILURE(ExpectBook(*book, catalog, twin, *sealed));
  const absl::StatusOr<SealReport> again = Seal(*book, catalog, {});
  ASSERT_TRUE(again.ok() && again->seal == 0) << "a second seal books something";
}

// The same usage without a book: what a quote of it prices.
void ExpectRead(const InputList& inputs, const Catalog& catalog, const Twin& twin) {
  UsageReader reader(catalog);
  for (const InputFile& file : inputs.files) ASSERT_TRUE(reader.Read(file).ok());
  ASSERT_TRUE(reader.Finish().ok());
  ASSERT_EQ(reader.counts(), twin.counts);
  ASSERT_EQ(reader.corrections(), twin.corrected);
  const auto texts = [](const std::vector<SubjectTotal>& totals) {
    std::vector<std::string> sorted;
    for (const SubjectTotal& total : totals) {
      std::string& text = sorted.emplace_back(total.meter->name);
      for (const std::string_view value : total.dimension_values) text.append(" ").append(value);
      text += " " + std::to_string(total.bucket.number) + ": " + ToString(total.total.value) + " of " +
              std::to_string(total.total.events) + " at " + ToString(total.total.latest_at);
    }
    std::sort(sorted.begin(), sorted.end());
    return sorted;
  };
  const std::map<std::string, std::vector<SubjectTotal>> expected = twin.Totals(catalog);
  ASSERT_EQ(reader.subjects().size(), expected.size());
  for (const auto& [subject, totals] : expected) ASSERT_EQ(texts(reader.TotalsOf(subject)), texts(totals)) << subject;
}

// Everything, then one seal; the journal's bytes.
void RunAtOnce(Dice& dice, const std::vector<Line>& lines, const CatalogTexts& texts, const Catalog& catalog,
               std::string* journal, uint64_t* corrected) {
  SmallBook book(texts.zone, static_cast<uint64_t>(dice.UpTo(1 << 20)));
  Twin twin;
  for (const Line& line : lines) twin.Read(line, texts);
  twin.Correct(texts);
  *corrected += twin.corrected;
  const std::vector<std::vector<Line>> files = CutIntoFiles(dice, lines);
  std::vector<std::string> paths;
  for (size_t i = 0; i < files.size(); ++i) paths.push_back(Write(book, i, files[i]));
  ASSERT_NO_FATAL_FAILURE(ExpectRead(Inputs(paths), catalog, twin));
  const absl::StatusOr<AbsorbReport> report = Absorb(*book, catalog, Inputs(paths), RandomPieces(dice));
  ASSERT_TRUE(report.ok()) << report.status();
  const absl::StatusOr<SealReport> sealed = Seal(*book, catalog, {1 + dice.UpTo(3), std::nullopt});
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  ASSERT_NO_FATAL_FAILURE(ExpectBook(*book, catalog, twin, *sealed));
  *journal = JournalBytes(*book);
}

TEST(WholeTwin, BooksWhatTheRulesSayHoweverItIsCut) {
  const uint64_t seed = TestSeed();
  uint64_t with_journal = 0, corrected = 0;
  for (int i = 0; i < kCases; ++i) {
    SCOPED_TRACE("case " + std::to_string(i) + " of TOLLBOOK_SEED=" + std::to_string(seed));
    Dice dice(seed + static_cast<uint64_t>(i) * 1'000'003);
    const CatalogTexts texts = RandomTexts(dice);
    const CatalogTexts early_texts = Earlier(dice, texts);
    const absl::StatusOr<Catalog> catalog = Parse(texts), early = Parse(early_texts);
    ASSERT_TRUE(catalog.ok()) << catalog.status();
    ASSERT_TRUE(early.ok()) << early.status();
    const std::vector<Line> lines = RandomLines(dice);
    ASSERT_NO_FATAL_FAILURE(RunInSteps(dice, lines, early_texts, texts, *early, *catalog));
    std::string first, second;
    ASSERT_NO_FATAL_FAILURE(RunAtOnce(dice, lines, texts, *catalog, &first, &corrected));
    ASSERT_NO_FATAL_FAILURE(RunAtOnce(dice, lines, texts, *catalog, &second, &corrected));
    ASSERT_EQ(first, second) << "other cuts, threads and seed: other journal bytes";
    with_journal += first.empty() ? 0 : 1;
  }
  // The dice must have made something to compare.
  EXPECT_GT(with_journal, uint64_t{kCases / 2});
  EXPECT_GT(corrected, uint64_t{kCases / 2});
}

}  // namespace
}  // namespace tollbook
