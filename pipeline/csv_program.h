// CsvProgram: a mapping compiled for a header: which cells, constants and row numbers make up the fields of an event.
#ifndef TOLLBOOK_PIPELINE_CSV_PROGRAM_H_
#define TOLLBOOK_PIPELINE_CSV_PROGRAM_H_

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "pipeline/arena.h"
#include "pipeline/csv_cells.h"
#include "rating/calendar.h"

namespace tollbook {

// Both have kCellPadding bytes behind them: most texts are short, and a copy of fixed size is an instruction or two.
inline char* CopyText(std::string_view text, char* out) {
  if (text.size() <= kCellPadding) {
    std::memcpy(out, text.data(), kCellPadding);
  } else {
    std::memcpy(out, text.data(), text.size());
  }
  return out + text.size();
}

// What all fields of a row are made from.
struct Row {
  std::span<const std::string_view> cells;
  uint64_t number;
  std::string_view constants;  // the decoder's, copied to where the event lives
  Arena& arena;
};

struct Constant {
  size_t offset = 0, bytes = 0;
  std::string_view In(const Row& row) const { return row.constants.substr(offset, bytes); }
};

struct Piece {
  enum class Kind : uint8_t { kConstant, kCell, kRow };
  Kind kind = Kind::kConstant;
  Constant constant;
  size_t cell = 0;
  uint64_t subtract = 0, modulo = 0;
  int width = 0;
};

// A field's template, ready for rows: a constant or a lone column costs no copy.
class Field {
 public:
  std::vector<Piece> pieces;

  // Whether it is the text of one cell, and nothing else.
  bool is_cell() const { return pieces.size() == 1 && pieces[0].kind == Piece::Kind::kCell; }

  std::string_view TextOf(const Row& row) const {
    if (pieces.empty()) return {};
    const Piece& first = pieces[0];
    if (is_cell()) return row.cells[first.cell];
    if (pieces.size() == 1 && first.kind == Piece::Kind::kConstant) return first.constant.In(row);
    return Join(row);
  }

 private:
  static constexpr size_t kNumberBytes = 20;

  std::string_view Join(const Row& row) const {
    size_t room = kCellPadding;
    for (const Piece& piece : pieces) {
      room += piece.kind == Piece::Kind::kRow ? kNumberBytes : Text(piece, row).size();
    }
    char* const text = row.arena.Allocate(room);
    char* out = text;
    for (const Piece& piece : pieces) {
      if (piece.kind == Piece::Kind::kRow) {
        out = PutNumber(piece, row.number, out);
      } else {
        out = CopyText(Text(piece, row), out);
      }
    }
    return {text, static_cast<size_t>(out - text)};
  }
  static std::string_view Text(const Piece& piece, const Row& row) {
    return piece.kind == Piece::Kind::kCell ? row.cells[piece.cell] : piece.constant.In(row);
  }
  static char* PutNumber(const Piece& piece, uint64_t number, char* out) {
    number -= piece.subtract;
    if (piece.modulo != 0) number %= piece.modulo;
    char digits[kNumberBytes];
    const char* const end = std::to_chars(digits, digits + kNumberBytes, number).ptr;
    for (auto padding = piece.width - (end - digits); padding > 0; --padding) *out++ = '0';
    return std::copy(static_cast<const char*>(digits), end, out);
  }
};

struct PropertyProgram {
  Constant name;
  bool is_number = false;
  bool is_product = false;
  Field text;
  std::vector<size_t> factors;
};

// A time as text, or as seconds from the base.
struct TimeProgram {
  Field text;
  bool is_offset = false;
  size_t offset_cell = 0;
  Instant base;
};

struct EventProgram {
  Field id, source, type, subject, time;
  bool time_in_utc = false;
  bool time_is_offset = false;
  size_t offset_cell = 0;
  Instant base;
  std::vector<PropertyProgram> data;
  // Without pieces where the mapping has none.
  Field corrects, voids, original_type, original_subject;
  TimeProgram original_time;
  std::vector<PropertyProgram> original_data;
  bool may_correct() const { return !corrects.pieces.empty() || !voids.pieces.empty(); }
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CSV_PROGRAM_H_
