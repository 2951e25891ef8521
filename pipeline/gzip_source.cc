#include <zlib.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "pipeline/byte_source.h"

namespace tollbook {
namespace {

constexpr size_t kPackedBytes = 256 << 10;
constexpr int kGzipOnly = 15 + 16;  // the largest window, and a gzip header rather than a zlib one

class GzipSource final : public ByteSource {
 public:
  GzipSource(std::unique_ptr<ByteSource> packed, std::string path)
      : packed_(std::move(packed)), path_(std::move(path)), buffer_(kPackedBytes) {
    if (inflateInit2(&stream_, kGzipOnly) != Z_OK) throw std::bad_alloc();
  }
  ~GzipSource() override { inflateEnd(&stream_); }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  absl::StatusOr<size_t> Read(char* into, size_t bytes) override {
    if (!failure_.ok() && !absl::IsDeadlineExceeded(failure_)) return failure_;
    const auto room = static_cast<uInt>(std::min<size_t>(bytes, std::numeric_limits<uInt>::max()));
    stream_.next_out = reinterpret_cast<Bytef*>(into);
    stream_.avail_out = room;
    failure_ = Unpack(room);
    const size_t got = room - stream_.avail_out;
    if (got == 0 && !failure_.ok()) return failure_;
    return got;
  }
  uint64_t bytes_read() const override { return packed_->bytes_read(); }
  std::chrono::nanoseconds waited() const override { return packed_->waited(); }

 private:
  absl::Status Unpack(uInt room) {
    while (stream_.avail_out > 0) {
      if (stream_.avail_in == 0) {
        if (stream_.avail_out < room) return absl::OkStatus();  // what there is, before a pipe is waited for
        TOLLBOOK_RETURN_IF_ERROR(Refill());
        if (stream_.avail_in == 0) return inside_member_ ? Damaged("it ends in the middle") : absl::OkStatus();
      }
      if (!inside_member_) {
        if (stream_.next_in[0] == 0 || padding_) {
          TOLLBOOK_RETURN_IF_ERROR(SkipPadding());
          continue;
        }
        inflateReset(&stream_);
        inside_member_ = true;
      }
      const int answer = inflate(&stream_, Z_NO_FLUSH);
      if (answer == Z_STREAM_END) {
        inside_member_ = false;
      } else if (answer != Z_OK && answer != Z_BUF_ERROR) {
        return Damaged(stream_.msg != nullptr ? stream_.msg : "its bytes are not gzip");
      }
    }
    return absl::OkStatus();
  }

  // Tapes and block devices fill up the last block with zeros; gzip itself passes over them too.
  absl::Status SkipPadding() {
    padding_ = true;
    while (stream_.avail_in > 0 && stream_.next_in[0] == 0) {
      ++stream_.next_in;
      --stream_.avail_in;
    }
    return stream_.avail_in == 0 ? absl::OkStatus() : Damaged("bytes follow the padding behind its last member");
  }

  absl::Status Refill() {
    absl::StatusOr<size_t> got = packed_->Read(reinterpret_cast<char*>(buffer_.data()), buffer_.size());
    if (!got.ok()) return got.status();
    stream_.next_in = buffer_.data();
    stream_.avail_in = static_cast<uInt>(*got);
    return absl::OkStatus();
  }

  absl::Status Damaged(const std::string& how) const {
    return MakeError(absl::StatusCode::kDataLoss, "the gzip file is damaged",
                     path_ + " at byte " + std::to_string(packed_->bytes_read() - stream_.avail_in),
                     how + "; get the file again from its source");
  }

  std::unique_ptr<ByteSource> packed_;
  const std::string path_;
  std::vector<Bytef> buffer_;
  z_stream stream_{};
  bool inside_member_ = false;
  bool padding_ = false;
  absl::Status failure_;
};

}  // namespace

std::unique_ptr<ByteSource> MakeGzipSource(std::unique_ptr<ByteSource> packed, std::string path) {
  return std::make_unique<GzipSource>(std::move(packed), std::move(path));
}

}  // namespace tollbook
