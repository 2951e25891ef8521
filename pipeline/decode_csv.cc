#include <algorithm>
#include <vector>

#include "pipeline/csv_cells.h"
#include "pipeline/csv_program.h"
#include "pipeline/csv_rows.h"
#include "pipeline/decode.h"
#include "pipeline/envelope.h"
#include "pipeline/exact_product.h"
#include "pipeline/json_text.h"
#include "pipeline/offset_time.h"
#include "pipeline/template.h"
#include "rating/catalog_errors.h"

namespace tollbook {
namespace {

Reason ReasonOf(DecimalError error) {
  switch (error) {
    case DecimalError::kNone:
      return Reason::kNone;
    case DecimalError::kNotANumber:
      return Reason::kValueNotANumber;
    case DecimalError::kTooLarge:
      return Reason::kValueTooLarge;
    case DecimalError::kTooPrecise:
      return Reason::kValueTooPrecise;
  }
  return Reason::kValueNotANumber;
}

void SetTimeFromOffset(std::string_view seconds, Instant base, UsageEvent* event, ReasonSet* reasons) {
  if (seconds.empty()) return reasons->Add(Reason::kMissingTime);
  const ParsedInstant parsed = InstantAtOffset(seconds, base);
  if (parsed.error == TimeError::kOutOfRange) return reasons->Add(Reason::kTimeOutOfRange);
  if (parsed.error != TimeError::kNone) return reasons->Add(Reason::kInvalidTime);
  event->time = parsed.instant;
}

class CsvDecoder final : public Decoder {
 public:
  CsvDecoder(char delimiter, size_t columns, std::vector<EventProgram> events, std::string constants)
      : delimiter_(delimiter),
        columns_(columns),
        events_(std::move(events)),
        constants_(std::move(constants.append(kCellPadding, '\0'))),
        rows_(CsvRows::Of(delimiter_, columns_, events_, constants_)) {}

  CsvRows* Rows() override { return rows_.get(); }

  void Decode(std::string_view line, uint64_t row, Arena& arena, std::vector<DecodedEvent>& out) override {
    const Reason reason = Split(line, arena);
    if (reason != Reason::kNone) {
      for (size_t i = 0; i < events_.size(); ++i) out.emplace_back().reason = reason;
      return;
    }
    // The decoder may be gone before the events are, so its own texts are copied to where they live.
    const Row input{cells_, row, arena.Copy(constants_), arena};
    for (const EventProgram& program : events_) {
      DecodedEvent& decoded = out.emplace_back();
      decoded.reason = DecodeEvent(program, input, &decoded.event);
    }
  }

 private:
  Reason Split(std::string_view line, Arena& arena) {
    const Reason reason = SplitRow(line, delimiter_, arena, &cells_);
    if (reason != Reason::kNone) return reason;
    return cells_.size() == columns_ ? Reason::kNone : Reason::kCsvColumns;
  }

  Reason DecodeEvent(const EventProgram& program, const Row& row, UsageEvent* event) {
    ReasonSet reasons;
    event->id = program.id.TextOf(row);
    event->source = program.source.TextOf(row);
    event->type = program.type.TextOf(row);
    event->subject = program.subject.TextOf(row);
    CheckNames(*event, &reasons);
    if (program.time_is_offset) {
      SetTimeFromOffset(row.cells[program.offset_cell], program.base, event, &reasons);
    } else {
      SetTime(program.time.TextOf(row), program.time_in_utc, instants_, event, &reasons);
    }
    properties_.clear();
    for (const PropertyProgram& property : program.data) properties_.push_back(PropertyOf(property, row, &reasons));
    event->data = KeepProperties(properties_, row.arena);
    if (program.may_correct()) AddCorrection(program, row, event, &reasons);
    return reasons.First();
  }

  // A row that names no event corrects none: a feed may have both kinds.
  void AddCorrection(const EventProgram& program, const Row& row, UsageEvent* event, ReasonSet* reasons) {
    const std::string_view corrects = program.corrects.TextOf(row), voids = program.voids.TextOf(row);
    if (corrects.empty() && voids.empty()) return;
    const std::string_view named = voids.empty() ? corrects : voids;
    if ((!corrects.empty() && !voids.empty()) || named == event->id) return reasons->Add(Reason::kInvalidCorrection);
    reasons->AddIf(named.size() > kFieldBytesMax, Reason::kFieldTooLong);
    Correction correction{corrects.empty(), *event};
    correction.original.id = named;
    if (!correction.is_void) Restate(program, row, &correction.original, reasons);
    char* const kept = row.arena.AllocateAligned(sizeof correction, alignof(Correction));
    event->correction = new (kept) Correction(correction);
  }

  void Restate(const EventProgram& program, const Row& row, UsageEvent* original, ReasonSet* reasons) {
    const std::string_view type = program.original_type.TextOf(row), subject = program.original_subject.TextOf(row);
    if (!type.empty()) original->type = type;
    if (!subject.empty()) original->subject = subject;
    CheckNames(*original, reasons);
    const TimeProgram& time = program.original_time;
    const std::string_view when = time.is_offset ? row.cells[time.offset_cell] : time.text.TextOf(row);
    if (!when.empty() && time.is_offset) SetTimeFromOffset(when, time.base, original, reasons);
    if (!when.empty() && !time.is_offset) SetTime(when, program.time_in_utc, instants_, original, reasons);
    if (program.original_data.empty()) return;
    for (const PropertyProgram& property : program.original_data) {
      const Property was = PropertyOf(property, row, reasons);
      const auto own = std::find_if(properties_.begin(), properties_.end(),
                                    [&](const Property& of_row) { return of_row.name == was.name; });
      own == properties_.end() ? properties_.push_back(was) : void(*own = was);
    }
    original->data = KeepProperties(properties_, row.arena);
  }

  Property PropertyOf(const PropertyProgram& program, const Row& row, ReasonSet* reasons) {
    Property property{program.name.In(row), {}, Property::Kind::kString};
    if (program.is_product) {
      factors_.clear();
      for (const size_t cell : program.factors) factors_.push_back(row.cells[cell]);
      SetProduct(row.arena, &property, reasons);
    } else {
      property.text = program.text.TextOf(row);
      if (program.is_number) SetNumber(&property, reasons);
    }
    return property;
  }

  void SetProduct(Arena& arena, Property* property, ReasonSet* reasons) {
    property->kind = Property::Kind::kNumber;
    const DecimalError error = ExactProduct(factors_, arena, &property->text);
    if (error != DecimalError::kNone) reasons->Add(ReasonOf(error));
  }

  // An empty cell is no value rather than a wrong one: it is null, and the meter that wants it says that it is missing.
  static void SetNumber(Property* property, ReasonSet* reasons) {
    property->kind = property->text.empty() ? Property::Kind::kNull : Property::Kind::kNumber;
    if (property->text.empty()) {
      property->text = "null";
    } else {
      reasons->AddIf(!IsJsonNumber(property->text), Reason::kValueNotANumber);
    }
  }

  const char delimiter_;
  const size_t columns_;
  const std::vector<EventProgram> events_;
  const std::string constants_;  // padded
  const std::unique_ptr<CsvRows> rows_;
  std::vector<std::string_view> cells_;
  std::vector<std::string_view> factors_;
  std::vector<Property> properties_;
  InstantReader instants_;
};

// A mapping with a header: names become cell numbers, constants go into one text.
class Compiler {
 public:
  Compiler(std::span<const std::string_view> columns, std::string_view file) : columns_(columns), file_(file) {}

  EventProgram Event(const EventMapping& mapping) {
    EventProgram program;
    program.id = Template(mapping.id.text);
    program.source = Template(mapping.source.text);
    program.type = Template(mapping.type.text);
    program.subject = Template(mapping.subject.text);
    program.time_in_utc = mapping.time_in_utc;
    program.time_is_offset = mapping.time.kind == FieldRule::Kind::kTimeOffset;
    if (program.time_is_offset) {
      program.base = mapping.time.base;
      program.offset_cell = Cell(mapping.time.columns.at(0));
    } else {
      program.time = Template(mapping.time.text);
    }
    for (const auto& [name, rule] : mapping.data) program.data.push_back(DataProperty(name, rule));
    if (mapping.corrects) program.corrects = Template(mapping.corrects->text);
    if (mapping.voids) program.voids = Template(mapping.voids->text);
    AddOriginal(mapping.original, &program);
    return program;
  }

  const std::string& constants() const { return constants_; }
  const std::vector<std::string>& missing() const { return missing_; }

 private:
  void AddOriginal(const OriginalMapping& original, EventProgram* program) {
    if (original.type) program->original_type = Template(original.type->text);
    if (original.subject) program->original_subject = Template(original.subject->text);
    if (original.time) program->original_time = Time(*original.time);
    for (const auto& [name, rule] : original.data) program->original_data.push_back(DataProperty(name, rule));
  }

  TimeProgram Time(const FieldRule& rule) {
    if (rule.kind != FieldRule::Kind::kTimeOffset) return {Template(rule.text), false, 0, {}};
    return {{}, true, Cell(rule.columns.at(0)), rule.base};
  }

  PropertyProgram DataProperty(std::string_view name, const FieldRule& rule) {
    PropertyProgram program;
    program.name = Keep(name);
    program.is_number = rule.is_number;
    program.is_product = rule.kind == FieldRule::Kind::kProduct;
    for (const std::string& column : rule.columns) program.factors.push_back(Cell(column));
    if (!program.is_product) program.text = Template(rule.text);
    return program;
  }

  Field Template(std::string_view text) {
    Field field;
    for (const TemplatePart& part : ParseTemplate(text).parts) {
      Piece piece;
      switch (part.kind) {
        case TemplatePart::Kind::kText:
          piece.constant = Keep(part.text);
          break;
        case TemplatePart::Kind::kFile:
          piece.constant = Keep(file_);
          break;
        case TemplatePart::Kind::kColumn:
          piece.kind = Piece::Kind::kCell;
          piece.cell = Cell(part.text);
          break;
        case TemplatePart::Kind::kRow:
          piece.kind = Piece::Kind::kRow;
          piece.subtract = part.subtract;
          piece.modulo = part.modulo;
          piece.width = part.width;
          break;
      }
      // Neighbours stand side by side in the constants too.
      if (piece.kind == Piece::Kind::kConstant && !field.pieces.empty() &&
          field.pieces.back().kind == Piece::Kind::kConstant) {
        field.pieces.back().constant.bytes += piece.constant.bytes;
        continue;
      }
      field.pieces.push_back(piece);
    }
    return field;
  }

  size_t Cell(std::string_view column) {
    const auto found = std::find(columns_.begin(), columns_.end(), column);
    if (found == columns_.end()) missing_.emplace_back(column);
    return static_cast<size_t>(found - columns_.begin());
  }

  Constant Keep(std::string_view text) {
    constants_.append(text);
    return {constants_.size() - text.size(), text.size()};
  }

  const std::span<const std::string_view> columns_;
  const std::string_view file_;
  std::string constants_;
  std::vector<std::string> missing_;
};

absl::Status HeaderError(std::string_view what, std::string_view file, std::string_view what_to_do) {
  return MakeError(absl::StatusCode::kInvalidArgument, what, file, what_to_do);
}

absl::Status CheckHeader(const std::vector<std::string_view>& columns, std::string_view file) {
  for (size_t i = 0; i < columns.size(); ++i) {
    const auto twin = std::find(columns.begin(), columns.begin() + static_cast<ptrdiff_t>(i), columns[i]);
    if (twin != columns.begin() + static_cast<ptrdiff_t>(i)) {
      return HeaderError("the header repeats the column " + Quoted(columns[i]), file, "give each column one name");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Decoder>> MakeCsvDecoder(const SourceMapping& mapping, std::string_view header,
                                                        std::string_view file) {
  Arena arena;
  std::vector<std::string_view> columns;
  if (SplitRowPlainly(header, mapping.delimiter, arena, &columns) != Reason::kNone) {
    return HeaderError("the header cannot be read", file, "begin the file with one line of column names in UTF-8");
  }
  TOLLBOOK_RETURN_IF_ERROR(CheckHeader(columns, file));
  Compiler compiler(columns, file);
  std::vector<EventProgram> events;
  for (const EventMapping& event : mapping.events) events.push_back(compiler.Event(event));
  if (!compiler.missing().empty()) {
    return HeaderError("the header has no column " + Quoted(compiler.missing()[0]), file,
                       "correct sources.yaml, line " + std::to_string(mapping.line) + ", or the file's header");
  }
  return std::make_unique<CsvDecoder>(mapping.delimiter, columns.size(), std::move(events), compiler.constants());
}

}  // namespace tollbook
