// Outbox: the deliveries of a book, with the bytes to send.
//
// A delivery is planned (its key and body are stored) before anything is sent, and every step of it is one synced
// write, so that a crash between two of them leaves the earlier one. It lies beside the chain of commits, not in it: a
// step says nothing about what usage is worth, and the chain would cost each of them two syncs more and every open a
// walk over them. What that leaves open: steps behind the newest commit that a damaged log lost are not missed. The
// delivery then looks as it did before, and the target is asked before it is sent anything (where it can be). What the
// chain was told of an end is held against the outbox (delivery_told.h).
//
// Threads   Step, BodyOf and CountRequests from several at once, for different deliveries and targets (of steps with a
//           standing, for different targets); all else from one at a time. Nothing beside a commit of the book.
// Errors    As the book's. After a write failed the book must be opened again. FailedPrecondition: a step that cannot
//           follow, the same key with another body, a body that another plan stored otherwise.
#ifndef TOLLBOOK_LEDGER_OUTBOX_H_
#define TOLLBOOK_LEDGER_OUTBOX_H_

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ledger/delivery.h"

namespace tollbook {

class Book;
class Store;
class StoreWrite;

struct PlannedDelivery {
  std::string target;
  std::string batch;  // or the name of a report
  std::string key;
  std::string body;
  // Of what is no batch: whose it is, by name, and the first accounting period in it. Kept with it, and no part of it.
  std::vector<std::string> entities = {};
  std::string first_period = {};
};

// Of which seal all usage reports of a target are planned now, be there any or none.
struct UsagePlanned {
  std::string target;
  uint64_t seal = 0;
};
// Up to which commit all events of a target are.
struct EventsPlanned {
  std::string target;
  uint64_t commit = 0;
};

// How many requests a target was sent on a day of UTC, or is to be sent next: never less than were.
struct RequestsOfDay {
  Day day;
  uint64_t count = 0;
  friend bool operator==(const RequestsOfDay&, const RequestsOfDay&) = default;
};

// How a target stands by the attempts that were made at it, whatever people decided since.
struct TargetStanding {
  uint32_t failures_in_row = 0;  // of attempts, whatever they were of; not counting what says nothing of the target
  bool is_down = false;          // the last one was the target's own failure, not one about its delivery
  int64_t tried_at_nanos = 0;    // the last one
  int64_t held_until_nanos = 0;  // until then its deliveries wait; then one of them tries
  friend bool operator==(const TargetStanding&, const TargetStanding&) = default;
};

// What is new with a step. A text that is empty leaves the delivery's own.
struct DeliveryStep {
  DeliveryEvent event = DeliveryEvent::kSend;
  DeliveryProblem problem = DeliveryProblem::kNone;
  std::string error = {};
  std::string job = {};
  std::string document = {};
  int64_t not_before_nanos = 0;
  std::optional<TargetStanding> standing = {};  // of the target, where the step changes it
  std::optional<Hash256> sent_hash = {};        // of what is about to be sent
  std::string sent_to = {};                     // where that goes
  bool is_nowhere = false;                      // nothing that was sent of it is where it was sent
  bool earlier_unclear = false;  // an answer to what was sent that says nothing of what was sent before, of which
                                 // nobody knows
  bool is_told_in_part = false;  // some of a report is where it was sent, whatever is said of the rest
};

// SHA-256, as deliveries tell bodies apart.
[[nodiscard]] Hash256 HashOfBody(std::string_view body);

class Outbox {
 public:
  // Of a book that is open and outlives it. `now_nanos`: the book's clock; null: 0.
  Outbox(Store& store, std::string directory, std::function<int64_t()> now_nanos)
      : store_(store), directory_(std::move(directory)), now_nanos_(std::move(now_nanos)) {}

  // By target and batch. One that another process was sending is uncertain.
  absl::StatusOr<std::vector<Delivery>> Deliveries() const;
  absl::StatusOr<std::vector<Delivery>> DeliveriesTo(std::string_view target) const;
  absl::StatusOr<std::optional<Delivery>> Find(std::string_view target, std::string_view batch) const;
  // The bytes that were planned; DataLoss when they are no longer those.
  absl::StatusOr<std::string> BodyOf(const Delivery& delivery) const;

  // One synced write. What is planned already stays as it is, in whatever state; with another key or body it is
  // refused, and so is a key that another delivery of the target has: then nothing is written.
  absl::Status Plan(std::span<const PlannedDelivery> planned) { return PlanAll(planned, std::nullopt); }
  // The same of all usage reports of one seal for one target: a seal's are planned once, and in the order of seals.
  absl::Status PlanUsage(std::span<const PlannedDelivery> planned, const UsagePlanned& usage);
  // The same of events, up to a later commit than before.
  absl::Status PlanEvents(std::span<const PlannedDelivery> planned, const EventsPlanned& events);
  // The seal up to which PlanUsage has planned for the target; 0: none.
  absl::StatusOr<uint64_t> UsagePlannedThrough(std::string_view target) const;
  // The commit up to which PlanEvents has; 0: none.
  absl::StatusOr<uint64_t> EventsPlannedThrough(std::string_view target) const;
  // Of the newest day that was counted; none: of 1970-01-01.
  absl::StatusOr<RequestsOfDay> RequestsTo(std::string_view target) const;
  // As the steps since the beginning left it.
  absl::StatusOr<TargetStanding> StandingOf(std::string_view target) const;
  // One synced write.
  absl::Status CountRequests(std::string_view target, const RequestsOfDay& requests);
  // One synced write; then `delivery` is as it is stored. The state that follows is Next()'s.
  absl::Status Step(const DeliveryStep& step, Delivery* delivery);

  // Every row can be read, is of one of `batches`, of usage of one of the first `seals` seals, of an event of one of
  // the first `commits` commits or of accounts, and has the bytes that were planned. How many there are.
  absl::StatusOr<uint64_t> Check(const std::set<std::string, std::less<>>& batches, uint64_t seals,
                                 uint64_t commits) const;

 private:
  // How far something is planned for a target: the row's key, and what it says.
  using Mark = std::pair<std::string, uint64_t>;
  absl::Status PlanAll(std::span<const PlannedDelivery> planned, const std::optional<Mark>& mark);
  absl::StatusOr<uint64_t> MarkAt(const std::string& key) const;
  absl::StatusOr<std::vector<Delivery>> Rows(std::string_view prefix) const;
  absl::Status Write(std::unique_ptr<StoreWrite> write);
  bool WasSentHere(const Delivery& delivery) const;
  absl::Status CheckUsable() const;
  int64_t Now() const { return now_nanos_ ? now_nanos_() : 0; }

  Store& store_;
  const std::string directory_;
  const std::function<int64_t()> now_nanos_;
  mutable std::mutex mutex_;                                 // of all below
  std::set<std::pair<std::string, std::string>> sent_here_;  // target, batch: sent by this process
  bool failed_ = false;
};

// The outbox of an open book.
Outbox& OutboxOf(Book& book);
// Its deliveries, for those who only read the book.
[[nodiscard]] absl::StatusOr<std::vector<Delivery>> DeliveriesOf(const Book& book);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_OUTBOX_H_
