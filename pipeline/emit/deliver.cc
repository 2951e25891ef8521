#include "pipeline/emit/deliver.h"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <tuple>

#include "ledger/unsettled.h"
#include "pipeline/emit/account_report.h"
#include "pipeline/emit/dispatch.h"
#include "pipeline/emit/files.h"
#include "pipeline/emit/http.h"
#include "pipeline/emit/usage_report.h"
#include "pipeline/renamed_target.h"
#include "pipeline/restore_hold.h"

namespace tollbook {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kLoginWaitNanos = 60 * kNanosPerSecond;  // a refused login is not tried in a loop

using State = DeliveryState;
using Event = DeliveryEvent;
using BatchesById = std::map<std::string, JournalBatch, std::less<>>;
using Pauses = std::map<std::string, Pause, std::less<>>;

bool IsOpen(const Delivery& delivery) {
  return !IsFinal(delivery.state) && delivery.state != State::kParked;
}

// What an attempt says of the target. With what was not taken for what it says, the target itself is well; of what was
// not found nothing is said, for a target that answers questions may yet take nothing.
DispatchOutcome WordOf(const Attempt& attempt) {
  if (attempt.pause_target) return DispatchOutcome::kEnds;
  if (attempt.by_us) return DispatchOutcome::kNothing;
  if (attempt.is_denied) return DispatchOutcome::kFailed;
  switch (attempt.step.event) {
    case Event::kNotApplied:
    case Event::kUnclear:
    case Event::kCannotAsk:
      return DispatchOutcome::kFailed;
    case Event::kNotThere:
    case Event::kMayRepeat:
      return DispatchOutcome::kNothing;
    default:
      return DispatchOutcome::kWell;
  }
}

// So many deliveries in a row failed, whatever they are: that is the target, and not they. A batch that nobody can take
// does not do it, for others are tried before it is again.
constexpr uint32_t kFailuresThatBreak = 5;

// After an attempt that failed. An outage costs so many attempts and then one at a time, at growing distances.
TargetStanding AfterFailure(const EmitterOf& of, TargetStanding standing, const Attempt& attempt,
                            int64_t not_before_nanos, int64_t now, uint64_t chance) {
  const bool was_held = standing.held_until_nanos > now;
  standing.is_down = attempt.pause_target || (standing.is_down && was_held);
  standing.tried_at_nanos = now;
  if (++standing.failures_in_row >= kFailuresThatBreak || attempt.pause_target) {
    standing.held_until_nanos = std::max(standing.held_until_nanos, not_before_nanos);
  }
  if (standing.failures_in_row >= kFailuresThatBreak) {
    // Each that is denied, and each unclear one that cannot be asked about, is a person's work: not one more of them at
    // each turn.
    const int64_t wait = of.emitter->CanBeAsked() && !attempt.is_denied
                             ? BackOffNanos(of.target, standing.failures_in_row - kFailuresThatBreak + 1, chance)
                             : of.target.retry_cap_seconds * kNanosPerSecond;
    standing.held_until_nanos = std::max(standing.held_until_nanos, now + wait);
  }
  return standing;
}

// One that went well while others were under way does not end what the target asked of these.
TargetStanding AfterSuccess(TargetStanding standing, int64_t now) {
  const bool is_held = standing.is_down && standing.held_until_nanos > now;
  return {0, is_held, now, is_held ? standing.held_until_nanos : 0};
}

// The longest that anything may ask for: a clock that was put back keeps nobody waiting longer.
int64_t LongestWaitNanos(const Target& target) {
  return std::max<int64_t>(target.retry_cap_seconds, kRetryAfterSecondsMax) * kNanosPerSecond;
}

int64_t HeldUntil(const Target& target, const TargetStanding& standing, int64_t now) {
  return std::min(standing.held_until_nanos, now + LongestWaitNanos(target));
}

// Planned since the target was tried last, and so, where what failed may be what was sent and not the target, the one
// to find that out by. Not where each that is unclear is a person's work.
bool MayProbe(const EmitterOf& of, const TargetStanding& standing, const Delivery& delivery) {
  return !standing.is_down && of.emitter->CanBeAsked() && delivery.state == State::kPending && delivery.attempts == 0 &&
         delivery.failures == 0 && delivery.planned_at_nanos > standing.tried_at_nanos;
}

// When what a target has accepted is asked for again, after it was found under way so often.
int64_t PollNanos(const Target& target, uint32_t polls) {
  constexpr uint64_t kCapSeconds = 60;
  const uint64_t cap =
      std::min<uint64_t>(target.retry_cap_seconds, std::max<uint64_t>(target.retry_first_seconds, kCapSeconds));
  uint64_t wait = target.retry_first_seconds;
  for (uint32_t i = 0; i < polls && wait < cap; ++i) wait *= 2;
  return static_cast<int64_t>(std::min(wait, cap)) * kNanosPerSecond;
}

// Whether what was planned is still for the target.
bool IsStillFor(const Target& target, const Delivery& delivery, const BatchesById& batches) {
  const auto batch = batches.find(delivery.batch);
  if (batch != batches.end()) return Concerns(target, batch->second);
  return tollbook::IsStillFor(target, delivery);
}

// When the target may next be told of a batch, or a report, from then on.
Instant OpensFor(const Target& target, std::string_view delivered, const BatchesById& batches, Instant from) {
  const auto batch = batches.find(delivered);
  return OpensAt(target, batch == batches.end() ? "" : batch->second.entity, from);
}

absl::StatusOr<BatchesById> BatchesOf(const Book& book) {
  absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
  if (!batches.ok()) return batches.status();
  BatchesById by_id;
  for (JournalBatch& batch : *batches) by_id.emplace(batch.id, std::move(batch));
  return by_id;
}

// Held for approval, and not approved.
absl::StatusOr<std::set<std::string, std::less<>>> NotApproved(const Book& book) {
  const auto approvals = Approvals(book);
  if (!approvals.ok()) return approvals.status();
  std::set<std::string, std::less<>> held;
  for (const auto& [batch, approval] : *approvals) {
    if (approval.state != kApproved) held.insert(batch);
  }
  return held;
}

// What was used as of the seals that are planned, each found once for all targets.
class SealedUsages {
 public:
  SealedUsages(const Book& book, const std::optional<Restored>& restored, int threads)
      : book_(book), first_since_restore_(restored ? restored->first_seal : UINT64_MAX), threads_(threads) {}

  uint64_t newest_seal() const { return book_.next_seal() - 1; }

  // Until another is asked for.
  absl::StatusOr<SealedUsage> Of(uint64_t seal) {
    if (seal != seal_ || seal == 0) {
      if (seal == seal_ + 1 && seal_ != 0) {
        before_ = std::move(after_);
      } else {
        TOLLBOOK_RETURN_IF_ERROR(Read(seal - 1, &before_));
      }
      seal_ = 0;  // until both are there
      TOLLBOOK_RETURN_IF_ERROR(Read(seal, &after_));
      seal_ = seal;
    }
    return SealedUsage{seal, before_, after_, seal >= first_since_restore_};
  }

 private:
  absl::Status Read(uint64_t seal, std::vector<UsageDay>* into) {
    absl::StatusOr<std::vector<UsageDay>> days = UsageDaysAsOf(book_, seal, threads_);
    if (!days.ok()) return days.status();
    *into = *std::move(days);
    return absl::OkStatus();
  }

  const Book& book_;
  const uint64_t first_since_restore_;
  const int threads_;
  uint64_t seal_ = 0;
  std::vector<UsageDay> before_, after_;
};

// Of which it is; 0: of none.
uint64_t SealOf(std::string_view delivered, const BatchesById& batches) {
  const auto batch = batches.find(delivered);
  return batch != batches.end() ? batch->second.seal : SealOfUsageReport(delivered).value_or(0);
}

PlannedDelivery MakeFor(const EmitterOf& of, const JournalBatch& batch, const std::optional<Restored>& restored) {
  const bool since_restore = restored && batch.seal >= restored->first_seal;
  return since_restore ? of.emitter->MakeSinceRestore(batch) : of.emitter->Make(batch);
}

// Before anything is sent: that nothing is to be sent again which the chain of commits has as ended.
absl::Status CheckOutbox(const Book& book) {
  const absl::StatusOr<std::vector<Delivery>> deliveries = DeliveriesOf(book);
  if (!deliveries.ok()) return deliveries.status();
  const absl::StatusOr<std::vector<DecisionCommit>> commits = Decisions(book);
  if (!commits.ok()) return commits.status();
  return CheckTold(ToldStatesOf(*commits), *deliveries);
}

// Who is sent nothing for now, and whom nothing is planned for either.
struct Holds {
  Pauses pauses;
  std::map<std::string, std::string, std::less<>> renamed;
};
absl::StatusOr<Holds> HoldsOf(const Book& book, const std::vector<EmitterOf>& targets, std::span<const Target> known) {
  std::vector<const Target*> those, all;
  for (const EmitterOf& of : targets) those.push_back(&of.target);
  for (const Target& target : known) all.push_back(&target);
  Holds holds;
  absl::StatusOr<Pauses> pauses = HeldTargets(book, those);
  if (!pauses.ok()) return pauses.status();
  holds.pauses = *std::move(pauses);
  auto renamed = HoldRenamed(book, those, all.empty() ? those : all, &holds.pauses);
  if (!renamed.ok()) return renamed.status();
  holds.renamed = *std::move(renamed);
  return holds;
}

// Puts what failed as often, and stands in its order, in the order in which the priorities have their turns. `turn`:
// that of the first of them.
void TakeTurns(std::span<Delivery> deliveries, const std::function<Priority(const Delivery&)>& priority_of,
               uint64_t turn) {
  std::array<std::deque<Delivery>, kPriorities> waiting;
  for (Delivery& delivery : deliveries) {
    waiting[static_cast<size_t>(priority_of(delivery))].push_back(std::move(delivery));
  }
  for (Delivery& place : deliveries) {
    const std::array<Priority, kPriorities> order = TurnOrder(turn++);
    const auto next = std::find_if(order.begin(), order.end(),
                                   [&](Priority one) { return !waiting[static_cast<size_t>(one)].empty(); });
    std::deque<Delivery>& from = waiting[static_cast<size_t>(*next)];
    place = std::move(from.front());
    from.pop_front();
  }
}

// The open ones of a target's, in the order in which they are tried. What failed less goes first, whatever its
// priority: or what nobody takes would hold up the rest. The turns of the priorities are counted by what was ever sent
// to the target, so that they go on over passes, however short these are, and restarts.
std::vector<Delivery> InOrder(const Target& target, std::vector<Delivery> deliveries, const BatchesById& batches) {
  uint64_t sent = 0;
  for (const Delivery& delivery : deliveries) sent += delivery.attempts;
  std::erase_if(deliveries, [](const Delivery& delivery) { return !IsOpen(delivery); });
  const auto priority_of = [&](const Delivery& delivery) {
    const auto batch = batches.find(delivery.batch);
    return PriorityOf(target, batch == batches.end() ? "" : batch->second.entity);
  };
  const auto group = [&](const Delivery& delivery) {
    // What was taken is seen to its end before more is sent. That a day's requests were used up is no failure of its:
    // or what comes new each day would go before it for ever.
    const bool was_limited = delivery.problem == DeliveryProblem::kRateLimit;
    const bool is_taken = delivery.state == State::kAccepted && (delivery.failures == 0 || was_limited);
    return std::pair(!is_taken, delivery.failures);
  };
  const auto place = [&](const Delivery& delivery) {
    const auto batch = batches.find(delivery.batch);
    // What happened is told behind what was sealed.
    const uint64_t seal = batch != batches.end()          ? batch->second.seal
                          : CommitOfEvent(delivery.batch) ? UINT64_MAX
                                                          : SealOfUsageReport(delivery.batch).value_or(0);
    return std::tuple(group(delivery), seal, delivery.batch);
  };
  std::sort(deliveries.begin(), deliveries.end(),
            [&](const Delivery& a, const Delivery& b) { return place(a) < place(b); });
  if (target.entity_priorities.empty()) return deliveries;
  for (auto first = deliveries.begin(); first != deliveries.end();) {
    const auto last =
        std::find_if(first, deliveries.end(), [&](const Delivery& one) { return group(one) != group(*first); });
    TakeTurns({first, last}, priority_of, sent);
    first = last;
  }
  return deliveries;
}

// What happened to the book after a commit, for the target.
absl::StatusOr<std::vector<PlannedDelivery>> EventDeliveries(const EmitterOf& of, const Book& book,
                                                             const BatchesById& batches, uint64_t after) {
  const absl::StatusOr<std::vector<BookEvent>> events = EventsOf(book, of.target, batches, after);
  if (!events.ok()) return events.status();
  std::vector<PlannedDelivery> planned;
  uint64_t commit = 0;
  uint32_t part = 0;
  for (const BookEvent& event : *events) {
    part = event.commit == commit ? part + 1 : 1;
    commit = event.commit;
    planned.push_back(of.emitter->MakeEvent(event, EventName(commit, part)));
    planned.back().target = of.target.name;
  }
  return planned;
}

// Whether what would be sent is not what went to the target last. What cannot be sent now is refused elsewhere.
bool IsOther(const Emitter& emitter, const Parcel& parcel, const Delivery& delivery) {
  if (!delivery.sent_hash) return false;
  const absl::StatusOr<std::string> wire = emitter.Wire(parcel);
  return wire.ok() && HashOfBody(*wire) != *delivery.sent_hash;
}

// Where the target has what it is sent, as targets.yaml says it now: a company at a URL, or a directory. A look-up
// anywhere else says nothing of what was sent there.
std::string PlaceOf(const Target& target, std::string_view entity) {
  if (target.kind == TargetKind::kFiles) return target.directory;
  const std::string& url = target.http.url;
  std::string place = url.substr(0, url.find_last_not_of('/') + 1);
  if (target.kind == TargetKind::kWebhook) {
    // What follows the host may let in whoever knows it: it is told apart, and not told.
    const size_t path = place.find('/', place.find("://") + 3);
    if (path != std::string::npos) {
      const std::string hash = ToHex(HashOfBody(place.substr(path)));
      place = place.substr(0, path) + " (its path, hashed: " + hash.substr(0, 16) + ")";
    }
  }
  if (!target.key_field.empty()) place.append(", looked for by ").append(target.key_field);
  const auto company = target.companies.find(std::string(entity));
  return company == target.companies.end() ? place : "company " + company->second + " at " + place;
}

class Pass {
 public:
  Pass(Book& book, const BatchesById& batches, const std::set<std::string, std::less<>>& held, const Holds& holds,
       const std::optional<Restored>& restored, const DeliverOptions& options)
      : book_(book),
        outbox_(OutboxOf(book)),
        usages_(book, restored, options.threads),
        standings_(book, options.threads),
        batches_(batches),
        held_(held),
        holds_(holds),
        restored_(restored),
        options_(options) {}

  // Plans batches and usage.
  absl::Status Begin(const EmitterOf& of, TargetReport* report);
  absl::Status PlanEvents(const EmitterOf& of, TargetReport* report);
  // Nothing while the book has no newer commit than when this process last did.
  absl::Status PlanAccounts(const EmitterOf& of, TargetReport* report);
  // What is due of them.
  absl::Status RunDue(const std::vector<const EmitterOf*>& targets) { return Run(targets, Work::kDeliver); }
  // Asks about what they confirmed, where that is wanted and due.
  absl::Status ReconcileDue(const std::vector<const EmitterOf*>& targets) { return Run(targets, Work::kReconcile); }
  absl::Status CountAfter(const EmitterOf& of, TargetReport* target, DeliverReport* report) const;
  bool was_cut_short() const { return was_cut_short_; }

 private:
  enum class Work : uint8_t { kDeliver, kReconcile };

  absl::Status Run(const std::vector<const EmitterOf*>& targets, Work work);
  absl::Status Plan(const EmitterOf& of, const std::set<std::string, std::less<>>& there, TargetReport* report);
  absl::Status PlanUsage(const EmitterOf& of, TargetReport* report);
  absl::Status BeginPace(const EmitterOf& of);
  // The deliveries of a target whose turn it may be now; none when it is to be left alone.
  absl::StatusOr<std::vector<Delivery>> DueOf(const EmitterOf& of, DispatchTarget* target);
  // Likewise of what it confirmed, and is to be asked about.
  absl::StatusOr<std::vector<Delivery>> ConfirmedOf(const EmitterOf& of, DispatchTarget* target);
  void Place(const EmitterOf& of, const std::vector<Delivery>& due, DispatchTarget* target) const;
  // It was confirmed, and by these options the target is asked about it yet.
  bool IsToCompare(const EmitterOf& of, const Delivery& delivery) const;
  // These options have asked about it, and it could not be compared.
  bool IsIncomparable(const Delivery& delivery) const;
  DispatchWord MayGo(const EmitterOf& of, const Delivery& delivery);
  const Pause* PauseOf(const EmitterOf& of) const {
    const auto pause = holds_.pauses.find(of.target.name);
    return pause == holds_.pauses.end() ? nullptr : &pause->second;
  }
  std::string PlaceFor(const EmitterOf& of, const Delivery& delivery) const {
    const auto batch = batches_.find(delivery.batch);
    return InFull(of, PlaceOf(of.target, batch == batches_.end() ? "" : batch->second.entity));
  }
  // In the one form in which it is compared. Earlier versions kept a directory as targets.yaml has it.
  std::string InFull(const EmitterOf& of, const std::string& place) const {
    return of.target.kind == TargetKind::kFiles ? ResolvedDirectory(options_.catalog_directory, place) : place;
  }
  // The directory is behind a link that cannot be followed: nobody knows which it is, or what it has. None: it is not.
  std::optional<Attempt> WhyAway(const EmitterOf& of) const {
    if (of.target.kind != TargetKind::kFiles) return std::nullopt;
    const std::optional<std::string> link = BrokenLink(options_.catalog_directory, of.target.directory);
    if (!link) return std::nullopt;
    Attempt away =
        Failed(Event::kCannotAsk, DeliveryProblem::kAvailability, *link + " is a link to what cannot be reached");
    away.pause_target = true;
    return away;
  }
  // It was sent, and may be, elsewhere than where targets.yaml has it now.
  bool IsElsewhere(const EmitterOf& of, const Delivery& delivery) const {
    return !delivery.sent_to.empty() && InFull(of, delivery.sent_to) != PlaceFor(of, delivery);
  }
  // Earlier versions kept of what may be there not always where. Another company is other codes, too.
  static bool MayBeElsewhere(const Parcel& parcel, const Delivery& delivery) {
    return delivery.may_be_there && delivery.sent_to.empty() && parcel.is_other;
  }
  bool IsHeldNow(const EmitterOf& of, const Delivery& delivery) const {
    return IsHeld(of.target, PauseOf(of), restored_, SealOf(delivery.batch, batches_));
  }
  // Until it is final, waits or is parked.
  absl::StatusOr<DispatchOutcome> RunOne(const EmitterOf& of, Emitter& emitter, Delivery* delivery);
  // None: it was asked for and is not there, and is not to be sent.
  absl::StatusOr<std::optional<Attempt>> NextOf(const EmitterOf& of, Emitter& emitter, Parcel* parcel,
                                                Delivery* delivery);
  absl::Status VisitOthers(const Delivery& but, const std::function<void(const OtherReport&)>& visit) const;
  absl::StatusOr<std::optional<std::string>> BodyOfReport(const std::string& target, const std::string& report) const;
  // Asks once about what was confirmed.
  absl::StatusOr<DispatchOutcome> CompareOne(const EmitterOf& of, Emitter& emitter, Delivery* delivery);
  Attempt Compare(const EmitterOf& of, Emitter& emitter, const Delivery& delivery, std::string body) const;
  absl::Status Apply(const EmitterOf& of, const Attempt& outcome, Delivery* delivery);
  // With what the attempt says of the target, where that is news.
  absl::Status Keep(const EmitterOf& of, const Attempt& outcome, DeliveryStep step, Delivery* delivery);
  uint64_t Chance() {
    const std::lock_guard lock(chance_mutex_);
    return options_.chance();
  }
  int64_t DueAt(const EmitterOf& of, const Delivery& delivery) const;
  bool Stopped() const { return options_.stop != nullptr && options_.stop->load(); }
  // Before something more is begun. The first thing is begun however late it is, so that every pass brings some on.
  bool IsTimeOver() {
    const bool is_late = options_.until_nanos != 0 && options_.now_nanos() >= options_.until_nanos;
    if (is_late && has_begun_) was_cut_short_ = true;
    return was_cut_short_;
  }

  const Book& book_;
  Outbox& outbox_;
  SealedUsages usages_;
  AccountStandings standings_;
  const BatchesById& batches_;
  const std::set<std::string, std::less<>>& held_;
  const Holds& holds_;
  const std::optional<Restored>& restored_;
  const DeliverOptions& options_;
  bool has_begun_ = false, was_cut_short_ = false;  // of planning, or of Dispatch, which asks one at a time
  std::mutex chance_mutex_;                         // of options_.chance
  // How a target stands; several of its deliveries may be under way.
  struct Stands {
    std::mutex mutex;  // of all, and of writing the standing
    TargetStanding standing;
    uint64_t confirmed = 0, reconciled = 0;  // by this pass
  };
  std::map<std::string, Stands, std::less<>> stands_;  // of each target; none is added after Begin
};

absl::Status Pass::Begin(const EmitterOf& of, TargetReport* report) {
  report->target = of.target.name;
  if (const Pause* const pause = PauseOf(of)) report->paused = *pause;
  const absl::StatusOr<TargetStanding> standing = outbox_.StandingOf(of.target.name);
  if (!standing.ok()) return standing.status();
  stands_[of.target.name].standing = *standing;
  const absl::StatusOr<std::vector<Delivery>> before = outbox_.DeliveriesTo(of.target.name);
  if (!before.ok()) return before.status();
  std::set<std::string, std::less<>> there;
  for (const Delivery& delivery : *before) there.insert(delivery.batch);
  if (TakesJournal(of.target)) TOLLBOOK_RETURN_IF_ERROR(Plan(of, there, report));
  if (holds_.renamed.contains(of.target.name)) {
    report->not_planned = "it is paused " + ToString(*report->paused);
  } else if (TakesUsage(of.target)) {
    TOLLBOOK_RETURN_IF_ERROR(PlanUsage(of, report));
  }
  return absl::OkStatus();
}

absl::Status Pass::Plan(const EmitterOf& of, const std::set<std::string, std::less<>>& there, TargetReport* report) {
  std::vector<PlannedDelivery> planned;
  for (const auto& [id, batch] : batches_) {
    if (there.contains(id) || held_.contains(id) || !Concerns(of.target, batch)) continue;
    planned.push_back(MakeFor(of, batch, restored_));
    planned.back().target = of.target.name;
  }
  report->planned = planned.size();
  return outbox_.Plan(planned);
}

// Seal by seal, so that a book that was put back plans the same reports under the same keys.
absl::Status Pass::PlanUsage(const EmitterOf& of, TargetReport* report) {
  const absl::StatusOr<uint64_t> through = outbox_.UsagePlannedThrough(of.target.name);
  if (!through.ok()) return through.status();
  for (uint64_t seal = *through + 1; seal <= usages_.newest_seal(); ++seal) {
    if (Stopped() || IsTimeOver()) break;
    const absl::StatusOr<SealedUsage> usage = usages_.Of(seal);
    if (!usage.ok()) return usage.status();
    absl::StatusOr<std::vector<PlannedDelivery>> planned = of.emitter->MakeUsage(*usage);
    if (!planned.ok()) {
      report->not_planned =
          "usage of seal " + std::to_string(seal) + ": " + std::string(Std(planned.status().message()));
      return absl::OkStatus();
    }
    for (PlannedDelivery& one : *planned) one.target = of.target.name;
    TOLLBOOK_RETURN_IF_ERROR(outbox_.PlanUsage(*planned, {of.target.name, seal}));
    has_begun_ = true;
    report->planned += planned->size();
  }
  return absl::OkStatus();
}

absl::Status Pass::PlanEvents(const EmitterOf& of, TargetReport* report) {
  const uint64_t newest = book_.last_sequence();
  const absl::StatusOr<uint64_t> through = outbox_.EventsPlannedThrough(of.target.name);
  if (!through.ok()) return through.status();
  if (*through >= newest) return absl::OkStatus();
  const absl::StatusOr<std::vector<PlannedDelivery>> planned = EventDeliveries(of, book_, batches_, *through);
  if (!planned.ok()) return planned.status();
  TOLLBOOK_RETURN_IF_ERROR(outbox_.PlanEvents(*planned, {of.target.name, newest}));
  report->planned += planned->size();
  return absl::OkStatus();
}

absl::Status Pass::PlanAccounts(const EmitterOf& of, TargetReport* report) {
  if (of.accounts_planned_at == book_.last_sequence()) return absl::OkStatus();
  absl::StatusOr<AccountPlan> plan = tollbook::PlanAccounts(book_, outbox_, of.target, *of.emitter, &standings_);
  if (!plan.ok()) {
    if (!absl::IsFailedPrecondition(plan.status()) && !absl::IsOutOfRange(plan.status())) return plan.status();
    report->not_planned = std::string(Std(plan.status().message()));
    return absl::OkStatus();
  }
  for (PlannedDelivery& one : plan->planned) one.target = of.target.name;
  TOLLBOOK_RETURN_IF_ERROR(outbox_.Plan(plan->planned));
  for (Delivery& outdated : plan->outdated) {
    DeliveryStep step;
    step.event = Event::kOutdated;
    TOLLBOOK_RETURN_IF_ERROR(outbox_.Step(step, &outdated));
  }
  report->planned += plan->planned.size();
  if (!plan->waits) of.accounts_planned_at = book_.last_sequence();
  return absl::OkStatus();
}

// An unclear end, and what the book may have sent before it was lost, is asked about once nothing can be under way any
// more.
int64_t Pass::DueAt(const EmitterOf& of, const Delivery& delivery) const {
  const int64_t now = options_.now_nanos();
  const int64_t not_before = std::max(std::min(delivery.not_before_nanos, now + LongestWaitNanos(of.target)),
                                      ClearAtNanos(of.target, restored_, now));
  if (IsPosted(delivery.state) && delivery.failures == 0) {
    return std::max(not_before, std::min(delivery.since_nanos, now) + of.target.quiet_seconds * kNanosPerSecond);
  }
  if (delivery.state != State::kUncertain) return not_before;
  if (!of.emitter->CanBeAsked()) return 0;
  return std::max(not_before, std::min(delivery.since_nanos, now) + of.target.quiet_seconds * kNanosPerSecond);
}

absl::StatusOr<std::vector<Delivery>> Pass::DueOf(const EmitterOf& of, DispatchTarget* target) {
  std::vector<Delivery> due;
  absl::StatusOr<std::vector<Delivery>> deliveries = outbox_.DeliveriesTo(of.target.name);
  if (!deliveries.ok()) return deliveries.status();
  if (IsHeld(of.target, PauseOf(of), restored_, 0)) return due;
  const TargetStanding& standing = stands_.at(of.target.name).standing;
  const int64_t now = options_.now_nanos();
  due = InOrder(of.target, *std::move(deliveries), batches_);
  if (!of.emitter->AsksFirst()) std::erase_if(due, [&](const Delivery& delivery) { return IsHeldNow(of, delivery); });
  if (HeldUntil(of.target, standing, now) > now) {
    const auto probe =
        std::find_if(due.begin(), due.end(), [&](const Delivery& one) { return MayProbe(of, standing, one); });
    if (probe == due.end()) return std::vector<Delivery>();
    std::rotate(due.begin(), probe, probe + 1);
  }
  Place(of, due, target);
  return due;
}

bool Pass::IsIncomparable(const Delivery& delivery) const {
  return options_.reconcile && IsPosted(delivery.state) && delivery.failures == 0 &&
         delivery.problem != DeliveryProblem::kNone && delivery.changed_at_nanos >= options_.reconcile->begun_nanos;
}

bool Pass::IsToCompare(const EmitterOf& of, const Delivery& delivery) const {
  if (!options_.reconcile || !of.emitter->AsksFirst() || !IsPosted(delivery.state) || IsIncomparable(delivery)) {
    return false;
  }
  const bool is_done = delivery.failures == 0 && delivery.changed_at_nanos >= options_.reconcile->begun_nanos;
  return delivery.state == State::kConfirmed || (options_.reconcile->again && !is_done);
}

absl::StatusOr<std::vector<Delivery>> Pass::ConfirmedOf(const EmitterOf& of, DispatchTarget* target) {
  absl::StatusOr<std::vector<Delivery>> due = outbox_.DeliveriesTo(of.target.name);
  if (!due.ok()) return due.status();
  const TargetStanding& standing = stands_.at(of.target.name).standing;
  const int64_t now = options_.now_nanos();
  if (IsHeld(of.target, PauseOf(of), restored_, 0) || HeldUntil(of.target, standing, now) > now) due->clear();
  std::erase_if(*due, [&](const Delivery& delivery) { return !IsToCompare(of, delivery); });
  const auto place = [&](const Delivery& delivery) {
    return std::tuple(delivery.failures, SealOf(delivery.batch, batches_), std::string_view(delivery.batch));
  };
  std::sort(due->begin(), due->end(), [&](const Delivery& a, const Delivery& b) { return place(a) < place(b); });
  Place(of, *due, target);
  return due;
}

void Pass::Place(const EmitterOf& of, const std::vector<Delivery>& due, DispatchTarget* target) const {
  std::map<std::pair<std::string, std::string>, size_t> places;
  for (const Delivery& delivery : due) {
    // Reports of usage correct each other, and events tell of what follows: each of them is one place.
    std::pair<std::string, std::string> place(CommitOfEvent(delivery.batch) ? "event" : "", "");
    const auto batch = batches_.find(delivery.batch);
    if (batch != batches_.end()) place = {batch->second.entity, batch->second.accounting_period};
    target->places.push_back(places.emplace(std::move(place), places.size()).first->second);
  }
  target->connections = 1 + of.more.size();
  target->failures_in_row = stands_.at(of.target.name).standing.failures_in_row;
  target->priority = of.target.priority;
}

DispatchWord Pass::MayGo(const EmitterOf& of, const Delivery& delivery) {
  if (Stopped() || (of.pace != nullptr && of.pace->UsedUpUntil() > 0)) return DispatchWord::kEnd;
  const Instant now{options_.now_nanos()};
  const bool is_due = DueAt(of, delivery) <= now.nanos && OpensFor(of.target, delivery.batch, batches_, now) <= now;
  if (!is_due) return DispatchWord::kSkip;
  if (IsTimeOver()) return DispatchWord::kEnd;
  has_begun_ = true;
  return DispatchWord::kGo;
}

absl::Status Pass::Run(const std::vector<const EmitterOf*>& targets, Work work) {
  std::vector<DispatchTarget> queues(targets.size());
  std::vector<std::vector<Delivery>> due;
  for (size_t i = 0; i < targets.size(); ++i) {
    absl::StatusOr<std::vector<Delivery>> of_target =
        work == Work::kDeliver ? DueOf(*targets[i], &queues[i]) : ConfirmedOf(*targets[i], &queues[i]);
    if (!of_target.ok()) return of_target.status();
    due.push_back(*std::move(of_target));
    if (targets[i]->pace != nullptr) TOLLBOOK_RETURN_IF_ERROR(BeginPace(*targets[i]));
  }
  DispatchOptions dispatch;
  dispatch.failures_max = kFailuresThatBreak;
  dispatch.may_go = [&](size_t target, size_t delivery) { return MayGo(*targets[target], due[target][delivery]); };
  dispatch.run = [&](const DispatchTurn& turn) -> absl::StatusOr<DispatchOutcome> {
    const EmitterOf& of = *targets[turn.target];
    Emitter& emitter = turn.connection == 0 ? *of.emitter : *of.more[turn.connection - 1];
    Delivery& delivery = due[turn.target][turn.delivery];
    return work == Work::kDeliver ? RunOne(of, emitter, &delivery) : CompareOne(of, emitter, &delivery);
  };
  const absl::Status ran = Dispatch(queues, dispatch);
  for (const EmitterOf* const of : targets) {
    if (of->pace != nullptr) of->pace->End();
  }
  return ran;
}

absl::Status Pass::CountAfter(const EmitterOf& of, TargetReport* target, DeliverReport* report) const {
  const absl::StatusOr<std::vector<Delivery>> deliveries = outbox_.DeliveriesTo(of.target.name);
  if (!deliveries.ok()) return deliveries.status();
  const int64_t used_up_until = of.pace == nullptr ? 0 : of.pace->UsedUpUntil();
  const TargetStanding& standing = stands_.at(of.target.name).standing;
  const int64_t held_until = HeldUntil(of.target, standing, options_.now_nanos());
  const Stands& stands = stands_.at(of.target.name);
  target->confirmed = stands.confirmed;
  target->reconciled = stands.reconciled;
  uint64_t incomparable = 0;
  for (const Delivery& delivery : *deliveries) {
    ++target->by_state[static_cast<size_t>(delivery.state)];
    const bool cannot_tell = options_.reconcile && IsPosted(delivery.state) && !of.emitter->AsksFirst();
    if ((cannot_tell || IsIncomparable(delivery)) && ++incomparable == 1) {
      target->not_reconciled =
          cannot_tell ? "the target cannot be asked what it has of a delivery" : delivery.last_error;
    }
    if (!(IsOpen(delivery) || IsToCompare(of, delivery)) || IsHeldNow(of, delivery)) continue;
    const int64_t let_go = std::max(MayProbe(of, standing, delivery) ? 0 : held_until, used_up_until);
    const int64_t ready = std::max({DueAt(of, delivery), let_go, options_.now_nanos(), int64_t{1}});
    const int64_t due = OpensFor(of.target, delivery.batch, batches_, Instant{ready}).nanos;
    report->next_due_nanos = ++report->waiting == 1 ? due : std::min(report->next_due_nanos, due);
  }
  if (incomparable > 0) target->not_reconciled = std::to_string(incomparable) + ": " + target->not_reconciled;
  return absl::OkStatus();
}

absl::Status Pass::BeginPace(const EmitterOf& of) {
  const absl::StatusOr<RequestsOfDay> counted = outbox_.RequestsTo(of.target.name);
  if (!counted.ok()) return counted.status();
  of.pace->Begin(
      *counted, [this, &of](const RequestsOfDay& requests) { return outbox_.CountRequests(of.target.name, requests); });
  return absl::OkStatus();
}

absl::StatusOr<DispatchOutcome> Pass::RunOne(const EmitterOf& of, Emitter& emitter, Delivery* one) {
  Delivery& delivery = *one;
  absl::StatusOr<std::string> body = outbox_.BodyOf(delivery);
  if (!body.ok()) return body.status();
  Parcel parcel{delivery.batch, delivery.key, *std::move(body), delivery.job};
  if (SealOfUsageReport(delivery.batch)) {
    parcel.visit_others = [&](const auto& visit) { return VisitOthers(delivery, visit); };
    parcel.report_named = [&](const std::string& report) { return BodyOfReport(delivery.target, report); };
  }
  parcel.since_restore = restored_.has_value();
  DispatchOutcome said = DispatchOutcome::kNothing;
  // Each step leads on or ends it; a target that would send us in circles is left for the next pass.
  for (int step = 0; step < 4; ++step) {
    parcel.job = delivery.job;
    parcel.sends = delivery.attempts;
    parcel.since_nanos = delivery.since_nanos;
    parcel.unclear_for_nanos.reset();
    if (delivery.may_be_there) parcel.unclear_for_nanos = options_.now_nanos() - delivery.since_nanos;
    parcel.is_other = IsOther(emitter, parcel, delivery);
    const absl::StatusOr<std::optional<Attempt>> next = NextOf(of, emitter, &parcel, &delivery);
    if (!next.ok()) return next.status();
    const std::optional<Attempt>& outcome = *next;
    if (!outcome) break;
    TOLLBOOK_RETURN_IF_ERROR(Apply(of, *outcome, &delivery));
    const DispatchOutcome word = WordOf(*outcome);
    if (word != DispatchOutcome::kNothing) said = word;
    if (said == DispatchOutcome::kEnds || !IsOpen(delivery) || DueAt(of, delivery) > options_.now_nanos()) break;
  }
  return said;
}

// Usage reports go one after the other, so none of them changes meanwhile.
absl::Status Pass::VisitOthers(const Delivery& but, const std::function<void(const OtherReport&)>& visit) const {
  const absl::StatusOr<std::vector<Delivery>> deliveries = outbox_.DeliveriesTo(but.target);
  if (!deliveries.ok()) return deliveries.status();
  for (const Delivery& delivery : *deliveries) {
    if (delivery.batch == but.batch || !SealOfUsageReport(delivery.batch)) continue;
    absl::StatusOr<std::string> body = outbox_.BodyOf(delivery);
    if (!body.ok()) return body.status();
    visit({*std::move(body), delivery.job, delivery.state, delivery.may_be_there});
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> Pass::BodyOfReport(const std::string& target,
                                                              const std::string& report) const {
  const absl::StatusOr<std::optional<Delivery>> delivery = outbox_.Find(target, report);
  if (!delivery.ok()) return delivery.status();
  if (!delivery->has_value()) return std::optional<std::string>();
  absl::StatusOr<std::string> body = outbox_.BodyOf(**delivery);
  if (!body.ok()) return body.status();
  return std::optional<std::string>(*std::move(body));
}

absl::StatusOr<DispatchOutcome> Pass::CompareOne(const EmitterOf& of, Emitter& emitter, Delivery* delivery) {
  absl::StatusOr<std::string> body = outbox_.BodyOf(*delivery);
  if (!body.ok()) return body.status();
  const Attempt said = Compare(of, emitter, *delivery, *std::move(body));
  TOLLBOOK_RETURN_IF_ERROR(Apply(of, said, delivery));
  return WordOf(said);
}

Attempt Pass::Compare(const EmitterOf& of, Emitter& emitter, const Delivery& delivery, std::string body) const {
  if (!IsStillFor(of.target, delivery, batches_)) {
    return RefusedHere(DeliveryProblem::kConfiguration,
                       "targets.yaml says since it was sent that the target is not to be told of it");
  }
  if (std::optional<Attempt> away = WhyAway(of)) return *std::move(away);
  if (IsElsewhere(of, delivery)) {
    return RefusedHere(DeliveryProblem::kConfiguration, "it was sent to " + delivery.sent_to +
                                                            ", and targets.yaml has " + PlaceFor(of, delivery) +
                                                            " now, so it is not compared");
  }
  Parcel parcel{delivery.batch, delivery.key, std::move(body), delivery.job};
  parcel.sends = delivery.attempts;
  parcel.since_nanos = delivery.since_nanos;
  parcel.is_confirmed = true;
  if (IsOther(emitter, parcel, delivery)) {
    return RefusedHere(DeliveryProblem::kMapping,
                       "targets.yaml has other codes than when it was sent, so it is not compared");
  }
  Attempt said = emitter.Ask(parcel);
  const std::string was = "it was confirmed as " + delivery.document;
  switch (said.step.event) {
    case Event::kConfirmed:
      said.step.event = Event::kReconciled;
      return said;
    case Event::kAccepted:
      return Failed(Event::kDifferent, DeliveryProblem::kDifferent,
                    was +
                        ", and now is a draft there, lacks lines, or has a draft beside it: look who changed it; "
                        "`tollbook deliveries retry` completes it, `resolve` takes your word");
    case Event::kNotThere:
      return Failed(Event::kNotThere, DeliveryProblem::kDifferent,
                    was +
                        ", and is not there any more: look who took it away; `tollbook deliveries retry` sends it "
                        "again, `resolve` takes your word");
    case Event::kDifferent:
    case Event::kRefused:
      return said;
    default:  // no answer, or that something of our key is under way there
      if (said.step.problem == DeliveryProblem::kNone) said.step.problem = DeliveryProblem::kAvailability;
      said.step.event = Event::kCannotAsk;
      return said;
  }
}

absl::StatusOr<std::optional<Attempt>> Pass::NextOf(const EmitterOf& of, Emitter& emitter, Parcel* parcel,
                                                    Delivery* delivery) {
  if (!IsStillFor(of.target, *delivery, batches_)) {
    return RefusedHere(
        DeliveryProblem::kConfiguration,
        "targets.yaml says since it was planned that the target is not to get it: see `entities`, `from` "
        "and `regions`");
  }
  if (std::optional<Attempt> away = WhyAway(of)) return away;
  if (IsElsewhere(of, *delivery)) {
    return RefusedHere(DeliveryProblem::kConfiguration,
                       "it was sent to " + delivery->sent_to + " and may be there, and targets.yaml has " +
                           PlaceFor(of, *delivery) +
                           " now: put that back and `tollbook deliveries retry`, or look where it was sent, then "
                           "`tollbook deliveries resolve`");
  }
  if (delivery->state == State::kAccepted) return emitter.Finish(*parcel);
  if (delivery->state == State::kUncertain) {
    Attempt said = emitter.Ask(*parcel);
    if (said.step.event != Event::kNotThere || !MayBeElsewhere(*parcel, *delivery)) return said;
    return RefusedHere(DeliveryProblem::kConfiguration,
                       "it may be where it was sent, which is not known, and targets.yaml has other codes now: put "
                       "those of then back and `tollbook deliveries retry`, or look for it, then `tollbook deliveries "
                       "resolve`");
  }
  const auto batch = batches_.find(delivery->batch);
  if (batch != batches_.end()) {
    const std::string beyond = BeyondLimits(of.target, batch->second);
    if (!beyond.empty()) return RefusedHere(DeliveryProblem::kValidation, "beyond the posting limits: " + beyond);
  }
  if (emitter.AsksFirst()) {
    Attempt found = emitter.Ask(*parcel);
    if (found.step.event != Event::kNotThere) return found;
  } else if (parcel->is_other) {
    return RefusedHere(DeliveryProblem::kDifferent,
                       "something else was sent under its key, and the target cannot be asked what it has of it: put "
                       "the codes of targets.yaml back, or `resolve` it");
  }
  if (IsHeldNow(of, *delivery)) return std::optional<Attempt>();
  // Of what was sent before nobody knows, and nobody can say.
  const bool was_open =
      !emitter.AsksFirst() && (delivery->may_be_there || delivery->problem == DeliveryProblem::kDifferent);
  const absl::StatusOr<std::string> wire = emitter.Wire(*parcel);
  if (!wire.ok()) return RefusedHere(DeliveryProblem::kMapping, std::string(Std(wire.status().message())));
  DeliveryStep send;
  send.event = Event::kSend;
  send.sent_hash = HashOfBody(*wire);
  send.sent_to = PlaceFor(of, *delivery);
  TOLLBOOK_RETURN_IF_ERROR(outbox_.Step(send, delivery));  // synced: only now may a byte leave
  parcel->sends = delivery->attempts;
  Attempt sent = emitter.Send(*parcel);
  const bool is_refused = sent.step.event == Event::kRefused, is_not_applied = sent.step.event == Event::kNotApplied;
  // Who asks is refused, or the request did not go: neither says what came of an earlier one.
  const bool says_nothing = is_not_applied || sent.is_denied || sent.by_us || sent.step.earlier_unclear;
  sent.step.earlier_unclear = was_open && says_nothing;
  sent.step.is_nowhere = (is_refused || is_not_applied) && !was_open;
  return sent;
}

absl::Status Pass::Apply(const EmitterOf& of, const Attempt& outcome, Delivery* delivery) {
  DeliveryStep step = outcome.step;
  step.is_told_in_part = IsReport(delivery->batch) && IsToldInPart(step.job.empty() ? delivery->job : step.job);
  const int64_t now = options_.now_nanos();
  switch (step.event) {
    case Event::kNotApplied:
    case Event::kUnclear:
    case Event::kCannotAsk: {
      int64_t wait = std::max(outcome.wait_nanos, BackOffNanos(of.target, delivery->failures + 1, Chance()));
      if (step.problem == DeliveryProblem::kAuthentication) wait = std::max(wait, kLoginWaitNanos);
      step.not_before_nanos = now + wait;
      break;
    }
    case Event::kNotShown:
      // It was over long ago, and should be there: that is for a person to find out. It may be, for its problem is that
      // this is ambiguous.
      if (delivery->over_nanos != 0 && now - delivery->over_nanos >= of.target.quiet_seconds * kNanosPerSecond) {
        step.event = Event::kNotThere;
        step.problem = DeliveryProblem::kAmbiguous;
        break;
      }
      [[fallthrough]];
    case Event::kStillRuns:
      step.not_before_nanos = now + PollNanos(of.target, delivery->polls + 1);
      break;
    default:
      if (outcome.ask_later) step.not_before_nanos = now + PollNanos(of.target, 0);
  }
  const State before = delivery->state;
  TOLLBOOK_RETURN_IF_ERROR(Keep(of, outcome, std::move(step), delivery));
  Stands& stands = stands_.at(of.target.name);
  const std::lock_guard lock(stands.mutex);
  if (delivery->state == State::kConfirmed && before != State::kConfirmed) ++stands.confirmed;
  if (outcome.step.event == Event::kReconciled) ++stands.reconciled;
  return absl::OkStatus();
}

absl::Status Pass::Keep(const EmitterOf& of, const Attempt& outcome, DeliveryStep step, Delivery* delivery) {
  const DispatchOutcome word = WordOf(outcome);
  if (word == DispatchOutcome::kNothing) return outbox_.Step(step, delivery);
  Stands& stands = stands_.at(of.target.name);
  std::unique_lock lock(stands.mutex);
  const int64_t now = options_.now_nanos();
  if (word != DispatchOutcome::kWell) {
    step.standing = AfterFailure(of, stands.standing, outcome, step.not_before_nanos, now, Chance());
  } else if (stands.standing.failures_in_row > 0) {
    step.standing = AfterSuccess(stands.standing, now);
  } else {
    lock.unlock();  // nothing to write of it: steps of others may be synced with this one
    return outbox_.Step(step, delivery);
  }
  TOLLBOOK_RETURN_IF_ERROR(outbox_.Step(step, delivery));
  stands.standing = *step.standing;
  return absl::OkStatus();
}

// As it is sent the first time.
Parcel FirstParcel(PlannedDelivery planned) {
  Parcel parcel{std::move(planned.batch), std::move(planned.key), std::move(planned.body), ""};
  parcel.sends = 1;
  return parcel;
}

// The usage reports that are not planned yet.
absl::Status AddUsage(const EmitterOf& of, const Outbox& outbox, SealedUsages* usages, std::vector<Parcel>* parcels) {
  const absl::StatusOr<uint64_t> through = outbox.UsagePlannedThrough(of.target.name);
  if (!through.ok()) return through.status();
  for (uint64_t seal = *through + 1; seal <= usages->newest_seal(); ++seal) {
    const absl::StatusOr<SealedUsage> usage = usages->Of(seal);
    if (!usage.ok()) return usage.status();
    absl::StatusOr<std::vector<PlannedDelivery>> planned = of.emitter->MakeUsage(*usage);
    if (!planned.ok()) return planned.status();
    for (PlannedDelivery& one : *planned) parcels->push_back(FirstParcel(std::move(one)));
  }
  return absl::OkStatus();
}

}  // namespace

int64_t BackOffNanos(const Target& target, uint32_t failures, uint64_t chance) {
  uint64_t most = target.retry_first_seconds;
  for (uint32_t i = 1; i < failures && most < target.retry_cap_seconds; ++i) most *= 2;
  most = std::min<uint64_t>(most, target.retry_cap_seconds) * kNanosPerSecond;
  return static_cast<int64_t>(chance % (most + 1));
}

absl::StatusOr<DeliverReport> Deliver(Book& book, const std::vector<EmitterOf>& targets,
                                      const DeliverOptions& options) {
  const absl::StatusOr<BatchesById> batches = BatchesOf(book);
  if (!batches.ok()) return batches.status();
  const auto held = NotApproved(book);
  if (!held.ok()) return held.status();
  TOLLBOOK_RETURN_IF_ERROR(CheckOutbox(book));
  const absl::StatusOr<Holds> holds = HoldsOf(book, targets, options.known);
  if (!holds.ok()) return holds.status();
  const absl::StatusOr<std::optional<Restored>> restored = RestoredOf(book);
  if (!restored.ok()) return restored.status();
  DeliverReport report;
  report.held = held->size();
  Pass pass(book, *batches, *held, *holds, *restored, options);
  report.targets.resize(targets.size());
  std::vector<const EmitterOf*> all, tellers;
  for (size_t i = 0; i < targets.size(); ++i) {
    TOLLBOOK_RETURN_IF_ERROR(pass.Begin(targets[i], &report.targets[i]));
    // What is open of older reports of accounts must not go before a newer one is planned.
    if (!TakesAccounts(targets[i].target)) all.push_back(&targets[i]);
  }
  TOLLBOOK_RETURN_IF_ERROR(pass.RunDue(all));
  TOLLBOOK_RETURN_IF_ERROR(RecordDeliveries(book));
  // What became of the deliveries is told now, when the chain has it.
  const auto plan_accounts = [&]() -> absl::Status {
    for (size_t i = 0; i < targets.size(); ++i) {
      if (!TakesAccounts(targets[i].target)) continue;
      TOLLBOOK_RETURN_IF_ERROR(pass.PlanAccounts(targets[i], &report.targets[i]));
    }
    return absl::OkStatus();
  };
  TOLLBOOK_RETURN_IF_ERROR(plan_accounts());
  for (size_t i = 0; i < targets.size(); ++i) {
    if (TakesAccounts(targets[i].target)) tellers.push_back(&targets[i]);
    if (!TakesEvents(targets[i].target)) continue;
    TOLLBOOK_RETURN_IF_ERROR(pass.PlanEvents(targets[i], &report.targets[i]));
    tellers.push_back(&targets[i]);
  }
  TOLLBOOK_RETURN_IF_ERROR(pass.RunDue(tellers));
  // What waited for an unclear end, which may be clear now: the next pass sends it.
  TOLLBOOK_RETURN_IF_ERROR(plan_accounts());
  TOLLBOOK_RETURN_IF_ERROR(RecordDeliveries(book));  // that they were confirmed is told before that they still are
  if (options.reconcile) {
    TOLLBOOK_RETURN_IF_ERROR(pass.ReconcileDue(all));
    TOLLBOOK_RETURN_IF_ERROR(RecordDeliveries(book));
  }
  for (size_t i = 0; i < targets.size(); ++i) {
    TOLLBOOK_RETURN_IF_ERROR(pass.CountAfter(targets[i], &report.targets[i], &report));
  }
  report.cut_short = pass.was_cut_short();
  return report;
}

absl::Status RecordDeliveries(Book& book) {
  const absl::StatusOr<std::vector<Delivery>> deliveries = DeliveriesOf(book);
  if (!deliveries.ok()) return deliveries.status();
  if (deliveries->empty()) return absl::OkStatus();
  const absl::StatusOr<std::vector<DecisionCommit>> commits = Decisions(book);
  if (!commits.ok()) return commits.status();
  const ToldStates told = ToldStatesOf(*commits);
  TOLLBOOK_RETURN_IF_ERROR(CheckTold(told, *deliveries));
  std::vector<Decision> news;
  for (const Delivery& delivery : *deliveries) {
    const std::string which = NameOf(delivery), state(Word(delivery.state));
    const auto known = told.find(which);
    const bool is_known = known != told.end();
    const bool matters =
        is_known || IsFinal(delivery.state) || delivery.state == State::kParked || delivery.state == State::kUncertain;
    if (!matters || (is_known && known->second == state)) continue;
    const bool is_there = !delivery.document.empty() && delivery.state != State::kParked;
    const std::string why = is_there ? "as " + delivery.document : delivery.last_error;
    const std::string before(is_known ? std::string_view(known->second) : Word(State::kPending));  // as it was planned
    news.push_back({DecisionKind::kDelivery, which, "", why, before, state});
  }
  return news.empty() ? absl::OkStatus() : CommitDecisions(book, news);
}

absl::StatusOr<std::string> ShowDue(Book& book, const std::vector<EmitterOf>& targets, Instant now,
                                    std::span<const Target> known, int threads) {
  const absl::StatusOr<BatchesById> batches = BatchesOf(book);
  if (!batches.ok()) return batches.status();
  const auto held = NotApproved(book);
  if (!held.ok()) return held.status();
  if (const absl::Status checked = CheckOutbox(book); !checked.ok()) return checked;
  const absl::StatusOr<Holds> holds = HoldsOf(book, targets, known);
  if (!holds.ok()) return holds.status();
  const absl::StatusOr<std::optional<Restored>> restored = RestoredOf(book);
  if (!restored.ok()) return restored.status();
  Outbox& outbox = OutboxOf(book);
  SealedUsages usages(book, *restored, threads);
  AccountStandings standings(book, threads);
  std::string text;
  for (const EmitterOf& of : targets) {
    const absl::StatusOr<std::vector<Delivery>> stored = outbox.DeliveriesTo(of.target.name);
    if (!stored.ok()) return stored.status();
    std::set<std::string, std::less<>> there;
    for (const Delivery& delivery : *stored) there.insert(delivery.batch);
    std::vector<Delivery> all = *stored;
    for (const auto& [id, batch] : *batches) {
      if (!TakesJournal(of.target) || there.contains(id) || held->contains(id) || !Concerns(of.target, batch)) continue;
      all.emplace_back().batch = id;
    }
    std::vector<Parcel> parcels;
    for (const Delivery& delivery : InOrder(of.target, std::move(all), *batches)) {
      if (!there.contains(delivery.batch)) {
        parcels.push_back(FirstParcel(MakeFor(of, batches->at(delivery.batch), *restored)));
        continue;
      }
      if (!IsStillFor(of.target, delivery, *batches)) continue;
      absl::StatusOr<std::string> body = outbox.BodyOf(delivery);
      if (!body.ok()) return body.status();
      Parcel& parcel = parcels.emplace_back(Parcel{delivery.batch, delivery.key, *std::move(body), delivery.job});
      parcel.sends = delivery.attempts + 1;
    }
    if (TakesUsage(of.target)) {
      const absl::Status added = AddUsage(of, outbox, &usages, &parcels);
      if (!added.ok()) return added;
    }
    if (TakesAccounts(of.target)) {
      absl::StatusOr<AccountPlan> plan = PlanAccounts(book, outbox, of.target, *of.emitter, &standings);
      if (!plan.ok()) return plan.status();
      std::erase_if(parcels, [&](const Parcel& parcel) {
        return std::any_of(plan->outdated.begin(), plan->outdated.end(),
                           [&](const Delivery& outdated) { return outdated.batch == parcel.batch; });
      });
      for (PlannedDelivery& one : plan->planned) parcels.push_back({one.batch, one.key, std::move(one.body), ""});
    }
    if (TakesEvents(of.target)) {
      const absl::StatusOr<uint64_t> through = outbox.EventsPlannedThrough(of.target.name);
      if (!through.ok()) return through.status();
      absl::StatusOr<std::vector<PlannedDelivery>> planned = EventDeliveries(of, book, *batches, *through);
      if (!planned.ok()) return planned.status();
      for (PlannedDelivery& one : *planned) parcels.push_back(FirstParcel(std::move(one)));
    }
    const auto pause = holds->pauses.find(of.target.name);
    for (const Parcel& parcel : parcels) {
      const bool is_batch =
          !SealOfUsageReport(parcel.batch) && !CommitOfEvent(parcel.batch) && !NumberOfAccountReport(parcel.batch);
      const char* const what = is_batch ? "batch " : "";
      text += "# target " + of.target.name + ", " + what + parcel.batch + "\n";
      const Pause* const held_by = pause == holds->pauses.end() ? nullptr : &pause->second;
      if (IsHeld(of.target, held_by, *restored, SealOf(parcel.batch, *batches))) {
        text += "# paused " + ToString(*held_by) + "\n";
      }
      const Instant opens = OpensFor(of.target, parcel.batch, *batches, now);
      if (opens > now) text += "# outside its windows until " + ToString(opens) + "\n";
      text += of.emitter->Show(parcel);
      text += text.ends_with('\n') ? "\n" : "\n\n";
    }
  }
  return text;
}

}  // namespace tollbook
