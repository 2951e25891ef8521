#include <algorithm>

#include "ledger/decision.h"
#include "ledger/outbox.h"
#include "ledger/unsettled.h"
#include "pipeline/app/catalog_loaded.h"
#include "pipeline/app/commands.h"
#include "pipeline/app/report.h"
#include "pipeline/app/session.h"
#include "pipeline/app/standstill.h"
#include "pipeline/app/table.h"
#include "pipeline/emit/deliver.h"
#include "pipeline/emit/usage_report.h"

namespace tollbook {
namespace {

using Action = DeliveriesOptions::Action;

std::string TimeText(int64_t nanos) {
  return nanos == 0 ? "" : ToString(Instant{nanos / 1'000'000'000 * 1'000'000'000});
}

std::optional<DeliveryState> StateOf(const std::string& word) {
  for (size_t state = 0; state < kDeliveryStates; ++state) {
    if (Word(static_cast<DeliveryState>(state)) == word) return static_cast<DeliveryState>(state);
  }
  return std::nullopt;
}

// For how long it has been due to the target; none: it is done.
std::optional<int64_t> AgeSeconds(const Delivery& delivery) {
  if (IsFinal(delivery.state)) return std::nullopt;
  return std::max<int64_t>(0, (Now().nanos - delivery.planned_at_nanos) / 1'000'000'000);
}

// "12 s", "5 min", "7 h", "3 d": as much as one acts by.
std::string AgeText(const Delivery& delivery) {
  const std::optional<int64_t> age = AgeSeconds(delivery);
  if (!age) return "";
  constexpr std::pair<int64_t, std::string_view> kUnits[] = {{86'400, " d"}, {3'600, " h"}, {60, " min"}};
  for (const auto& [seconds, unit] : kUnits) {
    if (*age >= 2 * seconds) return std::to_string(*age / seconds) + std::string(unit);
  }
  return std::to_string(*age) + " s";
}

// What the target's own part says may differ from the step of its problem, and is nearer to what is wrong.
bool SaysWhatToDo(std::string_view error) {
  return error.find("`tollbook deliveries ") != std::string_view::npos ||
         error.find("`resolve`") != std::string_view::npos;
}
std::string NextStepOf(const Delivery& delivery, const Remedy& remedy) {
  const bool is_said = delivery.state == DeliveryState::kParked && SaysWhatToDo(delivery.last_error);
  return is_said ? "as the error says" : std::string(remedy.next_step);
}

// For people: what to act on.
Table ShortTableOf(const std::vector<Delivery>& deliveries) {
  Table table({{"target", false, Narrow::kKeep},
               {"batch", false, Narrow::kKeep},
               {"state"},
               {"age", true},
               {"document"},
               {"problem"},
               {"who acts"},
               {"error", false, Narrow::kWrap}});
  for (const Delivery& delivery : deliveries) {
    const Remedy remedy = RemedyOf(delivery.state, delivery.problem);
    const bool is_wrong = !remedy.owner.empty();
    std::string error = is_wrong ? delivery.last_error : "";
    if (is_wrong && delivery.state == DeliveryState::kParked && !SaysWhatToDo(error)) {
      error.append(": ").append(remedy.next_step);
    }
    table.Add({delivery.target, delivery.batch, std::string(Word(delivery.state)), AgeText(delivery), delivery.document,
               is_wrong ? std::string(Word(delivery.problem)) : "", std::string(remedy.owner), std::move(error)});
  }
  return table;
}

Table TableOf(const std::vector<Delivery>& deliveries, const Standstill& standstill) {
  Table table({{"target"},      {"batch"},      {"state"},        {"key"},
               {"body_sha256"}, {"job"},        {"document"},     {"attempts", true},
               {"problem"},     {"owner"},      {"next_step"},    {"age_seconds", true},
               {"last_error"},  {"planned_at"}, {"changed_at"},   {"not_before"},
               {"opens_at"},    {"paused_by"},  {"paused_since"}, {"paused_why"}});
  for (const Delivery& delivery : deliveries) {
    const Remedy remedy = RemedyOf(delivery.state, delivery.problem);
    const std::optional<int64_t> age = AgeSeconds(delivery);
    const std::optional<Instant> opens = standstill.OpensFor(delivery);
    const Pause* const pauses = IsFinal(delivery.state) ? nullptr : standstill.PauseOf(delivery.target);
    const Pause paused = pauses == nullptr ? Pause{} : *pauses;
    table.Add({delivery.target,
               delivery.batch,
               std::string(Word(delivery.state)),
               delivery.key,
               ToHex(delivery.body_hash),
               delivery.job,
               delivery.document,
               std::to_string(delivery.attempts),
               std::string(Word(delivery.problem)),
               std::string(remedy.owner),
               NextStepOf(delivery, remedy),
               age ? std::to_string(*age) : "",
               delivery.last_error,
               TimeText(delivery.planned_at_nanos),
               TimeText(delivery.changed_at_nanos),
               TimeText(delivery.not_before_nanos),
               opens ? TimeText(opens->nanos) : "",
               paused.by,
               TimeText(paused.since_nanos),
               paused.why});
  }
  return table;
}

// "erp is paused by …", a line each.
std::string StandstillText(const std::vector<TargetState>& states, const std::string& only) {
  std::string text;
  bool is_paused = false;
  for (const TargetState& state : states) {
    const std::string why = ToText(state);
    if (why.empty() || (!only.empty() && state.target != only)) continue;
    text += "target " + state.target + " is " + why + "\n";
    is_paused = is_paused || state.paused;
  }
  return is_paused ? text + "`tollbook deliveries resume` goes on with a target that is paused.\n" : text;
}

// What nobody knows is mistyped, and would be paused, or looked for, in vain.
absl::Status CheckTarget(const DeliveriesOptions& options, const Outbox& outbox, const Standstill& standstill) {
  if (standstill.Knows(options.target)) return absl::OkStatus();
  const absl::StatusOr<std::vector<Delivery>> deliveries = outbox.DeliveriesTo(options.target);
  if (!deliveries.ok()) return deliveries.status();
  if (!deliveries->empty()) return absl::OkStatus();
  const std::string known = "name one that `tollbook deliveries` lists or ";
  return MakeError(absl::StatusCode::kNotFound, "there is no such target", options.target,
                   options.catalog.empty()
                       ? known + "the newest seal's targets.yaml has; one that only a catalog has: with --catalog DIR"
                       : known + "that stands in " + options.catalog + "/" + std::string(kTargetsFile));
}

absl::StatusOr<int> List(const DeliveriesOptions& options, const Outbox& outbox, const Standstill& standstill) {
  const std::optional<DeliveryState> state = StateOf(options.state);
  if (!options.state.empty() && !state) {
    return MakeError(
        absl::StatusCode::kInvalidArgument, "no state of a delivery", "--state " + options.state,
        "use one of pending, sending, accepted, confirmed, uncertain, retry-wait, parked, superseded, reconciled");
  }
  if (!options.target.empty()) TOLLBOOK_RETURN_IF_ERROR(CheckTarget(options, outbox, standstill));
  absl::StatusOr<std::vector<Delivery>> deliveries = outbox.Deliveries();
  if (!deliveries.ok()) return deliveries.status();
  const bool has_some = !deliveries->empty();
  std::erase_if(*deliveries, [&](const Delivery& delivery) {
    return (state && delivery.state != *state) || (!options.target.empty() && delivery.target != options.target);
  });
  if (!options.format.empty()) return PrintTable(TableOf(*deliveries, standstill), options.format);
  const std::string none =
      has_some ? "No such deliveries.\n" : "No deliveries: `tollbook post` makes them from the journal.\n";
  const std::string waits = StandstillText(standstill.StatesOf(*deliveries), options.target);
  return Print((deliveries->empty() ? none : ShortTableOf(*deliveries).ToText()) + waits);
}

absl::StatusOr<int> ShowOne(const DeliveriesOptions& options, const Outbox& outbox, const Standstill& standstill,
                            const Delivery& delivery) {
  if (options.body) {
    const absl::StatusOr<std::string> body = outbox.BodyOf(delivery);
    return body.ok() ? absl::StatusOr<int>(Print(*body)) : body.status();
  }
  if (!options.format.empty()) return PrintTable(TableOf({delivery}, standstill), options.format);
  Table table({{"delivery"}, {delivery.batch + " to " + delivery.target, false, Narrow::kWrap}});
  table.Add({"state", std::string(Word(delivery.state))});
  table.Add({"key", delivery.key});
  table.Add({"sha256 of the stored body", ToHex(delivery.body_hash)});
  if (delivery.sent_hash) table.Add({"sha256 of what was sent last", ToHex(*delivery.sent_hash)});
  if (!delivery.sent_to.empty()) table.Add({"sent to", delivery.sent_to});
  table.Add({"attempts", std::to_string(delivery.attempts)});
  table.Add({"there as", delivery.document.empty() ? delivery.job : delivery.document});
  table.Add({"problem", std::string(Word(delivery.problem))});
  const Remedy remedy = RemedyOf(delivery.state, delivery.problem);
  table.Add({"who acts", std::string(remedy.owner)});
  table.Add({"next step", NextStepOf(delivery, remedy)});
  table.Add({"age", AgeText(delivery)});
  table.Add({"last error", delivery.last_error});
  table.Add({"planned", TimeText(delivery.planned_at_nanos)});
  table.Add({"changed", TimeText(delivery.changed_at_nanos)});
  table.Add({"not before", TimeText(delivery.not_before_nanos)});
  if (IsFinal(delivery.state)) return Print(table.ToText());
  if (const Pause* const paused = standstill.PauseOf(delivery.target)) {
    table.Add({"paused", ToString(*paused)});
  }
  if (const std::optional<Instant> opens = standstill.OpensFor(delivery)) {
    table.Add({"outside its windows", "until " + TimeText(opens->nanos)});
  }
  return Print(table.ToText());
}

DeliveryEvent EventOf(Action action, const Delivery& delivery) {
  if (action == Action::kPark) return DeliveryEvent::kPark;
  if (action == Action::kSayPosted) return DeliveryEvent::kSayPosted;
  if (action == Action::kSayNotPosted) return DeliveryEvent::kSayNotPosted;
  if (action == Action::kSaySuperseded) return DeliveryEvent::kSaySuperseded;
  // What was never sent is surely not there: nothing to wait for.
  const bool never_sent = delivery.state == DeliveryState::kParked && delivery.attempts == 0 &&
                          delivery.problem != DeliveryProblem::kDifferent;
  return never_sent ? DeliveryEvent::kSayNotPosted : DeliveryEvent::kRetry;
}

absl::Status NobodyVouches(std::string_view command) {
  return MakeError(absl::StatusCode::kInvalidArgument, "nobody vouches for it", "deliveries " + std::string(command),
                   "say who, and why: --by NAME --why TEXT");
}

// Whether the decisions have it confirmed by a person, whose word the delivery stands by now.
absl::StatusOr<bool> IsSaidByPerson(const Book& book, const Delivery& delivery) {
  const absl::StatusOr<std::vector<DecisionCommit>> commits = Decisions(book);
  if (!commits.ok()) return commits.status();
  const absl::StatusOr<std::vector<CommitRecord>> records = book.Commits();
  if (!records.ok()) return records.status();
  const std::string_view confirmed = Word(DeliveryState::kConfirmed);
  bool is_said = false, is_taken_back = false;
  for (const DecisionCommit& commit : *commits) {
    const auto record = std::find_if(records->begin(), records->end(),
                                     [&](const CommitRecord& one) { return one.sequence == commit.sequence; });
    for (const Decision& decision : commit.decisions) {
      if (decision.kind != DecisionKind::kDelivery || decision.which != NameOf(delivery)) continue;
      if (decision.by.empty()) {
        // After a crash between the decision to take it back and the step, the chain was told again what the delivery
        // still is.
        is_said = is_taken_back && decision.after == confirmed;
        continue;
      }
      // The step that follows the decision was not made: the delivery came into its state before.
      is_taken_back = is_said && decision.before == confirmed && decision.after != confirmed &&
                      record != records->end() && delivery.since_nanos < record->committed_at_nanos;
      is_said = is_taken_back || decision.after == confirmed;
    }
  }
  return is_said;
}

// Only a person's word is a person's to take back. Of the target's own it is the target that is asked.
absl::Status CheckSaidByPerson(const Book& book, const Delivery& delivery) {
  const absl::StatusOr<bool> is_said = IsSaidByPerson(book, delivery);
  if (!is_said.ok()) return is_said.status();
  if (*is_said && delivery.state == DeliveryState::kConfirmed) return absl::OkStatus();
  // Reports and events are not asked about afterwards.
  return MakeError(absl::StatusCode::kFailedPrecondition, "the target itself has confirmed it",
                   delivery.batch + " to " + delivery.target + ", as " + delivery.document,
                   IsReport(delivery.batch)
                       ? "nothing is sent again that it has confirmed: compare what it has, and correct that there"
                       : "`tollbook post --reconcile` asks whether it is still there, and parks what is not");
}

absl::StatusOr<int> PauseOrResume(const DeliveriesOptions& options, const Standstill& standstill, Book& book) {
  const bool pauses = options.action == Action::kPause;
  if (options.by.empty() || options.why.empty()) return NobodyVouches(pauses ? "pause" : "resume");
  TOLLBOOK_RETURN_IF_ERROR(CheckTarget(options, OutboxOf(book), standstill));
  const Pause* const paused = standstill.PauseOf(options.target);
  if ((paused != nullptr) == pauses) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     pauses ? "it is paused already, " + ToString(*paused) : "it is not paused", options.target,
                     pauses || !options.catalog.empty() || standstill.Knows(options.target)
                         ? "`tollbook audit` says who decided what"
                         : "the newest seal's targets.yaml does not have it: name the one that has with --catalog DIR");
  }
  const std::string before = pauses ? std::string(kDelivering) : standstill.HoldsOf(options.target);
  const std::string after(pauses ? kPaused : kDelivering);
  const Decision decision{DecisionKind::kTarget, options.target, options.by, options.why, before, after};
  TOLLBOOK_RETURN_IF_ERROR(CommitDecisions(book, {&decision, 1}));
  return Print(options.target + " is " + (pauses ? "paused.\n" : "delivered to again.\n"));
}

absl::StatusOr<int> Run(const DeliveriesOptions& options) {
  absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "deliveries");
  if (!book.ok()) return book.status();
  Outbox& outbox = OutboxOf(**book);
  const absl::StatusOr<Standstill> standstill = Standstill::Of(**book, options.catalog, Now());
  if (!standstill.ok()) return standstill.status();
  const bool is_of_target = options.action == Action::kPause || options.action == Action::kResume;
  if (is_of_target) return PauseOrResume(options, *standstill, **book);
  if (options.action == Action::kList) return List(options, outbox, *standstill);
  absl::StatusOr<std::optional<Delivery>> found = outbox.Find(options.target, options.batch);
  if (!found.ok()) return found.status();
  if (!found->has_value()) {
    return MakeError(absl::StatusCode::kNotFound, "there is no such delivery", options.batch + " to " + options.target,
                     "see `tollbook deliveries list`");
  }
  Delivery& delivery = **found;
  if (options.action == Action::kShow) return ShowOne(options, outbox, *standstill, delivery);
  const bool is_said = options.action != Action::kRetry && options.action != Action::kPark;
  if (is_said && (options.by.empty() || options.why.empty())) {
    return NobodyVouches("resolve");
  }
  if (!is_said) {  // what somebody says is there, or not, is how such a one is mended
    const absl::StatusOr<std::vector<DecisionCommit>> decisions = Decisions(**book);
    if (!decisions.ok()) return decisions.status();
    TOLLBOOK_RETURN_IF_ERROR(CheckToldOf(ToldStatesOf(*decisions), delivery));
  }
  if (options.action == Action::kSayPosted && options.document.empty()) {
    return MakeError(absl::StatusCode::kInvalidArgument, "no document is named", "--posted",
                     "write what it is called there, such as --posted JE-1001");
  }
  DeliveryStep step;
  step.event = EventOf(options.action, delivery);
  step.document = options.document;
  // What is told of a report stays told, and where it is: only the rest is said not to be there.
  step.is_told_in_part = IsReport(delivery.batch) && IsToldInPart(delivery.job);
  if (options.action == Action::kPark) step.error = "parked by hand";
  const std::string before(Word(delivery.state));
  const bool takes_back = step.event == DeliveryEvent::kSayNotPosted && IsPosted(delivery.state);
  if (takes_back) TOLLBOOK_RETURN_IF_ERROR(CheckSaidByPerson(**book, delivery));
  const std::optional<DeliveryState> after = Next(delivery.state, step.event);
  const Decision decision{DecisionKind::kDelivery,
                          NameOf(delivery),
                          options.by.empty() ? AccountName() : options.by,  // of a retry, say, which nobody has signed
                          options.why,
                          before,
                          std::string(Word(after.value_or(delivery.state)))};
  // What the chain has as ended is damage where the outbox has it as open: it is taken back in the chain first.
  if (takes_back) TOLLBOOK_RETURN_IF_ERROR(CommitDecisions(**book, {&decision, 1}));
  TOLLBOOK_RETURN_IF_ERROR(outbox.Step(step, &delivery));
  if (!takes_back) TOLLBOOK_RETURN_IF_ERROR(CommitDecisions(**book, {&decision, 1}));
  return ShowOne(options, outbox, *standstill, delivery);
}

}  // namespace

int CmdDeliveries(const DeliveriesOptions& options) {
  const absl::StatusOr<int> code = Run(options);
  return code.ok() ? *code : Fail(code.status());
}

}  // namespace tollbook
