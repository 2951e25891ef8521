#include "pipeline/second_reading.h"

#include <oneapi/tbb/enumerable_thread_specific.h>
#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "ledger/cut_off.h"
#include "ledger/meter_records.h"
#include "pipeline/arrivals.h"
#include "pipeline/cell_table.h"
#include "pipeline/correction_totals.h"
#include "pipeline/line_ends.h"
#include "pipeline/stored_correction.h"
#include "pipeline/work_pool.h"
#include "pipeline/worker_arena.h"

namespace tollbook {
namespace {

// Of input, decoded and judged in one go.
constexpr uint64_t kRoundBytes = 16 << 20;
constexpr size_t kBlockBytes = 256 << 10;
// Series known at a time, before the totals are flushed and their numbers given out anew.
constexpr size_t kSeriesMax = 256 << 10;

// As they counted, of whatever sign: what is accepted from now on is another matter.
Catalog CatalogOf(const std::vector<MeterRecord>& records, uint64_t through_sequence) {
  Catalog catalog;
  for (const MeterRecord& record : records) {
    if (record.sequence > through_sequence) continue;
    catalog.meters.push_back(record.meter);
    catalog.meters.back().allow_negative = true;
  }
  std::ranges::sort(catalog.meters, {}, &Meter::name);
  catalog.BuildIndex();
  return catalog;
}

// Not accepted because of an event that was.
bool IsOfAnother(Reason reason) {
  return reason == Reason::kDuplicate || reason == Reason::kConflict || reason == Reason::kAlreadyCorrected ||
         reason == Reason::kOriginalDiffers;
}

// A stretch of a source that one commit read.
struct ReadRange {
  uint64_t first_line = 0, end_line = 0, end_offset = 0;
  uint32_t sequence = 0;
  uint64_t first_place = 0;  // Arrival::place of the first line
};

// Commits in which no meter is new, from one on.
struct Era {
  Era(Catalog counted, const Book& book)
      : catalog(std::move(counted)),
        series(book.identity().seed[1]),
        totals(catalog, series, book.identity().seed[0]),
        corrections(Measurer(catalog, book.identity(), series)) {}
  const Catalog catalog;
  SeriesTable series;       // of what corrections change
  CorrectionTotals totals;  // likewise
  CorrectionDecoder corrections;
};

// Where an event stands.
using LinePart = std::tuple<uint32_t, uint64_t, uint32_t>;  // source, line, event of the line

// A thread's decoders.
class Worker {
 public:
  Worker(const Catalog& catalog, const Book& book, SeriesTable& series, DecoderChoice choice)
      : blocks_(Measurer(catalog, book.identity(), series), choice) {}

  void Decode(BlockWork* work) { blocks_.Decode(For(*work->from), work); }

 private:
  Decoder& For(const FedSource& from) {
    if (from.file->format != InputFormat::kCsv) return *json_;
    if (csv_of_ != &from) {
      absl::StatusOr<std::unique_ptr<Decoder>> made = MakeCsvDecoder(*from.file->mapping, from.header, from.file->name);
      TOLLBOOK_ASSERT(made.ok());  // whoever opened the source made one
      csv_ = *std::move(made);
      csv_of_ = &from;
    }
    return *csv_;
  }

  BlockDecoder blocks_;
  std::unique_ptr<Decoder> json_ = MakeJsonDecoder();
  std::unique_ptr<Decoder> csv_;
  const FedSource* csv_of_ = nullptr;
};

// What was found in a block.
struct Findings {
  uint64_t events = 0, accepted = 0;  // as the book says
  uint64_t refused = 0;               // accepted, and cannot be
  uint64_t acceptable = 0;
  std::vector<Unlike> unlike;
  std::vector<Arrival> arrivals;
  ByShard<Arrival, kSeenShards> by_shard;
  std::vector<uint32_t> claimed;  // accepted events that a correction took back
};

class Reading {
 public:
  Reading(const Book& book, std::vector<ReadSource> sources, bool is_all, const AbsorbOptions& options,
          const std::string& scratch)
      : book_(book),
        sources_(std::move(sources)),
        is_all_(is_all),
        options_(options),
        arrivals_(scratch),
        arena_(options.threads) {}

  absl::Status Prepare(const std::string& scratch);
  absl::Status Read();
  absl::StatusOr<SecondReading> Finish();

 private:
  struct Pass;  // of an era
  struct Tally {
    uint64_t events = 0, accepted = 0;
  };

  void FindRanges();
  void FindEras(const std::vector<MeterRecord>& records);
  absl::Status AddCorrections();
  absl::Status ForEachApplied(
      const std::function<void(const ExceptionRecord&, uint32_t, Era&, const StoredCorrection&)>& visit);
  void AddApplied(const ExceptionRecord& record, Era& era, const StoredCorrection& correction);
  absl::Status ReadEra(size_t era);
  absl::Status ReadSourceIn(Pass* pass, size_t source);
  absl::Status ReadRound(Pass* pass);
  Findings Judge(const Pass& pass, BlockWork* work, uint64_t first_line) const;
  void JudgeCorrection(const Pass& pass, const LineEnd& end, std::string_view payload, const LinePart& place,
                       uint64_t at, Findings* findings) const;
  void AddClaimed(Pass* pass, const BlockWork& work, uint32_t event);
  absl::Status Flush(Pass* pass);
  absl::Status Commit(EpochCommit epoch) { return totals_->CommitEpoch(epoch); }

  size_t EraOf(uint64_t sequence) const {
    return static_cast<size_t>(std::ranges::upper_bound(era_starts_, sequence) - era_starts_.begin());
  }
  Day CutOffAt(uint64_t sequence) const;
  const ReadRange* RangeOf(uint32_t source, uint64_t line) const;
  uint64_t PlaceOf(const ReadRange& range, uint64_t line) const { return range.first_place + line - range.first_line; }
  bool IsClaimed(const SeenEntry& entry) const;
  std::string PlaceText(uint64_t place) const;
  std::string LineText(uint32_t source, uint64_t line) const { return paths_[source] + ":" + std::to_string(line); }

  const Book& book_;
  const std::vector<ReadSource> sources_;
  const bool is_all_;
  const AbsorbOptions& options_;
  Arrivals arrivals_;
  WorkerArena arena_;
  std::unique_ptr<Book> totals_;
  std::vector<std::string> paths_;  // of all sources, by id
  std::vector<CommitRecord> commits_;
  std::vector<CutOff> cut_offs_;
  LineEnds ends_;
  std::vector<std::vector<ReadRange>> ranges_;                    // of each source, by line
  std::vector<std::tuple<uint64_t, uint32_t, uint64_t>> places_;  // first of a range, its source and line
  std::vector<uint64_t> era_starts_;                              // commits; what is before them is an era too
  std::deque<Era> eras_;
  std::set<std::pair<Uint128, uint64_t>> claims_;                // events that corrections name: key, content
  std::map<LinePart, std::pair<SeenEntry, SeenEntry>> applied_;  // itself, and the event that it names
  std::vector<Tally> tallies_;                                   // of each of sources_
  SecondReading found_;
  uint64_t refused_ = 0;
};

// What of an era is in the making.
struct Reading::Pass {
  Pass(size_t number, Reading& reading)
      : era(number), series(reading.book_.identity().seed[1]), workers([this, &reading] {
          return Worker(reading.eras_[era].catalog, reading.book_, series, reading.options_.decoder);
        }) {
    for (int shard = 0; shard < kTotalShards; ++shard) cells.emplace_back(reading.eras_[era].catalog.meters, series);
  }
  const size_t era;
  SeriesTable series;
  tbb::enumerable_thread_specific<Worker> workers;
  std::vector<CellTable> cells;
  std::deque<FedSource> opened;      // stay where they are; `id` is an index into sources_
  std::vector<uint64_t> next_lines;  // of each of them
  WorkPool pool;
  Works works;  // of the round
  uint64_t round_bytes = 0, unflushed_bytes = 0;
};

absl::Status Reading::Prepare(const std::string& scratch) {
  absl::StatusOr<std::vector<CommitRecord>> commits = book_.Commits();
  if (!commits.ok()) return commits.status();
  commits_ = *std::move(commits);
  absl::StatusOr<std::vector<CutOff>> cut_offs = CutOffs(book_);
  if (!cut_offs.ok()) return cut_offs.status();
  cut_offs_ = *std::move(cut_offs);
  absl::StatusOr<LineEnds> ends = LineEnds::Of(book_, commits_);
  if (!ends.ok()) return ends.status();
  ends_ = *std::move(ends);
  const absl::StatusOr<std::vector<SourceRecord>> stored = book_.Sources();
  if (!stored.ok()) return stored.status();
  for (const SourceRecord& source : *stored) paths_.push_back(source.path);
  const absl::StatusOr<std::vector<MeterRecord>> records = MeterRecordsOf(book_);
  if (!records.ok()) return records.status();
  FindRanges();
  FindEras(*records);
  tallies_.resize(sources_.size());

  BookOptions other;
  other.directory = scratch + "/totals";
  other.create = true;
  other.identity = book_.identity();
  other.holder = "verify --deep";
  absl::StatusOr<std::unique_ptr<Book>> totals = Book::Open(other);
  if (!totals.ok()) return totals.status();
  totals_ = *std::move(totals);
  return AddCorrections();
}

void Reading::FindRanges() {
  ranges_.resize(paths_.size());
  uint64_t place = 0;
  for (const CommitRecord& commit : commits_) {
    TOLLBOOK_ASSERT(commit.sequence <= UINT32_MAX);
    for (const CoveredRange& covered : commit.covered) {
      if (covered.source >= ranges_.size()) continue;  // damage, which `verify` names
      ranges_[covered.source].push_back(
          {covered.first_line, covered.end_line, covered.end_offset, static_cast<uint32_t>(commit.sequence), place});
      places_.emplace_back(place, covered.source, covered.first_line);
      place += covered.end_line - covered.first_line;
    }
  }
  for (std::vector<ReadRange>& ranges : ranges_) std::ranges::sort(ranges, {}, &ReadRange::first_line);
}

void Reading::FindEras(const std::vector<MeterRecord>& records) {
  for (const MeterRecord& record : records) era_starts_.push_back(record.sequence);
  std::ranges::sort(era_starts_);
  era_starts_.erase(std::unique(era_starts_.begin(), era_starts_.end()), era_starts_.end());
  eras_.emplace_back(CatalogOf(records, 0), book_);
  for (const uint64_t start : era_starts_) eras_.emplace_back(CatalogOf(records, start), book_);
}

// All that are applied, under the meters that were counted when they were.
absl::Status Reading::ForEachApplied(
    const std::function<void(const ExceptionRecord&, uint32_t, Era&, const StoredCorrection&)>& visit) {
  Arena arena;
  StoredCorrection correction;
  return book_.ForEachCorrections([&](const StoredExceptions& chunk) {
    const absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk.bytes);
    if (!records.ok()) return records.status();
    Era& era = eras_[EraOf(chunk.sequence)];
    for (const ExceptionRecord& record : *records) {
      arena.Clear();
      const absl::StatusOr<Reason> reason = era.corrections.Decode(record.payload, arena, &correction);
      if (!reason.ok()) return reason.status();
      if (*reason == Reason::kNone) visit(record, static_cast<uint32_t>(chunk.sequence), era, correction);
    }
    return absl::OkStatus();
  });
}

absl::Status Reading::AddCorrections() {
  // One may name another that comes before or behind it: first, what all of them claim.
  TOLLBOOK_RETURN_IF_ERROR(
      ForEachApplied([&](const ExceptionRecord&, uint32_t, Era&, const StoredCorrection& correction) {
        claims_.emplace(KeyOf(correction.measured.original), ContentOf(correction.measured.original));
      }));
  absl::Status added;
  TOLLBOOK_RETURN_IF_ERROR(ForEachApplied(
      [&](const ExceptionRecord& record, uint32_t sequence, Era& era, const StoredCorrection& correction) {
        AddApplied(record, era, correction);
        Arrival arrival;
        arrival.sequence = sequence;
        const ReadRange* const range = RangeOf(record.source, record.line);
        arrival.place = range == nullptr ? 0 : PlaceOf(*range, record.line);
        arrival.part = static_cast<uint16_t>(record.part);
        const Zone zone = Zone::FromName(book_.identity().zone).value_or(Zone());
        arrival.date = zone.DayOf(std::max(correction.event.time, correction.event.correction->original.time));
        for (const SeenEntry& entry : {correction.measured.identity, correction.measured.claim}) {
          arrival.entry = entry;
          if (added.ok()) added = arrivals_.Add(arrival);
        }
        arrival.entry = correction.measured.original;
        arrival.role = ArrivalRole::kRestated;
        if (added.ok()) added = arrivals_.Add(arrival);
      }));
  return added;
}

// What it takes from numbers that can give it up, and brings; of others, what it counts itself.
void Reading::AddApplied(const ExceptionRecord& record, Era& era, const StoredCorrection& correction) {
  const auto can_take_back = [&](const Measurement& measured) {
    return CanTakeBack(era.catalog.meters[era.series.at(measured.series).meter]);
  };
  for (const Measurement& change : correction.changes) {
    if (can_take_back(change)) era.totals.Add(change);
  }
  const bool is_claimed = IsClaimed(correction.measured.identity);
  for (const Measurement& event : correction.after) {
    if (!is_claimed && !can_take_back(event)) era.totals.Add(event);
  }
  applied_[{record.source, record.line, record.part}] = {correction.measured.identity, correction.measured.original};
}

bool Reading::IsClaimed(const SeenEntry& entry) const {
  return !claims_.empty() && claims_.contains({KeyOf(entry), ContentOf(entry)});
}

Day Reading::CutOffAt(uint64_t sequence) const {
  Day before = kNoUsage;
  for (const CutOff& cut_off : cut_offs_) {
    if (cut_off.sequence < sequence) before = cut_off.before;
  }
  return before;
}

const ReadRange* Reading::RangeOf(uint32_t source, uint64_t line) const {
  if (source >= ranges_.size()) return nullptr;
  const auto behind = std::ranges::upper_bound(ranges_[source], line, {}, &ReadRange::first_line);
  if (behind == ranges_[source].begin() || line >= std::prev(behind)->end_line) return nullptr;
  return &*std::prev(behind);
}

std::string Reading::PlaceText(uint64_t place) const {
  const auto behind =
      std::ranges::upper_bound(places_, place, {}, [](const auto& range) { return std::get<0>(range); });
  if (behind == places_.begin()) return "";
  const auto& [first_place, source, first_line] = *std::prev(behind);
  return LineText(source, first_line + place - first_place);
}

absl::Status Reading::Read() {
  for (size_t era = 0; era < eras_.size(); ++era) TOLLBOOK_RETURN_IF_ERROR(ReadEra(era));
  return absl::OkStatus();
}

absl::Status Reading::ReadEra(size_t era) {
  Pass pass(era, *this);
  for (size_t source = 0; source < sources_.size(); ++source) TOLLBOOK_RETURN_IF_ERROR(ReadSourceIn(&pass, source));
  TOLLBOOK_RETURN_IF_ERROR(ReadRound(&pass));
  TOLLBOOK_RETURN_IF_ERROR(Flush(&pass));
  EpochCommit epoch;
  std::vector<bool> used(eras_[era].catalog.meters.size());
  epoch.totals = eras_[era].totals.Pack(&used);
  return epoch.totals.empty() ? absl::OkStatus() : Commit(std::move(epoch));
}

// As far as it has lines of the era.
absl::Status Reading::ReadSourceIn(Pass* pass, size_t source) {
  const ReadSource& from = sources_[source];
  uint64_t end_offset = 0;
  for (const ReadRange& range : ranges_[from.record.id]) {
    if (EraOf(range.sequence) == pass->era) end_offset = std::max(end_offset, range.end_offset);
  }
  for (const LineEnd& end : ends_.of(from.record.id)) {
    if (end.sequence == 0 || EraOf(end.sequence) != pass->era) continue;
    if (const ReadRange* const range = RangeOf(from.record.id, end.line); range != nullptr)
      end_offset = std::max(end_offset, range->end_offset);
  }
  if (end_offset == 0) return absl::OkStatus();

  const auto cannot_be_read = [&](const absl::Status& why) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "a source cannot be read",
                     from.file.path + ": " + std::string(Std(why.message())), "mend it, and run it again");
  };
  ReaderOptions options;
  options.block_bytes = std::min(options_.block_bytes, kBlockBytes);
  options.line_bytes_max = options_.line_bytes_max;
  options.count_rows = from.file.mapping != nullptr && NeedsRows(*from.file.mapping);
  const absl::StatusOr<std::unique_ptr<BlockReader>> reader =
      from.open ? BlockReader::Open(from.file, options, from.open) : BlockReader::Open(from.file, options);
  if (!reader.ok()) return cannot_be_read(reader.status());
  const bool is_csv = from.file.format == InputFormat::kCsv;
  const std::string header((*reader)->header());
  if (is_csv) {
    const absl::Status fits = MakeCsvDecoder(*from.file.mapping, header, from.file.name).status();
    if (!fits.ok()) return cannot_be_read(fits);
  }
  pass->opened.push_back({static_cast<uint32_t>(source), &from.file, header});
  pass->next_lines.push_back(is_csv ? 2 : 1);
  while ((*reader)->position().offset < end_offset) {
    std::unique_ptr<BlockWork> work = pass->pool.Take();
    const absl::StatusOr<bool> more = (*reader)->Next(&work->block);
    if (!more.ok()) return cannot_be_read(more.status());
    if (!*more) break;
    work->from = &pass->opened.back();
    work->block.file = static_cast<uint32_t>(pass->opened.size() - 1);
    pass->round_bytes += work->block.bytes;
    pass->works.push_back(std::move(work));
    if (pass->round_bytes >= kRoundBytes) TOLLBOOK_RETURN_IF_ERROR(ReadRound(pass));
  }
  return absl::OkStatus();
}

absl::Status Reading::ReadRound(Pass* pass) {
  if (options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed))
    return MakeError(absl::StatusCode::kCancelled, "stopped", "reading the sources again", "run it again");
  Works& works = pass->works;
  arena_.execute([&] {
    tbb::parallel_for(size_t{0}, works.size(), [&](size_t i) { pass->workers.local().Decode(works[i].get()); });
  });
  std::vector<uint64_t> first_lines;
  for (const std::unique_ptr<BlockWork>& work : works) {
    uint64_t& next = pass->next_lines[work->block.file];
    first_lines.push_back(next);
    next += work->line_ends;
  }
  std::vector<Findings> findings(works.size());
  arena_.execute([&] {
    tbb::parallel_for(size_t{0}, works.size(),
                      [&](size_t i) { findings[i] = Judge(*pass, works[i].get(), first_lines[i]); });
  });
  for (size_t i = 0; i < works.size(); ++i) {
    Tally& tally = tallies_[works[i]->from->id];
    tally.events += findings[i].events;
    tally.accepted += findings[i].accepted;
    refused_ += findings[i].refused;
    found_.acceptable += findings[i].acceptable;
    std::ranges::move(findings[i].unlike, std::back_inserter(found_.unlike));
    for (const uint32_t event : findings[i].claimed) AddClaimed(pass, *works[i], event);
  }
  std::vector<absl::Status> added(kSeenShards);
  arena_.execute([&] {
    tbb::parallel_for(0, kTotalShards, [&](int shard) {
      CellTable& cells = pass->cells[static_cast<size_t>(shard)];
      for (const std::unique_ptr<BlockWork>& work : works)
        cells.Add(work->measurements, work->measurements_of.of(shard), work->verdicts);
      cells.EndRound();
    });
    tbb::parallel_for(0, kSeenShards, [&](int shard) {
      for (const Findings& of_block : findings) {
        if (added[shard].ok()) added[shard] = arrivals_.Add(shard, of_block.by_shard.of(shard));
      }
    });
  });
  for (const absl::Status& status : added) TOLLBOOK_RETURN_IF_ERROR(status);
  pass->pool.GiveBack(std::move(works));
  works.clear();
  pass->unflushed_bytes += std::exchange(pass->round_bytes, 0);
  const bool is_due = pass->unflushed_bytes >= options_.epoch_bytes || pass->series.size() > kSeriesMax;
  return is_due ? Flush(pass) : absl::OkStatus();
}

// The totals so far, into the other book.
absl::Status Reading::Flush(Pass* pass) {
  pass->unflushed_bytes = 0;
  EpochCommit epoch;
  std::vector<std::string> runs(kTotalShards);
  arena_.execute([&] {
    tbb::parallel_for(0, kTotalShards, [&](int shard) {
      CellTable& cells = pass->cells[static_cast<size_t>(shard)];
      CellTable::SeriesRanks ranks;
      std::vector<bool> used(eras_[pass->era].catalog.meters.size());
      if (!cells.empty()) runs[static_cast<size_t>(shard)] = cells.Pack(&ranks, &used);
    });
  });
  for (int shard = 0; shard < kTotalShards; ++shard) {
    std::string& run = runs[static_cast<size_t>(shard)];
    if (!run.empty()) epoch.totals.push_back({shard, std::move(run)});
  }
  if (pass->series.size() > kSeriesMax) pass->series.Clear();
  return epoch.totals.empty() ? absl::OkStatus() : Commit(std::move(epoch));
}

// Sets the verdict of each event of the block to what is counted of it in this era: kNone, or anything else.
Findings Reading::Judge(const Pass& pass, BlockWork* work, uint64_t first_line) const {
  Findings findings;
  const uint32_t source = sources_[work->from->id].record.id;
  const std::span<const LineEnd> ends = ends_.of(source);
  const auto order = [](const LineEnd& end) { return std::tuple(end.line, end.part); };
  auto end = std::ranges::lower_bound(ends, std::tuple(first_line, 0u), {}, order);
  std::vector<const Identity*> identities(work->verdicts.size());
  for (const Identity& identity : work->identities.all()) identities[identity.event] = &identity;
  size_t next_held = 0;
  for (uint32_t event = 0; event < work->verdicts.size(); ++event) {
    Reason& verdict = work->verdicts[event];
    const uint64_t line = first_line + work->places[event].line;
    const uint32_t part = work->places[event].part;
    const ReadRange* const range = RangeOf(source, line);
    while (end != ends.end() && order(*end) < std::tuple(line, part)) ++end;
    LineEnd as = {line, range == nullptr ? 0 : range->sequence, part};
    if (end != ends.end() && order(*end) == std::tuple(line, part)) as = *end;
    const Reason anew = std::exchange(verdict, as.reason);
    const std::string* held = nullptr;
    if (OutcomeOf(anew) == Outcome::kHeld) {
      while (work->held[next_held].first != event) ++next_held;
      held = &work->held[next_held].second;
    }
    const uint64_t sequence = as.sequence != 0 || range == nullptr ? as.sequence : range->sequence;
    if (range == nullptr || EraOf(sequence) != pass.era) {
      verdict = Reason::kUnknownMeter;  // of another era, or of no commit: not counted here
      continue;
    }
    ++findings.events;
    const auto add = [&](std::string_view now) {
      findings.unlike.push_back({LineText(source, line), "event", "", std::string(now),
                                 std::string(as.reason == Reason::kNone ? "accepted" : ToString(as.reason))});
    };
    Arrival arrival;
    if (identities[event] != nullptr && anew == Reason::kNone) {
      arrival = {identities[event]->entry,
                 static_cast<uint32_t>(sequence),
                 PlaceOf(*range, line),
                 identities[event]->date,
                 static_cast<uint16_t>(part),
                 ArrivalRole::kKnown,
                 as.reason};
    }
    if (as.is_applied) {
      verdict = Reason::kUnknownMeter;
      ++findings.accepted;
      JudgeCorrection(pass, as, held == nullptr ? std::string_view() : *held, {source, line, part},
                      PlaceOf(*range, line), &findings);
    } else if (as.reason == Reason::kNone) {
      ++findings.accepted;
      if (anew != Reason::kNone) {
        verdict = anew;
        ++findings.refused;
        add(ToString(anew));
        continue;
      }
      if (arrival.date < CutOffAt(sequence)) {
        ++findings.refused;
        add(ToString(Reason::kBeforeCutOff));
      }
      arrival.role = ArrivalRole::kAccepted;
      findings.arrivals.push_back(arrival);
      if (!IsClaimed(arrival.entry)) continue;
      verdict = Reason::kAlreadyCorrected;
      findings.claimed.push_back(event);
    } else if (IsOfAnother(as.reason)) {
      if (held != nullptr) {
        JudgeCorrection(pass, as, *held, {source, line, part}, PlaceOf(*range, line), &findings);
      } else if (anew == Reason::kNone) {
        findings.arrivals.push_back(arrival);
      }
    } else if (as.reason == Reason::kBeforeCutOff) {
      if (anew == Reason::kNone && !(arrival.date < CutOffAt(sequence))) add("accepted");
    } else {
      // Whether a value below zero was usage, the meter as it is kept does not tell.
      findings.acceptable +=
          OutcomeOf(as.reason) == Outcome::kRejected && as.reason != Reason::kNegativeValue && anew == Reason::kNone;
    }
  }
  // Lines that are too long are cut out behind all others of their block.
  const uint64_t long_lines = work->block.long_lines.size();
  for (uint64_t i = 0; i < long_lines; ++i) {
    const ReadRange* const range = RangeOf(source, first_line + work->line_ends - long_lines + i);
    findings.events += range != nullptr && EraOf(range->sequence) == pass.era;
  }
  findings.by_shard.Fill(findings.arrivals, [](const Arrival& arrival) { return SeenShardOf(arrival.entry); });
  return findings;
}

// `payload`: the line's correction, in canonical JSON; empty: the line has none.
void Reading::JudgeCorrection(const Pass& pass, const LineEnd& end, std::string_view payload, const LinePart& place,
                              uint64_t at, Findings* findings) const {
  const Era& era = eras_[pass.era];
  SeriesTable series(book_.identity().seed[1]);
  CorrectionDecoder decoder(Measurer(era.catalog, book_.identity(), series));
  Arena arena;
  StoredCorrection correction;
  const absl::StatusOr<Reason> reason =
      payload.empty() ? absl::NotFoundError("") : decoder.Decode(payload, arena, &correction);
  const bool is_measured = reason.ok() && *reason == Reason::kNone;
  if (end.is_applied) {
    const auto applied = applied_.find(place);
    if (applied != applied_.end() && is_measured && correction.measured.identity == applied->second.first &&
        correction.measured.original == applied->second.second)
      return;
    ++findings->refused;
    findings->unlike.push_back({LineText(std::get<0>(place), end.line), "correction", "",
                                is_measured ? "another correction" : "no correction", "applied"});
    return;
  }
  if (!is_measured) return;
  Arrival arrival;
  arrival.sequence = static_cast<uint32_t>(end.sequence);
  arrival.place = at;
  arrival.part = static_cast<uint16_t>(end.part);
  arrival.role = ArrivalRole::kKnownThen;
  arrival.reason = end.reason;
  if (end.reason == Reason::kDuplicate || end.reason == Reason::kConflict) {
    arrival.entry = correction.measured.identity;
  } else if (end.reason == Reason::kAlreadyCorrected) {
    arrival.entry = correction.measured.claim;
  } else {
    arrival.entry = correction.measured.original;
  }
  findings->arrivals.push_back(arrival);
}

// An event that a correction took back: of numbers that can give it up, it is counted, and taken by the correction.
void Reading::AddClaimed(Pass* pass, const BlockWork& work, uint32_t event) {
  Era& era = eras_[pass->era];
  for (const Measurement& measured : work.measurements) {
    if (measured.event != event) continue;
    const Series& series = pass->series.at(measured.series);
    if (!CanTakeBack(era.catalog.meters[series.meter])) continue;
    Measurement counted = measured;
    counted.series = era.series.Intern(series.meter, series.dimension_values)->id;
    era.totals.Add(counted);
  }
}

absl::StatusOr<SecondReading> Reading::Finish() {
  for (size_t i = 0; i < sources_.size(); ++i) {
    const LineCounts& counts = sources_[i].record.counts;
    found_.accepted += tallies_[i].accepted;
    found_.accepted_in_book += counts.accepted;
    const auto compare = [&](std::string_view what, uint64_t anew, uint64_t stored) {
      if (anew == stored) return;
      found_.unlike.push_back(
          {sources_[i].record.path, std::string(what), "", std::to_string(anew), std::to_string(stored)});
    };
    compare("lines", tallies_[i].events, counts.lines);
    compare("lines accepted", tallies_[i].accepted, counts.accepted);
  }
  const absl::StatusOr<ArrivalsFound> arrived = arrivals_.Judge(book_, cut_offs_, is_all_, options_.threads);
  if (!arrived.ok()) return arrived.status();
  for (const WrongArrival& wrong : arrived->wrong) {
    found_.unlike.push_back({PlaceText(wrong.arrival.place), "event", ToString(wrong.arrival.date),
                             std::string(wrong.anew), std::string(wrong.stored)});
  }
  if (arrived->unknown > 0)
    found_.unlike.push_back({"the book", "ids that no source has", "", "0", std::to_string(arrived->unknown)});
  found_.accepted += arrived->lost;
  found_.accepted -= std::min(found_.accepted, refused_ + arrived->accepted_too_often);
  found_.totals = std::move(totals_);
  return std::move(found_);
}

}  // namespace

absl::StatusOr<SecondReading> ReadSecondTime(const Book& book, std::vector<ReadSource> sources, bool is_all,
                                             const AbsorbOptions& options, const std::string& scratch) {
  Reading reading(book, std::move(sources), is_all, options, scratch);
  TOLLBOOK_RETURN_IF_ERROR(reading.Prepare(scratch));
  TOLLBOOK_RETURN_IF_ERROR(reading.Read());
  return reading.Finish();
}

absl::StatusOr<Catalog> CountedMeters(const Book& book) {
  const absl::StatusOr<std::vector<MeterRecord>> records = MeterRecordsOf(book);
  if (!records.ok()) return records.status();
  return CatalogOf(*records, UINT64_MAX);
}

}  // namespace tollbook
