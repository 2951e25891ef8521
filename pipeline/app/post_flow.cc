#include "pipeline/app/post_flow.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

#include "pipeline/app/session.h"
#include "pipeline/app/table.h"

namespace tollbook {
namespace {

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
  for (Target& target : TargetsOf(catalog)) {
    if (!only.empty() && target.name != only) continue;
    found = true;
    const RequestLimits& limits = target.requests;
    const bool has_limits = limits.per_second > 0 || limits.per_day > 0;
    context.pace = has_limits ? std::make_shared<RequestPace>(limits, NowNanos, SleepFor) : nullptr;
    EmitterOf of{std::move(target), nullptr, context.pace};
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

absl::StatusOr<DeliverReport> DeliverNow(Book& book, const PostTargets& targets, int64_t until_nanos) {
  DeliverOptions options;
  options.now_nanos = NowNanos;
  options.chance = Chance;
  options.stop = &StopRequested();
  options.until_nanos = until_nanos;
  return Deliver(book, targets.emitters, options);
}

Json ToJson(const DeliverReport& report) {
  Json targets = Json::array();
  for (const TargetReport& target : report.targets) {
    Json one = {{"target", target.target}, {"planned_now", target.planned}, {"confirmed_now", target.confirmed}};
    if (!target.not_planned.empty()) one["not_planned"] = target.not_planned;
    if (target.paused) one["paused"] = {{"by", target.paused->by}, {"why", target.paused->why}};
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
  Table table(
      {{"target"}, {"new", true}, {"confirmed now", true}, {"confirmed", true}, {"waiting", true}, {"parked", true}});
  uint64_t parked = 0;
  for (const TargetReport& target : report.targets) {
    uint64_t waiting = 0;
    for (const uint64_t deliveries : target.by_state) waiting += deliveries;
    waiting -= In(target, DeliveryState::kConfirmed) + In(target, DeliveryState::kParked) +
               In(target, DeliveryState::kSuperseded);
    parked += In(target, DeliveryState::kParked);
    table.Add({target.target, Thousands(target.planned), Thousands(target.confirmed),
               Thousands(In(target, DeliveryState::kConfirmed)), Thousands(waiting) + (target.paused ? " paused" : ""),
               Thousands(In(target, DeliveryState::kParked))});
  }
  std::string text = table.ToText();
  for (const TargetReport& target : report.targets) {
    if (target.paused) {
      text += "Paused by " + target.paused->by + ": " + target.target + ", " + target.paused->why +
              "; `tollbook deliveries resume` goes on with it.\n";
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
