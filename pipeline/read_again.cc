#include "pipeline/read_again.h"

#include <algorithm>

#include "pipeline/byte_source.h"
#include "pipeline/catalog_dir.h"
#include "pipeline/lines.h"
#include "pipeline/source_feeder.h"

namespace tollbook {
namespace {

// Series known at a time: dimensions that never repeat must not fill the memory.
constexpr size_t kSeriesMax = 64 << 10;

// `ranges` as Unite leaves them.
bool Overlap(const std::vector<LineRange>& ranges, uint64_t first, uint64_t end) {
  const auto range = std::ranges::upper_bound(ranges, first, {}, &LineRange::end);  // the first that ends behind it
  return range != ranges.end() && range->first < end;
}

// As a block finds it before it is decoded, with the memory that it has.
void Clear(BlockWork* work) {
  work->places.clear();
  work->verdicts.clear();
  work->measurements.clear();
  work->held.clear();
}

// So many bytes of a source that may have grown since.
class Beginning final : public ByteSource {
 public:
  Beginning(std::unique_ptr<ByteSource> whole, uint64_t bytes) : whole_(std::move(whole)), left_(bytes) {}
  absl::StatusOr<size_t> Read(char* into, size_t bytes) override {
    const absl::StatusOr<size_t> got = whole_->Read(into, std::min<uint64_t>(bytes, left_));
    if (got.ok()) left_ -= *got;
    return got;
  }
  uint64_t bytes_read() const override { return whole_->bytes_read(); }
  std::chrono::nanoseconds waited() const override { return whole_->waited(); }

 private:
  const std::unique_ptr<ByteSource> whole_;
  uint64_t left_;
};

// Line ends, as BlockWork::line_ends has them, without decoding.
uint64_t LinesOf(const Block& block) {
  const std::string_view text(block.data, block.bytes);
  const auto ends = static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
  return ends + (text.empty() || text.back() == '\n' ? 0 : 1) + block.long_lines.size();
}

}  // namespace

void Unite(std::vector<LineRange>* ranges) {
  std::sort(ranges->begin(), ranges->end(), [](const LineRange& a, const LineRange& b) { return a.first < b.first; });
  size_t kept = 0;
  for (size_t i = 1; i < ranges->size(); ++i) {
    const LineRange next = (*ranges)[i];
    if (next.first <= (*ranges)[kept].end) {
      (*ranges)[kept].end = std::max((*ranges)[kept].end, next.end);
    } else {
      (*ranges)[++kept] = next;
    }
  }
  ranges->resize(ranges->empty() ? 0 : kept + 1);
}

std::string_view WhatIsWrong(const FaultySource& faulty) {
  switch (faulty.fault) {
    case SourceFault::kNone:
      return "nothing";
    case SourceFault::kPipe:
      return "usage that came through a pipe cannot be read again";
    case SourceFault::kGone:
      return "a source of the usage is gone";
    case SourceFault::kUnreadable:
      return "a source of the usage cannot be read";
    case SourceFault::kChanged:
      return "a source of the usage was changed since it was absorbed";
    case SourceFault::kReadOtherwise:
      return "sources.yaml reads a source otherwise than when it was absorbed";
  }
  TOLLBOOK_ASSERT(!"a fault of the list");
  return "";
}

std::string RemedyOf(const FaultySource& faulty) {
  switch (faulty.fault) {
    case SourceFault::kNone:
      return "";
    case SourceFault::kPipe:
      return "only usage from files can be followed down to its events";
    case SourceFault::kGone:
      return "put it back as it was, where the path leads from this directory";
    case SourceFault::kUnreadable:
      return faulty.why;
    case SourceFault::kChanged:
      return "put it back as it was";
    case SourceFault::kReadOtherwise:
      return "give it the name and the mapping back that it had";
  }
  TOLLBOOK_ASSERT(!"a fault of the list");
  return "";
}

ReadAgain::ReadAgain(const Book& book, const Catalog& catalog, DecoderChoice choice)
    : book_(book),
      catalog_(catalog),
      series_(book.identity().seed[1]),
      blocks_(Measurer(catalog, book.identity(), series_), choice) {}

absl::Status ReadAgain::Open() {
  absl::StatusOr<std::vector<SourceRecord>> sources = book_.Sources();
  if (!sources.ok()) return sources.status();
  sources_ = *std::move(sources);
  absl::StatusOr<std::vector<CommitRecord>> commits = book_.Commits();
  if (!commits.ok()) return commits.status();
  commits_ = *std::move(commits);
  return FindMappings();
}

// A source may have been absorbed under an earlier catalog than the one that rates it: all of the book's that map
// files are tried, its own first.
absl::Status ReadAgain::FindMappings() {
  AddMappings(catalog_.files());
  const absl::StatusOr<std::vector<SealRecord>> seals = book_.Seals();
  if (!seals.ok()) return seals.status();
  std::set<std::string> digests = {catalog_.digest};
  for (const SealRecord& seal : *seals) {
    if (!digests.insert(seal.catalog_digest).second) continue;
    const absl::StatusOr<std::map<std::string, std::string>> files = book_.CatalogFiles(seal.catalog_digest);
    if (!files.ok()) return files.status();
    AddMappings(*files);
  }
  return absl::OkStatus();
}

void ReadAgain::AddMappings(const std::map<std::string, std::string>& files) {
  const auto text = files.find(std::string(kSourcesFile));
  if (text == files.end() && !mappings_.empty()) return;
  mappings_.push_back(ParseMappings(text == files.end() ? std::string_view() : text->second).mappings);
}

Stretches ReadAgain::StretchesOf(const std::set<uint64_t>& wanted, uint64_t through_sequence) const {
  Stretches stretches;
  uint64_t before_retry = 0;
  for (const CommitRecord& commit : commits_) {
    if (wanted.contains(commit.sequence) && commit.retires_held) before_retry = commit.sequence;
  }
  for (const CommitRecord& commit : commits_) {
    if (commit.sequence > through_sequence) continue;
    if (!wanted.contains(commit.sequence) && commit.sequence >= before_retry) continue;
    for (const CoveredRange& range : commit.covered) {
      stretches[range.source].push_back({range.first_line, range.end_line});
    }
  }
  for (auto& [source, ranges] : stretches) Unite(&ranges);
  return stretches;
}

const FaultySource& ReadAgain::Check(uint32_t source) {
  const auto [checked, is_new] = checked_.try_emplace(source);
  if (!is_new) return checked->second.faulty;
  Checked& of = checked->second;
  of.faulty = Find(sources_[source], &of.file);
  if (of.faulty.fault == SourceFault::kNone) of.faulty = CheckContent(of, sources_[source]);
  if (of.faulty.fault != SourceFault::kNone) LookInLog(sources_[source], &of);
  return of.faulty;
}

// Of a source that is not there as it was: it is, if the log has it; or why the log does not.
void ReadAgain::LookInLog(const SourceRecord& source, Checked* checked) {
  if (!log_) {
    log_.emplace(book_);
    log_opened_ = log_->Open();
  }
  if (!log_opened_.ok()) {
    checked->faulty.of_log = std::string(Std(log_opened_.message()));
    return;
  }
  Checked logged;
  if (FindLogged(source, &logged)) {
    const FaultySource of_log = CheckContent(logged, source);
    if (of_log.fault == SourceFault::kNone) {
      *checked = logged;
      return;
    }
    checked->faulty.of_log = of_log.why.empty() ? "it is not in the usage log as it was absorbed" : of_log.why;
  }
  if (const uint64_t purge = log_->purged_by(source.id); purge != 0) {
    const Day day = catalog_.book.zone.DayOf(Instant{commits_[purge - 1].committed_at_nanos});
    checked->faulty.of_log = "its usage log was purged on " + ToString(day);
  }
}

const InputFile& ReadAgain::FileOf(uint32_t source) {
  TOLLBOOK_ASSERT(Check(source).fault == SourceFault::kNone);
  return checked_[source].file;
}

OpenContent ReadAgain::ContentOf(uint32_t source) {
  TOLLBOOK_ASSERT(Check(source).fault == SourceFault::kNone);
  const Checked& checked = checked_[source];
  if (checked.is_logged) return [this, source] { return log_->Content(source); };
  return [path = checked.file.path, bytes = sources_[source].offset]() -> absl::StatusOr<std::unique_ptr<ByteSource>> {
    absl::StatusOr<std::unique_ptr<ByteSource>> whole = OpenSource(path);
    if (!whole.ok()) return whole.status();
    return std::make_unique<Beginning>(*std::move(whole), bytes);
  };
}

std::vector<uint32_t> ReadAgain::FromLog() const {
  std::vector<uint32_t> logged;
  for (const auto& [source, checked] : checked_) {
    if (checked.is_logged) logged.push_back(source);
  }
  return logged;
}

bool ReadAgain::FindLogged(const SourceRecord& source, Checked* checked) const {
  if (log_->Of(source) != UsageLogReader::Has::kWhole) return false;
  const std::optional<InputFile> file = LoggedFile(source, mappings_);
  if (!file) return false;
  checked->file = *file;
  checked->is_logged = true;
  return true;
}

// As it was read when it was absorbed.
FaultySource ReadAgain::Find(const SourceRecord& source, InputFile* file) const {
  if (source.path == "-") return {SourceFault::kPipe, ""};
  FaultySource why{SourceFault::kGone, ""};
  for (const std::vector<SourceMapping>& mappings : mappings_) {
    const absl::StatusOr<InputList> found = FindInputs({source.path}, mappings);
    if (!found.ok()) return {SourceFault::kGone, ""};
    if (found->files.empty() && !found->left_out.empty()) {
      why = {SourceFault::kUnreadable, found->left_out.front().why};
      continue;
    }
    if (found->files.size() != 1 || found->files.front().path != source.path) continue;
    *file = found->files.front();
    if (!file->regular) return {SourceFault::kPipe, ""};
    if (ReadingOf(*file) != source.reading) {
      why = {SourceFault::kReadOtherwise, ""};
      continue;
    }
    return {};
  }
  return why;
}

absl::StatusOr<std::unique_ptr<BlockReader>> ReadAgain::OpenFile(const Checked& checked, uint32_t source) const {
  ReaderOptions options;
  options.count_rows = checked.file.mapping != nullptr && NeedsRows(*checked.file.mapping);
  if (!checked.is_logged) return BlockReader::Open(checked.file, options);
  return BlockReader::Open(checked.file, options, [this, source] { return log_->Content(source); });
}

FaultySource ReadAgain::CheckContent(const Checked& checked, const SourceRecord& source) const {
  const absl::StatusOr<std::unique_ptr<BlockReader>> reader = OpenFile(checked, source.id);
  if (!reader.ok()) return {SourceFault::kUnreadable, std::string(Std(reader.status().message()))};
  const absl::StatusOr<bool> same = (*reader)->SkipTo({source.offset, source.rows, source.digest[0], source.digest[1]});
  if (!same.ok()) return {SourceFault::kUnreadable, std::string(Std(same.status().message()))};
  return {*same ? SourceFault::kNone : SourceFault::kChanged, ""};
}

absl::Status ReadAgain::Read(uint32_t source, const std::vector<LineRange>& ranges, const SubjectLines& subjects,
                             const Visit& visit) {
  TOLLBOOK_ASSERT(Check(source).fault == SourceFault::kNone);
  const InputFile& file = checked_[source].file;
  const absl::StatusOr<std::unique_ptr<BlockReader>> reader = OpenFile(checked_[source], source);
  if (!reader.ok()) return reader.status();
  const bool is_csv = file.format == InputFormat::kCsv;
  decoder_ = MakeJsonDecoder();
  if (is_csv) {
    absl::StatusOr<std::unique_ptr<Decoder>> csv = MakeCsvDecoder(*file.mapping, (*reader)->header(), file.name);
    if (!csv.ok()) return csv.status();
    decoder_ = *std::move(csv);
  }
  uint64_t first_line = is_csv ? 2 : 1;
  while (first_line < ranges.back().end) {
    const absl::StatusOr<bool> more = (*reader)->Next(&work_.block);
    if (!more.ok()) return more.status();
    if (!*more) break;
    const uint64_t lines = LinesOf(work_.block);
    if (Overlap(ranges, first_line, first_line + lines))
      VisitBlock(sources_[source], ranges, first_line, subjects, visit);
    first_line += lines;
    if (series_.size() > kSeriesMax) series_.Clear();
  }
  return absl::OkStatus();
}

void ReadAgain::VisitBlock(const SourceRecord& source, const std::vector<LineRange>& ranges, uint64_t first_line,
                           const SubjectLines& subjects, const Visit& visit) {
  Clear(&work_);
  if (decoder_->ReadsJson()) kept_ = subjects.Keep(&work_.block);
  blocks_.Decode(*decoder_, &work_);
  std::vector<SeenEntry> identities(work_.verdicts.size());
  for (const Identity& identity : work_.identities.all()) identities[identity.event] = identity.entry;
  for (const Measurement& measured : work_.measurements) {
    place_ = &work_.places[measured.event];
    const uint64_t line = first_line + (decoder_->ReadsJson() ? kept_[place_->line] : place_->line);
    if (!Overlap(ranges, line, line + 1)) continue;
    visit({source, line, place_->part, identities[measured.event], measured, series_.at(measured.series)});
  }
}

const UsageEvent& ReadAgain::Whole() {
  const uint64_t row = work_.block.first_row == 0 ? 0 : work_.block.first_row + place_->line;
  line_arena_.Clear();
  decoded_.clear();
  decoder_->Decode({work_.block.data + place_->offset, place_->bytes}, row, line_arena_, decoded_);
  TOLLBOOK_ASSERT(place_->part < decoded_.size());  // it was measured
  return decoded_[place_->part].event;
}

absl::Status ReadAgain::ForEachNotAccepted(uint64_t through_sequence, const VisitLine& visit) const {
  return book_.ForEachNotAccepted(through_sequence, [&](const StoredExceptions& chunk) {
    const absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk.bytes);
    if (!records.ok()) return records.status();
    for (const ExceptionRecord& record : *records) visit(record.source, record.line, record.part);
    return absl::OkStatus();
  });
}

}  // namespace tollbook
