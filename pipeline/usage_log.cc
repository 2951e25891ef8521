#include "pipeline/usage_log.h"

#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <new>
#include <utility>

#include "pipeline/source_feeder.h"

namespace tollbook {
namespace {

// The first of zstd's levels: the log is written by the cores that decode.
constexpr int kLevel = 1;
// Packed. What is read back is in memory a segment at a time.
constexpr size_t kSegmentBytes = 16 << 20;
// A segment that grows has so many times the room that it needs: what is new of memory must be faulted in, and what was
// there copied, by the one thread that puts an epoch together. Room that is never written is no memory.
constexpr size_t kSegmentGrowth = 4;

// The packed bytes of a source, one segment behind the other.
class SegmentSource final : public ByteSource {
 public:
  SegmentSource(const Book& book, std::vector<UsageSegment> segments) : book_(book), segments_(std::move(segments)) {}

  absl::StatusOr<size_t> Read(char* into, size_t bytes) override {
    if (at_ == segment_.size()) {
      if (next_ == segments_.size()) return 0;
      absl::StatusOr<std::string> segment = ReadUsage(book_, segments_[next_]);
      // Not DataLoss: to a reader that would be a file which is another one now (BlockReader::SkipTo).
      if (!segment.ok()) return absl::Status(absl::StatusCode::kUnavailable, segment.status().message());
      ++next_;
      segment_ = *std::move(segment);
      at_ = 0;
    }
    const size_t take = std::min(bytes, segment_.size() - at_);
    std::memcpy(into, segment_.data() + at_, take);
    at_ += take;
    bytes_read_ += take;
    return take;
  }
  uint64_t bytes_read() const override { return bytes_read_; }
  std::chrono::nanoseconds waited() const override { return {}; }

 private:
  const Book& book_;
  const std::vector<UsageSegment> segments_;
  size_t next_ = 0;
  std::string segment_;
  size_t at_ = 0;
  uint64_t bytes_read_ = 0;
};

}  // namespace

struct FramePacker::Context {
  Context() : zstd(ZSTD_createCCtx()) {
    if (zstd == nullptr) throw std::bad_alloc();
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, kLevel);
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { ZSTD_freeCCtx(zstd); }
  ZSTD_CCtx* const zstd;
  std::vector<char> frame;  // the next one, with room for what does not get smaller
};

FramePacker::FramePacker() = default;
FramePacker::~FramePacker() = default;
FramePacker::FramePacker(FramePacker&& other) noexcept = default;

void FramePacker::Pack(std::string_view bytes, std::string* packed) {
  if (bytes.empty()) return;
  if (context_ == nullptr) context_ = std::make_unique<Context>();  // a thread that packs nothing has none
  std::vector<char>& frame = context_->frame;
  if (const size_t bound = ZSTD_compressBound(bytes.size()); frame.size() < bound) frame.resize(bound);
  const size_t size = ZSTD_compress2(context_->zstd, frame.data(), frame.size(), bytes.data(), bytes.size());
  TOLLBOOK_ASSERT(!ZSTD_isError(size));  // the room was enough
  packed->append(frame.data(), size);
}

void SegmentCollector::Add(uint32_t source, uint64_t first_offset, uint64_t end_offset, std::string_view frames) {
  if (frames.empty()) return;
  const bool goes_on = !segments_.empty() && segments_.back().source == source &&
                       segments_.back().end_offset == first_offset && segments_.back().packed.size() < kSegmentBytes;
  if (!goes_on) segments_.push_back({source, first_offset, first_offset, ""});
  segments_.back().end_offset = end_offset;
  std::string& packed = segments_.back().packed;
  const size_t needed = packed.size() + frames.size();
  if (needed > packed.capacity() && !packed.empty())
    packed.reserve(std::min(kSegmentGrowth * needed, kSegmentBytes + frames.size()));
  packed.append(frames);
}

absl::Status UsageLogReader::Open() {
  absl::StatusOr<std::vector<UsageSegment>> segments = UsageSegments(book_);
  if (!segments.ok()) return segments.status();
  for (UsageSegment& segment : *segments) segments_[segment.source].push_back(segment);
  return absl::OkStatus();
}

UsageLogReader::Has UsageLogReader::Of(const SourceRecord& source) const {
  const auto found = segments_.find(source.id);
  if (found == segments_.end()) return Has::kNothing;
  uint64_t end = 0;
  bool is_purged = false;
  for (const UsageSegment& segment : found->second) {
    is_purged = is_purged || segment.purged_by != 0;
    if (segment.first_offset == end) end = segment.end_offset;
  }
  if (is_purged) return Has::kPurged;
  return end == source.offset ? Has::kWhole : Has::kNothing;
}

uint64_t UsageLogReader::purged_by(uint32_t source) const {
  uint64_t purged_by = 0;
  const auto found = segments_.find(source);
  if (found == segments_.end()) return purged_by;
  for (const UsageSegment& segment : found->second) purged_by = std::max(purged_by, segment.purged_by);
  return purged_by;
}

std::unique_ptr<ByteSource> UsageLogReader::Content(uint32_t source) const {
  return MakeZstdSource(std::make_unique<SegmentSource>(book_, segments_.at(source)), "the usage log");
}

std::optional<InputFile> LoggedFile(const SourceRecord& source,
                                    const std::vector<std::vector<SourceMapping>>& mappings) {
  InputFile file;
  file.path = source.path;
  file.name = WithoutPacking(std::filesystem::path(source.path).filename().string());
  file.bytes = source.offset;
  file.regular = true;
  if (ReadingOf(file) == source.reading) return file;
  file.format = InputFormat::kCsv;
  for (const std::vector<SourceMapping>& of_catalog : mappings) {
    for (const SourceMapping& mapping : of_catalog) {
      file.mapping = &mapping;
      if (mapping.format == InputFormat::kCsv && ReadingOf(file) == source.reading) return file;
    }
  }
  return std::nullopt;
}

}  // namespace tollbook
