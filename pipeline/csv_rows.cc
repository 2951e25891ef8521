#include "pipeline/csv_rows.h"

#include <algorithm>
#include <bit>

#include "pipeline/exact_product.h"
#include "pipeline/layout_scan.h"
#include "pipeline/layout_values.h"
#include "rating/csv_scan.h"
#include "simdjson.h"

namespace tollbook {
namespace {

size_t LowestBit(uint64_t bits) {
  return static_cast<size_t>(std::countr_zero(bits));
}

// Is the only odd byte the CR in front of the line end?
bool IsCarriageReturnAt(uint64_t line_end, uint64_t odd, const char* window) {
  return line_end != 0 && odd << 1 == line_end && window[LowestBit(odd)] == '\r';
}

// Each delimiter ends a cell. False: there are more than cells.
bool TakeCells(const char* window, uint64_t delimiters, const char** begin, Slot** cell, const Slot* last) {
  for (; delimiters != 0; delimiters &= delimiters - 1) {
    const char* const delimiter = window + LowestBit(delimiters);
    if (*cell == last) return false;
    *(*cell)++ = {*begin, static_cast<uint32_t>(delimiter - *begin), 0};
    *begin = delimiter + 1;
  }
  return true;
}

}  // namespace

CutRow CutPlainRow(const char* at, const char* end, char delimiter, std::span<Slot> cells) {
  // Blank lines are no rows, and only a line that begins with a blank is one.
  if (static_cast<unsigned char>(*at) <= ' ') return {};
  Slot* cell = cells.data();
  const Slot* const last = &cells.back();
  const char* begin = at;
  uint64_t not_ascii = 0;
  for (const char* window = at; window < end; window += CsvBits::kBytes) {
    const CsvBits bits = ScanCsv(window, delimiter);
    const uint64_t in_row = bits.line_ends ^ (bits.line_ends - 1);  // its LF included; all 64 when the row goes on
    const uint64_t odd = bits.odd & in_row;
    const uint64_t line_end = bits.line_ends & in_row;
    not_ascii |= bits.not_ascii & in_row;
    if (odd != 0 && !IsCarriageReturnAt(line_end, odd, window)) return {};
    if (!TakeCells(window, bits.delimiters & in_row, &begin, &cell, last)) return {};
    if (line_end == 0) continue;
    const char* const feed = window + LowestBit(line_end);
    const char* const text_end = feed - (odd != 0 ? 1 : 0);
    if (feed >= end || cell != last) return {};
    *cell = {begin, static_cast<uint32_t>(text_end - begin), 0};
    const auto text_bytes = static_cast<size_t>(text_end - at);
    if (not_ascii != 0 && !simdjson::validate_utf8(at, text_bytes)) return {};
    return {static_cast<size_t>(feed + 1 - at), text_bytes};
  }
  return {};
}

// --- What a mapping says ---------------------------------------------------------------------------------------------

std::unique_ptr<CsvRows> CsvRows::Of(char delimiter, size_t columns, std::span<const EventProgram> events,
                                     std::string_view constants) {
  const bool plain_delimiter =
      delimiter != '"' && delimiter != '\r' && delimiter != '\n' && delimiter > 0 && delimiter != 0x7F;
  if (!plain_delimiter || columns == 0 || columns > kSlotsMax) return nullptr;
  std::unique_ptr<CsvRows> rows(new CsvRows(delimiter, columns, constants));
  for (const EventProgram& event : events) {
    if (!rows->Add(event)) return nullptr;
  }
  return rows;
}

// False: there are too many slots.
bool CsvRows::Add(const EventProgram& program) {
  Shape& shape = events_.emplace_back();
  const auto set = [&](const Field& field, uint16_t* slot) {
    const int number = SlotOf(field);
    *slot = static_cast<uint16_t>(number);
    return number >= 0;
  };
  shape.time_in_utc = program.time_in_utc;
  shape.time_is_offset = program.time_is_offset;
  shape.time_base = program.base;
  bool good = set(program.id, &shape.slots.id) && set(program.source, &shape.slots.source) &&
              set(program.type, &shape.type) && set(program.subject, &shape.slots.subject) &&
              (program.time_is_offset || set(program.time, &shape.slots.time));
  if (program.time_is_offset) shape.slots.time = static_cast<uint16_t>(program.offset_cell);
  for (const PropertyProgram& property : program.data) good = good && AddProperty(property, &shape);
  for (const Field* named : {&program.corrects, &program.voids}) {
    if (named->pieces.empty()) continue;
    good = good && set(*named, &shape.empty.emplace_back());
  }
  return good;
}

// Its kind is the mapping's, whatever a row has: an empty cell is no number, and is none in every plan's eyes.
bool CsvRows::AddProperty(const PropertyProgram& program, Shape* shape) {
  const bool is_number = program.is_number || program.is_product;
  const int slot = program.is_product ? NewSlot({0, nullptr, &program.factors, true}) : SlotOf(program.text, is_number);
  if (slot < 0) return false;
  if (is_number) numbers_.push_back(static_cast<uint16_t>(slot));
  shape->slots.of_property.push_back(slot);
  shape->data.push_back({constants_.substr(program.name.offset, program.name.bytes),
                         {},
                         is_number ? Property::Kind::kNumber : Property::Kind::kString});
  return true;
}

int CsvRows::SlotOf(const Field& field, bool is_number) {
  return field.is_cell() ? static_cast<int>(field.pieces[0].cell) : NewSlot({0, &field, nullptr, is_number});
}

int CsvRows::NewSlot(Made made) {
  if (slots_ == kSlotsMax) return -1;
  made.slot = static_cast<uint16_t>(slots_++);
  made_.push_back(made);
  return made.slot;
}

// --- A row -----------------------------------------------------------------------------------------------------------

CutRow CsvRows::Cut(const char* at, const char* end, uint64_t row, Arena& arena, Slots* slots) {
  const CutRow cut = CutPlainRow(at, end, delimiter_, std::span(*slots).first(columns_));
  if (cut.bytes == 0 || (!made_.empty() && !Make(row, arena, slots))) return {};
  for (const uint16_t number : numbers_) {
    if (!TakeNumber(&(*slots)[number])) return {};
  }
  return cut;
}

// A plain number of the JSON grammar, or nothing.
bool CsvRows::TakeNumber(Slot* slot) {
  if (slot->bytes == 0) return true;
  const uint32_t sign = *slot->begin == '-' ? 1 : 0;
  NumberShape shape;
  if (!ReadNumber(slot->begin + sign, &shape) || shape.bytes + sign != slot->bytes) return false;
  slot->whole = shape.whole;
  return true;
}

bool CsvRows::Make(uint64_t row, Arena& arena, Slots* slots) {
  cells_.clear();
  for (size_t i = 0; i < columns_; ++i) cells_.push_back((*slots)[i].text());
  const Row input{cells_, row, constants_, arena};
  return std::all_of(made_.begin(), made_.end(),
                     [&](const Made& made) { return MakeOne(made, input, arena, &(*slots)[made.slot]); });
}

bool CsvRows::MakeOne(const Made& made, const Row& row, Arena& arena, Slot* slot) {
  std::string_view text;
  if (made.factors != nullptr) {
    factors_.clear();
    for (const size_t cell : *made.factors) factors_.push_back(row.cells[cell]);
    if (ExactProduct(factors_, arena, &text) != DecimalError::kNone) return false;
  } else {
    text = made.text->TextOf(row);
    if (text.empty()) text = constants_.substr(constants_.size() - kCellPadding, 0);
  }
  // Behind a cell is its delimiter; behind this, what was in the memory before, which may go on like a number.
  if (made.is_number) {
    char* const padded = arena.Allocate(text.size() + kScanAhead);
    *std::copy(text.begin(), text.end(), padded) = '\0';
    text = {padded, text.size()};
  }
  *slot = {text.data(), static_cast<uint32_t>(text.size()), 0};
  return true;
}

// --- Plans -----------------------------------------------------------------------------------------------------------

// By its first and its last eight bytes; behind a slot there are as many to read.
uint64_t CsvRows::PlaceOf(size_t event, std::string_view type) {
  constexpr uint64_t kFactor = 0x9E3779B97F4A7C15;
  const size_t bytes = type.size();
  const uint64_t first = bytes >= 8 ? Load8(type.data()) : Load8(type.data()) & ((uint64_t{1} << 8 * bytes) - 1);
  const uint64_t last = bytes >= 8 ? Load8(type.data() + bytes - 8) : 0;
  const uint64_t mixed = ((first * kFactor) ^ (last + event + (bytes << 32))) * kFactor;
  return mixed >> (64 - std::countr_zero(kPlaces));
}

const LayoutPlan* CsvRows::PlanOf(size_t event, const Slots& slots) const {
  for (const uint16_t named : events_[event].empty) {
    if (slots[named].bytes != 0) return nullptr;
  }
  const std::string_view type = slots[events_[event].type].text();
  const TypePlan* known = nullptr;
  for (uint64_t place = PlaceOf(event, type);; place = (place + 1) % kPlaces) {
    known = places_[place];
    if (known == nullptr) return nullptr;
    if (known->event == event && known->type == type) break;
  }
  // A value that is not there is no number, for the general way to say.
  for (const MeterPlan& meter : known->plan.meters) {
    if (meter.value >= 0 && slots[static_cast<size_t>(meter.value)].bytes == 0) return nullptr;
  }
  return &known->plan;
}

void CsvRows::Learn(size_t event, const UsageEvent& measured, Measurer& measurer) {
  if (plans_.size() == kPlansMax) return;
  std::string padded(measured.type);
  padded.resize(padded.size() + sizeof(uint64_t));
  const std::string_view type(padded.data(), measured.type.size());
  uint64_t place = PlaceOf(event, type);
  for (; places_[place] != nullptr; place = (place + 1) % kPlaces) {
    if (places_[place]->event == event && places_[place]->type == type) return;
  }
  const Shape& shape = events_[event];
  UsageEvent as_mapped = measured;
  as_mapped.data = shape.data;
  TypePlan& plan = plans_.emplace_back(TypePlan{event, std::string(type), measurer.PlanOf(shape.slots, as_mapped)});
  plan.plan.time_in_utc = shape.time_in_utc;
  plan.plan.time_is_offset = shape.time_is_offset;
  plan.plan.time_base = shape.time_base;
  places_[place] = &plan;
}

}  // namespace tollbook
