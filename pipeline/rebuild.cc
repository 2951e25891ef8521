#include "pipeline/rebuild.h"

#include <algorithm>

#include "ledger/totals_cells.h"
#include "pipeline/shard_totals.h"
#include "pipeline/stored_correction.h"

namespace tollbook {
namespace {

Reason ReasonOf(SourceFault fault) {
  switch (fault) {
    case SourceFault::kNone:
      return Reason::kNone;
    case SourceFault::kPipe:
      return Reason::kCannotTakeBack;
    case SourceFault::kGone:
    case SourceFault::kUnreadable:
      return Reason::kSourceGone;
    case SourceFault::kChanged:
    case SourceFault::kReadOtherwise:
      return Reason::kSourceChanged;
  }
  TOLLBOOK_ASSERT(!"a fault of the list");
  return Reason::kCannotTakeBack;
}

}  // namespace

TotalPlace PlaceOf(const Measurement& measured) {
  return {std::string(measured.subject_name()), measured.series, measured.bucket};
}

Rebuild::Rebuild(const Book& book, const Catalog& catalog, SeriesTable& series, DecoderChoice choice)
    : book_(book), catalog_(catalog), series_(series), sources_(book, catalog, choice) {}

absl::Status Rebuild::Read() {
  if (places_.empty()) return absl::OkStatus();
  for (const auto& [place, rebuilt] : places_) subjects_.insert(place.subject);
  TOLLBOOK_RETURN_IF_ERROR(sources_.Open());
  TOLLBOOK_RETURN_IF_ERROR(FindTotals());
  TOLLBOOK_RETURN_IF_ERROR(ReadSources());
  TOLLBOOK_RETURN_IF_ERROR(AddCorrections());
  Prove();
  return absl::OkStatus();
}

absl::Status Rebuild::FindTotals() {
  std::set<int> shards;
  for (const auto& [place, rebuilt] : places_) shards.insert(ShardOf(place));
  for (const int shard : shards) TOLLBOOK_RETURN_IF_ERROR(FindTotalsOf(shard));
  return absl::OkStatus();
}

absl::Status Rebuild::FindTotalsOf(int shard) {
  const absl::StatusOr<std::vector<StoredRun>> runs = book_.Totals(shard);
  if (!runs.ok()) return runs.status();
  ShardTotals totals(catalog_, book_.identity().seed[0], std::nullopt);
  for (const StoredRun& run : *runs) {
    const absl::Status added = totals.Add(run);
    if (absl::IsDataLoss(added)) return added;
    // A meter of the book is gone from the catalog: whoever seals will say so.
    if (!added.ok()) return HinderShard(shard), absl::OkStatus();
  }
  totals.Merge();
  for (size_t subject = 0; subject < totals.subjects(); ++subject) {
    const std::string name(totals.name(subject));
    if (!subjects_.contains(name)) continue;
    const absl::Status held = totals.StatusOf(subject);
    if (absl::IsDataLoss(held)) return held;
    if (!held.ok()) {
      HinderSubject(name);
      continue;
    }
    for (const SubjectTotal& total : totals.TotalsOf(subject)) {
      const auto meter = static_cast<uint32_t>(total.meter - catalog_.meters.data());
      const auto place = places_.find({name, series_.Intern(meter, total.dimension_values)->id, total.bucket});
      if (place != places_.end()) place->second.in_book = total.total;
    }
  }
  for (const StoredRun& run : *runs) NoteCommits(run);
  return absl::OkStatus();
}

void Rebuild::HinderSubject(const std::string& subject) {
  for (auto& [place, rebuilt] : places_) {
    if (place.subject == subject) rebuilt.hindrance.reason = Reason::kCannotTakeBack;
  }
}

void Rebuild::HinderShard(int shard) {
  for (auto& [place, rebuilt] : places_) {
    if (ShardOf(place) == shard) rebuilt.hindrance.reason = Reason::kCannotTakeBack;
  }
}

int Rebuild::ShardOf(const TotalPlace& place) const {
  return TotalShardOf(HashSubject(place.subject, book_.identity().seed[0]));
}

// The run is sound, ShardTotals saw to it.
void Rebuild::NoteCommits(const StoredRun& run) {
  TotalsRunReader reader(run.bytes);
  const std::vector<RunSeries> series = reader.run_series();
  const auto id_of = [&](uint32_t index) {
    const TotalsRunReader::SeriesEntry& entry = reader.series()[index];
    const Meter* const meter = catalog_.FindMeter(reader.meters()[entry.meter].name);
    const std::vector<std::string_view> values = DimensionValuesOf(entry.values);
    return series_.Intern(static_cast<uint32_t>(meter - catalog_.meters.data()), values)->id;
  };
  std::string_view subject;
  SubjectCells cells;
  while (reader.NextSubject(&subject, &cells)) {
    if (!subjects_.contains(subject)) continue;
    TOLLBOOK_ASSERT(ForEachCell(cells, series, [&](uint32_t index, Bucket bucket, const UsageTotal&, CellRole) {
      const auto place = places_.find({std::string(subject), id_of(index), bucket});
      if (place != places_.end()) place->second.commits.insert(run.sequence);
    }));
  }
}

// A source that cannot be read again hinders the totals that have a stretch of it, and no others.
absl::Status Rebuild::ReadSources() {
  const uint64_t now = book_.last_sequence();
  Stretches all;
  for (auto& [place, rebuilt] : places_) {
    if (rebuilt.hindrance.reason != Reason::kNone) continue;
    const Stretches stretches = sources_.StretchesOf(rebuilt.commits, now);
    for (const auto& [source, ranges] : stretches) {
      const Reason reason = ReasonOf(sources_.Check(source).fault);
      if (reason != Reason::kNone && rebuilt.hindrance.reason == Reason::kNone) {
        rebuilt.hindrance = {reason, NeedsSource(reason) ? source : 0};
      }
    }
    if (rebuilt.hindrance.reason != Reason::kNone) continue;
    for (const auto& [source, ranges] : stretches) {
      all[source].insert(all[source].end(), ranges.begin(), ranges.end());
    }
  }
  SubjectLines subjects;
  for (const std::string& subject : subjects_) subjects.Add(subject);
  for (auto& [source, ranges] : all) {
    Unite(&ranges);
    TOLLBOOK_RETURN_IF_ERROR(sources_.Read(source, ranges, subjects, [&](const MeasuredAgain& again) {
      if (!subjects_.contains(again.measured.subject_name())) return;
      const uint32_t id = series_.Intern(again.series.meter, again.series.dimension_values)->id;
      const auto place = places_.find({std::string(again.measured.subject_name()), id, again.measured.bucket});
      if (place == places_.end()) return;
      found_.insert({{again.source.id, again.line, again.part},
                     {&place->second, KeyOf(again.identity), EventOf(again.measured, again.series.meter)}});
    }));
  }
  TOLLBOOK_RETURN_IF_ERROR(sources_.ForEachNotAccepted(now, [&](uint32_t source, uint64_t line, uint32_t part) {
    found_.erase({source, line, part});
  }));
  for (const auto& [line, found] : found_) found.of->events.insert({found.identity, found.event});
  found_.clear();
  return absl::OkStatus();
}

absl::Status Rebuild::AddCorrections() {
  CorrectionDecoder decoder(Measurer(catalog_, book_.identity(), series_));
  std::set<Uint128> taken_back;
  const auto add = [&](const ExceptionRecord&, const StoredCorrection& correction) {
    taken_back.insert(KeyOf(correction.measured.original));
    for (const Measurement& measured : correction.after) {
      const TotalPlace place = PlaceOf(measured);
      if (Has(place)) Bring(place, KeyOf(correction.measured.identity), measured);
    }
  };
  TOLLBOOK_RETURN_IF_ERROR(ForEachApplied(book_, book_.last_sequence(), decoder, add));
  for (auto& [place, rebuilt] : places_) {
    std::erase_if(rebuilt.events, [&](const auto& event) { return taken_back.contains(event.first); });
  }
  return absl::OkStatus();
}

void Rebuild::Prove() {
  for (auto& [place, rebuilt] : places_) {
    if (rebuilt.hindrance.reason != Reason::kNone) continue;
    UsageTotal total;
    if (!TotalOf(place, &total) || total != rebuilt.in_book) rebuilt.hindrance.reason = Reason::kCannotTakeBack;
  }
}

UsageTotal Rebuild::EventOf(const Measurement& measured, uint32_t meter) const {
  return {measured.value, 1, HasTime(FormOf(catalog_.meters[meter])) ? measured.time : Instant()};
}

void Rebuild::Bring(const TotalPlace& place, Uint128 identity, const Measurement& measured) {
  places_.at(place).events.insert({identity, EventOf(measured, series_.at(measured.series).meter)});
}

bool Rebuild::TotalOf(const TotalPlace& place, UsageTotal* total) const {
  const Rebuilt& rebuilt = places_.at(place);
  const Aggregation aggregation = catalog_.meters[series_.at(place.series).meter].aggregation;
  *total = {};
  for (const auto& [identity, event] : rebuilt.events) {
    if (!rebuilt.gone.contains(identity) && !Merge(aggregation, event, total)) return false;
  }
  return true;
}

}  // namespace tollbook
