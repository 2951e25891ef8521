#define XXH_INLINE_ALL  // over every byte of the input, so with this machine's instructions
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "ledger/first_touch.h"
#include "pipeline/byte_source.h"
#include "pipeline/decode.h"
#include "pipeline/input.h"

namespace tollbook {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kExcerptBytes = 256;
constexpr size_t kSkipBytes = 1 << 20;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

class ContentDigest {
 public:
  ContentDigest() { Reset(); }
  void Reset() { XXH3_128bits_reset(&state_); }
  void Add(const char* data, size_t bytes) { XXH3_128bits_update(&state_, data, bytes); }
  XXH128_hash_t Get() const { return XXH3_128bits_digest(&state_); }

 private:
  XXH3_state_t state_;
};

// Where to cut: `bytes` are whole lines; behind them begins a line above the limit, or one that is not whole yet.
struct Cut {
  size_t bytes = 0;
  bool long_line = false;
};

// Hops from window to window by the last line end in each: a line above the limit is the only one that can leave a
// window of limit + 1 bytes without any line end. So only the bytes near a window's end are looked at.
Cut CutLines(std::string_view text, size_t line_bytes_max, bool is_final) {
  size_t at = 0;
  while (at < text.size()) {
    const std::string_view window = text.substr(at, line_bytes_max + 1);
    const size_t last_end = window.rfind('\n');
    if (last_end != std::string_view::npos) {
      at += last_end + 1;
    } else if (window.size() > line_bytes_max) {
      return {at, true};
    } else {
      return {is_final ? text.size() : at, false};
    }
  }
  return {at, false};
}

uint64_t LineEnds(std::string_view text) {
  return static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

class FileBlockReader final : public BlockReader {
 public:
  FileBlockReader(const InputFile& file, const ReaderOptions& options, OpenContent open)
      : file_(file), options_(options), open_(std::move(open)) {}

  absl::Status Start() {
    source_.reset();
    carry_.clear();
    header_.clear();
    at_end_ = false;
    failure_ = absl::OkStatus();
    digest_.Reset();
    offset_ = rows_ = 0;
    last_byte_ = '\n';
    at_start_ = true;
    absl::StatusOr<std::unique_ptr<ByteSource>> source = open_();
    if (!source.ok()) return source.status();
    source_ = *std::move(source);
    return ReadPreamble();
  }

  std::string_view header() const override { return header_; }

  absl::StatusOr<bool> SkipTo(const SourcePosition& position) override {
    if (!at_start_) TOLLBOOK_RETURN_IF_ERROR(Start());
    if (position.offset == 0) return true;
    if (!file_.regular) {
      return MakeError(absl::StatusCode::kFailedPrecondition, "cannot go on in the middle of a stream", file_.path,
                       "give it from its start: what the book has seen is recognised");
    }
    at_start_ = false;
    const absl::StatusOr<bool> same = SkipForward(position);
    if (!same.ok()) return same;
    if (!*same) TOLLBOOK_RETURN_IF_ERROR(Start());
    return *same;
  }

  absl::StatusOr<bool> Next(Block* block) override {
    at_start_ = false;
    block->bytes = 0;
    block->long_lines.clear();
    block->arena.Clear();
    block->offset = offset_;
    block->first_row = options_.count_rows ? rows_ + 1 : 0;
    idle_ = false;
    const std::chrono::nanoseconds waited_before = source_->waited();
    FillBlock(block);
    block->waited = source_->waited() - waited_before;
    if (block->bytes > 0 || !block->long_lines.empty() || idle_) return true;
    if (!failure_.ok()) return failure_;
    return false;
  }

  SourcePosition position() const override {
    const XXH128_hash_t digest = digest_.Get();
    return {offset_, rows_, digest.low64, digest.high64};
  }
  uint64_t bytes_read() const override { return source_->bytes_read(); }

 private:
  bool ended() const { return at_end_ || !failure_.ok(); }

  enum class Patience { kWait, kGiveWhatIsThere };

  // Reads until `bytes` are there or nothing more comes; an error is kept until what came before it is given.
  size_t Fill(char* into, size_t bytes, Patience patience = Patience::kWait) {
    const bool may_give_early = patience == Patience::kGiveWhatIsThere && !file_.regular && options_.idle_millis >= 0;
    const Clock::time_point due =
        may_give_early ? Clock::now() + std::chrono::milliseconds(options_.idle_millis) : Clock::time_point::max();
    size_t size = 0;
    while (size < bytes && !ended()) {
      if (may_give_early && size > 0 && Clock::now() >= due) {
        idle_ = true;
        break;
      }
      absl::StatusOr<size_t> got = source_->Read(into + size, bytes - size);
      if (absl::IsDeadlineExceeded(got.status())) {
        if (patience == Patience::kWait) continue;
        idle_ = true;
        break;
      }
      if (!got.ok()) {
        failure_ = got.status();
      } else if (*got == 0) {
        at_end_ = true;
      } else {
        size += *got;
      }
    }
    return size;
  }

  void FillCarry(size_t bytes) {
    const size_t before = carry_.size();
    carry_.resize(before + bytes);
    carry_.resize(before + Fill(carry_.data() + before, bytes));
  }

  // These bytes are given (or passed over): they are part of the position.
  void Account(std::string_view bytes) {
    if (bytes.empty()) return;
    digest_.Add(bytes.data(), bytes.size());
    offset_ += bytes.size();
    last_byte_ = bytes.back();
  }
  void CountRows(std::string_view lines) {
    if (!options_.count_rows || lines.empty()) return;
    rows_ += LineEnds(lines) + (lines.back() == '\n' ? 0 : 1);
  }

  // A byte order mark, and a CSV file's header line.
  absl::Status ReadPreamble() {
    FillCarry(kByteOrderMark.size());
    if (carry_ == kByteOrderMark) ConsumeCarry(carry_.size());
    return file_.format == InputFormat::kCsv ? ReadHeader() : absl::OkStatus();
  }

  absl::Status ReadHeader() {
    size_t end = carry_.find('\n');
    while (end == std::string::npos && !ended() && carry_.size() <= options_.line_bytes_max) {
      const size_t before = carry_.size();
      FillCarry(std::min<size_t>(4096, options_.block_bytes));
      end = carry_.find('\n', before);
    }
    TOLLBOOK_RETURN_IF_ERROR(failure_.ok() || end != std::string::npos ? absl::OkStatus() : failure_);
    if (std::min(end, carry_.size()) > options_.line_bytes_max) {
      return MakeError(absl::StatusCode::kInvalidArgument, "the header line is too long", file_.path,
                       "a CSV file begins with one line of column names, at most " +
                           std::to_string(options_.line_bytes_max) + " bytes");
    }
    header_ = carry_.substr(0, end);
    if (header_.ends_with('\r')) header_.pop_back();
    ConsumeCarry(end == std::string::npos ? carry_.size() : end + 1);
    return absl::OkStatus();
  }

  void ConsumeCarry(size_t bytes) {
    Account(std::string_view(carry_).substr(0, bytes));
    carry_.erase(0, bytes);
  }

  void EnsureStorage(Block* block, size_t bytes) {
    if (block->storage.capacity() < bytes + kLinePadding) {
      block->storage = AlignedBuffer(bytes + kLinePadding);
      if (file_.bytes >= bytes) TouchAhead(block->storage.data(), bytes);  // the file will fill it
    }
    block->data = block->storage.data();
  }

  void FillBlock(Block* block) {
    size_t room = std::max({options_.block_bytes, carry_.size(), size_t{1}});
    EnsureStorage(block, room);
    std::memcpy(block->data, carry_.data(), carry_.size());
    size_t size = carry_.size();
    Cut cut;
    for (;;) {
      size += Fill(block->data + size, room - size, Patience::kGiveWhatIsThere);
      cut = CutLines({block->data, size}, options_.line_bytes_max, at_end_);
      if (cut.bytes > 0 || cut.long_line || ended() || idle_) break;
      room = GrowStorage(block, size);  // one line fills the whole block and is not above the limit
    }
    // Behind a read error or damage there is no whole line: what is left of one is not given.
    carry_.assign(block->data + cut.bytes, failure_.ok() || cut.long_line ? size - cut.bytes : 0);
    block->bytes = cut.bytes;
    std::memset(block->data + block->bytes, 0, kLinePadding);
    const std::string_view lines(block->data, block->bytes);
    Account(lines);
    CountRows(lines);
    if (cut.long_line) block->long_lines.push_back(PassOverLongLine(LineEnds(lines)));
  }

  static size_t GrowStorage(Block* block, size_t size) {
    const size_t room = size * 2;
    AlignedBuffer larger(room + kLinePadding);
    std::memcpy(larger.data(), block->data, size);
    block->storage = std::move(larger);
    block->data = block->storage.data();
    return room;
  }

  Block::LongLine PassOverLongLine(uint64_t lines_before) {
    Block::LongLine line{offset_, 0, lines_before, carry_.substr(0, kExcerptBytes)};
    size_t end = carry_.find('\n');
    while (end == std::string::npos && !ended()) {
      ConsumeCarry(carry_.size());
      FillCarry(options_.block_bytes);
      end = carry_.find('\n');
    }
    ConsumeCarry(end == std::string::npos ? carry_.size() : end + 1);
    line.bytes = offset_ - line.offset;
    if (options_.count_rows) ++rows_;
    return line;
  }

  absl::StatusOr<bool> SkipForward(const SourcePosition& position) {
    if (position.offset < offset_) return false;
    while (offset_ < position.offset) {
      if (carry_.empty()) FillCarry(kSkipBytes);
      if (carry_.empty() && !failure_.ok() && failure_.code() != absl::StatusCode::kDataLoss) return failure_;
      if (carry_.empty()) return false;  // shorter than the content that was read
      ConsumeCarry(std::min<uint64_t>(carry_.size(), position.offset - offset_));
    }
    const XXH128_hash_t digest = digest_.Get();
    if (digest.low64 != position.digest_low || digest.high64 != position.digest_high) return false;
    rows_ = position.rows;
    return FinishPartialLine();
  }

  // The file ended without a line end when it was read, and its last piece was given as a line. If it has grown since
  // by a line end, that belongs to the line already given. If the line itself went on, it must be read as a whole: the
  // file counts as another one, is read from its start, and what the book has seen is recognised event by event.
  bool FinishPartialLine() {
    if (last_byte_ == '\n') return true;
    if (carry_.size() < 2) FillCarry(2);
    if (carry_.empty()) return true;
    const size_t end = carry_.starts_with("\r\n") ? 2 : carry_.starts_with('\n') ? 1 : 0;
    ConsumeCarry(end);
    return end > 0;
  }

  const InputFile file_;
  const ReaderOptions options_;
  const OpenContent open_;
  std::unique_ptr<ByteSource> source_;
  std::string carry_;  // read from the source and not given yet
  std::string header_;
  bool at_end_ = false;
  bool at_start_ = true;
  bool idle_ = false;  // the pipe gave nothing, or too little, for a while: the block ends early
  absl::Status failure_;
  ContentDigest digest_;
  uint64_t offset_ = 0;
  uint64_t rows_ = 0;
  char last_byte_ = '\n';
};

}  // namespace

absl::StatusOr<std::unique_ptr<BlockReader>> BlockReader::Open(const InputFile& file, const ReaderOptions& options) {
  return Open(file, options, [path = file.path, waiting = Waiting{options.stop, options.idle_millis}] {
    return OpenSource(path, waiting);
  });
}

absl::StatusOr<std::unique_ptr<BlockReader>> BlockReader::Open(const InputFile& file, const ReaderOptions& options,
                                                               OpenContent open) {
  auto reader = std::make_unique<FileBlockReader>(file, options, std::move(open));
  TOLLBOOK_RETURN_IF_ERROR(reader->Start());
  return reader;
}

absl::StatusOr<FileDigest> DigestFile(const std::string& path) {
  absl::StatusOr<std::unique_ptr<ByteSource>> file = OpenFileSource(path);
  if (!file.ok()) return file.status();
  ContentDigest digest;
  const AlignedBuffer buffer(kSkipBytes);
  for (;;) {
    absl::StatusOr<size_t> got = (*file)->Read(buffer.data(), kSkipBytes);
    if (!got.ok()) return got.status();
    if (*got == 0) break;
    digest.Add(buffer.data(), *got);
  }
  return FileDigest{digest.Get().low64, digest.Get().high64};
}

}  // namespace tollbook
