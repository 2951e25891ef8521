#include "pipeline/renamed_target.h"

#include <algorithm>
#include <set>
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

constexpr std::string_view kToldBeforeAs = "held, told before as ";  // then the names
constexpr std::string_view kBetweenNames = ", ";

// Names that the target may have had, each with its newest report.
using EarlierNames = std::map<std::string_view, const Delivery*>;

std::string Listed(const EarlierNames& names) {
  std::string all;
  for (const auto& [name, newest] : names) all.append(all.empty() ? "" : kBetweenNames).append(name);
  return all;
}

Pause HoldOf(const EarlierNames& names) {
  int64_t since_nanos = 0;
  for (const auto& [name, newest] : names) since_nanos = std::max(since_nanos, newest->changed_at_nanos);
  Pause hold;
  hold.by = "its new name";
  hold.why = std::string("usage was told to target") + (names.size() > 1 ? "s " : " ") + Listed(names) +
             " before, and all of it would be told again: write the old name in targets.yaml where it is the same "
             "target, and resume it where it is another";
  hold.since_nanos = since_nanos;
  return hold;
}

// Of a target the names of which a person, who saw that it was held for them, said that they are others.
struct SaidOthers {
  bool are_all = false;
  std::set<std::string, std::less<>> names;
  bool Has(std::string_view name) const { return are_all || names.contains(name); }
};

absl::StatusOr<std::map<std::string, SaidOthers, std::less<>>> SaidToBeOthers(const Book& book) {
  const absl::StatusOr<std::vector<DecisionCommit>> commits = Decisions(book);
  if (!commits.ok()) return commits.status();
  std::map<std::string, SaidOthers, std::less<>> said;
  std::set<std::string, std::less<>> paused;
  for (const DecisionCommit& commit : *commits) {
    for (const Decision& decision : commit.decisions) {
      if (decision.kind != DecisionKind::kTarget) continue;
      if (decision.after == kPaused) paused.insert(decision.which);
      if (decision.after != kDelivering) continue;
      const bool was_paused = paused.erase(decision.which) > 0;
      // Earlier versions named no names, and called a target paused that nobody had paused.
      if (decision.before == kPaused && !was_paused) said[decision.which].are_all = true;
      for (std::string_view hold : EndedBy(decision)) {
        if (!hold.starts_with(kToldBeforeAs)) continue;
        hold.remove_prefix(kToldBeforeAs.size());
        while (!hold.empty()) {
          const size_t end = std::min(hold.find(kBetweenNames), hold.size());
          said[decision.which].names.emplace(hold.substr(0, end));
          hold.remove_prefix(std::min(end + kBetweenNames.size(), hold.size()));
        }
      }
    }
  }
  return said;
}

}  // namespace

absl::StatusOr<std::map<std::string, std::string, std::less<>>> HoldRenamed(
    const Book& book, std::span<const Target* const> targets, std::span<const Target* const> known,
    std::map<std::string, Pause, std::less<>>* held) {
  std::map<std::string, std::string, std::less<>> renamed;
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
  if (told_of_usage.empty()) return renamed;
  const auto said = SaidToBeOthers(book);
  if (!said.ok()) return said.status();
  for (const Target* const target : targets) {
    if (!IsBilling(*target) || told.contains(target->name)) continue;
    const auto others = said->find(target->name);
    EarlierNames names;
    for (const auto& [name, reports] : told_of_usage) {
      if (IsAnotherSystem(*target, name, known) || (others != said->end() && others->second.Has(name))) continue;
      for (const Delivery* const report : reports) {
        if (!IsOfEntityOf(*target, *report)) continue;
        const Delivery*& newest = names.emplace(name, report).first->second;
        if (report->changed_at_nanos > newest->changed_at_nanos) newest = report;
      }
    }
    if (names.empty()) continue;
    const Pause hold = HoldOf(names);
    const auto [pause, is_only_held] = held->emplace(target->name, hold);
    if (!is_only_held) pause->second.why += "; and " + ToString(hold);
    renamed.emplace(target->name, std::string(kToldBeforeAs) + Listed(names));
  }
  return renamed;
}

}  // namespace tollbook
