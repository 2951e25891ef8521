#include "ledger/exception.h"

#include <array>

namespace tollbook {
namespace {

struct Entry {
  Reason reason;
  std::string_view word;
  Outcome outcome;
  std::string_view remedy;
};

// In the order of the enum, so that a reason is its index.
constexpr std::array<Entry, kReasons> kEntries = {{
    {Reason::kNone, "none", Outcome::kAccepted, "Nothing to do."},
    {Reason::kLineTooLong, "line_too_long", Outcome::kRejected,
     "Split the line, or look for line ends that got lost; the limit is 1 MiB."},
    {Reason::kInvalidUtf8, "invalid_utf8", Outcome::kRejected,
     "Have the source export UTF-8, and send the line again."},
    {Reason::kInvalidJson, "invalid_json", Outcome::kRejected,
     "Each line must be one complete JSON object, at most 64 levels deep; correct it at the source and send it again."},
    {Reason::kNotAnObject, "not_an_object", Outcome::kRejected,
     "Each line must be a JSON object, one usage event: not an array, a string or a number."},
    {Reason::kCsvQuote, "csv_quote", Outcome::kRejected,
     "Close each quote on its line and double quotes inside a cell; a cell cannot hold a line end."},
    {Reason::kCsvColumns, "csv_columns", Outcome::kRejected,
     "Give each row as many cells as the header has; quote cells that hold the delimiter."},
    {Reason::kRepeatedField, "repeated_field", Outcome::kRejected,
     "Name each field once in its object; which of two counts would be a guess."},
    {Reason::kUnsupportedSpecversion, "unsupported_specversion", Outcome::kRejected,
     "Send CloudEvents with specversion \"1.0\", or leave the field out."},
    {Reason::kWrongType, "wrong_type", Outcome::kRejected,
     "Make id, source, type, subject and time JSON strings and data a JSON object; data_base64 is not read."},
    {Reason::kMissingId, "missing_id", Outcome::kRejected,
     "Give each event an id that is unique within its source and stays the same when it is sent again."},
    {Reason::kMissingSource, "missing_source", Outcome::kRejected, "Name the system that measured in source."},
    {Reason::kMissingType, "missing_type", Outcome::kRejected,
     "Name the kind of usage in type, as meters.yaml has it."},
    {Reason::kMissingSubject, "missing_subject", Outcome::kRejected, "Name who used it in subject."},
    {Reason::kMissingTime, "missing_time", Outcome::kRejected, "Say in time when the usage happened."},
    {Reason::kFieldTooLong, "field_too_long", Outcome::kRejected,
     "Keep id, source, type, subject and dimension values within 1,024 bytes, and the paths of nested data short."},
    {Reason::kInvalidTime, "invalid_time", Outcome::kRejected,
     "Write the time as RFC 3339, such as 2025-01-31T23:59:59Z, with a date that exists."},
    {Reason::kTimeWithoutZone, "time_without_zone", Outcome::kRejected,
     "Add Z or an offset to the time; for a CSV feed in UTC say time_zone: UTC in sources.yaml."},
    {Reason::kTimeOutOfRange, "time_out_of_range", Outcome::kRejected,
     "Correct the time at the source: it is before 1970 or after 2261."},
    {Reason::kUnknownMeter, "unknown_meter", Outcome::kHeld,
     "Add a meter for this type to meters.yaml, then retry the exceptions."},
    {Reason::kMissingValue, "missing_value", Outcome::kRejected,
     "Put the property that the meter counts into data, or correct the meter's value in meters.yaml."},
    {Reason::kValueNotANumber, "value_not_a_number", Outcome::kRejected,
     "Write the value as a JSON number, or as a string that holds one, without separators or units."},
    {Reason::kValueTooLarge, "value_too_large", Outcome::kRejected,
     "Check the unit: one event holds less than 10^15 units."},
    {Reason::kValueTooPrecise, "value_too_precise", Outcome::kRejected,
     "Write at most 18 digits after the point; nothing is cut off silently."},
    {Reason::kNegativeValue, "negative_value", Outcome::kRejected,
     "Correct the value, or let the meter allow_negative if it counts changes."},
    {Reason::kDimensionNotAScalar, "dimension_not_a_scalar", Outcome::kRejected,
     "Make the dimension or counted value a string, a number or a boolean, or name a field inside it in meters.yaml."},
    {Reason::kDuplicate, "duplicate", Outcome::kDuplicate, "Nothing to do: this event was counted before."},
    {Reason::kConflict, "conflict", Outcome::kConflict,
     "Ask the source which content is right: the first one stays, and a correction needs an id of its own."},
    {Reason::kUnknownOperation, "unknown_operation", Outcome::kRejected,
     "Say add or remove in the property that meters.yaml names as the meter's operation."},
    {Reason::kDivisionByZero, "division_by_zero", Outcome::kRejected,
     "Correct the property that the meter's value divides by: it is zero."},
    {Reason::kInvalidCorrection, "invalid_correction", Outcome::kRejected,
     "Name the other event's id in corrects or in voids, not in both; original only restates what is corrected."},
    {Reason::kUnknownOriginal, "unknown_original", Outcome::kHeld,
     "Send the event that it names; each absorb, and exceptions retry, try the correction again."},
    {Reason::kOriginalDiffers, "original_differs", Outcome::kConflict,
     "Restate the event as it was accepted, and send the correction again: its id is free. A void stays a void."},
    {Reason::kAlreadyCorrected, "already_corrected", Outcome::kConflict,
     "Name the correction that was accepted instead of the event that it corrected; a voided event stays void."},
    {Reason::kCannotTakeBack, "cannot_take_back", Outcome::kHeld,
     "The day came through a pipe and cannot be read again: use usage_log: true, or keep: events, in a new book."},
    {Reason::kSourceGone, "source_gone", Outcome::kHeld,
     "Put the source back that it needs; each absorb, and exceptions retry, try the correction again."},
    {Reason::kSourceChanged, "source_changed", Outcome::kHeld,
     "Put the source that it needs back as it was when it was absorbed; then retry the exceptions."},
    {Reason::kBeforeCutOff, "before_cut_off", Outcome::kRejected,
     "Nothing if it was counted before: the ids of that time are forgotten. Else credit or charge it by hand."},
}};

constexpr bool InOrder() {
  for (int i = 0; i < kReasons; ++i) {
    if (static_cast<int>(kEntries[i].reason) != i) return false;
  }
  return true;
}
static_assert(InOrder(), "one entry for each reason, in the order of the enum");

const Entry& EntryOf(Reason reason) {
  return kEntries[static_cast<size_t>(reason)];
}

}  // namespace

std::string_view ToString(Outcome outcome) {
  switch (outcome) {
    case Outcome::kAccepted:
      return "accepted";
    case Outcome::kDuplicate:
      return "duplicate";
    case Outcome::kConflict:
      return "conflict";
    case Outcome::kHeld:
      return "held";
    case Outcome::kRejected:
      return "rejected";
  }
  return "rejected";
}

std::string_view ToString(Reason reason) {
  return EntryOf(reason).word;
}

std::optional<Reason> ReasonFromString(std::string_view word) {
  for (const Entry& entry : kEntries) {
    if (entry.word == word) return entry.reason;
  }
  return std::nullopt;
}

Outcome OutcomeOf(Reason reason) {
  return EntryOf(reason).outcome;
}

std::string_view RemedyOf(Reason reason) {
  return EntryOf(reason).remedy;
}

}  // namespace tollbook
