#include "pipeline/stored_correction.h"

#include "pipeline/stored_line.h"

namespace tollbook {

absl::StatusOr<Reason> CorrectionDecoder::Decode(std::string_view payload, Arena& arena, StoredCorrection* into) {
  const absl::StatusOr<UsageEvent> event = DecodeCorrectionLine(*decoder_, payload, arena);
  if (!event.ok()) return event.status();
  into->event = *event;
  for (std::vector<Measurement>* list : {&into->changes, &into->before, &into->after}) list->clear();
  const Reason reason = measurer_.MeasureCorrection(into->event, arena, &into->measured, &into->changes);
  if (reason != Reason::kNone) return reason;
  SeenEntry identity;
  const Reason of_original = measurer_.Measure(into->event.correction->original, arena, &identity, &into->before);
  TOLLBOOK_ASSERT(of_original == Reason::kNone && identity == into->measured.original);
  if (into->event.correction->is_void) return Reason::kNone;
  const Reason of_event = measurer_.Measure(into->event, arena, &identity, &into->after);
  TOLLBOOK_ASSERT(of_event == Reason::kNone && identity == into->measured.identity);
  return Reason::kNone;
}

absl::Status ForEachApplied(const Book& book, uint64_t through_sequence, CorrectionDecoder& decoder,
                            const std::function<void(const ExceptionRecord&, const StoredCorrection&)>& visit) {
  Arena arena;
  StoredCorrection correction;
  return book.ForEachCorrections([&](const StoredExceptions& chunk) {
    if (chunk.sequence > through_sequence) return absl::OkStatus();
    const absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk.bytes);
    if (!records.ok()) return records.status();
    for (const ExceptionRecord& record : *records) {
      arena.Clear();
      const absl::StatusOr<Reason> reason = decoder.Decode(record.payload, arena, &correction);
      if (!reason.ok()) return reason.status();
      if (*reason == Reason::kNone) visit(record, correction);
    }
    return absl::OkStatus();
  });
}

}  // namespace tollbook
