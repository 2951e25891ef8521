#include "pipeline/absorb_again.h"

#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "ledger/cut_off.h"
#include "ledger/meter_records.h"
#include "ledger/totals_run.h"
#include "pipeline/decode.h"
#include "pipeline/read_again.h"
#include "pipeline/shard_totals.h"
#include "pipeline/stored_line.h"
#include "pipeline/worker_arena.h"

namespace tollbook {
namespace {

absl::Status NotTheSources(std::string_view what, const std::string& path, std::string_view what_to_do) {
  return MakeError(absl::StatusCode::kFailedPrecondition, what, path, what_to_do);
}

// In the order of the book's sources; what it has not met comes last.
void SortAsAbsorbed(const std::vector<SourceRecord>& sources, InputList* inputs) {
  std::map<std::string_view, uint32_t> met;
  for (const SourceRecord& source : sources) met.emplace(source.path, source.id);
  const auto place_of = [&](const InputFile& file) {
    const auto found = met.find(file.path);
    return found == met.end() ? UINT32_MAX : found->second;
  };
  std::ranges::stable_sort(inputs->files, {}, place_of);
}

// By content: a source may have moved, and one of the book's may have been read twice (under two catalogs).
absl::Status CheckSources(const std::vector<SourceRecord>& stored, const std::vector<SourceRecord>& again) {
  using Content = std::pair<uint64_t, std::array<uint64_t, 2>>;
  const auto content_of = [](const SourceRecord& source) { return Content{source.offset, source.digest}; };
  std::set<Content> contents, of_book;
  std::set<std::string_view> paths;
  for (const SourceRecord& source : again) {
    contents.insert(content_of(source));
    paths.insert(source.path);
  }
  for (const SourceRecord& source : stored) {
    of_book.insert(content_of(source));
    if (source.counts.lines == 0 || contents.contains(content_of(source))) continue;
    if (!paths.contains(source.path)) {
      return NotTheSources("a source of the book is not among the inputs", source.path,
                           "name all that was absorbed; `tollbook explain` names the sources of a line");
    }
    return NotTheSources("a source is not what the book has absorbed", source.path,
                         "put it back as it was; or, if it has only grown, absorb the rest before");
  }
  for (const SourceRecord& source : again) {
    if (source.counts.lines == 0 || of_book.contains(content_of(source))) continue;
    return NotTheSources("an input was never absorbed", source.path, "leave it out, or absorb it before");
  }
  return absl::OkStatus();
}

// The totals of one shard, by subject.
class ShardSide {
 public:
  ShardSide(const Catalog& catalog, uint64_t seed) : totals_(catalog, seed, std::nullopt) {}

  absl::Status Read(const Book& book, int shard) {
    absl::StatusOr<std::vector<StoredRun>> runs = book.Totals(shard);
    if (!runs.ok()) return runs.status();
    runs_ = *std::move(runs);
    for (const StoredRun& run : runs_) TOLLBOOK_RETURN_IF_ERROR(totals_.Add(run));
    totals_.Merge();
    for (size_t i = 0; i < totals_.subjects(); ++i) by_name_.emplace(totals_.name(i), i);
    return absl::OkStatus();
  }

  const std::vector<StoredRun>& runs() const { return runs_; }
  size_t subjects() const { return totals_.subjects(); }
  std::string_view name(size_t subject) const { return totals_.name(subject); }
  bool Has(std::string_view name) const { return by_name_.contains(name); }
  // Nothing of a subject that it has not. DataLoss: the bytes are damaged.
  absl::StatusOr<std::span<const SubjectTotal>> Of(std::string_view name) {
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) return std::span<const SubjectTotal>();
    const std::span<const SubjectTotal> totals = totals_.TotalsOf(found->second);
    const absl::Status status = totals_.StatusOf(found->second);
    if (!status.ok()) return status;
    return totals;
  }

 private:
  std::vector<StoredRun> runs_;
  ShardTotals totals_;
  std::unordered_map<std::string_view, size_t> by_name_;
};

// In the order of ShardTotals::TotalsOf; equal: they should have the same value and events.
std::strong_ordering ComparePlaces(const SubjectTotal& a, const SubjectTotal& b) {
  if (a.meter != b.meter) return a.meter <=> b.meter;  // of one catalog's list
  const auto values = std::lexicographical_compare_three_way(a.dimension_values.begin(), a.dimension_values.end(),
                                                             b.dimension_values.begin(), b.dimension_values.end());
  if (values != 0) return values;
  if (a.bucket != b.bucket) return a.bucket <=> b.bucket;
  return IsOfElements(FormOf(*a.meter)) ? CompareElements(a.total, b.total) : std::strong_ordering::equal;
}

std::string MeterText(const SubjectTotal& total) {
  std::string text = total.meter->name;
  for (size_t i = 0; i < total.dimension_values.size(); ++i) {
    text.append(" ").append(total.meter->dimensions[i]).append("=").append(total.dimension_values[i]);
  }
  return text;
}

std::string BucketText(const SubjectTotal& total) {
  const Granularity granularity = total.meter->granularity;
  return granularity == Granularity::kDay ? ToString(Day{total.bucket.number})
                                          : ToString(StartOf(granularity, total.bucket));
}

// A unique count's value is a hash, which tells nobody anything.
std::string ValueText(const SubjectTotal* total) {
  if (total == nullptr) return "nothing";
  const std::string events = std::to_string(total->total.events) + (total->total.events == 1 ? " event" : " events");
  if (total->meter->aggregation == Aggregation::kUniqueCount) return events;
  return ToString(total->total.value) + " in " + events;
}

struct ShardComparison {
  absl::Status status;
  uint64_t totals = 0;
  uint64_t excluded = 0;  // subjects
  std::vector<Unlike> unlike;
};

void CompareSubject(std::string_view subject, std::span<const SubjectTotal> again, std::span<const SubjectTotal> stored,
                    const std::set<const Meter*>& but_of, ShardComparison* comparison) {
  while (!again.empty() || !stored.empty()) {
    const std::strong_ordering order = again.empty()    ? std::strong_ordering::greater
                                       : stored.empty() ? std::strong_ordering::less
                                                        : ComparePlaces(again.front(), stored.front());
    const SubjectTotal* const anew = order <= 0 ? &again.front() : nullptr;
    const SubjectTotal* const kept = order >= 0 ? &stored.front() : nullptr;
    const SubjectTotal& which = anew != nullptr ? *anew : *kept;
    const bool is_compared = !but_of.contains(which.meter);
    comparison->totals += is_compared;
    if (is_compared && (anew == nullptr || kept == nullptr || anew->total != kept->total)) {
      comparison->unlike.push_back(
          {std::string(subject), MeterText(which), BucketText(which), ValueText(anew), ValueText(kept)});
    }
    if (anew != nullptr) again = again.subspan(1);
    if (kept != nullptr) stored = stored.subspan(1);
  }
}

// What is left out of a comparison, for nobody can tell by what is there what it should be.
struct Excluded {
  std::set<uint64_t> commits;                // and with each, the subjects that it has totals of
  std::unordered_set<std::string> subjects;  // by name
  std::set<const Meter*> meters;             // of the catalog
  bool is_subject(std::string_view name) const { return subjects.contains(std::string(name)); }
};

// The subjects that these commits have totals of.
absl::Status AddSubjectsOf(const StoredRun& run, const std::set<uint64_t>& commits,
                           std::unordered_set<std::string>* subjects) {
  if (!commits.contains(run.sequence)) return absl::OkStatus();
  TotalsRunReader reader(run.bytes);
  std::string_view subject;
  SubjectCells cells;
  while (reader.NextSubject(&subject, &cells)) subjects->emplace(subject);
  return reader.ok() ? absl::OkStatus() : DamagedError("usage totals of commit " + std::to_string(run.sequence));
}

ShardComparison CompareShard(const Book& again, const Book& stored, const Catalog& catalog, const Excluded& excluded,
                             int shard) {
  ShardComparison comparison;
  const uint64_t seed = stored.identity().seed[0];
  ShardSide anew(catalog, seed), kept(catalog, seed);
  if (comparison.status = anew.Read(again, shard); !comparison.status.ok()) return comparison;
  if (comparison.status = kept.Read(stored, shard); !comparison.status.ok()) return comparison;
  std::unordered_set<std::string> of_commits;
  for (const StoredRun& run : kept.runs()) {
    if (comparison.status = AddSubjectsOf(run, excluded.commits, &of_commits); !comparison.status.ok())
      return comparison;
  }
  const auto compare = [&](std::string_view subject) {
    if (excluded.is_subject(subject) || of_commits.contains(std::string(subject))) {
      ++comparison.excluded;
      return;
    }
    const absl::StatusOr<std::span<const SubjectTotal>> of_again = anew.Of(subject), of_stored = kept.Of(subject);
    // A total that no number holds is the same mistake of the usage in both; it is not compared.
    if (absl::IsOutOfRange(of_again.status()) && absl::IsOutOfRange(of_stored.status())) return;
    for (const absl::Status& status : {of_again.status(), of_stored.status()}) {
      if (!status.ok()) comparison.status = status;
    }
    if (comparison.status.ok()) CompareSubject(subject, *of_again, *of_stored, excluded.meters, &comparison);
  };
  for (size_t i = 0; i < kept.subjects(); ++i) compare(kept.name(i));
  for (size_t i = 0; i < anew.subjects(); ++i) {
    if (!kept.Has(anew.name(i))) compare(anew.name(i));
  }
  return comparison;
}

std::string Counted(uint64_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

absl::StatusOr<LawCheck> CompareTotals(const Book& again, const Book& stored, const Catalog& catalog,
                                       const Excluded& excluded, int threads) {
  std::vector<ShardComparison> shards(kTotalShards);
  WorkerArena arena(threads);
  arena.execute([&] {
    tbb::parallel_for(0, kTotalShards,
                      [&](int shard) { shards[shard] = CompareShard(again, stored, catalog, excluded, shard); });
  });
  LawCheck check{2, "totals, absorbed again", false, ""};
  uint64_t totals = 0, left_out = 0;
  for (ShardComparison& shard : shards) {
    if (!shard.status.ok()) return shard.status;
    totals += shard.totals;
    left_out += shard.excluded;
    std::ranges::move(shard.unlike, std::back_inserter(check.unlike));
  }
  std::ranges::stable_sort(check.unlike, {},
                           [](const Unlike& unlike) { return std::tie(unlike.of, unlike.what, unlike.when); });
  check.holds = check.unlike.empty();
  check.detail = check.holds ? std::to_string(totals) + " totals, as their sources say"
                             : std::to_string(check.unlike.size()) + " of " + std::to_string(totals) +
                                   " totals are not as their sources say";
  if (left_out > 0) check.detail += "; not compared: " + Counted(left_out, "subject", "subjects");
  if (!excluded.meters.empty()) {
    check.detail += (left_out > 0 ? ", " : "; not compared: ") +
                    Counted(excluded.meters.size(), "meter that was added later", "meters that were added later");
  }
  return check;
}

LawCheck CompareAccepted(const Book& again, const Book& stored) {
  const uint64_t anew = again.counts().accepted, kept = stored.counts().accepted;
  return {1, "lines, absorbed again", anew == kept,
          std::to_string(anew) + " events are accepted" +
              (anew == kept ? ", as in the book" : "; in the book " + std::to_string(kept))};
}

// What was refused for its date is refused again: by the cut-off that the book had when it absorbed the line. By the
// source's number.
absl::StatusOr<std::map<uint32_t, SourceCutOffs>> CutOffsWhenAbsorbed(const Book& book) {
  std::map<uint32_t, SourceCutOffs> of_sources;
  const absl::StatusOr<std::vector<CutOff>> cut_offs = CutOffs(book);
  if (!cut_offs.ok()) return cut_offs.status();
  if (cut_offs->empty()) return of_sources;
  const absl::StatusOr<std::vector<CommitRecord>> commits = book.Commits();
  if (!commits.ok()) return commits.status();
  size_t next = 0;
  Day before = kNoUsage;
  for (const CommitRecord& commit : *commits) {
    for (; next < cut_offs->size() && (*cut_offs)[next].sequence < commit.sequence; ++next)
      before = (*cut_offs)[next].before;
    if (before == kNoUsage) continue;
    for (const CoveredRange& range : commit.covered) {
      SourceCutOffs& steps = of_sources[range.source];
      if (steps.empty() || steps.back().before != before) steps.push_back({range.first_offset, before});
    }
  }
  return of_sources;
}

// Of the inputs, which are in the order of the book's sources. A source that has moved is read as if there were none.
absl::StatusOr<std::map<const InputFile*, SourceCutOffs>> CutOffsOfInputs(const Book& book,
                                                                          const std::vector<SourceRecord>& stored,
                                                                          const InputList& inputs) {
  absl::StatusOr<std::map<uint32_t, SourceCutOffs>> of_sources = CutOffsWhenAbsorbed(book);
  if (!of_sources.ok()) return of_sources.status();
  std::map<std::string_view, uint32_t> met;
  for (const SourceRecord& source : stored) met.emplace(source.path, source.id);
  std::map<const InputFile*, SourceCutOffs> of_inputs;
  for (const InputFile& file : inputs.files) {
    const auto source = met.find(file.path);
    if (source == met.end()) continue;
    const auto found = of_sources->find(source->second);
    if (found != of_sources->end()) of_inputs.emplace(&file, found->second);
  }
  return of_inputs;
}

// Into the other book. The inputs are in the order of the book's sources, and are to be all of `stored`.
absl::StatusOr<std::unique_ptr<Book>> AbsorbSorted(const Book& book, const Catalog& catalog,
                                                   const std::vector<SourceRecord>& stored, const InputList& inputs,
                                                   AbsorbOptions options, const std::string& scratch) {
  const absl::StatusOr<std::map<const InputFile*, SourceCutOffs>> cut_offs = CutOffsOfInputs(book, stored, inputs);
  if (!cut_offs.ok()) return cut_offs.status();
  options.cut_offs_of = [&cut_offs](const InputFile& file) {
    const auto found = cut_offs->find(&file);
    return found == cut_offs->end() ? nullptr : &found->second;
  };
  BookOptions scratch_options;
  scratch_options.directory = scratch;
  scratch_options.create = true;
  scratch_options.identity = book.identity();
  scratch_options.holder = "verify --deep";
  absl::StatusOr<std::unique_ptr<Book>> again = Book::Open(scratch_options);
  if (!again.ok()) return again.status();
  const absl::StatusOr<AbsorbReport> absorbed = Absorb(**again, catalog, inputs, options);
  if (!absorbed.ok()) return absorbed.status();
  if (absorbed->stopped) return MakeError(absl::StatusCode::kCancelled, "stopped", scratch, "run it again");
  if (!absorbed->left_out.empty()) {
    const LeftOut& first = absorbed->left_out.front();
    return NotTheSources("an input cannot be read", first.path + ": " + first.why, "mend it, or leave it out");
  }
  const absl::StatusOr<std::vector<SourceRecord>> sources = (*again)->Sources();
  if (!sources.ok()) return sources.status();
  TOLLBOOK_RETURN_IF_ERROR(CheckSources(stored, *sources));
  return again;
}

constexpr size_t kNotThereShown = 3;

// Sources with lines: what can be read again, and what not.
struct Standing {
  InputList inputs;
  std::vector<uint32_t> ids;  // of each input
  std::vector<SourceRecord> records;
  std::set<uint32_t> missing;
  std::vector<std::pair<std::string, std::string>> not_there;  // path and why
};

Standing StandingOf(const std::vector<SourceRecord>& stored, ReadAgain* reader) {
  Standing standing;
  for (const SourceRecord& source : stored) {
    if (source.counts.lines == 0) continue;
    const FaultySource& faulty = reader->Check(source.id);
    if (faulty.fault != SourceFault::kNone) {
      standing.missing.insert(source.id);
      std::string why(WhatIsWrong(faulty));
      for (const std::string* more : {&faulty.why, &faulty.of_log}) why += more->empty() ? "" : "; " + *more;
      standing.not_there.emplace_back(source.path, std::move(why));
      continue;
    }
    standing.inputs.files.push_back(reader->FileOf(source.id));
    standing.inputs.bytes += standing.inputs.files.back().bytes;
    standing.ids.push_back(source.id);
    standing.records.push_back(source);
  }
  return standing;
}

LawCheck SayWhatStands(Standing standing, const ReadAgain& reader) {
  const size_t there = standing.ids.size(), all = there + standing.not_there.size();
  std::string detail =
      there == all ? Counted(all, "source, as it was absorbed", "sources, as they were absorbed")
                   : std::to_string(there) + " of " + Counted(all, "source is", "sources are") + " there as absorbed";
  if (const size_t logged = reader.FromLog().size(); logged > 0) {
    detail += logged == there ? " (from the usage log)" : " (" + std::to_string(logged) + " from the usage log)";
  }
  for (size_t i = 0; i < std::min(standing.not_there.size(), kNotThereShown); ++i) {
    const auto& [path, why] = standing.not_there[i];
    detail.append(i == 0 ? "; not there: " : "; ").append(path).append(": ").append(why);
  }
  if (standing.not_there.size() > kNotThereShown) {
    detail += "; and " + std::to_string(standing.not_there.size() - kNotThereShown) + " more";
  }
  LawCheck check{1, "sources, where they stand", true, std::move(detail)};
  check.not_there = std::move(standing.not_there);
  return check;
}

// The subjects of lines that are held; and, by source, the lines that are in conflict.
absl::Status AddHeld(const Book& book, Excluded* excluded, Stretches* conflicts) {
  Arena arena;
  const std::unique_ptr<Decoder> json = MakeJsonDecoder();
  return book.ForEachExceptions([&](const StoredExceptions& chunk) {
    const absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk.bytes);
    if (!records.ok()) return records.status();
    for (const ExceptionRecord& record : *records) {
      if (OutcomeOf(record.reason) == Outcome::kConflict)
        (*conflicts)[record.source].push_back({record.line, record.line + 1});
      if (!chunk.held) continue;
      arena.Clear();
      const absl::StatusOr<UsageEvent> event = DecodeHeldLine(*json, record.payload, arena);
      if (!event.ok()) return event.status();
      excluded->subjects.emplace(event->subject);
    }
    return absl::OkStatus();
  });
}

absl::Status AddMissing(const Book& book, const Standing& standing, Stretches conflicts, ReadAgain* reader,
                        Excluded* excluded) {
  const absl::StatusOr<std::vector<CommitRecord>> commits = book.Commits();
  if (!commits.ok()) return commits.status();
  for (const CommitRecord& commit : *commits) {
    const bool reads_missing = std::ranges::any_of(
        commit.covered, [&](const CoveredRange& range) { return standing.missing.contains(range.source); });
    if (reads_missing || commit.retires_held || commit.retires_corrections) excluded->commits.insert(commit.sequence);
  }
  SubjectLines all;
  all.AddAll();
  for (auto& [source, lines] : conflicts) {
    if (standing.missing.contains(source)) continue;  // it is not read
    Unite(&lines);
    TOLLBOOK_RETURN_IF_ERROR(reader->Read(
        source, lines, all, [&](const MeasuredAgain&) { excluded->subjects.emplace(reader->Whole().subject); }));
  }
  return absl::OkStatus();
}

// A meter of a type that others had before it: it counts what came since, and its sources say more.
absl::Status AddLaterMeters(const Book& book, const Catalog& catalog, Excluded* excluded) {
  const absl::StatusOr<std::vector<MeterRecord>> records = MeterRecordsOf(book);
  if (!records.ok()) return records.status();
  std::map<std::string_view, uint64_t> first;  // by event type
  for (const MeterRecord& record : *records) {
    const auto [of_type, is_new] = first.emplace(record.meter.event_type, record.sequence);
    if (!is_new) of_type->second = std::min(of_type->second, record.sequence);
  }
  for (const MeterRecord& record : *records) {
    const Meter* const meter = catalog.FindMeter(record.meter.name);
    if (meter != nullptr && record.sequence > first[record.meter.event_type]) excluded->meters.insert(meter);
  }
  // One that has counted nothing at all yet.
  for (const Meter& meter : catalog.meters) {
    const bool is_counted =
        std::ranges::any_of(*records, [&](const MeterRecord& record) { return record.meter.name == meter.name; });
    if (!is_counted && first.contains(meter.event_type)) excluded->meters.insert(&meter);
  }
  return absl::OkStatus();
}

// What is held may be accepted by now.
LawCheck CompareAcceptedOrHeld(const Book& again, const Book& stored) {
  LawCheck check = CompareAccepted(again, stored);
  const uint64_t anew = again.counts().accepted, kept = stored.counts().accepted, held = stored.counts().held;
  if (!check.holds && anew > kept && anew <= kept + held) {
    check.holds = true;
    check.detail += ", and " + Counted(held, "line is", "lines are") + " held there";
  }
  return check;
}

}  // namespace

absl::StatusOr<std::vector<LawCheck>> AbsorbAgain(const Book& book, const Catalog& catalog, InputList inputs,
                                                  const AbsorbOptions& options, const std::string& scratch) {
  const absl::StatusOr<std::vector<SourceRecord>> stored = book.Sources();
  if (!stored.ok()) return stored.status();
  SortAsAbsorbed(*stored, &inputs);
  const absl::StatusOr<std::unique_ptr<Book>> again = AbsorbSorted(book, catalog, *stored, inputs, options, scratch);
  if (!again.ok()) return again.status();
  absl::StatusOr<LawCheck> totals = CompareTotals(**again, book, catalog, {}, options.threads);
  if (!totals.ok()) return totals.status();
  return std::vector<LawCheck>{CompareAccepted(**again, book), *std::move(totals)};
}

absl::StatusOr<std::vector<LawCheck>> AbsorbSourcesAgain(const Book& book, const Catalog& catalog,
                                                         const AbsorbOptions& options, const std::string& scratch) {
  const absl::StatusOr<std::vector<SourceRecord>> stored = book.Sources();
  if (!stored.ok()) return stored.status();
  ReadAgain reader(book, catalog, options.decoder);
  TOLLBOOK_RETURN_IF_ERROR(reader.Open());
  Standing standing = StandingOf(*stored, &reader);
  const bool is_whole = standing.not_there.empty();
  std::vector<LawCheck> checks;
  if (standing.ids.empty() && is_whole) return checks;
  if (!standing.ids.empty()) {
    Excluded excluded;
    Stretches conflicts;
    TOLLBOOK_RETURN_IF_ERROR(AddHeld(book, &excluded, &conflicts));
    if (!is_whole) TOLLBOOK_RETURN_IF_ERROR(AddMissing(book, standing, std::move(conflicts), &reader, &excluded));
    TOLLBOOK_RETURN_IF_ERROR(AddLaterMeters(book, catalog, &excluded));
    AbsorbOptions reading = options;
    reading.open_content = [&](const InputFile& file) -> OpenContent {
      return reader.ContentOf(standing.ids[&file - standing.inputs.files.data()]);
    };
    const absl::StatusOr<std::unique_ptr<Book>> again =
        AbsorbSorted(book, catalog, standing.records, standing.inputs, reading, scratch);
    if (!again.ok()) return again.status();
    absl::StatusOr<LawCheck> totals = CompareTotals(**again, book, catalog, excluded, options.threads);
    if (!totals.ok()) return totals.status();
    if (is_whole) checks.push_back(CompareAcceptedOrHeld(**again, book));
    checks.push_back(*std::move(totals));
  }
  checks.insert(checks.begin(), SayWhatStands(std::move(standing), reader));
  return checks;
}

}  // namespace tollbook
