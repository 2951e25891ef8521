#include "pipeline/measure.h"

#define XXH_INLINE_ALL  // on the path of every event
#include <xxhash.h>

#include <array>

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

Reason Value(const Meter& meter, const Property* property, Quantity* value) {
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
  constexpr Int128 kBound = static_cast<Int128>(kValueUnitsMax) * kOneUnit;
  if (number.value >= kBound || number.value <= -kBound) return Reason::kValueTooLarge;
  if (number.value < 0 && !meter.allow_negative) return Reason::kNegativeValue;
  *value = {number.value};
  return Reason::kNone;
}

}  // namespace

Measurer::Measurer(const Catalog& catalog, const BookIdentity& book, SeriesTable& series)
    : catalog_(catalog),
      book_(book),
      series_(series),
      book_zone_(Zone::FromName(book.zone).value_or(Zone())),
      book_zone_is_utc_(book_zone_ == Zone()) {
  TOLLBOOK_ASSERT(Zone::FromName(book.zone).has_value());
}

Reason Measurer::Measure(const UsageEvent& event, Arena& arena, SeenEntry* identity, std::vector<Measurement>* out) {
  if (last_meters_ == nullptr || event.type != last_type_) {
    last_type_ = event.type;
    last_meters_ = &catalog_.MetersOfType(event.type);
    last_type_hash_ = XXH3_64bits_withSeed(event.type.data(), event.type.size(), book_.seed[1]);
  }
  if (last_meters_->empty()) return Reason::kUnknownMeter;

  const SubjectHash subject = HashSubject(event.subject, book_.seed[0]);
  // What must be equal for a second arrival to be a duplicate. Every field has its fixed place, so no two contents
  // spell the same bytes.
  XXH64_hash_t content =
      XXH3_64bits_withSeed(&event.time.nanos, sizeof event.time.nanos, subject.low ^ last_type_hash_);
  const size_t first = out->size();
  for (const uint32_t meter : *last_meters_) {
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
    const std::array<uint64_t, 4> share = {content, static_cast<uint64_t>(measurement.value.attos),
                                           static_cast<uint64_t>(measurement.value.attos >> 64), dimensions_hash};
    content = XXH3_64bits_withSeed(share.data(), sizeof share, book_.seed[0]);
    out->push_back(measurement);
  }
  *identity = IdentityOf(event, content);
  return Reason::kNone;
}

Reason Measurer::MeasureOne(const UsageEvent& event, uint32_t index, Arena& arena, Measurement* into,
                            uint64_t* dimensions_hash) {
  const Meter& meter = catalog_.meters[index];
  into->time = event.time;
  if (meter.aggregation == Aggregation::kCount) {
    into->value = Quantity::Units(1);
  } else if (const Reason reason = Value(meter, Find(event.data, meter.value_property), &into->value);
             reason != Reason::kNone) {
    return reason;
  }
  values_.resize(meter.dimensions.size());
  for (size_t i = 0; i < values_.size(); ++i) {
    const Reason reason = DimensionValue(Find(event.data, meter.dimensions[i]), arena, &values_[i]);
    if (reason != Reason::kNone) return reason;
  }
  into->series = series_.Find(index, values_, dimensions_hash);
  return Reason::kNone;
}

Bucket Measurer::BucketOfCached(Granularity granularity, Instant time) {
  if (granularity != Granularity::kDay || book_zone_is_utc_) return BucketOf(granularity, time, book_zone_);
  if (time < day_start_ || !(time < day_end_)) {
    const Day day = book_zone_.DayOf(time);
    day_ = {day.number};
    day_start_ = book_zone_.StartOf(day);
    day_end_ = book_zone_.StartOf({day.number + 1});
  }
  return day_;
}

SeenEntry Measurer::IdentityOf(const UsageEvent& event, uint64_t content) {
  if (event.source != last_source_ || last_source_.empty()) {
    last_source_ = event.source;
    const XXH128_hash_t source = XXH3_128bits_withSeed(event.source.data(), event.source.size(), book_.seed[0]);
    last_source_high_ = source.high64;
    last_source_low_ = source.low64;
  }
  // The source goes in with all its 128 bits, by the seed and by the sum, so that a feed whose sources all differ and
  // whose ids repeat is as safe as the other way round.
  XXH128_hash_t key = XXH3_128bits_withSeed(event.id.data(), event.id.size(), book_.seed[1] ^ last_source_low_);
  key.high64 += last_source_high_;
  return {static_cast<uint32_t>(key.high64 >> 32), static_cast<uint32_t>(key.high64),
          static_cast<uint32_t>(key.low64 >> 32), static_cast<uint32_t>(content >> 32), static_cast<uint32_t>(content)};
}

}  // namespace tollbook
