#include "pipeline/layout.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "pipeline/escape_run.h"
#include "pipeline/json_text.h"
#include "pipeline/layout_scan.h"
#include "pipeline/layout_values.h"
#include "simdjson.h"

namespace tollbook {

// --- A line taken apart ----------------------------------------------------------------------------------------------

namespace {

bool IsBlank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Cuts a line that is known to be good JSON into literals and slots.
class ShapeCutter {
 public:
  ShapeCutter(std::string_view line, const UsageEvent& event) : line_(line), event_(event) {
    shape_.of_property.assign(event.data.size(), -1);
  }

  std::optional<LineShape> Cut() {
    for (size_t at = 0; at < line_.size();) {
      const char c = line_[at];
      size_t behind = at + 1;
      if (c == '"') {
        if (!CutString(at, &behind)) return std::nullopt;
      } else if (c == '-' || (c >= '0' && c <= '9')) {
        behind = std::min(line_.find_first_not_of("0123456789.eE+-", at), line_.size());
        AddSlot(at, behind, SlotKind::kNumber);
      } else if (c >= 'a' && c <= 'z') {  // true, false, null
        behind = line_.find_first_not_of("abcdefghijklmnopqrstuvwxyz", at);
        MarkProperty(-1);
      } else if (c == '{' || c == '[') {
        ++depth_;
        arrays_ += c == '[';
      } else if (c == '}' || c == ']') {
        --depth_;
        arrays_ -= c == ']';
      }
      at = behind;
    }
    shape_.literals.push_back(line_.substr(literal_));
    if (shape_.slots.size() > kSlotsMax || fields_ != 4 || !NamesFitEveryLine()) return std::nullopt;
    if (SkipComposites() != event_.data.size()) return std::nullopt;  // the decoder and we read different lines
    return std::move(shape_);
  }

 private:
  // A string is a name, which is part of a literal, or a value. False: nothing to learn from this line.
  bool CutString(size_t quote, size_t* behind) {
    bool escapes = false;
    size_t end = quote + 1;
    for (; line_[end] != '"'; ++end) {
      if (line_[end] != '\\') continue;
      escapes = true;
      ++end;
    }
    *behind = end + 1;
    size_t next = end + 1;
    while (next < line_.size() && IsBlank(line_[next])) ++next;
    const std::string_view text = line_.substr(quote + 1, end - quote - 1);
    if (next < line_.size() && line_[next] == ':') {
      if (depth_ != 1) return true;
      name_ = text;
      return !escapes;  // it might spell "specversion"
    }
    if (depth_ == 1 && (name_ == "type" || name_ == "specversion")) return true;
    if (depth_ == 1) MarkField();
    AddSlot(quote + 1, end, SlotKind::kString);
    return true;
  }

  // An accepted line has each of them once, as a string.
  void MarkField() {
    const auto slot = static_cast<uint16_t>(shape_.slots.size());
    const auto mark = [&](std::string_view name, uint16_t* field) {
      if (name_ != name) return;
      *field = slot;
      ++fields_;
    };
    mark("id", &shape_.id);
    mark("source", &shape_.source);
    mark("subject", &shape_.subject);
    mark("time", &shape_.time);
  }

  void AddSlot(size_t begin, size_t end, SlotKind kind) {
    MarkProperty(static_cast<int>(shape_.slots.size()));
    shape_.literals.push_back(line_.substr(literal_, begin - literal_));
    shape_.slots.push_back(line_.substr(begin, end - begin));
    shape_.kinds.push_back(kind);
    literal_ = end;
  }

  // The decoder lists the scalars of `data` that are in no array, in the order of the line, and containers among them.
  void MarkProperty(int slot) {
    if (depth_ < 2 || arrays_ > 0 || name_ != "data") return;
    if (SkipComposites() < event_.data.size()) shape_.of_property[property_] = slot;
    ++property_;
  }
  size_t SkipComposites() {
    while (property_ < event_.data.size() && event_.data[property_].kind == Property::Kind::kComposite) ++property_;
    return property_;
  }

  // The paths of nested data may make up a number of times the line's length, so a shorter line of the same layout
  // might not be accepted. Paths that fit the literals alone fit every line.
  bool NamesFitEveryLine() const {
    size_t names = 0, literals = 0;
    for (const Property& property : event_.data) names += property.name.size();
    for (const std::string_view literal : shape_.literals) literals += literal.size();
    return names <= literals;
  }

  const std::string_view line_;
  const UsageEvent& event_;
  LineShape shape_;
  size_t literal_ = 0;   // where the literal at hand begins
  size_t property_ = 0;  // the next one of `data`
  int depth_ = 0;
  int arrays_ = 0;         // of it
  int fields_ = 0;         // found of those that every event needs
  std::string_view name_;  // the last one of the outermost object
};

}  // namespace

std::optional<LineShape> ShapeOf(std::string_view line, const UsageEvent& event) {
  if (!line.ends_with('\n')) return std::nullopt;
  return ShapeCutter(line, event).Cut();
}

// --- Matching --------------------------------------------------------------------------------------------------------

namespace {

constexpr uint64_t kKeyFactor = 0x9E3779B97F4A7C15;

size_t PlaceOf(uint64_t key, uint32_t shift) {
  return static_cast<size_t>((key * kKeyFactor) >> shift);
}

}  // namespace

inline LayoutTree::Edge* LayoutTree::Follow(const Branch& branch, const char* at, const char* end) {
  if (end - at <= static_cast<ptrdiff_t>(branch.common)) return nullptr;
  return branch.table[PlaceOf(Load8(at + branch.common) & branch.mask, branch.shift)];
}

inline bool LayoutTree::IsAt(const Edge& edge, const char* at, const char* end) {
  if (end - at < static_cast<ptrdiff_t>(edge.bytes)) return false;
  const char* text = edge.text;
  for (uint32_t i = 0; i < edge.full_steps; i += kLiteralStep) {
    if (!SameBytes(at + i, text + i, ~uint64_t{0})) return false;
  }
  return SameBytes(at + edge.full_steps, text + edge.full_steps, edge.last_mask);
}

// To the byte that stops the string; the literal behind it says whether that is the quote.
inline bool LayoutTree::TakeString(Edge* edge, const char** at, const char* end, Arena& arena, Slot* slot,
                                   uint32_t* not_ascii) {
  const char* const begin = *at;
  StringBits bits = ReadString(begin);
  const char* step = begin;
  while (bits.stops == 0) {
    *not_ascii |= bits.not_ascii;
    step += 32;
    if (step >= end) return false;
    bits = ReadString(step);
  }
  const auto last = static_cast<uint32_t>(std::countr_zero(bits.stops));
  *not_ascii |= bits.not_ascii & ((1u << last) - 1);
  uint32_t bytes = static_cast<uint32_t>(step - begin) + last;
  if (begin[bytes] == '\\') [[unlikely]] {
    return TakeEscaped(at, begin + bytes, end, arena, slot, not_ascii);
  }
  // Where the next literal begins is known only a dozen or more cycles after this slot's bytes came, and so on for each
  // slot. Most fields have one length, though: guessed right, the processor goes on at once and proves it later.
  uint32_t guess = edge->guess;
#if defined(__GNUC__)
  asm volatile("" : "+r"(guess));  // or the compiler sees that guess and bytes are the same, and waits for the latter
#endif
  if (bytes == edge->guess) {
#if defined(__GNUC__)
    asm volatile("");  // a branch, not a conditional move
#endif
    bytes = guess;
  } else if (edge->guess != kNoGuess) {
    edge->guess = ++edge->wrong_guesses < kWrongGuessesMax ? bytes : kNoGuess;
  }
  *slot = {begin, bytes, 0};
  *at = begin + bytes;
  return true;
}

// A string with escapes, from `at` to the quote that closes it, in one pass: as the general decoder takes it, or false.
// A long one is left to that.
bool LayoutTree::TakeEscaped(const char** at, const char* escape, const char* end, Arena& arena, Slot* slot,
                             uint32_t* not_ascii) {
  constexpr ptrdiff_t kLongest = 4096;
  if (escape - *at >= kLongest) return false;
  char* const text = arena.Allocate(kLongest + 32 + kScanAhead);
  std::memcpy(text, *at, static_cast<size_t>(escape - *at));
  char* out = text + (escape - *at);
  const char* from = escape;
  bool good = true;
  while (good && from < end && *from != '"' && out - text < kLongest) {
    if (*from == '\\') {
      const auto whole = static_cast<uint32_t>(std::min<ptrdiff_t>((end - from) / kEscapeBytes, kEscapesMax));
      const uint32_t run = std::min(UnescapeRun(from, out), whole);
      from += run * kEscapeBytes;
      out += run;
      if (run == 0) good = UnescapeAny(&from, end, &out);
      continue;
    }
    const StringBits bits = ReadString(from);
    const int plain = bits.stops == 0 ? 32 : std::countr_zero(bits.stops);
    if (plain == 0) break;  // a control character
    *not_ascii |= bits.not_ascii & static_cast<uint32_t>((uint64_t{1} << plain) - 1);
    std::memcpy(out, from, 32);
    out += plain;
    from += plain;
  }
  const bool closed = good && from < end && *from == '"';
  arena.GiveBack(closed ? out + kScanAhead : text);
  *slot = {text, static_cast<uint32_t>(out - text), 0};
  *at = from;
  return closed;
}

int LayoutTree::Match(const char* at, const char* end, Arena& arena, Slots* slots, const char** behind) {
  if (root_ == nullptr) return -1;
  const char* const line = at;
  Slot* slot = slots->data();
  uint32_t not_ascii = 0;
  Edge* edge = Follow(*root_, at, end);
  for (;;) {
    while (edge != nullptr && !IsAt(*edge, at, end)) edge = edge->next_same_key;
    if (edge == nullptr) return -1;
    at += edge->bytes;
    if (edge->layout >= 0) break;
    if (edge->kind == SlotKind::kString) {
      if (!TakeString(edge, &at, end, arena, slot, &not_ascii)) return -1;
    } else {
      const bool negative = *at == '-';
      NumberShape shape;
      if (!ReadNumber(at + negative, &shape)) return -1;
      *slot = {at, shape.bytes + negative, shape.whole};
      at += slot->bytes;
    }
    ++slot;
    edge = edge->only != nullptr ? edge->only : Follow(*edge->branch, at, end);
  }
  // Literals are valid and end at ASCII characters, so the line is valid when its slots are.
  if (not_ascii != 0 && !simdjson::validate_utf8(line, static_cast<size_t>(at - line))) return -1;
  *behind = at;
  return edge->layout;
}

// --- Learning --------------------------------------------------------------------------------------------------------

LayoutTree::Edge* LayoutTree::NewEdge(std::string_view literal) {
  Edge& edge = edges_.emplace_back();
  const size_t room = (literal.size() + kLiteralStep - 1) / kLiteralStep * kLiteralStep;
  char* const text = texts_.Allocate(room + sizeof(uint64_t));  // a key may reach so far behind it
  std::memcpy(text, literal.data(), literal.size());
  std::memset(text + literal.size(), 0, room - literal.size());
  literal_bytes_ += room + sizeof(Edge);
  edge.text = text;
  edge.bytes = static_cast<uint32_t>(literal.size());
  edge.full_steps = (edge.bytes - 1) / kLiteralStep * kLiteralStep;
  edge.last_mask = ~uint64_t{0} >> (kLiteralStep - (edge.bytes - edge.full_steps));
  return &edge;
}

// False: too many edges look alike.
bool LayoutTree::Rebuild(Branch* branch) {
  const std::string_view first(branch->edges[0]->text, branch->edges[0]->bytes);
  size_t common = first.size();
  for (const Edge* edge : branch->edges) {
    const std::string_view text(edge->text, edge->bytes);
    common = std::min<size_t>(
        common, std::mismatch(first.begin(), first.end(), text.begin(), text.end()).first - first.begin());
  }
  // A literal in front of a number may be the beginning of another one (`,"x":` and `,"x":"`). It has no key, and is
  // tried when all else fails.
  size_t width = 8;
  Edge* keyless = nullptr;
  for (Edge* edge : branch->edges) {
    if (edge->bytes == common) {
      keyless = edge;
    } else {
      width = std::min(width, edge->bytes - common);
    }
  }
  branch->common = static_cast<uint32_t>(common);
  branch->mask = ~uint64_t{0} >> (64 - 8 * width);
  const int bits = std::bit_width(branch->edges.size()) + 2;
  branch->shift = static_cast<uint32_t>(64 - bits);
  branch->table.assign(size_t{1} << bits, keyless);
  std::vector<uint8_t> chain(branch->table.size());
  if (keyless != nullptr) keyless->next_same_key = nullptr;
  for (Edge* edge : branch->edges) {
    if (edge == keyless) continue;
    const size_t place = PlaceOf(Load8(edge->text + common) & branch->mask, branch->shift);
    edge->next_same_key = branch->table[place];
    branch->table[place] = edge;
    if (++chain[place] > kSameKeyMax) return false;
  }
  return true;
}

bool LayoutTree::Add(const LineShape& shape) {
  if (full()) return false;
  if (root_ == nullptr) root_ = &branches_.emplace_back();
  Branch* branch = root_;
  Edge* edge = nullptr;
  bool is_new = false;
  for (size_t i = 0; i < shape.literals.size(); ++i) {
    const std::string_view literal = shape.literals[i];
    const auto same = [&](const Edge* e) { return std::string_view(e->text, e->bytes) == literal; };
    const auto known = std::find_if(branch->edges.begin(), branch->edges.end(), same);
    if (known != branch->edges.end()) {
      edge = *known;
    } else {
      if (branch->edges.size() == kEdgesMax) return false;
      Edge* const before = edge;
      edge = NewEdge(literal);
      branch->edges.push_back(edge);
      if (!Rebuild(branch)) {
        branch->edges.pop_back();
        Rebuild(branch);
        return false;
      }
      if (before != nullptr) before->only = branch->edges.size() == 1 ? edge : nullptr;
      is_new = true;
      if (i == shape.slots.size()) {
        edge->layout = static_cast<int32_t>(layouts_++);
      } else {
        edge->kind = shape.kinds[i];
        if (edge->kind == SlotKind::kString) edge->guess = static_cast<uint32_t>(shape.slots[i].size());
        edge->branch = &branches_.emplace_back();
      }
    }
    if (i < shape.slots.size()) branch = edge->branch;
  }
  return is_new;
}

void LayoutTree::Clear() {
  root_ = nullptr;
  branches_.clear();
  edges_.clear();
  texts_.Clear();
  layouts_ = 0;
  literal_bytes_ = 0;
}

void LayoutTree::ForgiveGuesses() {
  for (Edge& edge : edges_) edge.wrong_guesses = 0;
}

}  // namespace tollbook
