#include "pipeline/absorb_again.h"

#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "ledger/cut_off.h"
#include "pipeline/shard_totals.h"
#include "pipeline/usage_log.h"
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
  std::vector<Unlike> unlike;
};

void CompareSubject(std::string_view subject, std::span<const SubjectTotal> again, std::span<const SubjectTotal> stored,
                    ShardComparison* comparison) {
  while (!again.empty() || !stored.empty()) {
    const std::strong_ordering order = again.empty()    ? std::strong_ordering::greater
                                       : stored.empty() ? std::strong_ordering::less
                                                        : ComparePlaces(again.front(), stored.front());
    const SubjectTotal* const anew = order <= 0 ? &again.front() : nullptr;
    const SubjectTotal* const kept = order >= 0 ? &stored.front() : nullptr;
    ++comparison->totals;
    if (anew == nullptr || kept == nullptr || anew->total != kept->total) {
      const SubjectTotal& which = anew != nullptr ? *anew : *kept;
      comparison->unlike.push_back(
          {std::string(subject), MeterText(which), BucketText(which), ValueText(anew), ValueText(kept)});
    }
    if (anew != nullptr) again = again.subspan(1);
    if (kept != nullptr) stored = stored.subspan(1);
  }
}

ShardComparison CompareShard(const Book& again, const Book& stored, const Catalog& catalog, int shard) {
  ShardComparison comparison;
  const uint64_t seed = stored.identity().seed[0];
  ShardSide anew(catalog, seed), kept(catalog, seed);
  if (comparison.status = anew.Read(again, shard); !comparison.status.ok()) return comparison;
  if (comparison.status = kept.Read(stored, shard); !comparison.status.ok()) return comparison;
  const auto compare = [&](std::string_view subject) {
    const absl::StatusOr<std::span<const SubjectTotal>> of_again = anew.Of(subject), of_stored = kept.Of(subject);
    // A total that no number holds is the same mistake of the usage in both; it is not compared.
    if (absl::IsOutOfRange(of_again.status()) && absl::IsOutOfRange(of_stored.status())) return;
    for (const absl::Status& status : {of_again.status(), of_stored.status()}) {
      if (!status.ok()) comparison.status = status;
    }
    if (comparison.status.ok()) CompareSubject(subject, *of_again, *of_stored, &comparison);
  };
  for (size_t i = 0; i < kept.subjects(); ++i) compare(kept.name(i));
  for (size_t i = 0; i < anew.subjects(); ++i) {
    if (!kept.Has(anew.name(i))) compare(anew.name(i));
  }
  return comparison;
}

absl::StatusOr<LawCheck> CompareTotals(const Book& again, const Book& stored, const Catalog& catalog, int threads) {
  std::vector<ShardComparison> shards(kTotalShards);
  WorkerArena arena(threads);
  arena.execute([&] {
    tbb::parallel_for(0, kTotalShards, [&](int shard) { shards[shard] = CompareShard(again, stored, catalog, shard); });
  });
  LawCheck check{2, "totals, absorbed again", false, ""};
  uint64_t totals = 0;
  for (ShardComparison& shard : shards) {
    if (!shard.status.ok()) return shard.status;
    totals += shard.totals;
    std::ranges::move(shard.unlike, std::back_inserter(check.unlike));
  }
  std::ranges::stable_sort(check.unlike, {},
                           [](const Unlike& unlike) { return std::tie(unlike.of, unlike.what, unlike.when); });
  check.holds = check.unlike.empty();
  check.detail = check.holds ? std::to_string(totals) + " totals, as their sources say"
                             : std::to_string(check.unlike.size()) + " of " + std::to_string(totals) +
                                   " totals are not as their sources say";
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

// The inputs are in the order of the book's sources.
absl::StatusOr<std::vector<LawCheck>> AbsorbSorted(const Book& book, const Catalog& catalog,
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
  const absl::StatusOr<std::unique_ptr<Book>> again = Book::Open(scratch_options);
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
  absl::StatusOr<LawCheck> totals = CompareTotals(**again, book, catalog, options.threads);
  if (!totals.ok()) return totals.status();
  return std::vector<LawCheck>{CompareAccepted(**again, book), *std::move(totals)};
}

}  // namespace

absl::StatusOr<std::vector<LawCheck>> AbsorbAgain(const Book& book, const Catalog& catalog, InputList inputs,
                                                  const AbsorbOptions& options, const std::string& scratch) {
  const absl::StatusOr<std::vector<SourceRecord>> stored = book.Sources();
  if (!stored.ok()) return stored.status();
  SortAsAbsorbed(*stored, &inputs);
  return AbsorbSorted(book, catalog, *stored, inputs, options, scratch);
}

absl::StatusOr<std::optional<std::vector<LawCheck>>> AbsorbLogAgain(const Book& book, const Catalog& catalog,
                                                                    const std::vector<SourceMapping>& mappings,
                                                                    AbsorbOptions options, const std::string& scratch) {
  UsageLogReader log(book);
  TOLLBOOK_RETURN_IF_ERROR(log.Open());
  const absl::StatusOr<std::vector<SourceRecord>> stored = book.Sources();
  if (!stored.ok()) return stored.status();
  const std::vector<std::vector<SourceMapping>> known = {mappings};
  InputList inputs;
  std::vector<uint32_t> ids;  // of each input
  for (const SourceRecord& source : *stored) {
    if (source.counts.lines == 0) continue;
    const std::optional<InputFile> file = LoggedFile(source, known);
    if (log.Of(source) != UsageLogReader::Has::kWhole || !file) return std::nullopt;
    inputs.files.push_back(*file);
    inputs.bytes += file->bytes;
    ids.push_back(source.id);
  }
  if (ids.empty()) return std::nullopt;
  options.open_content = [&](const InputFile& file) -> OpenContent {
    const uint32_t source = ids[&file - inputs.files.data()];
    return [&log, source] { return log.Content(source); };
  };
  absl::StatusOr<std::vector<LawCheck>> checks = AbsorbSorted(book, catalog, *stored, inputs, options, scratch);
  if (!checks.ok()) return checks.status();
  return *std::move(checks);
}

}  // namespace tollbook
