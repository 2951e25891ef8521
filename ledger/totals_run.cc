#include "ledger/totals_run.h"

#define XXH_INLINE_ALL  // on the path of every event
#include <xxhash.h>

namespace tollbook {
namespace {

// Most values are whole units. Stored as units they take two or three bytes, as attos ten.
void AppendValue(Quantity value, ByteWriter* out) {
  const Int128 units = value.attos / kOneUnit;
  if (units * kOneUnit == value.attos) {
    out->Zigzag(units * 2);
  } else {
    // An odd number says that the part below the unit follows. Both have the sign of the value.
    out->Zigzag(units * 2 + (value.attos < 0 ? -1 : 1));
    out->Zigzag(value.attos - units * kOneUnit);
  }
}

Quantity ReadValue(ByteReader* in) {
  const Int128 tagged = in->Zigzag();
  const Int128 units = tagged / 2;
  const Int128 rest = tagged % 2 == 0 ? 0 : in->Zigzag();
  Int128 attos = 0;
  if (__builtin_mul_overflow(units, kOneUnit, &attos) || __builtin_add_overflow(attos, rest, &attos)) in->Fail();
  return {in->ok() ? attos : 0};
}

}  // namespace

SubjectHash HashSubject(std::string_view subject, uint64_t book_seed) {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(subject.data(), subject.size(), book_seed);
  return {hash.high64, hash.low64};
}

uint32_t TotalsRunWriter::Meter(std::string_view name, Aggregation aggregation) {
  const auto [it, added] = meter_ids_.try_emplace(std::string(name), static_cast<uint32_t>(meter_ids_.size()));
  if (added) {
    meters_.Text(name);
    meters_.Fixed8(static_cast<uint8_t>(aggregation));
    aggregations_.push_back(aggregation);
  }
  return it->second;
}

uint32_t TotalsRunWriter::InternDimensions(std::string key) {
  const auto [it, added] = dimension_ids_.try_emplace(std::move(key), static_cast<uint32_t>(dimension_ids_.size()));
  if (added) dimensions_.Raw(it->first);
  return it->second;
}

void TotalsRunWriter::BeginSubject(std::string_view subject, uint32_t cells) {
  body_.Text(subject);
  body_.Varint(cells);
  ++subjects_;
}

void TotalsRunWriter::AddCell(uint32_t meter, uint32_t dimensions, Bucket bucket, const UsageTotal& total) {
  body_.Varint(meter);
  body_.Varint(dimensions);
  body_.Zigzag(static_cast<int64_t>(bucket.number) - last_bucket_);
  last_bucket_ = bucket.number;
  body_.Varint(total.events);
  AppendValue(total.value, &body_);
  if (aggregations_[meter] == Aggregation::kLatest) body_.Zigzag(total.latest_at.nanos);
}

std::string TotalsRunWriter::Finish() {
  ByteWriter run;
  run.Varint(meter_ids_.size());
  run.Raw(meters_.bytes());
  run.Varint(dimension_ids_.size());
  run.Raw(dimensions_.bytes());
  run.Varint(subjects_);
  run.Raw(body_.bytes());
  return run.Take();
}

TotalsRunReader::TotalsRunReader(std::string_view stored) : reader_(stored) {
  const uint64_t meters = reader_.Count(2);
  meters_.reserve(meters);
  for (uint64_t i = 0; i < meters && reader_.ok(); ++i) {
    const std::string_view name = reader_.Text();
    meters_.push_back({name, reader_.OneOf(Aggregation::kLatest)});
  }
  const uint64_t tuples = reader_.Count();
  dimensions_.resize(tuples);
  for (uint64_t i = 0; i < tuples && reader_.ok(); ++i) {
    const uint64_t values = reader_.Varint64();
    for (uint64_t k = 0; k < values && reader_.ok(); ++k) dimensions_[i].push_back(reader_.Text());
  }
  subjects_left_ = reader_.Varint64();
}

bool TotalsRunReader::NextSubject(std::string_view* subject, uint32_t* cells) {
  if (subjects_left_ == 0 && !reader_.done()) reader_.Fail();
  if (subjects_left_ == 0 || !reader_.ok()) return false;
  --subjects_left_;
  *subject = reader_.Text();
  *cells = reader_.Varint32();
  return reader_.ok();
}

bool TotalsRunReader::NextCell(TotalCell* cell) {
  const uint64_t meter = reader_.Varint64();
  const uint64_t dimensions = reader_.Varint64();
  if (meter >= meters_.size() || dimensions >= dimensions_.size()) {
    reader_.Fail();
    return false;
  }
  cell->meter = static_cast<uint32_t>(meter);
  cell->dimensions = static_cast<uint32_t>(dimensions);
  if (__builtin_add_overflow(last_bucket_, reader_.Zigzag64(), &last_bucket_)) reader_.Fail();
  cell->bucket = {last_bucket_};
  cell->total.events = reader_.Varint64();
  cell->total.value = ReadValue(&reader_);
  cell->total.latest_at.nanos = meters_[meter].aggregation == Aggregation::kLatest ? reader_.Zigzag64() : 0;
  return reader_.ok();
}

void TotalsRunReader::SkipCells(uint32_t cells) {
  TotalCell ignored;
  for (uint32_t i = 0; i < cells && reader_.ok(); ++i) (void)NextCell(&ignored);
}

}  // namespace tollbook
