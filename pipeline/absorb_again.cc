#include "pipeline/absorb_again.h"

#include <algorithm>
#include <map>
#include <set>

#include "pipeline/catalog_dir.h"
#include "pipeline/line_ends.h"
#include "pipeline/read_again.h"
#include "pipeline/second_reading.h"
#include "pipeline/source_feeder.h"
#include "pipeline/totals_comparison.h"
#include "pipeline/usage_log.h"

namespace tollbook {
namespace {

absl::Status NotTheSources(std::string_view what, const std::string& path, std::string_view what_to_do) {
  return MakeError(absl::StatusCode::kFailedPrecondition, what, path, what_to_do);
}

std::string Counted(uint64_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

// What a file has, all of it.
using Content = std::pair<uint64_t, std::array<uint64_t, 2>>;

absl::StatusOr<Content> ContentOf(const InputFile& file) {
  const auto cannot_be_read = [&](std::string_view why) {
    return NotTheSources("an input cannot be read", file.path + ": " + std::string(why), "mend it, or leave it out");
  };
  if (!file.regular) return cannot_be_read("it is no file, and is read twice");
  const absl::StatusOr<std::unique_ptr<BlockReader>> reader = BlockReader::Open(file, {});
  if (!reader.ok()) return cannot_be_read(Std(reader.status().message()));
  for (Block block;;) {
    const absl::StatusOr<bool> more = (*reader)->Next(&block);
    if (!more.ok()) return cannot_be_read(Std(more.status().message()));
    if (!*more) break;
  }
  const SourcePosition end = (*reader)->position();
  return Content{end.offset, {end.digest_low, end.digest_high}};
}

Content ContentOf(const SourceRecord& source) {
  return {source.offset, source.digest};
}

// The file that begins with what was absorbed of the source: a run under another catalog may have read on in it as
// another source.
absl::StatusOr<bool> BeginsWith(const InputFile& file, const SourceRecord& source) {
  if (file.path != source.path) return false;
  ReaderOptions options;
  options.count_rows = file.mapping != nullptr && NeedsRows(*file.mapping);
  const absl::StatusOr<std::unique_ptr<BlockReader>> reader = BlockReader::Open(file, options);
  if (!reader.ok()) return reader.status();
  return (*reader)->SkipTo({source.offset, source.rows, source.digest[0], source.digest[1]});
}

// The book's sources among the inputs, by content: one may have moved, and one input may be several of them, read under
// several catalogs.
class InputsOfSources {
 public:
  InputsOfSources(const InputList& inputs, std::vector<SourceMapping> mappings)
      : inputs_(inputs), mappings_{std::move(mappings)} {}

  absl::StatusOr<std::vector<ReadSource>> Find(const std::vector<SourceRecord>& stored) {
    for (const InputFile& file : inputs_.files) {
      const absl::StatusOr<Content> content = ContentOf(file);
      if (!content.ok()) return content.status();
      by_content_.emplace(*content, &file);
    }
    std::vector<ReadSource> sources;
    for (const SourceRecord& source : stored) {
      if (source.counts.lines == 0) continue;
      const absl::StatusOr<const InputFile*> file = FileOf(source);
      if (!file.ok()) return file.status();
      absl::StatusOr<InputFile> as_absorbed = AsAbsorbed(**file, source);
      if (!as_absorbed.ok()) return as_absorbed.status();
      sources.push_back({source, *std::move(as_absorbed), nullptr});
    }
    TOLLBOOK_RETURN_IF_ERROR(CheckThatAllAreSources(stored));
    return sources;
  }

 private:
  absl::StatusOr<const InputFile*> FileOf(const SourceRecord& source) const {
    const auto [first, last] = by_content_.equal_range(ContentOf(source));
    for (auto same = first; same != last; ++same) {
      if (same->second->path == source.path || ReadingOf(*same->second) == source.reading) return same->second;
    }
    if (first != last) return first->second;
    bool is_named = false;
    for (const InputFile& file : inputs_.files) {
      is_named = is_named || file.path == source.path;
      const absl::StatusOr<bool> begins = BeginsWith(file, source);
      if (!begins.ok()) return begins.status();
      if (*begins) return &file;
    }
    if (is_named) return ChangedError(source.path);
    return NotTheSources("a source of the book is not among the inputs", source.path,
                         "name all that was absorbed; `tollbook explain` names the sources of a line");
  }

  static absl::Status ChangedError(const std::string& path) {
    return NotTheSources("a source is not what the book has absorbed", path,
                         "put it back as it was; or, if it has only grown, absorb the rest before");
  }

  absl::StatusOr<InputFile> AsAbsorbed(const InputFile& file, const SourceRecord& source) const {
    if (ReadingOf(file) == source.reading) return file;
    std::optional<InputFile> as_absorbed = LoggedFile(source, mappings_);
    if (!as_absorbed) {
      return NotTheSources("sources.yaml reads a source otherwise than when it was absorbed", file.path,
                           "give it the name and the mapping back that it had");
    }
    as_absorbed->path = file.path;
    as_absorbed->compression = file.compression;
    as_absorbed->bytes = file.bytes;
    return *std::move(as_absorbed);
  }

  absl::Status CheckThatAllAreSources(const std::vector<SourceRecord>& stored) const {
    std::set<Content> contents;
    std::set<std::string_view> paths;
    for (const SourceRecord& source : stored) {
      contents.insert(ContentOf(source));
      paths.insert(source.path);
    }
    for (const auto& [content, file] : by_content_) {
      if (content.first == 0 || contents.contains(content)) continue;
      if (paths.contains(file->path)) return ChangedError(file->path);
      return NotTheSources("an input was never absorbed", file->path, "leave it out, or absorb it before");
    }
    return absl::OkStatus();
  }

  const InputList& inputs_;
  const std::vector<std::vector<SourceMapping>> mappings_;  // that the files as absorbed point to
  std::multimap<Content, const InputFile*> by_content_;
};

constexpr size_t kNotThereShown = 3;

// Sources with lines: what can be read again, and what not.
struct Standing {
  std::vector<ReadSource> sources;
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
    standing.sources.push_back({source, reader->FileOf(source.id), reader->ContentOf(source.id)});
  }
  return standing;
}

LawCheck SayWhatStands(Standing standing, size_t there, const ReadAgain& reader) {
  const size_t all = there + standing.not_there.size();
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

// Commits that took in lines of what is missing.
absl::StatusOr<std::set<uint64_t>> CommitsWith(const Book& book, const std::set<uint32_t>& missing) {
  std::set<uint64_t> with;
  if (missing.empty()) return with;
  const absl::StatusOr<std::vector<CommitRecord>> commits = book.Commits();
  if (!commits.ok()) return commits.status();
  for (const CommitRecord& commit : *commits) {
    for (const CoveredRange& range : commit.covered) {
      if (missing.contains(range.source)) with.insert(commit.sequence);
    }
  }
  const absl::StatusOr<LineEnds> ends = LineEnds::Of(book, *commits);
  if (!ends.ok()) return ends.status();
  for (const uint32_t source : missing) {
    for (const LineEnd& end : ends->of(source)) {
      if (end.reason == Reason::kNone && !end.is_applied) with.insert(end.sequence);
    }
  }
  return with;
}

LawCheck LinesCheck(SecondReading* reading, uint64_t in_book) {
  const bool is_same = reading->accepted == in_book;
  LawCheck check{1, "lines, absorbed again", is_same && reading->unlike.empty(), ""};
  check.detail = Counted(reading->accepted, "event is", "events are") + " accepted";
  if (check.holds) {
    check.detail += ", as in the book";
  } else if (!is_same) {
    check.detail += "; in the book " + std::to_string(in_book);
  } else {
    check.detail +=
        ", and " + Counted(reading->unlike.size(), "line or id is", "lines or ids are") + " not as in the book";
  }
  if (reading->acceptable > 0) {
    check.detail += "; " + Counted(reading->acceptable, "line that was rejected is", "lines that were rejected are") +
                    " usage by the meters that counted then";
  }
  check.unlike = std::move(reading->unlike);
  return check;
}

LawCheck TotalsCheck(TotalsCompared compared) {
  LawCheck check{2, "totals, absorbed again", compared.unlike.empty(), ""};
  check.detail = check.holds ? Counted(compared.totals, "total", "totals") + ", as their sources say"
                             : std::to_string(compared.unlike.size()) + " of " + std::to_string(compared.totals) +
                                   " totals are not as their sources say";
  if (compared.excluded > 0) check.detail += "; not compared: " + Counted(compared.excluded, "subject", "subjects");
  check.unlike = std::move(compared.unlike);
  return check;
}

absl::StatusOr<std::vector<LawCheck>> CheckAgain(const Book& book, std::vector<ReadSource> sources, bool is_all,
                                                 const std::set<uint64_t>& but_of, const AbsorbOptions& options,
                                                 const std::string& scratch) {
  absl::StatusOr<SecondReading> reading = ReadSecondTime(book, std::move(sources), is_all, options, scratch);
  if (!reading.ok()) return reading.status();
  const absl::StatusOr<Catalog> meters = CountedMeters(book);
  if (!meters.ok()) return meters.status();
  absl::StatusOr<TotalsCompared> totals = CompareTotals(*reading->totals, book, *meters, but_of, options.threads);
  if (!totals.ok()) return totals.status();
  const uint64_t in_book = is_all ? book.counts().accepted : reading->accepted_in_book;
  return std::vector<LawCheck>{LinesCheck(&*reading, in_book), TotalsCheck(*std::move(totals))};
}

bool AllHold(const std::vector<LawCheck>& checks) {
  return std::ranges::all_of(checks, &LawCheck::holds);
}

// A file that has changed since it was looked at is no fault of the book.
absl::Status CheckUnchanged(const std::vector<ReadSource>& sources, ReadAgain* now) {
  for (const ReadSource& source : sources) {
    const bool is_there = now->Check(source.record.id).fault == SourceFault::kNone;
    const bool was_of_log = static_cast<bool>(source.open);
    if (is_there && static_cast<bool>(now->ContentOf(source.record.id)) == was_of_log) continue;
    return NotTheSources("a source has changed while it was read", source.file.path, "run it again");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<LawCheck>> AbsorbAgain(const Book& book, const Catalog& catalog, const InputList& inputs,
                                                  const AbsorbOptions& options, const std::string& scratch) {
  const absl::StatusOr<std::vector<SourceRecord>> stored = book.Sources();
  if (!stored.ok()) return stored.status();
  if (!inputs.left_out.empty()) {
    const LeftOut& first = inputs.left_out.front();
    return NotTheSources("an input cannot be read", first.path + ": " + first.why, "mend it, or leave it out");
  }
  const auto text = catalog.files().find(std::string(kSourcesFile));
  const std::string_view mappings = text == catalog.files().end() ? std::string_view() : text->second;
  InputsOfSources inputs_of_sources(inputs, ParseMappings(mappings).mappings);
  absl::StatusOr<std::vector<ReadSource>> sources = inputs_of_sources.Find(*stored);
  if (!sources.ok()) return sources.status();
  absl::StatusOr<std::vector<LawCheck>> checks = CheckAgain(book, *std::move(sources), true, {}, options, scratch);
  if (checks.ok() && !AllHold(*checks)) {
    InputsOfSources now(inputs, ParseMappings(mappings).mappings);  // what has changed meanwhile is no fault of the book
    TOLLBOOK_RETURN_IF_ERROR(now.Find(*stored).status());
  }
  return checks;
}

absl::StatusOr<std::vector<LawCheck>> AbsorbSourcesAgain(const Book& book, const Catalog& catalog,
                                                         const AbsorbOptions& options, const std::string& scratch) {
  const absl::StatusOr<std::vector<SourceRecord>> stored = book.Sources();
  if (!stored.ok()) return stored.status();
  ReadAgain reader(book, catalog, options.decoder);
  TOLLBOOK_RETURN_IF_ERROR(reader.Open());
  Standing standing = StandingOf(*stored, &reader);
  const size_t there = standing.sources.size();
  std::vector<LawCheck> checks;
  if (there == 0 && standing.missing.empty()) return checks;
  if (there > 0) {
    const absl::StatusOr<std::set<uint64_t>> but_of = CommitsWith(book, standing.missing);
    if (!but_of.ok()) return but_of.status();
    absl::StatusOr<std::vector<LawCheck>> again =
        CheckAgain(book, standing.sources, standing.missing.empty(), *but_of, options, scratch);
    if (!again.ok()) return again.status();
    checks = *std::move(again);
    if (!AllHold(checks)) {
      ReadAgain now(book, catalog, options.decoder);
      TOLLBOOK_RETURN_IF_ERROR(now.Open());
      TOLLBOOK_RETURN_IF_ERROR(CheckUnchanged(standing.sources, &now));
    }
  }
  checks.insert(checks.begin(), SayWhatStands(std::move(standing), there, reader));
  return checks;
}

}  // namespace tollbook
