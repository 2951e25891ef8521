#include "pipeline/block_work.h"

#include "pipeline/lines.h"

namespace tollbook {

void BlockDecoder::Decode(Decoder& decoder, BlockWork* work) {
  identities_.clear();
  measurements_.clear();
  const uint64_t lines = ForEachLine(work->block, [&](const BlockLine& line) { DecodeLine(decoder, line, work); });
  work->line_ends = lines + work->block.long_lines.size();
  work->identities.Fill(identities_, [](const Identity& identity) { return SeenShardOf(identity.entry); });
  work->measurements.Fill(measurements_,
                          [](const Measurement& measurement) { return TotalShardOf(measurement.subject_hash); });
}

void BlockDecoder::DecodeLine(Decoder& decoder, const BlockLine& line, BlockWork* work) {
  EventPlace place{static_cast<uint32_t>(line.number), static_cast<uint32_t>(line.offset),
                   static_cast<uint32_t>(line.text.size()), 0};
  events_.clear();
  decoder.Decode(line.text, line.row, work->block.arena, events_);
  for (const DecodedEvent& decoded : events_) {
    const auto event = static_cast<uint32_t>(work->verdicts.size());
    Identity identity;
    identity.event = event;
    const size_t first = measurements_.size();
    Reason verdict = decoded.reason;
    if (verdict == Reason::kNone)
      verdict = measurer_.Measure(decoded.event, work->block.arena, &identity.entry, &measurements_);
    if (verdict == Reason::kNone) {
      for (size_t i = first; i < measurements_.size(); ++i) measurements_[i].event = event;
      identities_.push_back(identity);
    } else if (OutcomeOf(verdict) == Outcome::kHeld) {
      AppendCanonicalJson(decoded.event, &work->held.emplace_back(event, std::string()).second);
    }
    work->places.push_back(place);
    work->verdicts.push_back(verdict);
    ++place.part;
  }
}

}  // namespace tollbook
