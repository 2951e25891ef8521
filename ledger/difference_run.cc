#include "ledger/difference_run.h"

#include <algorithm>
#include <utility>

namespace tollbook {
namespace {

// In the place of a currency: what the line is follows, for its name begins like that of another kind. No currency is
// written so, and a program that does not know it refuses the run.
constexpr std::string_view kToldAs("\0\0\0", 3);

// Most numbers of a difference are below 128, and always the same ones: the guess is nearly always right.
char* PutShort(uint64_t value, char* at) {
  if (value >= 0x80) return PutVarint64(value, at);
  *at = static_cast<char>(value);
  return at + 1;
}

char* PutMinor(Int128 minor, char* at) {
  const auto narrow = static_cast<int64_t>(minor);
  if (narrow != minor) return PutVarint(ZigzagOf(minor), at);
  return PutVarint64(static_cast<uint64_t>(narrow) << 1 ^ static_cast<uint64_t>(narrow >> 63), at);
}

}  // namespace

void DifferenceRunWriter::BeginSubject(std::string_view subject, uint32_t differences) {
  char* at = Room(2 * kVarintBytesMax + subject.size());
  at = PutVarint64(subject.size(), at);
  at = std::copy(subject.begin(), subject.end(), at);
  size_ = PutVarint64(differences, at) - body_.data();
  subject_ = subject;
  ++subjects_;
}

uint32_t DifferenceRunWriter::PlaceId(const BookedPlace& place) {
  if (last_place_ == &place) return last_place_id_;
  const auto [known, new_address] = known_places_.try_emplace(&place, 0);
  if (new_address) {
    const auto [it, added] = place_ids_.try_emplace(place, static_cast<uint32_t>(place_ids_.size()));
    known->second = it->second;
    if (added) {
      for (const std::string_view name : {place.plan, place.charge, place.product, place.entity}) places_.Text(name);
      if (place.as != BookedAsOf(place.charge)) {
        places_.Raw(kToldAs);
        places_.Fixed8(static_cast<uint8_t>(place.as));
      }
      places_.Raw(place.currency.code());
      for (const std::string_view name : {place.debit, place.credit, place.dimensions}) places_.Text(name);
    }
  }
  last_place_ = &place;
  return last_place_id_ = known->second;
}

uint32_t DifferenceRunWriter::PeriodId(const BillingPeriod& period) {
  if (!period_ids_.empty() && last_period_ == period) return last_period_id_;
  const auto [it, added] = period_ids_.try_emplace(period, static_cast<uint32_t>(period_ids_.size()));
  if (added) {
    periods_.Zigzag(period.start.number);
    periods_.Zigzag(period.end.number - int64_t{period.start.number});
  }
  last_period_ = period;
  return last_period_id_ = it->second;
}

void DifferenceRunWriter::Add(const BookedKey& key, Int128 minor, uint32_t line) {
  char* at = Room(6 * kVarintBytesMax + key.subscription.size());
  at = PutShort(PlaceId(*key.place), at);
  at = PutShort(PeriodId(key.period), at);
  const int64_t days = key.usage_date.number - int64_t{key.period.start.number};
  at = PutShort(static_cast<uint64_t>(ZigzagOf(days)), at);
  // The usual case, a subscription named as its subject, takes one byte.
  if (key.subscription == subject_) {
    *at++ = 0;
  } else {
    at = PutVarint64(key.subscription.size() + 1, at);
    at = std::copy(key.subscription.begin(), key.subscription.end(), at);
  }
  at = PutMinor(minor, at);
  size_ = PutVarint64(line, at) - body_.data();
}

std::string DifferenceRunWriter::Finish(std::span<const LineRef> lines) const {
  ByteWriter run;
  run.Varint(place_ids_.size());
  run.Raw(places_.bytes());
  run.Varint(period_ids_.size());
  run.Raw(periods_.bytes());
  run.Varint(lines.size());
  for (const LineRef& line : lines) {
    run.Varint(line.batch);
    run.Varint(line.line);
  }
  run.Varint(subjects_);
  std::string finished;
  finished.reserve(run.size() + size_);
  finished.append(run.bytes()).append(body_, 0, size_);
  return finished;
}

DifferenceRunReader::DifferenceRunReader(std::string_view stored) : reader_(stored) {
  ReadPlaces();
  ReadPeriods();
  const uint64_t lines = reader_.Count();
  for (uint64_t i = 0; i < lines && reader_.ok(); ++i) {
    const uint32_t batch = reader_.Varint32();
    lines_.push_back({batch, reader_.Varint32()});
  }
  subjects_left_ = reader_.Varint64();
}

void DifferenceRunReader::ReadPlaces() {
  const uint64_t places = reader_.Count();
  for (uint64_t i = 0; i < places && reader_.ok(); ++i) {
    BookedPlace place;
    for (std::string_view* name : {&place.plan, &place.charge, &place.product, &place.entity}) *name = reader_.Text();
    place.as = BookedAsOf(place.charge);
    std::string_view code = reader_.Raw(kToldAs.size());
    if (code == kToldAs) {
      const BookedAs by_name = std::exchange(place.as, reader_.OneOf(BookedAs::kAccrued));
      if (place.as == by_name) reader_.Fail();  // it would not have been told
      code = reader_.Raw(kToldAs.size());
    }
    const std::optional<Currency> currency = Currency::FromCode(code);
    if (!currency) {
      reader_.Fail();
      return;
    }
    place.currency = *currency;
    for (std::string_view* name : {&place.debit, &place.credit, &place.dimensions}) *name = reader_.Text();
    places_.push_back(place);
  }
}

void DifferenceRunReader::ReadPeriods() {
  const uint64_t periods = reader_.Count();
  for (uint64_t i = 0; i < periods && reader_.ok(); ++i) {
    const Day start{reader_.Zigzag32()};
    periods_.push_back({start, DaysAfter(start, reader_.Zigzag64())});
  }
}

bool DifferenceRunReader::NextSubject(std::string_view* subject, uint32_t* differences) {
  if (subjects_left_ == 0 && !reader_.done()) reader_.Fail();
  if (subjects_left_ == 0 || !reader_.ok()) return false;
  --subjects_left_;
  subject_ = reader_.Text();
  *subject = subject_;
  *differences = reader_.Varint32();
  return reader_.ok();
}

Day DifferenceRunReader::DaysAfter(Day start, int64_t days) {
  Day day;
  if (__builtin_add_overflow(start.number, days, &day.number)) reader_.Fail();
  return day;
}

bool DifferenceRunReader::Next(Difference* difference) {
  const uint64_t place = reader_.Varint64();
  const uint64_t period = reader_.Varint64();
  if (place >= places_.size() || period >= periods_.size()) return reader_.Fail(), false;
  difference->key.place = &places_[place];
  difference->key.period = periods_[period];
  difference->key.usage_date = DaysAfter(periods_[period].start, reader_.Zigzag64());
  const uint64_t subscription = reader_.Varint64();
  difference->key.subscription = subscription == 0 ? subject_ : reader_.Raw(subscription - 1);
  difference->minor = reader_.Zigzag();
  const uint64_t line = reader_.Varint64();
  if (line >= lines_.size()) return reader_.Fail(), false;
  difference->line = lines_[line];
  return reader_.ok();
}

}  // namespace tollbook
