#include "ledger/delivery.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "ledger/bytes.h"

namespace tollbook {
namespace {

using State = DeliveryState;
using Event = DeliveryEvent;

// From where to where, by what. What is not here cannot happen.
struct Transition {
  State from;
  Event event;
  State to;
};
constexpr Transition kTransitions[] = {
    // Nothing was sent yet. A target that can be asked is asked first: the book may be older than what it was told.
    {State::kPending, Event::kSend, State::kSending},
    {State::kPending, Event::kAccepted, State::kAccepted},
    {State::kPending, Event::kConfirmed, State::kConfirmed},
    {State::kPending, Event::kNotApplied, State::kRetryWait},
    {State::kPending, Event::kCannotAsk, State::kRetryWait},
    {State::kPending, Event::kRefused, State::kParked},
    {State::kPending, Event::kDifferent, State::kParked},
    {State::kPending, Event::kPark, State::kParked},
    {State::kPending, Event::kSayPosted, State::kConfirmed},
    {State::kPending, Event::kSaySuperseded, State::kSuperseded},
    {State::kPending, Event::kOutdated, State::kSuperseded},

    {State::kSending, Event::kRestarted, State::kUncertain},
    {State::kSending, Event::kAccepted, State::kAccepted},
    {State::kSending, Event::kConfirmed, State::kConfirmed},
    {State::kSending, Event::kNotApplied, State::kRetryWait},
    {State::kSending, Event::kUnclear, State::kUncertain},
    {State::kSending, Event::kRefused, State::kParked},

    // A job that is no longer there was taken away by somebody: not ours to make again.
    {State::kAccepted, Event::kConfirmed, State::kConfirmed},
    {State::kAccepted, Event::kNotApplied, State::kAccepted},
    {State::kAccepted, Event::kUnclear, State::kAccepted},
    {State::kAccepted, Event::kCannotAsk, State::kAccepted},
    {State::kAccepted, Event::kStillRuns, State::kAccepted},
    {State::kAccepted, Event::kNotShown, State::kAccepted},
    {State::kAccepted, Event::kNotThere, State::kParked},
    {State::kAccepted, Event::kRefused, State::kParked},
    {State::kAccepted, Event::kDifferent, State::kParked},
    {State::kAccepted, Event::kPark, State::kParked},
    {State::kAccepted, Event::kSayPosted, State::kConfirmed},
    {State::kAccepted, Event::kSaySuperseded, State::kSuperseded},

    {State::kUncertain, Event::kAccepted, State::kAccepted},
    {State::kUncertain, Event::kConfirmed, State::kConfirmed},
    {State::kUncertain, Event::kCannotAsk, State::kUncertain},
    {State::kUncertain, Event::kStillRuns, State::kUncertain},
    {State::kUncertain, Event::kNotThere, State::kPending},
    {State::kUncertain, Event::kMayRepeat, State::kPending},
    {State::kUncertain, Event::kRefused, State::kParked},
    {State::kUncertain, Event::kDifferent, State::kParked},
    {State::kUncertain, Event::kPark, State::kParked},
    {State::kUncertain, Event::kSayPosted, State::kConfirmed},
    {State::kUncertain, Event::kSayNotPosted, State::kPending},
    {State::kUncertain, Event::kSaySuperseded, State::kSuperseded},

    {State::kRetryWait, Event::kSend, State::kSending},
    {State::kRetryWait, Event::kAccepted, State::kAccepted},
    {State::kRetryWait, Event::kConfirmed, State::kConfirmed},
    {State::kRetryWait, Event::kNotApplied, State::kRetryWait},
    {State::kRetryWait, Event::kCannotAsk, State::kRetryWait},
    {State::kRetryWait, Event::kRefused, State::kParked},
    {State::kRetryWait, Event::kDifferent, State::kParked},
    {State::kRetryWait, Event::kPark, State::kParked},
    {State::kRetryWait, Event::kRetry, State::kPending},
    {State::kRetryWait, Event::kSayPosted, State::kConfirmed},
    {State::kRetryWait, Event::kSaySuperseded, State::kSuperseded},
    {State::kRetryWait, Event::kOutdated, State::kSuperseded},

    // `retry` goes by way of asking, so that what is there after all is not sent twice.
    {State::kParked, Event::kRetry, State::kUncertain},
    {State::kParked, Event::kSayPosted, State::kConfirmed},
    {State::kParked, Event::kSayNotPosted, State::kPending},
    {State::kParked, Event::kSaySuperseded, State::kSuperseded},
    {State::kParked, Event::kOutdated, State::kSuperseded},

    // The target is asked whether it still has what it confirmed. What cannot be asked, or compared, stays as it is.
    {State::kConfirmed, Event::kReconciled, State::kReconciled},
    {State::kConfirmed, Event::kCannotAsk, State::kConfirmed},
    {State::kConfirmed, Event::kRefused, State::kConfirmed},
    {State::kConfirmed, Event::kNotThere, State::kParked},
    {State::kConfirmed, Event::kDifferent, State::kParked},
    // Of what a person only said to be there.
    {State::kConfirmed, Event::kSayNotPosted, State::kPending},

    {State::kReconciled, Event::kReconciled, State::kReconciled},
    {State::kReconciled, Event::kCannotAsk, State::kReconciled},
    {State::kReconciled, Event::kRefused, State::kReconciled},
    {State::kReconciled, Event::kNotThere, State::kParked},
    {State::kReconciled, Event::kDifferent, State::kParked},
};

constexpr std::array<std::string_view, kDeliveryStates> kStateWords = {
    "pending", "sending", "accepted", "confirmed", "uncertain", "retry-wait", "parked", "superseded", "reconciled"};
constexpr std::array<std::string_view, kDeliveryEvents> kEventWords = {
    "send",           "restarted",      "accepted", "confirmed",  "not applied", "unclear",   "cannot ask",
    "not there",      "may repeat",     "refused",  "different",  "park",        "retry",     "say posted",
    "say not posted", "say superseded", "outdated", "still runs", "not shown",   "reconciled"};
constexpr std::array<std::string_view, kDeliveryProblems> kProblemWords = {
    "",          "validation",    "mapping",  "authentication", "rate limit", "availability",
    "ambiguous", "configuration", "different"};
// Of what waits, and of what is parked. The order is that of DeliveryProblem.
constexpr std::array<Remedy, kDeliveryProblems> kWhileItWaits = {{
    {"", ""},
    {"finance", "correct what the target refuses"},
    {"finance", "add the code that is missing"},
    {"the keeper of the secrets", "renew the login or its rights; it is tried again by itself"},
    {"nobody, it waits", "nothing: it goes on when the target's limit lets it"},
    {"the target's operator", "nothing, unless it lasts: then see to the target, or its url"},
    {"nobody, the target is asked", "nothing: the next `tollbook post` asks the target, or parks what cannot be asked"},
    {"the keeper of targets.yaml", "correct targets.yaml; it is tried again by itself"},
    {"nobody, the target is asked", "nothing: the next `tollbook post` looks what the target has now"},
}};
constexpr std::array<Remedy, kDeliveryProblems> kOfParked = {{
    {"whoever parked it", "`tollbook deliveries retry` when it may go"},
    {"finance", "correct what the target refuses, then `tollbook deliveries retry`"},
    {"finance", "add the code in the target or in targets.yaml, then `tollbook deliveries retry`"},
    {"the keeper of the secrets", "renew the login or its rights, then `tollbook deliveries retry`"},
    {"the target's operator", "raise the limit there, then `tollbook deliveries retry`"},
    {"the target's operator", "see to the target, then `tollbook deliveries retry`"},
    {"finance", "look whether it is in the target, then `tollbook deliveries resolve`"},
    {"the keeper of targets.yaml", "correct targets.yaml, then `tollbook deliveries retry`"},
    {"finance",
     "compare what the target has under the key with `tollbook deliveries show --body`; mend or reverse it there, then "
     "`tollbook deliveries retry`, or `resolve` it"},
}};

// Names of what is delivered in parts: "usage:0003-001".
constexpr std::string_view kUsagePrefix = "usage:";
constexpr std::string_view kAccountsPrefix = "accounts:";
constexpr std::string_view kEventPrefix = "event:";

std::string PartName(std::string_view prefix, int digits, uint64_t number, uint32_t part) {
  char name[64];
  std::snprintf(name, sizeof name, "%s%0*llu-%03u", prefix.data(), digits, static_cast<unsigned long long>(number),
                part);
  return name;
}

std::optional<uint64_t> NumberOfPart(std::string_view prefix, std::string_view name) {
  if (!name.starts_with(prefix)) return std::nullopt;
  uint64_t number = 0;
  const char* const end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + prefix.size(), end, number);
  if (error != std::errc() || rest == end || *rest != '-') return std::nullopt;
  return number;
}

}  // namespace

std::string_view Word(DeliveryState state) {
  return kStateWords[static_cast<size_t>(state)];
}
std::string_view Word(DeliveryEvent event) {
  return kEventWords[static_cast<size_t>(event)];
}
std::string_view Word(DeliveryProblem problem) {
  return kProblemWords[static_cast<size_t>(problem)];
}
Remedy RemedyOf(DeliveryState state, DeliveryProblem problem) {
  if (IsFinal(state)) return {};
  return (state == State::kParked ? kOfParked : kWhileItWaits)[static_cast<size_t>(problem)];
}

std::optional<DeliveryState> Next(DeliveryState state, DeliveryEvent event) {
  for (const Transition& transition : kTransitions) {
    if (transition.from == state && transition.event == event) return transition.to;
  }
  return std::nullopt;
}

std::string UsageReportName(uint64_t seal, uint32_t part) {
  return PartName(kUsagePrefix, 4, seal, part);
}

std::optional<uint64_t> SealOfUsageReport(std::string_view delivered) {
  return NumberOfPart(kUsagePrefix, delivered);
}

std::string AccountReportName(uint64_t number, uint32_t part) {
  return PartName(kAccountsPrefix, 4, number, part);
}

std::optional<uint64_t> NumberOfAccountReport(std::string_view delivered) {
  return NumberOfPart(kAccountsPrefix, delivered);
}

std::string EventName(uint64_t commit, uint32_t part) {
  return PartName(kEventPrefix, 6, commit, part);
}

std::optional<uint64_t> CommitOfEvent(std::string_view delivered) {
  return NumberOfPart(kEventPrefix, delivered);
}

std::string Encode(const Delivery& delivery) {
  ByteWriter out;
  out.Fixed8(static_cast<uint8_t>(delivery.state));
  out.Text(delivery.key);
  out.Raw({reinterpret_cast<const char*>(delivery.body_hash.data()), delivery.body_hash.size()});
  out.Text(delivery.job);
  out.Text(delivery.document);
  out.Varint(delivery.attempts);
  out.Varint(delivery.failures);
  out.Fixed8(static_cast<uint8_t>(delivery.problem));
  out.Text(delivery.last_error);
  out.Zigzag(delivery.planned_at_nanos);
  out.Zigzag(delivery.changed_at_nanos);
  out.Zigzag(delivery.not_before_nanos);
  out.Zigzag(delivery.since_nanos);
  out.Zigzag(delivery.over_nanos);
  out.Varint(delivery.polls);
  out.Fixed8(delivery.may_be_there ? 1 : 0);
  out.Varint(delivery.entities.size());
  for (const std::string& entity : delivery.entities) out.Text(entity);
  out.Text(delivery.first_period);
  if (delivery.sent_hash) {
    out.Raw({reinterpret_cast<const char*>(delivery.sent_hash->data()), delivery.sent_hash->size()});
    if (!delivery.sent_to.empty()) out.Text(delivery.sent_to);
  }
  return out.Take();
}

absl::StatusOr<Delivery> DecodeDelivery(std::string_view target, std::string_view batch, std::string_view stored) {
  ByteReader in(stored);
  Delivery delivery;
  delivery.target = target;
  delivery.batch = batch;
  delivery.state = in.OneOf(State::kReconciled);
  delivery.key = in.Text();
  const std::string_view hash = in.Raw(delivery.body_hash.size());
  if (in.ok()) std::memcpy(delivery.body_hash.data(), hash.data(), hash.size());
  delivery.job = in.Text();
  delivery.document = in.Text();
  delivery.attempts = in.Varint32();
  delivery.failures = in.Varint32();
  delivery.problem = in.OneOf(DeliveryProblem::kDifferent);
  delivery.last_error = in.Text();
  delivery.planned_at_nanos = in.Zigzag64();
  delivery.changed_at_nanos = in.Zigzag64();
  delivery.not_before_nanos = in.Zigzag64();
  if (in.done()) {  // written before there was more
    delivery.since_nanos = delivery.changed_at_nanos;
    delivery.may_be_there = delivery.state == State::kUncertain || delivery.state == State::kSending;
    return delivery;
  }
  delivery.since_nanos = in.Zigzag64();
  delivery.over_nanos = in.Zigzag64();
  delivery.polls = in.Varint32();
  delivery.may_be_there = in.Flag();
  for (uint64_t left = in.Count(); left > 0 && in.ok(); --left) delivery.entities.emplace_back(in.Text());
  delivery.first_period = in.Text();
  if (in.done()) return delivery;
  const std::string_view sent = in.Raw(delivery.sent_hash.emplace().size());
  if (in.ok()) std::memcpy(delivery.sent_hash->data(), sent.data(), sent.size());
  if (in.done()) return delivery;
  delivery.sent_to = in.Text();
  if (in.done() && !delivery.sent_to.empty()) return delivery;
  return DamagedError("the delivery of " + delivery.batch + " to " + delivery.target);
}

}  // namespace tollbook
