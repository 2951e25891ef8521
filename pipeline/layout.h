// Layout: what the lines of one producer and one type of event have in common.
//
//   {"specversion":"1.0","id":"  e-17  ","type":"api.calls","subject":"  sub-1  ",…,"ms":  30  }}\n
//   `------- literal --------'  slot   `----------- literal -----------'  slot        slot `--'
//
// A layout is learnt from a line that the general decoder has accepted: literals are its text between the values, slots
// are the values. A later line matches when its literals are the same bytes and its slots hold what JSON allows in that
// place, so it is a line that the general decoder would accept with the same fields in the same places; nothing of it
// goes unchecked. The last literal has the line end, so matching finds that too: one pass over the bytes and no search.
// Values that decide what the others mean, `type` and `specversion`, are literals.
//
// What a match does not take goes to the general decoder: numbers with an exponent or of 32 characters, a line without
// line end, anything unexpected. bench/tricks.cc: `lines` 713 instructions an event, 4521 by the general decoder.
#ifndef TOLLBOOK_PIPELINE_LAYOUT_H_
#define TOLLBOOK_PIPELINE_LAYOUT_H_

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "pipeline/arena.h"
#include "pipeline/decode.h"

namespace tollbook {

enum class SlotKind : uint8_t { kString, kNumber };

// A value of a matched line.
struct Slot {
  const char* begin = nullptr;
  uint32_t bytes = 0;
  uint32_t whole = 0;  // of a number: the digits before its point
  std::string_view text() const { return {begin, bytes}; }
};

inline constexpr size_t kSlotsMax = 256;
using Slots = std::array<Slot, kSlotsMax>;

// A line taken apart.
struct LineShape {
  std::vector<std::string_view> literals;  // one more than slots; views into the line
  std::vector<std::string_view> slots;
  std::vector<SlotKind> kinds;
  uint16_t id = 0, source = 0, subject = 0, time = 0;  // which slots they are
  std::vector<int> of_property;                        // by UsageEvent::data: its slot; -1: it is part of a literal
};

// `line` with its line end, `event` what the general decoder made of it. None: it cannot serve as a layout.
std::optional<LineShape> ShapeOf(std::string_view line, const UsageEvent& event);

// The layouts of one thread, as a tree: they share what they have in common at the front.
class LayoutTree {
 public:
  static constexpr uint32_t kLayoutsMax = 256;
  static constexpr size_t kLiteralBytesMax = 1 << 20;  // of all layouts

  // The number of the layout, its slots, and where the line behind it begins; -1: no layout, or not to be decided here.
  // `at` is the beginning of a line in a block that ends at `end`; kLinePadding bytes behind that may be read, and so
  // many behind each slot. Slots point into the line, or into `arena` where they had to be unescaped.
  int Match(const char* at, const char* end, Arena& arena, Slots* slots, const char** behind);

  // Learns a layout; its number is size() - 1 afterwards. False: it is there already, or there is no room.
  bool Add(const LineShape& shape);
  uint32_t size() const { return layouts_; }
  bool full() const { return layouts_ == kLayoutsMax || literal_bytes_ > kLiteralBytesMax; }
  void Clear();
  // Between blocks: forgives the lengths that were seldom guessed wrong.
  void ForgiveGuesses();

 private:
  struct Edge;
  // Where layouts part: what may follow a slot.
  struct Branch {
    const Edge* of_key(const char* at, const char* end) const;
    std::vector<Edge*> edges;
    // Finds the edge by up to eight bytes behind what all have in common.
    std::vector<Edge*> table;
    uint32_t common = 0;
    uint32_t shift = 0;
    uint64_t mask = 0;
  };
  // A literal, the slot behind it, and what may follow that slot.
  struct Edge {
    const char* text = nullptr;  // padded with zeros to a multiple of kLiteralStep
    uint32_t bytes = 0;
    uint32_t full_steps = 0;  // bytes of it that are compared in whole steps
    uint64_t last_mask = 0;   // the bits of its last step
    Edge* next_same_key = nullptr;
    Edge* only = nullptr;  // the edge behind it, while there is but one
    Branch* branch = nullptr;
    int32_t layout = -1;  // >= 0: the line ends behind this literal
    SlotKind kind = SlotKind::kString;
    uint16_t wrong_guesses = 0;
    uint32_t guess = kNoGuess;  // how long the slot was last time
  };
  static constexpr uint32_t kNoGuess = ~0u;
  static constexpr uint16_t kWrongGuessesMax = 32;
  static constexpr size_t kSameKeyMax = 16;
  static constexpr size_t kEdgesMax = 256;

  static Edge* Follow(const Branch& branch, const char* at, const char* end);
  static bool IsAt(const Edge& edge, const char* at, const char* end);
  static bool TakeString(Edge* edge, const char** at, const char* end, Arena& arena, Slot* slot, uint32_t* not_ascii);
  static bool TakeEscaped(const char** at, const char* escape, const char* end, Arena& arena, Slot* slot,
                          uint32_t* not_ascii);
  Edge* NewEdge(std::string_view literal);
  static bool Rebuild(Branch* branch);

  Arena texts_;
  std::deque<Edge> edges_;
  std::deque<Branch> branches_;
  Branch* root_ = nullptr;
  uint32_t layouts_ = 0;
  size_t literal_bytes_ = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_LAYOUT_H_
