#include "pipeline/stored_line.h"

#include <cstring>
#include <vector>

#include "ledger/records.h"

namespace tollbook {
namespace {

// Null: it is not one event.
const UsageEvent* Decode(Decoder& json, std::string_view payload, Arena& arena, std::vector<DecodedEvent>* decoded) {
  // As a line of input: with bytes behind it that may be read, and as long in memory as what was measured of it.
  char* const line = arena.Allocate(payload.size() + kLinePadding);
  std::memcpy(line, payload.data(), payload.size());
  std::memset(line + payload.size(), '\n', kLinePadding);
  json.Decode({line, payload.size()}, 0, arena, *decoded);
  return decoded->size() == 1 && decoded->front().reason == Reason::kNone ? &decoded->front().event : nullptr;
}

}  // namespace

absl::StatusOr<UsageEvent> DecodeHeldLine(Decoder& json, std::string_view payload, Arena& arena) {
  std::vector<DecodedEvent> decoded;
  const UsageEvent* const event = Decode(json, payload, arena, &decoded);
  if (event == nullptr) return DamagedError("a held event");
  return *event;
}

absl::StatusOr<UsageEvent> DecodeCorrectionLine(Decoder& json, std::string_view payload, Arena& arena) {
  std::vector<DecodedEvent> decoded;
  const UsageEvent* const event = Decode(json, payload, arena, &decoded);
  if (event == nullptr || event->correction == nullptr) return DamagedError("a correction");
  return *event;
}

}  // namespace tollbook
