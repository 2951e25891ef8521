// Exception: a line that did not become accepted usage: why, and where it came from. Data, not failure.
#ifndef TOLLBOOK_LEDGER_EXCEPTION_H_
#define TOLLBOOK_LEDGER_EXCEPTION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tollbook {

// How a line ended. lines read = accepted + duplicate + conflict + held + rejected.
enum class Outcome : uint8_t { kAccepted, kDuplicate, kConflict, kHeld, kRejected };

// Why a line was not accepted. The order is the precedence: the first that holds is reported; what was appended says
// where it stands. The numbers are stored: append only. Each has its word (ToString), an example in docs/exceptions.md
// and a row in tests.
enum class Reason : uint8_t {
  kNone = 0,
  // The line
  kLineTooLong = 1,  // above the limit (1 MiB by default)
  kInvalidUtf8 = 2,
  kInvalidJson = 3,  // not one JSON value, or one nested deeper than 64, or text after it
  kNotAnObject = 4,
  kCsvQuote = 5,    // a quote that does not close on the line, or text after a closing quote
  kCsvColumns = 6,  // not as many cells as the header
  // The envelope
  kRepeatedField = 7,           // the same field twice in one object: which one counts is anyone's guess
  kUnsupportedSpecversion = 8,  // specversion is there and is not "1.0"
  kWrongType = 9,               // id, source, type, subject or time is not a string; data is not an object
  kMissingId = 10,              // absent or empty; likewise the next ones
  kMissingSource = 11,
  kMissingType = 12,
  kMissingSubject = 13,
  kMissingTime = 14,
  kFieldTooLong = 15,  // id, source, type, subject or a dimension value above 1,024 bytes; or the paths of nested data
                       // come to more than 16 times the line
  kInvalidTime = 16,
  kTimeWithoutZone = 17,
  kTimeOutOfRange = 18,  // before 1970 or after 2261
  // The meter: held, and retried when the catalog knows it
  kUnknownMeter = 19,
  // The value
  kMissingValue = 20,
  kValueNotANumber = 21,
  kValueTooLarge = 22,        // 10^15 units or more in one event
  kValueTooPrecise = 23,      // a non-zero digit below 10^-18
  kNegativeValue = 24,        // and the meter does not allow it
  kDimensionNotAScalar = 25,  // a dimension, or what a unique count counts, is an object or an array
  // The identity
  kDuplicate = 26,  // same (source, id), same content
  kConflict = 27,   // same (source, id), other content: the first stays
  // The value, checked with the others of it
  kUnknownOperation = 28,  // of a unique count's operation: neither "add" nor "remove"
  kDivisionByZero = 29,    // in the meter's expression
  // Corrections. The first is of the envelope; the others are told of events that are well-formed and measured
  kInvalidCorrection = 30,  // both `corrects` and `voids`; either empty or the event's own id; `original` for no reason
  kUnknownOriginal = 31,    // the event that it names has not been accepted yet. Held
  kOriginalDiffers = 32,    // that event has another content than the correction restates
  kAlreadyCorrected = 33,   // another correction of that event was accepted first
  // Of a meter that keeps no events and is no sum (CanTakeBack) the bucket is reckoned anew from the sources. All held
  kCannotTakeBack = 34,  // from a pipe, or what is read again does not come to the total
  kSourceGone = 35,      // a source of the usage is gone or cannot be read: ExceptionRecord::needs
  kSourceChanged = 36,   // likewise: it was changed, or is read otherwise
  // The envelope again, behind the time
  kBeforeCutOff = 37,  // dated before the book's cut-off (cut_off.h); likewise what corrects such usage
};

std::string_view ToString(Outcome outcome);  // "accepted", "duplicate", …
std::string_view ToString(Reason reason);    // "unknown_meter", …
std::optional<Reason> ReasonFromString(std::string_view word);
Outcome OutcomeOf(Reason reason);
std::string_view RemedyOf(Reason reason);  // one sentence: what a person can do

// Does the exception name a source that must be put back (ExceptionRecord::needs)?
inline bool NeedsSource(Reason reason) {
  return reason == Reason::kSourceGone || reason == Reason::kSourceChanged;
}

// Held ones are kept apart from other held events: every absorb tries them again.
inline bool IsHeldCorrection(Reason reason) {
  return reason == Reason::kUnknownOriginal || reason == Reason::kCannotTakeBack || NeedsSource(reason);
}

inline constexpr int kReasons = 38;

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_EXCEPTION_H_
