#include <vector>

#include "pipeline/byte_source.h"
#include "pipeline/zstd_context.h"

namespace tollbook {
namespace {

class ZstdSource final : public ByteSource {
 public:
  ZstdSource(std::unique_ptr<ByteSource> packed, std::string path)
      : packed_(std::move(packed)),
        path_(std::move(path)),
        context_(MakeZstdContext()),
        buffer_(ZSTD_DStreamInSize()) {}

  absl::StatusOr<size_t> Read(char* into, size_t bytes) override {
    if (!failure_.ok() && !absl::IsDeadlineExceeded(failure_)) return failure_;
    ZSTD_outBuffer out{into, bytes, 0};
    failure_ = Unpack(&out);
    if (out.pos == 0 && !failure_.ok()) return failure_;
    return out.pos;
  }
  uint64_t bytes_read() const override { return packed_->bytes_read(); }
  std::chrono::nanoseconds waited() const override { return packed_->waited(); }

 private:
  absl::Status Unpack(ZSTD_outBuffer* out) {
    while (out->pos < out->size) {
      if (in_.pos == in_.size && !may_hold_more_) {
        if (out->pos > 0) return absl::OkStatus();  // what there is, before a pipe is waited for
        TOLLBOOK_RETURN_IF_ERROR(Refill());
        if (in_.size == 0) return inside_frame_ ? Damaged("it ends in the middle") : absl::OkStatus();
      }
      const size_t before = out->pos;
      const size_t answer = ZSTD_decompressStream(context_.get(), out, &in_);
      if (ZSTD_isError(answer)) return Damaged(ZSTD_getErrorName(answer));
      inside_frame_ = answer != 0;
      // With the input used up, the context may still hold unpacked bytes: ask again until it gives none.
      may_hold_more_ = inside_frame_ && out->pos != before;
    }
    return absl::OkStatus();
  }

  absl::Status Refill() {
    absl::StatusOr<size_t> got = packed_->Read(buffer_.data(), buffer_.size());
    if (!got.ok()) return got.status();
    in_ = {buffer_.data(), *got, 0};
    return absl::OkStatus();
  }

  absl::Status Damaged(const std::string& how) const {
    return MakeError(absl::StatusCode::kDataLoss, "the zstd file is damaged",
                     path_ + " at byte " + std::to_string(packed_->bytes_read() - (in_.size - in_.pos)),
                     how + "; get the file again from its source");
  }

  std::unique_ptr<ByteSource> packed_;
  const std::string path_;
  const ZstdContext context_;
  std::vector<char> buffer_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  bool inside_frame_ = false;
  bool may_hold_more_ = false;
  absl::Status failure_;
};

}  // namespace

std::unique_ptr<ByteSource> MakeZstdSource(std::unique_ptr<ByteSource> packed, std::string path) {
  return std::make_unique<ZstdSource>(std::move(packed), std::move(path));
}

}  // namespace tollbook
