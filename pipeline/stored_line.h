// StoredLine: a line of canonical JSON that the book keeps (a held event, a correction), decoded. What it is worth is
// told by a catalog (stored_correction.h); which event it changes, and what counted then and counts now, needs none.
#ifndef TOLLBOOK_PIPELINE_STORED_LINE_H_
#define TOLLBOOK_PIPELINE_STORED_LINE_H_

#include <string_view>

#include "pipeline/arena.h"
#include "pipeline/decode.h"
#include "rating/error.h"

namespace tollbook {

// Views live as long as the arena. DataLoss: it is no event.
[[nodiscard]] absl::StatusOr<UsageEvent> DecodeHeldLine(Decoder& json, std::string_view payload, Arena& arena);

// With its `correction`. DataLoss: it has none.
[[nodiscard]] absl::StatusOr<UsageEvent> DecodeCorrectionLine(Decoder& json, std::string_view payload, Arena& arena);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_STORED_LINE_H_
