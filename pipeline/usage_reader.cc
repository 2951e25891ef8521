#include "pipeline/usage_reader.h"

#include <algorithm>
#include <tuple>

#include "pipeline/byte_source.h"
#include "pipeline/unpacked.h"

namespace tollbook {
namespace {

constexpr uint64_t kUnpackedKept = 64 << 20;

class TextSource : public ByteSource {
 public:
  explicit TextSource(std::string_view text) : left_(text) {}
  absl::StatusOr<size_t> Read(char* into, size_t bytes) override {
    const size_t read = left_.copy(into, bytes);
    left_.remove_prefix(read);
    return read;
  }
  uint64_t bytes_read() const override { return 0; }
  std::chrono::nanoseconds waited() const override { return {}; }

 private:
  std::string_view left_;
};

BookIdentity IdentityFor(const Catalog& catalog) {
  BookIdentity identity;
  identity.name = catalog.book.name;
  identity.zone = catalog.book.zone.name();
  return identity;
}

absl::StatusOr<std::unique_ptr<BlockReader>> OpenChecked(const InputFile& file) {
  ReaderOptions options;
  options.count_rows = file.mapping != nullptr && NeedsRows(*file.mapping);
  if (!file.regular || file.compression == Compression::kNone) return BlockReader::Open(file, options);
  UnpackOptions unpacking;
  unpacking.keep_bytes = kUnpackedKept;
  const auto unpacked = std::make_shared<const Unpacked>(Unpack(file, unpacking));
  if (!unpacked->status.ok()) return unpacked->status;
  return BlockReader::Open(file, options, [&file, unpacked] { return OpenUnpacked(file, unpacked); });
}

}  // namespace

UsageReader::UsageReader(const Catalog& catalog)
    : catalog_(catalog),
      identity_(IdentityFor(catalog)),
      series_(identity_.seed[1]),
      decoder_(Measurer(catalog_, identity_, series_)) {}

absl::Status UsageReader::Read(const InputFile& file) {
  const auto leave_out = [&](const absl::Status& status) {
    left_out_.push_back({file.path, std::string(Std(status.message()))});
    return absl::OkStatus();
  };
  absl::StatusOr<std::unique_ptr<BlockReader>> reader = OpenChecked(file);
  if (!reader.ok()) return leave_out(reader.status());
  std::unique_ptr<Decoder> decoder = MakeJsonDecoder();
  if (file.format == InputFormat::kCsv) {
    absl::StatusOr<std::unique_ptr<Decoder>> csv = MakeCsvDecoder(*file.mapping, (*reader)->header(), file.name);
    if (!csv.ok()) return leave_out(csv.status());
    decoder = *std::move(csv);
  }
  return ReadBlocks(file, **reader, *decoder);
}

absl::Status UsageReader::ReadText(const std::string& name, std::string text) {
  InputFile file;
  file.path = file.name = name;
  absl::StatusOr<std::unique_ptr<BlockReader>> reader = BlockReader::Open(
      file, {},
      [&text]() -> absl::StatusOr<std::unique_ptr<ByteSource>> { return std::make_unique<TextSource>(text); });
  if (!reader.ok()) return reader.status();
  return ReadBlocks(file, **reader, *MakeJsonDecoder());
}

absl::Status UsageReader::ReadBlocks(const InputFile& file, BlockReader& reader, Decoder& decoder) {
  uint64_t first_line = file.format == InputFormat::kCsv ? 2 : 1;
  for (Block block;;) {
    BlockWork work;
    work.block = std::move(block);
    work.block.arena.Clear();
    absl::StatusOr<bool> more = reader.Next(&work.block);
    if (!more.ok()) {
      left_out_.push_back({file.path, std::string(Std(more.status().message()))});
      return absl::OkStatus();
    }
    if (!*more) return absl::OkStatus();
    decoder_.Decode(decoder, &work);
    TOLLBOOK_RETURN_IF_ERROR(Take(file, first_line, &work));
    first_line += work.line_ends;
    block = std::move(work.block);
  }
}

absl::Status UsageReader::Take(const InputFile& file, uint64_t first_line, BlockWork* work) {
  JudgeIdentities(work);
  Count(file, JudgeBlock(*work, first_line));
  return AddUp(*work);
}

// In input order, so that of two in conflict the first stays.
void UsageReader::JudgeIdentities(BlockWork* work) {
  std::vector<Identity> identities(work->identities.all().begin(), work->identities.all().end());
  std::ranges::sort(identities, {}, &Identity::event);
  identities_.assign(work->verdicts.size(), 0);
  for (const Identity& identity : identities) {
    const uint64_t content = ContentOf(identity.entry);
    const auto [seen, fresh] = seen_.try_emplace(KeyOf(identity.entry), content);
    if (!fresh) work->verdicts[identity.event] = seen->second == content ? Reason::kDuplicate : Reason::kConflict;
    identities_[identity.event] = seen->first;
  }
}

absl::Status UsageReader::AddUp(const BlockWork& work) {
  uint32_t last = UINT32_MAX;  // an event of several meters is one
  for (const Measurement& measured : work.measurements) {
    if (work.verdicts[measured.event] != Reason::kNone) continue;
    Subject& subject = SubjectNamed(measured.subject_name());
    TOLLBOOK_RETURN_IF_ERROR(Add(measured, identities_[measured.event], &subject));
    if (measured.event != last) ++subject.events;
    last = measured.event;
  }
  return absl::OkStatus();
}

// What an event brings, or a correction takes.
absl::Status UsageReader::Add(const Measurement& measured, Uint128 identity, Subject* subject) {
  const Meter& meter = MeterOf(measured.series);
  const TotalForm form = FormOf(meter);
  const UsageTotal delta{measured.value, static_cast<uint64_t>(static_cast<int64_t>(measured.events)),
                         HasTime(form) ? measured.time : Instant()};
  Cell cell{measured.series, measured.bucket, {}, {}};
  if (!CanTakeBack(meter)) {
    subject->kept.push_back({cell, delta, identity});
    return absl::OkStatus();
  }
  if (IsOfElements(form)) cell.at = delta.latest_at, cell.value = delta.value;
  UsageTotal& known = subject->totals[cell];
  if (IsOfElements(form)) known.value = delta.value, known.latest_at = delta.latest_at;
  if (IsOfElements(form) ? MergeElement(delta, &known) : Merge(meter.aggregation, delta, &known))
    return absl::OkStatus();
  return MakeError(absl::StatusCode::kOutOfRange, "the usage does not fit a quantity",
                   "subject " + std::string(measured.subject_name()) + ", meter " + meter.name,
                   "check the meter's unit and the values of its events");
}

UsageReader::Subject& UsageReader::SubjectNamed(std::string_view name) {
  const auto subject = subjects_.find(name);
  return subject != subjects_.end() ? subject->second : subjects_.try_emplace(std::string(name)).first->second;
}

void UsageReader::Count(const InputFile& file, const BlockVerdict& verdict) {
  counts_ += verdict.counts;
  for (size_t i = 0; i < reasons_.size(); ++i) reasons_[i] += verdict.reasons[i];
  for (const ExceptionRecord& exception : verdict.exceptions) {
    const UnusedLine line{file.path, exception.line, exception.reason};
    const uint64_t place = unused_++;
    if (IsHeldCorrection(exception.reason)) {
      held_.push_back({line, place, std::string(exception.payload), {}});
    } else {
      KeepUnused(place, line);
    }
  }
}

void UsageReader::KeepUnused(uint64_t place, const UnusedLine& line) {
  if (unused_by_place_.size() == kUnusedKept) {
    if (place > unused_by_place_.rbegin()->first) return;
    unused_by_place_.erase(std::prev(unused_by_place_.end()));
  }
  unused_by_place_.emplace(place, line);
}

absl::Status UsageReader::Finish() {
  TOLLBOOK_RETURN_IF_ERROR(ApplyCorrections());
  AddKept();
  DropEmpty();
  for (const auto& [place, line] : unused_by_place_) first_unused_.push_back(line);
  is_finished_ = true;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<uint64_t>> UsageReader::Find(const SeenEntry& entry) const {
  const auto seen = seen_.find(KeyOf(entry));
  return seen == seen_.end() ? std::nullopt : std::optional(seen->second);
}

absl::Status UsageReader::ApplyCorrections() {
  CorrectionDecoder decoder(Measurer(catalog_, identity_, series_));
  CorrectionJudge judge(*this);
  Arena arena;
  for (size_t number = 0; number < held_.size(); ++number) {
    StoredCorrection& correction = held_[number].correction;
    const absl::StatusOr<Reason> measured = decoder.Decode(held_[number].payload, arena, &correction);
    if (!measured.ok()) return measured.status();
    TOLLBOOK_RETURN_IF_ERROR(judge.Take(number, correction, *measured));
  }
  return judge.Finish();
}

void UsageReader::EndAs(uint64_t number, Reason reason) {
  UnusedLine line = held_[number].line;
  --reasons_[static_cast<size_t>(line.reason)];
  --counts_.of(OutcomeOf(line.reason));
  line.reason = reason;
  ++reasons_[static_cast<size_t>(reason)];
  ++counts_.of(OutcomeOf(reason));
  if (reason != Reason::kNone) KeepUnused(held_[number].place, line);
}

absl::Status UsageReader::Leave(uint64_t number, const CorrectionVerdict& verdict) {
  EndAs(number, verdict.reason);
  return absl::OkStatus();
}

absl::Status UsageReader::Apply(uint64_t number, const StoredCorrection& correction) {
  for (const SeenEntry& entry : {correction.measured.identity, correction.measured.claim}) {
    const bool fresh = seen_.try_emplace(KeyOf(entry), ContentOf(entry)).second;
    TOLLBOOK_ASSERT(fresh);
  }
  EndAs(number, Reason::kNone);
  ++corrections_;
  taken_back_.insert(KeyOf(correction.measured.original));
  --SubjectNamed(correction.before.front().subject_name()).events;
  if (!correction.after.empty()) ++SubjectNamed(correction.after.front().subject_name()).events;
  const auto add = [&](const Measurement& measured) {
    return Add(measured, KeyOf(correction.measured.identity), &SubjectNamed(measured.subject_name()));
  };
  for (const Measurement& change : correction.changes) {
    if (CanTakeBack(MeterOf(change.series))) TOLLBOOK_RETURN_IF_ERROR(add(change));
  }
  for (const Measurement& event : correction.after) {
    if (!CanTakeBack(MeterOf(event.series))) TOLLBOOK_RETURN_IF_ERROR(add(event));
  }
  return absl::OkStatus();
}

// The events that stand in the end, in whatever order they and their corrections came.
void UsageReader::AddKept() {
  for (auto& [name, subject] : subjects_) {
    for (const KeptEvent& event : subject.kept) {
      if (taken_back_.contains(event.identity)) continue;
      const bool fits = Merge(MeterOf(event.cell.series).aggregation, event.total, &subject.totals[event.cell]);
      TOLLBOOK_ASSERT(fits);  // no sum, and fewer than 2^63 events
    }
    subject.kept = {};
  }
}

// A total of no events is no usage.
void UsageReader::DropEmpty() {
  for (auto& [name, subject] : subjects_) {
    std::erase_if(subject.totals, [](const auto& total) { return total.second.events == 0; });
  }
  std::erase_if(subjects_, [](const auto& subject) { return subject.second.totals.empty(); });
}

std::vector<std::string_view> UsageReader::subjects() const {
  std::vector<std::string_view> names;
  for (const auto& [name, subject] : subjects_) names.push_back(name);
  return names;
}

uint64_t UsageReader::EventsOf(std::string_view subject) const {
  const auto found = subjects_.find(subject);
  return found == subjects_.end() ? 0 : found->second.events;
}

std::vector<SubjectTotal> UsageReader::TotalsOf(std::string_view subject) const {
  TOLLBOOK_ASSERT(is_finished_);
  std::vector<SubjectTotal> totals;
  const auto found = subjects_.find(subject);
  if (found == subjects_.end()) return totals;
  for (const auto& [cell, total] : found->second.totals) {
    const Series& series = series_.at(cell.series);
    totals.push_back({&catalog_.meters[series.meter], series.dimension_values, cell.bucket, total});
  }
  std::ranges::stable_sort(totals, [](const SubjectTotal& a, const SubjectTotal& b) {
    if (a.meter != b.meter) return a.meter < b.meter;
    const auto values = std::lexicographical_compare_three_way(a.dimension_values.begin(), a.dimension_values.end(),
                                                               b.dimension_values.begin(), b.dimension_values.end());
    return values != 0 ? values < 0 : a.bucket < b.bucket;
  });
  return totals;
}

}  // namespace tollbook
