#include "ledger/period_change.h"

#include "ledger/bytes.h"
#include "ledger/records.h"

namespace tollbook {

std::string Encode(const PeriodChange& change) {
  ByteWriter out;
  out.Varint(change.sequence);
  out.Text(change.entity);
  out.Text(change.period.name);
  out.Zigzag(change.period.first.number);
  out.Zigzag(change.period.last.number);
  out.Fixed8(static_cast<uint8_t>(change.before));
  out.Fixed8(static_cast<uint8_t>(change.after));
  out.Text(change.by);
  out.Text(change.why);
  out.Varint(change.waived.size());
  for (const PeriodWaiver& waiver : change.waived) {
    out.Text(waiver.kind);
    out.Varint(waiver.count);
  }
  return out.Take();
}

absl::StatusOr<PeriodChange> DecodePeriodChange(std::string_view stored) {
  ByteReader in(stored);
  PeriodChange change;
  change.sequence = in.Varint64();
  change.entity = in.Text();
  change.period.name = in.Text();
  change.period.first.number = in.Zigzag32();
  change.period.last.number = in.Zigzag32();
  change.before = in.OneOf(PeriodState::kClosed);
  change.after = in.OneOf(PeriodState::kClosed);
  change.by = in.Text();
  change.why = in.Text();
  const uint64_t waived = in.Count(2);
  for (uint64_t i = 0; i < waived && in.ok(); ++i) {
    PeriodWaiver waiver;
    waiver.kind = in.Text();
    waiver.count = in.Varint64();
    change.waived.push_back(std::move(waiver));
  }
  if (!in.done()) return DamagedError("change of an accounting period");
  return change;
}

}  // namespace tollbook
