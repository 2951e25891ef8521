#include "pipeline/correction_line.h"

#include <cstring>
#include <vector>

#include "ledger/records.h"

namespace tollbook {

absl::StatusOr<UsageEvent> DecodeCorrectionLine(Decoder& json, std::string_view payload, Arena& arena) {
  // As a line of input: with bytes behind it that may be read, and as long in memory as what was measured of it.
  char* const line = arena.Allocate(payload.size() + kLinePadding);
  std::memcpy(line, payload.data(), payload.size());
  std::memset(line + payload.size(), '\n', kLinePadding);
  std::vector<DecodedEvent> decoded;
  json.Decode({line, payload.size()}, 0, arena, decoded);
  const DecodedEvent& event = decoded.front();
  if (event.reason != Reason::kNone || event.event.correction == nullptr) return DamagedError("a correction");
  return event.event;
}

}  // namespace tollbook
