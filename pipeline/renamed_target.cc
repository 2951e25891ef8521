#include "pipeline/renamed_target.h"

#include <algorithm>
#include <vector>

#include "ledger/outbox.h"
#include "pipeline/restore_hold.h"

namespace tollbook {
namespace {

bool IsBilling(const Target& target) {
  return TakesUsage(target) && target.kind != TargetKind::kWebhook;
}

bool WasTold(const Delivery& delivery) {
  return delivery.attempts > 0 || IsPosted(delivery.state);
}

bool IsOfEntityOf(const Target& target, const Delivery& delivery) {
  return delivery.entities.empty() || std::any_of(delivery.entities.begin(), delivery.entities.end(),
                                                  [&](const std::string& entity) { return Gets(target, entity); });
}

// The other is one of targets.yaml, and elsewhere.
bool IsAnotherSystem(const Target& target, std::string_view other, std::span<const Target* const> known) {
  const auto found = std::find_if(known.begin(), known.end(), [&](const Target* one) { return one->name == other; });
  return found != known.end() && ((*found)->kind != target.kind || (*found)->http.url != target.http.url);
}

Pause HoldOf(const Delivery& told) {
  Pause hold;
  hold.by = "its new name";
  hold.why = "usage was told to target " + told.target +
             " before, and all of it would be told again: write the old name in targets.yaml where it is the same "
             "target, and resume it where it is another";
  hold.since_nanos = told.changed_at_nanos;
  return hold;
}

}  // namespace

absl::StatusOr<std::set<std::string, std::less<>>> HoldRenamed(const Book& book, std::span<const Target* const> targets,
                                                               std::span<const Target* const> known,
                                                               std::map<std::string, Pause, std::less<>>* held) {
  std::set<std::string, std::less<>> renamed;
  if (std::none_of(targets.begin(), targets.end(), [](const Target* one) { return IsBilling(*one); })) return renamed;
  const absl::StatusOr<std::vector<Delivery>> deliveries = DeliveriesOf(book);
  if (!deliveries.ok()) return deliveries.status();
  std::set<std::string_view> told;
  std::map<std::string_view, std::vector<const Delivery*>> told_of_usage;  // by target
  for (const Delivery& delivery : *deliveries) {
    if (!WasTold(delivery)) continue;
    told.insert(delivery.target);
    if (SealOfUsageReport(delivery.batch)) told_of_usage[delivery.target].push_back(&delivery);
  }
  for (const Target* const target : targets) {
    if (!IsBilling(*target) || told.contains(target->name)) continue;
    const Delivery* newest = nullptr;
    for (const auto& [name, reports] : told_of_usage) {
      if (IsAnotherSystem(*target, name, known)) continue;
      for (const Delivery* const report : reports) {
        const bool is_newer = newest == nullptr || report->changed_at_nanos > newest->changed_at_nanos;
        if (is_newer && IsOfEntityOf(*target, *report)) newest = report;
      }
    }
    if (newest == nullptr) continue;
    const auto resumed = ResumedSince(book, 0);
    if (!resumed.ok()) return resumed.status();
    if (resumed->contains(target->name)) continue;
    const Pause hold = HoldOf(*newest);
    const auto [pause, is_only_held] = held->emplace(target->name, hold);
    if (!is_only_held) pause->second.why += "; and " + ToString(hold);
    renamed.insert(target->name);
  }
  return renamed;
}

}  // namespace tollbook
