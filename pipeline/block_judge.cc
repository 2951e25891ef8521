#include "pipeline/block_judge.h"

#include <cstring>

#include "ledger/exception.h"

namespace tollbook {
namespace {

// An exception chunk is one stored value; this keeps it of a size that is pleasant to read back.
constexpr size_t kExceptionChunkBytes = 4 << 20;

// The first event from `event` on that was not accepted, eight verdicts at a time: nearly all are.
size_t NextException(const std::vector<Reason>& verdicts, size_t event) {
  static_assert(sizeof(Reason) == 1 && static_cast<int>(Reason::kNone) == 0);
  for (; event + 8 <= verdicts.size(); event += 8) {
    uint64_t eight;
    std::memcpy(&eight, &verdicts[event], sizeof(eight));
    if (eight != 0) break;
  }
  while (event < verdicts.size() && verdicts[event] == Reason::kNone) ++event;
  return event;
}

// Walks a block's exceptions in input order, then the lines that were cut out behind them, if any.
class BlockJudge {
 public:
  BlockJudge(const BlockWork& work, uint64_t first_line) : work_(work), first_line_(first_line) {}

  BlockVerdict Judge() {
    const std::vector<Reason>& verdicts = work_.verdicts;
    for (size_t event = 0; (event = NextException(verdicts, event)) < verdicts.size(); ++event) {
      Count(verdicts[event], 1);
      Keep(static_cast<uint32_t>(event));
    }
    Count(Reason::kNone, verdicts.size() - verdict_.counts.lines);
    const std::vector<Block::LongLine>& long_lines = work_.block.long_lines;
    for (size_t i = 0; i < long_lines.size(); ++i) {
      Count(Reason::kLineTooLong, 1);
      const uint64_t line = first_line_ + work_.line_ends - long_lines.size() + i;
      verdict_.exceptions.push_back(
          {Reason::kLineTooLong, work_.block.file, line, long_lines[i].offset, 0, long_lines[i].excerpt});
    }
    return std::move(verdict_);
  }

 private:
  void Count(Reason reason, uint64_t events) {
    verdict_.counts.lines += events;
    verdict_.counts.of(OutcomeOf(reason)) += events;
    verdict_.reasons[static_cast<size_t>(reason)] += events;
  }

  void Keep(uint32_t event) {
    const EventPlace& place = work_.places[event];
    ExceptionRecord record;
    record.reason = work_.verdicts[event];
    record.source = work_.block.file;
    record.line = first_line_ + place.line;
    record.offset = work_.block.offset + place.offset;
    record.part = place.part;
    if (OutcomeOf(record.reason) == Outcome::kHeld) {
      while (work_.held[next_held_].first != event) ++next_held_;
      record.payload = work_.held[next_held_].second;
    } else if (record.reason != Reason::kDuplicate) {
      record.payload = Excerpt({work_.block.data + place.offset, place.bytes});
    }
    verdict_.exceptions.push_back(record);
  }

  const BlockWork& work_;
  const uint64_t first_line_;
  BlockVerdict verdict_;
  size_t next_held_ = 0;
};

}  // namespace

std::string_view Excerpt(std::string_view line) {
  return line.substr(0, kPayloadBytes);
}

BlockVerdict JudgeBlock(const BlockWork& work, uint64_t first_line) {
  return BlockJudge(work, first_line).Judge();
}

void ExceptionCollector::Add(ExceptionRecord record) {
  Part& part = *PartFor(record.reason);
  record.payload = part.payloads.Copy(record.payload);
  part.bytes += record.payload.size() + 16;
  part.records.push_back(std::move(record));
  if (part.bytes >= kExceptionChunkBytes) Flush(&part);
}

ExceptionCollector::Part* ExceptionCollector::PartFor(Reason reason) {
  if (IsHeldCorrection(reason)) return &held_corrections_;
  return OutcomeOf(reason) == Outcome::kHeld ? &held_ : &others_;
}

std::vector<ExceptionChunk> ExceptionCollector::Take() {
  Flush(&held_);
  Flush(&held_corrections_);
  Flush(&others_);
  return std::exchange(chunks_, {});
}

void ExceptionCollector::Flush(Part* part) {
  if (part->records.empty()) return;
  chunks_.push_back({part != &others_, Encode(part->records), part == &held_corrections_});
  part->records.clear();
  part->payloads.Clear();
  part->bytes = 0;
}

}  // namespace tollbook
