#include "pipeline/app/standstill.h"

#include <algorithm>

#include "pipeline/app/session.h"
#include "pipeline/charges.h"
#include "pipeline/renamed_target.h"
#include "pipeline/restore_hold.h"

namespace tollbook {
namespace {

bool HasWindows(const std::vector<Target>& targets) {
  return std::any_of(targets.begin(), targets.end(), [](const Target& target) { return !target.windows.empty(); });
}

// Those of the newest seal. Its catalog is read whole only for windows, which may ask an entity's calendar: its
// subscriptions can be millions.
absl::StatusOr<std::vector<Target>> SealedTargets(const Book& book) {
  const absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return seals.status();
  if (seals->empty()) return std::vector<Target>();
  const auto files = book.CatalogFiles(seals->back().catalog_digest);
  if (!files.ok()) return files.status();
  const auto text = files->find(std::string(kTargetsFile));
  if (text == files->end()) return std::vector<Target>();
  std::vector<Target> targets = ParseTargets(text->second, nullptr).targets;
  if (!HasWindows(targets)) return targets;
  const absl::StatusOr<Catalog> catalog = SealedCatalog(book);
  if (!catalog.ok()) return catalog.status();
  return TargetsOf(*catalog);
}

absl::StatusOr<std::vector<Target>> KnownTargets(const Book& book, const std::string& catalog_directory) {
  if (catalog_directory.empty()) return SealedTargets(book);
  const absl::StatusOr<Catalog> catalog = CatalogFor(book, catalog_directory);
  if (!catalog.ok()) return catalog.status();
  return TargetsOf(*catalog);
}

std::string ToSeconds(Instant instant) {
  return ToString(Instant{instant.nanos / 1'000'000'000 * 1'000'000'000});
}

// "for acme-de, acme-us until 2025-02-01T03:00:00Z, for …"
std::string ToText(const std::vector<ShutWindow>& shut) {
  std::map<Instant, std::string> names;
  for (const ShutWindow& window : shut) {
    std::string& those = names[window.opens];
    if (!window.entity.empty()) those += (those.empty() ? "" : ", ") + window.entity;
  }
  std::string text;
  for (const auto& [opens, those] : names) {
    if (!text.empty()) text += ", ";
    text += (those.empty() ? "" : "for " + those + " ") + "until " + ToSeconds(opens);
  }
  return text;
}

}  // namespace

absl::StatusOr<Standstill> Standstill::Of(const Book& book, const std::string& catalog_directory, Instant now) {
  Standstill standstill;
  standstill.now_ = now;
  absl::StatusOr<std::vector<Target>> targets = KnownTargets(book, catalog_directory);
  if (!targets.ok()) return targets.status();
  std::vector<const Target*> known;
  for (const Target& target : *targets) known.push_back(&target);
  absl::StatusOr<std::map<std::string, Pause, std::less<>>> pauses = HeldTargets(book, known);
  if (!pauses.ok()) return pauses.status();
  const auto paused = PausedTargets(book);
  if (!paused.ok()) return paused.status();
  const auto add_hold = [&](const std::string& target, std::string_view hold) {
    std::string& holds = standstill.holds_[target];
    holds.append(holds.empty() ? "" : kBetweenHolds).append(hold);
  };
  for (const auto& [name, pause] : *pauses) {
    const auto by_somebody = paused->find(name);
    if (by_somebody != paused->end()) add_hold(name, kPaused);
    if (by_somebody == paused->end() || by_somebody->second != pause) add_hold(name, kHeldByRestore);
  }
  const auto renamed = HoldRenamed(book, known, known, &*pauses);
  if (!renamed.ok()) return renamed.status();
  for (const auto& [name, hold] : *renamed) add_hold(name, hold);
  standstill.pauses_ = *std::move(pauses);
  if (HasWindows(*targets)) {
    absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
    if (!batches.ok()) return batches.status();
    for (JournalBatch& batch : *batches) standstill.entities_.emplace(std::move(batch.id), std::move(batch.entity));
  }
  for (Target& target : *targets) standstill.targets_.emplace(target.name, std::move(target));
  return standstill;
}

const Pause* Standstill::PauseOf(std::string_view target) const {
  const auto pause = pauses_.find(target);
  return pause == pauses_.end() ? nullptr : &pause->second;
}

std::string Standstill::HoldsOf(std::string_view target) const {
  const auto holds = holds_.find(target);
  return holds == holds_.end() ? "" : holds->second;
}

std::optional<Instant> Standstill::OpensFor(const Delivery& delivery) const {
  const auto target = targets_.find(delivery.target);
  if (target == targets_.end() || IsFinal(delivery.state)) return std::nullopt;
  const auto entity = entities_.find(delivery.batch);
  const Instant opens = OpensAt(target->second, entity == entities_.end() ? "" : entity->second, now_);
  return opens > now_ ? std::optional(opens) : std::nullopt;
}

std::vector<TargetState> Standstill::StatesOf(std::span<const Delivery> deliveries) const {
  std::map<std::string, TargetState, std::less<>> states;
  for (const auto& [name, target] : targets_) states[name];
  for (const auto& [name, pause] : pauses_) states[name].paused = pause;
  std::map<std::pair<std::string, std::string>, Instant> shut;  // target, entity
  for (const Delivery& delivery : deliveries) {
    TargetState& state = states[delivery.target];
    const bool is_parked = delivery.state == DeliveryState::kParked;
    if (is_parked) ++state.parked;
    if (is_parked || IsFinal(delivery.state)) continue;
    ++state.waiting;
    const std::optional<Instant> opens = OpensFor(delivery);
    if (!opens) continue;
    const auto entity = entities_.find(delivery.batch);
    shut.emplace(std::pair(delivery.target, entity == entities_.end() ? "" : entity->second), *opens);
  }
  for (const auto& [of, opens] : shut) states[of.first].shut.push_back({of.second, opens});
  std::vector<TargetState> all;
  for (auto& [name, state] : states) {
    state.target = name;
    all.push_back(std::move(state));
  }
  return all;
}

std::string ToText(const TargetState& state) {
  std::string text;
  if (state.paused) text = "paused " + ToString(*state.paused);
  if (!state.shut.empty()) text += (text.empty() ? "" : "; ") + ("outside its windows " + ToText(state.shut));
  return text;
}

Json ToJson(const Pause& pause) {
  return {{"by", pause.by}, {"since", ToSeconds(Instant{pause.since_nanos})}, {"why", pause.why}};
}

Json ToJson(const TargetState& state) {
  Json json = {{"target", state.target}, {"waiting", state.waiting}, {"parked", state.parked}};
  if (state.paused) json["paused"] = ToJson(*state.paused);
  Json shut = Json::array();
  for (const ShutWindow& window : state.shut) {
    shut.push_back({{"entity", window.entity}, {"opens_at", ToSeconds(window.opens)}});
  }
  json["outside_windows"] = std::move(shut);
  return json;
}

}  // namespace tollbook
