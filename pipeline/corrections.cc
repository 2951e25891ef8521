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
      judge_(*this),
      rebuild_(book, catalog, series, decoder) {}

absl::Status Corrections::Judge(uint64_t bytes_max, const Tell& tell, const Commit& commit) {
  bytes_max_ = bytes_max;
  tell_ = tell;
  commit_ = commit;
  absl::StatusOr<HeldQueue> queue = HeldOf(book_).Held(HeldKind::kCorrections);
  if (!queue.ok()) return queue.status();
  queue_ = *std::move(queue);
  if (queue_.places.empty()) return absl::OkStatus();
  is_scattered_ = queue_.changes.Any(HeldKind::kCorrections);
  TOLLBOOK_RETURN_IF_ERROR(FindTotals());
  TOLLBOOK_RETURN_IF_ERROR(TakeAll());
  kept_ = {};  // the others are told of in their order: a chunk after the other
  kept_bytes_ = 0;
  TOLLBOOK_RETURN_IF_ERROR(judge_.Finish());
  if (is_whole_) {
    ended_.insert(ended_.end(), held_.begin(), held_.end());
    const bool any_changed = std::ranges::any_of(ended_, &JudgedCorrection::changed);
    if (!any_changed && !is_scattered_) return absl::OkStatus();
  } else if (ended_.empty()) {
    return absl::OkStatus();
  }
  is_last_ = true;
  return CommitJudged();
}

absl::StatusOr<HeldLines> Corrections::LinesOf(size_t place) const {
  return HeldOf(book_).ReadHeld(HeldKind::kCorrections, queue_.places[place], queue_.changes);
}

// Those that this catalog can measure, and that are not refused.
absl::Status Corrections::ForEachRight(const Visit& visit) {
  Arena arena;
  StoredCorrection correction;
  for (size_t place = 0; place < queue_.places.size(); ++place) {
    const absl::StatusOr<HeldLines> lines = LinesOf(place);
    if (!lines.ok()) return lines.status();
    for (const ExceptionRecord& record : lines->records) {
      arena.Clear();
      const absl::StatusOr<Reason> reason = decoder_.Decode(record.payload, arena, &correction);
      if (!reason.ok()) return reason.status();
      if (*reason == Reason::kNone && !Refuses(correction.event)) TOLLBOOK_RETURN_IF_ERROR(visit(correction));
    }
  }
  return absl::OkStatus();
}

// The totals that must be reckoned anew for those which may be applied: what they name is accepted, or held with them.
absl::Status Corrections::FindTotals() {
  if (std::ranges::all_of(catalog_.meters, CanTakeBack)) return absl::OkStatus();
  std::vector<Uint128> held;
  bool is_due = false;
  TOLLBOOK_RETURN_IF_ERROR(ForEachRight([&](const StoredCorrection& correction) {
    held.push_back(KeyOf(correction.measured.identity));
    is_due = is_due || !correction.measured.can_take_back;
    return absl::OkStatus();
  }));
  if (!is_due) return absl::OkStatus();
  std::ranges::sort(held);
  TOLLBOOK_RETURN_IF_ERROR(ForEachRight([&](const StoredCorrection& correction) {
    if (correction.measured.can_take_back) return absl::OkStatus();
    const absl::StatusOr<Reason> reason = judge_.ReasonOf(correction.measured);
    if (!reason.ok()) return reason.status();
    const bool may_be =
        *reason == Reason::kNone ||
        (*reason == Reason::kUnknownOriginal && std::ranges::binary_search(held, KeyOf(correction.measured.original)));
    if (!may_be) return absl::OkStatus();
    for (const Measurement& change : correction.changes) {
      if (IsTakenFrom(change)) rebuild_.Want(PlaceOf(change));
    }
    return absl::OkStatus();
  }));
  return rebuild_.Read();
}

absl::Status Corrections::TakeAll() {
  uint64_t next = 0;
  for (size_t place = 0; place < queue_.places.size(); ++place) {
    absl::StatusOr<HeldLines> lines = LinesOf(place);
    if (!lines.ok()) return lines.status();
    taken_ = {place, *std::move(lines)};
    firsts_.push_back(next);
    next += taken_.lines.stored;
    for (size_t i = 0; i < taken_.lines.records.size(); ++i) {
      StoredCorrection correction;
      const absl::StatusOr<Reason> measured = Decode(taken_.lines.records[i].payload, &correction);
      if (!measured.ok()) return measured.status();
      const uint64_t number = firsts_[place] + taken_.lines.lines[i];
      TOLLBOOK_RETURN_IF_ERROR(judge_.Take(number, correction, *measured));
      if (judge_.WaitsForOriginal(number)) KeepTaken(i);
      // Also where all that came wait, for what they name.
      if (bytes_ >= bytes_max_) TOLLBOOK_RETURN_IF_ERROR(CommitJudged());
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Reason> Corrections::Decode(std::string_view payload, StoredCorrection* correction) {
  const absl::StatusOr<Reason> reason = decoder_.Decode(payload, arena_, correction);
  const size_t measurements = correction->changes.size() + correction->before.size() + correction->after.size();
  bytes_ += payload.size() + kLinePadding + sizeof(StoredCorrection) + measurements * sizeof(Measurement);
  return reason;
}

// The i-th that is held of the place.
JudgedCorrection Corrections::OneOf(const AtHand& at_hand, size_t i) const {
  const ExceptionRecord& record = at_hand.lines.records[i];
  const uint32_t line = at_hand.lines.lines[i];
  return {firsts_[at_hand.place] + line, queue_.places[at_hand.place], line, record, record.reason, false};
}

void Corrections::KeepTaken(size_t i) {
  Kept kept{OneOf(taken_, i), std::string(taken_.lines.records[i].payload)};
  kept.one.record.payload = {};
  if (kept_bytes_ + kept.bytes() > bytes_max_ / 2) return;
  kept_bytes_ += kept.bytes();
  kept_.emplace(kept.one.number, std::move(kept));
}

absl::StatusOr<JudgedCorrection> Corrections::HeldOne(uint64_t number) {
  if (due_ && due_->one.number == number) {
    JudgedCorrection one = due_->one;
    one.record.payload = due_->payload;
    return one;
  }
  const size_t place = std::ranges::upper_bound(firsts_, number) - firsts_.begin() - 1;
  if (place != taken_.place && place != read_again_.place) {
    absl::StatusOr<HeldLines> lines = LinesOf(place);
    if (!lines.ok()) return lines.status();
    read_again_ = {place, *std::move(lines)};
  }
  const AtHand& at_hand = place == taken_.place ? taken_ : read_again_;
  const std::vector<uint32_t>& lines = at_hand.lines.lines;
  const auto line = static_cast<uint32_t>(number - firsts_[place]);
  const auto found = std::ranges::lower_bound(lines, line);
  TOLLBOOK_ASSERT(found != lines.end() && *found == line);
  return OneOf(at_hand, found - lines.begin());
}

absl::StatusOr<std::optional<uint64_t>> Corrections::Find(const SeenEntry& entry) const {
  return seen_[SeenShardOf(entry)].Find(entry);
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

// It waits for what it names no longer, whatever becomes of it.
absl::StatusOr<const StoredCorrection*> Corrections::Again(uint64_t number) {
  if (auto kept = kept_.extract(number); !kept.empty()) {
    kept_bytes_ -= kept.mapped().bytes();
    due_ = std::move(kept.mapped());
  }
  const absl::StatusOr<JudgedCorrection> one = HeldOne(number);
  if (!one.ok()) return one.status();
  const absl::StatusOr<Reason> measured = Decode(one->record.payload, &waited_);
  if (!measured.ok()) return measured.status();
  TOLLBOOK_ASSERT(*measured == Reason::kNone);  // as it was before
  return &waited_;
}

// Until usage of all its dates is refused, it may come again, or be corrected itself.
absl::Status Corrections::Apply(uint64_t number, const StoredCorrection& correction) {
  Instant latest = correction.event.time;
  for (const Measurement& event : correction.before) latest = std::max(latest, event.time);
  for (const SeenEntry& entry : {correction.measured.identity, correction.measured.claim}) {
    seen_[SeenShardOf(entry)].InsertFresh(entry, book_zone_.DayOf(latest));
  }
  absl::StatusOr<JudgedCorrection> one = HeldOne(number);
  if (!one.ok()) return one.status();
  applied_.emplace(number, correction);
  one->record.reason = Reason::kNone;
  one->record.needs = 0;
  return End(*one);
}

absl::Status Corrections::Leave(uint64_t number, const CorrectionVerdict& verdict) {
  absl::StatusOr<JudgedCorrection> one = HeldOne(number);
  if (!one.ok()) return one.status();
  one->changed = verdict.reason != one->before || verdict.needs != one->record.needs;
  one->record.reason = verdict.reason;
  one->record.needs = verdict.needs;
  if (!IsHeldCorrection(verdict.reason)) return End(*one);
  if (NeedsSource(verdict.reason)) {
    const FaultySource& faulty = rebuild_.FaultOf(verdict.needs);
    needed_.try_emplace(verdict.needs,
                        std::string(WhatIsWrong(faulty)) + ", and a correction needs it: " + RemedyOf(faulty));
  }
  tell_(*one);
  return HoldOn(*one);
}

absl::Status Corrections::HoldOn(JudgedCorrection one) {
  held_bytes_ += one.record.payload.size() + sizeof one;
  if (is_whole_ && held_bytes_ <= bytes_max_) {
    one.record.payload = held_arena_.Copy(one.record.payload);
    held_.push_back(one);
    return absl::OkStatus();
  }
  // They stay where they are, but what is held for another reason says so.
  is_whole_ = false;
  std::vector<JudgedCorrection> all = std::exchange(held_, {});
  all.push_back(one);
  held_arena_ = {};
  for (JudgedCorrection& held : all) {
    if (!held.changed) continue;
    held.record.payload = {};
    bytes_ += sizeof held;
    ended_.push_back(held);
  }
  return bytes_ >= bytes_max_ ? CommitJudged() : absl::OkStatus();
}

absl::Status Corrections::End(JudgedCorrection one) {
  one.changed = true;
  one.record.payload = arena_.Copy(one.record.payload);
  bytes_ += one.record.payload.size() + sizeof one;
  tell_(one);
  ended_.push_back(one);
  return bytes_ >= bytes_max_ ? CommitJudged() : absl::OkStatus();
}

absl::Status Corrections::CommitJudged() {
  if (!ended_.empty() || is_last_) {
    JudgedCorrections judged{std::exchange(ended_, {}), is_last_ && is_whole_};
    std::ranges::sort(judged.judged, {}, &JudgedCorrection::number);
    TOLLBOOK_RETURN_IF_ERROR(commit_(judged));
    is_scattered_ = true;
  }
  applied_.clear();
  arena_.Clear();
  bytes_ = 0;
  return absl::OkStatus();
}

// By number, as they are packed the same wherever the commits are cut.
std::vector<ShardRun> Corrections::PackTotals(std::vector<bool>* used_meters) {
  std::set<TotalPlace> rebuilt;
  for (const auto& [number, correction] : applied_) {
    for (const Measurement& change : correction.changes) {
      if (IsTakenFrom(change)) rebuilt.insert(PlaceOf(change));
    }
  }
  CorrectionTotals totals(catalog_, series_, book_.identity().seed[0]);
  for (const auto& [number, correction] : applied_) {
    for (const Measurement& change : correction.changes) {
      if (!rebuilt.contains(PlaceOf(change))) totals.Add(change);
    }
    // Also where nothing is taken from it yet: a later commit may.
    for (const Measurement& event : correction.before) {
      const TotalPlace place = PlaceOf(event);
      if (rebuild_.Has(place)) rebuild_.TakeBack(place, KeyOf(correction.measured.original));
    }
    for (const Measurement& event : correction.after) {
      const TotalPlace place = PlaceOf(event);
      if (rebuild_.Has(place)) rebuild_.Bring(place, KeyOf(correction.measured.identity), event);
    }
  }
  for (const TotalPlace& place : rebuilt) {
    UsageTotal total;
    TOLLBOOK_ASSERT(rebuild_.TotalOf(place, &total));  // of fewer than 2^63 events, and no sum
    totals.Replace(place, total);
  }
  return totals.Pack(used_meters);
}

}  // namespace tollbook
