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
      judge_(Measurer(catalog, book.identity(), series), *this),
      rebuild_(book, catalog, series, decoder) {}

absl::Status Corrections::Judge() {
  TOLLBOOK_RETURN_IF_ERROR(FindTotals());
  return judge_.Judge();
}

// The totals that must be reckoned anew for those which may be applied.
absl::Status Corrections::FindTotals() {
  for (size_t number = 0; number < judge_.size(); ++number) {
    const StoredCorrection& correction = judge_.correction(number);
    if (correction.measured.can_take_back) continue;
    const absl::StatusOr<bool> may_be = judge_.MayBeApplied(number);
    if (!may_be.ok()) return may_be.status();
    if (!*may_be) continue;
    for (const Measurement& change : correction.changes) {
      if (IsTakenFrom(change)) rebuild_.Want(PlaceOf(change));
    }
  }
  return rebuild_.Read();
}

absl::StatusOr<std::optional<uint64_t>> Corrections::Find(const SeenEntry& entry) const {
  return seen_[SeenShardOf(entry)].Find(entry);
}

// Until usage of all its dates is refused, it may come again, or be corrected itself.
void Corrections::Remember(const StoredCorrection& applied) {
  Instant latest = applied.event.time;
  for (const Measurement& event : applied.before) latest = std::max(latest, event.time);
  for (const SeenEntry& entry : {applied.measured.identity, applied.measured.claim}) {
    seen_[SeenShardOf(entry)].InsertFresh(entry, book_zone_.DayOf(latest));
  }
}

bool Corrections::Refuses(const UsageEvent& correction) const {
  if (cut_off_ == kNoUsage) return false;
  return book_zone_.DayOf(std::min(correction.time, correction.correction->original.time)) < cut_off_;
}

// A total that cannot be rebuilt holds the whole correction.
CorrectionVerdict Corrections::Hindrance(const StoredCorrection& correction) const {
  for (const Measurement& change : correction.changes) {
    if (!IsTakenFrom(change)) continue;
    const Rebuild::Hindrance& hindrance = rebuild_.Of(PlaceOf(change));
    if (hindrance.reason != Reason::kNone) return {hindrance.reason, hindrance.source};
  }
  return {};
}

bool Corrections::IsTakenFrom(const Measurement& measured) const {
  return measured.events < 0 && !CanTakeBack(catalog_.meters[series_.at(measured.series).meter]);
}

std::vector<ShardRun> Corrections::PackTotals(std::vector<bool>* used_meters) {
  std::set<TotalPlace> rebuilt;
  for (size_t number = 0; number < judge_.size(); ++number) {
    if (!IsApplied(number)) continue;
    for (const Measurement& change : judge_.correction(number).changes) {
      if (IsTakenFrom(change)) rebuilt.insert(PlaceOf(change));
    }
  }
  CorrectionTotals totals(catalog_, series_, book_.identity().seed[0]);
  for (size_t number = 0; number < judge_.size(); ++number) {
    if (!IsApplied(number)) continue;
    const StoredCorrection& correction = judge_.correction(number);
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
  for (size_t number = 0; number < judge_.size(); ++number) {
    const CorrectionVerdict& verdict = judge_.verdict(number);
    if (!NeedsSource(verdict.reason)) continue;
    const FaultySource& faulty = rebuild_.FaultOf(verdict.needs);
    needed.try_emplace(verdict.needs,
                       std::string(WhatIsWrong(faulty)) + ", and a correction needs it: " + RemedyOf(faulty));
  }
  return needed;
}

}  // namespace tollbook
