#include "pipeline/content_tap.h"

#include <algorithm>

namespace tollbook {

class ContentTap::Source final : public ByteSource {
 public:
  Source(std::unique_ptr<ByteSource> source, ContentTap* tap) : source_(std::move(source)), tap_(*tap) {}
  absl::StatusOr<size_t> Read(char* into, size_t bytes) override {
    absl::StatusOr<size_t> got = source_->Read(into, bytes);
    if (got.ok()) tap_.Add({into, *got});
    return got;
  }
  uint64_t bytes_read() const override { return source_->bytes_read(); }
  std::chrono::nanoseconds waited() const override { return source_->waited(); }

 private:
  const std::unique_ptr<ByteSource> source_;
  ContentTap& tap_;
};

OpenContent ContentTap::On(OpenContent open) {
  return [this, open = std::move(open)]() -> absl::StatusOr<std::unique_ptr<ByteSource>> {
    absl::StatusOr<std::unique_ptr<ByteSource>> source = open();
    if (!source.ok()) return source;
    Begin();
    return std::make_unique<Source>(*std::move(source), this);
  };
}

void ContentTap::Begin() {
  kept_.clear();
  begin_ = taken_ = 0;
}

void ContentTap::Add(std::string_view bytes) {
  // What comes before `taken_` is passed over.
  const uint64_t end = begin_ + kept_.size();
  const uint64_t over = end < taken_ ? std::min<uint64_t>(taken_ - end, bytes.size()) : 0;
  if (over > 0) begin_ += over;
  bytes.remove_prefix(over);
  if (kept_.size() + bytes.size() > kTapBytesMax) {
    begin_ += kept_.size();
    kept_.clear();
  }
  kept_.append(bytes);
}

void ContentTap::PassOver(uint64_t offset) {
  taken_ = offset;
  const uint64_t drop = std::min<uint64_t>(kept_.size(), offset - std::min(offset, begin_));
  kept_.erase(0, drop);
  begin_ += drop;
}

bool ContentTap::Take(uint64_t end, std::string* into) {
  const bool is_whole = begin_ == taken_ && end - begin_ <= kept_.size();
  if (is_whole) into->append(kept_, 0, end - begin_);
  PassOver(end);
  return is_whole;
}

}  // namespace tollbook
