#include "pipeline/unpacked.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace tollbook {
namespace {

constexpr size_t kPiecesAhead = 4;
// Telemetry packs to a fifth and better. A file that is likely to come to more than the bound is not kept at all: what
// is kept of it would be memory touched for nothing.
constexpr uint64_t kLikelyRatio = 4;

bool IsLikelyToFit(uint64_t packed_bytes, uint64_t keep_bytes) {
  return packed_bytes <= kUnpackedPiece || packed_bytes <= keep_bytes / kLikelyRatio;
}

// Reads until the piece is full, or there is no more: then the answer is smaller.
absl::StatusOr<size_t> ReadPiece(ByteSource& source, char* into) {
  size_t size = 0;
  while (size < kUnpackedPiece) {
    absl::StatusOr<size_t> got = source.Read(into + size, kUnpackedPiece - size);
    if (!got.ok()) return got;
    if (*got == 0) break;
    size += *got;
  }
  return size;
}

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::shared_ptr<const Unpacked> content) : content_(std::move(content)) {}

  absl::StatusOr<size_t> Read(char* into, size_t bytes) override {
    const size_t size = CopyOut(content_->kept, given_, into, bytes);
    given_ += size;
    return size;
  }
  // For progress: as if all of it were packed as well.
  uint64_t bytes_read() const override {
    if (given_ == content_->bytes) return content_->packed_bytes;
    return static_cast<uint64_t>(static_cast<double>(content_->packed_bytes) * static_cast<double>(given_) /
                                 static_cast<double>(content_->bytes));
  }
  std::chrono::nanoseconds waited() const override { return {}; }

 private:
  const std::shared_ptr<const Unpacked> content_;
  uint64_t given_ = 0;
};

class SourceAhead final : public ByteSource {
 public:
  explicit SourceAhead(std::unique_ptr<ByteSource> source) : source_(std::move(source)), thread_([this] { Run(); }) {}
  ~SourceAhead() override {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  absl::StatusOr<size_t> Read(char* into, size_t bytes) override {
    if (at_ == current_.bytes) TOLLBOOK_RETURN_IF_ERROR(NextPiece());
    const size_t take = std::min(bytes, current_.bytes - at_);
    std::memcpy(into, current_.buffer.data() + at_, take);
    at_ += take;
    return take;
  }
  uint64_t bytes_read() const override { return current_.bytes_read; }
  std::chrono::nanoseconds waited() const override { return {}; }

 private:
  struct Piece {
    AlignedBuffer buffer;
    size_t bytes = 0;
    uint64_t bytes_read = 0;
    absl::Status failure;  // behind the bytes; with none of either it is the end
  };

  // The piece that was read goes back to be filled again.
  absl::Status NextPiece() {
    if (ended_) return current_.failure;
    std::unique_lock lock(mutex_);
    if (current_.buffer.capacity() > 0) idle_.push_back(std::move(current_.buffer));
    changed_.notify_all();
    changed_.wait(lock, [this] { return !filled_.empty(); });
    current_ = std::move(filled_.front());
    filled_.pop_front();
    at_ = 0;
    ended_ = current_.bytes == 0;
    return ended_ ? current_.failure : absl::OkStatus();
  }

  void Run() {
    for (size_t made = 0;;) {
      Piece piece;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return ending_ || !idle_.empty() || made < kPiecesAhead; });
        if (ending_) return;
        if (!idle_.empty()) {
          piece.buffer = std::move(idle_.back());
          idle_.pop_back();
        }
      }
      if (piece.buffer.capacity() == 0) {
        piece.buffer = AlignedBuffer(kUnpackedPiece);
        ++made;
      }
      absl::StatusOr<size_t> got = source_->Read(piece.buffer.data(), kUnpackedPiece);
      if (got.ok()) piece.bytes = *got;
      piece.failure = got.status();
      piece.bytes_read = source_->bytes_read();
      const bool last = piece.bytes == 0;
      {
        const std::lock_guard lock(mutex_);
        filled_.push_back(std::move(piece));
      }
      changed_.notify_all();
      if (last) return;
    }
  }

  const std::unique_ptr<ByteSource> source_;  // the thread's
  std::mutex mutex_;                          // guards the next three
  std::deque<Piece> filled_;
  std::vector<AlignedBuffer> idle_;
  bool ending_ = false;
  std::condition_variable changed_;
  Piece current_;  // the reader's, as is the rest
  size_t at_ = 0;
  bool ended_ = false;
  std::thread thread_;  // the last: it uses the others
};

}  // namespace

Unpacked Unpack(const InputFile& file, const UnpackOptions& options) {
  Unpacked unpacked;
  unpacked.packed_bytes = file.bytes;
  absl::StatusOr<std::unique_ptr<ByteSource>> source = OpenSource(file.path, {}, options.threads);
  if (!source.ok()) {
    unpacked.status = source.status();
    return unpacked;
  }
  PieceStore fresh;
  PieceStore& pieces = options.pieces != nullptr ? *options.pieces : fresh;
  AlignedBuffer piece;
  for (unpacked.whole = IsLikelyToFit(file.bytes, options.keep_bytes);;) {
    if (options.stopped && options.stopped()) {
      unpacked.status = MakeError(absl::StatusCode::kCancelled, "stopped while checking", file.path, "run again");
      break;
    }
    if (piece.data() == nullptr) piece = pieces.Take();
    absl::StatusOr<size_t> got = ReadPiece(**source, piece.data());
    if (!got.ok()) unpacked.status = got.status();
    if (!got.ok() || *got == 0) break;
    unpacked.bytes += *got;
    if (unpacked.bytes > options.keep_bytes) {
      unpacked.whole = false;
      unpacked.kept = {};
    }
    if (!unpacked.whole) continue;
    unpacked.kept.buffers.push_back(std::move(piece));
    unpacked.kept.bytes += *got;
  }
  if (piece.data() != nullptr) pieces.GiveBack(std::move(piece));
  if (!unpacked.status.ok()) pieces.GiveBack(&unpacked.kept);
  return unpacked;
}

namespace {

size_t PackedFiles(const InputList& inputs, size_t at_most) {
  size_t count = 0;
  for (const InputFile& file : inputs.files) {
    if (count == at_most) break;
    count += file.regular && file.compression != Compression::kNone ? 1 : 0;
  }
  return std::max<size_t>(count, 1);
}

}  // namespace

UnpackAhead::UnpackAhead(const InputList& inputs, size_t threads, uint64_t keep_bytes, const std::atomic<bool>* stop)
    : inputs_(inputs),
      files_(threads),
      threads_a_file_(std::max<size_t>(threads / PackedFiles(inputs, threads), 1)),
      keep_bytes_(keep_bytes),
      stop_(stop) {}

UnpackAhead::~UnpackAhead() {
  ending_ = true;  // the futures wait for their threads
}

void UnpackAhead::Begin(size_t file, const std::function<bool(const InputFile&)>& wanted) {
  // What was begun with and then passed over, since a file before it came to the same.
  under_way_.erase(under_way_.begin(), under_way_.lower_bound(file));
  for (next_ = std::max(next_, file); next_ < inputs_.files.size() && under_way_.size() < files_; ++next_) {
    const InputFile& next = inputs_.files[next_];
    if (next.regular && next.compression != Compression::kNone && wanted(next)) BeginOne(next_);
  }
}

void UnpackAhead::BeginOne(size_t file) {
  UnpackOptions options;
  options.keep_bytes = keep_bytes_;
  options.threads = threads_a_file_;
  options.stopped = [this] { return ending_ || (stop_ != nullptr && stop_->load(std::memory_order_relaxed)); };
  options.pieces = pieces_.get();
  under_way_[file] =
      std::async(std::launch::async, [this, file, options] { return Unpack(inputs_.files[file], options); });
}

std::shared_ptr<const Unpacked> UnpackAhead::Take(size_t file) {
  if (!under_way_.contains(file)) BeginOne(file);
  const std::shared_ptr<Unpacked> unpacked(new Unpacked(under_way_[file].get()), [pieces = pieces_](Unpacked* done) {
    pieces->GiveBack(&done->kept);
    delete done;
  });
  under_way_.erase(file);
  return unpacked;
}

absl::StatusOr<std::unique_ptr<ByteSource>> OpenUnpacked(const InputFile& file,
                                                         std::shared_ptr<const Unpacked> unpacked, size_t threads) {
  if (unpacked->whole) return std::make_unique<MemorySource>(std::move(unpacked));
  absl::StatusOr<std::unique_ptr<ByteSource>> source = OpenSource(file.path, {}, threads);
  if (!source.ok()) return source;
  return MakeSourceAhead(*std::move(source));
}

std::unique_ptr<ByteSource> MakeSourceAhead(std::unique_ptr<ByteSource> source) {
  return std::make_unique<SourceAhead>(std::move(source));
}

}  // namespace tollbook
