#include "pipeline/app/post_flow.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>
#include <thread>

#include "ledger/book_lock.h"
#include "pipeline/app/catalog_loaded.h"
#include "pipeline/app/session.h"
#include "pipeline/app/standstill.h"
#include "pipeline/app/table.h"

namespace tollbook {
namespace {

// How long a turn begins something more.
constexpr int64_t kHeldNanos = 10'000'000'000;
constexpr int64_t kLookAgainNanos = 1'000'000'000;

int64_t NowNanos() {
  return Now().nanos;
}

void SleepFor(int64_t nanos) {
  std::this_thread::sleep_for(std::chrono::nanoseconds(nanos));
}

uint64_t Chance() {
  static std::random_device device;
  return uint64_t{device()} << 32 | device();
}

// An emitter of each connection.
absl::Status Connect(const EmitterContext& context, EmitterOf* of) {
  for (uint32_t i = 0; i < of->target.requests.concurrency; ++i) {
    absl::StatusOr<std::unique_ptr<Emitter>> emitter = MakeEmitter(of->target, context);
    if (!emitter.ok()) return emitter.status();
    if (i > 0) {
      of->more.push_back(*std::move(emitter));
    } else {
      of->emitter = *std::move(emitter);
    }
  }
  return absl::OkStatus();
}

// What a turn did comes to that of those before; how all stands is as it left it.
void AddTurn(DeliverReport turn, std::optional<DeliverReport>* so_far) {
  for (size_t i = 0; so_far->has_value() && i < turn.targets.size(); ++i) {
    turn.targets[i].planned += (*so_far)->targets[i].planned;
    turn.targets[i].confirmed += (*so_far)->targets[i].confirmed;
    turn.targets[i].reconciled += (*so_far)->targets[i].reconciled;
  }
  *so_far = std::move(turn);
}

uint64_t In(const TargetReport& target, DeliveryState state) {
  return target.by_state[static_cast<size_t>(state)];
}

}  // namespace

PostTargets TargetsFor(const Catalog& catalog, const std::string& catalog_directory, const std::string& only,
                       bool with_secrets) {
  EmitterContext context;
  context.book_name = catalog.book.name;
  context.catalog_directory = catalog_directory;
  context.catalog = &catalog;
  context.now_nanos = NowNanos;
  context.with_secrets = with_secrets;
  PostTargets targets;
  std::string wrong;
  bool found = false;
  targets.known = TargetsOf(catalog);
  for (const Target& target : targets.known) {
    if (!only.empty() && target.name != only) continue;
    found = true;
    const RequestLimits& limits = target.requests;
    const bool has_limits = limits.per_second > 0 || limits.per_day > 0;
    context.pace = has_limits ? std::make_shared<RequestPace>(limits, NowNanos, SleepFor) : nullptr;
    EmitterOf of{target, nullptr, context.pace};
    const absl::Status made = Connect(context, &of);
    if (made.ok()) {
      targets.emitters.push_back(std::move(of));
    } else {
      wrong += "target " + of.target.name + ": " + std::string(Std(made.message())) + "\n";
    }
  }
  if (!wrong.empty()) targets.status = absl::FailedPreconditionError(Abs(wrong));
  if (!found) {
    targets.status = MakeError(absl::StatusCode::kInvalidArgument, "there is no target",
                               only.empty() ? catalog_directory : only, "name it in the catalog's targets.yaml");
  }
  return targets;
}

absl::StatusOr<PostTurn> TakeTurn(const PostPlace& place, const PostTargets& targets, std::unique_ptr<Book> book) {
  if (book == nullptr) {
    absl::StatusOr<std::unique_ptr<Book>> opened =
        OpenBook(place.books, place.command + std::string(kByTurns), place.catalog);
    if (!opened.ok()) return opened.status();
    book = *std::move(opened);
    TOLLBOOK_RETURN_IF_ERROR(CatalogLoaded(*book, *place.catalog, place.command, place.catalog_directory));
  }
  DeliverOptions options;
  options.now_nanos = NowNanos;
  options.chance = Chance;
  options.stop = &StopRequested();
  options.until_nanos = NowNanos() + kHeldNanos;
  options.reconcile = place.reconcile;
  options.known = targets.known;
  options.catalog_directory = place.catalog_directory;
  absl::StatusOr<DeliverReport> report = Deliver(*book, targets.emitters, options);
  if (!report.ok()) return report.status();
  return PostTurn{*std::move(report), LastTaken(place.books)};
}

absl::StatusOr<DeliverReport> DeliverByTurns(const PostPlace& place, const PostTargets& targets, int64_t end_nanos,
                                             std::unique_ptr<Book> book) {
  std::optional<DeliverReport> so_far;
  bool had_it = book != nullptr;
  for (;;) {
    absl::StatusOr<PostTurn> turn = TakeTurn(place, targets, std::move(book));
    book = nullptr;
    if (had_it && absl::IsAborted(turn.status())) {
      const bool has_due = !so_far || so_far->cut_short;
      if (StopRequested().load() || (!has_due && NowNanos() >= end_nanos)) break;
      SleepUntil(NowNanos() + kLookAgainNanos);  // somebody else has it
      continue;
    }
    if (!turn.ok()) return turn.status();
    had_it = true;
    AddTurn(std::move(turn->report), &so_far);
    const int64_t now = NowNanos();
    if (StopRequested().load()) break;
    if (so_far->cut_short) {
      SleepUntil(now + kFreeNanos);
    } else if (so_far->waiting == 0 || now >= end_nanos) {
      break;
    } else {
      SleepUntil(std::max(now + kFreeNanos / 10, std::min(so_far->next_due_nanos, end_nanos)));
    }
  }
  return so_far ? *std::move(so_far) : DeliverReport{};
}

void SleepUntil(int64_t until_nanos) {
  while (!StopRequested().load() && NowNanos() < until_nanos) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

Json ToJson(const DeliverReport& report) {
  Json targets = Json::array();
  for (const TargetReport& target : report.targets) {
    Json one = {{"target", target.target},
                {"planned_now", target.planned},
                {"confirmed_now", target.confirmed},
                {"reconciled_now", target.reconciled}};
    if (!target.not_planned.empty()) one["not_planned"] = target.not_planned;
    if (!target.not_reconciled.empty()) one["not_reconciled"] = target.not_reconciled;
    if (target.paused) one["paused"] = ToJson(*target.paused);
    for (size_t state = 0; state < kDeliveryStates; ++state) {
      one[std::string(Word(static_cast<DeliveryState>(state)))] = target.by_state[state];
    }
    targets.push_back(std::move(one));
  }
  return {{"targets", std::move(targets)},
          {"held_for_approval", report.held},
          {"waiting", report.waiting},
          {"next_due", report.waiting == 0 ? "" : ToString(Instant{report.next_due_nanos})}};
}

std::string ToText(const DeliverReport& report) {
  Table table({{"target"},
               {"new", true},
               {"confirmed now", true},
               {"confirmed", true},
               {"reconciled", true},
               {"waiting", true},
               {"parked", true}});
  uint64_t parked = 0;
  for (const TargetReport& target : report.targets) {
    uint64_t waiting = 0;
    for (const uint64_t deliveries : target.by_state) waiting += deliveries;
    waiting -= In(target, DeliveryState::kConfirmed) + In(target, DeliveryState::kReconciled) +
               In(target, DeliveryState::kParked) + In(target, DeliveryState::kSuperseded);
    parked += In(target, DeliveryState::kParked);
    table.Add({target.target, Thousands(target.planned), Thousands(target.confirmed),
               Thousands(In(target, DeliveryState::kConfirmed)), Thousands(In(target, DeliveryState::kReconciled)),
               Thousands(waiting) + (target.paused ? " paused" : ""), Thousands(In(target, DeliveryState::kParked))});
  }
  std::string text = table.ToText();
  for (const TargetReport& target : report.targets) {
    if (target.paused) {
      text += target.target + " is paused " + ToString(*target.paused) +
              "; `tollbook deliveries resume` goes on with it.\n";
    }
  }
  for (const TargetReport& target : report.targets) {
    if (!target.not_reconciled.empty()) {
      text += "not reconciled with " + target.target + ", " + target.not_reconciled + "\n";
    }
  }
  if (report.waiting > 0) {
    const Instant first{report.next_due_nanos / 1'000'000'000 * 1'000'000'000};
    text += Counted(report.waiting, "delivery waits", "deliveries wait") + ", the first until " + ToString(first) +
            ": `tollbook post` goes on with what is due.\n";
  }
  if (report.held > 0) {
    text += Counted(report.held, "batch is", "batches are") + " held for approval: see `tollbook journals held`.\n";
  }
  if (parked > 0) {
    text += Counted(parked, "delivery needs", "deliveries need") +
            " a person: `tollbook deliveries --state parked` says why.\n";
  }
  return text;
}

absl::Status NotPlanned(const DeliverReport& report) {
  std::string text;
  for (const TargetReport& target : report.targets) {
    if (!target.not_planned.empty()) text += "not told to target " + target.target + ": " + target.not_planned + "\n";
  }
  return text.empty() ? absl::OkStatus() : absl::FailedPreconditionError(Abs(text));
}

bool AllDelivered(const DeliverReport& report) {
  return std::all_of(report.targets.begin(), report.targets.end(), [](const TargetReport& target) {
    uint64_t open = target.not_planned.empty() ? 0 : 1;
    for (size_t state = 0; state < kDeliveryStates; ++state) {
      if (!IsFinal(static_cast<DeliveryState>(state))) open += target.by_state[state];
    }
    return open == 0;
  });
}

}  // namespace tollbook
