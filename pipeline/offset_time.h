// OffsetTime: a time that a feed counts in seconds from a base.
#ifndef TOLLBOOK_PIPELINE_OFFSET_TIME_H_
#define TOLLBOOK_PIPELINE_OFFSET_TIME_H_

#include <string_view>

#include "rating/calendar.h"

namespace tollbook {

// `seconds` is a number of the JSON grammar, and may be negative. Digits beyond the nanosecond are cut off toward the
// past, as a time's own are. Errors: kNotATime, kOutOfRange.
[[nodiscard]] ParsedInstant InstantAtOffset(std::string_view seconds, Instant base);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_OFFSET_TIME_H_
