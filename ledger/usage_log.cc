#include "ledger/usage_log.h"

#include <algorithm>

#include "ledger/bytes.h"

namespace tollbook {

std::string Encode(std::span<const UsageSegment> segments) {
  ByteWriter out;
  out.Varint(segments.size());
  for (const UsageSegment& segment : segments) {
    out.Varint(segment.source);
    out.Varint(segment.first_offset);
    out.Varint(segment.end_offset);
    out.Varint(segment.place.file);
    out.Varint(segment.place.offset);
    out.Varint(segment.place.bytes);
    out.Raw({reinterpret_cast<const char*>(segment.place.hash.data()), segment.place.hash.size()});
  }
  return out.Take();
}

absl::StatusOr<std::vector<UsageSegment>> DecodeUsageSegments(std::string_view stored) {
  ByteReader in(stored);
  std::vector<UsageSegment> segments;
  const uint64_t count = in.Count(38);
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    UsageSegment& segment = segments.emplace_back();
    segment.source = in.Varint32();
    segment.first_offset = in.Varint64();
    segment.end_offset = in.Varint64();
    segment.place.file = in.Varint32();
    segment.place.offset = in.Varint64();
    segment.place.bytes = in.Varint64();
    const std::string_view hash = in.Raw(segment.place.hash.size());
    std::ranges::copy(hash, segment.place.hash.begin());
    if (segment.end_offset <= segment.first_offset || segment.place.bytes == 0) in.Fail();
  }
  if (!in.done() || segments.empty()) return DamagedError("the usage log of an epoch");
  return segments;
}

std::string EncodePurgedUsage(std::span<const uint64_t> epochs) {
  ByteWriter out;
  out.Varint(epochs.size());
  for (const uint64_t epoch : epochs) out.Varint(epoch);
  return out.Take();
}

absl::StatusOr<std::vector<uint64_t>> DecodePurgedUsage(std::string_view stored) {
  ByteReader in(stored);
  std::vector<uint64_t> epochs;
  const uint64_t count = in.Count(1);
  for (uint64_t i = 0; i < count && in.ok(); ++i) epochs.push_back(in.Varint64());
  if (!in.done() || epochs.empty()) return DamagedError("a purge of the usage log");
  return epochs;
}

}  // namespace tollbook
