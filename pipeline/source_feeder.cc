#include "pipeline/source_feeder.h"

#include <xxhash.h>

#include <algorithm>

#include "pipeline/decode.h"

namespace tollbook {
namespace {

// What unpacked files may take of the memory.
constexpr uint64_t kUnpackedKept = 192 << 20;

// A CSV file whose columns are not those of its mapping has no usage that could be read. An empty one has none to read.
absl::Status HeaderFits(const InputFile& file, const BlockReader& reader) {
  if (file.format != InputFormat::kCsv || reader.position().offset == 0) return absl::OkStatus();
  return MakeCsvDecoder(*file.mapping, reader.header(), file.name).status();
}

}  // namespace

uint64_t ReadingOf(const InputFile& file) {
  std::string text = file.format == InputFormat::kCsv ? "csv" : "cloudevents";
  if (file.mapping != nullptr) text += MappingText(*file.mapping, file.name);
  return XXH3_64bits(text.data(), text.size());
}

SourceFeeder::SourceFeeder(const InputList& inputs, std::vector<SourceRecord> known, uint64_t catalog,
                           const ReaderOptions& options, const std::atomic<bool>* stop)
    : inputs_(inputs),
      records_(std::move(known)),
      catalog_(catalog),
      options_(options),
      stop_(stop),
      ahead_(inputs, options.unpack_ahead, kUnpackedKept / (options.unpack_ahead + 1), stop) {
  for (size_t id = 0; id < records_.size(); ++id) {
    const SourceRecord& record = records_[id];
    TOLLBOOK_ASSERT(record.id == id);
    by_path_[record.path].push_back(record.id);
    if (record.finished) by_bytes_[record.file_bytes].push_back(record.id);
  }
}

bool SourceFeeder::Next(Block* block) {
  for (;;) {
    if (stop_ != nullptr && stop_->load(std::memory_order_relaxed)) {
      stopped_ = true;
      return false;
    }
    if (reader_ == nullptr && !OpenNext()) return false;
    if (reader_ == nullptr) continue;  // that one was skipped or left out
    absl::StatusOr<bool> more = reader_->Next(block);
    if (absl::IsCancelled(more.status())) continue;  // the wait for a pipe ended by the stop
    if (!more.ok()) {
      LeaveOut(opened_.back().file->path, more.status());
      CloseReader();
      continue;
    }
    if (!*more) {
      FinishCurrent();
      continue;
    }
    block->file = opened_.back().id;
    const SourcePosition position = reader_->position();
    SourceRecord& record = records_[opened_.back().id];
    record.offset = position.offset;
    record.rows = position.rows;
    record.digest = {position.digest_low, position.digest_high};
    Touch(opened_.back().id);
    return true;
  }
}

bool SourceFeeder::OpenNext() {
  if (next_file_ == inputs_.files.size()) return false;
  const InputFile& file = inputs_.files[next_file_];
  // A pipe may be silent for long: what was read before it is committed first.
  if (!file.regular && !touched_.empty()) return false;
  ++next_file_;
  if (file.regular && AlreadyAbsorbed(file)) {
    bytes_before_ += file.bytes;
    return true;
  }
  absl::StatusOr<std::unique_ptr<BlockReader>> reader = OpenReader(file);
  if (absl::IsCancelled(reader.status())) return true;  // Next sees the stop
  if (!reader.ok()) {
    LeaveOut(file.path, reader.status());
    return true;
  }
  reader_ = *std::move(reader);
  if (const absl::Status fits = HeaderFits(file, *reader_); !fits.ok()) {
    LeaveOut(file.path, fits);
    reader_.reset();
    return true;
  }
  absl::StatusOr<uint32_t> source = Resume(file);
  if (!source.ok()) {
    LeaveOut(file.path, source.status());
    reader_.reset();
    return true;
  }
  opened_.push_back({*source, &file, std::string(reader_->header())});
  return true;
}

absl::StatusOr<std::unique_ptr<BlockReader>> SourceFeeder::OpenReader(const InputFile& file) {
  ReaderOptions options = options_;
  options.count_rows = file.mapping != nullptr && NeedsRows(*file.mapping);
  options.stop = stop_;
  // Files of a size that the book has are likely to be passed over, so they are not unpacked before it is their turn.
  ahead_.Begin(next_file_ - 1, [this](const InputFile& next) { return !by_bytes_.contains(next.bytes); });
  OpenContent open = [path = file.path, waiting = Waiting{options.stop, options.idle_millis}] {
    return OpenSource(path, waiting);
  };
  if (file.regular && file.compression != Compression::kNone) {
    const std::shared_ptr<const Unpacked> unpacked = ahead_.Take(next_file_ - 1);
    if (!unpacked->status.ok()) return unpacked->status;
    open = [file, unpacked, threads = ahead_.threads_a_file()] { return OpenUnpacked(file, unpacked, threads); };
  }
  if (!keeps_content_) return BlockReader::Open(file, options, std::move(open));
  tap_ = std::make_unique<ContentTap>();
  return BlockReader::Open(file, options, tap_->On(std::move(open)));
}

void SourceFeeder::TakeContent(ReadContent* content) {
  const SourceRecord& record = records_[opened_.back().id];
  content->source = record.id;
  content->first_offset = tap_->taken();
  content->end_offset = record.offset;
  content->bytes.clear();
  (void)tap_->Take(record.offset, &content->bytes);  // false: they stay empty
}

// A header with nothing behind it is content, too.
void SourceFeeder::CloseReader() {
  bytes_before_ += reader_->bytes_read();
  reader_.reset();
  if (!keeps_content_ || tap_->taken() >= records_[opened_.back().id].offset) return;
  TakeContent(&loose_content_.emplace_back());
}

bool SourceFeeder::AlreadyAbsorbed(const InputFile& file) {
  const auto candidates = by_bytes_.find(file.bytes);
  if (candidates == by_bytes_.end()) return false;
  const uint64_t reading = ReadingOf(file);
  std::optional<FileDigest> digest;
  for (const uint32_t id : candidates->second) {
    const SourceRecord& record = records_[id];
    if (!record.finished || record.file_bytes != file.bytes || record.reading != reading) continue;
    // What was rejected under another catalog may be accepted now; what was accepted is then a duplicate.
    if (record.counts.rejected > 0 && record.catalog != catalog_) continue;
    if (!digest) {
      absl::StatusOr<FileDigest> read = DigestFile(file.path);
      if (!read.ok()) return false;  // opening it will say why
      digest = *read;
    }
    if (record.file_digest != std::array<uint64_t, 2>{digest->low, digest->high}) continue;
    skipped_.push_back({file.path, record.id, record.counts.lines});
    return true;
  }
  return false;
}

absl::StatusOr<uint32_t> SourceFeeder::Resume(const InputFile& file) {
  const uint64_t reading = ReadingOf(file);
  std::vector<uint32_t>& of_path = by_path_[file.path];
  for (size_t i = of_path.size(); file.regular && i-- > 0;) {
    SourceRecord& record = records_[of_path[i]];
    if (record.reading != reading) continue;
    if (record.counts.rejected > 0 && record.catalog != catalog_) continue;
    if (tap_ != nullptr) tap_->PassOver(record.offset);
    absl::StatusOr<bool> same = reader_->SkipTo({record.offset, record.rows, record.digest[0], record.digest[1]});
    if (!same.ok()) return same.status();
    if (!*same) continue;
    record.finished = false;  // it has grown
    return record.id;
  }
  SourceRecord record;
  record.id = static_cast<uint32_t>(records_.size());
  record.path = file.path;
  record.reading = reading;
  record.catalog = catalog_;
  const SourcePosition start = reader_->position();
  record.offset = start.offset;
  record.digest = {start.digest_low, start.digest_high};
  record.lines = file.format == InputFormat::kCsv ? 1 : 0;  // the header
  records_.push_back(record);
  of_path.push_back(record.id);
  Touch(record.id);
  return record.id;
}

void SourceFeeder::FinishCurrent() {
  SourceRecord& record = records_[opened_.back().id];
  const InputFile& file = *opened_.back().file;
  CloseReader();
  Touch(opened_.back().id);
  if (!file.regular) {
    record.finished = true;  // never recognised again: it has no size and digest
    return;
  }
  record.file_bytes = file.bytes;
  if (file.compression == Compression::kNone && record.offset == file.bytes) {
    record.file_digest = record.digest;  // the content is the file
    record.finished = true;
    by_bytes_[record.file_bytes].push_back(record.id);
    return;
  }
  absl::StatusOr<FileDigest> digest = DigestFile(file.path);
  if (!digest.ok()) return;
  record.file_digest = {digest->low, digest->high};
  record.finished = true;
  by_bytes_[record.file_bytes].push_back(record.id);
}

SourceRecord& SourceFeeder::record(uint32_t source) {
  return records_[source];
}

std::vector<uint32_t> SourceFeeder::TakeTouched() {
  std::sort(touched_.begin(), touched_.end());
  return std::exchange(touched_, {});
}

void SourceFeeder::LeaveOut(const std::string& path, const absl::Status& status) {
  left_out_.push_back({path, std::string(Std(status.message()))});
}

void SourceFeeder::Touch(uint32_t source) {
  if (touched_.empty() || touched_.back() != source) touched_.push_back(source);
}

}  // namespace tollbook
