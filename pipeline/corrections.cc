#include "pipeline/corrections.h"

#include <algorithm>
#include <set>

namespace tollbook {

Corrections::Corrections(const Book& book, const Catalog& catalog, SeriesTable& series, DecoderChoice decoder,
                         std::vector<SeenShard>* seen, Day cut_off)
    : book_(book),
      catalog_(catalog),
      series_(series),
      seen_(*seen),
      book_zone_(Zone::FromName(book.identity().zone).value_or(Zone())),
      cut_off_(cut_off),
      decoder_(Measurer(catalog, book.identity(), series)),
      rebuild_(book, catalog, series, decoder) {}

absl::Status Corrections::Add(std::string_view payload) {
  const absl::StatusOr<Reason> reason = decoder_.Decode(payload, arena_, &all_.emplace_back());
  if (!reason.ok()) return reason.status();
  verdicts_.push_back({IsRefused(all_.back().event) ? Reason::kBeforeCutOff : *reason});
  return absl::OkStatus();
}

absl::Status Corrections::Judge() {
  TOLLBOOK_RETURN_IF_ERROR(FindTotals());
  for (uint32_t number = 0; number < all_.size(); ++number) {
    if (verdicts_[number].reason == Reason::kNone) TOLLBOOK_RETURN_IF_ERROR(JudgeOne(number));
  }
  // One that waits may have lost its own id to one that was applied after it was looked at.
  for (uint32_t number = 0; number < all_.size(); ++number) {
    if (!IsHeldCorrection(verdicts_[number].reason)) continue;
    const absl::StatusOr<Verdict> verdict = VerdictOf(number);
    if (!verdict.ok()) return verdict.status();
    TOLLBOOK_ASSERT(verdict->reason != Reason::kNone);
    verdicts_[number] = *verdict;
  }
  return absl::OkStatus();
}

// The totals that must be reckoned anew for those which may be applied: the event that they name is in the book, or is
// one of them.
absl::Status Corrections::FindTotals() {
  std::set<Uint128> identities;
  for (uint32_t number = 0; number < all_.size(); ++number) {
    if (verdicts_[number].reason == Reason::kNone) identities.insert(KeyOf(all_[number].measured.identity));
  }
  for (uint32_t number = 0; number < all_.size(); ++number) {
    const StoredCorrection& correction = all_[number];
    if (verdicts_[number].reason != Reason::kNone || correction.measured.can_take_back) continue;
    const absl::StatusOr<Reason> reason = ReasonOf(correction.measured);
    if (!reason.ok()) return reason.status();
    const bool may_be = *reason == Reason::kNone || (*reason == Reason::kUnknownOriginal &&
                                                     identities.contains(KeyOf(correction.measured.original)));
    if (!may_be) continue;
    for (const Measurement& change : correction.changes) {
      if (IsTakenFrom(change)) rebuild_.Want(PlaceOf(change));
    }
  }
  return rebuild_.Read();
}

// And those that waited for it, and so on.
absl::Status Corrections::JudgeOne(uint32_t number) {
  std::vector<uint32_t> due = {number};
  for (size_t i = 0; i < due.size(); ++i) {
    const MeasuredCorrection& correction = all_[due[i]].measured;
    const absl::StatusOr<Verdict> verdict = VerdictOf(due[i]);
    if (!verdict.ok()) return verdict.status();
    verdicts_[due[i]] = *verdict;
    if (verdict->reason == Reason::kUnknownOriginal) waiting_[KeyOf(correction.original)].push_back(due[i]);
    if (verdict->reason != Reason::kNone) continue;
    const Day latest = LatestDateOf(all_[due[i]]);
    Remember(correction.identity, latest);
    Remember(correction.claim, latest);
    const auto waited = waiting_.find(KeyOf(correction.identity));
    if (waited == waiting_.end()) continue;
    due.insert(due.end(), waited->second.begin(), waited->second.end());
    waiting_.erase(waited);
  }
  return absl::OkStatus();
}

bool Corrections::IsRefused(const UsageEvent& correction) const {
  if (cut_off_ == kNoUsage) return false;
  return book_zone_.DayOf(std::min(correction.time, correction.correction->original.time)) < cut_off_;
}

// Until usage of all these dates is refused, it may come again, or be corrected itself.
Day Corrections::LatestDateOf(const StoredCorrection& correction) const {
  Instant latest = correction.event.time;
  for (const Measurement& event : correction.before) latest = std::max(latest, event.time);
  return book_zone_.DayOf(latest);
}

// A total that cannot be rebuilt holds the whole correction.
absl::StatusOr<Corrections::Verdict> Corrections::VerdictOf(uint32_t number) const {
  const absl::StatusOr<Reason> reason = ReasonOf(all_[number].measured);
  if (!reason.ok()) return reason.status();
  if (*reason != Reason::kNone) return Verdict{*reason};
  for (const Measurement& change : all_[number].changes) {
    if (!IsTakenFrom(change)) continue;
    const Rebuild::Hindrance& hindrance = rebuild_.Of(PlaceOf(change));
    if (hindrance.reason != Reason::kNone) return Verdict{hindrance.reason, hindrance.source};
  }
  return Verdict{};
}

absl::StatusOr<Reason> Corrections::ReasonOf(const MeasuredCorrection& correction) const {
  const absl::StatusOr<std::optional<uint64_t>> own = Find(correction.identity);
  if (!own.ok()) return own.status();
  const absl::StatusOr<std::optional<uint64_t>> claim = Find(correction.claim);
  if (!claim.ok()) return claim.status();
  if (own->has_value()) {
    // The same content under its id is not enough: it may have come as an event that corrects nothing, or another.
    const bool same = **own == ContentOf(correction.identity) && *claim == ContentOf(correction.claim);
    return same ? Reason::kDuplicate : Reason::kConflict;
  }
  const absl::StatusOr<std::optional<uint64_t>> original = Find(correction.original);
  if (!original.ok()) return original.status();
  if (!original->has_value()) return Reason::kUnknownOriginal;
  if (**original != ContentOf(correction.original)) return Reason::kOriginalDiffers;
  return claim->has_value() ? Reason::kAlreadyCorrected : Reason::kNone;
}

absl::StatusOr<std::optional<uint64_t>> Corrections::Find(const SeenEntry& entry) const {
  return seen_[SeenShardOf(entry)].Find(entry);
}

bool Corrections::IsTakenFrom(const Measurement& measured) const {
  return measured.events < 0 && !CanTakeBack(catalog_.meters[series_.at(measured.series).meter]);
}

std::vector<ShardRun> Corrections::PackTotals(std::vector<bool>* used_meters) {
  std::set<TotalPlace> rebuilt;
  for (uint32_t number = 0; number < all_.size(); ++number) {
    if (verdicts_[number].reason != Reason::kNone) continue;
    for (const Measurement& change : all_[number].changes) {
      if (IsTakenFrom(change)) rebuilt.insert(PlaceOf(change));
    }
  }
  CorrectionTotals totals(catalog_, series_, book_.identity().seed[0]);
  for (uint32_t number = 0; number < all_.size(); ++number) {
    if (verdicts_[number].reason != Reason::kNone) continue;
    const StoredCorrection& correction = all_[number];
    for (const Measurement& change : correction.changes) {
      if (!rebuilt.contains(PlaceOf(change))) totals.Add(change);
    }
    for (const Measurement& event : correction.before) {
      const TotalPlace place = PlaceOf(event);
      if (rebuilt.contains(place)) rebuild_.TakeBack(place, KeyOf(correction.measured.original));
    }
    for (const Measurement& event : correction.after) {
      const TotalPlace place = PlaceOf(event);
      if (rebuilt.contains(place)) rebuild_.Bring(place, KeyOf(correction.measured.identity), event);
    }
  }
  for (const TotalPlace& place : rebuilt) {
    UsageTotal total;
    TOLLBOOK_ASSERT(rebuild_.TotalOf(place, &total));  // of fewer than 2^63 events, and no sum
    totals.Replace(place, total);
  }
  return totals.Pack(used_meters);
}

std::map<uint32_t, std::string> Corrections::Needed() {
  std::map<uint32_t, std::string> needed;
  for (const Verdict& verdict : verdicts_) {
    if (!NeedsSource(verdict.reason)) continue;
    const FaultySource& faulty = rebuild_.FaultOf(verdict.needs);
    needed.try_emplace(verdict.needs,
                       std::string(WhatIsWrong(faulty)) + ", and a correction needs it: " + RemedyOf(faulty));
  }
  return needed;
}

}  // namespace tollbook
