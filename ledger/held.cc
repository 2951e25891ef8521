#include "ledger/held.h"

#include <algorithm>
#include <tuple>

#include "ledger/bytes.h"

namespace tollbook {
namespace {

auto PlaceOf(const HeldChange& change) {
  return std::tuple(change.kind, change.place);
}

// The changes of one place, in the order of lines.
std::string EncodeLines(std::span<const HeldChange> changes) {
  ByteWriter out;
  out.Varint(changes.size());
  uint32_t next = 0;
  for (const HeldChange& change : changes) {
    TOLLBOOK_ASSERT(change.line >= next);  // a line once
    out.Varint(change.line - next);
    next = change.line + 1;
    out.Fixed8(static_cast<uint8_t>(change.reason));
    if (NeedsSource(change.reason)) out.Varint(change.needs);
  }
  return out.Take();
}

// What is held of a chunk, by line: null is no longer.
using ByLine = std::vector<ExceptionRecord*>;

absl::Status ChangeLines(std::string_view stored, ByLine* lines) {
  ByteReader in(stored);
  const uint64_t count = in.Count(2);
  uint64_t line = 0;
  for (uint64_t i = 0; i < count && in.ok(); ++i, ++line) {
    line += in.Varint32();
    const auto reason = in.OneOf(static_cast<Reason>(kReasons - 1));
    const uint32_t needs = NeedsSource(reason) ? in.Varint32() : 0;
    const bool is_held = in.ok() && line < lines->size() && (*lines)[line] != nullptr;
    if (!is_held) return DamagedError("changes of what is held");
    if (reason == Reason::kNone) {
      (*lines)[line] = nullptr;
    } else {
      (*lines)[line]->reason = reason;
      (*lines)[line]->needs = needs;
    }
  }
  return in.done() ? absl::OkStatus() : DamagedError("changes of what is held");
}

}  // namespace

std::string Encode(std::span<const HeldChange> changes) {
  std::vector<HeldChange> ordered(changes.begin(), changes.end());
  std::ranges::sort(ordered, {}, [](const HeldChange& change) { return std::tuple(PlaceOf(change), change.line); });
  std::vector<std::span<const HeldChange>> places;
  for (auto first = ordered.begin(); first != ordered.end();) {
    const auto last =
        std::find_if(first, ordered.end(), [&](const auto& of) { return PlaceOf(of) != PlaceOf(*first); });
    places.emplace_back(first, last);
    first = last;
  }
  ByteWriter out;
  out.Varint(places.size());
  for (const std::span<const HeldChange> place : places) {
    out.Fixed8(static_cast<uint8_t>(place.front().kind));
    out.Varint(place.front().place.sequence);
    out.Varint(place.front().place.chunk);
    out.Text(EncodeLines(place));
  }
  return out.Take();
}

absl::Status HeldChanges::Add(std::string_view stored) {
  ByteReader in(stored);
  const uint64_t places = in.Count(4);
  for (uint64_t i = 0; i < places && in.ok(); ++i) {
    const auto kind = in.OneOf(HeldKind::kCorrections);
    const uint64_t sequence = in.Varint64();
    const uint32_t chunk = in.Varint32();
    const std::string_view lines = in.Text();
    if (in.ok()) changes_[{kind, {sequence, chunk}}].emplace_back(lines);
  }
  return in.done() ? absl::OkStatus() : DamagedError("changes of what is held");
}

bool HeldChanges::Any(HeldKind kind) const {
  const auto first = changes_.lower_bound({kind, {}});
  return first != changes_.end() && first->first.first == kind;
}

absl::StatusOr<HeldLines> HeldChanges::LinesOf(HeldKind kind, const HeldPlace& place, std::string_view chunk) const {
  HeldLines held;
  held.bytes = std::make_unique<std::string>(chunk);
  absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(*held.bytes);
  if (!records.ok()) return records.status();
  held.stored = static_cast<uint32_t>(records->size());
  ByLine lines;
  for (ExceptionRecord& record : *records) lines.push_back(&record);
  if (const auto changes = changes_.find({kind, place}); changes != changes_.end()) {
    for (const std::string& of_commit : changes->second) TOLLBOOK_RETURN_IF_ERROR(ChangeLines(of_commit, &lines));
  }
  for (uint32_t line = 0; line < held.stored; ++line) {
    if (lines[line] == nullptr) continue;
    held.records.push_back(*lines[line]);
    held.lines.push_back(line);
  }
  return held;
}

}  // namespace tollbook
