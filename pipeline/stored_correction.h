// StoredCorrection: a correction as the book keeps it, one line of canonical JSON, decoded and measured again.
#ifndef TOLLBOOK_PIPELINE_STORED_CORRECTION_H_
#define TOLLBOOK_PIPELINE_STORED_CORRECTION_H_

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "ledger/book.h"
#include "pipeline/decode.h"
#include "pipeline/measure.h"

namespace tollbook {

// Views live as long as the arena.
struct StoredCorrection {
  UsageEvent event;
  MeasuredCorrection measured;
  std::vector<Measurement> changes;  // what Measurer::MeasureCorrection says: of totals that can be taken from
  std::vector<Measurement> before;   // all that the event which it names counted, as it restates that
  std::vector<Measurement> after;    // all that it counts itself; a void nothing
};

// Not thread-safe.
class CorrectionDecoder {
 public:
  explicit CorrectionDecoder(Measurer measurer) : measurer_(std::move(measurer)) {}
  // kNone, or why it cannot be measured by this catalog; then only `event` is there. DataLoss: it is no correction.
  [[nodiscard]] absl::StatusOr<Reason> Decode(std::string_view payload, Arena& arena, StoredCorrection* into);

 private:
  Measurer measurer_;
  std::unique_ptr<Decoder> decoder_ = MakeJsonDecoder();
  std::vector<DecodedEvent> decoded_;
};

// The corrections that the book had applied after the commit `through_sequence`, in their order; those that the
// decoder's catalog cannot measure are left out. Until the visitor returns.
[[nodiscard]] absl::Status ForEachApplied(
    const Book& book, uint64_t through_sequence, CorrectionDecoder& decoder,
    const std::function<void(const ExceptionRecord&, const StoredCorrection&)>& visit);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_STORED_CORRECTION_H_
