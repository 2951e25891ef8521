#include "ledger/outbox.h"

#include <openssl/sha.h>

#include <map>

#include "ledger/bytes.h"
#include "ledger/store.h"
#include "ledger/unsettled.h"

namespace tollbook {
namespace {

// Rows are small and change; bodies are large and never do.
constexpr std::string_view kRowPrefix = "delivery/";
constexpr std::string_view kBodyPrefix = "delivery_body/";
constexpr std::string_view kUsagePrefix = "usage_planned/";
constexpr std::string_view kEventsPrefix = "events_planned/";
constexpr std::string_view kRequestsPrefix = "requests_of_day/";
constexpr std::string_view kStandingPrefix = "target_standing/";

std::string KeyOf(std::string_view prefix, std::string_view target, std::string_view batch) {
  std::string key(prefix);
  key.append(target).append("/").append(batch);  // neither has a slash
  return key;
}

absl::Status Conflict(std::string_view what, const PlannedDelivery& planned, std::string_view what_to_do) {
  return MakeError(absl::StatusCode::kFailedPrecondition, what, planned.batch + " to " + planned.target, what_to_do);
}

// Cut at a character's beginning, so that UTF-8 stays UTF-8.
std::string Cut(std::string text) {
  if (text.size() <= kLastErrorBytes) return text;
  size_t end = kLastErrorBytes;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) --end;
  text.resize(end);
  return text;
}

bool IsFailure(DeliveryEvent event) {
  return event == DeliveryEvent::kNotApplied || event == DeliveryEvent::kUnclear || event == DeliveryEvent::kCannotAsk;
}
bool IsPoll(DeliveryEvent event) {
  return event == DeliveryEvent::kStillRuns || event == DeliveryEvent::kNotShown;
}

// That something else is there is known until the target or a person says otherwise, whoever retries it.
bool StaysDifferent(const Delivery& before, DeliveryEvent event) {
  return before.problem == DeliveryProblem::kDifferent &&
         (event == DeliveryEvent::kRetry || event == DeliveryEvent::kMayRepeat);
}

// It was accepted and is not to be found, and nobody says that it is gone, or that nothing came of it: that is no word
// on whether it is there.
bool IsNeverShown(const Delivery& before, const DeliveryStep& step) {
  return step.event == DeliveryEvent::kNotThere && before.state == DeliveryState::kAccepted &&
         step.problem == DeliveryProblem::kAmbiguous;
}

// Whether something that was sent may be there, without the target's word or a person's. What is retried after it was
// parked is as it was.
bool MayBeThere(const Delivery& before, const DeliveryStep& step) {
  const bool was_open = before.may_be_there || before.problem == DeliveryProblem::kDifferent;
  switch (step.event) {
    case DeliveryEvent::kSend:
    case DeliveryEvent::kUnclear:
      return true;
    case DeliveryEvent::kNotThere:
      return IsNeverShown(before, step);
    case DeliveryEvent::kRetry:  // of earlier versions, what was never shown is only unclear by why it is parked
      return IsUnclear(before);
    case DeliveryEvent::kAccepted:
    case DeliveryEvent::kConfirmed:
    case DeliveryEvent::kSayPosted:
    case DeliveryEvent::kSayNotPosted:
      return false;
    case DeliveryEvent::kNotApplied:
    case DeliveryEvent::kRefused:  // in answer to what was sent; otherwise it is not about that
      return before.state == DeliveryState::kSending ? step.earlier_unclear : was_open;
    case DeliveryEvent::kCannotAsk:
    case DeliveryEvent::kStillRuns:
    case DeliveryEvent::kPark:
      return was_open;
    default:
      return before.may_be_there;
  }
}

}  // namespace

Hash256 HashOfBody(std::string_view body) {
  Hash256 hash;
  SHA256(reinterpret_cast<const unsigned char*>(body.data()), body.size(), hash.data());
  return hash;
}

absl::Status Outbox::CheckUsable() const {
  const std::lock_guard lock(mutex_);
  if (!failed_) return absl::OkStatus();
  return MakeError(absl::StatusCode::kFailedPrecondition, "an earlier step failed", directory_, "open the book again");
}

// Not under the mutex: the store makes one sync of writes that come at the same time.
absl::Status Outbox::Write(std::unique_ptr<StoreWrite> write) {
  absl::Status written = store_.Write(std::move(write));
  if (written.ok()) return written;
  const std::lock_guard lock(mutex_);
  failed_ = true;
  return written;
}

bool Outbox::WasSentHere(const Delivery& delivery) const {
  const std::lock_guard lock(mutex_);
  return sent_here_.contains({delivery.target, delivery.batch});
}

absl::StatusOr<std::vector<Delivery>> Outbox::Deliveries() const {
  return Rows(kRowPrefix);
}

absl::StatusOr<std::vector<Delivery>> Outbox::DeliveriesTo(std::string_view target) const {
  return Rows(KeyOf(kRowPrefix, target, ""));
}

absl::StatusOr<std::vector<Delivery>> Outbox::Rows(std::string_view prefix) const {
  std::vector<Delivery> deliveries;
  const absl::Status scanned =
      store_.Scan(Family::kDefault, prefix, [&](std::string_view key, std::string_view value) -> absl::Status {
        key.remove_prefix(kRowPrefix.size());
        const size_t slash = key.find('/');
        if (slash == std::string_view::npos) return DamagedError(directory_ + ": the key of a delivery");
        absl::StatusOr<Delivery> delivery = DecodeDelivery(key.substr(0, slash), key.substr(slash + 1), value);
        if (!delivery.ok()) return delivery.status();
        if (delivery->state == DeliveryState::kSending && !WasSentHere(*delivery)) {
          delivery->state = *Next(delivery->state, DeliveryEvent::kRestarted);
          delivery->problem = DeliveryProblem::kAmbiguous;
          delivery->last_error = "the process that was sending it ended before the answer came";
        }
        deliveries.push_back(*std::move(delivery));
        return absl::OkStatus();
      });
  if (!scanned.ok()) return scanned;
  return deliveries;
}

absl::StatusOr<std::optional<Delivery>> Outbox::Find(std::string_view target, std::string_view batch) const {
  absl::StatusOr<std::vector<Delivery>> deliveries = Rows(KeyOf(kRowPrefix, target, batch));
  if (!deliveries.ok()) return deliveries.status();
  for (Delivery& delivery : *deliveries) {  // names that begin with its own, too
    if (delivery.batch == batch) return std::optional<Delivery>(std::move(delivery));
  }
  return std::optional<Delivery>();
}

absl::StatusOr<std::string> Outbox::BodyOf(const Delivery& delivery) const {
  absl::StatusOr<std::optional<std::string>> body =
      store_.Get(Family::kJournal, KeyOf(kBodyPrefix, delivery.target, delivery.batch));
  if (!body.ok()) return body.status();
  if (body->has_value() && HashOfBody(**body) == delivery.body_hash) return **std::move(body);
  return DamagedError(directory_ + ": the body of " + delivery.batch + " to " + delivery.target);
}

absl::StatusOr<uint64_t> Outbox::UsagePlannedThrough(std::string_view target) const {
  return MarkAt(std::string(kUsagePrefix).append(target));
}

absl::StatusOr<uint64_t> Outbox::EventsPlannedThrough(std::string_view target) const {
  return MarkAt(std::string(kEventsPrefix).append(target));
}

absl::Status Outbox::PlanUsage(std::span<const PlannedDelivery> planned, const UsagePlanned& usage) {
  const absl::StatusOr<uint64_t> through = UsagePlannedThrough(usage.target);
  if (!through.ok()) return through.status();
  TOLLBOOK_ASSERT(usage.seal == *through + 1);
  return PlanAll(planned, Mark{std::string(kUsagePrefix).append(usage.target), usage.seal});
}

absl::Status Outbox::PlanEvents(std::span<const PlannedDelivery> planned, const EventsPlanned& events) {
  const absl::StatusOr<uint64_t> through = EventsPlannedThrough(events.target);
  if (!through.ok()) return through.status();
  TOLLBOOK_ASSERT(events.commit > *through);
  return PlanAll(planned, Mark{std::string(kEventsPrefix).append(events.target), events.commit});
}

absl::StatusOr<uint64_t> Outbox::MarkAt(const std::string& key) const {
  const absl::StatusOr<std::optional<std::string>> stored = store_.Get(Family::kDefault, key);
  if (!stored.ok()) return stored.status();
  if (!stored->has_value()) return 0;
  ByteReader in(**stored);
  const uint64_t number = in.Varint64();
  if (in.done()) return number;
  return DamagedError(directory_ + ": how far deliveries are planned, " + key);
}

absl::StatusOr<RequestsOfDay> Outbox::RequestsTo(std::string_view target) const {
  const absl::StatusOr<std::optional<std::string>> stored =
      store_.Get(Family::kDefault, std::string(kRequestsPrefix).append(target));
  if (!stored.ok()) return stored.status();
  if (!stored->has_value()) return RequestsOfDay{};
  ByteReader in(**stored);
  RequestsOfDay requests;
  requests.day.number = static_cast<int32_t>(in.Varint32());
  requests.count = in.Varint64();
  if (in.done()) return requests;
  return DamagedError(directory_ + ": how many requests were sent to " + std::string(target));
}

absl::StatusOr<TargetStanding> Outbox::StandingOf(std::string_view target) const {
  const absl::StatusOr<std::optional<std::string>> stored =
      store_.Get(Family::kDefault, std::string(kStandingPrefix).append(target));
  if (!stored.ok()) return stored.status();
  if (!stored->has_value()) return TargetStanding{};
  ByteReader in(**stored);
  TargetStanding standing;
  standing.failures_in_row = in.Varint32();
  standing.is_down = in.Flag();
  standing.tried_at_nanos = in.Zigzag64();
  standing.held_until_nanos = in.Zigzag64();
  if (in.done()) return standing;
  return DamagedError(directory_ + ": how target " + std::string(target) + " stands");
}

absl::Status Outbox::CountRequests(std::string_view target, const RequestsOfDay& requests) {
  TOLLBOOK_RETURN_IF_ERROR(CheckUsable());
  ByteWriter row;
  row.Varint(static_cast<uint32_t>(requests.day.number));
  row.Varint(requests.count);
  std::unique_ptr<StoreWrite> write = store_.NewWrite(512);
  write->Put(Family::kDefault, std::string(kRequestsPrefix).append(target), row.Take());
  return Write(std::move(write));
}

absl::Status Outbox::PlanAll(std::span<const PlannedDelivery> planned, const std::optional<Mark>& mark) {
  TOLLBOOK_RETURN_IF_ERROR(CheckUsable());
  std::set<std::string_view> targets;
  for (const PlannedDelivery& plan : planned) targets.insert(plan.target);
  std::map<std::pair<std::string, std::string>, Delivery> by_batch, by_key;
  for (const std::string_view target : targets) {
    const absl::StatusOr<std::vector<Delivery>> before = DeliveriesTo(target);
    if (!before.ok()) return before.status();
    for (const Delivery& delivery : *before) {
      by_batch.emplace(std::pair(delivery.target, delivery.batch), delivery);
      by_key.emplace(std::pair(delivery.target, delivery.key), delivery);
    }
  }
  size_t bytes = 512;
  for (const PlannedDelivery& plan : planned) bytes += plan.body.size() + 512;
  std::unique_ptr<StoreWrite> write = store_.NewWrite(bytes);
  bool anything = false;
  for (const PlannedDelivery& plan : planned) {
    const Hash256 hash = HashOfBody(plan.body);
    if (const auto found = by_batch.find({plan.target, plan.batch}); found != by_batch.end()) {
      if (found->second.key == plan.key && found->second.body_hash == hash) continue;
      return Conflict("a delivery that is planned cannot change", plan,
                      "supersede it with `tollbook deliveries resolve`, and correct the target by hand");
    }
    if (const auto found = by_key.find({plan.target, plan.key}); found != by_key.end()) {
      return Conflict(
          "two deliveries have the same key", plan,
          "the other is " + found->second.batch + "; two books that post to one target must differ in name");
    }
    Delivery delivery;
    delivery.target = plan.target;
    delivery.batch = plan.batch;
    delivery.key = plan.key;
    delivery.body_hash = hash;
    delivery.planned_at_nanos = delivery.changed_at_nanos = delivery.since_nanos = Now();
    delivery.entities = plan.entities;
    delivery.first_period = plan.first_period;
    write->Put(Family::kDefault, KeyOf(kRowPrefix, plan.target, plan.batch), Encode(delivery));
    write->Put(Family::kJournal, KeyOf(kBodyPrefix, plan.target, plan.batch), plan.body);
    by_batch.emplace(std::pair(plan.target, plan.batch), delivery);
    by_key.emplace(std::pair(plan.target, plan.key), std::move(delivery));
    anything = true;
  }
  if (mark) {
    ByteWriter number;
    number.Varint(mark->second);
    write->Put(Family::kDefault, mark->first, number.Take());
    anything = true;
  }
  if (!anything) return absl::OkStatus();
  return Write(std::move(write));
}

absl::Status Outbox::Step(const DeliveryStep& step, Delivery* delivery) {
  TOLLBOOK_RETURN_IF_ERROR(CheckUsable());
  const std::optional<DeliveryState> next = Next(delivery->state, step.event);
  if (!next) {
    return MakeError(absl::StatusCode::kFailedPrecondition, std::string(Word(step.event)) + " is no step of it",
                     delivery->batch + " to " + delivery->target + ", which is " + std::string(Word(delivery->state)),
                     "see `tollbook deliveries list`");
  }
  Delivery after = *delivery;
  after.state = *next;
  after.attempts += step.event == DeliveryEvent::kSend ? 1 : 0;
  after.failures = IsFailure(step.event) ? after.failures + 1 : step.event == DeliveryEvent::kSend ? after.failures : 0;
  after.polls = IsPoll(step.event) ? after.polls + 1 : 0;
  after.may_be_there = MayBeThere(*delivery, step);
  after.problem = StaysDifferent(*delivery, step.event) ? delivery->problem : step.problem;
  if (!step.error.empty()) after.last_error = Cut(step.error);
  if (step.error.empty() && IsPosted(after.state)) after.last_error.clear();  // what was wrong is over
  if (!step.job.empty()) after.job = step.job;
  if (!step.document.empty()) after.document = step.document;
  if (step.event == DeliveryEvent::kSayNotPosted) after.document.clear();
  if (step.sent_hash) {
    after.sent_hash = step.sent_hash;
    after.sent_to = step.sent_to;
  }
  const bool is_not_there = step.event == DeliveryEvent::kNotThere && !IsNeverShown(*delivery, step);
  const bool is_said_missing = is_not_there || step.event == DeliveryEvent::kSayNotPosted;
  if ((step.is_nowhere || is_said_missing) && !step.is_told_in_part) after.sent_to.clear();
  after.changed_at_nanos = Now();
  if (after.state != delivery->state) after.since_nanos = after.changed_at_nanos;
  if (step.event == DeliveryEvent::kNotShown && after.over_nanos == 0) after.over_nanos = after.changed_at_nanos;
  if (after.state != DeliveryState::kAccepted || step.event == DeliveryEvent::kStillRuns) after.over_nanos = 0;
  after.not_before_nanos = step.not_before_nanos;
  std::unique_ptr<StoreWrite> write = store_.NewWrite(1024);
  write->Put(Family::kDefault, KeyOf(kRowPrefix, after.target, after.batch), Encode(after));
  if (step.standing) {
    ByteWriter row;
    row.Varint(step.standing->failures_in_row);
    row.Fixed8(step.standing->is_down ? 1 : 0);
    row.Zigzag(step.standing->tried_at_nanos);
    row.Zigzag(step.standing->held_until_nanos);
    write->Put(Family::kDefault, std::string(kStandingPrefix).append(after.target), row.Take());
  }
  TOLLBOOK_RETURN_IF_ERROR(Write(std::move(write)));
  if (after.state == DeliveryState::kSending) {
    const std::lock_guard lock(mutex_);
    sent_here_.emplace(after.target, after.batch);
  }
  *delivery = std::move(after);
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> Outbox::Check(const std::set<std::string, std::less<>>& batches, uint64_t seals,
                                       uint64_t commits) const {
  const absl::StatusOr<std::vector<Delivery>> deliveries = Deliveries();
  if (!deliveries.ok()) return deliveries.status();
  for (const Delivery& delivery : *deliveries) {
    const std::optional<uint64_t> seal = SealOfUsageReport(delivery.batch);
    const std::optional<uint64_t> commit = CommitOfEvent(delivery.batch);
    const bool is_of_book = seal     ? *seal >= 1 && *seal <= seals
                            : commit ? *commit >= 1 && *commit <= commits
                                     : NumberOfAccountReport(delivery.batch) || batches.contains(delivery.batch);
    if (!is_of_book) {
      return DamagedError(
          directory_ + ": a delivery to " + delivery.target + " of " + delivery.batch +
          ", which is no batch of the book, no usage of a seal or event of a commit of it, and no report of "
          "accounts");
    }
    const absl::StatusOr<std::string> body = BodyOf(delivery);
    if (!body.ok()) return body.status();
  }
  return deliveries->size();
}

}  // namespace tollbook
