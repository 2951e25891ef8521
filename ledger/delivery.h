// Delivery: what one target must still be told of one journal batch, and how far that is. Values and a pure table of
// transitions; the Outbox keeps them.
//
//   pending -> sending -> accepted -> confirmed -> reconciled
//     sending     written and synced before the first byte leaves. Read back by another process it is `uncertain`:
//                 the one that sent has died, and what it sent may or may not have arrived.
//     accepted    the target named a job or a draft of ours; it is not final there yet. A job may still run; one that
//     is
//                 over, and whose document is not shown, is waited for, and in the end parked.
//     confirmed   the target named the document. Nothing more is sent.
//     reconciled  asked again later, the target still has the document, and it says what we sent. What does not, or is
//                 gone, is parked.
//     uncertain   it may be there. Left only by asking the target, or by a person.
//     retry-wait  it is surely not there; sent again when `not_before` has come.
//     parked      needs a person: refused, different from what we sent, or nobody can be asked.
//     superseded  a person said that it must not be sent, or a newer report took its place. The end.
#ifndef TOLLBOOK_LEDGER_DELIVERY_H_
#define TOLLBOOK_LEDGER_DELIVERY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/records.h"
#include "rating/error.h"

namespace tollbook {

// Stored by these numbers: append only.
enum class DeliveryState : uint8_t {
  kPending,
  kSending,
  kAccepted,
  kConfirmed,
  kUncertain,
  kRetryWait,
  kParked,
  kSuperseded,
  kReconciled,
};
inline constexpr size_t kDeliveryStates = 9;
std::string_view Word(DeliveryState state);  // "retry-wait"

enum class DeliveryEvent : uint8_t {
  kSend,           // about to send
  kRestarted,      // the process that was sending is gone
  kAccepted,       // by an answer, or found so when asked
  kConfirmed,      // by an answer, or found so when asked
  kNotApplied,     // surely not done: the target cannot be reached, or asks to come again
  kUnclear,        // it may have been done
  kCannotAsk,      // the answer to the question did not come; nothing is known that was not before
  kNotThere,       // asked, and not found
  kMayRepeat,      // the target drops what it has seen: the same bytes under the same key may go again
  kRefused,        // the target, or we before it, will not take it as it is
  kDifferent,      // found, and not what we sent
  kPark,           // by a person
  kRetry,          // by a person, who mended the cause
  kSayPosted,      // by a person, who saw it there
  kSayNotPosted,   // by a person, who saw that it is not
  kSaySuperseded,  // by a person
  kOutdated,       // a newer report says all that this one would
  kStillRuns,      // asked, and it is under way there: no failure
  kNotShown,       // asked, and what was accepted is over there, but its document is not to be seen yet
  kReconciled,     // asked about what was confirmed: found, and equal
};
inline constexpr size_t kDeliveryEvents = 20;
std::string_view Word(DeliveryEvent event);  // "not there"

// None: that cannot happen in this state.
std::optional<DeliveryState> Next(DeliveryState state, DeliveryEvent event);

// The target has it, by its own word or a person's.
inline constexpr bool IsPosted(DeliveryState state) {
  return state == DeliveryState::kConfirmed || state == DeliveryState::kReconciled;
}
// Nothing more is sent.
inline constexpr bool IsFinal(DeliveryState state) {
  return IsPosted(state) || state == DeliveryState::kSuperseded;
}

// What is wrong, sorted by who acts on it. Stored by these numbers: append only.
enum class DeliveryProblem : uint8_t {
  kNone,
  kValidation,      // the target will not take what it says: finance
  kMapping,         // an account, journal, period or currency that the target does not have: finance
  kAuthentication,  // whoever keeps the secrets
  kRateLimit,       // nobody: it waits
  kAvailability,    // whoever runs the target; it waits
  kAmbiguous,       // nobody: the target is asked
  kConfiguration,   // targets.yaml: whoever wrote it
  kDifferent,       // what it has under our key is not what we sent: finance
};
inline constexpr size_t kDeliveryProblems = 9;
std::string_view Word(DeliveryProblem problem);  // "rate limit"

// Who acts on what is wrong ("finance"; "nobody, it waits"), and what there is to do. Empty: nothing is wrong, or it is
// over.
struct Remedy {
  std::string_view owner;
  std::string_view next_step;
};
Remedy RemedyOf(DeliveryState state, DeliveryProblem problem);

// Beside batches, what each seal changed of usage is delivered, in parts: the usage reports of the seal. Their names
// have a colon, which no batch's id has.
std::string UsageReportName(uint64_t seal, uint32_t part);              // "usage:0003-001"
std::optional<uint64_t> SealOfUsageReport(std::string_view delivered);  // none: it is no usage report's name
// Likewise how accounts stand, in the numbered reports of a target.
std::string AccountReportName(uint64_t number, uint32_t part);              // "accounts:0003-001"
std::optional<uint64_t> NumberOfAccountReport(std::string_view delivered);  // none: it is no account report's name
// Likewise what happened to the book, told by its commits.
std::string EventName(uint64_t commit, uint32_t part);              // "event:000007-001"
std::optional<uint64_t> CommitOfEvent(std::string_view delivered);  // none: it is no event's name

struct Delivery {
  std::string target;
  std::string batch;  // or the name of a report
  DeliveryState state = DeliveryState::kPending;
  std::string key;        // the idempotency key; of a target no two deliveries share one
  Hash256 body_hash{};    // SHA-256 of the bytes to send, which never change
  std::string job;        // the target's name of what is not final yet
  std::string document;   // the target's name of what is
  uint32_t attempts = 0;  // how often it was sent
  uint32_t failures = 0;  // in a row, for the back-off
  DeliveryProblem problem = DeliveryProblem::kNone;
  std::string last_error;  // at most kLastErrorBytes
  int64_t planned_at_nanos = 0;
  int64_t changed_at_nanos = 0;
  int64_t not_before_nanos = 0;  // nothing is done with it before
  int64_t since_nanos = 0;    // when it came into its state; of one that is uncertain, so, when it was sent or retried
  int64_t over_nanos = 0;     // when the target first said that what it accepted is over; 0: it has not
  uint32_t polls = 0;         // in a row that found it under way or not shown, for the back-off
  bool may_be_there = false;  // nobody knows how it ended when it was sent, last or before
  // Whose the body is, where it is no batch's: names in order, and the first accounting period; empty: nobody's, none.
  std::vector<std::string> entities;
  std::string first_period;
  // SHA-256 of what went to the target last, in its own codes; none: nothing did, or that was not kept yet.
  std::optional<Hash256> sent_hash;
  // Where that went, in words: "company 1010 at https://…". Empty: it is surely not there, or that was not kept yet.
  std::string sent_to;
  friend bool operator==(const Delivery&, const Delivery&) = default;
};
inline constexpr size_t kLastErrorBytes = 500;

// All but target and batch, which are its key.
std::string Encode(const Delivery& delivery);
absl::StatusOr<Delivery> DecodeDelivery(std::string_view target, std::string_view batch, std::string_view stored);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_DELIVERY_H_
