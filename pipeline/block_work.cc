#include "pipeline/block_work.h"

#include "pipeline/csv_rows.h"
#include "pipeline/lines.h"

namespace tollbook {

namespace {

bool IsIn(const Block& block, std::string_view text) {
  return reinterpret_cast<uintptr_t>(text.data()) - reinterpret_cast<uintptr_t>(block.data) < block.bytes;
}

bool IsRefused(const BlockWork& work, Day date) {
  return date < work.cut_off;
}

// Where a subject had to be unescaped or put together, it must be kept as long as the block.
void KeepSubject(std::span<Measurement> measurements, Block* block) {
  const std::string_view subject = measurements[0].subject_name();
  if (IsIn(*block, subject)) return;
  const char* const kept = block->arena.Copy(subject).data();
  for (Measurement& measurement : measurements) measurement.subject = kept;
}

}  // namespace

bool LayoutPace::OnTried(bool matched) {
  const std::optional<uint32_t> of_stretch = tries_.OnTried(matched);
  if (!of_stretch) return false;
  lessons_ = std::min(lessons_ + *of_stretch / kLinesALesson + 1, LayoutTree::kLayoutsMax);
  return tries_.rests();
}

// Room for as many events as the block before had. Memory that served another block is there already.
void BlockDecoder::ReserveAsBefore(BlockWork* work) const {
  const size_t room = identities_.capacity();
  work->places.reserve(room);
  work->verdicts.reserve(room);
  if (work->measurements.capacity() >= room) return;
  work->measurements.reserve(room);
  TouchAhead(work->measurements.data(), identities_.size() * sizeof(Measurement));
}

void BlockDecoder::Decode(Decoder& decoder, BlockWork* work) {
  ReserveAsBefore(work);
  identities_.clear();
  layouts_.ForgiveGuesses();
  const bool by_layout = choice_ == DecoderChoice::kAuto && decoder.ReadsJson();
  CsvRows* const rows = choice_ == DecoderChoice::kAuto ? decoder.Rows() : nullptr;
  BlockLine line;
  line.row = work->block.first_row;
  while (line.offset < work->block.bytes) {
    size_t bytes = by_layout ? MatchLine(line, work) : rows != nullptr ? MatchRow(*rows, line, work) : 0;
    if (bytes == 0) {
      bytes = FindLineEnd(work->block, &line);
      if (!IsBlankLine(line.text)) DecodeLine(decoder, line, work);
    }
    GoToNextLine(bytes, &line);
  }
  work->line_ends = line.number + work->block.long_lines.size();
  work->identities.Fill(identities_, [](const Identity& identity) { return SeenShardOf(identity.entry); });
  work->measurements_of.Fill(work->measurements, [](const Measurement& m) { return TotalShardOf(m.subject_hash); });
}

// The line by a layout: its bytes with the line end; 0 when it must go the general way.
size_t BlockDecoder::MatchLine(const BlockLine& line, BlockWork* work) {
  if (!pace_.TriesNext()) return 0;
  const char* const begin = work->block.data + line.offset;
  const char* behind = nullptr;
  line_arena_.Clear();
  const int layout = layouts_.Match(begin, work->block.data + work->block.bytes, line_arena_, &slots_, &behind);
  const auto event = static_cast<uint32_t>(work->verdicts.size());
  const size_t first = work->measurements.size();
  Identity identity;
  const bool matched = layout >= 0 &&
                       measurer_.MeasureSlots(plans_[static_cast<size_t>(layout)], slots_, event, line_arena_,
                                              &identity.entry, &work->measurements) &&
                       DateIsTaken(*work, first, &identity.date);
  if (pace_.OnTried(matched) && layouts_.full()) {
    layouts_.Clear();
    plans_.clear();
    pace_.Renew();
  }
  if (!matched) {
    work->measurements.resize(first);
    return 0;
  }
  ++matched_;
  identity.event = event;
  identities_.push_back(identity);
  KeepSubject(std::span(work->measurements).subspan(first), &work->block);
  const auto bytes = static_cast<size_t>(behind - begin);
  const size_t line_end = behind[-2] == '\r' ? 2 : 1;
  work->places.push_back({static_cast<uint32_t>(line.number), static_cast<uint32_t>(line.offset),
                          static_cast<uint32_t>(bytes - line_end), 0});
  work->verdicts.push_back(Reason::kNone);
  return bytes;
}

bool BlockDecoder::DateIsTaken(const BlockWork& work, size_t first, Day* date) {
  *date = measurer_.DayOf(work.measurements[first].time);
  return !IsRefused(work, *date);
}

// A row of CSV as its mapping's slots: its bytes with the line end; 0 when it must go the general way.
size_t BlockDecoder::MatchRow(CsvRows& rows, const BlockLine& line, BlockWork* work) {
  if (!rows.pace().TriesNext()) return 0;
  const size_t bytes = TryRow(rows, line, work);
  rows.pace().OnTried(bytes != 0);
  return bytes;
}

size_t BlockDecoder::TryRow(CsvRows& rows, const BlockLine& line, BlockWork* work) {
  const char* const begin = work->block.data + line.offset;
  line_arena_.Clear();
  const CutRow cut = rows.Cut(begin, work->block.data + work->block.bytes, line.row, line_arena_, &slots_);
  if (cut.bytes == 0) return 0;
  const size_t first_identity = identities_.size();
  const size_t first_measurement = work->measurements.size();
  if (!MeasureRow(rows, work)) {
    identities_.resize(first_identity);
    work->measurements.resize(first_measurement);
    return 0;
  }
  for (uint32_t part = 0; part < rows.events(); ++part) {
    work->places.push_back({static_cast<uint32_t>(line.number), static_cast<uint32_t>(line.offset),
                            static_cast<uint32_t>(cut.text_bytes), part});
    work->verdicts.push_back(Reason::kNone);
  }
  matched_ += rows.events();
  return cut.bytes;
}

// All events of the row, or false.
bool BlockDecoder::MeasureRow(CsvRows& rows, BlockWork* work) {
  for (size_t part = 0; part < rows.events(); ++part) {
    const auto event = static_cast<uint32_t>(work->verdicts.size() + part);
    const size_t first = work->measurements.size();
    const LayoutPlan* const plan = rows.PlanOf(part, slots_);
    Identity identity;
    identity.event = event;
    if (plan == nullptr ||
        !measurer_.MeasureSlots(*plan, slots_, event, line_arena_, &identity.entry, &work->measurements) ||
        !DateIsTaken(*work, first, &identity.date)) {
      return false;
    }
    identities_.push_back(identity);
    KeepSubject(std::span(work->measurements).subspan(first), &work->block);
  }
  return true;
}

void BlockDecoder::DecodeLine(Decoder& decoder, const BlockLine& line, BlockWork* work) {
  EventPlace place{static_cast<uint32_t>(line.number), static_cast<uint32_t>(line.offset),
                   static_cast<uint32_t>(line.text.size()), 0};
  events_.clear();
  line_arena_.Clear();
  decoder.Decode(line.text, line.row, line_arena_, events_);
  for (const DecodedEvent& decoded : events_) {
    const auto event = static_cast<uint32_t>(work->verdicts.size());
    Identity identity;
    identity.event = event;
    const size_t first = work->measurements.size();
    Reason verdict = decoded.reason;
    if (verdict == Reason::kNone) verdict = JudgeEvent(decoded.event, work, &identity);
    if (verdict == Reason::kNone) {
      const auto measured = std::span(work->measurements).subspan(first);
      for (Measurement& measurement : measured) measurement.event = event;
      KeepSubject(measured, &work->block);
      identities_.push_back(identity);
      if (choice_ == DecoderChoice::kAuto && decoder.ReadsJson() && pace_.MayLearn() && !layouts_.full())
        Learn(line, *work, decoded.event);
      if (choice_ == DecoderChoice::kAuto && decoder.Rows() != nullptr && !decoder.Rows()->pace().rests())
        decoder.Rows()->Learn(place.part, decoded.event, measurer_);
    } else if (OutcomeOf(verdict) == Outcome::kHeld) {
      AppendCanonicalJson(decoded.event, &work->held.emplace_back(event, std::string()).second);
    }
    work->places.push_back(place);
    work->verdicts.push_back(verdict);
    ++place.part;
  }
}

// A correction of usage that is refused is refused, too.
Reason BlockDecoder::JudgeEvent(const UsageEvent& event, BlockWork* work, Identity* identity) {
  identity->date = measurer_.DayOf(event.time);
  if (IsRefused(*work, identity->date)) return Reason::kBeforeCutOff;
  if (event.correction == nullptr) return measurer_.Measure(event, line_arena_, &identity->entry, &work->measurements);
  if (IsRefused(*work, measurer_.DayOf(event.correction->original.time))) return Reason::kBeforeCutOff;
  return JudgeCorrection(event);
}

// A correction waits until all that was read with it is in the book: then it is found out what it corrects. Here, only
// whether it could ever be applied.
Reason BlockDecoder::JudgeCorrection(const UsageEvent& event) {
  MeasuredCorrection correction;
  of_correction_.clear();
  const Reason reason = measurer_.MeasureCorrection(event, line_arena_, &correction, &of_correction_);
  return reason == Reason::kNone ? Reason::kUnknownOriginal : reason;
}

void BlockDecoder::Learn(const BlockLine& line, const BlockWork& work, const UsageEvent& event) {
  const Block& block = work.block;
  // A line is its text, "\r" perhaps, and "\n", which the block's last one may lack.
  const size_t behind = line.offset + line.text.size();
  size_t bytes = line.text.size();
  if (behind < block.bytes) bytes += block.data[behind] == '\r' ? 2 : 1;
  if (line.offset + bytes > block.bytes || bytes > kLearntBytesMax) return;
  const std::optional<LineShape> shape = ShapeOf({block.data + line.offset, bytes}, event);
  const bool learnt = shape && layouts_.Add(*shape);
  if (learnt) plans_.push_back(measurer_.PlanOf(*shape, event));
  pace_.OnLesson(learnt);
}

}  // namespace tollbook
