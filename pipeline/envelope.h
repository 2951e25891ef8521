// Envelope: what every usage event needs, whatever it came in as: id, source, type, subject and a time.
#ifndef TOLLBOOK_PIPELINE_ENVELOPE_H_
#define TOLLBOOK_PIPELINE_ENVELOPE_H_

#include <bit>
#include <cstdint>
#include <span>
#include <string_view>

#include "pipeline/arena.h"
#include "pipeline/decode.h"
#include "pipeline/layout_values.h"

namespace tollbook {

// The reasons that hold for one event; the one that is reported is the first in the order of the enum.
class ReasonSet {
 public:
  void Add(Reason reason) { bits_ |= uint64_t{1} << static_cast<int>(reason); }
  void AddIf(bool holds, Reason reason) { bits_ |= static_cast<uint64_t>(holds) << static_cast<int>(reason); }
  Reason First() const { return bits_ == 0 ? Reason::kNone : static_cast<Reason>(std::countr_zero(bits_)); }

 private:
  static_assert(kReasons <= 64);
  uint64_t bits_ = 0;
};

// Adds what is wrong with id, source, type and subject: absent, or too long.
void CheckNames(const UsageEvent& event, ReasonSet* reasons);

// Parses `text` into the event; adds missing_time, invalid_time, time_without_zone or time_out_of_range.
void SetTime(std::string_view text, bool assume_utc, InstantReader& reader, UsageEvent* event, ReasonSet* reasons);

// Moves the properties to where they live as long as the block.
std::span<const Property> KeepProperties(std::span<const Property> properties, Arena& arena);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_ENVELOPE_H_
