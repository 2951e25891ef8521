// CsvRows: rows of a CSV file as slots (layout.h), so that they are measured without usage events in between.
//
// What a mapping and a header say holds for every row: which cell is the id, and for a type of event, which cells its
// meters want. A plan of that is learnt from a row that the general decoder and the measurer have accepted, one for
// each type. Later rows are cut where their delimiters stand, 64 bytes at a time, and their cells are the plan's slots.
// Absorbing a row of eleven cells costs 0.5 us so, and 0.8 by the general decoder.
//
// What is not plain goes to the general decoder (decode_csv.cc), which knows everything and is the twin in tests: rows
// with quotes or control characters, without line end, with a number that is not plain, or of a type that is new; those
// that correct another event; and all that is not accepted.
#ifndef TOLLBOOK_PIPELINE_CSV_ROWS_H_
#define TOLLBOOK_PIPELINE_CSV_ROWS_H_

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/arena.h"
#include "pipeline/csv_program.h"
#include "pipeline/measure.h"
#include "pipeline/try_pace.h"

namespace tollbook {

// The cells of the row at `at`, which has a line end before `end`; kLinePadding bytes behind `end` may be read. The
// bytes to the next row, and those of the row's text; 0: a more patient reader must look, be it at a row of another
// width.
struct CutRow {
  size_t bytes = 0;
  size_t text_bytes = 0;
};
CutRow CutPlainRow(const char* at, const char* end, char delimiter, std::span<Slot> cells);

// Not thread-safe, like its decoder. What it learns holds for the catalog of the measurer.
class CsvRows {
 public:
  // Borrows the programs and the constants, behind which kCellPadding bytes may be read. Null: such rows cannot be
  // measured as slots.
  static std::unique_ptr<CsvRows> Of(char delimiter, size_t columns, std::span<const EventProgram> events,
                                     std::string_view constants);

  size_t events() const { return events_.size(); }
  // When rows are tried and learnt from, for whoever decodes them: some files have a column that never is plain.
  TryPace& pace() { return pace_; }

  // Takes a row apart. Slots live as long as the block, the arena and the decoder.
  CutRow Cut(const char* at, const char* end, uint64_t row, Arena& arena, Slots* slots);
  // The plan for the event of the row that was cut; null: its type is new, or its plan does not hold for this row.
  const LayoutPlan* PlanOf(size_t event, const Slots& slots) const;

  // From an event of a row that was measured.
  void Learn(size_t event, const UsageEvent& measured, Measurer& measurer);

 private:
  struct Shape {
    LineShape slots;
    uint16_t type = 0;
    std::vector<uint16_t> empty;  // slots that must be: what the row corrects
    bool time_in_utc = false;
    bool time_is_offset = false;
    Instant time_base;
    std::vector<Property> data;
  };
  // A slot that is no cell as it stands.
  struct Made {
    uint16_t slot = 0;
    const Field* text = nullptr;                   // or
    const std::vector<size_t>* factors = nullptr;  // of a product
    bool is_number = false;
  };
  struct TypePlan {
    size_t event = 0;
    std::string type;
    LayoutPlan plan;
  };

  CsvRows(char delimiter, size_t columns, std::string_view constants)
      : delimiter_(delimiter), columns_(columns), slots_(columns), constants_(constants) {}
  bool Add(const EventProgram& program);
  bool AddProperty(const PropertyProgram& program, Shape* shape);
  int SlotOf(const Field& field, bool is_number = false);
  int NewSlot(Made made);
  bool Make(uint64_t row, Arena& arena, Slots* slots);
  bool MakeOne(const Made& made, const Row& row, Arena& arena, Slot* slot);
  static bool TakeNumber(Slot* slot);
  static uint64_t PlaceOf(size_t event, std::string_view type);

  static constexpr uint32_t kMatchedMin = TryPace::kStretch / 2;  // a row that is decoded both ways costs half more
  static constexpr size_t kPlansMax = 256;
  static constexpr size_t kPlaces = 1024;  // a power of two, and much more than plans

  const char delimiter_;
  const size_t columns_;
  size_t slots_;
  const std::string_view constants_;
  std::vector<Shape> events_;
  std::vector<Made> made_;
  std::vector<uint16_t> numbers_;  // slots that must be plain numbers, or empty
  std::vector<std::string_view> cells_;
  std::vector<std::string_view> factors_;
  std::deque<TypePlan> plans_;
  std::array<const TypePlan*, kPlaces> places_{};
  TryPace pace_{kMatchedMin};
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CSV_ROWS_H_
