#include "pipeline/posting_periods.h"

#include "rating/error.h"

namespace tollbook {
namespace {

// Of an entity that the catalog has no more: months, open unless they were closed.
const Entity& UsualEntity() {
  static const Entity usual;
  return usual;
}

absl::Status CheckSameDays(const Entity& entity, const AccountingPeriod& then) {
  const std::optional<AccountingPeriod> now = entity.fiscal_calendar.Find(then.name);
  if (now == then) return absl::OkStatus();
  const std::string of_then = then.name + ", which was " + ToString(then.first) + " to " + ToString(then.last);
  return MakeError(absl::StatusCode::kFailedPrecondition, "the days of an accounting period cannot change",
                   entity.name + " " + of_then +
                       (now ? " and is " + ToString(now->first) + " to " + ToString(now->last) : " and is no more"),
                   "put its fiscal calendar back in entities.yaml");
}

}  // namespace

absl::StatusOr<PostingPeriods> PostingPeriods::Make(const Catalog& catalog, const std::vector<PeriodChange>& changes,
                                                    bool adjusts) {
  PostingPeriods periods(adjusts);
  for (const Entity& entity : catalog.entities) {
    periods.entities_[entity.name].entity = &entity;
    if (entity.new_periods != PeriodState::kOpen) periods.all_open_ = false;
    if (entity.late_usage == LateUsage::kAccrue) periods.has_accruals_ = true;
  }
  for (const PeriodChange& change : changes) {
    OfEntity& of = periods.entities_[change.entity];
    if (of.entity != nullptr) TOLLBOOK_RETURN_IF_ERROR(CheckSameDays(*of.entity, change.period));
    of.changed[change.period.first] = {change.period, change.after};
  }
  for (const auto& [name, of] : periods.entities_) {
    for (const auto& [first, changed] : of.changed) {
      if (changed.state != PeriodState::kOpen) periods.all_open_ = false;
    }
  }
  return periods;
}

absl::StatusOr<PostingPeriods> PostingPeriods::Make(const Book& book, const Catalog& catalog, uint64_t through_sequence,
                                                    bool adjusts) {
  const absl::StatusOr<std::vector<PeriodChange>> changes = book.PeriodChanges(through_sequence);
  if (!changes.ok()) return changes.status();
  return Make(catalog, *changes, adjusts);
}

const PostingPeriods::OfEntity& PostingPeriods::Of(std::string_view entity) const {
  static const OfEntity unknown;
  const auto of = entities_.find(entity);
  return of == entities_.end() ? unknown : of->second;
}

AccountingPeriod PostingPeriods::PeriodIn(const OfEntity& of, Day day) {
  const auto behind = of.changed.upper_bound(day);
  if (behind != of.changed.begin()) {
    const Changed& changed = std::prev(behind)->second;
    if (day <= changed.period.last) return changed.period;
  }
  return (of.entity == nullptr ? UsualEntity() : *of.entity).fiscal_calendar.PeriodOf(day);
}

PeriodState PostingPeriods::StateIn(const OfEntity& of, const AccountingPeriod& period) {
  const auto changed = of.changed.find(period.first);
  if (changed != of.changed.end()) return changed->second.state;
  return (of.entity == nullptr ? UsualEntity() : *of.entity).new_periods;
}

std::optional<AccountingPeriod> PostingPeriods::OpenPeriodBehind(const OfEntity& of, const AccountingPeriod& period) {
  const Day last_changed = of.changed.empty() ? period.last : of.changed.rbegin()->second.period.last;
  AccountingPeriod next = PeriodIn(of, {period.last.number + 1});
  while (StateIn(of, next) != PeriodState::kOpen) {
    if (last_changed < next.first) return std::nullopt;
    next = PeriodIn(of, {next.last.number + 1});
  }
  return next;
}

PostingPlace PostingPeriods::PlaceOf(std::string_view entity, Day usage_date) const {
  const OfEntity& of = Of(entity);
  PostingPlace place;
  place.period = PeriodIn(of, usage_date);
  place.state = StateIn(of, place.period);
  place.posting_date = usage_date;
  if (place.state == PeriodState::kOpen) return place;
  if (place.state == PeriodState::kSoftClosed && adjusts_) return place;
  place.waits = true;
  const LateUsage late = of.entity == nullptr ? LateUsage::kOpenPeriod : of.entity->late_usage;
  if (place.state != PeriodState::kClosed || late == LateUsage::kRefuse) return place;
  const std::optional<AccountingPeriod> open = OpenPeriodBehind(of, place.period);
  if (!open) return place;
  PostingPlace late_place{false, *open, PeriodState::kOpen, open->first, usage_date};
  if (late == LateUsage::kAccrue) {
    late_place.booked_in = OpenPeriodBehind(of, *open);
    if (!late_place.booked_in) return place;
  }
  return late_place;
}

PeriodState PostingPeriods::StateOf(std::string_view entity, const AccountingPeriod& period) const {
  return StateIn(Of(entity), period);
}

AccountingPeriod PostingPeriods::PeriodOf(std::string_view entity, Day day) const {
  return PeriodIn(Of(entity), day);
}

std::optional<AccountingPeriod> PostingPeriods::Find(std::string_view entity, std::string_view name) const {
  const OfEntity& of = Of(entity);
  for (const auto& [first, changed] : of.changed) {
    if (changed.period.name == name) return changed.period;
  }
  return (of.entity == nullptr ? UsualEntity() : *of.entity).fiscal_calendar.Find(name);
}

}  // namespace tollbook
