#include "pipeline/emit/deliver.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <tuple>

#include "pipeline/emit/account_report.h"
#include "pipeline/emit/dispatch.h"

namespace tollbook {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kLoginWaitNanos = 60 * kNanosPerSecond;  // a refused login is not tried in a loop

using State = DeliveryState;
using Event = DeliveryEvent;
using BatchesById = std::map<std::string, JournalBatch, std::less<>>;
using Pauses = std::map<std::string, Pause, std::less<>>;

bool IsOfTarget(DeliveryProblem problem) {
  return problem == DeliveryProblem::kAuthentication || problem == DeliveryProblem::kRateLimit ||
         problem == DeliveryProblem::kAvailability || problem == DeliveryProblem::kConfiguration;
}

bool IsOpen(const Delivery& delivery) {
  return !IsFinal(delivery.state) && delivery.state != State::kParked;
}

// An attempt that ended so: with what was not taken for what it says, the target itself is well.
bool HasFailed(const Delivery& delivery) {
  const bool is_unclear = delivery.state == State::kParked && delivery.problem == DeliveryProblem::kAmbiguous;
  return is_unclear || (IsOpen(delivery) && delivery.problem != DeliveryProblem::kNone);
}

// So many deliveries in a row failed, whatever they are: that is the target, and not they. A batch that nobody can take
// does not do it, for others are tried before it is again.
constexpr uint32_t kFailuresThatBreak = 5;

// How a target stands by the attempts that the book keeps.
struct Standing {
  uint32_t failures_in_row = 0;  // of the deliveries that were tried last
  int64_t held_until_nanos = 0;  // until then its deliveries wait; then one of them tries
};

Standing StandingOf(const Target& target, std::vector<Delivery> deliveries) {
  // What was never tried says nothing.
  std::erase_if(deliveries, [](const Delivery& delivery) {
    return delivery.state == State::kPending && delivery.attempts == 0 && delivery.failures == 0;
  });
  std::stable_sort(deliveries.begin(), deliveries.end(),
                   [](const Delivery& a, const Delivery& b) { return a.changed_at_nanos > b.changed_at_nanos; });
  Standing standing;
  for (const Delivery& delivery : deliveries) {
    if (!HasFailed(delivery)) break;
    ++standing.failures_in_row;
  }
  if (standing.failures_in_row == 0) return standing;
  const Delivery& newest = deliveries.front();
  if (!IsOpen(newest)) {
    // Each unclear one that cannot be asked about is a person's work: not one more of them at each turn.
    if (standing.failures_in_row < kFailuresThatBreak) return standing;
    standing.held_until_nanos = newest.changed_at_nanos + target.retry_cap_seconds * kNanosPerSecond;
  } else if (IsOfTarget(newest.problem) || standing.failures_in_row >= kFailuresThatBreak) {
    standing.held_until_nanos = newest.not_before_nanos;
  }
  return standing;
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
  SealedUsages(const Book& book, int threads) : book_(book), threads_(threads) {}

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
    return SealedUsage{seal, before_, after_};
  }

 private:
  absl::Status Read(uint64_t seal, std::vector<UsageDay>* into) {
    absl::StatusOr<std::vector<UsageDay>> days = UsageDaysAsOf(book_, seal, threads_);
    if (!days.ok()) return days.status();
    *into = *std::move(days);
    return absl::OkStatus();
  }

  const Book& book_;
  const int threads_;
  uint64_t seal_ = 0;
  std::vector<UsageDay> before_, after_;
};

// The open ones of a target's, in the order in which they are tried.
std::vector<Delivery> InOrder(std::vector<Delivery> deliveries, const BatchesById& batches) {
  std::erase_if(deliveries, [](const Delivery& delivery) { return !IsOpen(delivery); });
  const auto place = [&](const Delivery& delivery) {
    const auto batch = batches.find(delivery.batch);
    // What happened is told behind what was sealed.
    const uint64_t seal = batch != batches.end()          ? batch->second.seal
                          : CommitOfEvent(delivery.batch) ? UINT64_MAX
                                                          : SealOfUsageReport(delivery.batch).value_or(0);
    return std::tuple(delivery.failures, seal, delivery.batch);
  };
  std::sort(deliveries.begin(), deliveries.end(),
            [&](const Delivery& a, const Delivery& b) { return place(a) < place(b); });
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

class Pass {
 public:
  Pass(Book& book, const BatchesById& batches, const std::set<std::string, std::less<>>& held, const Pauses& pauses,
       const DeliverOptions& options)
      : book_(book),
        outbox_(OutboxOf(book)),
        usages_(book, options.threads),
        batches_(batches),
        held_(held),
        pauses_(pauses),
        options_(options) {}

  // Plans batches and usage; how many deliveries were confirmed before.
  absl::StatusOr<uint64_t> Begin(const EmitterOf& of, TargetReport* report);
  absl::Status PlanEvents(const EmitterOf& of, TargetReport* report);
  // Nothing while the book has no newer commit than when this process last did.
  absl::Status PlanAccounts(const EmitterOf& of, TargetReport* report);
  // What is due of them.
  absl::Status RunDue(const std::vector<const EmitterOf*>& targets);
  absl::Status CountAfter(const EmitterOf& of, TargetReport* target, DeliverReport* report) const;

 private:
  absl::Status Plan(const EmitterOf& of, const std::set<std::string, std::less<>>& there, TargetReport* report);
  absl::Status PlanUsage(const EmitterOf& of, TargetReport* report);
  absl::Status BeginPace(const EmitterOf& of);
  // The deliveries of a target whose turn it may be now; none when it is to be left alone.
  absl::StatusOr<std::vector<Delivery>> DueOf(const EmitterOf& of, DispatchTarget* target);
  DispatchWord MayGo(const EmitterOf& of, const Delivery& delivery) const;
  // Until it is final, waits or is parked. True: leave the target's others alone.
  absl::StatusOr<bool> RunOne(const EmitterOf& of, Emitter& emitter, Delivery* delivery);
  absl::StatusOr<Attempt> NextOf(const EmitterOf& of, Emitter& emitter, const Parcel& parcel, Delivery* delivery);
  absl::Status Apply(const EmitterOf& of, const Attempt& outcome, Delivery* delivery);
  int64_t DueAt(const EmitterOf& of, const Delivery& delivery) const;
  // When its target may next be told of it, from then on.
  int64_t OpenFrom(const Target& target, const Delivery& delivery, int64_t from_nanos) const;
  bool Stopped() const {
    return (options_.stop != nullptr && options_.stop->load()) ||
           (options_.until_nanos != 0 && options_.now_nanos() >= options_.until_nanos);
  }

  const Book& book_;
  Outbox& outbox_;
  SealedUsages usages_;
  const BatchesById& batches_;
  const std::set<std::string, std::less<>>& held_;
  const Pauses& pauses_;
  const DeliverOptions& options_;
  std::mutex chance_mutex_;  // of options_.chance
};

absl::StatusOr<uint64_t> Pass::Begin(const EmitterOf& of, TargetReport* report) {
  report->target = of.target.name;
  if (const auto pause = pauses_.find(report->target); pause != pauses_.end()) report->paused = pause->second;
  const absl::StatusOr<std::vector<Delivery>> before = outbox_.DeliveriesTo(of.target.name);
  if (!before.ok()) return before.status();
  std::set<std::string, std::less<>> there;
  uint64_t confirmed = 0;
  for (const Delivery& delivery : *before) {
    there.insert(delivery.batch);
    confirmed += delivery.state == State::kConfirmed ? 1 : 0;
  }
  if (TakesJournal(of.target)) TOLLBOOK_RETURN_IF_ERROR(Plan(of, there, report));
  if (TakesUsage(of.target)) TOLLBOOK_RETURN_IF_ERROR(PlanUsage(of, report));
  return confirmed;
}

absl::Status Pass::Plan(const EmitterOf& of, const std::set<std::string, std::less<>>& there, TargetReport* report) {
  std::vector<PlannedDelivery> planned;
  for (const auto& [id, batch] : batches_) {
    if (there.contains(id) || held_.contains(id) || !Concerns(of.target, batch)) continue;
    planned.push_back(of.emitter->Make(batch));
    planned.back().target = of.target.name;
  }
  report->planned = planned.size();
  return outbox_.Plan(planned);
}

// Seal by seal, so that a book that was put back plans the same reports under the same keys.
absl::Status Pass::PlanUsage(const EmitterOf& of, TargetReport* report) {
  const absl::StatusOr<uint64_t> through = outbox_.UsagePlannedThrough(of.target.name);
  if (!through.ok()) return through.status();
  for (uint64_t seal = *through + 1; seal <= usages_.newest_seal() && !Stopped(); ++seal) {
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
  absl::StatusOr<AccountPlan> plan = tollbook::PlanAccounts(book_, outbox_, of.target, *of.emitter, options_.threads);
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

// An unclear end is asked about once nothing can be under way any more.
int64_t Pass::DueAt(const EmitterOf& of, const Delivery& delivery) const {
  if (delivery.state != State::kUncertain) return delivery.not_before_nanos;
  if (!of.emitter->CanBeAsked()) return 0;
  return std::max(delivery.not_before_nanos, delivery.changed_at_nanos + of.target.quiet_seconds * kNanosPerSecond);
}

int64_t Pass::OpenFrom(const Target& target, const Delivery& delivery, int64_t from_nanos) const {
  const auto batch = batches_.find(delivery.batch);
  return OpensAt(target, batch == batches_.end() ? "" : batch->second.entity, Instant{from_nanos}).nanos;
}

absl::StatusOr<std::vector<Delivery>> Pass::DueOf(const EmitterOf& of, DispatchTarget* target) {
  std::vector<Delivery> due;
  absl::StatusOr<std::vector<Delivery>> deliveries = outbox_.DeliveriesTo(of.target.name);
  if (!deliveries.ok()) return deliveries.status();
  const Standing standing = StandingOf(of.target, *deliveries);
  if (pauses_.contains(of.target.name) || standing.held_until_nanos > options_.now_nanos()) return due;
  due = InOrder(*std::move(deliveries), batches_);
  std::map<std::pair<std::string, std::string>, size_t> places;
  for (const Delivery& delivery : due) {
    // Reports of usage correct each other, and events tell of what follows: each of them is one place.
    std::pair<std::string, std::string> place(CommitOfEvent(delivery.batch) ? "event" : "", "");
    const auto batch = batches_.find(delivery.batch);
    if (batch != batches_.end()) place = {batch->second.entity, batch->second.accounting_period};
    target->places.push_back(places.emplace(std::move(place), places.size()).first->second);
  }
  target->connections = 1 + of.more.size();
  target->failures_in_row = standing.failures_in_row;
  return due;
}

DispatchWord Pass::MayGo(const EmitterOf& of, const Delivery& delivery) const {
  if (Stopped() || (of.pace != nullptr && of.pace->UsedUpUntil() > 0)) return DispatchWord::kEnd;
  const int64_t now = options_.now_nanos();
  const bool is_due = DueAt(of, delivery) <= now && OpenFrom(of.target, delivery, now) <= now;
  return is_due ? DispatchWord::kGo : DispatchWord::kSkip;
}

absl::Status Pass::RunDue(const std::vector<const EmitterOf*>& targets) {
  std::vector<DispatchTarget> queues(targets.size());
  std::vector<std::vector<Delivery>> due;
  for (size_t i = 0; i < targets.size(); ++i) {
    absl::StatusOr<std::vector<Delivery>> of_target = DueOf(*targets[i], &queues[i]);
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
    const absl::StatusOr<bool> leave = RunOne(of, emitter, &delivery);
    if (!leave.ok()) return leave.status();
    if (*leave) return DispatchOutcome::kEnds;
    return HasFailed(delivery) ? DispatchOutcome::kFailed : DispatchOutcome::kWell;
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
  const int64_t held_until = std::max(StandingOf(of.target, *deliveries).held_until_nanos, used_up_until);
  for (const Delivery& delivery : *deliveries) {
    ++target->by_state[static_cast<size_t>(delivery.state)];
    if (!IsOpen(delivery) || target->paused) continue;
    const int64_t ready = std::max({DueAt(of, delivery), held_until, options_.now_nanos(), int64_t{1}});
    const int64_t due = OpenFrom(of.target, delivery, ready);
    report->next_due_nanos = ++report->waiting == 1 ? due : std::min(report->next_due_nanos, due);
  }
  return absl::OkStatus();
}

absl::Status Pass::BeginPace(const EmitterOf& of) {
  const absl::StatusOr<RequestsOfDay> counted = outbox_.RequestsTo(of.target.name);
  if (!counted.ok()) return counted.status();
  of.pace->Begin(
      *counted, [this, &of](const RequestsOfDay& requests) { return outbox_.CountRequests(of.target.name, requests); });
  return absl::OkStatus();
}

absl::StatusOr<bool> Pass::RunOne(const EmitterOf& of, Emitter& emitter, Delivery* one) {
  Delivery& delivery = *one;
  absl::StatusOr<std::string> body = outbox_.BodyOf(delivery);
  if (!body.ok()) return body.status();
  Parcel parcel{delivery.batch, delivery.key, *std::move(body), delivery.job, delivery.changed_at_nanos};
  // Each step leads on or ends it; a target that would send us in circles is left for the next pass.
  for (int step = 0; step < 4; ++step) {
    parcel.job = delivery.job;
    parcel.changed_at_nanos = delivery.changed_at_nanos;
    const absl::StatusOr<Attempt> outcome = NextOf(of, emitter, parcel, &delivery);
    if (!outcome.ok()) return outcome.status();
    TOLLBOOK_RETURN_IF_ERROR(Apply(of, *outcome, &delivery));
    if (outcome->pause_target) return true;
    if (!IsOpen(delivery) || DueAt(of, delivery) > options_.now_nanos()) return false;
  }
  return false;
}

absl::StatusOr<Attempt> Pass::NextOf(const EmitterOf& of, Emitter& emitter, const Parcel& parcel, Delivery* delivery) {
  if (delivery->state == State::kAccepted) return emitter.Finish(parcel);
  if (delivery->state == State::kUncertain) return emitter.Ask(parcel);
  const auto batch = batches_.find(delivery->batch);
  if (batch != batches_.end()) {
    const std::string beyond = BeyondLimits(of.target, batch->second);
    if (!beyond.empty()) {
      return Failed(Event::kRefused, DeliveryProblem::kValidation,
                    "beyond the posting limits: " + beyond + ": raise the limit and `tollbook deliveries retry` it");
    }
  }
  if (emitter.AsksFirst()) {
    Attempt found = emitter.Ask(parcel);
    if (found.step.event != Event::kNotThere) return found;
  }
  DeliveryStep send;
  send.event = Event::kSend;
  TOLLBOOK_RETURN_IF_ERROR(outbox_.Step(send, delivery));  // synced: only now may a byte leave
  return emitter.Send(parcel);
}

absl::Status Pass::Apply(const EmitterOf& of, const Attempt& outcome, Delivery* delivery) {
  DeliveryStep step = outcome.step;
  const bool waits =
      step.event == Event::kNotApplied || step.event == Event::kUnclear || step.event == Event::kCannotAsk;
  if (waits) {
    uint64_t chance = 0;
    {
      const std::lock_guard lock(chance_mutex_);
      chance = options_.chance();
    }
    int64_t wait = std::max(outcome.wait_nanos, BackOffNanos(of.target, delivery->failures + 1, chance));
    if (step.problem == DeliveryProblem::kAuthentication) wait = std::max(wait, kLoginWaitNanos);
    step.not_before_nanos = options_.now_nanos() + wait;
  }
  return outbox_.Step(step, delivery);
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
    for (PlannedDelivery& one : *planned) parcels->push_back({one.batch, one.key, std::move(one.body), ""});
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
  const absl::StatusOr<Pauses> pauses = PausedTargets(book);
  if (!pauses.ok()) return pauses.status();
  DeliverReport report;
  report.held = held->size();
  Pass pass(book, *batches, *held, *pauses, options);
  report.targets.resize(targets.size());
  std::vector<const EmitterOf*> all, tellers;
  std::vector<uint64_t> confirmed_before;
  for (size_t i = 0; i < targets.size(); ++i) {
    absl::StatusOr<uint64_t> confirmed = pass.Begin(targets[i], &report.targets[i]);
    if (!confirmed.ok()) return confirmed.status();
    confirmed_before.push_back(*confirmed);
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
  TOLLBOOK_RETURN_IF_ERROR(RecordDeliveries(book));
  for (size_t i = 0; i < targets.size(); ++i) {
    TargetReport& target = report.targets[i];
    TOLLBOOK_RETURN_IF_ERROR(pass.CountAfter(targets[i], &target, &report));
    target.confirmed = target.by_state[static_cast<size_t>(State::kConfirmed)] - confirmed_before[i];
  }
  return report;
}

absl::Status RecordDeliveries(Book& book) {
  const absl::StatusOr<std::vector<Delivery>> deliveries = DeliveriesOf(book);
  if (!deliveries.ok()) return deliveries.status();
  if (deliveries->empty()) return absl::OkStatus();
  const absl::StatusOr<std::vector<DecisionCommit>> commits = Decisions(book);
  if (!commits.ok()) return commits.status();
  std::map<std::string, std::string> told;  // the state that the chain knows, by target and batch
  for (const DecisionCommit& commit : *commits) {
    for (const Decision& decision : commit.decisions) {
      if (decision.kind == DecisionKind::kDelivery) told[decision.which] = decision.after;
    }
  }
  std::vector<Decision> news;
  for (const Delivery& delivery : *deliveries) {
    const std::string which = NameOf(delivery), state(Word(delivery.state));
    const auto known = told.find(which);
    const bool is_known = known != told.end();
    const bool matters =
        is_known || IsFinal(delivery.state) || delivery.state == State::kParked || delivery.state == State::kUncertain;
    if (!matters || (is_known && known->second == state)) continue;
    const std::string why = delivery.document.empty() ? delivery.last_error : "as " + delivery.document;
    news.push_back({DecisionKind::kDelivery, which, "", why, is_known ? known->second : "", state});
  }
  return news.empty() ? absl::OkStatus() : CommitDecisions(book, news);
}

std::string NameOf(const Delivery& delivery) {
  return delivery.target + " " + delivery.batch;
}

absl::StatusOr<std::string> ShowDue(Book& book, const std::vector<EmitterOf>& targets, int threads) {
  const absl::StatusOr<BatchesById> batches = BatchesOf(book);
  if (!batches.ok()) return batches.status();
  const auto held = NotApproved(book);
  if (!held.ok()) return held.status();
  Outbox& outbox = OutboxOf(book);
  SealedUsages usages(book, threads);
  std::string text;
  for (const EmitterOf& of : targets) {
    const absl::StatusOr<std::vector<Delivery>> stored = outbox.DeliveriesTo(of.target.name);
    if (!stored.ok()) return stored.status();
    std::set<std::string, std::less<>> there;
    for (const Delivery& delivery : *stored) there.insert(delivery.batch);
    std::vector<Parcel> parcels;
    for (const Delivery& delivery : InOrder(*stored, *batches)) {
      absl::StatusOr<std::string> body = outbox.BodyOf(delivery);
      if (!body.ok()) return body.status();
      parcels.push_back({delivery.batch, delivery.key, *std::move(body), delivery.job});
    }
    for (const auto& [id, batch] : *batches) {
      if (!TakesJournal(of.target) || there.contains(id) || held->contains(id) || !Concerns(of.target, batch)) continue;
      PlannedDelivery planned = of.emitter->Make(batch);
      parcels.push_back({id, planned.key, std::move(planned.body), ""});
    }
    if (TakesUsage(of.target)) {
      const absl::Status added = AddUsage(of, outbox, &usages, &parcels);
      if (!added.ok()) return added;
    }
    if (TakesAccounts(of.target)) {
      absl::StatusOr<AccountPlan> plan = PlanAccounts(book, outbox, of.target, *of.emitter, threads);
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
      for (PlannedDelivery& one : *planned) parcels.push_back({one.batch, one.key, std::move(one.body), ""});
    }
    for (const Parcel& parcel : parcels) {
      const bool is_batch =
          !SealOfUsageReport(parcel.batch) && !CommitOfEvent(parcel.batch) && !NumberOfAccountReport(parcel.batch);
      const char* const what = is_batch ? "batch " : "";
      text += "# target " + of.target.name + ", " + what + parcel.batch + "\n" + of.emitter->Show(parcel);
      text += text.ends_with('\n') ? "\n" : "\n\n";
    }
  }
  return text;
}

}  // namespace tollbook
