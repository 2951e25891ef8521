#include "pipeline/cell_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <tuple>

namespace tollbook {
namespace {

constexpr size_t kSlotsAtStart = 4096;
constexpr size_t kNamesTogether = 32;

uint64_t Mix(uint64_t value) {
  value *= 0x9E3779B97F4A7C15u;
  return value ^ value >> 32;
}

// Both halves: whoever can choose one of them still cannot choose the slot.
uint64_t SlotHash(const SubjectHash& subject) {
  return Mix(subject.low ^ Mix(subject.high));
}
uint64_t SlotHash(uint64_t subject, uint64_t place) {
  return Mix(subject ^ Mix(place));
}
bool Same(const SubjectHash& a, const SubjectHash& b) {
  return ((a.low ^ b.low) | (a.high ^ b.high)) == 0;
}

uint64_t PlaceOf(const Measurement& m) {
  return static_cast<uint64_t>(m.series) << 32 | static_cast<uint32_t>(m.bucket.number);
}
uint32_t SeriesOf(uint64_t place) {
  return static_cast<uint32_t>(place >> 32);
}
Bucket BucketOf(uint64_t place) {
  return {static_cast<int32_t>(static_cast<uint32_t>(place))};
}
// Orders as the bucket's signed number does.
uint32_t Ascending(uint32_t bucket) {
  return bucket ^ 0x80000000u;
}

}  // namespace

CellTable::Slots::Slots() {
  Use(kSlotsAtStart);
}

void CellTable::Slots::Use(size_t slots) {
  if (slots_.size() < slots) slots_.resize(slots);
  mask_ = slots - 1;
}

void CellTable::Slots::Clear(size_t numbers) {
  std::fill_n(slots_.begin(), mask_ + 1, 0);
  // One huge shard must not make all others clear as much.
  Use(std::max(kSlotsAtStart, std::bit_ceil(kSlotsPerNumber * numbers)));
}

template <typename IsIt>
uint32_t* CellTable::Slots::Find(uint64_t hash, const IsIt& is_it) {
  size_t at = hash & mask_;
  while (slots_[at] != 0 && !is_it(slots_[at] - 1)) at = (at + 1) & mask_;
  return &slots_[at];
}

template <typename HashOf>
void CellTable::Slots::GrowFor(size_t numbers, const HashOf& hash_of) {
  if (numbers * kSlotsPerNumber <= mask_ + 1) return;
  std::fill_n(slots_.begin(), mask_ + 1, 0);
  Use(2 * (mask_ + 1));
  for (uint32_t number = 0; number < numbers; ++number) {
    size_t at = hash_of(number) & mask_;
    while (slots_[at] != 0) at = (at + 1) & mask_;
    slots_[at] = number + 1;
  }
}

CellTable::CellTable(const std::vector<Meter>& meters, const SeriesTable& series) : meters_(meters), series_(series) {}

void CellTable::Add(std::span<const Measurement> measurements, std::span<const uint32_t> chosen,
                    const std::vector<Reason>& verdicts) {
  for (const uint32_t i : chosen) {
    const uint64_t now = arrived_++;
    InLine(now) = {&measurements[i], verdicts.data(), 0, 0};
    __builtin_prefetch(&measurements[i]);
    if (now >= taken_ + kAhead) FetchSlots(&InLine(now - kAhead));
    if (now >= taken_ + 2 * kAhead) FetchCell(InLine(now - 2 * kAhead));
    if (now >= taken_ + 3 * kAhead) Take(InLine(taken_++));
  }
}

// Those left in line. The first of them have been through some steps; these do no harm twice.
void CellTable::EndRound() {
  for (uint64_t i = taken_; i < arrived_; ++i) FetchSlots(&InLine(i));
  for (uint64_t i = taken_; i < arrived_; ++i) FetchCell(InLine(i));
  while (taken_ < arrived_) Take(InLine(taken_++));
  CopyNames();
}

void CellTable::FetchSlots(Waiting* waiting) const {
  const Measurement& m = *waiting->measurement;
  __builtin_prefetch(&waiting->verdicts[m.event]);
  waiting->subject_hash = SlotHash(m.subject_hash);
  waiting->cell_hash = SlotHash(waiting->subject_hash, PlaceOf(m));
  cell_slots_.Prefetch(waiting->cell_hash);
  subject_slots_.Prefetch(waiting->subject_hash);
}

void CellTable::FetchCell(const Waiting& waiting) const {
  if (const uint32_t cell = cell_slots_.First(waiting.cell_hash); cell != 0) {
    __builtin_prefetch(&cells_[cell - 1]);
  } else if (const uint32_t subject = subject_slots_.First(waiting.subject_hash); subject != 0) {
    __builtin_prefetch(&subjects_[subject - 1]);
  }
}

uint32_t CellTable::SubjectOf(const Measurement& m, uint64_t hash) {
  const auto is_it = [&](uint32_t subject) { return Same(subjects_[subject].hash, m.subject_hash); };
  uint32_t* const slot = subject_slots_.Find(hash, is_it);
  if (*slot != 0) return *slot - 1;
  const auto subject = static_cast<uint32_t>(subjects_.size());
  // The name was read long ago and is in no cache: it is copied with others, when it has arrived.
  __builtin_prefetch(m.subject);
  if (uncopied_.size() == kNamesTogether) CopyNames();
  uncopied_.push_back(m.subject_name());
  subjects_.push_back({m.subject_hash, 0, 0});
  *slot = subject + 1;
  subject_slots_.GrowFor(subjects_.size(), [&](size_t i) { return SlotHash(subjects_[i].hash); });
  return subject;
}

void CellTable::CopyNames() {
  size_t subject = subjects_.size() - uncopied_.size();
  for (const std::string_view name : uncopied_) {
    subjects_[subject++].name_begin = static_cast<uint32_t>(names_.size());
    names_.append(name);
  }
  uncopied_.clear();
}

std::string_view CellTable::NameOf(uint32_t subject) const {
  const size_t begin = subjects_[subject].name_begin;
  const size_t end = subject + 1 < subjects_.size() ? subjects_[subject + 1].name_begin : names_.size();
  return std::string_view(names_).substr(begin, end - begin);
}

void CellTable::Take(const Waiting& waiting) {
  const Measurement& m = *waiting.measurement;
  if (waiting.verdicts[m.event] != Reason::kNone) return;
  if (m.is_element) return AddElement(m, SubjectOf(m, waiting.subject_hash));
  const uint64_t place = PlaceOf(m);
  const auto is_it = [&](uint32_t cell) {
    return cells_[cell].place == place && Same(cells_[cell].subject_hash, m.subject_hash);
  };
  uint32_t* const slot = cell_slots_.Find(waiting.cell_hash, is_it);
  if (*slot == 0) {
    AddNew(m, SubjectOf(m, waiting.subject_hash), meters_[series_.at(m.series).meter].aggregation);
    *slot = static_cast<uint32_t>(cells_.size());
    cell_slots_.GrowFor(cells_.size(),
                        [&](size_t i) { return SlotHash(SlotHash(cells_[i].subject_hash), cells_[i].place); });
    return;
  }
  const uint32_t cell = *slot - 1;
  if (MergeInto(m, cell)) return;
  // Beyond what one total holds. A second cell of the same name goes on: nothing accepted is lost, and whoever puts the
  // cells together sees that the total cannot be held.
  AddNew(m, cells_[cell].subject, static_cast<Aggregation>(cells_[cell].aggregation));
  *slot = static_cast<uint32_t>(cells_.size());
}

void CellTable::AddNew(const Measurement& m, uint32_t subject, Aggregation aggregation) {
  cells_.push_back({m.value.attos, m.subject_hash, PlaceOf(m), subject, static_cast<uint32_t>(aggregation), m.events});
  latest_at_.push_back(aggregation == Aggregation::kLatest ? m.time : Instant{});
  ++subjects_[subject].cells;
}

void CellTable::AddElement(const Measurement& m, uint32_t subject) {
  const bool has_time = HasTime(FormOf(meters_[series_.at(m.series).meter]));
  elements_.push_back({m.value.attos, has_time ? m.time : Instant{}, PlaceOf(m), subject, m.events});
  ++subjects_[subject].cells;
}

bool CellTable::MergeInto(const Measurement& m, size_t index) {
  Cell& cell = cells_[index];
  int32_t events = 0;
  if (__builtin_add_overflow(cell.events, m.events, &events)) return false;
  const auto aggregation = static_cast<Aggregation>(cell.aggregation);
  if (aggregation == Aggregation::kSum || aggregation == Aggregation::kCount || aggregation == Aggregation::kMean) {
    // As Merge below would, without moving the total there and back: this is nearly every measurement.
    Int128 sum = 0;
    if (__builtin_add_overflow(cell.value, m.value.attos, &sum)) return false;
    cell.value = sum;
    cell.events = events;
    return true;
  }
  const bool latest = aggregation == Aggregation::kLatest;
  // Nothing is taken back from these (CanTakeBack).
  UsageTotal total{{cell.value}, static_cast<uint64_t>(cell.events), latest_at_[index]};
  if (!Merge(aggregation, {m.value, 1, latest ? m.time : Instant{}}, &total)) return false;
  cell.value = total.value.attos;
  cell.events = events;
  latest_at_[index] = total.latest_at;
  return true;
}

std::string CellTable::Pack(SeriesRanks* ranks, std::vector<bool>* used_meters) {
  writer_.Clear();
  WriteSeries(ranks, used_meters);
  SortSubjects();
  SortCells(*ranks);
  WriteSubjects();
  for (const OrderedSeries& series : used_series_) (*ranks)[series.id] = kUnset;
  Clear();
  return writer_.Finish();
}

void CellTable::WriteSeries(SeriesRanks* ranks, std::vector<bool>* used_meters) {
  if (ranks->size() < series_.size()) ranks->resize(series_.size(), kUnset);
  const auto use = [&](uint64_t place) {
    const uint32_t id = SeriesOf(place);
    if ((*ranks)[id] != kUnset) return;
    (*ranks)[id] = 0;
    used_series_.push_back({series_.at(id).meter, series_.at(id).dimension_values, id});
  };
  for (const Cell& cell : cells_) use(cell.place);
  for (const Element& element : elements_) use(element.place);
  SortSeries(&used_series_);
  uint32_t meter_id = 0;
  for (size_t i = 0; i < used_series_.size(); ++i) {
    const OrderedSeries& series = used_series_[i];
    if (i == 0 || series.meter != used_series_[i - 1].meter) {
      const Meter& meter = meters_[series.meter];
      meter_id = writer_.AddMeter(meter.name, FormOf(meter));
      (*used_meters)[series.meter] = true;
    }
    (*ranks)[series.id] = writer_.AddSeries(meter_id, series.values);
  }
}

// By hash; then each gets a stretch of cell_places_ for its cells.
void CellTable::SortSubjects() {
  for (uint32_t i = 0; i < subjects_.size(); ++i) subject_places_.push_back({subjects_[i].hash, i});
  subject_order_.Sort(
      &subject_places_, [](const SubjectPlace& place) { return place.hash.high; },
      [](const SubjectPlace& a, const SubjectPlace& b) {
        return std::tie(a.hash.high, a.hash.low) < std::tie(b.hash.high, b.hash.low);
      });
  next_.resize(subjects_.size());
  uint32_t begin = 0;
  for (const SubjectPlace& place : subject_places_) {
    next_[place.subject] = begin;
    begin += subjects_[place.subject].cells;
  }
}

// By subject, series and bucket: dealt out to the subjects, and sorted within each, which mostly has a few.
void CellTable::SortCells(const SeriesRanks& ranks) {
  cell_places_.resize(cells_.size() + elements_.size());
  const auto deal = [&](uint32_t subject, uint64_t place, uint32_t number) {
    const uint64_t rank = ranks[SeriesOf(place)];
    cell_places_[next_[subject]++] = {rank << 32 | Ascending(static_cast<uint32_t>(place)), number};
  };
  const auto cells = static_cast<uint32_t>(cells_.size());
  for (uint32_t i = 0; i < cells; ++i) deal(cells_[i].subject, cells_[i].place, i);
  for (uint32_t i = 0; i < elements_.size(); ++i) deal(elements_[i].subject, elements_[i].place, cells + i);
  auto begin = cell_places_.begin();
  for (const SubjectPlace& place : subject_places_) {
    const auto end = begin + subjects_[place.subject].cells;
    if (end - begin > 1) std::sort(begin, end);
    begin = end;
  }
}

void CellTable::WriteSubjects() {
  size_t at = 0;
  for (const SubjectPlace& place : subject_places_) {
    writer_.BeginSubject(NameOf(place.subject));
    const size_t subject_end = at + subjects_[place.subject].cells;
    while (at < subject_end) {
      const uint64_t rank = cell_places_[at].key >> 32;
      size_t end = at + 1;
      while (end < subject_end && cell_places_[end].key >> 32 == rank) ++end;
      if (IsElement(cell_places_[at])) {
        WriteElements(static_cast<uint32_t>(rank), std::span(cell_places_).subspan(at, end - at));
        at = end;
        continue;
      }
      writer_.BeginSeries(static_cast<uint32_t>(rank), static_cast<uint32_t>(end - at));
      for (; at < end; ++at) {
        const uint32_t index = cell_places_[at].cell;
        const Cell& cell = cells_[index];
        // As signed, so that what is taken back stays below zero in 64 bits.
        const auto events = static_cast<uint64_t>(static_cast<int64_t>(cell.events));
        writer_.AddCell(BucketOf(cell.place), {{cell.value}, events, latest_at_[index]});
      }
    }
    writer_.EndSubject();
  }
}

// By bucket, time and value, so that the bytes do not depend on the order in which they came.
void CellTable::WriteElements(uint32_t rank, std::span<CellPlace> places) {
  packed_elements_.clear();
  for (const CellPlace& place : places) {
    const Element& element = ElementOf(place);
    const auto events = static_cast<uint64_t>(static_cast<int64_t>(element.events));
    packed_elements_.push_back({BucketOf(element.place), {{element.value}, events, element.at}});
  }
  std::sort(packed_elements_.begin(), packed_elements_.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : CompareElements(a.second, b.second) < 0;
  });
  size_t kept = 0;
  for (size_t i = 1; i < packed_elements_.size(); ++i) {
    auto& [bucket, element] = packed_elements_[kept];
    const auto& [next_bucket, next] = packed_elements_[i];
    const bool equal = next_bucket == bucket && CompareElements(next, element) == 0;
    if (!equal || !MergeElement(next, &element)) packed_elements_[++kept] = packed_elements_[i];
  }
  packed_elements_.resize(kept + 1);
  writer_.BeginSeries(rank, static_cast<uint32_t>(packed_elements_.size()));
  for (const auto& [bucket, element] : packed_elements_) writer_.AddCell(bucket, element);
}

void CellTable::Clear() {
  subject_slots_.Clear(subjects_.size());
  cell_slots_.Clear(cells_.size());
  used_series_.clear();
  subject_places_.clear();
  subjects_.clear();
  names_.clear();
  cells_.clear();
  latest_at_.clear();
  elements_.clear();
}

}  // namespace tollbook
