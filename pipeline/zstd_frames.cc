// The frames of a zstd file, several unpacked side by side, given in order.
//
// Frames are cut off the file in runs of some megabytes, each unpacked by a thread of its own. Whatever is out of the
// ordinary (a frame that is large, damaged or cut off, one that wants a dictionary, bytes that are no frame) is not
// judged here: what is not given yet goes to the plain source, and so does the rest of the file. So the content, and
// the judgement of damage, are the plain source's. (How much of a damaged frame is given, and what zstd names it,
// depend on how much of it is read at a time.)
//
// Memory: of one more run than there are threads, each at most kRunPackedMax packed and kRunContentMax unpacked.
#include <deque>
#include <future>
#include <mutex>
#include <optional>
#include <vector>

#include "pipeline/byte_source.h"
#include "pipeline/piece_store.h"
#include "pipeline/zstd_context.h"

namespace tollbook {
namespace {

constexpr size_t kReadBytes = 256 << 10;
// A run ends behind the frame with which it comes to so much. pzstd's frames are 8 MiB of content in 1 to 2 MiB.
constexpr size_t kRunPacked = 512 << 10;
constexpr uint64_t kRunContent = 4 << 20;
constexpr uint64_t kLikelyRatioMax = 32;  // where a frame does not say what it comes to
// A run that comes to more is unpacked by the plain source.
constexpr size_t kRunPackedMax = 8 << 20;
constexpr uint64_t kRunContentMax = 16 << 20;

class ZstdFramesSource final : public ByteSource {
 public:
  ZstdFramesSource(std::unique_ptr<ByteSource> packed, std::string path, size_t threads)
      : packed_(std::move(packed)), path_(std::move(path)), threads_(threads) {}

  absl::StatusOr<size_t> Read(char* into, size_t bytes) override {
    while (plain_ == nullptr && given_ == content_.bytes) NextRun();
    if (plain_ != nullptr) return plain_->Read(into, bytes);
    const size_t size = CopyOut(content_, given_, into, bytes);
    given_ += size;
    return size;
  }
  uint64_t bytes_read() const override { return plain_ ? plain_->bytes_read() : packed_->bytes_read(); }
  std::chrono::nanoseconds waited() const override { return {}; }

 private:
  struct Run {
    std::string packed;
    std::future<std::optional<Pieces>> content;  // none: it is for the plain source
  };

  // Takes the next run's content, or goes over to the plain source.
  void NextRun() {
    store_.GiveBack(&content_);
    given_ = 0;
    while (!runs_are_over_ && runs_.size() <= threads_) StartRun();
    if (!runs_.empty()) {
      std::optional<Pieces> content = runs_.front().content.get();
      if (content) {
        content_ = *std::move(content);
        idle_packed_ = std::move(runs_.front().packed);
        runs_.pop_front();
        return;
      }
    }
    std::string rest;
    for (Run& run : runs_) rest += run.packed;
    runs_.clear();
    rest.append(ahead_, ahead_at_);
    plain_ = MakeZstdSource(MakePrefixedSource(std::move(rest), std::move(packed_)), path_);
  }

  void StartRun() {
    size_t size = 0;
    uint64_t content = 0;
    while (size < kRunPacked && content < kRunContent) {
      const size_t frame = WholeFrame(size);
      if (frame == 0) break;
      const uint64_t declared = DeclaredContent(size);
      const bool is_known = declared != ZSTD_CONTENTSIZE_UNKNOWN;
      if (is_known && size > 0 && content + declared > kRunContentMax) break;
      content += is_known ? declared : frame * kLikelyRatioMax;
      size += frame;
    }
    if (size == 0) {
      runs_are_over_ = true;
      return;
    }
    Run& run = runs_.emplace_back();
    run.packed = std::move(idle_packed_);
    run.packed.assign(ahead_, ahead_at_, size);
    ahead_at_ += size;
    // A deque's elements stay where they are.
    run.content = std::async(std::launch::async, [this, &packed = run.packed] { return UnpackRun(packed); });
  }

  // The size of the frame that begins `at` bytes behind what was cut off; 0: there is none that is whole and small.
  size_t WholeFrame(size_t at) {
    for (;;) {
      const size_t left = ahead_.size() - ahead_at_ - at;
      const size_t size = ZSTD_findFrameCompressedSize(ahead_.data() + ahead_at_ + at, left);
      const uint64_t declared = DeclaredContent(at);
      const bool is_large = declared > kRunContentMax && declared < ZSTD_CONTENTSIZE_ERROR;
      if (!ZSTD_isError(size)) return is_large ? 0 : size;
      if (is_large || at + left >= kRunPackedMax || !ReadMore()) return 0;
    }
  }

  uint64_t DeclaredContent(size_t at) const {
    return ZSTD_getFrameContentSize(ahead_.data() + ahead_at_ + at, ahead_.size() - ahead_at_ - at);
  }

  // An error comes again when the plain source reads on.
  bool ReadMore() {
    ahead_.erase(0, ahead_at_);
    ahead_at_ = 0;
    const size_t before = ahead_.size();
    ahead_.resize(before + kReadBytes);
    const absl::StatusOr<size_t> got = packed_->Read(ahead_.data() + before, kReadBytes);
    ahead_.resize(before + (got.ok() ? *got : 0));
    return got.ok() && *got > 0;
  }

  // In a thread of its own, as are the next two.
  std::optional<Pieces> UnpackRun(const std::string& packed) {
    ZstdContext context = TakeContext();
    Pieces content;
    const bool is_plain = UnpackInto(context.get(), packed, &content);
    GiveBack(std::move(context));
    if (is_plain) return content;
    store_.GiveBack(&content);
    return std::nullopt;
  }

  bool UnpackInto(ZSTD_DCtx* context, const std::string& packed, Pieces* content) {
    ZSTD_DCtx_reset(context, ZSTD_reset_session_only);
    ZSTD_inBuffer in{packed.data(), packed.size(), 0};
    for (;;) {
      if (content->bytes == content->buffers.size() * kUnpackedPiece) {
        if (content->bytes == kRunContentMax) return false;
        content->buffers.push_back(store_.Take());
      }
      const size_t used = content->bytes % kUnpackedPiece;
      ZSTD_outBuffer out{content->buffers.back().data(), kUnpackedPiece, used};
      const size_t answer = ZSTD_decompressStream(context, &out, &in);
      content->bytes += out.pos - used;
      if (ZSTD_isError(answer)) return false;
      if (answer == 0 && in.pos == in.size) return true;
      if (in.pos == in.size && out.pos < out.size) return false;  // it wants more: no whole frame after all
    }
  }

  ZstdContext TakeContext() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_contexts_.empty()) {
        ZstdContext context = std::move(idle_contexts_.back());
        idle_contexts_.pop_back();
        return context;
      }
    }
    return MakeZstdContext();
  }
  void GiveBack(ZstdContext context) {
    const std::lock_guard lock(mutex_);
    idle_contexts_.push_back(std::move(context));
  }

  std::unique_ptr<ByteSource> packed_;
  const std::string path_;
  const size_t threads_;
  std::string ahead_;  // read and in no run yet, from `ahead_at_` on
  size_t ahead_at_ = 0;
  bool runs_are_over_ = false;
  std::string idle_packed_;  // a run's, for its memory
  Pieces content_;           // of the run that is being given
  uint64_t given_ = 0;       // of it
  std::unique_ptr<ByteSource> plain_;
  PieceStore store_;
  std::mutex mutex_;  // guards the next
  std::vector<ZstdContext> idle_contexts_;
  std::deque<Run> runs_;  // the last: their threads use the others
};

}  // namespace

std::unique_ptr<ByteSource> MakeZstdFramesSource(std::unique_ptr<ByteSource> packed, std::string path, size_t threads) {
  return std::make_unique<ZstdFramesSource>(std::move(packed), std::move(path), threads);
}

}  // namespace tollbook
