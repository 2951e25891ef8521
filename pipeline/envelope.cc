#include "pipeline/envelope.h"

#include <algorithm>
#include <memory>

namespace tollbook {

void CheckNames(const UsageEvent& event, ReasonSet* reasons) {
  reasons->AddIf(event.id.empty(), Reason::kMissingId);
  reasons->AddIf(event.source.empty(), Reason::kMissingSource);
  reasons->AddIf(event.type.empty(), Reason::kMissingType);
  reasons->AddIf(event.subject.empty(), Reason::kMissingSubject);
  const size_t longest = std::max({event.id.size(), event.source.size(), event.type.size(), event.subject.size()});
  reasons->AddIf(longest > kFieldBytesMax, Reason::kFieldTooLong);
}

void SetTime(std::string_view text, bool assume_utc, InstantReader& reader, UsageEvent* event, ReasonSet* reasons) {
  if (text.empty()) return reasons->Add(Reason::kMissingTime);
  const ParsedInstant parsed = reader.Parse(text, assume_utc);
  switch (parsed.error) {
    case TimeError::kNone:
      event->time = parsed.instant;
      return;
    case TimeError::kNotATime:
      return reasons->Add(Reason::kInvalidTime);
    case TimeError::kNoZone:
      return reasons->Add(Reason::kTimeWithoutZone);
    case TimeError::kOutOfRange:
      return reasons->Add(Reason::kTimeOutOfRange);
  }
}

std::span<const Property> KeepProperties(std::span<const Property> properties, Arena& arena) {
  if (properties.empty()) return {};
  void* at = arena.Allocate(properties.size_bytes() + alignof(Property));
  size_t space = properties.size_bytes() + alignof(Property);
  auto* kept = static_cast<Property*>(std::align(alignof(Property), properties.size_bytes(), at, space));
  std::uninitialized_copy(properties.begin(), properties.end(), kept);
  return {kept, properties.size()};
}

}  // namespace tollbook
