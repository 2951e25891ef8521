#include "ledger/totals_run.h"

#define XXH_INLINE_ALL  // on the path of every event
#include <xxhash.h>

#include <cstring>

#include "ledger/totals_cells.h"

namespace tollbook {
namespace {

using totals_cells_internal::kHowBits;
using totals_cells_internal::kMilliNanos;
using totals_cells_internal::kReplacing;
using totals_cells_internal::kTakenBack;

// What BeginSeries and AddCell may write at most: seven numbers.
constexpr size_t kCellBytesMax = 7 * kVarintBytesMax;
// A subject's length takes one byte, mostly; room for it is left in front of the cells.
constexpr size_t kLengthBytes = 1;

// What is rare: that it is taken back or replaces, the events without their sign, the scale (0: as many units as
// events), the value.
[[gnu::noinline]] char* PutRare(uint32_t what, const UsageTotal& total, char* at) {
  const uint64_t events = EventsOf(total) < 0 ? -total.events : total.events;
  at = PutVarint(static_cast<Uint128>(events) << kHowBits | what, at);
  if (total.value.attos == static_cast<Int128>(EventsOf(total)) * kOneUnit) return PutVarint(0, at);
  const ScaledValue scaled = ScaleValue(total.value);
  at = PutVarint(1 + scaled.scale, at);
  return PutVarint(ZigzagOf(scaled.mantissa), at);
}

char* PutValue(const UsageTotal& total, char* at) {
  if (EventsOf(total) < 0) return PutRare(kTakenBack, total, at);
  const Uint128 events = static_cast<Uint128>(total.events) << kHowBits;
  if (total.value.attos == static_cast<Int128>(total.events) * kOneUnit) return PutVarint(events, at);
  const ScaledValue scaled = ScaleValue(total.value);
  at = PutVarint(events | (1 + scaled.scale), at);
  return PutVarint(ZigzagOf(scaled.mantissa), at);
}

char* PutLatestAt(Instant latest_at, int64_t anchor, char* at) {
  const Int128 difference = static_cast<Int128>(latest_at.nanos) - anchor;
  const Int128 millis = difference / kMilliNanos;
  if (millis * kMilliNanos == difference) return PutVarint(ZigzagOf(millis) << 1, at);
  return PutVarint(ZigzagOf(difference) << 1 | 1, at);
}

}  // namespace

SubjectHash HashSubject(std::string_view subject, uint64_t book_seed) {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(subject.data(), subject.size(), book_seed);
  return {hash.high64, hash.low64};
}

void TotalsRunWriter::Clear() {
  meters_.clear();
  series_meter_.clear();
  series_.Clear();
  size_ = 0;
  subjects_ = 0;
}

uint32_t TotalsRunWriter::AddMeter(std::string_view name, TotalForm form) {
  meters_.push_back({name, form, std::nullopt});
  return static_cast<uint32_t>(meters_.size() - 1);
}

uint32_t TotalsRunWriter::AddSeries(uint32_t meter, DimensionValues values) {
  series_meter_.push_back(meter);
  series_.Varint(meter);
  series_.Varint(values.size());
  for (const std::string_view value : values) series_.Text(value);
  return static_cast<uint32_t>(series_meter_.size() - 1);
}

void TotalsRunWriter::Grow(size_t bytes) {
  body_.resize(2 * body_.size() + bytes);
}

void TotalsRunWriter::BeginSubject(std::string_view subject) {
  char* at = Room(kVarintBytesMax + subject.size() + kLengthBytes);
  at = PutVarint64(subject.size(), at);
  at = std::copy(subject.begin(), subject.end(), at);
  cells_begin_ = at + kLengthBytes - body_.data();
  size_ = cells_begin_;
  next_series_ = 0;
  ++subjects_;
}

void TotalsRunWriter::BeginSeries(uint32_t series, uint32_t cells) {
  TOLLBOOK_ASSERT(series >= next_series_ && cells > 0);
  char* at = Room(kCellBytesMax);
  at = PutVarint64(static_cast<uint64_t>(series - next_series_) << 1 | (cells > 1 ? 1 : 0), at);
  if (cells > 1) at = PutVarint64(cells - 2, at);
  size_ = at - body_.data();
  next_series_ = series + 1;
  meter_ = &meters_[series_meter_[series]];
  first_of_series_ = true;
}

void TotalsRunWriter::AddCell(Bucket bucket, const UsageTotal& total, CellRole role) {
  if (!meter_->anchor) meter_->anchor = {bucket.number, total.latest_at.nanos};
  char* at = Room(kCellBytesMax);
  if (first_of_series_) {
    at = PutVarint64(static_cast<uint64_t>(ZigzagOf(static_cast<int64_t>(bucket.number) - meter_->anchor->bucket)), at);
  } else {
    TOLLBOOK_ASSERT(bucket.number >= last_bucket_);
    at = PutVarint64(static_cast<uint64_t>(static_cast<int64_t>(bucket.number) - last_bucket_), at);
  }
  first_of_series_ = false;
  last_bucket_ = bucket.number;
  TOLLBOOK_ASSERT(role == CellRole::kAdds || (!IsOfElements(meter_->form) && EventsOf(total) >= 0));
  at = role == CellRole::kAdds ? PutValue(total, at) : PutRare(kReplacing, total, at);
  if (HasTime(meter_->form)) at = PutLatestAt(total.latest_at, meter_->anchor->latest_at_nanos, at);
  size_ = at - body_.data();
}

void TotalsRunWriter::EndSubject() {
  const size_t bytes = size_ - cells_begin_;
  char length[kVarintBytesMax];
  const size_t length_bytes = PutVarint64(bytes, length) - length;
  if (length_bytes > kLengthBytes) {
    (void)Room(length_bytes);
    char* cells = body_.data() + cells_begin_;
    std::memmove(cells + length_bytes - kLengthBytes, cells, bytes);
    size_ += length_bytes - kLengthBytes;
  }
  std::memcpy(body_.data() + cells_begin_ - kLengthBytes, length, length_bytes);
}

std::string TotalsRunWriter::Finish() {
  ByteWriter head;
  head.Varint(meters_.size());
  for (const Meter& meter : meters_) {
    const CellAnchor anchor = meter.anchor.value_or(CellAnchor{});
    head.Text(meter.name);
    head.Fixed8(static_cast<uint8_t>(meter.form));
    head.Zigzag(anchor.bucket);
    if (HasTime(meter.form)) head.Zigzag(anchor.latest_at_nanos);
  }
  head.Varint(series_meter_.size());
  head.Raw(series_.bytes());
  head.Varint(subjects_);
  std::string run;
  run.reserve(head.size() + size_);
  run.append(head.bytes());
  run.append(body_, 0, size_);
  return run;
}

TotalsRunReader::TotalsRunReader(std::string_view stored) : bytes_(stored.size()), reader_(stored) {
  const uint64_t meters = reader_.Count(3);
  meters_.reserve(meters);
  for (uint64_t i = 0; i < meters && reader_.ok(); ++i) {
    MeterEntry meter;
    meter.name = reader_.Text();
    meter.form = reader_.OneOf(TotalForm::kTimedElements);
    meter.anchor.bucket = reader_.Zigzag32();
    if (HasTime(meter.form)) meter.anchor.latest_at_nanos = reader_.Zigzag64();
    meters_.push_back(meter);
  }
  const uint64_t series = reader_.Count(2);
  series_.reserve(series);
  for (uint64_t i = 0; i < series && reader_.ok(); ++i) {
    const uint64_t meter = reader_.Varint64();
    if (meter >= meters_.size()) reader_.Fail();
    const std::string_view begin = reader_.rest();
    for (uint64_t values = reader_.Count(); values > 0 && reader_.ok(); --values) reader_.Text();
    series_.push_back({static_cast<uint32_t>(meter), begin.substr(0, begin.size() - reader_.left())});
  }
  if (!reader_.ok()) series_.clear();
  subjects_left_ = reader_.Count(2);
}

std::vector<RunSeries> TotalsRunReader::run_series() const {
  std::vector<RunSeries> all;
  all.reserve(series_.size());
  for (const SeriesEntry& series : series_) {
    const MeterEntry& meter = meters_[series.meter];
    all.push_back({static_cast<uint32_t>(all.size()), HasTime(meter.form), meter.anchor});
  }
  return all;
}

bool TotalsRunReader::NextSubject(std::string_view* subject, SubjectCells* cells) {
  if (subjects_left_ == 0 && !reader_.done()) reader_.Fail();
  if (subjects_left_ == 0 || !reader_.ok()) return false;
  --subjects_left_;
  *subject = reader_.Text();
  cells->bytes = reader_.Text();
  cells->behind = reader_.left();
  return reader_.ok();
}

std::string_view TotalsRunReader::SubjectAt(std::string_view stored, size_t position, SubjectCells* cells) {
  ByteReader reader(stored.substr(position));
  const std::string_view subject = reader.Text();
  cells->bytes = reader.Text();
  cells->behind = reader.left();
  return subject;
}

std::vector<std::string_view> DimensionValuesOf(std::string_view stored) {
  ByteReader reader(stored);
  std::vector<std::string_view> values(reader.Count());
  for (std::string_view& value : values) value = reader.Text();
  return values;
}

}  // namespace tollbook
