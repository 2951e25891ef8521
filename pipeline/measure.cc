#include "pipeline/measure.h"

#include <algorithm>
#include <array>

#include "pipeline/event_hash.h"
#include "pipeline/offset_time.h"
#include "rating/decimal.h"

namespace tollbook {
namespace {

const Property* Find(std::span<const Property> data, std::string_view name) {
  for (const Property& property : data) {
    if (property.name == name) return &property;
  }
  return nullptr;
}

// Numbers that are equal are one dimension value, however they are written.
std::string_view CanonicalNumber(std::string_view token, Arena& arena) {
  const bool plain = token.find_first_of(".eE-") == std::string_view::npos;
  if (plain) return token;
  const ParsedDecimal number = ParseDecimal(token, kQuantityScale);
  return number.error == DecimalError::kNone ? arena.Copy(FormatDecimal(number.value, kQuantityScale)) : token;
}

Reason DimensionValue(const Property* property, Arena& arena, std::string_view* value) {
  *value = {};
  if (property == nullptr || property->kind == Property::Kind::kNull) return Reason::kNone;
  if (property->kind == Property::Kind::kComposite) return Reason::kDimensionNotAScalar;
  if (property->text.size() > kFieldBytesMax) return Reason::kFieldTooLong;
  *value = property->kind == Property::Kind::kNumber ? CanonicalNumber(property->text, arena) : property->text;
  return Reason::kNone;
}

// The bounds of one event's value.
Reason CheckValue(Quantity value, bool accepts_negative) {
  constexpr Int128 kBound = static_cast<Int128>(kValueUnitsMax) * kOneUnit;
  if (value.attos >= kBound || value.attos <= -kBound) return Reason::kValueTooLarge;
  return value.attos < 0 && !accepts_negative ? Reason::kNegativeValue : Reason::kNone;
}

Reason ReadNumber(const Property* property, Quantity* value) {
  if (property == nullptr || property->kind == Property::Kind::kNull) return Reason::kMissingValue;
  // A number in quotes is taken too: many producers keep decimals so, and its digits are as exact.
  if (property->kind != Property::Kind::kNumber && property->kind != Property::Kind::kString)
    return Reason::kValueNotANumber;
  const ParsedDecimal number = ParseDecimal(property->text, kQuantityScale);
  switch (number.error) {
    case DecimalError::kNotANumber:
      return Reason::kValueNotANumber;
    case DecimalError::kTooLarge:
      return Reason::kValueTooLarge;
    case DecimalError::kTooPrecise:
      return Reason::kValueTooPrecise;
    case DecimalError::kNone:
      break;
  }
  *value = {number.value};
  return Reason::kNone;
}

Reason ReasonOf(Expression::Outcome outcome) {
  switch (outcome) {
    case Expression::Outcome::kFits:
      return Reason::kNone;
    case Expression::Outcome::kDivisionByZero:
      return Reason::kDivisionByZero;
    case Expression::Outcome::kTooLarge:
      return Reason::kValueTooLarge;
    case Expression::Outcome::kTooPrecise:
      return Reason::kValueTooPrecise;
  }
  TOLLBOOK_ASSERT(!"an outcome of the list");
  return Reason::kValueTooLarge;
}

Reason Operation(const Property* property, SetOperation* operation) {
  const bool is_text = property != nullptr && property->kind == Property::Kind::kString;
  if (!is_text || (property->text != "add" && property->text != "remove")) return Reason::kUnknownOperation;
  *operation = property->text == "add" ? SetOperation::kAdd : SetOperation::kRemove;
  return Reason::kNone;
}

// A dimension that is no text: a line that says otherwise has another layout.
void SetConstant(const Property& property, MeterPlan::Dimension* dimension) {
  static constexpr char kTrue[kScanAhead] = "true", kFalse[kScanAhead] = "false", kNothing[kScanAhead] = "";
  const bool is_bool = property.kind == Property::Kind::kBool;
  dimension->kind = is_bool ? Property::Kind::kBool : Property::Kind::kString;
  dimension->text = !is_bool ? kNothing : property.text == "true" ? kTrue : kFalse;
  dimension->bytes = is_bool ? static_cast<uint32_t>(property.text.size()) : 0;
}

std::string_view TextOf(const MeterPlan::Dimension& dimension, const Slots& slots) {
  if (dimension.slot >= 0) return slots[static_cast<size_t>(dimension.slot)].text();
  return {dimension.text, dimension.bytes};
}

// Of the content of a void and of the key of a claim; no event's are made with them.
constexpr uint64_t kVoidMark = 0x64696F76;     // "void"
constexpr uint64_t kClaimMark = 0x6D69616C63;  // "claim"

// What one meter counts the same of two events; then it has nothing to take back, and need not be able to.
bool CountAlike(const Measurement& a, const Measurement& b) {
  return a.series == b.series && a.bucket == b.bucket && a.time == b.time && a.value == b.value &&
         a.subject_hash.high == b.subject_hash.high && a.subject_hash.low == b.subject_hash.low;
}

}  // namespace

Measurer::Measurer(const Catalog& catalog, const BookIdentity& book, SeriesTable& series)
    : catalog_(catalog),
      book_(book),
      series_(series),
      book_zone_(Zone::FromName(book.zone).value_or(Zone())),
      memos_(catalog.meters.size()),
      expressions_(catalog.meters.size()),
      types_(kTypes) {
  TOLLBOOK_ASSERT(Zone::FromName(book.zone).has_value());
  ExpressionError error;
  for (size_t i = 0; i < catalog.meters.size(); ++i) {
    const std::string& text = catalog.meters[i].value_expression;
    if (text.empty()) continue;
    expressions_[i] = Expression::Parse(text, &error);
    TOLLBOOK_ASSERT(expressions_[i].has_value());  // the catalog's check saw to it
  }
}

const Measurer::EventType& Measurer::TypeNamed(std::string_view name) {
  const uint64_t hash = HashEventType(name, book_.seed);
  EventType& type = types_[hash % kTypes];
  if (type.meters == nullptr || type.name != name) type = {std::string(name), &catalog_.MetersOfType(name), hash};
  return type;
}

Reason Measurer::Measure(const UsageEvent& event, Arena& arena, SeenEntry* identity, std::vector<Measurement>* out) {
  const EventType& type = TypeNamed(event.type);
  if (type.meters->empty()) return Reason::kUnknownMeter;
  const SubjectHash subject = HashSubject(event.subject, book_.seed[0]);
  EventContent content(event.time, subject, type.hash, book_.seed[0]);
  const size_t first = out->size();
  for (const uint32_t meter : *type.meters) {
    Measurement measurement;
    uint64_t dimensions_hash = 0;
    const Reason reason = MeasureOne(event, meter, arena, &measurement, &dimensions_hash);
    if (reason != Reason::kNone) {
      out->resize(first);
      return reason;
    }
    measurement.subject = event.subject.data();
    measurement.subject_bytes = static_cast<uint16_t>(event.subject.size());
    measurement.subject_hash = subject;
    measurement.bucket = BucketOfCached(catalog_.meters[meter].granularity, event.time);
    content.Add(measurement.value, dimensions_hash);
    out->push_back(measurement);
  }
  *identity = IdentityOf(event.source, event.id, content.hash());
  return Reason::kNone;
}

// Both events are measured aside, because either may be refused.
Reason Measurer::MeasureCorrection(const UsageEvent& event, Arena& arena, MeasuredCorrection* correction,
                                   std::vector<Measurement>* out) {
  const UsageEvent& original = event.correction->original;
  std::vector<Measurement> before, after;
  const Reason of_original = Measure(original, arena, &correction->original, &before);
  if (of_original != Reason::kNone) return of_original;
  if (event.correction->is_void) {
    const std::array<uint64_t, 2> content = {ContentOf(correction->original), kVoidMark};
    const uint64_t hash = XXH3_64bits_withSeed(content.data(), sizeof content, book_.seed[0]);
    correction->identity = IdentityOf(event.source, event.id, hash);
  } else {
    const Reason of_event = Measure(event, arena, &correction->identity, &after);
    if (of_event != Reason::kNone) return of_event;
  }
  correction->claim = ClaimOf(correction->original, correction->identity);
  correction->can_take_back = true;
  const std::vector<uint32_t>& meters = catalog_.MetersOfType(original.type);
  for (size_t i = 0; i < before.size(); ++i) {
    const auto alike =
        std::find_if(after.begin(), after.end(), [&](const Measurement& m) { return CountAlike(m, before[i]); });
    if (alike != after.end()) {
      after.erase(alike);
      continue;
    }
    correction->can_take_back = correction->can_take_back && CanTakeBack(catalog_.meters[meters[i]]);
    Measurement& taken = out->emplace_back(before[i]);
    taken.events = -1;
    if (!taken.is_element) taken.value.attos = -taken.value.attos;  // below 10^15 units, CheckValue saw to it
  }
  out->insert(out->end(), after.begin(), after.end());
  return Reason::kNone;
}

Reason Measurer::Identifier(const Meter& meter, const UsageEvent& event, Arena& arena, Quantity* value) const {
  std::string_view text;
  const Reason reason = DimensionValue(Find(event.data, meter.value_property), arena, &text);
  if (reason != Reason::kNone) return reason;
  if (text.empty()) return Reason::kMissingValue;
  SetOperation operation = SetOperation::kAdd;
  if (!meter.operation_property.empty()) {
    const Reason unknown = Operation(Find(event.data, meter.operation_property), &operation);
    if (unknown != Reason::kNone) return unknown;
  }
  const XXH128_hash_t hash = XXH3_128bits_withSeed(text.data(), text.size(), book_.seed[1]);
  *value = IdentifierValue(static_cast<Uint128>(hash.high64) << 64 | hash.low64, operation);
  return Reason::kNone;
}

// The first property that is no number tells why.
Reason Measurer::Reckon(uint32_t meter, const UsageEvent& event, Quantity* value) {
  const Expression& expression = *expressions_[meter];
  operands_.resize(expression.properties().size());
  for (size_t i = 0; i < operands_.size(); ++i) {
    const Reason reason = ReadNumber(Find(event.data, expression.properties()[i]), &operands_[i]);
    if (reason != Reason::kNone) return reason;
  }
  return ReasonOf(expression.Evaluate(operands_, &stack_, value));
}

Reason Measurer::ValueOf(uint32_t index, const UsageEvent& event, Arena& arena, Quantity* value) {
  const Meter& meter = catalog_.meters[index];
  if (meter.aggregation == Aggregation::kUniqueCount) return Identifier(meter, event, arena, value);
  if (meter.aggregation == Aggregation::kCount) {
    *value = Quantity::Units(1);
    return Reason::kNone;
  }
  const Reason reason =
      expressions_[index] ? Reckon(index, event, value) : ReadNumber(Find(event.data, meter.value_property), value);
  return reason != Reason::kNone ? reason : CheckValue(*value, AcceptsNegative(meter));
}

Reason Measurer::MeasureOne(const UsageEvent& event, uint32_t index, Arena& arena, Measurement* into,
                            uint64_t* dimensions_hash) {
  const Meter& meter = catalog_.meters[index];
  into->time = event.time;
  into->is_element = IsOfElements(FormOf(meter));
  const Reason of_value = ValueOf(index, event, arena, &into->value);
  if (of_value != Reason::kNone) return of_value;
  values_.resize(meter.dimensions.size());
  for (size_t i = 0; i < values_.size(); ++i) {
    const Reason reason = DimensionValue(Find(event.data, meter.dimensions[i]), arena, &values_[i]);
    if (reason != Reason::kNone) return reason;
  }
  if (!meter.prorated_property.empty()) {
    Quantity prorated;
    const Reason reason = ReadNumber(Find(event.data, meter.prorated_property), &prorated);
    if (reason != Reason::kNone) return reason;
    const Reason of_prorated = CheckValue(prorated, AcceptsNegative(meter));
    if (of_prorated != Reason::kNone) return of_prorated;
  }
  const Series& series = series_.Find(index, values_);
  into->series = series.id;
  *dimensions_hash = series.dimensions_hash;
  return Reason::kNone;
}

LayoutPlan Measurer::PlanOf(const LineShape& shape, const UsageEvent& event) {
  const EventType& type = TypeNamed(event.type);
  LayoutPlan plan{shape.id, shape.source, shape.subject, shape.time, type.hash, {}};
  const auto slot_of = [&](const Property* property) {
    return shape.of_property[static_cast<size_t>(property - event.data.data())];
  };
  for (const uint32_t index : *type.meters) {
    const Meter& meter = catalog_.meters[index];
    MeterPlan& of_meter = plan.meters.emplace_back();
    of_meter.meter = index;
    of_meter.granularity = meter.granularity;
    of_meter.accepts_negative = AcceptsNegative(meter);
    of_meter.is_element = IsOfElements(FormOf(meter));
    if (meter.aggregation == Aggregation::kUniqueCount || !meter.value_expression.empty()) {
      plan.general_way = true;
      continue;
    }
    if (meter.aggregation != Aggregation::kCount) {
      const Property* value = Find(event.data, meter.value_property);
      TOLLBOOK_ASSERT(value != nullptr && slot_of(value) >= 0);  // it was measured
      of_meter.value = slot_of(value);
      of_meter.in_quotes = value->kind == Property::Kind::kString;
    }
    for (const std::string& name : meter.dimensions) {
      MeterPlan::Dimension& dimension = of_meter.dimensions.emplace_back();
      const Property* property = Find(event.data, name);
      if (property == nullptr) {
        SetConstant({}, &dimension);  // like null
        continue;
      }
      dimension.kind = property->kind;
      dimension.slot = slot_of(property);
      if (dimension.slot < 0) SetConstant(*property, &dimension);
    }
  }
  return plan;
}

// Flattened: without it the compiler leaves a dozen calls in what is one straight line for nearly every event.
[[gnu::flatten]] bool Measurer::MeasureSlots(const LayoutPlan& plan, const Slots& slots, uint32_t event, Arena& arena,
                                             SeenEntry* identity, std::vector<Measurement>* out) {
  if (plan.general_way) return false;
  const std::string_view id = slots[plan.id].text();
  const std::string_view source = slots[plan.source].text();
  const std::string_view subject = slots[plan.subject].text();
  const auto fits = [](std::string_view field) { return field.size() - 1 < kFieldBytesMax; };  // nor is it empty
  if (!fits(id) || !fits(source) || !fits(subject)) return false;
  const std::string_view when = slots[plan.time].text();
  const ParsedInstant time =
      plan.time_is_offset ? InstantAtOffset(when, plan.time_base) : instants_.Parse(when, plan.time_in_utc);
  if (time.error != TimeError::kNone) return false;

  const SubjectHash subject_hash = HashSubject(subject, book_.seed[0]);
  EventContent content(time.instant, subject_hash, plan.type_hash, book_.seed[0]);
  const size_t first = out->size();
  for (const MeterPlan& meter : plan.meters) {
    Quantity value = Quantity::Units(1);
    SeriesMemo::Known series;
    if ((meter.value >= 0 && !SlotValue(meter, slots[static_cast<size_t>(meter.value)], &value)) ||
        !SlotSeries(meter, slots, arena, &series)) {
      out->resize(first);
      return false;
    }
    out->push_back({value, subject_hash, time.instant, subject.data(), series.id,
                    BucketOfCached(meter.granularity, time.instant), event, static_cast<uint16_t>(subject.size()),
                    meter.is_element});
    content.Add(value, series.dimensions_hash);
  }
  *identity = IdentityOf(source, id, content.hash());
  return true;
}

bool Measurer::SlotValue(const MeterPlan& plan, const Slot& slot, Quantity* value) const {
  const bool negative = *slot.begin == '-';
  if (plan.in_quotes || !ReadQuantity(slot.begin + negative, slot.bytes - negative, slot.whole, negative, value)) {
    const ParsedDecimal number = ParseDecimal(slot.text(), kQuantityScale);
    if (number.error != DecimalError::kNone) return false;
    *value = {number.value};
  }
  return CheckValue(*value, plan.accepts_negative) == Reason::kNone;
}

bool Measurer::SlotSeries(const MeterPlan& plan, const Slots& slots, Arena& arena, SeriesMemo::Known* series) {
  SeriesMemo::Key key(series_.generation());
  for (const MeterPlan::Dimension& dimension : plan.dimensions) {
    key.Add(TextOf(dimension, slots), dimension.kind == Property::Kind::kNumber);
  }
  SeriesMemo::Entry* const entry = memos_[plan.meter].Find(key);
  if (entry != nullptr && entry->Is(key)) {
    *series = entry->series;
    return true;
  }
  if (!LookUpSeries(plan, slots, arena, series)) return false;
  if (entry != nullptr) entry->Set(key, *series);
  return true;
}

bool Measurer::LookUpSeries(const MeterPlan& plan, const Slots& slots, Arena& arena, SeriesMemo::Known* series) {
  values_.resize(plan.dimensions.size());
  for (size_t i = 0; i < values_.size(); ++i) {
    const MeterPlan::Dimension& dimension = plan.dimensions[i];
    const Property property{{}, TextOf(dimension, slots), dimension.kind};
    if (DimensionValue(&property, arena, &values_[i]) != Reason::kNone) return false;
  }
  const Meter& meter = catalog_.meters[plan.meter];
  const std::optional<Quantity> prorated = ProratedOf(meter, values_);
  const bool is_wrong =
      prorated ? CheckValue(*prorated, plan.accepts_negative) != Reason::kNone : !meter.prorated_property.empty();
  if (is_wrong) return false;  // the careful way says why
  const Series& found = series_.Find(plan.meter, values_);
  *series = {found.id, found.dimensions_hash};
  return true;
}

Bucket Measurer::BucketOfCached(Granularity granularity, Instant time) {
  if (granularity != Granularity::kDay) return BucketOf(granularity, time, book_zone_);
  return {DayOf(time).number};
}

void Measurer::FindDay(Instant time) {
  const Day day = book_zone_.DayOf(time);
  day_ = {day.number};
  day_start_ = book_zone_.StartOf(day);
  day_end_ = book_zone_.StartOf({day.number + 1});
}

SeenEntry Measurer::IdentityOf(std::string_view source, std::string_view id, uint64_t content) const {
  return EventIdentity(source, id, content, book_.seed);
}

// From the original's own key, and under a seed that no identity has.
SeenEntry Measurer::ClaimOf(const SeenEntry& original, const SeenEntry& by) const {
  const auto words = [](const SeenEntry& entry) {
    return std::array<uint64_t, 3>{entry.key_high, static_cast<uint64_t>(entry.key_middle) << 32 | entry.key_low,
                                   kClaimMark};
  };
  const std::array<uint64_t, 3> of = words(original), from = words(by);
  const XXH128_hash_t key = XXH3_128bits_withSeed(of.data(), sizeof of, ~book_.seed[1]);
  const uint64_t content = XXH3_64bits_withSeed(from.data(), sizeof from, book_.seed[0]);
  return MakeSeenEntry(static_cast<Uint128>(key.high64) << 64 | key.low64, content);
}

}  // namespace tollbook
