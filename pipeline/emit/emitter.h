// Emitter: one outside API. It makes the bytes, sends them, and asks afterwards; when to do what is Deliver's.
//
// No business rule is here: what is booked, to which account and when, was decided by the seal.
#ifndef TOLLBOOK_PIPELINE_EMIT_EMITTER_H_
#define TOLLBOOK_PIPELINE_EMIT_EMITTER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/journal.h"
#include "ledger/outbox.h"
#include "pipeline/account_facts.h"
#include "pipeline/emit/book_event.h"
#include "pipeline/targets.h"
#include "pipeline/usage_days.h"

namespace tollbook {

// Another usage report of the target's, and how it stands.
struct OtherReport {
  std::string body;
  std::string job;
  DeliveryState state = DeliveryState::kPending;
  bool may_be_there = false;  // of what it does not have as told
};

// What goes to the target. Key and body are the stored ones.
struct Parcel {
  std::string batch;
  std::string key;
  std::string body;
  std::string job;     // once the target has named one
  uint32_t sends = 0;  // how often it has been sent, this time included
  int64_t since_nanos =
      0;  // when its delivery came into its state: of one that is uncertain, when it was sent or retried
  bool is_other = false;      // what would be sent is not what was sent last: targets.yaml has other codes than then
  bool is_confirmed = false;  // the target has it, and is asked whether it still says the same
  // How long since then, where nobody knows how it ended when it was sent last.
  std::optional<int64_t> unclear_for_nanos = std::nullopt;
  // Of a usage report: shows the target's others, one by one. A failed status: the book.
  std::function<absl::Status(const std::function<void(const OtherReport&)>&)> visit_others = nullptr;
  // Likewise the body of the one of that name; none: there is none.
  std::function<absl::StatusOr<std::optional<std::string>>(const std::string& report)> report_named = nullptr;
  // The book came out of a backup: it may have sent this, and not know it.
  bool since_restore = false;
};

// What a seal changed of usage. Borrowed; by their keys.
struct SealedUsage {
  uint64_t seal = 0;
  std::span<const UsageDay> before;  // as of the seal before
  std::span<const UsageDay> after;   // as of this one
  bool since_restore = false;        // the book may have told otherwise of a seal of this number, and not know it
};

// What came of an attempt: the step that follows from it, in the words of the delivery's table.
struct Attempt {
  DeliveryStep step;
  int64_t wait_nanos = 0;     // the target asks for so much time (Retry-After)
  bool pause_target = false;  // it is not about this batch: leave the target's others alone for now
  // Refused for who asks: it may be about this batch, or about all. So many in a row as of failures are the target's.
  bool is_denied = false;
  bool by_us = false;      // decided here: it says nothing of the target
  bool ask_later = false;  // accepted, and to be asked about in a while: there is nothing to do for it meanwhile
};

class Emitter {
 public:
  virtual ~Emitter() = default;

  // Key and body of a batch. Pure: the same batch, the same bytes. Of a target that TakesJournal.
  virtual PlannedDelivery Make(const JournalBatch&) const {
    AssertionFailed("the target takes journal batches", __FILE__, __LINE__);
  }
  // As Make, for a book that came out of a backup and may have posted another batch of this name: of a target that is
  // not asked first, under a key that is of what it says, too, so that the two are never taken for one.
  virtual PlannedDelivery MakeSinceRestore(const JournalBatch& batch) const { return Make(batch); }
  // The usage reports of a seal, as pure; none where the seal changes nothing that the target is told. Of a target that
  // TakesUsage. FailedPrecondition: something has no name there, or is not taken there; then none is planned.
  virtual absl::StatusOr<std::vector<PlannedDelivery>> MakeUsage(const SealedUsage&) const {
    AssertionFailed("the target takes usage", __FILE__, __LINE__);
  }
  // How a record of an account is stored in a report: a line of account_report.h, as pure. Of a target that
  // TakesAccounts.
  virtual std::string MakeAccount(const AccountRecord&) const {
    AssertionFailed("the target takes accounts", __FILE__, __LINE__);
  }
  // The delivery of an event, as pure. Of a target that TakesEvents.
  virtual PlannedDelivery MakeEvent(const BookEvent&, const std::string& /*name*/) const {
    AssertionFailed("the target takes events", __FILE__, __LINE__);
  }
  // What goes to the target under the key: for as long as targets.yaml has the same codes the same bytes, so without
  // what tells one attempt from another. FailedPrecondition names the code that targets.yaml has not.
  virtual absl::StatusOr<std::string> Wire(const Parcel& parcel) const { return parcel.body; }
  // What Send would send, to the letter but for the secrets.
  virtual std::string Show(const Parcel& parcel) const = 0;

  // The target can be asked what it has, and is asked before anything is sent.
  virtual bool AsksFirst() const = 0;
  // After an unclear end the target is asked, or may be sent the same again. False: that is for a person to find out,
  // and Ask only says so.
  virtual bool CanBeAsked() const { return true; }
  // What the target has of it: accepted, confirmed, not there, different; refused when it cannot be asked, or will not
  // take it; may repeat when that does no harm; cannot ask when no answer came. Changes nothing there. Of what
  // is_confirmed no more is said than that: whether the target would take it does not matter.
  virtual Attempt Ask(const Parcel& parcel) = 0;
  // Sends it once: accepted, confirmed, not applied, unclear, refused.
  virtual Attempt Send(const Parcel& parcel) = 0;
  // Makes final what was accepted as `job`: confirmed, still runs, not shown, not applied, unclear, cannot ask, not
  // there, different, refused.
  virtual Attempt Finish(const Parcel& parcel) = 0;
};

inline Attempt Failed(DeliveryEvent event, DeliveryProblem problem, std::string error) {
  Attempt outcome;
  outcome.step.event = event;
  outcome.step.problem = problem;
  outcome.step.error = std::move(error);
  return outcome;
}
// What goes nowhere, by our own rules.
inline Attempt RefusedHere(DeliveryProblem problem, std::string error) {
  Attempt outcome = Failed(DeliveryEvent::kRefused, problem, std::move(error));
  outcome.by_us = true;
  return outcome;
}
inline Attempt Succeeded(DeliveryEvent event, std::string job, std::string document) {
  Attempt outcome;
  outcome.step.event = event;
  outcome.step.job = std::move(job);
  outcome.step.document = std::move(document);
  return outcome;
}

// Taken as a job that goes on by itself.
inline Attempt Runs(std::string job) {
  Attempt outcome = Succeeded(DeliveryEvent::kAccepted, std::move(job), "");
  outcome.ask_later = true;
  return outcome;
}

class RequestPace;

struct EmitterContext {
  std::string book_name;
  std::string catalog_directory;  // where relative paths of targets.yaml begin
  const Catalog* catalog = nullptr;
  std::function<int64_t()> now_nanos;
  bool with_secrets = true;           // false: only to make and show
  std::shared_ptr<RequestPace> pace;  // null: as fast as it goes
};

// The emitter of a target; an error when its secret cannot be read.
[[nodiscard]] absl::StatusOr<std::unique_ptr<Emitter>> MakeEmitter(const Target& target, const EmitterContext& context);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_EMITTER_H_
